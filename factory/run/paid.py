"""Know what acceptance commands said before, so that no check is paid for twice.

    >>> commands = (Command("tests-1", CommandKind.TESTS, "", "pytest"),)
    >>> one, other = keys_of({"tree": "1"}, commands), keys_of({"tree": "2"}, commands)
    >>> one == keys_of({"tree": "1"}, commands), one == other
    (True, False)

A check is known by a key over all that decides it: what it sees, its folder, variables,
environments, tools, limits, properties, the system, and the commands of its stage up to it. Only
code 0 is believed, and only under the seal of this user at this place; a check that ever failed
under its key is not believed again, whatever it says later. Nothing here runs or judges a command:
whoever reuses one judges its log again. Makes entries as values: the pipeline writes them.
"""

from __future__ import annotations

import functools
import hashlib
import json
import os
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from factory.files.ports import Store
from factory.files.seals import UserSeal
from factory.git.merged_view import Collected
from factory.model.command_kind import CommandKind
from factory.model.layout import CHECKS, RunFolder
from factory.model.pack import Command
from factory.plan.plan import PlannedPack
from factory.plan.site import Site
from factory.sandbox.properties import Enforcement
from factory.strict import canonical
from factory.version import __version__

MOST_BYTES = 16 * 1024 * 1024
"""Log and files of one check; what has more is not kept."""
_FORM = f"check 1, {__version__}"
# Facts of a sandbox that decide what a command meets.
_FACTS = ("bwrap_sha256", "bwrap_version", "kernel", "landlock_abi", "seccomp_sha256")
_DATABASES = (
    *("/var/lib/dpkg/status", "/lib/apk/db/installed", "/usr/lib/sysimage/rpm/rpmdb.sqlite"),
    *("/var/lib/rpm/rpmdb.sqlite", "/var/lib/rpm/Packages", "/var/lib/pacman/local"),
)

_NO_ENTRY = (ValueError, KeyError, TypeError, RecursionError)

__all__ = ["CommandKind"]  # for the example above


@dataclass(frozen=True, slots=True)
class KnownCheck:
    """Describe what a check said with code 0: the run that it ended in ("": this one, until it is
    written), its log as it was printed, and the files that `patterns` named in its stage
    afterwards. `watched`: what it tried of the network could be seen, and there was nothing.
    """

    run: str
    log: bytes
    watched: bool
    patterns: tuple[str, ...] = ()
    collected: tuple[Collected, ...] = ()

    @property
    def size(self) -> int:
        return len(self.log) + sum(len(each.content) for each in self.collected)


@dataclass(frozen=True, slots=True)
class MadeCheck:
    """Describe what is to be remembered under a key: a check, or None where it failed."""

    key: str
    known: KnownCheck | None


class CheckMemory:
    """Read what is remembered of checks in one state folder, of packs whose interpreter is
    `python` ("": the orchestrator's own), by an orchestrator whose `code` has this digest. With
    `fresh` nothing is believed. `foreign` are keys of entries without a seal that fits; `made` has
    what commands said since.
    """

    def __init__(
        self, store: Store, seal: UserSeal, code: str, python: str = "", fresh: bool = False
    ) -> None:
        self._store, self._seal, self._fresh = store, seal, fresh
        self._code, self._python = code, python
        self.foreign: set[str] = set()
        self.made: list[MadeCheck] = []

    def apart(self) -> CheckMemory:
        """Return the same without what was made so far."""
        return CheckMemory(self._store, self._seal, self._code, self._python, self._fresh)

    def keys(self, planned: PlannedPack, tree: str, enforcement: Enforcement) -> tuple[str, ...]:
        """Return the key of each acceptance command of a pack over `tree`; () where none of them
        may be reused.
        """
        found = around(planned, tree, enforcement, self._python) if self._seal.lasting else None
        if found is None:
            return ()
        return keys_of({**found, "code": self._code}, planned.pack.acceptance)

    def stage(self, keys: tuple[str, ...]) -> tuple[KnownCheck, ...]:
        """Return what all commands of a stage said, by their keys; () unless all are known."""
        found = []
        for key in keys if not self._fresh else ():
            known = self._find(key)
            if known is None:
                return ()
            found.append(known)
        return tuple(found)

    def _find(self, key: str) -> KnownCheck | None:
        """Return what a check said; None where nothing can be believed, or its run is gone."""
        content = self._store.read(_path(key))
        if content is None:
            return None
        try:
            known = _parsed(key, content, self._seal)
            there = known is not None and self._store.names(RunFolder.of(known.run))
            return known if there else None
        except _NO_ENTRY:
            self.foreign.add(key)
            return None


def check_memory(site: Site, code: str) -> CheckMemory:
    """Return what is remembered of checks in a repository; `code` is the digest of our own."""
    return CheckMemory(site.store, site.seal, code, site.config.python, site.config.fresh)


def remember(made: Iterable[MadeCheck], run: str, store: Store, seal: UserSeal) -> None:
    """Write what commands of `run` said. What failed once under its key stays failed. Raise Refusal
    DISK_UNWRITABLE, SECRET_WITHHELD.
    """
    for each in made:
        path = _path(each.key)
        if each.known is None or not _failed_before(each.key, store.read(path) or b"", seal):
            store.write(path, _formatted(each.key, each.known, run, seal), durable=False)


