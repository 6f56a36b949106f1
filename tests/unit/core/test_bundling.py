"""A bundle's files: deterministic, complete, and with the status that its evidence yields."""

from __future__ import annotations

import json

import pytest

from factory.bundle.make import files_changed, kind_of, required_labels, summary, unique
from factory.model.evidence_text import sha256
from factory.model.finding import Finding
from factory.model.pack import Artifacts, Network
from factory.model.tree import MODE_EXECUTABLE, MODE_LINK, MODE_SUBMODULE, Difference, Leaf
from tests.pack_values import bundle, change, digests, leaf, pack

FIXED = {
    "ACTION.json",
    "CHANGES.bundle",
    "DIFF.patch",
    "FILES_CHANGED.json",
    "LOGS/INDEX.json",
    "LOGS/step-1.log",
    "LOGS/tests-1.log",
    "SCOPE_LOCK.json",
    "STATUS.json",
    "SUMMARY.md",
    "manifest.json",
}


def test_a_bundle_holds_what_it_should_and_names_it() -> None:
    status, files, _, _ = bundle(one=b"artifact")
    assert set(files) == {*FIXED, "ARTIFACTS/out/one"}
    named = {
        entry["path"]: entry["sha256"] for entry in json.loads(files["manifest.json"])["files"]
    }
    assert named == digests(files)
    assert (status.status, status.artifacts, status.files_changed) == ("PASS", ("out/one",), 2)
    assert (status.lines_added, status.lines_removed) == (2, 1)


def test_the_same_attempt_gives_the_same_bytes() -> None:
    assert bundle(one=b"x", two=b"y")[1] == bundle(two=b"y", one=b"x")[1]


@pytest.mark.parametrize(
    ("how", "expected"),
    [
        ({}, "PASS"),
        ({"rc": 1}, "BLOCKED"),
        ({"findings": (Finding("SCOPE_DENIED"),)}, "BLOCKED"),
        ({"findings": (Finding("REPO_DIRTY"),)}, "PASS"),
        ({"findings": (Finding("CRASH"),)}, "FAIL"),
        ({"of": pack(acceptance=())}, "BLOCKED"),
    ],
)
def test_the_status_is_what_the_evidence_yields(how: dict, expected: str) -> None:
    assert bundle(**how)[0].status == expected


@pytest.mark.parametrize(
    ("before", "after", "kind"),
    [
        (None, leaf("x"), "added"),
        (leaf("x"), None, "removed"),
        (leaf("x"), leaf("y"), "modified"),
        (leaf("x"), leaf("x", MODE_EXECUTABLE), "mode"),
        (leaf("x"), leaf("y", MODE_EXECUTABLE), "modified"),
        (leaf("x"), leaf("x", MODE_LINK), "type"),
        (leaf("x", MODE_LINK), leaf("y"), "type"),
        (leaf("x", MODE_LINK), leaf("y", MODE_LINK), "modified"),
    ],
)
def test_kinds_of_change(before: Leaf | None, after: Leaf | None, kind: str) -> None:
    assert kind_of(Difference("p", before, after)) == kind


def test_a_file_is_told_by_modes_objects_digests_and_lines() -> None:
    made = change({"a": "1\n"}, {"b\n": "2\n"}, ignored=3)
    document = files_changed(made)
    one, other = document.files
    assert (one.path, one.kind, one.mode_after, one.oid_after, one.sha256_after) == (
        "a",
        "removed",
        "",
        "",
        "",
    )
    assert (one.mode_before, one.sha256_before, one.lines_removed) == ("100644", sha256(b"1\n"), 1)
    assert (other.path, other.sha256_before, other.sha256_after) == ("b\\u000a", "", sha256(b"2\n"))
    assert document.ignored_dropped == 3


def test_a_binary_has_no_lines_and_a_submodule_no_content() -> None:
    made = change({}, {"a": "1\n"})
    module = Difference("m", None, Leaf(MODE_SUBMODULE, "1" * 40))
    odd = type(made)(
        base_tree="b",
        result_tree="r",
        differences=(*made.differences, module),
        patch=b"",
        lines={"a": None},
        digests=made.digests,
        objects=b"",
    )
    binary, submodule = files_changed(odd).files
    assert (binary.lines_added, binary.lines_removed) == (None, None)
    assert (submodule.mode_after, submodule.sha256_after) == ("160000", "")
    assert (odd.added, odd.removed) == (0, 0)


def test_the_lock_is_the_contract_as_resolved() -> None:
    asked = pack(
        inputs=("src/**",),
        artifacts=Artifacts(("out/a",), ("out/b",)),
        docs_required=("README.md",),
    )
    lock = bundle(asked)[2]
    assert (lock.allowed, lock.denied, lock.inputs) == (("docs/**",), ("docs/no/**",), ("src/**",))
    assert (lock.artifacts_required, lock.artifacts_optional, lock.docs_required) == (
        ("out/a",),
        ("out/b",),
        ("README.md",),
    )
    assert "net_isolated" in lock.required_properties
    assert (lock.network, lock.network_any, lock.limits.timeout) == ((), False, 900)
    assert Network(hosts=("a",)).declared
    assert Network(any_host=True).declared
    assert not Network().declared


def test_the_summary_says_it_in_a_few_lines_and_nothing_in_it_acts() -> None:
    status, _, _, _ = bundle(
        rc=3, findings=(Finding("PACK_INVALID", {"problem": "<b>@octocat</b> [x](http://e)"}),)
    )
    assert (
        summary(status).decode()
        == "# T-1: BLOCKED\n\n2 files changed, +2 −1.\n\n- `step-1` ended with 0\n- `tests-1` ended"
        " with 3\n- **PACK_INVALID** \\<b\\>\\@&#8203;octocat\\</b\\> \\[x\\](http:&#8203;//e)\n"
    )


def test_every_command_is_required() -> None:
    assert required_labels(pack()) == ("step-1", "tests-1")


def test_exact_repeats_of_a_finding_are_dropped() -> None:
    one, other = Finding("OVERLAP", {"packs": ("a",)}), Finding("OVERLAP", {"packs": ("b",)})
    assert unique([one, other, one]) == (one, other)
