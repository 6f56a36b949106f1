"""Judge whether changed files are stored as .gitattributes says.

A file that is not shows as modified in every fresh checkout, or breaks one that has the filter.
Steps write into a plain folder, where nothing converts: what they leave is stored as it is. What
was stored otherwise before and still is, is nobody's news. Sources: gitattributes, the
specification of Git LFS. Runs no filter.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping

from factory.judge.path_guard import display
from factory.model.finding import Finding
from factory.model.findings.entry import Facts
from factory.model.tree import MODE_EXECUTABLE, MODE_FILE, Difference, Leaf

NAMES = ("text", "crlf", "eol", "ident", "working-tree-encoding", "filter")
"""The attributes that say how a file is stored."""

_FIRST = 3  # paths that a finding names
_UNSAID = ("unspecified", "unset")
_POINTER = re.compile(
    rb"version https://git-lfs\.github\.com/spec/v1\n(?:[a-z0-9.-]+ .*\n)*?"
    rb"oid sha256:[0-9a-f]{64}\nsize \d+\n"
)
_MARKS = {"git-crypt": b"\0GITCRYPT\0"}  # how a filter's output begins, where it is known
_IDENT = re.compile(rb"\$Id: [^$\n]*\$")

Attributes = Mapping[str, Mapping[str, str]]


def judge_attributes(
    pack: str,
    changes: Iterable[Difference],
    attributes: Callable[[Iterable[str]], Attributes],
    read: Callable[[Iterable[str]], Mapping[str, bytes]],
) -> tuple[Finding, ...]:
    """Return a warning for each way in which files disagree with their attributes.

    `attributes` returns for paths of the result the values of `NAMES` that are set there, `read`
    blobs by id.
    """
    sides = {
        change.path: (change.before, change.after)
        for change in changes
        if _is_file(change.after) and change.after != change.before
    }
    known = attributes(sides) if sides else {}
    leaves = [leaf for path in known for leaf in sides[path] if leaf is not None and _is_file(leaf)]
    contents = read(sorted({leaf.oid for leaf in leaves})) if leaves else {}
    wrong: dict[tuple[str, str], list[str]] = {}
    for path, values in sorted(known.items()):
        before, after = (
            disagreement(values, contents[leaf.oid]) if leaf and leaf.oid in contents else None
            for leaf in sides[path]
        )
        if after is not None and after != before:
            wrong.setdefault(after, []).append(path)
    return tuple(_finding(pack, *problem, paths) for problem, paths in sorted(wrong.items()))


def _is_file(leaf: Leaf | None) -> bool:
    return leaf is not None and leaf.mode in (MODE_FILE, MODE_EXECUTABLE)


def _finding(pack: str, case: str, value: str, paths: list[str]) -> Finding:
    first = tuple(map(display, paths[:_FIRST]))
    more = ("…",) if len(paths) > _FIRST else ()
    shown = (*first, *more)
    facts: Facts = {"case": case, "value": display(value), "paths": shown}
    return Finding("ATTRIBUTES_DISAGREE", facts, pack=pack)


def disagreement(values: Mapping[str, str], content: bytes) -> tuple[str, str] | None:
    """Return how a stored content disagrees with its attributes: (case, value of the attribute);
    None where it does not, or where nothing can be said.
    """
    program = values.get("filter", "unset")
    if program not in _UNSAID:
        return _unfiltered(program, content)
    encoding = values.get("working-tree-encoding", "unset")
    if encoding not in _UNSAID and encoding.upper() not in ("UTF-8", "UTF8") and _no_utf8(content):
        return "encoding", encoding
    if values.get("ident") == "set" and _IDENT.search(content) is not None:
        return "ident", "ident"
    if b"\r\n" in content and _is_text(values, content):
        return "eol", values.get("eol", "lf")
    return None


def _unfiltered(program: str, content: bytes) -> tuple[str, str] | None:
    if program == "lfs":
        return ("lfs", program) if content and _POINTER.fullmatch(content) is None else None
    mark = _MARKS.get(program)
    if mark is None:
        return "filter", program
    return ("filter", program) if content and not content.startswith(mark) else None


def _no_utf8(content: bytes) -> bool:
    if content.startswith((b"\xff\xfe", b"\xfe\xff")) or b"\0" in content:
        return True
    try:
        content.decode("utf-8")
    except UnicodeDecodeError:
        return True
    return False


def _is_text(values: Mapping[str, str], content: bytes) -> bool:
    """Return whether Git stores this content with line feeds alone."""
    text = values.get("text", values.get("crlf", "unspecified"))
    if text == "auto":
        return b"\0" not in content and b"\r" not in content.replace(b"\r\n", b"")
    if text == "unspecified":
        return values.get("eol") in ("lf", "crlf")
    return text != "unset"
