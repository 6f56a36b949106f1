"""Packs that meet: stacked, overlapping, merged, breaking each other. Real runs, and what each
says.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.world import Ended, World

pytestmark = pytest.mark.linux


def writes(path: str, text: str, more: str = "") -> str:
    """A pack that writes one file."""
    run = json.dumps(f"mkdir -p $(dirname {path}); echo {text} > {path}")
    return f'scope: {{allowed_paths: ["{path}"]}}\n{more}steps: [{{name: s, run: {run}}}]\n'


def edits(path: str, program: str, more: str = "") -> str:
    """A pack that edits one file by sed."""
    run = json.dumps(f"sed -i '{program}' {path}")
    return f'scope: {{allowed_paths: ["{path}"]}}\n{more}steps: [{{name: s, run: {run}}}]\n'


def merged(world: World) -> dict[str, str]:
    """The merged tree's files and contents, by stock Git out of the run's own bundle."""
    world.git(
        "fetch", "-q", str(world.last() / "CHANGES.bundle"), "refs/codex/result:refs/test/result"
    )
    assert (
        world.git("rev-parse", "refs/test/result^{tree}").strip() == world.status()["merged_tree"]
    )
    names = world.git("ls-tree", "-r", "-z", "--name-only", "refs/test/result").split("\0")[:-1]
    mine = [
        name
        for name in names
        if not name.startswith("taskpacks/") and name not in ("dodo.py", ".gitignore")
    ]
    return {name: world.git("show", f"refs/test/result:{name}") for name in mine}


def told(world: World) -> list[str]:
    rows = world.status()["findings"]
    places = [
        f"{row['file'].rpartition('/')[2]}:{row['line']}" if row["file"] else "-" for row in rows
    ]
    return [
        f"{row['id']} {row['message']} @ {place} > {row['hint']}"
        for row, place in zip(rows, places, strict=True)
    ]


def run(world: World, expected: int, *words: str, commit: bool = True) -> Ended:
    if commit:
        world.commit()
    ended = world.doit(*(words or ("oneshot",)))
    assert ended.rc == expected, ended.text
    assert "Traceback" not in ended.text
    return ended


def test_an_overlap_is_blocked_with_matrix_and_sets(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.pack("TASK-0001-a", writes("docs/same", "one"))
    world.pack("TASK-0002-b", writes("docs/SAME", "two"))
    world.pack("TASK-0003-c", writes("docs/own", "three"))
    world.pack("TASK-0004-d", writes("docs/twin", "twin"))
    world.pack("TASK-0005-e", writes("docs/twin", "twin"))
    run(world, 2)
    place, end = "docs/same and docs/SAME", "one name where case or Unicode form is ignored"
    sentence = f"OVERLAP TASK-0001 and TASK-0002 both change {place}: {place} are {end}"
    assert told(world) == [f"{sentence} @ - > Spell it one way in every pack."]
    status = world.status()
    assert status["merged_tree"] == ""
    assert status["largest_set"] == ["TASK-0001", "TASK-0003", "TASK-0004", "TASK-0005"]
    assert status["smallest_conflict"] == ["TASK-0001", "TASK-0002"]
    assert status["exact"] is True
    report = (world.last() / "FINAL_REPORT.md").read_text()
    assert "| TASK-0001 | · | `docs/same` |" in report
    assert (
        "Largest set that integrates: TASK-0001, TASK-0003, TASK-0004, TASK-0005 (4 of 5)."
        in report
    )
    assert not (world.last() / "DIFF.patch").exists()


LINES = "".join(f"line {number}\n" for number in range(1, 21))


def merging(tmp_path: Path) -> World:
    world = World(tmp_path)
    world.write("factory.toml", '[integration]\noverlap = "merge"\n')
    world.write("text", LINES)
    return world


def test_overlapping_packs_merge_where_git_merges_them(tmp_path: Path) -> None:
    """TASK-0003 stands on both and sees both; what it then changes loses neither."""
    world = merging(tmp_path)
    world.pack("TASK-0001-a", edits("text", "2s/.*/first/"))
    world.pack("TASK-0002-b", edits("text", "12s/.*/second/"))
    both = "depends_on: [TASK-0001, TASK-0002]\n"
    check = (
        'checks: [{name: c, run: "grep -q first text && grep -q second text && grep -q third'
        ' text"}]'
    )
    world.pack("TASK-0003-c", edits("text", "19s/.*/third/", both), check)
    run(world, 0)
    expected = (
        LINES.replace("line 2\n", "first\n")
        .replace("line 12\n", "second\n")
        .replace("line 19\n", "third\n")
    )
    assert merged(world)["text"] == expected
    assert [(o["first"], o["second"], o["resolved"]) for o in world.status()["overlaps"]] == [
        ("TASK-0001", "TASK-0002", "three-way merge")
    ]


def test_what_does_not_merge_is_a_conflict_and_stops_whatever_stands_on_it(tmp_path: Path) -> None:
    world = merging(tmp_path)
    world.pack("TASK-0001-a", edits("text", "2s/.*/first/"))
    world.pack("TASK-0002-b", edits("text", "2s/.*/second/"))
    run(world, 2)
    hint = "Let one depend on the other (depends_on), so that it builds on the other's result."
    sentence = f"MERGE_CONFLICT TASK-0001 and TASK-0002 do not merge cleanly in text @ - > {hint}"
    assert told(world) == [sentence]
    world.pack("TASK-0003-c", writes("docs/x", "x", "depends_on: [TASK-0001, TASK-0002]\n"))
    run(world, 2)
    assert told(world) == [sentence]
    assert [row["pack"] for row in world.status()["findings"]] == ["TASK-0003"]


def test_packs_stack_in_order_and_a_failed_one_stops_those_above(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.pack("TASK-0003-a", writes("out/a", "a"))
    needs_a = "depends_on: [TASK-0003]\n"
    world.pack(
        "TASK-0002-b",
        edits("out/a", "s/a/ab/", needs_a),
        'checks: [{name: c, run: "grep ab out/a"}]',
    )
    needs_b = "depends_on: [TASK-0002]\n"
    world.pack(
        "TASK-0001-c",
        edits("out/a", "s/ab/abc/", needs_b),
        'checks: [{name: c, run: "grep -x abc out/a"}]',
    )
    run(world, 0, "-n", "2", "oneshot")
    assert merged(world)["out/a"] == "abc\n"
    assert world.executed() == ["TASK-0003", "TASK-0002", "TASK-0001"]
    world.pack("TASK-0001-c", edits("out/a", "s/ab/c/", needs_b))
    run(world, 2, commit=False)
    assert told(world)[1:] == [
        (
            "MERGE_BROKEN_TOGETHER check-1 `grep ab out/a` of TASK-0002 passes alone and fails on the"
            " merged tree together with TASK-0001 @ acceptance.yml:1 > TASK-0001 builds on TASK-0002"
            " and undoes what it checks; change one of the two. Its log: factory print-report --log"
            " TASK-0002.check-1"
        )
    ]
    assert world.executed()[3:] == ["TASK-0001"]
    world.pack(
        "TASK-0002-b", edits("out/a", "s/a/ab/", needs_a), 'checks: [{name: c, run: "false"}]'
    )
    run(world, 2, commit=False)
    assert world.executed()[4:] == ["TASK-0002", "TASK-0001"]
    rows = told(world)
    assert [row.split()[0] for row in rows] == [
        "REPO_PACKS_UNCOMMITTED",
        "CHECK_FAILED",
        "DEPENDS_NOT_PASS",
    ]
    assert (
        rows[2] == "DEPENDS_NOT_PASS it depends on TASK-0002, which did not PASS @ task.yml:5 >"
        " Correct TASK-0002 first; see: factory why TASK-0002"
    )


def test_packs_that_merge_and_break_each_other_are_named_as_a_pair(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.write("src/lib.py", "def area(w, h):\n    return w * h\n")
    world.pack("TASK-0201-rename", edits("src/lib.py", "s/area/surface/"))
    world.pack(
        "TASK-0202-use",
        writes("src/more.py", "from lib import area"),
        "tests: {commands: [python src/more.py]}",
    )
    world.pack("TASK-0203-other", writes("other", "x"))
    run(world, 2)
    assert told(world) == [
        (
            "MERGE_BROKEN_TOGETHER tests-1 `python src/more.py` of TASK-0202 passes alone and fails on"
            " the merged tree together with TASK-0201 @ acceptance.yml:1 > Declare depends_on:"
            " [TASK-0201] in TASK-0202 and adapt it, or change one of the two. Its log: factory"
            " print-report --log TASK-0202.tests-1"
        )
    ]
    status = world.status()
    assert status["largest_set"] == ["TASK-0201", "TASK-0203"]
    assert status["smallest_conflict"] == ["TASK-0201", "TASK-0202"]
    outcomes = {(row["pack"], row["outcome"], tuple(row["culprits"])) for row in status["rechecks"]}
    assert ("TASK-0202", "broken", ("TASK-0201",)) in outcomes
    log = world.last() / "LOGS/TASK-0202.tests-1.log"
    assert "ImportError" in log.read_text()
    shown = world.factory("print-report", "--log", "TASK-0202.tests-1")
    assert (shown.rc, shown.out) == (0, log.read_text())


def test_a_break_that_no_pair_explains_and_a_fix_that_is_undone(tmp_path: Path) -> None:
    """Three switches: the check fails once all are on. And: what one pack mended, another takes
    away.
    """
    world = World(tmp_path)
    world.write("src/bug", "bug\n")
    count = 'checks: [{name: c, run: "test $(ls on | wc -l) -lt 3"}]'
    world.pack("TASK-0001-a", writes("on/a", "a"), count)
    world.pack("TASK-0002-b", writes("on/b", "b"))
    world.pack("TASK-0003-c", writes("on/c", "c"))
    world.pack(
        "TASK-0004-mend",
        writes("src/fix", "x"),
        'checks: [{name: c, run: "test -e src/fix -a -e src/bug"}]',
    )
    lost = 'scope: {allowed_paths: ["src/bug"]}\nsteps: [{name: s, run: rm src/bug}]\n'
    world.pack("TASK-0005-lose", lost)
    run(world, 2)
    rows = told(world)
    assert [row.split()[0] for row in rows] == ["MERGE_BROKEN", "MERGE_BROKEN_TOGETHER"]
    assert (
        rows[0] == "MERGE_BROKEN check-1 `test $(ls on | wc -l) -lt 3` passes alone and fails"
        " on the merged tree @ acceptance.yml:1 > No pair within recheck_budget explains it;"
        " look at the merged tree, or raise the budget. Its log: factory print-report --log"
        " TASK-0001.check-1"
    )


def test_what_fails_on_the_base_alike_and_no_pair_explains_is_pre_existing(tmp_path: Path) -> None:
    """Two others together bring the base's state back: two files, as before."""
    world = World(tmp_path)
    world.write("n/1", "1\n")
    world.write("n/2", "2\n")
    check = 'checks: [{name: c, run: "test $(ls n | wc -l) -ne 2"}]'
    world.pack("TASK-0001-add", writes("n/3", "3"), check)
    world.pack("TASK-0002-add", writes("n/4", "4"))
    world.pack(
        "TASK-0003-add",
        'scope: {allowed_paths: ["n/1", "n/2"]}\nsteps: [{name: s, run: rm n/1 n/2}]\n',
    )
    run(world, 2)
    assert told(world) == [
        (
            "MERGE_PRE_EXISTING check-1 `test $(ls n | wc -l) -ne 2` "
            "fails on the merged tree exactly as it "
            "does on the base @ acceptance.yml:1 > Another pack undoes what it fixed."
        )
    ]


