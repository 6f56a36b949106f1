"""Run packs in worker processes, so that as many processors work as doit has threads.

    this process ──fork──► nursery ──fork──► worker, worker, …
         └── a socket to each worker: jobs there, progress and values back ──┘

The nursery is forked once, with the plan frozen and the sandbox measured, at a moment when no other
thread runs code of ours. It runs nothing but `fork`, so a worker never starts with a lock that some
thread had. Plan, configuration and measurement are inherited and never sent. A worker has Git
processes, views and a sandbox helper of its own, and no descriptor of its parents but its socket:
no lock, no ledger, no database. It records and replaces nothing: this process does, from values.

A worker ends when its socket does, so none outlives this process. One that dies is a `WorkerDied`
for its pack; the next pack gets another worker. In the main thread (one worker), and where there is
no safe fork (other platforms than Linux), a pack runs in this process. Does not know cards.
"""

from __future__ import annotations

import contextlib
import copyreg
import gc
import os
import pickle
import queue
import signal
import socket
import struct
import sys
import threading
import time
import traceback
import warnings
from collections.abc import Callable
from dataclasses import dataclass, replace
from io import BytesIO
from pathlib import Path
from types import MappingProxyType
from typing import Any, NoReturn, TypeVar

from factory.engine.builder_facts import own_code
from factory.engine.polite_stop import STOPS
from factory.files.ports import Store
from factory.git.objects import GitObjects
from factory.model.card import Progress
from factory.model.errors import InternalError, Interrupted, Refusal
from factory.model.finding import Finding
from factory.plan.plan import Plan
from factory.plan.site import Site
from factory.run.attempt import Machine, machine_of
from factory.run.bundle_validate import DerivedTrees, validate
from factory.run.launch import Launched, launch_of
from factory.run.paid import check_memory

GRACE = 10.0  # seconds for a worker to end its sandbox; a supervisor takes a few milliseconds
_LENGTH = struct.Struct(">Q")
_VALUE, _ERROR, _PROGRESS, _PID = "value", "error", "progress", "pid"
T = TypeVar("T")


class WorkerDied(InternalError):
    """Report that a worker process ended without an answer."""

    def __init__(self, pid: int) -> None:
        super().__init__(
            f"expected an answer of worker process {pid or 'that was being started'}, found that it"
            " ended",
            "the kernel's log (dmesg) says whether it ran out of memory",
        )


@dataclass(frozen=True, slots=True)
class Workplace:
    """Contain what one process needs to run packs of a plan."""

    plan: Plan
    store: Store
    machine: Machine

    def launch(self, pack: str) -> Launched:
        """Run one pack. Raise as `launch_of`."""
        return launch_of(self.plan, self.store, self.machine, pack)

    def validate(self, pack: str) -> tuple[tuple[Finding, ...], DerivedTrees | None]:
        """Return findings over the bundle of one pack, and its trees. Raise as
        `bundle_validate.validate`.
        """
        return validate(self.store, self.machine.objects, self.plan, pack)


