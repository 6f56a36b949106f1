"""Write an inventory of this repository's files, or check that a written one is right.

    python inventory.py write FILE
    python inventory.py check FILE

A written one is right where it is what the files say, and stays so where files were added or grew
since, as by other packs: then whatever it states has to be there still, and be no more than there
is.

The same files give the same bytes: no time, no host, sorted names. Reads every file once and
follows no link. Needs nothing but Python's standard library and no network.
"""

from __future__ import annotations

import hashlib
import os
import re
import stat
import sys
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

KINDS = 30
LARGEST = 10
EQUAL = 10
CASE_ONLY = 10
LEFT_OUT = {".git", ".factory", "__pycache__"}

HEAD = ("| kind | files | lines of text | bytes |", "|---|---:|---:|---:|")
FIXED = {"", "# File inventory", "## Largest files", "## Worth a look", *HEAD}
TOTAL = r"^([\d,]+) files?, ([\d,]+) bytes\.$"
ROW = r"\| ([\d,]+) \| ([\d,]+) \| ([\d,]+) \|$"


@dataclass(frozen=True)
class FileEntry:
    """Describe one file: its path from the root, its kind, bytes, lines (None where it is not text)
    and digest.
    """

    path: str
    kind: str
    size: int
    lines: int | None
    digest: str


def entries(root: Path, output: str) -> Iterator[FileEntry]:
    """Yield every file below `root` except the inventory itself, in order of paths."""
    for folder, folders, names in os.walk(root):
        folders[:] = sorted(name for name in folders if name not in LEFT_OUT)
        here = Path(folder).relative_to(root)
        for name in sorted(
            [*names, *(each for each in folders if (Path(folder) / each).is_symlink())]
        ):
            path = (here / name).as_posix()
            if path != output and name not in LEFT_OUT:
                yield entry(root, path)


def entry(root: Path, path: str) -> FileEntry:
    """Read one file."""
    place = root / path
    status = place.lstat()
    if not stat.S_ISREG(status.st_mode):
        return FileEntry(path, "(links)", 0, None, "")
    content = place.read_bytes()
    suffix = Path(path).suffix.lower()
    kind = suffix if suffix.isascii() and suffix[1:].isalnum() else "(none)"
    unended = bool(content) and not content.endswith(b"\n")
    lines = None if b"\0" in content else content.count(b"\n") + unended
    return FileEntry(path, kind, len(content), lines, hashlib.sha256(content).hexdigest())


def inventory(found: list[FileEntry]) -> str:
    """Return the inventory as Markdown."""
    total = sum(each.size for each in found)
    lines = ["# File inventory", "", f"{counted(len(found), 'file')}, {total:,} bytes.", ""]
    lines += [*HEAD, *kinds(found)]
    largest = sorted(
        (each for each in found if each.size), key=lambda each: (-each.size, each.path)
    )[:LARGEST]
    if largest:
        lines += [
            "",
            "## Largest files",
            "",
            *(f"- {shown(each.path)}: {each.size:,} bytes" for each in largest),
        ]
    return "\n".join([*lines, *remarks(found)]) + "\n"


def kinds(found: list[FileEntry]) -> Iterator[str]:
    """Yield a row for each kind of file, the most frequent first; the rare ones together."""
    by_kind: dict[str, list[FileEntry]] = defaultdict(list)
    for each in found:
        by_kind[each.kind].append(each)
    ordered = sorted(by_kind.items(), key=lambda item: (-len(item[1]), item[0]))
    for kind, members in ordered[:KINDS]:
        yield row(f"`{kind}`", members)
    rare = [each for _, members in ordered[KINDS:] for each in members]
    if rare:
        yield row(f"{len(ordered) - KINDS} other kinds", rare)


def row(name: str, members: list[FileEntry]) -> str:
    """Return one row of the table."""
    files, lines, size = sums(members)
    return f"| {name} | {files:,} | {lines:,} | {size:,} |"


def remarks(found: list[FileEntry]) -> Iterator[str]:
    """Yield what deserves a look: equal contents, names that differ only in case, empty files."""
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
    """Return a few paths in one line."""
    more = f" and {len(paths) - 4} more" if len(paths) > 4 else ""
    return ", ".join(map(shown, paths[:4])) + more