def keys_of(around: Mapping[str, object], commands: Iterable[Command]) -> tuple[str, ...]:
    """Return the key of each command of a stage: over all `around` it, and the commands up to
    it.
    """
    rows: list[object] = []
    keys = []
    for command in commands:
        rows.append([command.run, command.cwd, command.timeout or 0, _digests(command.env)])
        keys.append(canonical.digest({**around, "form": _FORM, "commands": [*rows]}))
    return tuple(keys)


def around(
    planned: PlannedPack, tree: str, enforcement: Enforcement, python: str
) -> dict[str, object] | None:
    """Return all that decides a pack's checks over `tree`, besides the commands; None for a pack
    whose checks are never reused: one whose acceptance has network, one with variables that are
    passed on, or with a plugin; and for every pack where no package database says what the system
    is.
    """
    pack, action = planned.pack, planned.action
    if pack.acceptance_network or pack.env_passed or pack.plugin or enforcement.escaped:
        return None
    system, facts = system_fingerprint(python), enforcement.facts
    if not system:
        return None
    return {
        "tree": tree,
        "folder": pack.folder,
        "variables": _digests(planned.environment),
        "environments": [[row.name, row.sha256, list(row.outputs)] for row in planned.environments],
        "tools": [row.model_dump(mode="json") for row in action.tools],
        "limits": planned.lock.limits.model_dump(mode="json"),
        "required": list(planned.lock.required_properties),
        "given": sorted(given.value for given in enforcement.given),
        "backend": [enforcement.backend, *(facts.get(name, "") for name in _FACTS)],
        "system": system,
    }


@functools.cache
def system_fingerprint(python: str) -> str:
    """Return a digest of the system that every sandbox shows: the database of its packages, and
    the interpreter `python` ("": this one) with the packages that are installed for it; "" where
    there is no database.
    """
    if not any(map(os.path.exists, _DATABASES)):
        return ""
    digest = hashlib.sha256()
    for name in _DATABASES:
        _add(digest, name, Path(name))
    prefix = Path(python).parent.parent if python else Path(sys.prefix)
    for place in (Path(python or sys.executable), prefix / "pyvenv.cfg"):
        _add(digest, str(place), place)
    for folder in sorted(prefix.glob("lib*/python3*/*-packages")):
        for entry in sorted(folder.iterdir()):
            _add(digest, str(entry), entry)
    return digest.hexdigest()


def _add(digest: hashlib._Hash, name: str, place: Path) -> None:
    try:
        found = place.stat()
        said = f"{found.st_size} {found.st_mtime_ns}"
    except OSError:
        said = "absent"
    digest.update(f"{name}\0{said}\0".encode("utf-8", "surrogateescape"))


def _digests(variables: Iterable[tuple[str, str]]) -> list[list[str]]:
    """Return variables with digests instead of values, by name."""
    return [
        [name, hashlib.sha256(value.encode("utf-8", "surrogateescape")).hexdigest()]
        for name, value in sorted(variables)
    ]


def _path(key: str) -> str:
    return str(CHECKS.at(key))


def _formatted(key: str, known: KnownCheck | None, run: str, seal: UserSeal) -> bytes:
    head: dict[str, object] = {"form": _FORM, "key": key, "run": run, "passed": known is not None}
    blob = b""
    if known is not None:
        rows = [
            [each.path, each.executable, each.problem, len(each.content)]
            for each in known.collected
        ]
        head |= {"log": len(known.log), "watched": known.watched, "collected": rows}
        head["patterns"] = list(known.patterns)
        blob = b"".join((known.log, *(each.content for each in known.collected)))
    rest = json.dumps(head, separators=(",", ":")).encode("ascii") + b"\n" + blob
    return seal(_path(key), hashlib.sha256(rest).hexdigest()).encode("ascii") + b"\n" + rest


def _failed_before(key: str, content: bytes, seal: UserSeal) -> bool:
    try:
        return _parsed(key, content, seal) is None
    except _NO_ENTRY:
        return False


def _parsed(key: str, content: bytes, seal: UserSeal) -> KnownCheck | None:
    """Return what an entry says, None for a check that failed. Raise ValueError, KeyError or
    TypeError for what this user did not write here.
    """
    named, _, rest = content.partition(b"\n")
    if not seal.fits(named.decode("ascii"), _path(key), hashlib.sha256(rest).hexdigest()):
        raise ValueError("damaged, or not sealed by this user")
    line, _, blob = rest.partition(b"\n")
    head = json.loads(line)
    if head["form"] != _FORM or head["key"] != key:
        raise ValueError("another form")
    if not head["passed"]:
        return None
    at = head["log"]
    collected = []
    for path, executable, problem, size in head["collected"]:
        collected.append(Collected(path, blob[at : at + size], executable, problem))
        at += size
    log = blob[: head["log"]]
    return KnownCheck(head["run"], log, head["watched"], tuple(head["patterns"]), tuple(collected))