def test_a_check_that_would_see_the_same_tree_is_not_run_again(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.write("one/a", "a\n")
    world.write("two/b", "b\n")
    world.pack("TASK-0001-a", writes("one/x", "x", 'inputs: ["one/**"]\n'))
    world.pack("TASK-0002-b", writes("two/x", "x", 'inputs: ["one/**", "two/**"]\n'))
    ended = run(world, 0)
    outcomes = {row["pack"]: row["outcome"] for row in world.status()["rechecks"]}
    assert outcomes == {"TASK-0001": "as-accepted", "TASK-0002": "ok"}
    assert (
        "1 check again on the merged tree, 1 ok · 1 check saw the same tree already" in ended.text
    )
    logs = json.loads((world.last() / "LOGS/INDEX.json").read_text())["logs"]
    assert [log["label"] for log in logs] == ["TASK-0002.check-1"]


def test_a_pack_alone_is_accepted_once(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.pack("TASK-0001-a", writes("x", "x"))
    run(world, 0)
    assert [row["outcome"] for row in world.status()["rechecks"]] == ["as-accepted"]


def test_a_sha256_repository_and_one_that_holds_nothing_but_packs(tmp_path: Path) -> None:
    world = World(tmp_path, object_format="sha256")
    for name in ("README.md", ".gitignore"):
        (tmp_path / name).unlink()
    world.pack("TASK-0001-a", writes("docs/x", "x"))
    world.pack("TASK-0002-b", writes("docs/y", "y"))
    run(world, 0)
    assert len(world.status()["merged_tree"]) == 64
    assert merged(world) == {"docs/x": "x\n", "docs/y": "y\n"}


def test_what_is_not_committed_of_a_pack_is_laid_over_and_nothing_else(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.write("seen", "committed\n")
    see = (
        'scope: {allowed_paths: ["out"]}\nsteps: [{name: s, run: "cat seen taskpacks/*/own >'
        ' out"}]\n'
    )
    world.pack("TASK-0001-a", see, own="committed\n")
    world.commit()
    world.write("seen", "local\n")
    world.write("taskpacks/TASK-0001-a/own", "local\n")
    ended = world.doit("oneshot")
    assert ended.rc == 0, ended.text
    patch = (world.last() / "DIFF.patch").read_text()
    assert "\n+committed\n+local\n" in patch
    assert sorted(world.findings()) == ["REPO_DIRTY", "REPO_PACKS_UNCOMMITTED"]
    assert world.status()["packs_committed"] is False
    assert "so this run cannot be published." in (world.last() / "FINAL_REPORT.md").read_text()


def test_a_commit_that_a_narrow_pack_cannot_see_keeps_its_bundle_and_judges_it_again(
    tmp_path: Path,
) -> None:
    """The action is the same, so nothing runs; but what the pack wrote unseen now exists."""
    world = World(tmp_path)
    world.write("src/a", "a\n")
    world.pack("TASK-0001-a", writes("out/x", "x", 'inputs: ["src/**"]\n'))
    run(world, 0)
    world.write("elsewhere", "x\n")
    run(world, 0)
    world.write("out/x", "precious\n")
    run(world, 2)
    assert world.executed() == ["TASK-0001"]
    assert [row.split()[0] for row in told(world)] == ["INPUT_HIDDEN_CHANGED"]
    assert world.status()["merged_tree"] == ""


def everything(root: Path) -> dict[str, tuple[int, bytes]]:
    """Every file of a folder with its mode and content, links by their target."""
    found = {}
    for path in sorted(root.rglob("*")):
        if path.is_symlink():
            found[str(path)] = (0, str(path.readlink()).encode())
        elif path.is_file():
            found[str(path)] = (path.stat().st_mode, path.read_bytes())
    return found


def test_the_users_repository_is_not_touched_by_a_whole_run(tmp_path: Path) -> None:
    """Branch, index, stash, refs, objects, configuration, hooks and work tree are what they were,
    byte for byte.
    """
    world = World(tmp_path)
    world.write("src/a", "a\n")
    world.pack("TASK-0001-a", writes("docs/x", "x"))
    world.pack("TASK-0002-b", writes("docs/y", "y"), 'checks: [{name: c, run: "false"}]')
    world.commit()
    world.write("src/a", "stashed\n")
    world.git("stash")
    world.write("src/a", "staged\n")
    world.git("add", "src/a")
    world.write("src/a", "local\n")
    world.write("src/untracked", "x\n")
    world.write(".git/hooks/post-checkout", "#!/bin/sh\ntouch /tmp/never\n")
    (tmp_path / ".git/hooks/post-checkout").chmod(0o755)
    world.doit("list")  # what loading dodo.py leaves behind is Python's
    before = everything(tmp_path)
    assert world.doit("oneshot").rc == 2
    world.pack("TASK-0002-b", writes("docs/y", "y"))
    changed = str(tmp_path / "taskpacks/TASK-0002-b/acceptance.yml")
    before[changed] = (before[changed][0], Path(changed).read_bytes())
    assert world.doit("oneshot").rc == 0
    state = str(tmp_path / ".factory") + "/"
    after = {
        path: found for path, found in everything(tmp_path).items() if not path.startswith(state)
    }
    assert {path for path in before if not path.startswith(state)} == set(after)
    assert after == {path: found for path, found in before.items() if not path.startswith(state)}
