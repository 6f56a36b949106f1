"""Judge `[tool.doit]`, which stock doit loads from a `pyproject.toml` before any `dodo.py`.

That table names commands, loaders, backends and the dodo file, so whoever writes it decides what
runs on the host. Packs may change other parts of the file. A change of the table is refused, and so
is a change after which the table cannot be read. Does not know trees, scopes or the source of
bytes.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterable

from factory.judge.path_guard import display, fold
from factory.model.finding import Finding
from factory.model.findings.entry import Facts
from factory.strict.source_text import decode_text
from factory.strict.toml_places import scan
from factory.strict.values import DocumentError, Problem

NAME = "pyproject.toml"
_SIZE_LIMIT = 1024 * 1024  # bytes; bounds the time of the scan


def names_read(names: Iterable[str]) -> frozenset[str]:
    """Return those of the root's `names` that some platform opens as the file that doit reads."""
    return frozenset(name for name in names if fold(name) == NAME)


def judge_doit_table(
    pack: str, name: str, before: bytes | None, after: bytes | None
) -> tuple[Finding, ...]:
    """Return PATH_PROTECTED if `[tool.doit]` of `name` differs or cannot be read; None means no
    such file.
    """
    if before == after:
        return ()
    tables = []
    for when, content in (("before", before), ("after", after)):
        try:
            tables.append(_table(content))
        except DocumentError as error:
            problem = error.problems[0].problem
            return (_finding(pack, name, {"case": "unread", "when": when, "problem": problem}),)
    if tables[0] == tables[1]:
        return ()
    what = "added" if not tables[0] else "removed" if not tables[1] else "changed"
    return (_finding(pack, name, {"case": "table", "what": what}),)


def link_made(pack: str, name: str) -> Finding:
    """Return the refusal of a file that became a symbolic link: its target is not judged by this
    name.
    """
    return _finding(pack, name, {"case": "link"})


def _table(content: bytes | None) -> str:
    """Return `tool.doit` as text in which values of different types differ; "" if there is none.

    Raise DocumentError if the TOML cannot be read.
    """
    if content is None:
        return ""
    text = decode_text(content, _SIZE_LIMIT)
    scanned = scan(text)  # bounds what tomllib recurses on
    if scanned.problems:
        raise DocumentError(*scanned.problems)
    try:
        tree = tomllib.loads(text)
    except (RecursionError, ValueError):
        raise DocumentError(Problem("it is not valid TOML")) from None
    tool = tree.get("tool", {})
    if not isinstance(tool, dict):
        return repr(tool)
    return repr(tool["doit"]) if "doit" in tool else ""


def _finding(pack: str, name: str, facts: Facts) -> Finding:
    return Finding("PATH_PROTECTED", {**facts, "path": display(name)}, pack=pack)