def shown(path: str) -> str:
    """Return a path as inline code; what is not plain ASCII is escaped, so that no name can act."""
    return "`" + ascii(path)[1:-1].replace("`", "\\x60").replace("|", "\\x7c") + "`"


def counted(number: int, noun: str) -> str:
    """Return `1 file` or `2 files`."""
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


def difference(written: str, expected: str, found: list[FileEntry]) -> str:
    """Return the first untrue statement of a written inventory; "" where it is right, or was and
    files came or grew.
    """
    if written == expected:
        return ""
    total = re.search(TOTAL, written, re.MULTILINE)
    if total is None:
        return "it has no total"
    stated = tuple(map(number, total.groups()))
    if stated == (len(found), sum(each.size for each in found)):
        lines = zip(written.splitlines(), expected.splitlines(), strict=False)
        return next(
            (ascii(mine) for mine, right in lines if mine != right), "it ends too early or too late"
        )
    if expected.splitlines()[3:6] != written.splitlines()[3:6] or (
        stated[1] and "\n- `" not in written
    ):
        return "it is not whole"
    rows = [tuple(map(number, row)) for row in re.findall(ROW, written, re.MULTILINE)]
    if (sum(row[0] for row in rows), sum(row[2] for row in rows)) != stated:
        return "its rows do not add up to its total"
    named = set(re.findall(r"^\| `([^`]+)` \|", written, re.MULTILINE))
    return next(
        (ascii(line) for line in written.splitlines() if not still_so(line, found, named)), ""
    )


def still_so(line: str, found: list[FileEntry], named: set[str]) -> bool:
    """Return whether a line of an inventory is true of these files, or was before some were added
    or grew.
    """
    if match := re.fullmatch(TOTAL, line):
        return fits(match.groups(), (len(found), sum(each.size for each in found)))
    if match := re.fullmatch(r"\| (?:`([^`]+)`|([\d,]+) other kinds) " + ROW, line):
        kind, others, *counts = match.groups()
        members = [
            each for each in found if (each.kind == kind if kind else each.kind not in named)
        ]
        return fits(
            [others or "0", *counts], (len({each.kind for each in members}), *sums(members))
        )
    if match := re.fullmatch(r"- (`[^`]+`): ([\d,]+) bytes", line):
        return any(shown(each.path) == match[1] and each.size >= number(match[2]) for each in found)
    if match := re.fullmatch(
        r"- (equal content|only case keeps these apart): (`[^`]+`(?:, `[^`]+`)+)(?: and \d+ more)?",
        line,
    ):
        paths = match[2].split(", ")
        there = [each for each in found if shown(each.path) in paths]
        alike = {
            each.digest if match[1] == "equal content" else each.path.casefold() for each in there
        }
        return len(there) == len(paths) and len(alike) == 1
    if match := re.fullmatch(r"- ([\d,]+) empty files?", line):
        return number(match[1]) <= sum(each.size == 0 and each.kind != "(links)" for each in found)
    return (
        line in FIXED
        or re.fullmatch(
            r"- \d+ more (?:groups of equal content|names that only case keeps apart)", line
        )
        is not None
    )


def sums(members: list[FileEntry]) -> tuple[int, int, int]:
    """Return the number of files, lines of text and bytes."""
    return (
        len(members),
        sum(each.lines or 0 for each in members),
        sum(each.size for each in members),
    )


def fits(stated: Iterable[str], there: Iterable[int]) -> bool:
    """Return whether no stated number is more than there is."""
    return all(number(mine) <= most for mine, most in zip(stated, there, strict=True))


def number(text: str) -> int:
    """Return the number that `1,234` means."""
    return int(text.replace(",", ""))


def main(words: list[str]) -> int:
    """Write or check.

    Return 0 when it is done or right, 1 where it is not, 64 for a wrong usage.
    """
    if len(words) != 2 or words[0] not in ("write", "check"):
        sys.stderr.write("usage: inventory.py write|check FILE\n")
        return 64
    target = Path(words[1])
    found = list(entries(Path(), target.as_posix()))
    text = inventory(found)
    if words[0] == "write":
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text, encoding="utf-8")
        return 0
    if not target.is_file():
        sys.stderr.write(
            f"{target} does not exist; does a .gitignore of this repository name it?\n"
        )
        return 1
    untrue = difference(target.read_text(encoding="utf-8"), text, found)
    if untrue:
        sys.stderr.write(f"{target} is not what the files say: {untrue}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
