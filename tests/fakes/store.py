"""A state folder in memory: what `files.ports.Store` promises, without a disk.

Shown by tests/unit/test_store_contract.py, which the real store passes, too. A crash, a link and a
full disk are the real one's alone.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from hashlib import sha256
from pathlib import Path

from factory.judge.secrecy import refuse_secrets
from factory.model.errors import Refusal
from factory.model.finding import Finding
from factory.redact.redaction import Redactor


class MemoryStore:
    """Files by path; those of `below` are the same files seen from a folder."""

    def __init__(self, files: dict[str, bytes] | None = None, above: str = "") -> None:
        self.root = Path("/nowhere") / above
        self._files = files if files is not None else {}
        self._above = above
        self._redactor = Redactor()

    def read(self, path: str) -> bytes | None:
        return self._files.get(self._at(path))

    def write(self, path: str, content: bytes, durable: bool = True) -> None:
        del durable  # nothing here outlives the process
        self.write_together({path: content})

    def write_together(self, files: Mapping[str, bytes]) -> None:
        for path, content in files.items():
            refuse_secrets(self._redactor, path, content)
        made = {self._at(path): content for path, content in files.items()}
        for place in made:
            if self._below(place):
                facts = {"case": "write", "place": place, "found": "Is a directory"}
                raise Refusal(Finding("DISK_UNWRITABLE", facts))
        self._files.update(made)

    def names(self, folder: str) -> tuple[str, ...]:
        return tuple(sorted({path.split("/")[0] for path in self.files(folder)}))

    def files(self, folder: str) -> tuple[str, ...]:
        top = self._at(folder)
        return tuple(sorted(path.removeprefix(f"{top}/") for path in self._below(top)))

    def sha256(self, path: str) -> str:
        content = self.read(path)
        return sha256(content).hexdigest() if content is not None else ""

    def digests(self, folder: str) -> Mapping[str, str]:
        return {path: self.sha256(f"{folder}/{path}") for path in self.files(folder)}

    def size(self, path: str) -> int:
        return len(self.read(path) or b"")

    def remove(self, path: str) -> None:
        top = self._at(path)
        for place in [top, *self._below(top)]:
            self._files.pop(place, None)

    def move(self, source: str, destination: str) -> None:
        old, new = self._at(source), self._at(destination)
        moved = {
            place: self._files[place] for place in [old, *self._below(old)] if place in self._files
        }
        self.remove(destination)
        for place, content in moved.items():
            del self._files[place]
            self._files[new + place[len(old) :]] = content

    def replace_folder(self, folder: str, files: Mapping[str, bytes]) -> None:
        self.replace_folders([(folder, files.items())])

    def replace_folders(self, folders: Iterable[tuple[str, Iterable[tuple[str, bytes]]]]) -> None:
        made = []
        for folder, files in folders:
            inside = MemoryStore({}, "")
            inside.write_together(dict(files))  # refuses before anything is replaced
            made.append((folder, {path: inside.read(path) or b"" for path in inside.every()}))
        for folder, contents in made:
            self.remove(folder)
            for path, content in contents.items():
                self._files[f"{self._at(folder)}/{path}"] = content

    def every(self) -> tuple[str, ...]:
        """Return the path of every file."""
        return tuple(sorted(self._files))

    def below(self, folder: str) -> MemoryStore:
        return MemoryStore(self._files, self._at(folder))

    def copy_folder(self, source: str, destination: str) -> None:
        self.copy_folders({source: destination})

    def copy_folders(self, places: Mapping[str, str]) -> None:
        self.replace_folders(
            (new, [(path, self.read(f"{old}/{path}") or b"") for path in self.files(old)])
            for old, new in places.items()
        )

    def clear_unfinished(self, folder: str, below: bool = False) -> None:
        """Do nothing: nothing here is ever half written."""

    def _below(self, top: str) -> list[str]:
        return [path for path in self._files if not top or path.startswith(f"{top}/")]

    def _at(self, path: str) -> str:
        if not path or path.startswith("/") or ".." in path.split("/"):
            facts = {"case": "below", "folder": "/nowhere", "path": path, "problem": "leaves it"}
            raise Refusal(Finding("PATH_UNSAFE", facts))
        return f"{self._above}/{path}" if self._above else path
