"""A command whose standard streams are closed ends as it does with all of them open."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from factory.commands.command_table import COMMANDS
from tests.warm import BIN
from tests.world import World, environment

pytestmark = pytest.mark.linux

ALL = "<&- >&- 2>&-"
WORDS = {
    "shell": ["shell", "TASK-0001", "--command", "true"],
    "why": ["why", "TASK-0001"],
    "keys": ["keys", "list"],
    "evidence": ["evidence", "list-runs"],
    "taskpack": ["taskpack", "lint"],
    "ledger": ["ledger", "verify"],
    "determinism": ["determinism", "--help"],
}
CLOSED = ["<&-", ">&-", "2>&-", "<&- >&-", ">&- 2>&-", ALL]


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    made = World(tmp_path_factory.mktemp("closed") / "world")
    made.pack("TASK-0001-x", "scope: {allowed_paths: [out]}\nsteps: ['echo x > out']\n")
    made.commit()
    assert made.factory("oneshot").rc == 0
    return made


def started(words: list[str], closed: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    line = f'exec "$@" {closed}'
    return subprocess.run(
        ["/bin/sh", "-c", line, "sh", *words],
        cwd=cwd,
        env=environment(PYTHONHASHSEED="0"),
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize("name", [command.name for command in COMMANDS])
def test_a_command_ends_alike_without_any_stream(world: World, name: str) -> None:
    words = [sys.executable, "-P", "-m", "factory", *WORDS.get(name, [name])]
    due = started(words, "", world.root)
    ended = started(words, ALL, world.root)
    assert ended.returncode == due.returncode, due.stderr
    assert due.returncode != 1
    assert "Traceback" not in due.stderr


@pytest.mark.parametrize("closed", CLOSED)
@pytest.mark.parametrize("words", [["--version"], ["--help"], [], ["plan", "--json"], ["nothing"]])
def test_each_stream_may_be_closed(world: World, words: list[str], closed: str) -> None:
    argv = [sys.executable, "-P", "-m", "factory", *words]
    due = started(argv, "", world.root)
    ended = started(argv, closed, world.root)
    assert ended.returncode == due.returncode
    assert ended.stdout == ("" if ">&-" in closed.replace("2>&-", "") else due.stdout)
    assert ended.stderr == ("" if "2>&-" in closed else due.stderr)


@pytest.mark.parametrize("closed", CLOSED)
def test_a_run_without_streams_writes_its_evidence_where_it_belongs(
    tmp_path: Path, closed: str
) -> None:
    world = World(tmp_path / "world")
    world.pack(
        "TASK-0001-x",
        "scope: {allowed_paths: [out]}\nsteps: ['echo printed; echo complained >&2; echo x > out']\n",
    )
    world.commit()
    ended = started([sys.executable, "-P", "-m", "factory", "oneshot"], closed, world.root)
    assert (ended.returncode, world.status()["status"]) == (0, "PASS")
    log = world.root / ".factory/bundles/TASK-0001/LOGS/step-1.log"
    assert log.read_text() == "printed\ncomplained\n"
    assert world.differs() == ""


@pytest.mark.parametrize("words", ["list", "oneshot", "info launch:TASK-0001-x"])
def test_doit_needs_no_stream_either(world: World, words: str) -> None:
    for closed in (">&-", ALL):
        ended = started([str(BIN / "doit"), *words.split()], closed, world.root)
        assert (ended.returncode, ended.stderr) == (0, "")