class Workers:
    """Run packs for the threads of this process. `plan` and `measure` are called before the first
    fork; both may raise Refusal.
    """

    def __init__(self, site: Site, plan: Callable[[], Plan], measure: Callable[[], object]) -> None:
        self._site, self._plan, self._measure = site, plan, measure
        self.still = threading.Lock()
        """Taken while the nursery is forked, and by all other code of ours that may run then: so
        no lock of `Tree`, `Plan` or an object store is ever inherited locked."""
        self._lock = threading.Lock()
        self._tried = threading.Event()
        self._closed = False
        self._nursery: _Nursery | None = None
        self._idle: list[_Worker] = []
        self._busy: set[_Worker] = set()
        self._last: dict[str, _Worker] = {}

    def ready(self) -> None:
        """Fork the nursery, once and where workers are of use. Every card that asks for a pack
        calls this before anything else. Where plan or sandbox are refused there is none: what asks
        for them next gets the refusal. Where no process can be forked, packs run in this one.
        """
        if self._tried.is_set() or not self._of_use():
            return
        with self.still:
            if self._tried.is_set():
                return
            try:
                with contextlib.suppress(Refusal, OSError):
                    self._measure()
                    self._nursery = _Nursery(self._site, self._plan())
            finally:
                # Only now may another thread go on: a module that it imports while this one forks
                # would stay locked in the child.
                self._tried.set()

    def _of_use(self) -> bool:
        """Return whether a pack of this thread belongs into another process."""
        return (
            sys.platform == "linux"
            and threading.current_thread() is not threading.main_thread()
            and isinstance(self._site.objects, GitObjects)
        )

    def launch(self, pack: str, progress: Progress) -> Launched:
        """Run one pack of the plan. Raise as `Workplace.launch`, WorkerDied, Interrupted."""
        return self._done(Workplace.launch, pack, progress)

    def validate(
        self, pack: str, progress: Progress
    ) -> tuple[tuple[Finding, ...], DerivedTrees | None]:
        """Return findings over the bundle of one pack, and its trees. Raise as
        `Workplace.validate`, WorkerDied, Interrupted.
        """
        return self._done(Workplace.validate, pack, progress)

    def _done(self, job: Callable[[Workplace, str], T], pack: str, progress: Progress) -> T:
        if self._nursery is None or not self._of_use():
            site = self._site
            machine = machine_of(site, progress, check_memory(site, own_code()))
            return job(Workplace(self._plan(), site.store, machine), pack)
        worker = self._borrowed(self._nursery, pack)
        try:
            answer, unsettled = worker.ask(job, pack, progress)
        except BaseException:
            self._drop(worker)
            raise
        if isinstance(self._site.objects, GitObjects):
            self._site.objects.add_unsettled(unsettled)
        self._give_back(worker, pack)
        if isinstance(answer, _Raised):
            raise answer.error
        return answer

    def _borrowed(self, nursery: _Nursery, pack: str) -> _Worker:
        """Return the worker that last had this pack, since it has read its trees; else any idle
        one, else a new one. Raise Interrupted where the run is over.
        """
        with self._lock:
            if self._closed:
                raise Interrupted("expected the run to go on, found it interrupted")
            last = self._last.pop(pack, None)
            self._idle.sort(key=lambda worker: worker is last)
            worker = None
            while self._idle and worker is None:
                found = self._idle.pop()
                if found.lives:
                    worker = found
                else:
                    found.close()
            worker = worker or nursery.worker()
            self._busy.add(worker)
            return worker

    def _give_back(self, worker: _Worker, pack: str) -> None:
        with self._lock:
            self._busy.discard(worker)
            if self._closed:
                worker.close()
                return
            self._idle.append(worker)
            self._last[pack] = worker

    def _drop(self, worker: _Worker) -> None:
        with self._lock:
            self._busy.discard(worker)
        worker.close()

    def close(self) -> None:
        """End every worker. A pack that runs ends interrupted, and its thread still gets the value.
        Return once none of them is there.
        """
        with self._lock:
            self._closed = True
            idle, self._idle = self._idle, []
            pids = [worker.pid for worker in (*idle, *self._busy)]
            for worker in self._busy:
                worker.hang_up()
        for worker in idle:
            worker.close()
        if self._nursery is not None:
            self._nursery.close(pids)


# ── in this process ──────────────────────────────────────────────────────────


class _Nursery:
    """Keep the process that forks workers."""

    def __init__(self, site: Site, plan: Plan) -> None:
        """Raise OSError where no process can be forked."""
        self._socket, theirs = socket.socketpair()
        with theirs:
            try:
                self._pid = _fork()
            except OSError:
                self._socket.close()
                raise
            if self._pid == 0:
                _be(lambda: _fork_workers(_alone(theirs.fileno()), site, plan))

    def worker(self) -> _Worker:
        """Return a new worker. Raise WorkerDied where the nursery is gone."""
        ours, theirs = socket.socketpair()
        with theirs:
            try:
                socket.send_fds(self._socket, [b"w"], [theirs.fileno()])
            except OSError as error:
                ours.close()
                raise WorkerDied(0) from error
        return _Worker(ours)

    def close(self, pids: list[int]) -> None:
        """Wait until it ended, which it does after all workers; kill them all where they do not
        end in time. Idempotent.
        """
        if not self._pid:
            return
        pid, self._pid = self._pid, 0
        with self._socket, contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_WR)
            self._socket.settimeout(GRACE + 1)
            self._socket.recv(1)
        if os.waitpid(pid, os.WNOHANG)[0] == 0:
            for each in (*filter(None, pids), pid):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(each, signal.SIGKILL)
            os.waitpid(pid, 0)


