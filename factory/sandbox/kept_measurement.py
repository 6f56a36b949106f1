"""Keep what was measured of this host for the next starts of the same boot, under a seal.

A probe takes as long as a small pack. It is spared while all that it depends on is as it was: this
code, the setting, binary and interpreter, kernel and boot, the process's user, rights, namespaces,
bounds and mounts, and the kernel's switches for namespaces. What was kept is believed for an hour.
Only a measurement in which every promise was kept is written down, so a host that lacks something
is asked each time. Does not know how a host is measured.
"""

from __future__ import annotations

import contextlib
import hashlib
import hmac
import json
import os
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

from factory.sandbox.backend import Backend, Offer
from factory.sandbox.properties import Enforcement, Property, PropertyProof
from factory.sandbox.values import SandboxError

if sys.platform != "win32":
    import resource

_FILE = "measured"
_BELIEVED = 3600.0  # seconds of this boot
_LARGEST = 1 << 16
_FLAGS = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)
MEASURED = "measured"
"""The fact that says when: its values are the next two."""
NOW, BEFORE = "by this start", "by an earlier start of this boot"
_CODE = Path(__file__).parent
# What decides whether a process may make namespaces, and what it may do in them.
_SWITCHES = (
    "/proc/sys/kernel/random/boot_id",
    "/proc/sys/kernel/unprivileged_userns_clone",
    "/proc/sys/kernel/apparmor_restrict_unprivileged_userns",
    "/proc/sys/kernel/yama/ptrace_scope",
    "/proc/sys/kernel/core_pattern",
    "/proc/sys/user/max_user_namespaces",
    "/proc/sys/user/max_mnt_namespaces",
    "/proc/sys/user/max_net_namespaces",
    "/proc/sys/user/max_pid_namespaces",
    "/proc/self/attr/current",
    "/proc/self/cgroup",
    "/proc/self/uid_map",
    "/proc/self/gid_map",
    "/proc/self/mountinfo",
)
_RIGHTS = ("Uid", "Gid", "Groups", "Cap", "NoNewPrivs", "Seccomp")


@dataclass(frozen=True, slots=True)
class KeptMeasurement:
    """Name a backend by its class and its place among the ways of it, and what was proved."""

    kind: str
    way: int
    enforcement: Enforcement


def read_kept(offer: Offer) -> KeptMeasurement | None:
    """Return what an earlier start of this boot measured; None where nothing may be believed."""
    if not offer.setting.keeps or sys.platform != "linux":
        return None
    with contextlib.suppress(OSError, ValueError, KeyError, TypeError, SandboxError):
        path = offer.cache / _FILE
        seal, _, body = _content(path).partition("\n")
        if not hmac.compare_digest(seal.encode(), offer.setting.seal(str(path), body).encode()):
            return None
        kept = json.loads(body)
        age = time.clock_gettime(time.CLOCK_BOOTTIME) - kept["at"]
        if kept["key"] == _key(offer) and 0 <= age < _BELIEVED:
            return _parsed(kept)
    return None


def keep(offer: Offer, way: int, backend: Backend, enforcement: Enforcement) -> None:
    """Write down what was just measured, unless a promise was not kept. Never raises: the next
    start measures again.
    """
    promised = backend.promised()
    if not offer.setting.keeps or sys.platform != "linux":
        return
    if enforcement.escaped or not promised or not promised <= enforcement.given:
        return
    with contextlib.suppress(OSError, ValueError, SandboxError):
        path = offer.cache / _FILE
        body = json.dumps(
            {
                "key": _key(offer),
                "at": time.clock_gettime(time.CLOCK_BOOTTIME),
                "kind": name_of(type(backend)),
                "way": way,
                "backend": enforcement.backend,
                "proofs": [[one.property.value, one.given, one.how] for one in enforcement.proofs],
                "facts": dict(enforcement.facts),
                "no_proxy": enforcement.no_proxy,
            }
        )
        draft = path.with_name(f".{_FILE}-{os.getpid()}-{os.urandom(4).hex()}")
        draft.write_text(f"{offer.setting.seal(str(path), body)}\n{body}", "utf-8")
        draft.replace(path)


def forget(offer: Offer) -> None:
    """Remove what was kept: a stage could not be opened, so the host is not as it was."""
    if offer.setting.keeps:
        with contextlib.suppress(OSError):
            (offer.cache / _FILE).unlink()


def name_of(kind: type[Backend]) -> str:
    """Return the name of a class of backends, as it is kept."""
    return f"{kind.__module__}.{kind.__qualname__}"


def dated(enforcement: Enforcement, when: str) -> Enforcement:
    """Return the same with the fact that says when it was measured."""
    return replace(enforcement, facts={**enforcement.facts, MEASURED: when})


def _content(path: Path) -> str:
    descriptor = os.open(path, _FLAGS)
    with open(descriptor, "rb") as stream:
        content = stream.read(_LARGEST + 1)
    if len(content) > _LARGEST:
        raise ValueError(_FILE)
    return content.decode("utf-8")


def _parsed(kept: Mapping[str, Any]) -> KeptMeasurement:
    proofs = tuple(PropertyProof(Property(name), given, how) for name, given, how in kept["proofs"])
    if {proof.property for proof in proofs} != set(Property):
        raise ValueError("properties")
    facts = {str(name): str(value) for name, value in kept["facts"].items()}
    enforcement = Enforcement(kept["backend"], proofs, (), facts, kept["no_proxy"])
    return KeptMeasurement(kept["kind"], kept["way"], dated(enforcement, BEFORE))


def _key(offer: Offer) -> str:
    """Return a digest of all that a measurement depends on."""
    hashed = hashlib.sha256()
    for row in _conditions(offer):
        hashed.update(repr(row).encode("utf-8", "surrogateescape") + b"\n")
    return hashed.hexdigest()


def _conditions(offer: Offer) -> Iterator[object]:
    chosen = offer.setting
    yield [
        (each.name, getattr(chosen, each.name)) for each in fields(chosen) if each.name != "seal"
    ]
    with os.scandir(_CODE) as entries:
        yield sorted(_numbers(entry.path) for entry in entries if entry.name.endswith(".py"))
    for binary in offer.bubblewraps:
        yield binary, _numbers(binary.program)
    yield offer.interpreter, _numbers(offer.interpreter.executable), _numbers(sys.executable)
    yield tuple(os.uname())
    spaces = sorted(os.listdir("/proc/self/ns"))
    yield [(name, os.readlink(f"/proc/self/ns/{name}")) for name in spaces]
    yield [resource.getrlimit(which) for which in sorted(_bounds())]
    for path in _SWITCHES:
        with contextlib.suppress(OSError):
            yield path, Path(path).read_bytes()
    status = Path("/proc/self/status").read_text("utf-8", "replace").splitlines()
    yield [line for line in status if line.startswith(_RIGHTS)]


def _bounds() -> Iterator[int]:
    return (getattr(resource, name) for name in dir(resource) if name.startswith("RLIMIT_"))


def _numbers(path: str | Path) -> tuple[object, ...]:
    seen = os.stat(path)
    changed = (seen.st_mtime_ns, seen.st_ctime_ns)
    return str(path), seen.st_dev, seen.st_ino, seen.st_mode, seen.st_size, *changed
