"""Prove a confinement by trying to leave it, and say property by property how that was shown.

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
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from factory.sandbox import confine, host
from factory.sandbox.backend import Probed, nothing_given
from factory.sandbox.bubblewrap import CONSTANT_ENVIRONMENT
from factory.sandbox.folders import remove_tree
from factory.sandbox.link import Launcher, RawOutcome, StageLink, StageUnavailable
from factory.sandbox.plan import Folders, Request, plan
from factory.sandbox.properties import Enforcement, Property, PropertyProof
from factory.sandbox.values import ErrorKind, SandboxError, StageLimits

if TYPE_CHECKING:
    from factory.sandbox.supervised import Supervised

_INSIDE = Path(__file__).with_name("probe_inside.py")
_MIB = 1 << 20
_LIMITS = StageLimits(timeout=30, memory=256 * _MIB, processes=12, disk=4 * _MIB, output=64 * 1024)
_SMALL_MEMORY = 24 * _MIB
_HOG = f"python -I -S -c 'import time; kept = bytearray({4 * _SMALL_MEMORY}); time.sleep(20)'"
_SHORT = 0.02  # seconds: a limit that a command surely passes
_PATIENT = 20.0  # seconds: one that none passes, on a machine that does other things too
_TOLD = 300  # characters of what a failed probe said
_ALWAYS_SET = {"PATH", "PWD", "GIT_CONFIG_NOSYSTEM", *(name for name, _ in CONSTANT_ENVIRONMENT)}

_NETWORK = ("tcp", "udp", "abstract socket", "network interface")
_READ = ("read canary", "see home")
_WRITE = (
    *("write /", "write /usr", "write /etc", "write /dev", "write /opt", "write interpreter"),
    *(
        "write supervisor",
        "write core_pattern",
        "write canary",
        "chmod canary",
        "canary's times",
        "canary's attributes",
    ),
)
_AUTHORITY = ("unix socket", "abstract socket", "keyring")
_CALLS = ("mount", "user namespace", "ptrace", "keyring", "io_uring", "vsock")


@dataclass(frozen=True, slots=True)
class _Seen:
    """Contain what was observed, inside and out."""

    answer: Mapping[str, Any]
    attempts: Mapping[str, bool]
    survivors: int
    output: RawOutcome
    time: RawOutcome
    memory: RawOutcome


def probe(launcher: Launcher, used: Supervised, parent: Path) -> Probed:
    """Return what is proved of `used` by trying it in a stage of its own below `parent`."""
    facts = used.facts()
    with _workplace(parent) as place:
        integrator = confine.IntegratorProbe(place, used.integrator_argv)
        try:
            seen = _observe(launcher, used, place)
        except (StageUnavailable, SandboxError) as error:
            if isinstance(error, SandboxError) and error.kind is not ErrorKind.BROKEN:
                raise
            return Probed(False, str(error), nothing_given(used.name, str(error), facts))
        finally:
            integrator_failed = integrator.finish()
    promised = used.lacks()
    proofs = tuple(
        _as_promised(each, promised)
        for each in (*_proofs(seen, used), _integrator_proof(integrator_failed))
    )
    return Probed(True, "", Enforcement(used.name, proofs, _escaped(seen, used, promised), facts))


def probe_network(
    launcher: Launcher, used: Supervised, cache: Path
) -> tuple[PropertyProof, tuple[str, ...]]:
    """Return how a stage with a listener for the proxy is isolated all the same, and what it
    reached that it must not.
    """
    with _workplace(cache) as place, ExitStack() as opened:
        ask, datagrams = _set_bait(place, used, opened)
        folders = _lay_out(place, used)
        try:
            link = launcher.open_stage(plan(folders, _LIMITS, network=True))
            opened.callback(link.close)
            opened.callback(os.close, link.listener)
            answer = _ask(partial(_run, link, used.request(folders, _LIMITS.disk)), ask)
            attempts = {**answer["attempts"], "udp": _received(datagrams)}
            link.end()
        except (StageUnavailable, SandboxError) as error:
            return (
                PropertyProof(
                    Property.NET_ISOLATED, False, f"with a listener for the proxy: {error}"
                ),
                (),
            )
    proof = _proof_of(Property.NET_ISOLATED, attempts, _NETWORK)
    escaped = tuple(name for name in (*_NETWORK, "unix socket") if attempts.get(name, True))
    return replace(proof, how=f"with a listener for the proxy: {proof.how}"), escaped


@contextmanager
def _workplace(parent: Path) -> Iterator[Path]:
    place = Path(tempfile.mkdtemp(prefix="probe-", dir=parent))
    place.chmod(0o711)  # where there are no mounts, the packs' user goes through it
    try:
        yield place
    finally:
        remove_tree(place)


# --- observing


def _observe(launcher: Launcher, used: Supervised, place: Path) -> _Seen:
    folders = _lay_out(place, used)
    with ExitStack() as opened:
        ask, datagrams = _set_bait(place, used, opened)
        if folders.user is not None:
            opened.callback(folders.user.close)
        link = launcher.open_stage(plan(folders, _LIMITS), folders.kept)
        opened.callback(link.close)
        run = partial(_run, link, used.request(folders, _LIMITS.disk))
        answer = _ask(run, ask)
        attempts = {**answer["attempts"], "udp": _received(datagrams)}
        survivors = _count_survivors(ask["abstract"])
        flood = run("yes", output=_LIMITS.output)
        slow = run("sleep 20", timeout=_SHORT)
        hog = run(_HOG, memory=_SMALL_MEMORY)
        link.end()
    return _Seen(answer, attempts, survivors, flood, slow, hog)


def _lay_out(place: Path, used: Supervised) -> Folders:
    workspace = place / "workspace"
    workspace.mkdir()
    program = workspace / _INSIDE.name
    program.write_bytes(_INSIDE.read_bytes())
    (place / "canary").write_text("a probe must not read this\n", "ascii")
    for path in (workspace, program):
        os.chmod(path, 0o755)
    for path in (
        workspace,
        program,
        place / "canary",
    ):  # as all that packs share belongs to this user
        os.chown(path, *host.sandbox_owner())
    return used.probe_folders(workspace)


def _set_bait(
    place: Path, used: Supervised, opened: ExitStack
) -> tuple[dict[str, Any], socket.socket]:
    """Set out things of this host that must be out of reach: listeners, a file, the home folder."""
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
        "files": used.files_to_try(_LIMITS),  # where a bound is promised: they cost time
        "forks": 2 * _LIMITS.processes,
    }, datagrams


def _listen(opened: ExitStack, family: int, address: Any) -> socket.socket:
    listener = opened.enter_context(socket.socket(family, socket.SOCK_STREAM))
    listener.bind(address)
    listener.listen()
    return listener


def _listen_by_path(place: Path, opened: ExitStack) -> str:
    """Return the path of a socket next to the canary; it may be too long for an address, so the
    socket is bound by descriptor.
    """
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


def _ask(run: Callable[[str], RawOutcome], ask: dict[str, Any]) -> dict[str, Any]:
    outcome = run(f"exec python -I -S {_INSIDE.name} {shlex.quote(json.dumps(ask))}")
    try:
        answer = json.loads(outcome.log.splitlines()[-1])
    except (IndexError, ValueError) as error:
        said = outcome.log.decode("utf-8", "replace").strip().rpartition("\n")[2][:_TOLD]
        raise SandboxError(
            ErrorKind.BROKEN, f"no command can run in the sandbox: {said or outcome.ended}"
        ) from error
    if not isinstance(answer, dict):
        raise SandboxError(
            ErrorKind.BROKEN, "no command can run in the sandbox: the probe's answer cannot be read"
        )
    return answer


def _run(
    link: StageLink,
    ask: Request,
    line: str,
    timeout: float = _PATIENT,
    memory: int = _LIMITS.memory,
    output: int = _LIMITS.output,
) -> RawOutcome:
    return link.run(ask(line, "", ()) | {"timeout": timeout, "memory": memory}, output, None)


def _received(datagrams: socket.socket) -> bool:
    try:
        return bool(datagrams.recv(64))
    except BlockingIOError:
        return False


def _count_survivors(mark: str) -> int:
    """Count processes of this host whose command line bears the probe's own mark."""
    count = 0
    for name in os.listdir("/proc"):
        if name.isdecimal():
            try:
                count += mark.encode("ascii") in Path(f"/proc/{name}/cmdline").read_bytes()
            except OSError:
                continue  # gone, or not ours: what runs in the sandbox is ours
    return count