class _Worker:
    """Ask one worker process, asked by one thread at a time. `pid` is 0 until it said so."""

    def __init__(self, link: socket.socket) -> None:
        self._link = link
        self.pid = 0

    def ask(
        self, job: Callable[[Workplace, str], T], pack: str, progress: Progress
    ) -> tuple[T | _Raised, list[Path]]:
        """Return what the job gave or raised, and the objects that are not durable yet; report
        `progress` meanwhile. Raise WorkerDied.
        """
        try:
            _send(self._link, _dumped((job, pack)))
            while True:
                kind, *said = pickle.loads(_received(self._link))  # noqa: S301  from our own child
                if kind == _PROGRESS:
                    getattr(progress, said[0])(*said[1])
                elif kind == _PID:
                    (self.pid,) = said
                else:
                    answer, unsettled = said
                    return (_Raised(answer) if kind == _ERROR else answer), unsettled
        except (OSError, EOFError) as error:
            raise WorkerDied(self.pid) from error

    @property
    def lives(self) -> bool:
        """Return whether an idle worker is still there: it says nothing, and its socket is open."""
        try:
            return bool(self._link.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT))
        except BlockingIOError:
            return True
        except OSError:
            return False

    def hang_up(self) -> None:
        """Ask for no more; what it says until it ends is still received."""
        with contextlib.suppress(OSError):
            self._link.shutdown(socket.SHUT_WR)

    def close(self) -> None:
        """Let it go, whatever it does."""
        self._link.close()


@dataclass(frozen=True, slots=True)
class _Raised:
    """Contain what a job raised."""

    error: BaseException


def _fork() -> int:
    with warnings.catch_warnings():
        # CPython 3.12 warns of locks that other threads may have (gh-100228): see `Workers.still`.
        warnings.simplefilter("ignore", DeprecationWarning)
        return os.fork()


# ── in a child ───────────────────────────────────────────────────────────────


def _be(work: Callable[[], None]) -> NoReturn:
    """Do the work of a forked child, and end with it: nothing of the parent's stack may run."""
    code = 1
    try:
        work()
        code = 0
    except BaseException:  # noqa: BLE001  nobody catches it; the parent sees that the socket ended
        traceback.print_exc()
    finally:
        os._exit(code)


def _alone(descriptor: int) -> socket.socket:
    """Return this socket as the only thing that the child has of its parent: no other descriptor
    but stderr, and no answer to a request to stop, which is the parent's to give.
    """
    gc.freeze()  # what was there is never finalised here, and its pages stay shared
    signal.set_wakeup_fd(-1)
    for number in (*STOPS, signal.SIGURG):
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, _not_ours)  # no SIG_IGN: a program started here would inherit it
    null = os.open(os.devnull, os.O_RDWR)
    for number in map(int, os.listdir("/proc/self/fd")):
        if number not in (2, null, descriptor):
            # Not closed: an object that was inherited may close its number later.
            os.dup2(null, number, inheritable=number < 2)
    return socket.socket(fileno=descriptor)


def _not_ours(*_: object) -> None:
    """Leave a signal to the parent."""


def _fork_workers(control: socket.socket, site: Site, plan: Plan) -> None:
    """Fork a worker for each socket that comes; at the end wait for all of them."""
    _name("factory nursery")
    while True:
        word, descriptors, _, _ = socket.recv_fds(control, 1, 1)
        if not word:
            break
        with contextlib.suppress(ChildProcessError):
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
        for descriptor in descriptors:
            # Where there can be no further process, the socket ends: that is a worker that died.
            with contextlib.suppress(OSError):
                if os.fork() == 0:
                    _be(lambda: _work(_alone(descriptor), site, plan))  # noqa: B023  here and now
            os.close(descriptor)
    with contextlib.suppress(ChildProcessError):
        while True:
            os.waitpid(-1, 0)


def _name(name: str) -> None:
    """Set the name that `ps` and /proc/PID/comm show."""
    with contextlib.suppress(OSError):
        Path("/proc/self/comm").write_text(name, "ascii")


