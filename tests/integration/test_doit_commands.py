"""`doit list`, `info`, `forget`, `clean` and `-a` over our tasks: what a doit user expects, and no
run is begun.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.integration.engine_project import Project

ALL = [
    "bundle-validate:A-1",
    "bundle-validate:B-2",
    "integrate",
    "launch:A-1",
    "launch:B-2",
    "preflight",
    "summary",
]

LIST = """\
bundle-validate   re-derive every bundle and compare it with its contract
integrate         merge
launch            run each task pack in its sandbox
oneshot           preflight → launch → bundle-validate → integrate → summary
preflight         look around
summary           say it
"""

LIST_ALL_STATUS = """\
R bundle-validate       re-derive every bundle and compare it with its contract
U bundle-validate:A-1   check A-1
U bundle-validate:B-2   check B-2
R integrate             merge
R launch                run each task pack in its sandbox
U launch:A-1            file A-1
R launch:B-2            file B-2
R oneshot               preflight → launch → bundle-validate → integrate → summary
U preflight             look around
U summary               say it
"""

INFO = """\

launch:B-2

file B-2

status     : run
 * The following uptodate objects evaluate to false:
    - launch:B-2 is up to date: no, it ended BLOCKED (args=[], kwargs={})

file_dep   : 
 - ROOT/.factory/state/preflight.json
 - ROOT/packs/B-2.txt

targets    : 
 - ROOT/.factory/state/launch/B-2.json
"""  # noqa: W291  doit writes these blanks


@pytest.fixture
def here(tmp_path: Path) -> Project:
    return Project(tmp_path, **{"A-1": "PASS", "B-2": "BLOCKED"})


def test_list_reads_like_a_table_of_contents_and_leaves_no_trace(here: Project) -> None:
    before = sorted(path.name for path in here.root.iterdir())
    ended = here.doit("list")
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, LIST, "")
    assert sorted(path.name for path in here.root.iterdir()) == before


def test_list_with_status_tells_what_would_run(here: Project) -> None:
    fresh = here.doit("list", "--all", "--status", "launch").stdout.splitlines()
    assert [line[0] for line in fresh] == ["R", "R", "R"]
    here.doit("oneshot")
    ended = here.doit("list", "--all", "--status")
    assert (ended.returncode, ended.stdout) == (0, LIST_ALL_STATUS)
    assert len(here.told("begun")) == 1


def test_list_with_an_empty_repository(tmp_path: Path) -> None:
    here = Project(tmp_path)
    assert here.doit("list").stdout == LIST
    assert here.run("launch") == (0, ["preflight"])


def test_info_says_why(here: Project) -> None:
    here.doit("oneshot")
    ended = here.doit("info", "launch:B-2")
    lines = sorted(ended.stdout.replace(str(here.root), "ROOT").splitlines())
    assert (ended.returncode, lines) == (1, sorted(INFO.splitlines()))
    assert here.doit("info", "launch:A-1").returncode == 0


def test_info_names_the_edited_target(here: Project) -> None:
    here.doit("oneshot")
    here.marker("launch/A-1").write_text("by hand", encoding="utf-8")
    marker = here.marker("launch/A-1")
    assert (
        f"launch:A-1 is up to date: no, {marker} is not the file it wrote"
        in here.doit("info", "launch:A-1").stdout
    )


def test_forget_one_card(here: Project) -> None:
    here.doit("oneshot")
    assert here.doit("forget", "launch:A-1").stdout == "forgetting launch:A-1\n"
    assert here.run("launch") == (2, ["launch:A-1", "launch:B-2"])


@pytest.mark.parametrize("words", [(), ("--all",), ("-s", "oneshot")])
def test_forget_everything(tmp_path: Path, words: tuple[str, ...]) -> None:
    here = Project(tmp_path, **{"A-1": "PASS", "B-2": "PASS"})
    assert here.run("oneshot") == (0, ALL)
    assert here.doit("forget", *words).returncode == 0
    assert here.run("oneshot") == (0, ALL)


def test_clean_removes_caches_and_nothing_else(tmp_path: Path) -> None:
    here = Project(tmp_path, **{"A-1": "PASS", "B-2": "PASS"})
    here.doit("oneshot")
    runs = tmp_path / ".factory" / "runs"
    runs.mkdir()
    kept = [
        runs / "report.md",
        tmp_path / ".factory" / "ledger.jsonl",
        tmp_path / "packs" / "A-1.txt",
    ]
    kept[0].write_text("evidence", encoding="utf-8")
    kept[1].write_text("{}\n", encoding="utf-8")
    rehearsed = here.doit("clean", "-n")
    assert f"launch:A-1 - removing file '{here.marker('launch/A-1')}'" in rehearsed.stdout
    assert here.marker("launch/A-1").exists()
    assert here.doit("clean").returncode == 0
    assert not list((tmp_path / ".factory" / "state").rglob("*.json"))
    assert all(path.exists() for path in kept)
    assert here.run("oneshot") == (0, ALL)


def test_clean_one_card(here: Project) -> None:
    here.doit("oneshot")
    here.doit("clean", "launch:A-1")
    assert not here.marker("launch/A-1").exists()
    assert here.marker("launch/B-2").exists()


def test_always_execute(tmp_path: Path) -> None:
    here = Project(tmp_path, **{"A-1": "PASS", "B-2": "PASS"})
    here.doit("oneshot")
    assert here.run("-a", "-n", "2") == (0, ALL)


def test_only_the_selected_card_with_single(here: Project) -> None:
    here.doit("oneshot")
    here.write("A-1", "PASS again")
    assert here.run("-s", "launch:A-1") == (0, ["launch:A-1"])
    assert list(here.last_closing()["selected"]) == ["launch:A-1"]


def test_a_target_and_a_pattern_select_as_in_any_dodo(here: Project) -> None:
    assert here.run(str(here.marker("launch/A-1"))) == (0, ["launch:A-1", "preflight"])
    assert here.run("launch:*") == (2, ["launch:B-2"])


def test_no_task_has_what_breaks_in_threads(here: Project) -> None:
    script = (
        "import dodo\n"
        "for task in dodo.task_factory():\n"
        "    if task.get('actions'):\n"
        "        clean = task['clean'] is True or len(task['clean'])\n"
        "        print(task['io'], task['verbosity'], clean, 'teardown' in task, bool(task['doc']),"
        " bool(task['targets']), bool(task['file_dep']))\n"
    )
    (here.root / "show.py").write_text(script, encoding="utf-8")
    shown = here.python("show.py").stdout.splitlines()
    tail = "False True True True"
    # The first phase cleans the caches too.
    assert sorted(shown) == [
        f"{{'capture': False}} 0 2 {tail}",
        *[f"{{'capture': False}} 0 True {tail}"] * 6,
    ]
