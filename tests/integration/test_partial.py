"""Where some packs did not pass, the others are merged if that was asked for: the run is BLOCKED,
STATUS.json says which are integrated, and everything about it verifies.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.verify_kit import Z, check, load, relisted
from tests.world import Ended, World

ROOT = Path(__file__).resolve().parents[2]
GOOD, FAILS, NEEDS, BROKEN, OTHER = (f"TASK-010{n}" for n in range(1, 6))


@dataclass(frozen=True)
class Lived:
    """A world, and how the run with --partial in it ended."""

    world: World
    ended: Ended


@pytest.fixture(scope="module")
def lived(tmp_path_factory: pytest.TempPathFactory) -> Lived:
    world = World(tmp_path_factory.mktemp("partial") / "r")
    for pack, more, word in (
        (GOOD, "", "true"),
        (FAILS, "", "exit 3"),
        (NEEDS, f"depends_on: [{FAILS}]", "true"),
        (OTHER, f"depends_on: [{GOOD}]", "true"),
    ):
        world.pack(
            f"{pack}-x",
            f"""
            scope: {{allowed_paths: [docs/]}}
            steps: ["mkdir -p docs && echo {pack} > docs/{pack}.md"]
            {more}
            """,
            f'checks: [{{name: c, run: "{word}"}}]\n',
        )
    world.pack(f"{BROKEN}-x", "unknown: 1\n")
    world.commit()
    return Lived(world, world.factory("oneshot", "--partial", PYTHONHASHSEED="0"))


@pytest.fixture
def world(lived: Lived) -> World:
    return lived.world


def test_the_packs_that_passed_are_merged_and_the_run_is_blocked(lived: Lived) -> None:
    world = lived.world
    assert lived.ended.rc == 2, lived.ended.text
    status = world.status()
    assert (status["status"], status["integrated"]) == ("BLOCKED", [GOOD, OTHER])
    changed = json.loads((world.last() / "FILES_CHANGED.json").read_text())
    assert [row["path"] for row in changed["files"]] == [f"docs/{GOOD}.md", f"docs/{OTHER}.md"]
    assert {row["pack"] for row in status["rechecks"]} == {GOOD, OTHER}
    (partly,) = (row for row in status["findings"] if row["id"] == "INTEGRATED_PARTLY")
    assert partly["message"] == (
        f"{GOOD}, {OTHER} merged without {FAILS}, {NEEDS}, {BROKEN}, which did not PASS; this"
        " result is never published"
    )


def test_such_a_run_verifies_and_its_ledger_replays(world: World) -> None:
    assert world.differs() == ""
    replayed = world.factory("ledger-replay")
    assert replayed.rc == 0, replayed.text


def test_no_branch_is_made_of_it_and_without_being_asked_nothing_is_merged(world: World) -> None:
    ended = world.factory("integrate", "--partial", "--branch")
    assert ended.rc == 2
    assert "none was made: the run ended BLOCKED" in ended.out
    assert world.git("branch", "--list", "codex/*") == ""
    ended = world.factory("oneshot")
    assert (ended.rc, world.status()["integrated"], world.status()["merged_tree"]) == (2, [], "")
    assert world.differs() == ""


@pytest.mark.parametrize("claimed", [[GOOD], [GOOD, FAILS, OTHER], []])
def test_another_list_of_what_is_integrated_is_found(world: World, claimed: list[str]) -> None:
    said = messages(world, {"STATUS.json": {"integrated": claimed}})
    assert any("integrated in STATUS.json" in message for message in said), said


@pytest.mark.parametrize(
    ("order", "says"),
    [
        ([GOOD], f"why {OTHER}, a PASS, is not merged"),
        ([OTHER], f"what {OTHER} needs and is not merged"),
        ([GOOD, FAILS, OTHER], f"the verdict of {FAILS}, which is merged"),
    ],
)
def test_others_than_those_that_passed_are_not_believed(
    world: World, order: list[str], says: str
) -> None:
    said = messages(world, {"STATUS.json": {"integrated": order}, "MERGE.json": {"order": order}})
    assert any(says in message for message in said), said


def messages(world: World, changes: Mapping[str, Mapping[str, object]]) -> list[str]:
    """Return what is found where members of documents of Z are others, and the lists of files are
    made anew.
    """
    run = load(world.state / "runs" / world.ordered()[0])
    for name, members in changes.items():
        document = json.loads(run.files[f"{Z}/{name}"]) | members
        text = json.dumps(document, indent=2, sort_keys=True, ensure_ascii=False)
        run.files[f"{Z}/{name}"] = f"{text}\n".encode()
    return [finding.message for finding in check(relisted(run)).findings]


@pytest.mark.parametrize("step", [4, 7])
def test_the_procedure_for_auditors_accepts_it(world: World, tmp_path: Path, step: int) -> None:
    run = world.ordered()[0]
    shutil.copytree(world.state / "runs" / run, tmp_path / "run")
    done = subprocess.run(
        [sys.executable, "-I", str(ROOT / "docs/factory/audit.py"), run, "--step", str(step)],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