def _work(link: socket.socket, site: Site, plan: Plan) -> None:
    """Answer jobs one after another, until the socket ends."""
    _name("factory worker")
    _send(link, _dumped((_PID, os.getpid())))
    jobs: queue.SimpleQueue[tuple[Callable[[Workplace, str], object], str] | None]
    jobs = queue.SimpleQueue()
    threading.Thread(target=_read_jobs, args=(link, jobs, site), daemon=True).start()
    objects: GitObjects | None = None
    place: Workplace | None = None
    while (asked := jobs.get()) is not None:
        job, pack = asked
        unsettled: set[Path] = set()
        try:
            if place is None or objects is None:
                objects = site.refs.for_child()
                place = _workplace(site, plan, objects, _Forwarded(link))
            answer, kind = job(place, pack), _VALUE
            unsettled = objects.take_unsettled()
            reply = _dumped((kind, answer, unsettled))
        except BaseException as error:  # noqa: BLE001  also SystemExit: who asked decides
            reply = _dumped((_ERROR, _portable(error), unsettled))
        with contextlib.suppress(
            OSError
        ):  # nobody is there any more: the next thing read is the end
            _send(link, reply)
    if objects is not None:
        objects.close()
    site.sandbox.close()


def _workplace(site: Site, plan: Plan, objects: GitObjects, progress: Progress) -> Workplace:
    machine = replace(
        machine_of(site, progress, check_memory(site, own_code())),
        objects=objects,
        sandbox=site.sandbox.for_child(objects),
    )
    return Workplace(plan.for_child(objects), site.store, machine)


def _read_jobs(link: socket.socket, jobs: queue.SimpleQueue[Any], site: Site) -> None:
    """Pass on jobs until the socket ends; then end what runs, and at last this process."""
    with contextlib.suppress(OSError, EOFError):
        while True:
            jobs.put(pickle.loads(_received(link)))  # noqa: S301  from our own parent
    jobs.put(None)
    site.sandbox.close()
    time.sleep(GRACE)
    os._exit(1)


class _Forwarded:
    """Implement `Progress`, and report in the parent."""

    def __init__(self, link: socket.socket) -> None:
        self._link = link

    def __getattr__(self, name: str) -> Callable[..., None]:
        if name.startswith("_"):
            raise AttributeError(name)
        return lambda *given: _send(self._link, _dumped((_PROGRESS, name, given)))


def _portable(error: BaseException) -> BaseException:
    """Return an exception that can be sent, with the traceback of this process as a note: itself,
    or one that says the same where it cannot be.
    """
    where = "".join(traceback.format_exception(error))
    for one in (error, InternalError(f"{type(error).__name__}: {error}")):
        try:
            pickle.loads(_dumped(one))  # noqa: S301  what was just written
        except Exception:  # noqa: BLE001, S112  any class may fail in a way of its own
            continue
        one.add_note(f"in worker process {os.getpid()}:\n{where}")
        return one
    return InternalError(f"{type(error).__name__}, which cannot be shown")


# ── messages ─────────────────────────────────────────────────────────────────


class _Pickler(pickle.Pickler):
    """Writes read-only mappings too, which pickle itself does not (CPython 3.11 to 3.14)."""

    dispatch_table = copyreg.dispatch_table | {
        MappingProxyType: lambda mapping: (_read_only, (dict(mapping),))
    }


def _read_only(content: dict[Any, Any]) -> MappingProxyType[Any, Any]:
    return MappingProxyType(content)  # by a name: the class has none that pickle finds


def _dumped(message: object) -> bytes:
    written = BytesIO()
    _Pickler(written, pickle.HIGHEST_PROTOCOL).dump(message)
    return written.getvalue()


def _send(link: socket.socket, content: bytes) -> None:
    link.sendall(_LENGTH.pack(len(content)))
    link.sendall(content)


def _received(link: socket.socket) -> bytes:
    """Return the next message. Raise EOFError where the other side ended."""
    (length,) = _LENGTH.unpack(_exactly(link, _LENGTH.size))
    return _exactly(link, length)


def _exactly(link: socket.socket, length: int) -> bytes:
    read = bytearray(length)
    view = memoryview(read)
    while view:
        count = link.recv_into(view)
        if not count:
            raise EOFError
        view = view[count:]
    return bytes(read)
