"""Worker processes: two are two, what they leave is what one leaves, and none outlives its run."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from factory.engine import wiring, workers
from factory.engine.workers import WorkerDied, Workers
from factory.model.errors import InternalError, Refusal
from factory.model.finding import Finding
from factory.plan.planner import Planner
from factory.run.attempt import Machine
from tests.in_process import planner
from tests.timeless import timeless_page
from tests.world import PATIENCE, World, environment

pytestmark = pytest.mark.linux

SLOW = 'steps: [{name: s, run: "sleep 600"}]\n'
QUICK = 'scope: {{allowed_paths: ["docs/**"]}}\nsteps: [{{name: s, run: "mkdir -p docs; echo {0} >docs/{0}"}}]\n'


def until(holds: Callable[[], object]) -> None:
    end = time.monotonic() + PATIENCE
    while not holds():
        assert time.monotonic() < end
        time.sleep(0.02)


def parents() -> dict[int, int]:
    """The parent of each process that there is now."""
    found = {}
    for name in filter(str.isdecimal, os.listdir("/proc")):
        try:
            found[int(name)] = int(
                Path(f"/proc/{name}/stat").read_text().rpartition(")")[2].split()[1]
            )
        except OSError:
            continue
    return found


def below(pid: int) -> set[int]:
    """Every process that descends from this one."""
    known, found = parents(), {pid}
    while more := {child for child, parent in known.items() if parent in found} - found:
        found |= more
    return found - {pid}


def named(pids: set[int], name: str) -> list[int]:
    return sorted(pid for pid in pids if comm(pid) == name)


def comm(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/comm").read_text().strip()
    except OSError:
        return ""


def is_there(pid: int) -> bool:
    """Whether it runs: one that ended and whose parent did not ask yet does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def started(world: World, *words: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "factory", "oneshot", *words],
        cwd=world.root, env=environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        start_new_session=True,
    )  # fmt: skip


def two_slow(world: World) -> tuple[subprocess.Popen[str], set[int]]:
    """A run with two packs at work, and every process of it."""
    for number in (1, 2):
        world.pack(f"TASK-000{number}-slow", SLOW)
    world.commit()
    process = started(world, "-n", "2")
    until(lambda: process.poll() is None and len(named(below(process.pid), "sleep")) == 2)
    return process, below(process.pid)


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path / "r")


def test_an_interrupt_ends_two_worker_processes_and_all_below_them(world: World) -> None:
    process, there = two_slow(world)
    assert len(named(there, "factory worker")) == 2
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=PATIENCE)
    assert process.returncode == 130, out + err
    assert err == "interrupted: what is finished is kept; run it again to go on\n"
    assert not named(there, "factory worker") + named(there, "factory nursery")
    until(lambda: not any(map(is_there, there)))
    for number in (1, 2):
        world.pack(f"TASK-000{number}-slow", "steps: []\n")
    assert world.factory("oneshot", "-n", "2").rc == 0


def test_workers_end_with_a_run_that_was_killed_and_hold_no_lock(world: World) -> None:
    process, there = two_slow(world)
    process.kill()
    out, err = process.communicate(timeout=PATIENCE)
    assert "Traceback" not in out + err
    until(lambda: not any(map(is_there, there)))
    for number in (1, 2):
        world.pack(f"TASK-000{number}-slow", "steps: []\n")
    ended = world.factory("oneshot", "-n", "2")
    assert ended.rc == 0, ended.text


def test_a_worker_that_is_killed_fails_its_pack_and_no_other(world: World) -> None:
    world.pack("TASK-0001-slow", SLOW)
    for number in (2, 3, 4):
        world.pack(f"TASK-000{number}-quick", QUICK.format(number))
    world.commit()
    process = started(world, "-n", "2")
    validated = [f"TASK-000{number}" for number in (2, 3, 4)]

    def others_are_done() -> bool:
        folder = world.state / "state" / "bundle-validate"
        return all((folder / f"{pack}-quick.json").is_file() for pack in validated)

    until(lambda: others_are_done() and named(below(process.pid), "sleep"))
    known = parents()
    (at,) = named(below(process.pid), "sleep")
    while comm(at) != "factory worker":
        at = known[at]
    os.kill(at, signal.SIGKILL)
    out, err = process.communicate(timeout=PATIENCE)
    assert process.returncode == 1, out + err
    report = world.status()
    packs = {one["pack"]: one["status"] for one in report["packs"]}
    assert packs == {"TASK-0001": "FAIL", **dict.fromkeys(validated, "PASS")}
    crashes = [one for one in report["findings"] if one["id"] == "CRASH"]
    assert [one["pack"] for one in crashes] == ["TASK-0001"]
    assert f"worker process {at}" in crashes[0]["message"]
    ends = {
        one["details"]["pack"]: one["event_type"]
        for one in world.events()
        if one["event_type"] in ("pack.finished", "pack.abandoned")
    }
    assert ends == {"TASK-0001": "pack.abandoned", **dict.fromkeys(validated, "pack.finished")}


