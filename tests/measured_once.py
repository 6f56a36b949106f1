"""The sandbox measured once for each way of confining, its /etc and its interpreter's folder laid
once, instead of once for each process that a test starts.

A measurement is kept under all that it depends on: user, home, binary, backend, filter, and what is
shown of the host. Only one without a lack is kept, so what is missing or reached is found anew
each time. Tests of the sandbox itself, and every program that is not forked by `tests.warm`, measure
for real each time.
"""

from __future__ import annotations

import atexit
import hashlib
import json
import os
import re
import tempfile
from collections.abc import Callable, Hashable, Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

from factory.sandbox import probe, python_env, system_view
from factory.sandbox.backend import Probed
from factory.sandbox.bubblewrap import Mount
from factory.sandbox.link import Launcher
from factory.sandbox.plan import Folders
from factory.sandbox.properties import PropertyProof
from factory.sandbox.sealed import Seal
from factory.sandbox.supervised import Supervised

Report = Callable[[Mapping[Hashable, Any]], None]

KNOWN: dict[Hashable, Any] = {}
HOST, USR = Path("/etc"), Path("/usr")
# Copies made for one state folder or another are alike: their names are digests of what they hold.
_OF_STATE = re.compile(r'"[^"]*/(?:\.factory/|(?=(?:etc|python)-[0-9a-f]{20}"))')


def install(shared: Path, report: Report = lambda new: None) -> None:
    """Take measurements from KNOWN, and what is laid from below `shared`, in this process from here
    on.

    `report` is called with all new ones whenever there is one more, never by a forked child.
    """
    owner = os.getpid()
    new: dict[Hashable, Any] = {}

    def add(key: Hashable, found: Any) -> None:
        KNOWN[key] = new[key] = found
        if os.getpid() == owner:
            report(new)

    for name, is_good in (("probe", _is_whole), ("probe_network", _is_isolated)):
        setattr(probe, name, _once(getattr(probe, name), is_good, add))
    # Hundreds of links and files, the same for every state folder.
    etc_mount, view_of = system_view.etc_mount, python_env.view_of

    def same_etc(cache: Path, seal: Seal, host: Path = HOST, usr: Path = USR) -> Mount:
        if host == HOST:
            return etc_mount(shared, _same, host, usr)
        return etc_mount(cache, seal, host, usr)

    system_view.etc_mount = same_etc
    python_env.view_of = lambda interpreter, cache, seal: view_of(interpreter, shared, _same)


def _same(name: str, content: str) -> str:
    """Return the same seal in every process: they share the folder."""
    return f"{name} {content}"


@contextmanager
def installed() -> Iterator[None]:
    """Take measurements from KNOWN for a while; what follows measures for real again."""
    real = probe.probe, probe.probe_network, system_view.etc_mount, python_env.view_of
    install(_shared())
    try:
        yield
    finally:
        probe.probe, probe.probe_network, system_view.etc_mount, python_env.view_of = real


@cache
def _shared() -> Path:
    """One folder for all that this process does while it takes what is known."""
    folder = tempfile.TemporaryDirectory(prefix="factory-tests-")
    atexit.register(folder.cleanup)
    return reachable(folder.name)


def reachable(folder: str) -> Path:
    """The folder, entered by every user: packs of root's run as another one."""
    os.chmod(folder, 0o711)
    return Path(folder)


def _once(
    measure: Callable[..., Any],
    is_good: Callable[[Supervised, Any], bool],
    add: Callable[[Hashable, Any], None],
) -> Callable[..., Any]:
    def measured(launcher: Launcher, used: Supervised, parent: Any) -> Any:
        key = (measure.__name__, *_key(used))
        if key in KNOWN:
            return KNOWN[key]
        found = measure(launcher, used, parent)
        if is_good(used, found):
            add(key, found)
        return found

    return measured


def _key(used: Supervised) -> tuple[Hashable, ...]:
    program = used.bubblewrap.program if used.bubblewrap is not None else None
    given = [used.template(), used.words(Folders(writable=Path("/w")), 1, ())]
    return (
        (os.geteuid(), os.getegid(), os.path.expanduser("~")),
        type(used).__qualname__,
        program and hashlib.sha256(program.read_bytes()).hexdigest(),
        _OF_STATE.sub('"', json.dumps(given, sort_keys=True)),
    )


def _is_whole(used: Supervised, found: Probed) -> bool:
    promised = used.lacks()
    return (
        found.started
        and not found.enforcement.escaped
        and all(each.given or promised[each.property] for each in found.enforcement.proofs)
    )


def _is_isolated(used: Supervised, found: tuple[PropertyProof, tuple[str, ...]]) -> bool:
    return found[0].given and not found[1]
