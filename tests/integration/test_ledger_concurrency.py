"""Many processes append to one ledger and one of them is killed: nothing acknowledged is lost,
nothing is there twice.

The default suite takes a sample; `nox -s concurrency` takes the whole size (LEDGER_WRITERS,
LEDGER_EVENTS).
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest

from factory.evidence.ledger_store import LedgerStore
from factory.files.clock import SystemClock
from factory.log.ed25519 import parse_private_pem
from tests.world import World, environment

WRITERS = int(os.environ.get("LEDGER_WRITERS", "4"))
EVENTS = int(os.environ.get("LEDGER_EVENTS", "60"))
PATIENCE = 1800

# Says on its standard output what was acknowledged: unbuffered, so that a kill cannot take it back.
WRITER = """
import os, sys
from pathlib import Path
from factory.files.clock import SystemClock
from factory.evidence.ledger_store import LedgerStore
from factory.model.event import Entry
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
    events = [
        event for event in ledger.events() if event.event_type == "x"
    ]  # the whole chain is checked by reading
    acknowledged = {
        line.split()[1]: (str(who), line.split()[0])
        for who, output in enumerate(outputs)
        for line in output.read_text().splitlines()
    }
    found = {event.event_id: (event.details["who"], event.details["number"]) for event in events}
    assert acknowledged.items() <= found.items()
    assert max(Counter(found.values()).values()) == 1
    for who in range(1, WRITERS):
        assert [number for w, number in found.values() if w == str(who)] == list(
            map(str, range(EVENTS))
        )
    unheard = len(found) - len(acknowledged)
    assert unheard <= 1  # written, and killed before it could say so
    sys.stdout.write(
        f"\n{WRITERS} writers of {EVENTS} events, one killed: {len(events)} events,"
        f" {len(acknowledged)} acknowledged, {unheard} written and not acknowledged, {len(torn)}"
        f" torn tails, {took:.1f} s\n"
    )


@pytest.mark.linux
def test_two_runs_at_once(tmp_path: Path) -> None:
    """One of them gets the lock; the other runs after it, or says who has it. The history is one
    chain either way.
    """
    world = World(tmp_path / "repo")
    world.pack("TASK-0101-one", "steps: [{name: nap, run: 'sleep 1'}]\n")
    world.commit()
    words = [sys.executable, "-m", "factory", "oneshot"]
    pipe = subprocess.PIPE
    both = [subprocess.Popen(words, cwd=world.root, env=environment(), stdout=pipe, stderr=pipe, text=True)
            for _ in range(2)]  # fmt: skip
    said = [process.communicate(timeout=300) for process in both]
    ends = sorted(
        (process.returncode, "LOCKED" in "".join(text))
        for process, text in zip(both, said, strict=True)
    )
    assert ends in ([(0, False), (2, True)], [(0, False), (0, False)]), said
    assert world.executed() == ["TASK-0101"]
    assert world.factory("ledger-replay").rc == 0
    assert world.differs() == ""


@pytest.mark.linux
def test_two_work_trees_of_one_repository(tmp_path: Path) -> None:
    """They share Git's objects and a user's caches, and keep histories of their own."""
    world = World(tmp_path / "repo")
    world.pack(
        "TASK-0101-one",
        "scope: {allowed_paths: ['a.txt']}\nsteps: [{name: w, run: 'echo a > a.txt'}]\n",
    )
    world.commit()
    world.git("worktree", "add", "-q", "-b", "other", str(tmp_path / "other"))
    run_at_once(world, world.root, tmp_path / "other")


@pytest.mark.linux
def test_two_repositories_that_share_all_that_can_be_shared(tmp_path: Path) -> None:
    """Two clones of one history, for one user whose home is empty: both make the key of the first
    use, at once.

    Shared are HOME and every folder of the XDG convention, so the folder of keys and the user's
    configuration; TMPDIR; Git's configuration; and, since one clone borrows from the other, the
    very objects of the user's repository. Caches of views, Git stores, locks and ledgers are below
    `.factory` of each: nothing of them can be shared. The cache of wheels is `./dev`'s, and has its
    test in test_dev.py.
    """
    world = World(tmp_path / "repo")
    world.pack(
        "TASK-0101-one",
        "scope: {allowed_paths: ['a.txt']}\nsteps: [{name: w, run: 'echo a > a.txt'}]\n",
    )
    world.commit()
    world.git("clone", "-q", "--shared", str(world.root), str(tmp_path / "other"))
    home = tmp_path / "home"
    names = {
        "XDG_CONFIG_HOME": ".config",
        "XDG_CACHE_HOME": ".cache",
        "XDG_DATA_HOME": ".local/share",
        "XDG_STATE_HOME": ".local/state",
        "XDG_RUNTIME_DIR": "run",
        "TMPDIR": "tmp",
    }
    shared = {"HOME": str(home), **{name: str(home / below) for name, below in names.items()}}
    for folder in shared.values():
        Path(folder).mkdir(parents=True, exist_ok=True, mode=0o700)
    run_at_once(world, world.root, tmp_path / "other", **shared)
    keys = home / ".config/codex-orchestrator/keys"
    made = [path for path in keys.iterdir() if path.suffix == ".pem"]
    assert [path.stat().st_mode & 0o777 for path in made] == [0o600], "one key, whoever came first"
    folders = [path.parent for path in tmp_path.glob("*/.factory/runs/*/attestations/checkpoint")]
    envelopes = [
        json.loads(line)
        for folder in folders
        for line in (folder / "attestations.intoto.jsonl").read_text().splitlines()
    ]
    assert len(folders) == 2
    key = parse_private_pem(made[0].read_bytes()).key
    assert key.key_id == made[0].stem.replace("-", ":")
    assert {one["keyid"] for envelope in envelopes for one in envelope["signatures"]} == {
        key.dsse_id
    }
    assert list((home / "tmp").iterdir()) == []


def run_at_once(world: World, *places: Path, **shared: str) -> None:
    """A run at each place, at the same time: both PASS, replay and verify, and each has a history
    of its own.
    """
    words = [sys.executable, "-m", "factory", "oneshot"]
    both = [subprocess.Popen(words, cwd=place, env=environment(**shared), stdout=subprocess.PIPE,
                             stderr=subprocess.STDOUT, text=True) for place in places]  # fmt: skip
    said = [process.communicate(timeout=300)[0] for process in both]
    assert [process.returncode for process in both] == [0, 0], said
    for place in places:
        ended = world.factory("ledger-replay", cwd=place, **shared)
        assert ended.rc == 0, ended.text
        assert world.differs(cwd=place, **shared) == ""
    firsts = {(place / ".factory/ledger.jsonl").read_bytes().split(b"\n")[0] for place in places}
    assert len(firsts) == 2
    trees = {
        next((place / ".factory/runs").glob("*/TASK-0101/manifest.json")).read_bytes()
        for place in places
    }
    assert len(trees) == 1
