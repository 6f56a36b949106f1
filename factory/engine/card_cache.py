"""The cards of the last full look at a repository, kept for `doit list`, which must not read a
contract to print names.

Rule: what is kept is bound to a digest of every byte it was made from (pack files, configuration,
ignore rules, environment), and it serves listing only: whatever executes, or says that something
holds, looks for itself. A copy that is damaged, of another version or of other bytes counts as
absent. So one that was forged shows wrong names, and decides nothing. Does not know what a pack is.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import stat
from collections.abc import Iterator, Mapping
from pathlib import Path

from factory.model.card import Card
from factory.model.layout import CARDS, shown
from factory.version import __version__

CACHE_FILE = shown(CARDS)
# Goes up whenever the same packs would make other cards.
_FORMAT = f"cards 1, {__version__}"
_GROUND_FILES = ("factory.toml", ".gitignore", ".git/info/exclude")
_LARGE = 16 * 1024 * 1024  # no file of a pack is read beyond this size
_FLAGS = (
    os.O_RDONLY
    | getattr(os, "O_NONBLOCK", 0)
    | getattr(os, "O_NOFOLLOW", 0)
    | getattr(os, "O_BINARY", 0)
)


def ground_of(
    root: Path, user_file: Path, flags: Mapping[str, str], environment: Mapping[str, str]
) -> str:
    """Digest of what decides the cards of the repository at `root`, apart from its packs.

    `user_file` is the user's own configuration; of the environment only `FACTORY_*` counts.
    """
    digest = hashlib.sha256()
    settings = sorted(
        (name, value) for name, value in environment.items() if name.startswith("FACTORY_")
    )
    _add(
        digest,
        repr((_FORMAT, str(root), os.path.lexists(root / ".git"), sorted(flags.items()), settings)),
    )
    for place in (user_file, *(root / name for name in _GROUND_FILES)):
        _add(digest, _content(str(place)))
    return digest.hexdigest()


def packs_digest(root: Path, packs_folder: str) -> str:
    """Digest of every name, kind, mode and byte below the packs folder. Raises OSError where it
    can't be read.
    """
    digest = hashlib.sha256()
    for path, kind, content in _walk(str(root / packs_folder), ""):
        _add(digest, f"{kind} {path}")
        _add(digest, content)
    return digest.hexdigest()


def load_cards(root: Path, ground: str) -> tuple[Card, ...] | None:
    """The cards kept for exactly this ground and the packs as they are now; None for anything
    else.
    """
    try:
        head, _, body = (root / CACHE_FILE).read_bytes().partition(b"\n")
        told = json.loads(head)
        folder = told["packs_folder"]
        if told["ground"] != ground or told["body"] != _sha256(body) or not _is_below(folder):
            return None
        if told["packs"] != packs_digest(root, folder):
            return None
        return tuple(card_of(*row) for row in json.loads(body))
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return None


def store_cards(
    root: Path, ground: str, packs_folder: str, packs: str, cards: tuple[Card, ...]
) -> None:
    """Keep `cards`, made from the packs of the digest `packs`. A disk that takes nothing costs time
    later, no more.
    """
    from factory.files import fs_guard
    from factory.model.errors import Refusal

    body = json.dumps([row_of(card) for card in cards], separators=(",", ":")).encode()
    head = {"packs_folder": packs_folder, "ground": ground, "packs": packs, "body": _sha256(body)}
    content = json.dumps(head).encode() + b"\n" + body
    place = root / CACHE_FILE
    with contextlib.suppress(Refusal, OSError):
        fs_guard.make_folder(place.parent)
        fs_guard.write_atomic(place, content, durable=False)


def row_of(card: Card) -> tuple[object, ...]:
    """A card as it is kept."""
    return (card.name, card.phase, card.pack, card.help, card.file_dep, card.targets, card.after)


def card_of(
    name: str, phase: str, pack: str, text: str, deps: list[str], made: list[str], after: list[str]
) -> Card:
    """A card from a row. Raises TypeError where it is no such row."""
    values = (name, phase, pack, text, *deps, *made, *after)
    if not all(isinstance(value, str) for value in values):
        raise TypeError("expected texts")
    return Card(name, phase, pack, text, tuple(deps), tuple(made), tuple(after))


def _is_below(folder: object) -> bool:
    """Whether a packs folder that a file names leads nowhere but below the root."""
    return (
        isinstance(folder, str)
        and not os.path.isabs(folder)
        and ".." not in folder.replace("\\", "/").split("/")
    )


def _walk(top: str, prefix: str) -> Iterator[tuple[str, str, bytes]]:
    """(path below the top, kind and mode, content), in one order; a link, a device or a FIFO is not
    opened.
    """
    with os.scandir(top) as entries:
        found = sorted(entries, key=lambda entry: entry.name)
    for entry in found:
        path = f"{prefix}{entry.name}"
        if entry.is_dir(follow_symlinks=False):
            yield path, "folder", b""
            yield from _walk(entry.path, f"{path}/")
            continue
        status = entry.stat(follow_symlinks=False)
        plain = stat.S_ISREG(status.st_mode) and status.st_size <= _LARGE
        kind = (
            f"{stat.S_IFMT(status.st_mode):o} {bool(status.st_mode & stat.S_IXUSR)}"
            f" {plain or status.st_size}"
        )
        yield path, kind, _content(entry.path) if plain else b""


def _content(path: str) -> bytes:
    """Bytes of a plain file, after a mark that tells them from those of an absent or unreadable
    one.
    """
    try:
        descriptor = os.open(path, _FLAGS)
    except OSError as error:
        return f"- {error.errno}".encode()
    with open(descriptor, "rb", buffering=0) as stream:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            return b"- no file"
        return b"+" + stream.read()


def _add(digest: hashlib._Hash, value: str | bytes) -> None:
    content = value.encode("utf-8", "surrogateescape") if isinstance(value, str) else value
    digest.update(b"%d:" % len(content))
    digest.update(content)


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
