"""Proves a confinement by trying to leave it, and says property by property how that was shown.

The same plan, filter and mounts as for packs; only the limits are small. A property whose
attempt could not be made is not given: absent evidence is absence. What an attempt reached
that nothing may reach is reported as escaped. Never raises for what the host lacks.
"""

from __future__ import annotations

import errno
import json
import os
import platform
import secrets
import shlex
import socket
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from factory.adapters.fs_guard import remove_tree
from factory.adapters.sandbox import confine, host
from factory.adapters.sandbox.bubblewrap import CONSTANT_ENVIRONMENT, command
from factory.adapters.sandbox.confinement import Confinement, Folders, plan
from factory.adapters.sandbox.link import Launcher, RawOutcome, StageLink, StageUnavailable
from factory.model.errors import InternalError
from factory.model.pack import Limits
from factory.model.properties import Enforcement, Proof, Property

_INSIDE = Path(__file__).with_name("probe_inside.py")
_MIB = 1 << 20
_LIMITS = Limits(timeout=30, memory=256 * _MIB, processes=12, disk=4 * _MIB, output=64 * 1024)
_SMALL_MEMORY = 24 * _MIB
_HOG = f"python -I -S -c 'import time; held = bytearray({4 * _SMALL_MEMORY}); time.sleep(20)'"
_SHORT = 0.02
_PATIENT = 20.0
_ALWAYS_SET = {"PATH", "PWD", *(name for name, _ in CONSTANT_ENVIRONMENT)}

_NETWORK = ("tcp", "udp", "abstract socket", "network interface")
_READ = ("read canary", "see home")
_WRITE = (
    *("write /", "write /usr", "write /etc", "write /dev", "write /opt", "write interpreter"),
    *("write supervisor", "write core_pattern"),
)
_CALLS = ("mount", "user namespace", "ptrace", "keyring", "io_uring", "vsock")


@dataclass(frozen=True, slots=True)
class Probed:
    """Whether anything ran at all, why not, and what was proved."""

    started: bool
    why: str
    enforcement: Enforcement


@dataclass(frozen=True, slots=True)
class _Seen:
    """What was observed, inside and out."""

    told: Mapping[str, Any]
    attempts: Mapping[str, bool]
    survivors: int
    output: RawOutcome
    time: RawOutcome
    memory: RawOutcome


def probe(launcher: Launcher, used: Confinement, cache: Path, overlay: bool) -> Probed:
    """Try `used` in a stage of its own under `cache`."""
    facts = _facts(used, overlay)
    backend = "linux-overlay" if overlay else "linux-worktree"
    with _workplace(cache) as place:
        integrator = confine.IntegratorProbe(place, used.bubblewrap.program)
        try:
            seen = _observe(launcher, used, place, overlay)
        except (StageUnavailable, InternalError) as error:
            return Probed(False, str(error), _nothing_given(backend, str(error), facts))
        finally:
            integrator_failed = integrator.finish()
    proofs = (*_proofs(seen, used, overlay), _integrator_proof(integrator_failed))
    return Probed(True, "", Enforcement(backend, proofs, _escaped(seen, used), facts))


def probe_network(launcher: Launcher, used: Confinement, cache: Path, overlay: bool) -> tuple[Proof, tuple[str, ...]]:
    """How a stage with a listener for the proxy is isolated all the same, and what it reached that it must not."""
    with _workplace(cache) as place, ExitStack() as opened:
        ask, datagrams = _set_bait(place, opened)
        try:
            link = launcher.open_stage(plan(_lay_out(place, overlay), _LIMITS, network=True))
            opened.callback(link.close)
            opened.callback(os.close, link.listener)
            attempts = {**_ask(link, used, ask)["attempts"], "udp": _received(datagrams)}
            link.end()
        except (StageUnavailable, InternalError) as error:
            return Proof(Property.NET_ISOLATED, False, f"with a listener for the proxy: {error}"), ()
    proof = _proof_of(Property.NET_ISOLATED, attempts, _NETWORK)
    escaped = tuple(name for name in (*_NETWORK, "unix socket") if attempts.get(name, True))
    return replace(proof, how=f"with a listener for the proxy: {proof.how}"), escaped


def _facts(used: Confinement, overlay: bool) -> dict[str, str]:
    as_root = host.acts_as_root()
    return {
        **host.identity(used.bubblewrap),
        "isolation": "overlay" if overlay else "worktree",
        "kernel": platform.release(),
        "machine": platform.machine(),
        "seccomp_sha256": used.filter_digest,
        "user": f"dropped from root to {host.SANDBOX_ID}" if as_root else "an ordinary user, as the orchestrator",
        "memory": "watchdog",
        "disk": "quota" if overlay else "file size only",
    }


def _nothing_given(backend: str, why: str, facts: dict[str, str]) -> Enforcement:
    return Enforcement(backend, tuple(Proof(each, False, why) for each in Property), facts=facts)


