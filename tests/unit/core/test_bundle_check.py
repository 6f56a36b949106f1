"""A bundle that was altered: every document, every number, and what a hand would change to make it
PASS.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest

from factory.bundle.check import (
    judge_agreement,
    judge_documents,
    judge_manifest,
    judge_numbers,
    judge_status,
    open_bundle,
)
from factory.bundle.make import Files, manifest_of
from factory.model.evidence import FilesChanged, LogIndex, Manifest, ManifestEntry, StatusDocument
from factory.model.evidence_text import format_document, parse_document, sha256
from factory.model.finding import Finding
from factory.model.tree import Difference
from factory.strict.document import Document
from tests.pack_values import CHECK, STEP, bundle, change, digests, leaf, pack, tree

FOLDER = "bundles/T-1"
Altered = Callable[[Files], None]


def told(findings: tuple[Finding, ...]) -> list[str]:
    return [f"{finding.id} {finding.attributed}" for finding in findings]


def manifest_findings(files: Files) -> list[str]:
    return told(judge_manifest("T-1", FOLDER, files.get("manifest.json"), digests(files)))


def document_findings(files: Files) -> list[str]:
    """What is said of the documents once the manifest was made to fit again."""
    _, _, lock, key = bundle()
    opened, found = open_bundle("T-1", FOLDER, files)
    if opened is None:
        return told(found)
    return told(
        judge_documents("T-1", opened, files, (STEP, CHECK), key, lock, digests(files))
        + judge_status("T-1", opened)
    )


def sealed(files: Files) -> Files:
    """The manifest as whoever alters a bundle would write it anew."""
    rest = {path: content for path, content in files.items() if path != "manifest.json"}
    return {**rest, "manifest.json": format_document(manifest_of("T-1", rest))}


def rewritten(model: type[Document], name: str, **values: object) -> Altered:
    def alter(files: Files) -> None:
        files[name] = format_document(parse_document(model, files[name]).model_copy(update=values))

    return alter


def test_an_honest_bundle_has_no_findings() -> None:
    _, files, _, _ = bundle(out=b"artifact")
    assert manifest_findings(files) == []
    assert document_findings(files) == []


def test_a_bundle_without_manifest_is_missing() -> None:
    _, files, _, _ = bundle()
    del files["manifest.json"]
    assert manifest_findings(files) == [
        "BUNDLE_MISSING T-1: expected the bundle's bundles/T-1/manifest.json, found none"
    ]


@pytest.mark.parametrize(
    ("alter", "sentence"),
    [
        (lambda f: f.update({"DIFF.patch": b"x"}), "bundles/T-1/DIFF.patch expected sha256 "),
        (
            lambda f: f.pop("DIFF.patch"),
            "bundles/T-1/DIFF.patch is in the manifest and does not exist",
        ),
        (
            lambda f: f.update({"extra\x1b": b"x"}),
            "bundles/T-1/extra\\u001b exists and is not in the manifest",
        ),
        (
            lambda f: f.update({"manifest.json": b"{}"}),
            "bundles/T-1/manifest.json: subject: Field required",
        ),
        (
            rewritten(Manifest, "manifest.json", subject="T-2"),
            "bundles/T-1/manifest.json is of T-2, or names a file twice",
        ),
    ],
)
def test_what_does_not_agree_with_the_manifest_is_named(alter: Altered, sentence: str) -> None:
    _, files, _, _ = bundle()
    alter(files)
    found = manifest_findings(files)
    assert len(found) == 1
    assert found[0].startswith(f"BUNDLE_MANIFEST T-1: {sentence}")


def test_a_file_that_is_no_plain_file_is_named() -> None:
    _, files, _, _ = bundle()
    found = told(
        judge_manifest("T-1", FOLDER, files["manifest.json"], {**digests(files), "DIFF.patch": ""})
    )
    assert found[0].endswith("found no plain file")


def test_a_file_named_twice_is_named() -> None:
    _, files, _, _ = bundle()
    entries = parse_document(Manifest, files["manifest.json"]).files
    twice = ManifestEntry(path=entries[0].path, sha256="0" * 64, bytes=1)
    files["manifest.json"] = format_document(Manifest(subject="T-1", files=(twice, *entries)))
    assert manifest_findings(files) == [
        "BUNDLE_MANIFEST T-1: bundles/T-1/manifest.json is of T-1, or names a file twice"
    ]


DOCUMENTS = [
    "STATUS.json",
    "FILES_CHANGED.json",
    "ACTION.json",
    "SCOPE_LOCK.json",
    "LOGS/INDEX.json",
]


@pytest.mark.parametrize("name", DOCUMENTS)
@pytest.mark.parametrize("broken", [None, b"", b"{}", b"\xff"])
def test_a_document_that_does_not_hold_its_schema_is_named_with_its_place(
    name: str, broken: bytes | None
) -> None:
    _, files, _, _ = bundle()
    if broken is None:
        del files[name]
    else:
        files[name] = broken
    opened, found = open_bundle("T-1", FOLDER, files)
    assert opened is None
    assert [finding.id for finding in found] == ["BUNDLE_SCHEMA"]
    assert str(found[0].location) == f"{FOLDER}/{name}"


@pytest.mark.parametrize("name", ["DIFF.patch", "CHANGES.bundle"])
def test_a_bundle_without_its_change_is_refused(name: str) -> None:
    _, files, _, _ = bundle()
    del files[name]
    opened, found = open_bundle("T-1", FOLDER, files)
    assert opened is None
    assert told(found) == [
        "BUNDLE_SCHEMA T-1: expected DIFF.patch and CHANGES.bundle in bundles/T-1, found one of them missing"
    ]


def summary_free(files: Files, alter: Altered) -> list[str]:
    alter(files)
    return [line for line in document_findings(sealed(files)) if "SUMMARY.md" not in line]


def relog(**values: object) -> Altered:
    def alter(files: Files) -> None:
        index = parse_document(LogIndex, files["LOGS/INDEX.json"])
        first = index.logs[0].model_copy(update=values)
        files["LOGS/INDEX.json"] = format_document(LogIndex(logs=(first, *index.logs[1:])))

    return alter


def recheck(**values: object) -> Altered:
    def alter(files: Files) -> None:
        status = parse_document(StatusDocument, files["STATUS.json"])
        last = status.checks[-1].model_copy(update=values)
        updated = status.model_copy(update={"checks": (*status.checks[:-1], last)})
        files["STATUS.json"] = format_document(updated)

    return alter


def reaction(files: Files) -> None:
    files["ACTION.json"] = files["ACTION.json"].replace(b'"disk": 1073741824', b'"disk": 1')


def relock(files: Files) -> None:
    files["SCOPE_LOCK.json"] = files["SCOPE_LOCK.json"].replace(b"docs/**", b"**")


DISAGREEMENTS = {
    "another key": (
        rewritten(StatusDocument, "STATUS.json", action_key="0" * 64),
        "BUNDLE_STALE T-1: expected a bundle of",
    ),
    "another pack": (
        rewritten(StatusDocument, "STATUS.json", pack="T-2"),
        "BUNDLE_STALE T-1: expected a bundle of",
    ),
    "another action": (reaction, "BUNDLE_STALE T-1: expected a bundle of"),
    "a wider scope": (
        relock,
        "BUNDLE_STALE T-1: SCOPE_LOCK.json is not what the contract resolves to",
    ),
    "fewer checks required": (
        rewritten(StatusDocument, "STATUS.json", required=("step-1",)),
        "BUNDLE_STATUS T-1: STATUS.json does not require what the contract requires",
    ),
    "another command": (
        recheck(run="true"),
        "BUNDLE_STATUS T-1: STATUS.json records other commands than the contract declares",
    ),
    "another tree": (
        rewritten(FilesChanged, "FILES_CHANGED.json", result_tree="0" * 40),
        "BUNDLE_DISAGREES T-1: FILES_CHANGED.json and STATUS.json name different trees",
    ),
    "another log": (
        lambda f: f.update({"LOGS/step-1.log": b"x"}),
        "BUNDLE_DISAGREES T-1: LOGS/step-1.log is not the log that LOGS/INDEX.json names",
    ),
    "a log elsewhere": (
        relog(path="DIFF.patch"),
        "BUNDLE_DISAGREES T-1: DIFF.patch is not the log that LOGS/INDEX.json names",
    ),
    "a log of another size": (
        relog(bytes=7),
        "BUNDLE_DISAGREES T-1: LOGS/step-1.log is not the log that LOGS/INDEX.json names",
    ),
    "another code": (
        relog(rc=1),
        "BUNDLE_DISAGREES T-1: LOGS/INDEX.json and STATUS.json name different commands or codes",
    ),
    "an artifact more": (
        lambda f: f.update({"ARTIFACTS/more": b"x"}),
        "BUNDLE_DISAGREES T-1: ARTIFACTS/ does not contain the artifacts that STATUS.json names",
    ),
    "a file more": (
        lambda f: f.update({"notes": b"x"}),
        "BUNDLE_DISAGREES T-1: notes is no part of a bundle",
    ),
}


@pytest.mark.parametrize(("alter", "sentence"), DISAGREEMENTS.values(), ids=DISAGREEMENTS)
def test_documents_that_disagree_are_named(alter: Altered, sentence: str) -> None:
    _, files, _, _ = bundle()
    found = summary_free(files, alter)
    assert any(line.startswith(sentence) for line in found), found


def test_another_summary_is_named() -> None:
    _, files, _, _ = bundle()
    files["SUMMARY.md"] = b"# T-1: PASS with honours\n"
    assert document_findings(sealed(files)) == [
        "BUNDLE_DISAGREES T-1: SUMMARY.md is not what STATUS.json yields"
    ]


def test_a_manifest_that_counts_other_bytes_is_named() -> None:
    _, files, _, _ = bundle()
    manifest = parse_document(Manifest, files["manifest.json"])
    spoilt = tuple(entry.model_copy(update={"bytes": 1}) for entry in manifest.files)
    files["manifest.json"] = format_document(Manifest(subject="T-1", files=spoilt))
    assert document_findings(files) == [
        "BUNDLE_MANIFEST T-1: manifest.json is not what the bundle's files yield"
    ]


def status_findings(status: StatusDocument) -> list[str]:
    _, files, _, _ = bundle()
    opened, _ = open_bundle("T-1", FOLDER, {**files, "STATUS.json": format_document(status)})
    assert opened is not None
    return told(judge_status("T-1", opened))


def test_a_status_made_better_by_hand_is_named() -> None:
    status, _, _, _ = bundle(rc=3)
    assert status.status == "BLOCKED"
    raised = status.model_copy(update={"status": "PASS"})
    assert status_findings(raised) == [
        "BUNDLE_STATUS T-1: STATUS.json says PASS, its evidence yields BLOCKED"
    ]


def test_a_pass_over_an_error_finding_is_named() -> None:
    status, _, _, _ = bundle(findings=(Finding("SCOPE_DENIED"),))
    assert status.status == "BLOCKED"
    raised = status.model_copy(update={"status": "PASS"})
    assert "its evidence yields BLOCKED" in status_findings(raised)[0]
    weighed = raised.findings[0].model_copy(update={"severity": "note"})
    sentence = [
        "BUNDLE_STATUS T-1: STATUS.json gives a finding another severity than the catalogue"
    ]
    assert status_findings(raised.model_copy(update={"findings": (weighed,)})) == sentence
    unknown = raised.findings[0].model_copy(update={"id": "FINE"})
    assert (
        "'FINE' is not in the catalogue"
        in status_findings(raised.model_copy(update={"findings": (unknown,)}))[0]
    )


def test_attempts_that_do_not_lead_to_the_result_are_named() -> None:
    status, _, _, _ = bundle()
    one = status.attempts[0]
    sentence = [
        "BUNDLE_STATUS T-1: STATUS.json does not record the attempts that led to its result"
    ]
    for attempts in (
        (),
        (one.model_copy(update={"number": 2}),),
        (one.model_copy(update={"result_tree": "x"}),),
    ):
        assert status_findings(status.model_copy(update={"attempts": attempts})) == sentence


def test_a_check_without_record_yields_no_pass() -> None:
    status, _, _, _ = bundle()
    bare = status.model_copy(update={"checks": status.checks[:1]})
    assert status_findings(bare) == [
        "BUNDLE_STATUS T-1: STATUS.json says PASS, its evidence yields BLOCKED"
    ]


BEFORE, AFTER = {"a": "1\n"}, {"a": "2\n", "docs/b": "3\n"}


def changed() -> FilesChanged:
    _, files, _, _ = bundle()
    return parse_document(FilesChanged, files["FILES_CHANGED.json"])


def agreement(
    document: FilesChanged, by_tree: tuple[Difference, ...], by_patch: tuple[Difference, ...]
) -> list[str]:
    return told(judge_agreement("T-1", document, by_tree, by_patch))


def test_three_tellings_of_one_change_agree() -> None:
    both = change(BEFORE, AFTER).differences
    assert agreement(changed(), both, both) == []


def test_a_path_that_only_the_patch_changes_is_hidden() -> None:
    both = change(BEFORE, AFTER).differences
    hidden = (*both, Difference("sneaky\u202e", None, leaf("x")))
    assert agreement(changed(), both, hidden) == [
        (
            "HIDDEN_CHANGE T-1: DIFF.patch changes sneaky\\u202e, which FILES_CHANGED.json does not"
            " name"
        )
    ]


def test_each_way_to_disagree_is_named() -> None:
    both = change(BEFORE, AFTER).differences
    document = changed()
    less = document.model_copy(update={"files": document.files[:1]})
    assert agreement(document, both[:1], both[:1]) == [
        "BUNDLE_DISAGREES T-1: FILES_CHANGED.json names docs/b, the tree has no change there"
    ]
    assert agreement(less, both, both[:1]) == [
        "BUNDLE_DISAGREES T-1: the tree changes docs/b, FILES_CHANGED.json does not name it"
    ]
    other = (Difference("a", both[0].before, leaf("other")), both[1])
    assert agreement(document, other, other) == [
        "BUNDLE_DISAGREES T-1: FILES_CHANGED.json and the tree differ over a"
    ]
    assert agreement(document, both, other) == [
        "BUNDLE_DISAGREES T-1: DIFF.patch and the tree differ over a"
    ]
    assert agreement(document, both, both[:1]) == [
        "BUNDLE_DISAGREES T-1: DIFF.patch and the tree differ over docs/b"
    ]


@pytest.mark.parametrize("field", ["kind", "mode_before", "mode_after", "oid_before", "oid_after"])
def test_every_field_of_a_path_is_held_against_the_tree(field: str) -> None:
    both = change(BEFORE, AFTER).differences
    document = changed()
    spoilt = document.files[0].model_copy(update={field: "removed" if field == "kind" else "x"})
    assert agreement(
        document.model_copy(update={"files": (spoilt, document.files[1])}), both, both
    ) == ["BUNDLE_DISAGREES T-1: FILES_CHANGED.json and the tree differ over a"]


def test_paths_twice_or_out_of_order_are_named() -> None:
    both = change(BEFORE, AFTER).differences
    document = changed()
    sentence = ["BUNDLE_DISAGREES T-1: FILES_CHANGED.json names a path twice or out of order"]
    for files in (document.files[::-1], (*document.files, document.files[0])):
        assert agreement(document.model_copy(update={"files": files}), both, both) == sentence


def numbers(
    lines: dict[str, tuple[int, int] | None], known: dict[str, str], **values: object
) -> list[str]:
    _, files, _, _ = bundle()
    opened, _ = open_bundle("T-1", FOLDER, files)
    assert opened is not None
    status = opened.status.model_copy(update=values)
    opened = type(opened)(status, opened.changed, opened.action, opened.lock, opened.logs)
    return told(judge_numbers("T-1", opened, lines, known))


LINES: dict[str, tuple[int, int] | None] = {"a": (1, 1), "docs/b": (1, 0)}
CONTENTS = {leaf(text).oid: sha256(text.encode()) for text in ("1\n", "2\n", "3\n")}


def test_counts_and_contents_are_held_against_what_was_derived() -> None:
    assert numbers(LINES, CONTENTS) == []
    wrongs: list[dict[str, tuple[int, int] | None]] = [
        {**LINES, "a": (1, 2)},
        {**LINES, "a": None},
        {"docs/b": (1, 0)},
    ]
    for wrong in wrongs:
        assert numbers(wrong, CONTENTS) == [
            "BUNDLE_DISAGREES T-1: FILES_CHANGED.json miscounts the lines of a"
        ]
    other = {**CONTENTS, leaf("3\n").oid: "0" * 64}
    assert numbers(LINES, other) == [
        "BUNDLE_DISAGREES T-1: FILES_CHANGED.json misstates the content of docs/b"
    ]


@pytest.mark.parametrize("field", ["files_changed", "lines_added", "lines_removed"])
def test_totals_that_differ_are_named(field: str) -> None:
    assert numbers(LINES, CONTENTS, **{field: 7}) == [
        "BUNDLE_DISAGREES T-1: STATUS.json and FILES_CHANGED.json count the change differently"
    ]


def test_a_pack_without_acceptance_is_never_accepted() -> None:
    status, files, lock, key = bundle(pack(acceptance=()))
    assert status.status == "BLOCKED"
    opened, _ = open_bundle("T-1", FOLDER, files)
    assert opened is not None
    assert judge_documents("T-1", opened, files, (), key, lock, digests(files)) == ()
    assert tree(BEFORE) != tree(AFTER)
