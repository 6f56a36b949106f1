"""Writes an inventory of this repository's files, or checks that a written one is right.

    python inventory.py write FILE
    python inventory.py check FILE

The same files give the same bytes: no time, no host, sorted names. Reads every file once and
follows no link. Needs nothing but Python's standard library and no network.
"""

from __future__ import annotations

import hashlib
import os
import stat
import sys
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

KINDS = 30
LARGEST = 10
EQUAL = 10
CASE_ONLY = 10
LEFT_OUT = {".git", ".factory", "__pycache__"}


@dataclass(frozen=True)
class Entry:
    """One file: its path from the root, its kind, bytes, lines (None where it is not text) and digest."""

    path: str
    kind: str
    size: int
    lines: int | None
    digest: str


def entries(root: Path, output: str) -> Iterator[Entry]:
    """Every file below `root` except the inventory itself, in order of paths."""
    for folder, folders, names in os.walk(root):
        folders[:] = sorted(name for name in folders if name not in LEFT_OUT)
        here = Path(folder).relative_to(root)
        for name in sorted([*names, *(each for each in folders if (Path(folder) / each).is_symlink())]):
            path = (here / name).as_posix()
            if path != output and name not in LEFT_OUT:
                yield entry(root, path)


def entry(root: Path, path: str) -> Entry:
    """Read one file."""
    place = root / path
    status = place.lstat()
    if not stat.S_ISREG(status.st_mode):
        return Entry(path, "(links)", 0, None, "")
    content = place.read_bytes()
    suffix = Path(path).suffix.lower()
    kind = suffix if suffix.isascii() and suffix[1:].isalnum() else "(none)"
    unended = bool(content) and not content.endswith(b"\n")
    lines = None if b"\0" in content else content.count(b"\n") + unended
    return Entry(path, kind, len(content), lines, hashlib.sha256(content).hexdigest())


def inventory(found: list[Entry]) -> str:
    """The inventory as Markdown."""
    total = sum(each.size for each in found)
    lines = ["# File inventory", "", f"{counted(len(found), 'file')}, {total:,} bytes.", ""]
    lines += ["| kind | files | lines of text | bytes |", "|---|---:|---:|---:|", *kinds(found)]
    largest = sorted((each for each in found if each.size), key=lambda each: (-each.size, each.path))[:LARGEST]
    if largest:
        lines += ["", "## Largest files", "", *(f"- {shown(each.path)}: {each.size:,} bytes" for each in largest)]
    return "\n".join([*lines, *remarks(found)]) + "\n"


def kinds(found: list[Entry]) -> Iterator[str]:
    """A row for each kind of file, the most frequent first; the rare ones together."""
    by_kind: dict[str, list[Entry]] = defaultdict(list)
    for each in found:
        by_kind[each.kind].append(each)
    ordered = sorted(by_kind.items(), key=lambda item: (-len(item[1]), item[0]))
    for kind, members in ordered[:KINDS]:
        yield row(f"`{kind}`", members)
    rest = [each for _, members in ordered[KINDS:] for each in members]
    if rest:
        yield row(f"{len(ordered) - KINDS} other kinds", rest)


def row(name: str, members: list[Entry]) -> str:
    """One row of the table."""
    lines = sum(each.lines or 0 for each in members)
    return f"| {name} | {len(members):,} | {lines:,} | {sum(each.size for each in members):,} |"


def remarks(found: list[Entry]) -> Iterator[str]:
    """What deserves a look: equal contents, names that only case keeps apart, empty files."""
    equal: dict[str, list[str]] = defaultdict(list)
    folded: dict[str, list[str]] = defaultdict(list)
    for each in found:
        if each.size:
            equal[each.digest].append(each.path)
        folded[each.path.casefold()].append(each.path)
    groups = sorted(paths for paths in equal.values() if len(paths) > 1)
    apart = sorted(paths for paths in folded.values() if len(paths) > 1)
    empty = sum(each.size == 0 and each.kind != "(links)" for each in found)
    if not groups and not apart and not empty:
        return
    yield from ("", "## Worth a look", "")
    yield from (f"- equal content: {joined(paths)}" for paths in groups[:EQUAL])
    if len(groups) > EQUAL:
        yield f"- {len(groups) - EQUAL} more groups of equal content"
    yield from (f"- only case keeps these apart: {joined(paths)}" for paths in apart[:CASE_ONLY])
    if len(apart) > CASE_ONLY:
        yield f"- {len(apart) - CASE_ONLY} more names that only case keeps apart"
    if empty:
        yield f"- {counted(empty, 'empty file')}"


def joined(paths: list[str]) -> str:
    """A few paths in one line."""
    more = f" and {len(paths) - 4} more" if len(paths) > 4 else ""
    return ", ".join(map(shown, paths[:4])) + more


def shown(path: str) -> str:
    """A path as inline code; what is not plain ASCII is escaped, so that no name can act."""
    return "`" + ascii(path)[1:-1].replace("`", "\\x60").replace("|", "\\x7c") + "`"


def counted(number: int, noun: str) -> str:
    """`1 file`, `2 files`."""
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


def main(words: list[str]) -> int:
    """Write or check; 0 when it is done or right."""
    if len(words) != 2 or words[0] not in ("write", "check"):
        sys.stderr.write("usage: inventory.py write|check FILE\n")
        return 64
    target = Path(words[1])
    text = inventory(list(entries(Path(), target.as_posix())))
    if words[0] == "write":
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text, encoding="utf-8")
        return 0
    if not target.is_file():
        sys.stderr.write(f"{target} does not exist; does a .gitignore of this repository name it?\n")
        return 1
    if target.read_text(encoding="utf-8") != text:
        sys.stderr.write(f"{target} is not what the files say\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
