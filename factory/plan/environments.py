"""Keep prepared environments: content-addressed folders in the state folder, believed under a seal.

An environment is found by a key over commands, inputs, tools and platform. What is found is a
record with the digest of its tree, and the tree as a folder that is mounted below the private layer
of packs. Both have a seal of this user: one that somebody else brought, or that was changed since,
is not there. Does not know how an environment is made.
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
import shlex
import sys
import threading
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from factory.files import fs_guard
from factory.files.seals import UserSeal
from factory.git.view_files import ViewFiles
from factory.model.action import ToolRecord
from factory.model.environment import DeclaredEnvironment
from factory.plan.host_folders import FolderNotShown, HostFolders, read_folders
from factory.sandbox.host import sandbox_owner
from factory.sandbox.sealed import is_sealed, write_seal
from factory.strict import canonical

# In the private repository of a view: never listed, never a change, and in no tool's way.
HOME_FOLDER = ".git/home"
_FORM = "environment/1"
_TREES = "trees"


@dataclass(frozen=True, slots=True)
class Prepared:
    """Describe a prepared environment: SHA-256 of its tree, and how much is in it. `made` is the
    time (RFC 3339).
    """

    name: str
    key: str
    sha256: str
    outputs: tuple[str, ...]
    files: int
    bytes: int
    made: str


@dataclass(frozen=True, slots=True)
class KeptFile:
    """Describe one file of an output: its path, whether it is executable, and where its bytes are
    now; or the target of a link.
    """

    path: str
    executable: bool
    sha256: str
    size: int
    content: Path | None
    link: str = ""


def environment_key(declared: DeclaredEnvironment, inputs: str, tools: Iterable[ToolRecord]) -> str:
    """Return the key: SHA-256 over commands, the id of the tree of inputs, tools and platform."""
    return canonical.digest(
        {
            "form": _FORM,
            "prepare": list(declared.prepare),
            "cwd": declared.cwd,
            "inputs": inputs,
            "outputs": list(declared.outputs),
            "tools": [[tool.name, tool.version, tool.sha256] for tool in tools],
            "platform": [sys.platform, platform.machine(), *platform.libc_ver()],
        }
    )


def host_key(declared: DeclaredEnvironment, content: str) -> str:
    """Return the key of folders of the user's: SHA-256 over their names and a digest of what is in
    them.
    """
    folders = [declared.host, *declared.also]
    return canonical.digest({"form": _FORM, "host": folders, "content": content})


def programs_of(declared: DeclaredEnvironment) -> tuple[str, ...]:
    """Return the names that its commands begin with: tools of the host, where it has them."""
    names = ["python"]
    for command in declared.prepare:
        try:
            words = shlex.split(command)
        except ValueError:
            continue  # the shell will say what is wrong with it
        first = next((word for word in words if "=" not in word), "")
        if first and "/" not in first:
            names.append(first)
    return tuple(dict.fromkeys(names))


class EnvironmentStore:
    """Keep prepared environments below `root`, under the seal of one user."""

    def __init__(self, root: Path, seal: UserSeal, home: Path | None = None) -> None:
        """Take the user's `home`, which folders of the kind `host` are in."""
        self.root = root
        self._home = home or Path(os.path.expanduser("~"))
        self._seal = seal
        self._guard = threading.Lock()
        self._known: dict[str, Prepared] = {}
        self._folders: dict[str, HostFolders] = {}

    def host(self, declared: DeclaredEnvironment) -> HostFolders:
        """Return what is in the user's folders that an environment names, read once for each
        process. Raise FolderNotShown.
        """
        with self._guard:
            if declared.name not in self._folders:
                folders = (declared.host, *declared.also)
                cache = self.root / f"{declared.name}.digests"
                self._folders[declared.name] = read_folders(self._home, folders, cache, self._seal)
            return self._folders[declared.name]

    def keep_host(self, declared: DeclaredEnvironment, key: str, made: str) -> Prepared:
        """Copy the user's folders into their place, to be shown as the home of packs. Raise
        FolderNotShown, Refusal DISK_UNWRITABLE.
        """
        files = (
            KeptFile(
                f"{HOME_FOLDER}/{one.path}",
                one.executable,
                one.sha256,
                one.size,
                self._home / one.path if one.link is None else None,
                one.link or "",
            )
            for one in self.host(declared).files
        )
        return self.keep(declared, key, files, made)

    def known(self, name: str, key: str) -> Prepared | None:
        """Return the environment that was prepared for this key; None where there is none, or its
        seal does not fit. The tree is compared once for each process: one walk over file times.
        """
        with self._guard:
            if key not in self._known:
                found = self._read(self._record(name, key))
                if found is None or not is_sealed(self.folder(found.sha256), self._seal):
                    return None
                self._known[key] = found
            return self._known[key]

    def folder(self, sha256: str) -> Path:
        """Return where the tree with this digest is kept."""
        return self.root / _TREES / sha256

    def log(self, name: str) -> Path:
        """Return where the log of the last preparation is."""
        return self.root / f"{name}.log"

    def every(self) -> tuple[tuple[Prepared, Path], ...]:
        """Return each environment with a record that is believed and a tree, and that file, by name
        and time.
        """
        read = ((self._read(place), place) for place in self.root.glob("*.json"))
        found = [
            (one, place)
            for one, place in read
            if one is not None and self.folder(one.sha256).is_dir()
        ]
        return tuple(sorted(found, key=lambda row: (row[0].name, row[0].made)))

    def superseded(self) -> tuple[str, ...]:
        """Return the digests of trees of which a later one was prepared under the same name, and
        that are the latest under no other.
        """
        every = [one for one, _ in self.every()]
        latest = {one.name: one.sha256 for one in every}
        old = (one.sha256 for one in every if one.sha256 not in latest.values())
        return tuple(dict.fromkeys(old))

    def draft(self) -> Path:
        """Return a fresh empty folder for what is being made. Raise Refusal DISK_UNWRITABLE."""
        place = self.root / _TREES / f".draft-{os.getpid()}-{os.urandom(4).hex()}"
        fs_guard.make_folder(place)
        return place

    def keep(
        self, declared: DeclaredEnvironment, key: str, files: Iterable[KeptFile], made: str
    ) -> Prepared:
        """Put files into their place, durable and sealed, and record them. Raise Refusal
        DISK_UNWRITABLE.
        """
        kept = sorted(files, key=lambda file: os.fsencode(file.path))
        prepared = Prepared(
            declared.name,
            key,
            canonical.digest([[one.path, _mode(one), one.sha256] for one in kept]),
            declared.outputs,
            len(kept),
            sum(one.size for one in kept),
            made,
        )
        place = self.folder(prepared.sha256)
        with self._guard:
            if not is_sealed(place, self._seal):
                fresh = self.draft()
                try:
                    _write(fresh, kept)
                    with fs_guard.disk_errors(fresh):
                        fs_guard.sync_trees((fresh,))
                        fs_guard.remove_tree(place)
                        os.rename(fresh, place)
                        write_seal(place, self._seal)
                except BaseException:
                    fs_guard.remove_tree(fresh)
                    raise
            row = _row(prepared)
            sealed = {**row, "seal": self._seal(f"environment/{key}", canonical.digest(row))}
            record = self._record(prepared.name, key)
            fs_guard.write_atomic(record, json.dumps(sealed, sort_keys=True).encode() + b"\n")
            self._known[key] = prepared
        return prepared

    def remove(self, names: Iterable[str]) -> tuple[Prepared, ...]:
        """Remove environments by name, and trees that no record needs any more; return what
        went. Raise Refusal DISK_UNWRITABLE.
        """
        wanted = set(names)
        gone = [(one, place) for one, place in self.every() if one.name in wanted]
        for _, place in gone:
            with fs_guard.disk_errors(place):
                place.unlink()
        for name in wanted:
            self.log(name).unlink(missing_ok=True)
        self.sweep()
        self._known.clear()
        return tuple(one for one, _ in gone)

    def sweep(self) -> None:
        """Remove trees that no record names, and what was half made. Raise Refusal
        DISK_UNWRITABLE.
        """
        needed = {one.sha256 for one, _ in self.every()}
        for place in sorted((self.root / _TREES).glob("*")):
            if place.name.lstrip(".").removesuffix(".seal") not in needed:
                with fs_guard.disk_errors(place):
                    if place.is_dir() and not place.is_symlink():
                        fs_guard.remove_tree(place)
                    else:
                        place.unlink()

    def _record(self, name: str, key: str) -> Path:
        return self.root / f"{name}-{key[:16]}.json"

    def _read(self, place: Path) -> Prepared | None:
        try:
            row = json.loads(place.read_bytes())
            seal = row.pop("seal")
            if not self._seal.fits(seal, f"environment/{row['key']}", canonical.digest(row)):
                return None
            return Prepared(**{**row, "outputs": tuple(row["outputs"])})
        except (OSError, ValueError, TypeError, KeyError, AttributeError):
            return None


def _row(prepared: Prepared) -> Mapping[str, object]:
    return {**asdict(prepared), "outputs": list(prepared.outputs)}


def _mode(file: KeptFile) -> str:
    return "link" if file.content is None else "executable" if file.executable else "file"


def _write(folder: Path, files: Iterable[KeptFile]) -> None:
    view = ViewFiles(folder, sandbox_owner())
    for file in files:
        view.folder(file.path.rpartition("/")[0])
        if file.content is None:
            view.link(file.path, os.fsencode(file.link))
        else:
            content = file.content.read_bytes()
            if hashlib.sha256(content).hexdigest() != file.sha256:
                raise FolderNotShown(f"{file.path} was changed while it was read")
            view.file(file.path, content, file.executable)
    view.finish()