@contextmanager
def _workplace(cache: Path) -> Iterator[Path]:
    place = Path(tempfile.mkdtemp(prefix="probe-", dir=cache))
    try:
        yield place
    finally:
        remove_tree(place)


# --- observing


def _observe(launcher: Launcher, used: Confinement, place: Path, overlay: bool) -> _Seen:
    folders = _lay_out(place, overlay)
    with ExitStack() as opened:
        ask, datagrams = _set_bait(place, opened)
        link = launcher.open_stage(plan(folders, _LIMITS))
        opened.callback(link.close)
        told = _ask(link, used, ask)
        attempts = {**told["attempts"], "udp": _received(datagrams)}
        survivors = _count_in_namespace(told["namespace"])
        flood = _run(link, used, "yes", output=_LIMITS.output)
        slow = _run(link, used, "sleep 20", timeout=_SHORT)
        hog = _run(link, used, _HOG, memory=_SMALL_MEMORY)
        link.end()
    return _Seen(told, attempts, survivors, flood, slow, hog)


def _lay_out(place: Path, overlay: bool) -> Folders:
    workspace = place / "workspace"
    workspace.mkdir()
    program = workspace / _INSIDE.name
    program.write_bytes(_INSIDE.read_bytes())
    (place / "canary").write_text("a probe must not read this\n", "ascii")
    for path in (workspace, program):
        os.chmod(path, 0o755)
        os.chown(path, *host.sandbox_owner())
    return Folders(lowers=(workspace,)) if overlay else Folders(writable=workspace)


def _set_bait(place: Path, opened: ExitStack) -> tuple[dict[str, Any], socket.socket]:
    """Things of this host that must be out of reach: listeners, a file, the home folder."""
    abstract = f"factory-probe-{secrets.token_hex(8)}"
    tcp = _listen(opened, socket.AF_INET, ("127.0.0.1", 0))
    _listen(opened, socket.AF_UNIX, "\0" + abstract)
    datagrams = opened.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
    datagrams.bind(("127.0.0.1", 0))
    datagrams.setblocking(False)
    unix = _listen_by_path(place, opened)
    return {
        "tcp": tcp.getsockname()[1],
        "udp": datagrams.getsockname()[1],
        "abstract": abstract,
        "unix": unix,
        "canary": str(place / "canary"),
        "home": _home(),
        "disk": 2 * _LIMITS.disk,
        "forks": 4 * _LIMITS.processes,
    }, datagrams


def _listen(opened: ExitStack, family: int, address: Any) -> socket.socket:
    listener = opened.enter_context(socket.socket(family, socket.SOCK_STREAM))
    listener.bind(address)
    listener.listen()
    return listener


def _listen_by_path(place: Path, opened: ExitStack) -> str:
    """A socket beside the canary; its path may be too long for an address, so it is bound by descriptor."""
    folder = os.open(place, os.O_RDONLY | os.O_DIRECTORY)
    opened.callback(os.close, folder)
    _listen(opened, socket.AF_UNIX, f"/proc/self/fd/{folder}/socket")
    return str(place / "socket")


def _home() -> list[Any]:
    home = os.path.expanduser("~")
    try:
        status = os.stat(home)
    except OSError:
        return []
    shown = home.startswith("/usr/") or home in {"/", "/usr", "/bin", "/sbin"}
    return [] if shown else [home, status.st_dev, status.st_ino]


def _ask(link: StageLink, used: Confinement, ask: dict[str, Any]) -> dict[str, Any]:
    line = f"exec python -I -S {_INSIDE.name} {shlex.quote(json.dumps(ask))}"
    outcome = _run(link, used, line)
    try:
        told = json.loads(outcome.log.splitlines()[-1])
    except (IndexError, ValueError) as error:
        said = outcome.log[:2000].decode("utf-8", "replace").strip()
        raise InternalError(f"no command can run in the sandbox: {said or outcome.ended}") from error
    if not isinstance(told, dict):
        raise InternalError("no command can run in the sandbox: the probe's answer cannot be read")
    return told


def _run(
    link: StageLink,
    used: Confinement,
    line: str,
    timeout: float = _PATIENT,
    memory: int = _LIMITS.memory,
    output: int = _LIMITS.output,
) -> RawOutcome:
    request = {
        "arguments": list(used.arguments(())),
        "command": list(command(line, "")),
        "timeout": timeout,
        "memory": memory,
    }
    return link.run(request, output, None)


def _received(datagrams: socket.socket) -> bool:
    try:
        return bool(datagrams.recv(64))
    except BlockingIOError:
        return False


def _count_in_namespace(inode: int) -> int:
    """Processes of this host that still live in a process namespace."""
    count = 0
    for name in os.listdir("/proc"):
        if name.isdecimal():
            try:
                count += os.stat(f"/proc/{name}/ns/pid").st_ino == inode
            except OSError:
                continue  # gone, or not ours: what runs in the sandbox is ours
    return count