# --- judging


_ATTEMPTS = {
    Property.NET_ISOLATED: _NETWORK,
    Property.FS_READ_SCOPED: _READ,
    Property.FS_WRITE_SCOPED: _WRITE,
    Property.AUTHORITY_SOCKETS_HIDDEN: _AUTHORITY,
    Property.SYSCALLS_FILTERED: _CALLS,
}


def _escaped(seen: _Seen, used: Supervised, promised: Mapping[Property, str]) -> tuple[str, ...]:
    """Return what worked although this backend promises that it cannot. Unknown counts as
    possible.
    """
    guarded = [name for each, names in _ATTEMPTS.items() if not promised[each] for name in names]
    if not used.filter:
        guarded = [name for name in guarded if name not in _CALLS]
    return tuple(name for name in dict.fromkeys(guarded) if seen.attempts.get(name, True))


def _as_promised(proof: PropertyProof, promised: Mapping[Property, str]) -> PropertyProof:
    """Return the proof, not given where the backend does not promise the property, whatever was
    tried in vain.
    """
    lack = promised[proof.property]
    if not lack:
        return proof
    return PropertyProof(proof.property, False, lack if proof.given else f"{lack}; {proof.how}")


def _proofs(seen: _Seen, used: Supervised) -> tuple[PropertyProof, ...]:
    return (
        _by_attempts(Property.NET_ISOLATED, seen, _NETWORK),
        _by_attempts(Property.FS_READ_SCOPED, seen, _READ),
        _by_attempts(Property.FS_WRITE_SCOPED, seen, _WRITE),
        _environment_proof(seen),
        _by_attempts(Property.AUTHORITY_SOCKETS_HIDDEN, seen, _AUTHORITY),
        _calls_proof(seen, used),
        _process_proof(seen),
        _ended_proof(
            Property.MEMORY_BOUNDED, seen.memory, "memory", "watchdog: what took too much was ended"
        ),
        _disk_proof(seen),
        _ended_proof(
            Property.OUTPUT_BOUNDED,
            seen.output,
            "output",
            "a flood of output was ended at the bound",
        ),
        _ended_proof(
            Property.TIME_BOUNDED, seen.time, "timeout", "a command was ended at its time limit"
        ),
        _survivor_proof(seen),
    )


