"""Find the line of a Markdown file that says why: the first that is no heading, rule or comment."""

from __future__ import annotations

import itertools
import re

LONGEST = 300  # characters, for one line of a report

_RULE = re.compile(r"(?:=+|-+|\*{3,}|_{3,}|(?:[-*_] ){2,}[-*_])")
_COMMENT = re.compile(r"<!--.*?(?:-->|\Z)", re.DOTALL)


def first_line(text: str) -> str:
    """Return the first line of prose in `text`, printable, at most 300 characters; "" if there is
    none.
    """
    lines = [line.strip() for line in _COMMENT.sub("", text).splitlines()]
    for line, below in itertools.zip_longest(lines, lines[1:], fillvalue=""):
        underlined = bool(below) and re.fullmatch(r"=+|-+", below) is not None
        if line and not line.startswith("#") and not _RULE.fullmatch(line) and not underlined:
            return _printable(line)[:LONGEST]
    return ""


def _printable(line: str) -> str:
    return "".join(character if character.isprintable() else " " for character in line).strip()
