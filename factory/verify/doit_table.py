"""Judge `[tool.doit]` of a root `pyproject.toml` again: no change that passed may alter it.

Stock doit loads what that table names. Does not follow a file that was a symbolic link before the
change: its target is not carried.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator

from factory.verify.change import DerivedChange
from factory.verify.names import folded, spell
from factory.verify.trees import LINK, TreeEntry, joined

_LONGEST = 1024 * 1024  # bytes; a run refuses a larger file too
# A key of more parts costs tomllib the square of their number.
_DEEP_KEY = re.compile(
    r"""(?<![\w-])(?:(?:[\w-]++|"[^"\n]*+"|'[^'\n]*+')[ \t]*+\.[ \t]*+){64}""", re.ASCII
)


def tables_touched(change: DerivedChange) -> Iterator[tuple[str, str]]:
    """Yield (displayed path, clause) of every file that doit would read and whose table differs."""
    for path, (before, after) in change.edits.items():
        name = joined(path)
        if folded(name) != "pyproject.toml":
            continue
        if after is not None and after.mode == LINK:
            yield (
                spell(name),
                "expected no symbolic link where doit reads its configuration, found one",
            )
        elif before is None or after is None or before.oid != after.oid:
            tables = [_table(change, entry) for entry in (before, after)]
            if None in tables or tables[0] != tables[1]:
                yield spell(name), "expected the table tool.doit as it was, found another"


def _table(change: DerivedChange, entry: TreeEntry | None) -> str | None:
    """Return the table as text, types and order kept; "" if absent, None if it cannot be read."""
    if entry is None or entry.mode == LINK:
        return ""
    content = change.contents.get(entry.oid)
    if content is None or len(content) > _LONGEST:
        return None
    try:
        text = content.decode("utf-8-sig")
        if _DEEP_KEY.search(text):
            return None
        tool = tomllib.loads(text).get("tool", {})
    except (RecursionError, ValueError):
        return None
    if isinstance(tool, dict):
        return repr(tool["doit"]) if "doit" in tool else ""
    return repr(tool)
