"""Compare a finished run's files with its RUN_MANIFEST.json: what was changed, removed or added
since.

`manifest_of_run` prints the one manifest that a set of files yields; where the bytes on disk are
the same, nothing else has to be read. Pure: digests in, findings out. Does not know how the files
were read.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping

from factory.evidence.index import FoundArtifact
from factory.judge.path_guard import display
from factory.model.evidence import Manifest
from factory.model.evidence_text import EvidenceError, parse_document
from factory.model.finding import Finding, Location
from factory.model.findings.entry import Fact
from factory.model.layout import IN_RUN, RunFolder, shown

_SHOWN = 12


def manifest_of_run(run_id: str, files: Iterable[FoundArtifact]) -> bytes:
    """Return the bytes of the manifest over `files`, as `format_document` prints it, in a tenth of
    the time.
    """
    listed = ",\n".join(map(_row, sorted(files, key=lambda found: found.path)))
    listed = f"[\n{listed}\n  ]" if listed else "[]"
    text = f'{{\n  "files": {listed},\n  "schema_version": 1,\n  "subject": {_text(run_id)}\n}}\n'
    return text.encode("utf-8", "surrogateescape")


def _row(found: FoundArtifact) -> str:
    members = (
        f'"bytes": {found.bytes}',
        f'"path": {_text(found.path)}',
        f'"sha256": "{found.sha256}"',
    )
    return "    {\n      " + ",\n      ".join(members) + "\n    }"


def _text(value: str) -> str:
    return json.dumps(value, ensure_ascii=False)


def judge_run_files(
    run_id: str, manifest: bytes | None, files: Iterable[FoundArtifact]
) -> tuple[Finding, ...]:
    """Return RUN_DAMAGED for every file of a finished run that is not as its manifest says.

    `manifest` is None where there is none.
    """
    there = {found.path: found for found in files if found.path != IN_RUN.manifest}
    if manifest is None:
        return (_damaged(run_id, IN_RUN.manifest, "missing-manifest"),)
    sound = all(found.sha256 for found in there.values())
    if sound and manifest == manifest_of_run(run_id, there.values()):
        return ()
    try:
        document = parse_document(Manifest, manifest)
    except EvidenceError as error:
        return (_damaged(run_id, IN_RUN.manifest, "form", problem=str(error)),)
    found = tuple(_differing(run_id, {entry.path: entry.sha256 for entry in document.files}, there))
    if document.subject != run_id:
        return (
            _damaged(run_id, IN_RUN.manifest, "subject", found=display(document.subject)),
            *found,
        )
    return found or (_damaged(run_id, IN_RUN.manifest, "yields"),)


def _differing(
    run_id: str, named: Mapping[str, str], there: Mapping[str, FoundArtifact]
) -> Iterable[Finding]:
    for path in sorted(named.keys() | there.keys()):
        if path not in there:
            yield _damaged(run_id, path, "missing", expected=named[path])
        elif path not in named:
            yield _damaged(run_id, path, "added")
        elif not there[path].sha256:
            yield _damaged(run_id, path, "not-plain", expected=named[path])
        elif named[path] != there[path].sha256:
            yield altered(run_id, path, named[path], there[path].sha256)


def altered(run_id: str, path: str, expected: str, found: str) -> Finding:
    """Return RUN_DAMAGED for a file whose digest is not the recorded one; `found` is "" for no
    plain file.
    """
    return _damaged(run_id, path, "changed", expected=expected, found=found or "no plain file")


def _damaged(run_id: str, path: str, case: str, **facts: Fact) -> Finding:
    place = Location(shown(RunFolder.of(run_id).at(display(path))))
    known = {"case": case, "run": run_id, "path": display(path), **facts}
    return Finding("RUN_DAMAGED", known, location=place)
