"""Many processes append to one ledger and one of them is killed: nothing acknowledged is lost, nothing is there twice.

The default suite takes a sample; `nox -s concurrency` takes the whole size (LEDGER_WRITERS, LEDGER_EVENTS).
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest

from factory.adapters.clock import SystemClock
from factory.adapters.ledger_store import LedgerStore
from tests.world import World, environment

WRITERS = int(os.environ.get("LEDGER_WRITERS", "4"))
EVENTS = int(os.environ.get("LEDGER_EVENTS", "60"))
PATIENCE = 1800

# Says on its standard output what was acknowledged: unbuffered, so that a kill cannot take it back.
WRITER = """
import os, sys
from pathlib import Path
from factory.adapters.clock import SystemClock
from factory.adapters.ledger_store import LedgerStore
from factory.core.ledger_chain import Entry
ledger, who = LedgerStore(Path(sys.argv[1]), SystemClock()), sys.argv[2]
for number in range(int(sys.argv[3])):
    event = ledger.append(Entry("x", actor="gc", details={"who": who, "number": str(number)}))
    os.write(1, f"{number} {event}\\n".encode())
"""


@pytest.mark.linux
@pytest.mark.timeout(PATIENCE + 60)
def test_every_acknowledged_event_is_there_exactly_once(tmp_path: Path) -> None:
    outputs = [tmp_path / f"said-{who}" for who in range(WRITERS)]
    state = tmp_path / "state"
    state.mkdir()
    began = time.monotonic()
    processes = []
    for who, output in enumerate(outputs):
        with output.open("wb") as stream:
            words = [sys.executable, "-c", WRITER, str(state), str(who), str(EVENTS)]
            processes.append(subprocess.Popen(words, stdout=stream))
    victim = processes[0]
    while outputs[0].read_bytes().count(b"\n") < EVENTS // 3:
        assert victim.poll() is None
        time.sleep(0.001)
    victim.send_signal(signal.SIGKILL)
    codes = [process.wait(PATIENCE) for process in processes]
    took = time.monotonic() - began
    assert codes == [-signal.SIGKILL, *[0] * (WRITERS - 1)]

    ledger = LedgerStore(state, SystemClock())
    torn = ledger.recover()
    events = [event for event in ledger.events() if event.event_type == "x"]  # the whole chain is checked by reading
    acknowledged = {
        line.split()[1]: (str(who), line.split()[0])
        for who, output in enumerate(outputs)
        for line in output.read_text().splitlines()
    }
    found = {event.event_id: (event.details["who"], event.details["number"]) for event in events}
    assert acknowledged.items() <= found.items()
    assert max(Counter(found.values()).values()) == 1
    for who in range(1, WRITERS):
        assert [number for w, number in found.values() if w == str(who)] == list(map(str, range(EVENTS)))
    unheard = len(found) - len(acknowledged)
    assert unheard <= 1  # written, and killed before it could say so
    sys.stdout.write(
        f"\n{WRITERS} writers of {EVENTS} events, one killed: {len(events)} events, {len(acknowledged)} acknowledged, "
        f"{unheard} written and not acknowledged, {len(torn)} torn tails, {took:.1f} s\n"
    )


@pytest.mark.linux
def test_two_runs_at_once(tmp_path: Path) -> None:
    """One of them gets the lock; the other runs after it, or says who has it. The history is one chain either way."""
    world = World(tmp_path / "repo")
    world.pack("TASK-0101-one", "steps: [{name: nap, run: 'sleep 1'}]\n")
    world.commit()
    words = [sys.executable, "-m", "factory", "oneshot"]
    pipe = subprocess.PIPE
    both = [subprocess.Popen(words, cwd=world.root, env=environment(), stdout=pipe, stderr=pipe, text=True)
            for _ in range(2)]  # fmt: skip
    said = [process.communicate(timeout=300) for process in both]
    ends = sorted((process.returncode, "LOCKED" in "".join(text)) for process, text in zip(both, said, strict=True))
    assert ends in ([(0, False), (2, True)], [(0, False), (0, False)]), said
    assert world.executed() == ["TASK-0101"]
    assert world.factory("ledger-replay").rc == 0
    assert world.factory("verify").rc == 0


@pytest.mark.linux
def test_two_work_trees_of_one_repository(tmp_path: Path) -> None:
    """They share Git's objects and a user's caches, and keep histories of their own."""
    world = World(tmp_path / "repo")
    world.pack("TASK-0101-one", "scope: {allowed_paths: ['a.txt']}\nsteps: [{name: w, run: 'echo a > a.txt'}]\n")
    world.commit()
    world.git("worktree", "add", "-q", "-b", "other", str(tmp_path / "other"))
    words = [sys.executable, "-m", "factory", "oneshot"]
    places, home = (world.root, tmp_path / "other"), {"XDG_CACHE_HOME": str(tmp_path / "cache")}
    both = [subprocess.Popen(words, cwd=place, env=environment(**home), stdout=subprocess.DEVNULL) for place in places]
    assert [process.wait(300) for process in both] == [0, 0]
    for place in places:
        assert world.factory("ledger-replay", cwd=place).rc == 0
        assert world.factory("verify", cwd=place).rc == 0
    firsts = {(place / ".factory/ledger.jsonl").read_bytes().split(b"\n")[0] for place in places}
    assert len(firsts) == 2
    trees = {next((place / ".factory/runs").glob("*/TASK-0101/manifest.json")).read_bytes() for place in places}
    assert len(trees) == 1
