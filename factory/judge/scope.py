"""Compile scope patterns: a deliberately small language for sets of repository paths.

Anchored at the root, case-sensitive, no negation. `*` and `?` stay within a segment, `**` is any
number of whole segments, a trailing `/` means everything under that folder, and nothing else is
special. Gitignore rules are unsafe here: there, `b` also means `q/b/c`. Does not know which paths
exist.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property, lru_cache

_DRIVE = re.compile(r"[A-Za-z]:")


def problem_with_pattern(pattern: str) -> str:
    """Return why `pattern` cannot be used, one clause; "" if it can."""
    if not pattern:
        return "is empty; name a path below the repository's root"
    if any(ord(char) < 32 or ord(char) == 127 for char in pattern):
        return "contains a control character; use printable names"
    if "\\" in pattern:
        return "contains a backslash; separate folders with /"
    if pattern.startswith("/") or _DRIVE.match(pattern):
        return "is absolute; use a path below the repository's root"
    if pattern.startswith("!"):
        return "starts with !, and there is no negation; put it under denied_paths"
    segments = pattern.removesuffix("/").split("/")
    if ".." in segments:
        return "leaves the repository; use a path below its root"
    if "" in segments or "." in segments:
        return "contains an empty or . segment; write the path in its shortest form"
    if any("**" in segment and segment != "**" for segment in segments):
        return "uses ** inside a segment; ** means whole segments only"
    return ""


@dataclass(frozen=True)
class Patterns:
    """Match paths by a compiled set of scope patterns. An empty set matches nothing.

    What only questions about folders need is compiled at the first of them: the protected list has
    a hundred patterns, and is asked about files only.
    """

    sources: tuple[str, ...]
    _expression: re.Pattern[str]
    _segments: tuple[tuple[str, ...], ...]

    @cached_property
    def _below(self) -> tuple[tuple[re.Pattern[str], ...], ...]:
        return tuple(tuple(map(_segment_matcher, names)) for names in self._segments)

    @cached_property
    def _whole(self) -> tuple[re.Pattern[str], ...]:
        return tuple(
            re.compile(_folders("/".join(names)), re.DOTALL)
            for names in self._segments
            if names[-1] == "**"
        )

    def matches(self, path: str) -> bool:
        """Return True if the file at `path` (POSIX, relative, normalised) is in the set."""
        return self._expression.fullmatch(path) is not None

    def may_match_below(self, folder: str) -> bool:
        """Return False if certainly no file below `folder` is in the set; True is not certain."""
        segments = folder.split("/") if folder else []
        return any(_may_lead_below(pattern, segments) for pattern in self._below)

    def names_in(self, folder: str) -> frozenset[str] | None:
        """Return the only names in `folder` with which matching paths can continue; None for a
        wildcard.

        Most patterns name the folders that a pack sees, so that a large folder need not be
        searched.
        """
        above = folder.split("/") if folder else []
        depth = len(above)
        found: set[str] = set()
        for matchers, segments in zip(self._below, self._segments, strict=True):
            if not _may_lead_below(matchers, above):
                continue
            if "**" in segments[: depth + 1] or set(segments[depth]) & _WILD:
                return None
            found.add(segments[depth])
        return frozenset(found)

    def matches_all_below(self, folder: str) -> bool:
        """Return True if certainly every file below `folder` is in the set; False is not
        certain.
        """
        ancestors = [""] if not folder else ["", *_ancestors(folder)]
        return any(
            prefix.fullmatch(ancestor) is not None
            for prefix in self._whole
            for ancestor in ancestors
        )


def _ancestors(folder: str) -> list[str]:
    segments = folder.split("/")
    return ["/".join(segments[: depth + 1]) for depth in range(len(segments))]


_ANY = re.compile(r"\*\*")
_WILD = frozenset("*?")


@lru_cache(maxsize=1024)
def compile_patterns(patterns: tuple[str, ...]) -> Patterns:
    """Compile `patterns`. Raise ValueError for one that `problem_with_pattern` refuses."""
    for pattern in patterns:
        problem = problem_with_pattern(pattern)
        if problem:
            raise ValueError(f"scope pattern {pattern!r} {problem}")
    expanded = tuple(_spelled_out(pattern) for pattern in patterns)
    union = "|".join(_expression(pattern) for pattern in expanded)
    segments = tuple(tuple(pattern.split("/")) for pattern in expanded)
    return Patterns(patterns, re.compile(union or r"(?!)", re.DOTALL), segments)


def union(*sets: Iterable[str]) -> Patterns:
    """Return one set of all given patterns, duplicates dropped, order kept."""
    return compile_patterns(
        tuple(dict.fromkeys(pattern for patterns in sets for pattern in patterns))
    )


def _spelled_out(pattern: str) -> str:
    """Return the one spelling of equal patterns: a trailing / as **, no ** after another."""
    segments = (pattern + "**" if pattern.endswith("/") else pattern).split("/")
    kept = [
        one
        for one, before in zip(segments, [None, *segments], strict=False)
        if not one == before == "**"
    ]
    return "/".join(kept)


def _expression(pattern: str) -> str:
    """Return an expression whose every repetition commits to its first fit, to avoid backtracking.

    The part between two `**` has a fixed number of segments, so its first fit leaves the most room
    for what follows; within a segment the same is true between two `*`.
    """
    first, *more = [chunk.strip("/") for chunk in f"/{pattern}/".split("/**/")]
    out = _chunk(first)
    for position, chunk in enumerate(more):
        last = position == len(more) - 1
        out += "/" if position == 0 and first else ""
        if last:
            out += rf"(?:[^/]+/)*{_chunk(chunk)}" if chunk else ".+"
        else:
            out += rf"(?>(?:[^/]+/)*?{_chunk(chunk)}/)"
    return out


def _chunk(text: str) -> str:
    return "/".join(_segment(segment) for segment in text.split("/")) if text else ""


def _folders(pattern: str) -> str:
    """Return the expression of the folders that a pattern ending in `**` covers entirely."""
    prefix = pattern.removesuffix("**").removesuffix("/")
    return _expression(prefix) if prefix else ""


def _segment(segment: str) -> str:
    if segment == "*":
        return "[^/]+"  # a name is never empty; this does not match the root, which has none
    first, *more = [_literal(part) for part in re.split(r"\*+", segment)]
    between = "".join(f"(?>[^/]*?{part})" for part in more[:-1])
    return first + between + (f"[^/]*{more[-1]}" if more else "")


def _literal(part: str) -> str:
    return "".join("[^/]" if char == "?" else re.escape(char) for char in part)


@lru_cache(maxsize=4096)
def _segment_matcher(segment: str) -> re.Pattern[str]:
    return _ANY if segment == "**" else re.compile(_segment(segment), re.DOTALL)


def _may_lead_below(pattern: tuple[re.Pattern[str], ...], folder: list[str]) -> bool:
    for position, name in enumerate(folder):
        if position >= len(pattern) - 1 and pattern[-1] is not _ANY:
            return False
        if pattern[position] is _ANY:
            return True
        if pattern[position].fullmatch(name) is None:
            return False
    return len(pattern) > len(folder) or pattern[-1] is _ANY
