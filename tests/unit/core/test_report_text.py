"""The report: what a pack wrote never acts, and every part that a reviewer needs is there."""

from __future__ import annotations

import os
import re
import unicodedata
from pathlib import Path

import pytest

from factory.model.evidence import (
    FileRecord,
    FilesChanged,
    FindingRecord,
    GrantRecord,
    OverlapRecord,
    PackLine,
    PolicyRecord,
    RecheckRecord,
    RunStatus,
    SigningRecord,
)
from factory.model.inert import for_markdown
from factory.model.judged import AskedRecord
from factory.model.wording import counted
from factory.report.brief import brief
from factory.report.step_summary import MOST_BYTES, VARIABLE, append_summary
from factory.report.text import (
    MOST_ARTIFACTS,
    change_text,
    finding_lines,
    markdown,
    plain,
    policy_text,
    unmerged_plan,
)
from tests.hostile_text import HOSTILE


def record(**other: object) -> FindingRecord:
    known = {
        "id": "OVERLAP",
        "severity": "error",
        "message": "m",
        "hint": "h",
        "file": "f",
        "line": 3,
        "pack": "T-1",
    }
    return FindingRecord(**{**known, **other})  # type: ignore[arg-type]


def line(**other: object) -> PackLine:
    known = {
        "pack": "T-1",
        "title": "Title",
        "domain": "web",
        "why": "because",
        "status": "PASS",
        "files_changed": 1,
        "lines_added": 2,
        "lines_removed": 1,
        "checks_ok": 1,
        "checks": 2,
        "artifacts": (),
        "bundle_sha256": "a" * 64,
    }
    return PackLine(**{**known, **other})  # type: ignore[arg-type]


def status(**other: object) -> RunStatus:
    known = {
        "run_id": "run_001",
        "status": "PASS",
        "base_ref": "HEAD",
        "base_commit": "b" * 40,
        "base_tree": "c" * 40,
        "merged_tree": "d" * 40,
        "packs_committed": True,
        "packs": (line(),),
        "findings": (),
        "rechecks": (),
        "overlaps": (),
        "largest_set": (),
        "smallest_conflict": (),
        "exact": True,
        "properties_given": ("net_isolated",),
        "properties_accepted": (),
        "policy": PolicyRecord(sha256="9" * 64),
    }
    return RunStatus(**{**known, **other})  # type: ignore[arg-type]


FILE = FileRecord(
    path="docs/a|b",
    kind="modified",
    mode_before="100644",
    mode_after="100644",
    oid_before="1",
    oid_after="2",
    sha256_before="3",
    sha256_after="4",
    lines_added=2,
    lines_removed=1,
)
BINARY = FILE.model_copy(update={"path": "x.bin", "lines_added": None, "lines_removed": None})
CHANGED = FilesChanged(base_tree="c" * 40, result_tree="d" * 40, files=(FILE, BINARY))


def test_the_first_lines_say_what_matters() -> None:
    text = markdown(status(), CHANGED).decode()
    assert text.startswith(
        "# PASS · run_001\n\n**PASS** · 1 pack · 2 files, +2 −1 · tree `dddddddddddd` on base"
    )
    assert "Enforced: net_isolated.\nNothing was accepted weaker." in text
    assert "| T-1 Title | web | PASS | 1 file +2 −1 | 1 of 2 ok | because |" in text
    assert "| `docs/a\\|b` | modified | +2 −1 |\n| `x.bin` | modified | binary |" in text
    assert "No finding." in text
    assert "## Conflicts" not in text
    assert (
        "Nothing was accepted weaker.\n\n**No key was at hand, so nothing in this run is"
        " signed.**\n" in text
    )
    assert text.endswith("is optional. No key was at hand, so nothing in this run is signed.\n")


def test_the_policy_in_force_its_origin_and_grants_are_in_the_first_lines() -> None:
    grants = tuple(
        GrantRecord(kind="host", thing=f"h{number}.example", pack="T-1" if number else "")
        for number in range(10)
    )
    for policy, words in (
        (PolicyRecord(sha256="9" * 64), "set by defaults; granted: nothing"),
        (
            PolicyRecord(sha256="9" * 64, sources=("flag", "repository", "user")),
            "set by factory.toml of the work tree, the user's own file, flags; granted: nothing",
        ),
        (
            PolicyRecord(
                sha256="9" * 64,
                ref="refs/heads/m",
                commit="e" * 40,
                sources=("judged",),
                grants=grants[:2],
            ),
            (
                "set by factory.toml of refs/heads/m at eeeeeeeeeeee, what factory.toml of the work"
                " tree tightens; granted: host h0.example to any pack, host h1.example to T-1"
            ),
        ),
    ):
        text = policy_text(policy)
        assert text == f"999999999999, {words}"
        shown = status(policy=policy)
        assert f"Policy: {text}" in plain(shown, None).decode().splitlines()[:4]
        first = markdown(shown, None).decode().splitlines()[:6]
        assert sum(line.startswith("Policy: ") for line in first) == 1
    many = policy_text(PolicyRecord(sha256="9" * 64, grants=grants))
    assert many.endswith("host h7.example to T-1, 2 more")


