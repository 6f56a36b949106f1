"""A project's own tasks beside ours do what they do in bare doit, and neither spoils the other."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from tests.integration.engine_project import DODO, Project

OWN = '''
import sys


def task_noisy():
    def speak():
        print("to out")
        print("to err", file=sys.stderr)

    return {"actions": [speak, "echo shell; echo more >&2"]}


def task_lint():
    """a check that fails"""

    def fail():
        print("captured out")
        raise ValueError("broken lint")

    return {"actions": [fail]}


def task_copy():
    return {"actions": ["cat in.txt > out.txt"], "file_dep": ["in.txt"], "targets": ["out.txt"]}


def task_missing():
    return {"actions": ["true"], "file_dep": ["nowhere.txt"]}


def task_last():
    return {"actions": ["echo last > last.txt"]}
'''

MOVING = re.compile(r'line \d+|"started": "[^"]*"|"elapsed": [\d.e-]+')
CARDS = ["bundle-validate:A-1", "integrate", "launch:A-1", "preflight", "summary"]


def project(root: Path, dodo: str = DODO + OWN, word: str = "PASS") -> Project:
    root.mkdir(exist_ok=True)
    here = Project(root, **{"A-1": word})
    (root / "dodo.py").write_text(dodo, encoding="utf-8")
    (root / "in.txt").write_text("in", encoding="utf-8")
    return here


@pytest.fixture(scope="module")
def bare(tmp_path_factory: pytest.TempPathFactory) -> Project:
    return project(tmp_path_factory.mktemp("bare"), OWN)


@pytest.fixture(scope="module")
def ours(tmp_path_factory: pytest.TempPathFactory) -> Project:
    return project(tmp_path_factory.mktemp("ours"))


@pytest.fixture
def here(tmp_path: Path) -> Project:
    return project(tmp_path)


def said(here: Project, *words: str) -> tuple[int, str, str]:
    ended = here.doit(*words)
    out, err = (
        MOVING.sub("…", text.replace(str(here.root), "ROOT"))
        for text in (ended.stdout, ended.stderr)
    )
    return ended.returncode, out, err


@pytest.mark.parametrize(
    "words",
    [
        "noisy",
        "-v 0 noisy",
        "-v 2 --failure-verbosity 2 lint",
        "lint last",
        "-c lint last",
        "copy",
        "missing",
        "-r json noisy lint",
        "-r zero lint",
        "-r executed-only copy",
        "-r error-only lint",
        "-n 2 noisy",
        "-n 2 -P thread noisy",
        "info copy",
        "list --deps copy",
    ],
)
def test_alone_they_do_as_in_bare_doit(bare: Project, ours: Project, words: str) -> None:
    expected = said(bare, *words.split())
    assert expected[1] or expected[2] or "zero" in words or "only" in words
    assert said(ours, *words.split()) == expected
    assert not ours.told("begun")


def test_plain_doit_runs_theirs_and_then_ours(here: Project) -> None:
    ended = here.doit()
    assert ended.returncode == 1
    assert ended.stderr == "to err\nmore\n"
    assert ".  noisy\n.  lint\nTaskError - taskid:lint" in ended.stdout
    assert "ValueError: broken lint" in ended.stdout
    assert ended.stdout.endswith("\nPASS  5 executed of 5\nlint  met an error\n")
    assert not (here.root / "last.txt").exists(), "what failed stops their others, as ever"
    assert sorted(here.told("executed")) == CARDS
    assert here.doit("-c").returncode == 1
    assert (here.root / "last.txt").exists()
    assert len(here.told("executed")) == len(CARDS)


def test_their_default_tasks_and_options_are_theirs(tmp_path: Path) -> None:
    own = '\n\nDOIT_CONFIG = {**DOIT_CONFIG, "default_tasks": ["last"], "verbosity": 2}\n'
    here = project(tmp_path, DODO + OWN + own)
    ended = here.doit()
    assert (ended.returncode, ended.stdout) == (0, ".  last\n")
    assert here.doit("noisy").stdout == ".  noisy\nto out\nshell\n"


@pytest.mark.parametrize("words", ["-n 2 -P process", "-n 2 -P thread", ""])
def test_both_in_one_run(here: Project, words: str) -> None:
    ended = here.doit(*words.split(), "noisy", "oneshot", "copy")
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert {".  noisy", ".  copy", "PASS  5 executed of 5"} <= set(ended.stdout.splitlines())
    assert here.doit("-n", "2", "oneshot", "copy").stdout == "-- copy\nPASS  0 executed of 5\n"


@pytest.mark.linux
@pytest.mark.parametrize(("word", "code"), [("BLOCKED", 2), ("CRASH", 1), ("INTERRUPT", 130)])
def test_worker_processes_of_doit_give_the_verdict(tmp_path: Path, word: str, code: int) -> None:
    here = project(tmp_path, word=word)
    ended = here.doit("-n", "2", "-P", "process", "oneshot", "last")
    assert ended.returncode == code, ended.stdout + ended.stderr
    assert "Traceback" not in ended.stdout + ended.stderr
    assert here.told("abandoned") == (["interrupted"] if code == 130 else [])
    assert (here.root / "last.txt").exists() or code == 130


def test_a_reporter_of_doit_has_the_whole_run(tmp_path: Path) -> None:
    here = project(tmp_path, word="BLOCKED")
    ended = here.doit("-r", "json", "oneshot", "copy")
    assert ended.returncode == 2
    rows = {row["name"]: row for row in json.loads(ended.stdout)["tasks"]}
    assert rows["copy"]["result"] == rows["preflight"]["result"] == "success"
    assert rows["launch:A-1"]["result"] == "fail"
    assert rows["launch:A-1"]["error"] == "BLOCKED  launch:A-1 is BLOCKED\n"
    assert ended.stderr == "BLOCKED  5 executed of 5\n"
    here.write("A-1", "PASS")
    assert here.doit("-r", "json", "oneshot").returncode == 0
    again = here.doit("-r", "json", "oneshot")
    assert {row["result"] for row in json.loads(again.stdout)["tasks"]} == {"up-to-date", "success"}
    assert here.doit("-r", "executed-only", "oneshot").stdout == ""
    assert said(here, "-r", "zero", "oneshot") == (0, "", "")


def test_a_creator_that_raises_is_one_task_that_fails(tmp_path: Path) -> None:
    broken = (
        "\n\ndef task_broken():\n    yield {'name': 'a', 'actions': ['true']}\n    1 / 0\n"
        "\n\ndef task_typo():\n    return {'action': ['true']}\n"
    )
    here = project(tmp_path, DODO + broken + OWN)
    listed = here.doit("list")
    assert listed.returncode == 0
    assert (
        "broken            could not be made: ZeroDivisionError: division by zero" in listed.stdout
    )
    assert "launch            run each" in listed.stdout
    assert "ERROR: the tasks of broken could not be made:\nTraceback" in listed.stderr
    assert "must contain 'actions' field" in listed.stderr
    assert here.doit("oneshot", "copy").returncode == 0
    alone = here.doit("broken")
    assert alone.returncode == 2
    assert "ZeroDivisionError" in alone.stdout


def test_a_lock_of_another_run_stops_cards_only(here: Project) -> None:
    (here.root / "dodo.py").write_text(
        (here.root / "dodo.py").read_text("utf-8")
        + "\n\nfrom factory.model.errors import Refusal\nfrom factory.model.finding import Finding\n"
        "\n\ndef begin(self, progress):\n    raise Refusal(Finding('LOCKED', {'case': 'unknown',"
        " 'lock': 'run', 'who': 'another run'}))\n\nFilingPipeline.begin = begin\n",
        encoding="utf-8",
    )
    ended = here.doit("oneshot", "copy")
    assert (ended.returncode, ended.stdout) == (2, ".  copy\n")
    assert ended.stderr.startswith("LOCKED  another run")
    assert here.doit("copy").stdout == "-- copy\n"
    assert not here.told("executed")


def test_a_task_of_theirs_with_the_name_of_an_overview_is_theirs(tmp_path: Path) -> None:
    dodo = (
        "from factory.dodo import DOIT_CONFIG, task_factory\n"
        "def task_verify():\n    '''of theirs'''\n    return {'actions': ['echo mine']}\n"
    )
    here = project(tmp_path, dodo)
    listed = here.doit("list", "verify").stdout
    assert listed == "verify   of theirs\n"
    assert here.doit("-v", "2", "verify").stdout == ".  verify\nmine\n"


def test_short_names_of_packs_work_where_a_task_is_named(tmp_path: Path) -> None:
    own = (
        "\n\ndef task_after():\n"
        "    return {'actions': ['true'], 'task_dep': ['bundle-validate:TASK-0101']}\n"
    )
    here = Project(tmp_path)
    (tmp_path / "dodo.py").write_text(DODO + own, encoding="utf-8")
    here.write("TASK-0101-notes", "PASS")
    here.write("TASK-0102-same", "PASS")
    here.write("TASK-0102-again", "PASS")
    chain = ["bundle-validate:TASK-0101-notes", "launch:TASK-0101-notes", "preflight"]
    assert here.run("after") == (0, chain)
    assert here.run("launch:TASK-0101") == (0, [])
    info = here.doit("info", "launch:TASK-0101")
    assert (info.returncode, info.stdout.splitlines()[1]) == (0, "launch:TASK-0101-notes")
    listed = here.doit("list", "--status", "launch:TASK-0101").stdout
    assert listed == "U launch:TASK-0101-notes   file TASK-0101-notes\n"
    assert here.doit("forget", "launch:TASK-0101").stdout == "forgetting launch:TASK-0101-notes\n"
    assert here.run("launch:TASK-0101") == (0, ["launch:TASK-0101-notes"])
    assert here.doit("reset-dep", "launch:TASK-0101").stdout == "skip launch:TASK-0101-notes\n"
    assert here.doit("clean", "launch:TASK-0101").returncode == 0
    assert not here.marker("launch/TASK-0101-notes").exists()
    assert here.doit("ignore", "launch:TASK-0101").stdout == "ignoring launch:TASK-0101-notes\n"
    ambiguous = here.doit("launch:TASK-0102")
    assert (ambiguous.returncode, ambiguous.stdout) == (3, "")
    assert 'Invalid parameter: "launch:TASK-0102"' in ambiguous.stderr
    assert "launch:TASK-0101 " not in here.doit("list", "--all", "--quiet").stdout


def test_commands_that_say_a_sentence_instead_of_a_traceback(here: Project) -> None:
    near = here.doit("info", "launch:A1")
    assert (near.returncode, near.stdout) == (3, "")
    assert near.stderr == (
        "ERROR: expected the name of a task, found 'launch:A1'; did you mean launch:A-1?\n"
    )
    traced = here.doit("strace", "launch:A-1")
    assert (traced.returncode, here.told("executed")) == (3, [])
    assert traced.stderr.startswith(
        "ERROR: expected a task with commands of doit's, found launch:A-1: its commands run in a"
    )
    completion = here.doit("tabcompletion", "--hardcode-tasks").stdout
    assert 'tasks="bundle-validate copy integrate last launch' in completion
    assert "reset-dep" in here.doit("help").stdout
    assert here.doit("help", "launch:A-1").stdout.startswith("launch:A-1  file A-1\n")
