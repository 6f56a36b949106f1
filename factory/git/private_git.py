"""Make the private bare Git folder over the repository's objects, with only what Git requires.

Rule: every file in it is ours and is repaired at each start; alternates are resolved here, so that
no file of anybody else's decides where Git reads. Attributes of the trees it compares are made
unspecified, so none of them names a program. Does not read or write objects. Sources:
gitrepository-layout, gitattributes.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

from factory.files.fs_guard import make_folder, write_atomic

# "!" makes an attribute unspecified again: "-diff" would declare every file binary.
_ATTRIBUTES = (
    "* !text !eol !crlf !working-tree-encoding !ident !filter !diff !merge !whitespace"
    " !conflict-marker-size\n"
)


def all_alternates(folders: Iterable[Path]) -> tuple[Path, ...]:
    """Return object folders and all that their info/alternates name, each once, absolute, in
    order.
    """
    found: dict[Path, None] = {}
    waiting = [Path(os.path.realpath(folder)) for folder in folders]
    while waiting:
        folder = waiting.pop(0)
        if folder in found:
            continue
        found[folder] = None
        waiting += [Path(os.path.realpath(folder / other)) for other in _alternates_in(folder)]
    return tuple(found)


def _alternates_in(folder: Path) -> Iterator[str]:
    try:
        rows = (folder / "info" / "alternates").read_bytes().split(b"\n")
    except FileNotFoundError:
        return
    for row in rows:
        if row.startswith(b'"'):
            yield os.fsdecode(_unquoted(row))
        elif row and not row.startswith(b"#"):
            yield os.fsdecode(row)


_ESCAPES = {
    b"a": b"\a",
    b"b": b"\b",
    b"f": b"\f",
    b"n": b"\n",
    b"r": b"\r",
    b"t": b"\t",
    b"v": b"\v",
}


def _unquoted(row: bytes) -> bytes:
    """Return a path from Git's C-style quotes."""

    def plain(found: re.Match[bytes]) -> bytes:
        word = found[1]
        return bytes([int(word, 8)]) if len(word) == 3 else _ESCAPES.get(word, word)

    return re.sub(rb"\\([0-7]{3}|.)", plain, row.strip()[1:-1], flags=re.DOTALL)


def _quoted(path: Path) -> bytes:
    """Return a path as a line of info/alternates; quoted if it contains what a line cannot."""
    raw = os.fsencode(path)
    if b"\n" not in raw and not raw.startswith(b'"'):
        return raw
    return (
        b'"'
        + b"".join(
            b"\\%03o" % byte if byte < 32 or byte in b'"\\' else bytes([byte]) for byte in raw
        )
        + b'"'
    )


def make_private(private: Path, hash_name: str, sources: tuple[Path, ...]) -> None:
    """Make or repair the bare Git folder `private`, which reads objects from `sources` too.

    Raise Refusal DISK_UNWRITABLE.
    """
    for name in ("objects/info", "objects/pack", "refs/heads", "info"):
        make_folder(private / name)
    extension = "[extensions]\n\tobjectFormat = sha256\n" if hash_name == "sha256" else ""
    version = 1 if extension else 0
    files = {
        "HEAD": b"ref: refs/heads/none\n",
        "config": (
            f"[core]\n\trepositoryformatversion = {version}\n\tbare = true\n{extension}".encode()
        ),
        "info/attributes": _ATTRIBUTES.encode(),
        "info/exclude": b"",
        "objects/info/alternates": b"".join(_quoted(source) + b"\n" for source in sources),
    }
    for name, content in files.items():
        path = private / name
        if not path.is_file() or path.is_symlink() or path.read_bytes() != content:
            write_atomic(path, content)