def test_what_was_accepted_weaker_and_what_cannot_be_published_is_said_at_the_top() -> None:
    weak = status(
        properties_accepted=("disk_bounded",),
        properties_given=(),
        packs_committed=False,
        merged_tree="",
    )
    text = markdown(weak, None).decode()
    assert "Enforced: nothing.\n**Accepted weaker by the user: disk_bounded.**" in text
    assert "so this run cannot be published." in text
    assert "nothing merged, base `bbbbbbbbbbbb`" in text
    assert "## Files" not in text


def test_findings_have_owner_place_and_hint() -> None:
    text = markdown(
        status(findings=(record(), record(hint="", file="", pack="", line=0))), None
    ).decode()
    assert "- **OVERLAP** (error) T-1: m (`f:3`)\n  h\n- **OVERLAP** (error) m\n" in text


def test_the_conflict_matrix_shows_each_pair_on_both_sides() -> None:
    pair = OverlapRecord(first="A-1", second="B-2", path="x", other_path="x", hidden=False)
    settled = OverlapRecord(
        first="B-2", second="C-3", path="y", other_path="y", hidden=False, resolved="merge"
    )
    text = markdown(
        status(
            overlaps=(pair, settled),
            largest_set=("A-1",),
            smallest_conflict=("A-1", "B-2"),
            exact=False,
        ),
        None,
    ).decode()
    assert "| A-1 | · | `x` | — |\n| B-2 | `x` | · | `y` |\n| C-3 | — | `y` | · |" in text
    assert "- B-2 and C-3: merge." in text
    assert "Largest set that integrates (greedy, not exact): A-1 (1 of 1)." in text
    assert "Smallest set that does not: A-1, B-2." in text


def test_packs_that_break_each_other_have_no_matrix() -> None:
    text = markdown(status(smallest_conflict=("A-1", "B-2")), None).decode()
    assert "## Conflicts\n\nLargest set that integrates: none (0 of 1).\n" in text


def test_checks_on_the_merged_tree_are_listed() -> None:
    ran = RecheckRecord(pack="T-1", label="tests-1", run="x " * 90, outcome="ok", rc=0)
    text = markdown(status(rechecks=(ran,)), None).decode()
    assert re.search(r"\| T-1 \| tests-1 \| ok \| not-asked \| `(x ){49}x…` \|", text)


def test_what_each_check_says_is_in_both_forms() -> None:
    asked = (
        AskedRecord(label="tests-1", after="ok", before="fixed", old_judge="broken"),
        AskedRecord(label="check-1", after="not-run", before="not-asked", old_judge="not-asked"),
        AskedRecord(label="lint-1", after="ok", before="not-asked", old_judge="not-asked"),
    )
    told = status(packs=(line(asked=asked, judge_changed=2, judge_permitted=1),))
    text = markdown(told, None).decode()
    assert "| T-1 | tests-1 | ok | fixed | broken |" in text
    assert "| T-1 | check-1 | not-run | not-asked | not-asked |" in text
    assert "- T-1: 1 of 2 changed files of its judge permitted." in text
    lines = [one.strip() for one in plain(told, None).decode().splitlines()]
    assert "tests-1  ok, before fixed, old judge broken" in lines
    assert "check-1  not-run" in lines
    assert not any(one.startswith("lint-1") for one in lines)
    assert "  tests-1  ok, before fixed, old judge broken" in "\n".join(brief(told, None))


def test_a_bundle_of_an_earlier_run_says_so() -> None:
    packs = (line(came_from="run_000"), line(pack="T-2", bundle_sha256=""))
    text = markdown(status(packs=packs), None).decode()
    assert f"- T-1: bundle manifest sha256 `{'a' * 64}`, made by run_000" in text
    assert "- T-2: bundle manifest sha256 none" in text


