"""SIGKILL at any moment, torn lines, two runs at once: the next run converges, and nothing finished
is lost.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from factory.engine.run import next_run_id
from factory.evidence.ledger_store import LedgerStore
from factory.files.clock import SystemClock
from factory.log.chain import Head
from factory.model.event import Entry
from factory.model.ledger_chain import follow
from factory.model.verdict import Status
from tests import in_process
from tests.sample import sample
from tests.warm import BIN
from tests.world import World, environment

pytestmark = pytest.mark.linux

PACKS = ("TASK-0001", "TASK-0002", "TASK-0003")
PATIENCE = 120


def writer(name: str, before: str = "true") -> str:
    run = json.dumps(f"{before}; mkdir -p docs; echo {name} > docs/{name}")
    return f'scope: {{allowed_paths: ["docs/**"]}}\nsteps: [{{name: s, run: {run}}}]\n'


@pytest.fixture(scope="module")
def fresh(tmp_path_factory: pytest.TempPathFactory) -> World:
    """A repository in which nothing ran yet, to be copied."""
    here = World(tmp_path_factory.mktemp("crash"))
    for name in PACKS:
        here.pack(f"{name}-x", writer(name))
    here.commit()
    return here


def copied(world: World, place: Path) -> World:
    shutil.copytree(world.root, place, dirs_exist_ok=True, symlinks=True)
    here = World.__new__(World)
    here.root = place
    return here


@pytest.fixture(scope="module")
def merged_tree(fresh: World, tmp_path_factory: pytest.TempPathFactory) -> str:
    """What an undisturbed run comes to."""
    here = copied(fresh, tmp_path_factory.mktemp("calm"))
    assert here.doit("oneshot").rc == 0
    return here.status()["merged_tree"]


@contextmanager
def started(world: World, *words: str) -> Iterator[subprocess.Popen[bytes]]:
    """A run on its way; killed at the end of the block if it still is."""
    process = subprocess.Popen(
        [str(BIN / "doit"), *words],
        cwd=world.root,
        env=environment(),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def wait_for(process: subprocess.Popen[bytes], reached) -> bool:
    """Until `reached()`, or until the process has ended by itself."""
    deadline = time.monotonic() + PATIENCE
    while process.poll() is None:
        if reached():
            return True
        assert time.monotonic() < deadline
        time.sleep(0.002)
    return False


def lines(world: World) -> list[bytes]:
    path = world.state / "ledger.jsonl"
    return path.read_bytes().split(b"\n")[:-1] if path.exists() else []


def kinds(world: World) -> list[str]:
    return [event["event_type"] for event in world.events()]


# Events of this run: start; start, attempt and end of three packs; three validations; prepared;
# finished. Every single operation between them is for test_crash_points.py and the session `crash`.
@pytest.mark.parametrize("moment", sample([5, 14], [1, 12]))
def test_a_killed_run_is_carried_on_by_the_next(
    fresh: World, tmp_path: Path, merged_tree: str, moment: int
) -> None:
    world = copied(fresh, tmp_path)
    with started(world, "oneshot") as process:
        wait_for(process, lambda: len(lines(world)) >= moment)
        process.send_signal(signal.SIGKILL)
        process.wait()
    torn = (world.state / "ledger.jsonl").read_bytes().split(b"\n")[-1] != b""
    before = [json.loads(line) for line in lines(world)]
    ended = world.doit("oneshot")
    assert ended.rc == 0, ended.text
    status = world.status()
    assert (status["status"], status["merged_tree"]) == ("PASS", merged_tree)
    head = follow(Head(), lines(world))
    assert head.seq == len(world.events())
    first = before[0]["run_id"]
    assert_run_has_an_end(world, first)
    after = world.events()[len(before) :]
    assert ("ledger.recovered" in [event["event_type"] for event in after]) is torn
    finished = {
        event["details"]["pack"] for event in before if event["event_type"] == "pack.finished"
    }
    again = {event["details"]["pack"] for event in after if event["event_type"] == "pack.started"}
    assert not finished & again
    assert world.doit("oneshot").text.startswith("PASS ")
    assert sorted(kinds(world)) == sorted(event["event_type"] for event in world.events())
    litter = [path for path in (world.state / "bundles").iterdir() if path.name not in PACKS]
    assert litter == []


def assert_run_has_an_end(world: World, run_id: str) -> None:
    """Either it was finished, manifest and all, or it was abandoned; never both, never twice."""
    ends = [
        event["event_type"]
        for event in world.events()
        if event["run_id"] == run_id
        and event["event_type"] in ("integrate.finished", "run.abandoned")
    ]
    assert len(ends) == 1
    manifest = world.state / "runs" / run_id / "RUN_MANIFEST.json"
    assert manifest.exists() is (ends == ["integrate.finished"])


def test_an_abandoned_run_is_named_in_the_next_report(fresh: World, tmp_path: Path) -> None:
    world = copied(fresh, tmp_path)
    with started(world, "oneshot") as process:
        assert wait_for(process, lambda: "pack.started" in kinds_of(lines(world)))
        process.send_signal(signal.SIGKILL)
        process.wait()
    first = json.loads(lines(world)[0])["run_id"]
    assert world.doit("oneshot").rc == 0
    (found,) = [row for row in world.status()["findings"] if row["id"] == "RUN_ABANDONED"]
    assert (
        found["message"]
        == f"run {first} ended before its report was made; what its packs finished is kept"
    )
    assert found["hint"] == "Nothing to do; this run goes on from there."
    assert world.doit("forget", f"launch:{PACKS[0]}-x").rc == 0
    assert world.doit("oneshot").rc == 0
    assert (len(world.runs()), world.findings()) == (3, []), "preflight held, and it is told once"


def test_a_run_that_died_before_it_had_a_folder_keeps_its_id(fresh: World, tmp_path: Path) -> None:
    world = copied(fresh, tmp_path)
    site = in_process.site(world, clock=StoppedClock)
    first = next_run_id(site)
    site.ledger.append(Entry("run.started", first))
    in_process.close(site)
    status, _results = in_process.oneshot(world, clock=StoppedClock)  # in the same second
    assert status is Status.PASS
    assert_run_has_an_end(world, first)
    assert world.runs() == [first.replace("_001", "_002")]


class StoppedClock:
    """A clock whose wall time stands."""

    def __init__(self, real) -> None:
        self.monotonic = real.monotonic

    def utc(self) -> str:
        return "2026-01-02T03:04:05.678Z"


def kinds_of(found: list[bytes]) -> list[str]:
    return [json.loads(line)["event_type"] for line in found]


@pytest.fixture(scope="module")
def done(fresh: World, tmp_path_factory: pytest.TempPathFactory) -> World:
    """A repository with one PASS run, to be copied."""
    here = copied(fresh, tmp_path_factory.mktemp("done"))
    assert here.doit("oneshot").rc == 0
    return here


@pytest.fixture
def held(tmp_path: Path) -> World:
    """The same where it was made: what the engine remembers is bound to its place."""
    here = World(tmp_path)
    for name in PACKS:
        here.pack(f"{name}-x", writer(name))
    here.commit()
    assert here.doit("oneshot").rc == 0
    return here


def cut_after(world: World, kind: str) -> None:
    """The ledger as it was when the last event of this kind had just been written."""
    found = lines(world)
    last = max(number for number, name in enumerate(kinds_of(found)) if name == kind)
    (world.state / "ledger.jsonl").write_bytes(b"".join(line + b"\n" for line in found[: last + 1]))
    world.claim()


def run_files(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


def test_a_prepared_run_is_finished_by_the_next_start_with_the_same_report(held: World) -> None:
    world = held
    run = world.last().parent
    before = run_files(run)
    cut_after(world, "integrate.prepared")
    (run / "RUN_MANIFEST.json").unlink()
    for path in (run / "attestations").iterdir():
        if path.name != "policy.json":  # that was written before the run was called prepared
            path.unlink()
    for name in ("FINAL_REPORT.md", "FINAL_REPORT.txt"):
        (world.last() / name).unlink()
    assert world.doit("oneshot").rc == 0
    assert kinds(world)[-2:] == ["integrate.finished", "recovery.finished"]
    assert "run.abandoned" not in kinds(world)
    assert world.runs() == [run.name]
    after = run_files(run)
    assert after.keys() == before.keys()
    for name in (
        "Z_integrator/STATUS.json",
        "Z_integrator/FINAL_REPORT.md",
        "Z_integrator/FINAL_REPORT.txt",
    ):
        assert after[name] == before[name]
    named = {row["path"]: row["sha256"] for row in json.loads(after["RUN_MANIFEST.json"])["files"]}
    assert set(named) == set(after) - {"RUN_MANIFEST.json"}


def test_a_finished_run_that_lacks_its_manifest_gets_the_same_one_again(held: World) -> None:
    world = held
    run = world.last().parent
    before = run_files(run)
    (run / "RUN_MANIFEST.json").unlink()
    assert world.doit("oneshot").rc == 0
    assert run_files(run) == before
    assert kinds(world).count("integrate.finished") == 1


def test_a_run_that_somebody_removed_is_left_alone(held: World) -> None:
    world = held
    shutil.rmtree(world.last().parent)
    for _ in range(2):
        assert world.doit("oneshot").rc == 0
    assert "run.abandoned" not in kinds(world)


@pytest.mark.parametrize("tail", [b'{"actor":"pipel', b"\xff\xfe\x00", b"{}"])
def test_whatever_the_last_line_was_torn_to_is_set_aside(
    done: World, tmp_path: Path, tail: bytes
) -> None:
    (tmp_path / "ledger.jsonl").write_bytes((done.state / "ledger.jsonl").read_bytes() + tail)
    ledger = LedgerStore(tmp_path, SystemClock())
    (found,) = ledger.recover()
    (aside,) = tmp_path.glob("ledger.torn-*")
    assert (found.id, aside.read_bytes()) == ("LEDGER_TORN", tail)
    events = list(LedgerStore(tmp_path, SystemClock()).events())
    assert len(events) == len(lines(done)) + 1
    assert (events[-1].event_type, events[-1].details["file"]) == ("ledger.recovered", aside.name)


def test_a_torn_last_line_is_set_aside_and_recorded(done: World, tmp_path: Path) -> None:
    world, tail = copied(done, tmp_path), b'{"actor":"pipel'
    count = len(lines(world))
    with (world.state / "ledger.jsonl").open("ab") as stream:
        stream.write(tail)
    ended = world.doit("oneshot")
    assert ended.rc == 0, ended.text
    (aside,) = world.state.glob("ledger.torn-*")
    assert aside.read_bytes() == tail
    assert kinds(world)[count] == "ledger.recovered"
    assert follow(Head(), lines(world)).seq == len(lines(world))
    (found,) = [row for row in world.status()["findings"] if row["id"] == "LEDGER_TORN"]
    assert (
        found["message"]
        == f"the last line of the ledger was torn ({len(tail)} bytes); it was set aside as"
        f" {aside.name}"
    )
    assert found["hint"] == "Nothing to do; the event it belonged to did not happen."


@pytest.mark.parametrize("spoil", ["byte", "order", "gap", "crlf"])
def test_a_ledger_that_does_not_hold_stops_everything_and_stays_as_it_is(
    done: World, tmp_path: Path, spoil: str
) -> None:
    world = copied(done, tmp_path)
    path = world.state / "ledger.jsonl"
    found = lines(world)
    changed = {
        "byte": [*found[:3], found[3].replace(b"pipeline", b"Pipeline"), *found[4:]],
        "order": [*found[:3], found[4], found[3], *found[5:]],
        "gap": [*found[:3], *found[4:]],
        "crlf": [*found[:3], found[3] + b"\r", *found[4:]],
    }[spoil]
    path.write_bytes(b"".join(line + b"\n" for line in changed))
    spoilt = path.read_bytes()
    ended = world.doit("oneshot")
    assert ended.rc == 2, ended.text
    assert "LEDGER_BROKEN" in ended.text
    assert "the ledger is broken at line 4" in ended.text
    assert "Keep ledger.jsonl and runs/ as they are for an audit" in ended.text
    assert path.read_bytes() == spoilt


def test_a_second_run_is_told_who_holds_the_lock_and_a_killed_holder_never_blocks(
    fresh: World, tmp_path: Path
) -> None:
    world = copied(fresh, tmp_path)
    naptime = f"sleep 300.{os.getpid()}"
    world.pack("TASK-0002-x", writer("TASK-0002", naptime))
    with started(world, "oneshot") as process:
        assert wait_for(process, lambda: any(sleeping(naptime)))
        ended = world.doit("oneshot")
        assert ended.rc == 2
        assert "LOCKED" in ended.text
        assert f"(pid {process.pid}, started " in ended.text
        assert "it frees itself when that process ends; then run again" in ended.text
        process.send_signal(signal.SIGKILL)
        process.wait()
        deadline = time.monotonic() + PATIENCE
        while any(sleeping(naptime)):  # nothing of the pack outlives the orchestrator
            assert time.monotonic() < deadline
            time.sleep(0.01)
    world.pack("TASK-0002-x", writer("TASK-0002"))
    ended = world.doit("oneshot")
    assert ended.rc == 0, ended.text


def sleeping(naptime: str) -> Iterator[int]:
    """Processes of the host that run exactly this command."""
    wanted = naptime.replace(" ", "\0").encode() + b"\0"
    for folder in Path("/proc").iterdir():
        try:
            if folder.name.isdigit() and (folder / "cmdline").read_bytes() == wanted:
                yield int(folder.name)
        except OSError:
            continue


@pytest.mark.parametrize("sent", sample([signal.SIGTERM], [signal.SIGINT]))
def test_an_interrupted_run_says_so_and_the_next_carries_on(
    fresh: World, tmp_path: Path, merged_tree: str, sent: signal.Signals
) -> None:
    world = copied(fresh, tmp_path)
    with started(world, "oneshot") as process:
        wait_for(process, lambda: "pack.started" in kinds_of(lines(world)))
        process.send_signal(sent)
        process.wait(PATIENCE)
    assert world.doit("oneshot").rc == 0
    assert world.status()["merged_tree"] == merged_tree
    assert_run_has_an_end(world, world.events()[0]["run_id"])
