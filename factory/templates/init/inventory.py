"""Write an inventory of this repository's files, or check a written one.

    python inventory.py write FILE
    python inventory.py check FILE

The same files give the same bytes: no time, no host, sorted names. Asks for sizes and reads no
content, so that it takes about a second for 50,000 files. Needs nothing but Python's standard
library and no network.

A written one is checked against the files as long as their number and size are what it says. Once
other packs have added, changed or removed files, it is a picture of an earlier time: then its form
and its sums are checked.
"""

from __future__ import annotations

import os
import re
import stat
import sys
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

KINDS = 30
LARGEST = 10
CASE_ONLY = 10
LEFT_OUT = {".git", ".factory", "__pycache__"}

HEAD = ("| kind | files | bytes |", "|---|---:|---:|")
TOTAL = re.compile(r"([\d,]+) files?, ([\d,]+) bytes\.")
ROW = re.compile(r"\| (?:`[^`]+`|[\d,]+ other kinds) \| ([\d,]+) \| ([\d,]+) \|")
OTHER = re.compile(
    r"|# File inventory|## Largest files|## Worth a look|- `[^`]+`: [\d,]+ bytes"
    r"|- only case keeps these apart: `[^`]+`(, `[^`]+`)+( and \d+ more)?"
    r"|- \d+ more names that only case keeps apart"
)


def sizes(root: Path, output: str) -> Iterator[tuple[str, str, int]]:
    """Yield (path, kind, bytes) of every file below `root` except the inventory, in no order."""
    for folder, folders, names in os.walk(root):
        folders[:] = [name for name in folders if name not in LEFT_OUT]
        links = [name for name in folders if os.path.islink(os.path.join(folder, name))]
        for name in (*names, *links):
            place = os.path.join(folder, name)
            path = os.path.relpath(place, root).replace(os.sep, "/")
            if path == output or name in LEFT_OUT:
                continue
            status = os.lstat(place)
            regular = stat.S_ISREG(status.st_mode)
            yield path, kind(name) if regular else "(links)", status.st_size if regular else 0


def kind(name: str) -> str:
    """Return the suffix of a name in small letters, or "(none)"."""
    suffix = os.path.splitext(name)[1].lower()
    return suffix if suffix.isascii() and suffix[1:].isalnum() else "(none)"


def inventory(found: list[tuple[str, str, int]]) -> str:
    """Return the inventory as Markdown."""
    total = sum(size for _, _, size in found)
    lines = ["# File inventory", "", f"{counted(len(found), 'file')}, {total:,} bytes.", ""]
    lines += [*HEAD, *rows(found)]
    large = sorted((-size, path) for path, _, size in found if size)[:LARGEST]
    if large:
        lines += ["", "## Largest files", ""]
        lines += [f"- {shown(path)}: {-size:,} bytes" for size, path in large]
    return "\n".join([*lines, *remarks(path for path, _, _ in found)]) + "\n"


def rows(found: list[tuple[str, str, int]]) -> Iterator[str]:
    """Yield a row for each kind of file, the most frequent first; the rare ones together."""
    by_kind: dict[str, list[int]] = defaultdict(list)
    for _, name, size in found:
        by_kind[name].append(size)
    ordered = sorted(by_kind.items(), key=lambda item: (-len(item[1]), item[0]))
    for name, members in ordered[:KINDS]:
        yield f"| `{name}` | {len(members):,} | {sum(members):,} |"
    rare = [size for _, members in ordered[KINDS:] for size in members]
    if rare:
        yield f"| {len(ordered) - KINDS} other kinds | {len(rare):,} | {sum(rare):,} |"


def remarks(paths: Iterator[str]) -> Iterator[str]:
    """Yield names that differ only in case: not every file system can have both."""
    folded: dict[str, list[str]] = defaultdict(list)
    for path in paths:
        folded[path.casefold()].append(path)
    apart = sorted(sorted(members) for members in folded.values() if len(members) > 1)
    if not apart:
        return
    yield from ("", "## Worth a look", "")
    for members in apart[:CASE_ONLY]:
        more = f" and {len(members) - 4} more" if len(members) > 4 else ""
        yield f"- only case keeps these apart: {', '.join(map(shown, members[:4]))}{more}"
    if len(apart) > CASE_ONLY:
        yield f"- {len(apart) - CASE_ONLY} more names that only case keeps apart"


def shown(path: str) -> str:
    """Return a path as inline code; what is not plain ASCII is escaped, so that no name can act."""
    return "`" + ascii(path)[1:-1].replace("`", "\\x60").replace("|", "\\x7c") + "`"


def counted(number: int, noun: str) -> str:
    """Return `1 file` or `2 files`."""
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


def number(text: str) -> int:
    """Return the number that `1,234` means."""
    return int(text.replace(",", ""))


def wrong(written: str, found: list[tuple[str, str, int]]) -> str:
    """Return what is wrong with a written inventory, in a few words; "" for nothing."""
    lines = written.splitlines()
    totals = [match for line in lines if (match := TOTAL.fullmatch(line))]
    if len(totals) != 1:
        return "it has no total" if not totals else "it has more than one total"
    stated = tuple(map(number, totals[0].groups()))
    if stated == (len(found), sum(size for _, _, size in found)):
        return "" if written == inventory(found) else "it is not what the files say"
    if tuple(lines[4:6]) != HEAD:
        return "its table has no head"
    table = [match for line in lines if (match := ROW.fullmatch(line))]
    sums = tuple(sum(number(match[part]) for match in table) for part in (1, 2))
    if sums != stated:
        return "its rows do not add up to its total"
    known = {*HEAD, *(match[0] for match in (*totals, *table))}
    strange = next((line for line in lines if line not in known and not OTHER.fullmatch(line)), "")
    return f"it has a line that is no part of it: {strange!a}" if strange else ""


def main(words: list[str]) -> int:
    """Write or check.

    Return 0 when it is written or right, 1 where it is not, 64 for a wrong usage.
    """
    if len(words) != 2 or words[0] not in ("write", "check"):
        sys.stderr.write("usage: inventory.py write|check FILE\n")
        return 64
    target = Path(words[1])
    found = list(sizes(Path(), target.as_posix()))
    if words[0] == "write":
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(inventory(found), encoding="utf-8")
        return 0
    if not target.is_file():
        sys.stderr.write(
            f"{target} does not exist; does a .gitignore of this repository name it?\n"
        )
        return 1
    why = wrong(target.read_text(encoding="utf-8"), found)
    if why:
        sys.stderr.write(f"{target} is wrong: {why}\n")
    return 1 if why else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