def _by_attempts(wanted: Property, seen: _Seen, names: tuple[str, ...]) -> PropertyProof:
    return _proof_of(wanted, seen.attempts, names)


def _proof_of(
    wanted: Property, attempts: Mapping[str, bool], names: tuple[str, ...]
) -> PropertyProof:
    reached = [name for name in names if attempts.get(name, True)]
    if reached:
        return PropertyProof(wanted, False, f"possible inside: {', '.join(reached)}")
    return PropertyProof(wanted, True, f"tried and refused: {', '.join(names)}")


def _environment_proof(seen: _Seen) -> PropertyProof:
    odd = sorted(set(seen.answer["environment"]) - _ALWAYS_SET - {"LD_LIBRARY_PATH", "LC_CTYPE"})
    open_files = [number for number in seen.answer["descriptors"] if number > 2]
    if odd or open_files:
        return PropertyProof(
            Property.ENV_SCOPED, False, f"inherited: {', '.join([*odd, *map(str, open_files)])}"
        )
    return PropertyProof(
        Property.ENV_SCOPED, True, "only the constant variables and no inherited descriptor"
    )


def _calls_proof(seen: _Seen, used: Supervised) -> PropertyProof:
    if not used.filter:
        return PropertyProof(
            Property.SYSCALLS_FILTERED, False, f"there is no filter for {platform.machine()}"
        )
    status = seen.answer["status"]
    wanted = {"NoNewPrivs": "1", "Seccomp": "2"}
    wrong = [
        f"{name} is {status.get(name)}"
        for name, value in wanted.items()
        if status.get(name) != value
    ]
    kept = ("CapEff", "CapPrm", "CapBnd") if used.empty_bounding_set else ("CapEff", "CapPrm")
    wrong += [f"{name} is {status.get(name)}" for name in kept if int(status[name], 16)]
    if wrong:
        return PropertyProof(Property.SYSCALLS_FILTERED, False, ", ".join(wrong))
    return _by_attempts(Property.SYSCALLS_FILTERED, seen, _CALLS)


def _process_proof(seen: _Seen) -> PropertyProof:
    forks, bound = seen.answer["forks"], _LIMITS.processes
    given = 0 < forks <= bound
    return PropertyProof(
        Property.PIDS_BOUNDED,
        given,
        f"{forks} children could be started where {bound} processes are allowed",
    )


def _disk_proof(seen: _Seen) -> PropertyProof:
    full = {errno.ENOSPC, errno.EDQUOT}
    given = all(number in full | {errno.EFBIG} for number in seen.answer["disk"])
    given = given and all(number in full for number in seen.answer["inodes"])
    ended = f"{seen.answer['disk']}, creating twice as many files with {seen.answer['inodes']}"
    how = "writing twice the limit, in bytes and in files, failed"
    how = how if given else f"writing twice the limit ended with {ended}"
    return PropertyProof(Property.DISK_BOUNDED, given, how)


def _ended_proof(wanted: Property, outcome: RawOutcome, ended: str, how: str) -> PropertyProof:
    given = outcome.ended == ended
    return PropertyProof(
        wanted, given, how if given else f"expected the end {ended}, found {outcome.ended}"
    )


def _survivor_proof(seen: _Seen) -> PropertyProof:
    if seen.survivors:
        return PropertyProof(
            Property.NO_SURVIVORS, False, f"{seen.survivors} processes outlived their command"
        )
    return PropertyProof(
        Property.NO_SURVIVORS,
        True,
        "a daemon in its own session was dead when its command had ended",
    )


def _integrator_proof(failed: str) -> PropertyProof:
    how = (
        failed
        or "tried and refused outside the run folder: create, write, chmod, times, unlink, TCP"
    )
    return PropertyProof(Property.INTEGRATOR_CONFINED, not failed, how)
