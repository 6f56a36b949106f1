"""Match the scope language segment by segment, with a table instead of expressions.

Anchored at the root, case-sensitive; `*` and `?` stay within a segment, `**` is any number of whole
segments (at the end: at least one), a trailing `/` is everything below. Written from that sentence,
not from the code that runs packs.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache


def matches(patterns: Iterable[str], path: str) -> bool:
    """Return True if any of `patterns` matches the file at `path`."""
    parts = tuple(path.split("/"))
    return any(_matches(_segments(pattern), parts) for pattern in patterns)


@lru_cache(maxsize=4096)
def _segments(pattern: str) -> tuple[str, ...]:
    whole = pattern.split("/")
    return (*whole[:-1], "**") if whole[-1] == "" else tuple(whole)


@lru_cache(maxsize=1 << 16)  # the same lists are asked of the same paths by many checks
def _matches(pattern: tuple[str, ...], path: tuple[str, ...]) -> bool:
    """Match row by row: `reach[n]` is True if the pattern so far can end after n segments of the
    path.
    """
    reach = [True] + [False] * len(path)
    for at, segment in enumerate(pattern):
        last = at == len(pattern) - 1
        if segment == "**":
            after, open_ = [], False
            for here in reach:
                after.append(open_ if last else open_ or here)
                open_ = open_ or here
        else:
            after = [False] + [reach[n] and _fits(segment, path[n]) for n in range(len(path))]
        reach = after
    return reach[-1]


class PatternReach:
    """Record how far patterns match on the way down a tree, to know which can still match below."""

    def __init__(self, states: frozenset[tuple[tuple[str, ...], int]]) -> None:
        self._states = states

    @classmethod
    def of(cls, patterns: Iterable[str]) -> PatternReach:
        """Return the state at the root."""
        return cls(frozenset((_segments(pattern), 0) for pattern in patterns))

    def below(self, name: str) -> PatternReach:
        """Return the state one folder down."""
        found: set[tuple[tuple[str, ...], int]] = set()
        for pattern, at in self._states:
            for here in _skipped(pattern, at):
                if pattern[here] == "**":
                    found.add((pattern, here))
                elif _fits(pattern[here], name):
                    found.add((pattern, here + 1))
        return PatternReach(frozenset(state for state in found if state[1] < len(state[0])))

    def names(self, name: str) -> bool:
        """Return True if a file of that name in this folder matches."""
        for pattern, at in self._states:
            last = len(pattern) - 1
            if last in _skipped(pattern, at) and (
                pattern[last] == "**" or _fits(pattern[last], name)
            ):
                return True
        return False

    @property
    def everything(self) -> bool:
        """Return True if every file below this folder matches."""
        return any(pattern[at:] == ("**",) for pattern, at in self._states)

    @property
    def nothing(self) -> bool:
        """Return True if no file below this folder can match."""
        return not self._states


def _skipped(pattern: tuple[str, ...], at: int) -> Iterable[int]:
    """Yield `at` and every position after a ** that matches no segment; the last ** must match
    one.
    """
    yield at
    while at < len(pattern) - 1 and pattern[at] == "**":
        at += 1
        yield at


@lru_cache(maxsize=65536)
def _fits(segment: str, name: str) -> bool:
    """Return True if one segment with * and ? matches one name, by backtracking to the last *."""
    s = n = 0
    star, mark = -1, 0
    while n < len(name):
        if s < len(segment) and segment[s] == "*":
            star, mark, s = s, n, s + 1
        elif s < len(segment) and (segment[s] == "?" or segment[s] == name[n]):
            s, n = s + 1, n + 1
        elif star >= 0:
            mark += 1
            s, n = star + 1, mark
        else:
            return False
    return segment[s:].strip("*") == ""