# --- judging


def _escaped(seen: _Seen, used: Confinement) -> tuple[str, ...]:
    guarded = (*_NETWORK, *_READ, *_WRITE, "unix socket", *(_CALLS if used.filter else ()))
    return tuple(name for name in guarded if seen.attempts.get(name, True))


def _proofs(seen: _Seen, used: Confinement, overlay: bool) -> tuple[Proof, ...]:
    return (
        _by_attempts(Property.NET_ISOLATED, seen, _NETWORK),
        _by_attempts(Property.FS_READ_SCOPED, seen, _READ),
        _by_attempts(Property.FS_WRITE_SCOPED, seen, _WRITE),
        _environment_proof(seen),
        _by_attempts(Property.AUTHORITY_SOCKETS_HIDDEN, seen, ("unix socket", "abstract socket", "keyring")),
        _calls_proof(seen, used),
        _process_proof(seen),
        _ended_proof(Property.MEMORY_BOUNDED, seen.memory, "memory", "watchdog: what took too much was ended"),
        _disk_proof(seen, overlay),
        _ended_proof(Property.OUTPUT_BOUNDED, seen.output, "output", "a flood of output was ended at the bound"),
        _ended_proof(Property.TIME_BOUNDED, seen.time, "timeout", "a command was ended at its time limit"),
        _survivor_proof(seen),
    )


def _by_attempts(wanted: Property, seen: _Seen, names: tuple[str, ...]) -> Proof:
    return _proof_of(wanted, seen.attempts, names)


def _proof_of(wanted: Property, attempts: Mapping[str, bool], names: tuple[str, ...]) -> Proof:
    reached = [name for name in names if attempts.get(name, True)]
    if reached:
        return Proof(wanted, False, f"possible inside: {', '.join(reached)}")
    return Proof(wanted, True, f"tried and refused: {', '.join(names)}")


def _environment_proof(seen: _Seen) -> Proof:
    odd = sorted(set(seen.told["environment"]) - _ALWAYS_SET - {"LD_LIBRARY_PATH", "LC_CTYPE"})
    open_files = [number for number in seen.told["descriptors"] if number > 3]  # 3 lists the descriptors
    if odd or open_files:
        return Proof(Property.ENV_SCOPED, False, f"inherited: {', '.join([*odd, *map(str, open_files)])}")
    return Proof(Property.ENV_SCOPED, True, "only the constant variables and no inherited descriptor")


def _calls_proof(seen: _Seen, used: Confinement) -> Proof:
    if not used.filter:
        return Proof(Property.SYSCALLS_FILTERED, False, f"there is no filter for {platform.machine()}")
    status = seen.told["status"]
    wanted = {"NoNewPrivs": "1", "Seccomp": "2"}
    wrong = [f"{name} is {status.get(name)}" for name, value in wanted.items() if status.get(name) != value]
    wrong += [f"{name} is {status.get(name)}" for name in ("CapEff", "CapPrm", "CapBnd") if int(status[name], 16)]
    if wrong:
        return Proof(Property.SYSCALLS_FILTERED, False, ", ".join(wrong))
    return _by_attempts(Property.SYSCALLS_FILTERED, seen, _CALLS)


def _process_proof(seen: _Seen) -> Proof:
    forks, bound = seen.told["forks"], _LIMITS.processes
    given = 0 < forks <= bound
    return Proof(Property.PIDS_BOUNDED, given, f"{forks} children could be started where {bound} processes are allowed")


def _disk_proof(seen: _Seen, overlay: bool) -> Proof:
    if not overlay:
        why = "a worktree has no quota; only the size of each file is bounded"
        return Proof(Property.DISK_BOUNDED, False, why)
    given = all(number in {errno.ENOSPC, errno.EDQUOT, errno.EFBIG} for number in seen.told["disk"])
    how = "writing twice the limit failed" if given else f"writing twice the limit ended with {seen.told['disk']}"
    return Proof(Property.DISK_BOUNDED, given, how)


def _ended_proof(wanted: Property, outcome: RawOutcome, ended: str, how: str) -> Proof:
    given = outcome.ended == ended
    return Proof(wanted, given, how if given else f"expected the end {ended}, found {outcome.ended}")


def _survivor_proof(seen: _Seen) -> Proof:
    if seen.survivors:
        return Proof(Property.NO_SURVIVORS, False, f"{seen.survivors} processes outlived their command")
    return Proof(Property.NO_SURVIVORS, True, "a daemon in its own session was dead when its command had ended")


def _integrator_proof(failed: str) -> Proof:
    how = failed or "tried and refused outside the run folder: create, write, chmod, times, unlink, TCP"
    return Proof(Property.INTEGRATOR_CONFINED, not failed, how)