def test_the_plain_report_says_the_same() -> None:
    full = status(findings=(record(),), largest_set=("T-1",), smallest_conflict=("T-1", "T-2"))
    assert (
        plain(full, CHANGED).decode()
        == "PASS  run_001\n1 pack, 2 files +2 −1, tree dddddddddddd on base bbbbbbbbbbbb\nPolicy:"
        " 999999999999, set by defaults; granted: nothing\nEnforced: net_isolated\nAccepted weaker: nothing\nSigning policy: a signature is optional. No"
        " key was at hand, so nothing in this run is signed.\n\nT-1  PASS     1 file +2 −1  1 of"
        " 2 checks ok\n\nOVERLAP  T-1: m\n    f:3\n    h\n\nLargest set that integrates: T-1 (1"
        " of 1)\n"
    )
    bare = plain(
        status(packs=(), merged_tree="", properties_given=(), properties_accepted=("x",)), None
    ).decode()
    assert "0 packs, 0 files +0 −0, nothing merged on base" in bare
    assert "Enforced: nothing\nAccepted weaker: x\nSigning policy: " in bare


@pytest.mark.parametrize("text", HOSTILE)
def test_nothing_hostile_reaches_a_terminal(text: str) -> None:
    spoilt = status(
        packs=(line(pack=text, title=text, why=text, domain=text),),
        findings=(record(message=text, hint=text, file=text, pack=text),),
        largest_set=(text,),
        smallest_conflict=(text, text),
    )
    for shown in (plain(spoilt, CHANGED).decode(), markdown(spoilt, CHANGED).decode()):
        assert all(
            unicodedata.category(char) not in ("Cc", "Cf", "Cs") or char == "\n" for char in shown
        )


def test_a_finding_for_a_terminal_names_its_owner_once() -> None:
    both = record(message="T-1 and T-2 clash", facts={"packs": ("T-1", "T-2")}, hint="", file="")
    assert finding_lines(both, "  ") == ["  OVERLAP  T-1 and T-2 clash"]
    longer = record(message="like T-10", hint="", file="")
    assert finding_lines(longer) == ["OVERLAP  T-1: like T-10"]
    assert finding_lines(record(line=0)) == ["OVERLAP  T-1: m", "    f", "    h"]


def test_counting() -> None:
    assert (counted(1, "file"), counted(0, "file"), counted(2, "file")) == (
        "1 file",
        "0 files",
        "2 files",
    )
    assert change_text(0, 0, 0, 0) == "no change"
    assert change_text(0, 0, 0, 1) == "no change, 1 artifact"
    assert change_text(2, 3, 1, 14) == "2 files +3 −1, 14 artifacts"


def test_one_status_gives_one_report() -> None:
    assert {markdown(status(), CHANGED) for _ in range(3)} == {markdown(status(), CHANGED)}


def test_the_brief_report_names_packs_files_and_what_was_enforced() -> None:
    added = FILE.model_copy(update={"path": "new\\u000a", "kind": "added"})
    files = (FILE, BINARY, added)
    lines = brief(
        status(packs=(line(), line(pack="T-2", why=""))),
        CHANGED.model_copy(update={"files": files}),
    )
    assert lines[:3] == (
        "T-1  Title · web · PASS, 1 of 2 checks ok",
        "    because",
        "T-2  Title · web · PASS, 1 of 2 checks ok",
    )
    assert [row.split(None, 1)[1] for row in lines[3:6]] == [
        "docs/a|b  +2 −1",
        "x.bin  binary",
        "new\\u000a  +2 −1",
    ]
    assert lines[-1] == "Enforced  1 property; accepted weaker: nothing"
    many = brief(status(), CHANGED.model_copy(update={"files": (FILE,) * 200}))
    assert any("more, named in the report" in row for row in many)
    assert brief(status(), None)[-1].startswith("Enforced")


@pytest.mark.parametrize("text", HOSTILE)
def test_the_end_of_a_log_is_escaped_as_a_sentence_is_and_not_put_into_code(text: str) -> None:
    ended = record(id="STEP_FAILED", facts={"label": "step-1", "last": text})
    lines = markdown(status(findings=(ended,)), None).decode().splitlines()
    (shown,) = (line for line in lines if line.startswith("  Its log ends with"))
    assert shown == f'  Its log ends with "{for_markdown(text)}".'
    assert "<" not in shown.replace("\\<", "")


@pytest.mark.parametrize("text", HOSTILE)
def test_the_brief_report_is_inert_in_a_terminal(text: str) -> None:
    spoilt = status(packs=(line(pack=text, title=text, why=text, domain=text),))
    for shown in brief(
        spoilt, CHANGED.model_copy(update={"files": (FILE.model_copy(update={"path": text}),)})
    ):
        assert all(unicodedata.category(char) not in ("Cc", "Cf", "Cs") for char in shown)