def files_below(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def test_two_workers_leave_the_bytes_that_one_leaves(world: World, tmp_path: Path) -> None:
    world.pack("TASK-0001-one", QUICK.format(1) + "artifacts: {optional: [made.txt]}\n",
               'checks: [{name: c, run: "cat docs/1; echo y >taskpacks/TASK-0001-one/made.txt"}]\n')  # fmt: skip
    world.pack("TASK-0002-two", QUICK.format(2) + "depends_on: [TASK-0001]\n",
               'checks: [{name: c, run: "cat docs/1 docs/2"}]\n')  # fmt: skip
    for number in (3, 4, 5):
        world.pack(f"TASK-000{number}-more", QUICK.format(number))
    world.pack(
        "TASK-0006-outside",
        'scope: {allowed_paths: ["docs/**"]}\nsteps: [{name: s, run: "echo y >x"}]\n',
    )
    world.commit()
    found = []
    for count in "12":
        there = tmp_path / count
        shutil.copytree(world.root, there, symlinks=True)
        words = ("oneshot", "--run-id", "factory_20261130_120000_00000000_001", "-n", count)
        ended = world.factory(*words, cwd=there)
        assert ended.rc == 2, ended.text
        (run,) = (there / ".factory" / "runs").iterdir()
        bundles = files_below(there / ".factory" / "bundles")
        z = files_below(run / "Z_integrator")
        z["report.html"] = timeless_page(z["report.html"])  # it alone says when
        found.append({"bundles": bundles, "z": z})
    assert len(found[0]["bundles"]) > 50
    assert found[0] == found[1]


# ── one worker, asked from a thread of this process ──────────────────────────


class Asked:
    """Workers over a plan of one pack, asked from another thread."""

    def __init__(self, site: Any, plan: Any) -> None:
        self.workers = Workers(site, lambda: plan, site.sandbox.measure)

    def ask(self, job: str = "validate", progress: Any = None) -> Any:
        """What a job gives or raises in a worker."""
        got: list[Any] = []

        def work() -> None:
            try:
                self.workers.ready()
                ask = getattr(self.workers, job)
                got.append(ask("TASK-0001", progress or wiring.Silent()))
            except BaseException as error:  # noqa: BLE001
                got.append(error)

        thread = threading.Thread(target=work)
        thread.start()
        thread.join(PATIENCE)
        return got[0]


@pytest.fixture
def asked(world: World) -> Iterator[Asked]:
    world.pack("TASK-0001-a", "steps: []\n")
    world.commit()
    with planner(world) as (site, planning):
        made = Asked(site, Planner(site, planning.catalogue).freeze())
        yield made
        made.workers.close()


def told(**facts: Any) -> tuple[tuple[Finding, ...], None]:
    """What a validation gives, with these facts in its finding."""
    said = {"case": "expected", "expected": json.dumps(facts), "found": ""}
    return (Finding("CRASH", said),), None


def facts_of(answer: tuple[tuple[Finding, ...], object]) -> dict[str, Any]:
    ((found,), _) = answer
    return json.loads(str(found.facts["expected"]))


def test_a_worker_is_another_process_and_is_used_again(
    asked: Asked, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(workers, "validate", lambda *_: told(pid=os.getpid(), parent=os.getppid()))
    first, second = facts_of(asked.ask()), facts_of(asked.ask())
    assert first == second
    assert os.getpid() not in first.values()
    # In the main thread, nothing is gained by a process.
    assert facts_of(asked.workers.validate("TASK-0001", wiring.Silent()))["pid"] == os.getpid()


def test_no_thread_goes_on_while_another_forks(world: World) -> None:
    """A module that it imports meanwhile would stay locked in every worker."""
    world.pack("TASK-0001-a", "steps: []\n")
    world.commit()
    began, may_end, order = threading.Event(), threading.Event(), list[str]()

    def measure() -> None:
        began.set()
        may_end.wait(PATIENCE)
        order.append("forked")

    with planner(world) as (site, planning):
        made = Workers(site, planning.freeze, measure)

        def get_ready() -> None:
            made.ready()
            order.append("ready")

        threads = [threading.Thread(target=get_ready) for _ in range(3)]
        threads[0].start()
        assert began.wait(PATIENCE)
        for thread in threads[1:]:
            thread.start()
        until(made.still.locked)
        threads[1].join(0.2)
        assert order == []
        may_end.set()
        for thread in threads:
            thread.join(PATIENCE)
        made.close()
    assert order == ["forked", "ready", "ready", "ready"]


def test_where_no_process_can_be_forked_packs_run_in_this_one(
    asked: Asked, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused() -> int:
        raise OSError(11, "Resource temporarily unavailable")

    monkeypatch.setattr(workers, "_fork", refused)
    monkeypatch.setattr(workers, "validate", lambda *_: told(pid=os.getpid()))
    assert facts_of(asked.ask())["pid"] == os.getpid()


def test_an_idle_worker_that_was_killed_is_replaced(
    asked: Asked, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(workers, "validate", lambda *_: told(pid=os.getpid()))
    first = facts_of(asked.ask())["pid"]
    (idle,) = asked.workers._idle
    os.kill(first, signal.SIGKILL)
    until(lambda: not idle.lives)  # its socket closes with its last thread
    assert facts_of(asked.ask())["pid"] not in (first, os.getpid())


def test_a_worker_that_dies_at_work_is_an_error_and_the_next_one_works(
    asked: Asked, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    died = tmp_path / "died"

    def dies_once(*_: object) -> tuple[Finding, ...]:
        if not died.exists():
            died.write_text(str(os.getpid()))
            os.kill(os.getpid(), signal.SIGKILL)
        return ()

    monkeypatch.setattr(workers, "validate", dies_once)
    error = asked.ask()
    assert isinstance(error, WorkerDied)
    assert f"worker process {died.read_text()}" in str(error)
    assert asked.ask() == ()


def test_errors_arrive_as_what_they_are(asked: Asked, monkeypatch: pytest.MonkeyPatch) -> None:
    class Odd(Exception):
        """Pickle does not find this class."""

    class Particular(Exception):
        def __init__(self, one: str, two: str) -> None:
            super().__init__(f"{one} and {two}")

    raised: list[BaseException] = [
        Refusal(*told(pid=1)[0], *told(pid=2)[0]), Odd("of a kind"), OSError(28, "full"), SystemExit(3),
        Particular("this", "that"),
    ]  # fmt: skip

    def raises(*given: Any) -> tuple[Finding, ...]:
        raise raised[int(given[0].read("which") or b"0")]

    monkeypatch.setattr(workers, "validate", raises)
    store = asked.workers._site.store
    got = []
    for number in range(len(raised)):
        store.write("which", str(number).encode())
        got.append(asked.ask())
    refusal, odd, full, left, particular = got
    assert isinstance(refusal, Refusal)
    assert refusal.findings == (*told(pid=1)[0], *told(pid=2)[0])
    assert isinstance(odd, InternalError)
    assert str(odd) == "Odd: of a kind"
    assert isinstance(full, OSError)
    assert full.errno == 28
    assert isinstance(left, SystemExit)
    assert str(particular) == "Particular: this and that"
    for error in got:
        assert "in worker process" in error.__notes__[0]
        assert "in raises" in error.__notes__[0]


def test_a_value_that_cannot_be_sent_is_an_error(
    asked: Asked, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(workers, "validate", lambda *_: threading.Lock())
    error = asked.ask()
    assert isinstance(error, TypeError)
    assert "lock" in str(error)


def test_progress_is_reported_in_the_order_of_the_worker(
    asked: Asked, monkeypatch: pytest.MonkeyPatch
) -> None:
    def reports(_plan: object, _store: object, machine: Machine, _pack: str) -> tuple[()]:
        machine.progress.command_started("P", "label", "true", 3.0)
        machine.progress.command_output("P", b"\xff\n")
        machine.progress.command_ended("P", "label", 0)
        return ()

    seen: list[tuple[object, ...]] = []

    class Seeing(wiring.Silent):
        def command_started(self, pack: str, label: str, run: str, limit: float) -> None:
            seen.append((pack, label, run, limit))

        def command_output(self, pack: str, chunk: bytes) -> None:
            seen.append((pack, chunk))

        def command_ended(self, pack: str, label: str, rc: int) -> None:
            seen.append((pack, label, rc))

    monkeypatch.setattr(workers, "launch_of", reports)
    assert asked.ask("launch", Seeing()) == ()
    assert seen == [("P", "label", "true", 3.0), ("P", b"\xff\n"), ("P", "label", 0)]


def test_a_worker_has_no_descriptor_of_its_parents(
    asked: Asked, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def lists(*_: object) -> tuple[tuple[Finding, ...], None]:
        places = []
        for name in os.listdir("/proc/self/fd"):
            with contextlib.suppress(OSError):  # the one that listed them
                places.append(os.readlink(f"/proc/self/fd/{name}"))
        return told(places=places)

    monkeypatch.setattr(workers, "validate", lists)
    with (tmp_path / "open").open("w"), asked.workers._site.locks.take("run"):
        places = facts_of(asked.ask())["places"]
    assert [place for place in places if str(tmp_path) in place] == []
    assert "/dev/null" in places


def test_after_the_end_nobody_gets_a_worker(asked: Asked) -> None:
    assert asked.ask()[0]  # a bundle that is missing
    asked.workers.close()
    assert "interrupted" in str(asked.ask())
