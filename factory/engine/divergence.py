"""Find where two sets of files first differ, for a person: which file, at which byte, and how it
reads there.

Pure. What a person can read comes first: the patch and the logs say why; what hangs on them
(objects, manifest) differs with any other file. Does not know what the files are of.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import dataclass

from factory.judge.path_guard import display
from factory.model.layout import IN_BUNDLE

_AROUND = 16
_DIFF_LINES = 20
_RANKS = {
    IN_BUNDLE.patch: 0,
    IN_BUNDLE.files_changed: 1,
    IN_BUNDLE.objects: 4,
    IN_BUNDLE.manifest: 5,
}


@dataclass(frozen=True, slots=True)
class Divergence:
    """Describe the first difference: path below the folder, byte offset (0 where a file is
    missing), a sentence, a diff.
    """

    file: str
    offset: int
    what: str
    diff: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Sides:
    """Name the two sides, in a sentence."""

    first: str
    second: str


def first_divergence(
    before: Mapping[str, bytes], now: Mapping[str, bytes], sides: Sides
) -> Divergence | None:
    """Return the first file that is not alike on both sides; None where all are."""
    for path in sorted(before.keys() | now.keys(), key=_readable_first):
        if path not in now:
            return Divergence(path, 0, f"{display(path)}: {sides.second} lacks it")
        if path not in before:
            return Divergence(path, 0, f"{display(path)}: only {sides.second} has it")
        one, two = before[path], now[path]
        if one != two:
            at = first_difference(one, two)
            what = (
                f"{display(path)}: byte {at}: expected {_shown(one, at)}, found {_shown(two, at)}"
            )
            return Divergence(path, at, what, readable_diff(one, two, sides))
    return None


def _readable_first(path: str) -> tuple[int, str]:
    return _RANKS.get(path, 2 if path.startswith(f"{IN_BUNDLE.logs}/") else 3), path


def first_difference(one: bytes, two: bytes) -> int:
    """Offset of the first byte that differs; the shorter length where one begins with the other."""
    low, high = 0, min(len(one), len(two))
    while (
        low < high
    ):  # halves compare in C; a loop over bytes would take seconds for a large artifact
        middle = (low + high + 1) // 2
        low, high = (middle, high) if one[low:middle] == two[low:middle] else (low, middle - 1)
    return low


def _shown(content: bytes, at: int) -> str:
    piece = content[at : at + _AROUND]
    return repr(display(piece.decode("utf-8", "backslashreplace"))) if piece else "its end"


def readable_diff(one: bytes, two: bytes, sides: Sides) -> tuple[str, ...]:
    """Return a unified diff of two texts, its first lines; of anything else the bytes around the
    first difference.
    """
    if not (_is_text(one) and _is_text(two)):
        return _bytes_around(one, two, sides)
    old, new = (content.decode("utf-8").splitlines() for content in (one, two))
    rows = difflib.unified_diff(old, new, sides.first, sides.second, lineterm="", n=1)
    return tuple(display(row) for row, _ in zip(rows, range(_DIFF_LINES), strict=False))


_MOST_TEXT = 1024 * 1024


def _is_text(content: bytes) -> bool:
    """Return whether a line diff is worth making: UTF-8, no NUL, not so long that making it takes
    seconds.
    """
    if b"\0" in content or len(content) > _MOST_TEXT:
        return False
    try:
        content.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


def _bytes_around(one: bytes, two: bytes, sides: Sides) -> tuple[str, ...]:
    start = max(0, first_difference(one, two) - _AROUND // 2)
    rows = [(mark, side[start : start + 2 * _AROUND]) for mark, side in (("-", one), ("+", two))]
    hexadecimal = (f"{mark}{start:08x}  {piece.hex(' ')}" for mark, piece in rows)
    return (f"--- {sides.first}", f"+++ {sides.second}", *hexadecimal)
