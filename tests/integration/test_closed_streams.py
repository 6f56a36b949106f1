"""A command whose standard streams are closed ends as it does with all of them open."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterable
from functools import cache
from itertools import product
from pathlib import Path

import pytest

from factory.commands.command_table import COMMANDS
from tests.sample import sample
from tests.warm import BIN
from tests.world import Ended, World, environment

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
NAMES = [command.name for command in COMMANDS]
FACTORY = [sys.executable, "-P", "-m", "factory"]
# What writes to standard output is tried with each stream closed, and what writes to the other one;
# the rest with all of them.
EACH = [("plan", "--json"), ("nothing",)]
REST: list[tuple[str, ...]] = [("--version",), ("--help",), ()]
PAIRS = sample(
    [*product(EACH, CLOSED), *product(REST, [ALL])],
    product(REST, CLOSED[:-1]),
)


def as_typed(words: str | tuple[str, ...]) -> str:
    """Return one line."""
    return words if isinstance(words, str) else " ".join(words)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    made = World(tmp_path_factory.mktemp("closed") / "world")
    made.pack("TASK-0001-x", "scope: {allowed_paths: [out]}\nsteps: ['echo x > out']\n")
    made.commit()
    assert made.factory("oneshot").rc == 0
    return made


def started(words: Iterable[str], closed: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    line = f'exec "$@" {closed}'
    return subprocess.run(
        ["/bin/sh", "-c", line, "sh", *words],
        cwd=cwd,
        env=environment(PYTHONHASHSEED="0"),
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize("name", sample(NAMES[::3], (n for n in NAMES if n not in NAMES[::3])))
def test_a_command_ends_alike_without_any_stream(world: World, name: str) -> None:
    words = WORDS.get(name, [name])
    due = world.factory(*words)
    ended = started([*FACTORY, *words], ALL, world.root)
    assert ended.returncode == due.rc, due.err
    assert due.rc != 1
    assert "Traceback" not in due.err


@pytest.fixture(scope="module")
def with_all_open(world: World) -> Callable[..., Ended]:
    """Return how `factory` with these words ends where every stream is open."""
    return cache(world.factory)


@pytest.mark.parametrize(("words", "closed"), PAIRS, ids=as_typed)
def test_each_stream_may_be_closed(
    world: World, with_all_open: Callable[..., Ended], words: tuple[str, ...], closed: str
) -> None:
    due = with_all_open(*words)
    ended = started([*FACTORY, *words], closed, world.root)
    assert ended.returncode == due.rc
    assert ended.stdout == ("" if ">&-" in closed.replace("2>&-", "") else due.out)
    assert ended.stderr == ("" if "2>&-" in closed else due.err)


@pytest.mark.parametrize("closed", sample(CLOSED[2:4] + CLOSED[5:], CLOSED[:2] + CLOSED[4:5]))
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
