"""Find where byte strings occur in a text, in one pass over it.

Rule: an answer is exact, whichever implementation gives it; both pass one contract suite. Much text
is searched by `ahocorasick_rs`, whose one automaton reads each byte once whatever the number of
strings; if it is not installed, and at first, `bytes.find` searches one string after another at
memory speed. Does not know what the strings mean.

    >>> found = literals_of([b"ghp_", b"AKIA", b"pat"]).find(b"a path, and ghp_0123")
    >>> {literal: list(places) for literal, places in found.items()}
    {b'ghp_': [12], b'pat': [2]}
"""

from __future__ import annotations

import contextlib
import sysconfig
from array import array
from collections.abc import Iterable, Mapping, Sequence
from typing import Protocol, TypeAlias

Found: TypeAlias = Mapping[bytes, Sequence[int]]
"""Every position of each literal that occurs, in order, also where it overlaps itself."""

_INSTALLED_ON = ("linux-x86_64", "linux-aarch64")
# Bytes in all: to search so many one string after another takes as long as to make an automaton
# (150 strings: 2 ms and its import).
_WORTH_COMPILING = 1 << 16
# A match costs a tuple: so many bytes are searched at once, whatever a text repeats.
_WINDOW = 1 << 20
# The automaton knows beginnings of so many bytes: hardly anything else begins so, and its table of
# transitions (half a KiB for each byte) fits the processor's cache.
_HEAD = 6
# Beyond this sum of bytes the library chooses a smaller form than a full table, half as fast.
_MOST_TABLED = 1 << 14


class Literals(Protocol):
    """Search a set of byte strings; none is empty."""

    def find(self, text: bytes) -> Found:
        """Return the positions of each of them in `text`; those that do not occur are left out."""
        ...


class Plain:
    """Implement `Literals` by the interpreter's own search: no cost to make, one pass for each
    string.
    """

    def __init__(self, literals: Iterable[bytes]) -> None:
        self._all = tuple(dict.fromkeys(literals))
        self._without_nul = tuple(each for each in self._all if b"\0" not in each)

    def find(self, text: bytes) -> Found:
        found: dict[bytes, array[int]] = {}
        for each in self._all if b"\0" in text else self._without_nul:
            at = text.find(each)
            if at >= 0:
                places = found[each] = array("q")
                while at >= 0:
                    places.append(at)
                    at = text.find(each, at + 1)
        return found


class Compiled:
    """Implement `Literals` by one automaton. Raise ImportError if `ahocorasick_rs` is not
    installed.
    """

    def __init__(self, literals: Iterable[bytes]) -> None:
        from ahocorasick_rs import BytesAhoCorasick, Implementation

        heads: dict[bytes, list[bytes]] = {}
        for each in dict.fromkeys(literals):
            heads.setdefault(each[:_HEAD], []).append(each)
        self._by_head = tuple(heads.values())
        tabled = sum(map(len, heads)) <= _MOST_TABLED
        self._automaton = BytesAhoCorasick(
            tuple(heads), implementation=Implementation.DFA if tabled else None
        )

    def find(self, text: bytes) -> Found:
        found: dict[bytes, array[int]] = {}
        view = memoryview(text)
        for start in range(0, len(text), _WINDOW):
            window = view[start : start + _WINDOW + _HEAD - 1]
            for which, at, _ in self._automaton.find_matches_as_indexes(window, overlapping=True):
                if at >= _WINDOW:
                    continue  # the next window sees it too
                for each in self._by_head[which]:
                    if len(each) <= _HEAD or text.startswith(each, start + at):
                        found.setdefault(each, array("q")).append(start + at)
        return found


class _InTurn:
    """Implement `Literals` by plain search, and by an automaton once much was searched."""

    def __init__(self, literals: Iterable[bytes]) -> None:
        self._literals = tuple(literals)
        self._search: Literals = Plain(self._literals)
        self._searched, self._settled = 0, False

    def find(self, text: bytes) -> Found:
        if not self._settled:
            self._searched += len(text)
            if self._searched >= _WORTH_COMPILING:
                self._search, self._settled = self._compiled(), True
        return self._search.find(text)

    def _compiled(self) -> Literals:
        # Where pyproject.toml does not ask for it, a module of that name is somebody else's, maybe
        # of the repository at hand.
        if sysconfig.get_platform() in _INSTALLED_ON:
            with contextlib.suppress(ImportError):
                return Compiled(self._literals)
        return self._search


def literals_of(literals: Iterable[bytes]) -> Literals:
    """Return the fastest search for these byte strings that is installed."""
    return _InTurn(literals)