@pytest.mark.parametrize(
    ("signing", "sentence"),
    [
        (
            SigningRecord(policy="optional", signer="none", keys=()),
            (
                "Signing policy: a signature is optional. No key was at hand, so nothing in this"
                " run is signed."
            ),
        ),
        (
            SigningRecord(policy="required", signer="at-hand", keys=()),
            (
                "Signing policy: a signature by a key pinned in factory.keys/ is required. A key"
                " was at hand; who signed is in attestations/checkpoint."
            ),
        ),
        (
            SigningRecord(policy="required-from", signer="at-hand", keys=("k1", "k2")),
            (
                "Signing policy: a signature by one of k1, k2 is required. A key was at hand; "
                "who signed is in attestations/checkpoint."
            ),
        ),
    ],
)
def test_the_report_says_whether_anybody_could_sign(signing: SigningRecord, sentence: str) -> None:
    text = markdown(status(signing=signing), None).decode()
    assert text.endswith(f"{sentence}\n")
    assert ("**No key was at hand, so nothing in this run is signed.**" in text) is (
        signing.signer == "none"
    )


def test_a_smallest_conflict_without_an_overlap_is_told_without_a_table() -> None:
    text = markdown(status(smallest_conflict=("T-1", "T-2"), largest_set=("T-1",)), None).decode()
    assert "## Conflicts\n" in text
    assert "Smallest set that does not: T-1, T-2." in text
    assert "| | " not in text


def test_an_overlap_that_merged_is_told_and_no_set_is_called_conflicting() -> None:
    merged = OverlapRecord(
        first="A", second="B", path="a", other_path="a", hidden=False, resolved="three-way merge"
    )
    text = markdown(status(overlaps=(merged,), largest_set=("A", "B")), None).decode()
    assert "- A and B: three-way merge." in text
    assert "Smallest set" not in text


def test_a_report_sends_nobody_to_a_file_that_is_not_there() -> None:
    merged = markdown(status(), None).decode()
    assert "`git bundle verify Z_integrator/CHANGES.bundle`" in merged
    assert f"must print `{'d' * 40}`" in merged
    alone = markdown(status(merged_tree=""), None).decode()
    assert "Z_integrator" not in alone
    assert "nothing was merged; `git fetch` from a pack's `CHANGES.bundle`" in alone
    bare = markdown(status(merged_tree="", packs=(line(bundle_sha256=""),)), None).decode()
    assert ("CHANGES.bundle" in bare, "nothing was merged, and no pack left a bundle." in bare) == (
        False,
        True,
    )


def test_the_plan_of_a_run_that_merged_nothing_names_who_did_not_pass() -> None:
    packs = (line(), line(pack="T-2", status="BLOCKED"), line(pack="T_3_", status="FAIL"))
    text = unmerged_plan(status(merged_tree="", packs=packs)).decode()
    assert text.endswith(
        "\nResult: nothing was merged.\n\n- T-2 is BLOCKED.\n- T\\_3\\_ is FAIL.\n"
    ), text
    assert "No pack prevents a merge" in unmerged_plan(status(merged_tree="")).decode()


def test_artifacts_are_named() -> None:
    many = tuple(f"out/{n}.bin" for n in range(MOST_ARTIFACTS + 2))
    packs = (line(artifacts=("dist/a|b.txt", "`x`")), line(pack="T-2", artifacts=many))
    text = markdown(status(packs=packs), None).decode()
    assert "## Artifacts\n\n| pack | artifact |\n|---|---|\n| T-1 | `dist/a\\|b.txt` |" in text
    assert "| T-1 | `` `x` `` |" in text
    assert "| T-2 | `out/99.bin` |\n| T-2 | and 2 more |\n" in text
    assert "## Artifacts" not in markdown(status(), None).decode()


def test_a_job_gets_the_report_as_its_summary(tmp_path: Path) -> None:
    file = tmp_path / "summary.md"
    assert append_summary({}, b"# PASS\n") == ""
    assert "cannot be opened" in append_summary({VARIABLE: str(file)}, b"# PASS\n")
    file.write_bytes(b"before\n")
    assert append_summary({VARIABLE: str(file)}, b"# PASS\n") == ""
    assert file.read_bytes() == b"before\n# PASS\n"
    assert append_summary({VARIABLE: str(tmp_path)}, b"x") != ""
    os.mkfifo(tmp_path / "pipe")
    assert append_summary({VARIABLE: str(tmp_path / "pipe")}, b"x") != ""
    file.write_bytes(b"")
    report = b"".join(b"| row %d |\n" % number for number in range(200_000))
    assert append_summary({VARIABLE: str(file)}, report) == ""
    size = file.stat().st_size
    assert MOST_BYTES - 100 < size <= MOST_BYTES
    assert file.read_bytes().endswith(
        "|\n\n… the whole report is FINAL_REPORT.md of the run\n".encode()
    )
    assert append_summary({VARIABLE: str(file)}, report) == ""
    assert file.stat().st_size == size
