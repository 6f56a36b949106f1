"""A finished run's files against its manifest, both ways."""

from __future__ import annotations

import hashlib
from dataclasses import replace

import pytest

from factory.evidence.index import FoundArtifact
from factory.evidence.run_files import judge_run_files, manifest_of_run
from factory.model.evidence import Manifest, ManifestEntry
from factory.model.evidence_text import format_document

RUN = "factory_20260101_000000_0123abcd_001"
PATHS = (
    "Z_integrator/FINAL_REPORT.md",
    'A-1/LOGS/ö "quoted"\\.log',
    "A-1/control\u0001.txt",
    "attestations/ledger.jsonl",
)
FILES = tuple(
    FoundArtifact(path, len(path), hashlib.sha256(path.encode()).hexdigest()) for path in PATHS
)


def manifest(files: tuple[FoundArtifact, ...] = FILES, subject: str = RUN) -> bytes:
    entries = tuple(ManifestEntry(path=f.path, sha256=f.sha256, bytes=f.bytes) for f in files)
    return format_document(
        Manifest(subject=subject, files=tuple(sorted(entries, key=lambda entry: entry.path)))
    )


def sentences(content: bytes | None, files: tuple[FoundArtifact, ...]) -> list[str]:
    found = judge_run_files(RUN, content, files)
    assert all(finding.id == "RUN_DAMAGED" and finding.location is not None for finding in found)
    return [finding.message for finding in found]


@pytest.mark.parametrize("files", [FILES, FILES[:1], ()])
def test_the_quick_manifest_is_the_one_that_is_written(files: tuple[FoundArtifact, ...]) -> None:
    assert manifest_of_run(RUN, files) == manifest(files)


def test_a_whole_run_has_nothing_against_it_and_its_manifest_is_not_one_of_its_files() -> None:
    assert sentences(manifest(), (*FILES, FoundArtifact("RUN_MANIFEST.json", 1, "0" * 64))) == []


def test_what_was_changed_removed_and_added_is_named() -> None:
    first, second, *rest = FILES
    there = (replace(first, sha256="f" * 64), *rest, FoundArtifact("raw/new", 0, "e" * 64))
    assert sentences(manifest(), there) == [
        (
            f'A-1/LOGS/ö "quoted"\\\\.log of run {RUN} is missing, expected sha256'
            f" {second.sha256[:12]}…"
        ),
        (
            f"{first.path} of run {RUN} was changed: expected sha256 {first.sha256[:12]}…, found"
            " ffffffffffff…"
        ),
        f"raw/new of run {RUN} was added: RUN_MANIFEST.json does not name it",
    ]
    (link,) = sentences(manifest(), (replace(first, sha256=""), second, *rest))
    assert link.endswith(f"is no plain file, expected sha256 {first.sha256[:12]}…")


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (None, "is missing"),
        (b"{}\n", "does not match its schema: "),
        (manifest() + b"\n", "does not match its schema: is not in the form this tool writes"),
        (manifest(subject="another"), "is one of another"),
        (
            manifest((replace(FILES[0], bytes=5), *FILES[1:])),
            "is not the one that the run's files yield",
        ),
    ],
)
def test_a_manifest_that_is_not_the_runs_own_is_named(content: bytes | None, said: str) -> None:
    (sentence,) = sentences(content, FILES)
    assert sentence.startswith(f"RUN_MANIFEST.json of run {RUN} {said}")


def test_what_is_no_plain_file_is_damage_even_where_a_manifest_says_so() -> None:
    files = (replace(FILES[0], sha256=""), *FILES[1:])
    assert len(sentences(manifest(files), files)) == 1
