"""Workflows: every way of naming an action and of granting rights, and what is said of it."""

from __future__ import annotations

from pathlib import Path

import pytest

from factory.evidence.workflows import is_workflow, judge_permissions, judge_pins

ROOT = Path(__file__).resolve().parents[3]
PATH = ".github/workflows/w.yml"
SHA1, SHA256 = "a" * 40, "b" * 64


def pins(used: str) -> list[str]:
    text = f"jobs:\n  a:\n    steps:\n      - uses: {used}\n        with: {{uses: anything}}\n"
    return [finding.message for finding in judge_pins(PATH, text.encode())]


@pytest.mark.parametrize(
    "used",
    [f"actions/checkout@{SHA1}", f"o/r/sub/folder@{SHA256}", f"docker://alpine@sha256:{SHA256}", "./here",
     f"o/r/.github/workflows/w.yml@{SHA1} # v1"],
)  # fmt: skip
def test_pinned(used: str) -> None:
    assert pins(used) == []


@pytest.mark.parametrize(
    "used",
    ["actions/checkout@v4", "o/r", f"o/r@{SHA1[:39]}", "docker://alpine:3", "o/r@main", "7", "[a]"],
)
def test_unpinned(used: str) -> None:
    (message,) = pins(used)
    assert "expected OWNER/NAME@ and a full commit id" in message


def test_place_of_an_unpinned_action_and_of_a_reusable_workflow() -> None:
    (finding,) = judge_pins(PATH, b"jobs:\n  a:\n    uses: o/r/.github/workflows/x.yml@main\n")
    assert (finding.id, str(finding.location)) == ("WORKFLOW_UNPINNED", f"{PATH}:3:11")


@pytest.mark.parametrize("text", ["a: [", "a: &x 1\nb: *x\n", "- a\n", "", "a: 1\na: 2\n"])
def test_what_cannot_be_read_is_told_once(text: str) -> None:
    assert [finding.id for finding in judge_pins(PATH, text.encode())] == ["WORKFLOW_UNREADABLE"]
    assert judge_permissions(PATH, text.encode()) == ()


@pytest.mark.parametrize(
    ("text", "clauses"),
    [
        ("permissions: {}\n", []),
        ("permissions: read-all\n", []),
        ("permissions: {contents: read, actions: none}\n", []),
        ("on: push\n", ["expected permissions for the whole workflow, found none"]),
        ("permissions: write-all\n", ["the workflow grants write-all to all of its jobs"]),
        ("permissions:\n", ["the workflow grants an empty value"]),
        ("permissions: {contents: write, issues: read}\n", ["the workflow grants contents: write to all of its jobs"]),
        ("permissions: {}\njobs: {a: {permissions: {contents: write}}}\n", []),
        ("permissions: {}\njobs: {a: {permissions: write-all}, b: {permissions: read-all}}\n",
         ["job a is granted write-all", "job b is granted read-all"]),
    ],
)  # fmt: skip
def test_permissions(text: str, clauses: list[str]) -> None:
    found = [finding.message for finding in judge_permissions(PATH, text.encode())]
    assert len(found) == len(clauses)
    for message, clause in zip(found, clauses, strict=True):
        assert clause in message


def test_own_workflows_hold() -> None:
    for path in sorted((ROOT / ".github/workflows").glob("*.yml")):
        content = path.read_bytes()
        assert (judge_pins(path.name, content), judge_permissions(path.name, content)) == ((), ())


@pytest.mark.parametrize(
    ("name", "expected"),
    [("ci.yml", True), ("ci.yaml", True), ("ci.yml.txt", False), ("yml", False)],
)
def test_which_files_are_workflows(name: str, expected: bool) -> None:
    assert is_workflow(name) is expected
