"""A polite request to stop ends every command that starts packs as Ctrl-C does: nothing is left
running. And every command works from a subfolder of the repository.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.world import PATIENCE, World, environment

pytestmark = pytest.mark.linux


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    world = World(tmp_path_factory.mktemp("stopped") / "r")
    world.pack("TASK-0101-quick", "scope: {allowed_paths: [docs/]}\nsteps: ['echo 1 > docs']\n")
    world.write("docs/deep/x.md", "x\n")
    world.commit()
    return world


def sleepers(seconds: str) -> list[str]:
    """Processes that sleep for exactly so long."""
    found = []
    for place in Path("/proc").iterdir():
        if place.name.isdigit():
            try:
                words = (place / "cmdline").read_bytes().split(b"\0")
            except OSError:
                continue
            if words[:2] == [b"sleep", seconds.encode()]:
                found.append(place.name)
    return found


@pytest.mark.parametrize("command", [("oneshot",), ("determinism",), ("prove",)])
def test_a_request_to_stop_leaves_nothing_running(tmp_path: Path, command: tuple[str, ...]) -> None:
    seconds = f"9{os.getpid()}.{abs(hash(command)) % 10**6}"
    world = World(tmp_path / "r")
    world.pack("TASK-0102-sleeps", f"steps: ['sleep {seconds}']\n")
    world.commit()
    pack = () if command == ("oneshot",) else ("TASK-0102",)
    process = subprocess.Popen(
        [sys.executable, "-m", "factory", *command, *pack],
        cwd=world.root,
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        encoding="utf-8",
    )
    end = time.monotonic() + PATIENCE
    while not sleepers(seconds):
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < end
        time.sleep(0.05)
    process.send_signal(signal.SIGTERM)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130, err
    assert err.endswith("interrupted: what is finished is kept; run it again to go on\n")
    while sleepers(seconds):
        assert time.monotonic() < end
        time.sleep(0.05)


@pytest.mark.parametrize(
    ("words", "rc"),
    [
        (("preflight",), 0),
        (("plan",), 0),
        (("contract",), 0),
        (("oneshot",), 2),
        (("summary",), 2),
        (("why", "TASK-0101"), 0),
        (("print-report",), 0),
        (("open-run",), 0),
        (("verify",), 2),
        (("ledger-replay",), 0),
        (("evidence", "index"), 0),
        (("config",), 0),
        (("review", "--mode", "advisory"), 0),
    ],
)
def test_commands_work_from_a_subfolder(world: World, words: tuple[str, ...], rc: int) -> None:
    ended = world.factory(*words, cwd=world.root / "docs" / "deep")
    assert ended.rc == rc, ended.text
    assert not (world.root / "docs" / "deep" / ".factory").exists()
