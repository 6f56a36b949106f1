"""Make untrusted text inert for where it is shown: one function and one type for each kind of sink.

Rule: a sink takes no raw text. `write_lines` requires `Shown`, `markdown` escapes whatever is not
`Markdown`, `report.markup` whatever is not `Markup`; so forgotten text is shown and never acts.
Does not know who wrote a text, nor what it says.
"""

from __future__ import annotations

import re
import unicodedata
from typing import NewType

# Letters, marks and code points that show nothing, but that Unicode does not class as format
# characters.
BLANK = frozenset(
    "\u034f\u115f\u1160\u17b4\u17b5\u180b\u180c\u180d\u180f\u2800\u3164\uffa0"
    + "".join(map(chr, (*range(0xFE00, 0xFE10), *range(0xE0100, 0xE01F0), *range(0xFDD0, 0xFDF0))))
    + "".join(chr(plane << 16 | last) for plane in range(17) for last in (0xFFFE, 0xFFFF))
)
# CSI, OSC (ended by BEL, ST or nothing), and the other two-character sequences.
_ESCAPES = re.compile(
    r"(?:\x1b\[|\x9b)[0-?]*[ -/]*[@-~]"
    r"|\x1b[\]PX^_][^\x07\x1b]*(?:\x07|\x1b\\|$)"
    r"|\x1b[ -/]*[0-Z\\-~]"
)


def visible(char: str) -> str:
    """Return one character, or its escape if it would act, hide text, or show nothing."""
    code = ord(char)
    if 0xDC80 <= code <= 0xDCFF:  # a byte that is not UTF-8, kept by surrogateescape
        return f"\\x{code - 0xDC00:02x}"
    if code < 32 or 127 <= code < 160:
        return f"\\u{code:04x}"
    if char in BLANK or unicodedata.category(char) in ("Cf", "Cs", "Zl", "Zp"):
        return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"
    return char


def for_eyes(text: str) -> str:
    """Return one line in which every character is visible: the first step of each sink but the
    terminal.
    """
    return text if _ASCII_PRINTABLE.fullmatch(text) else "".join(map(visible, text))


def without_colours(text: str) -> str:
    """Return the text without well-formed escape sequences."""
    return _ESCAPES.sub("", text)


# ── terminals and logs of CI ─────────────────────────────────────────────────

Shown = NewType("Shown", str)
"""Text that no terminal and no CI runner acts on."""

_ASCII_PRINTABLE = re.compile(r"[ -~]*")
_ON_TERMINALS = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})
# GitHub takes `::name` where a line begins, and `##[name` anywhere; Azure and TeamCity `##name[`.
_COMMAND = re.compile(r"^([^\S\n]*+):(?=:)|#(?=#[a-z]*+\[)", re.IGNORECASE | re.MULTILINE)


def for_terminal(text: str) -> Shown:
    r"""Return the text with every character that could act on a terminal shown as an escape.

    Control and format characters (bidirectional ones, joiners, escape), surrogates, private and
    unassigned ones, those that show nothing, and line separators become `\xNN`, `\uNNNN` or
    `\UNNNNNNNN`. A tab becomes a space. Idempotent, and never more lines: a line feed is escaped
    too.
    """
    shown = text if _ASCII_PRINTABLE.fullmatch(text) else "".join(map(_on_terminal, text))
    return no_command(Shown(shown))


def _on_terminal(char: str) -> str:
    if char == "\t":
        return " "
    if unicodedata.category(char) not in _ON_TERMINALS and char not in BLANK:
        return char
    code = ord(char)
    if code < 0x100:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def no_command(text: Shown) -> Shown:
    """Return the lines with nothing that a CI runner reads as a command; JSON keeps its meaning."""
    if "::" not in text and "##" not in text:
        return text
    return Shown(_COMMAND.sub(_spelled, text))


def _spelled(found: re.Match[str]) -> str:
    return f"{found[1]}\\u003a" if found[1] is not None else "\\u0023"


def own_lines(text: str) -> tuple[Shown, ...]:
    """Return the inert lines of a text of this program, which may quote others."""
    return tuple(map(for_terminal, text.split("\n")))


# ── workflow commands ────────────────────────────────────────────────────────

WorkflowCommand = NewType("WorkflowCommand", str)
_LEVELS = {"error": "error", "warning": "warning", "note": "notice"}


def annotation(
    severity: str, title: str, message: str, file: str = "", line: int = 0, column: int = 0
) -> WorkflowCommand:
    """Return `::error file=…,line=…,title=…::message`, a GitHub annotation that no value can break
    out of.
    """
    places = (
        ("file", file),
        ("line", str(line or "")),
        ("col", str(column or "")),
        ("title", title),
    )
    members = ",".join(f"{name}={_member(value)}" for name, value in places if value)
    return WorkflowCommand(f"::{_LEVELS[severity]} {members}::{_percent(message)}")


def _percent(text: str) -> str:
    return for_eyes(text).replace("%", "%25")


def _member(text: str) -> str:
    return _percent(text).replace(":", "%3A").replace(",", "%2C")


# ── SARIF ────────────────────────────────────────────────────────────────────

_IN_SARIF = {"\\": "\\\\", "[": "\\[", "]": "\\]", "{": "{{", "}": "}}"}


def for_sarif(text: str) -> str:
    """Return a plain text message (SARIF 2.1.0, 3.11.5 and 3.11.6) without placeholder or embedded
    link.
    """
    return "".join(_IN_SARIF.get(char, char) for char in for_eyes(text))


# ── Markdown, as forges show it: reports, summaries, bodies of pull requests ──


class Markdown(str):
    """Mark Markdown that is safe to insert: only this program's own markup acts."""

    __slots__ = ()


_APART = "&#8203;"
_MARKUP = frozenset("\\`*_[]<>#@|!~&$")
# Forges look for these in the rendered text, where a backslash is gone: mentions and references,
# addresses, GH-1, images by name (:octocat:), and GitLab's !1 $1 &1 ~1 %1 ^1. A space of no width
# stops them.
_ACTS_RENDERED = re.compile(
    r"@|#|(?<=:)(?=//)|(?<=www)(?=\.)|(?<=\bGH)(?=-[0-9])|:(?=[a-z0-9_+-]+:)|[!$&~%^](?=[0-9])",
    re.IGNORECASE | re.ASCII,  # else `ſ` passes for `s`, and the checker reads another text
)
# Forges turn commit ids into links, except in code, from which they can still be copied.
_COMMIT = re.compile(r"(?<!\w)([0-9a-f]{7,64})(?!\w)", re.IGNORECASE | re.ASCII)
# At the beginning of a line, these begin a list, a heading's underline, a table's second row or
# front matter.
_BEGINS = re.compile(r"[-+=:]|[0-9]{1,6}(?=[.)])")


def for_markdown(text: str) -> Markdown:
    """Return `text` on one line with nothing active: no markup, HTML, mention, reference, link,
    hidden character.
    """
    marked = _ACTS_RENDERED.sub(lambda found: f"{found[0]}\0", for_eyes(" ".join(text.split())))
    begins = _BEGINS.match(marked)
    head = begins.end() if begins else 0
    first = (
        f"{marked[:head]}\\"
        if begins and marked[0].isdecimal()
        else f"\\{marked[:head]}"
        if begins
        else ""
    )
    pieces = _COMMIT.split(marked[head:])
    parts = (f"`{piece}`" if number % 2 else _escaped(piece) for number, piece in enumerate(pieces))
    return Markdown(first + "".join(parts))


def _escaped(text: str) -> str:
    return "".join(f"\\{char}" if char in _MARKUP else char for char in text).replace("\0", _APART)


def code(text: str, cell: bool = False) -> Markdown:
    """Return `text` as inline code, its fence longer than any run of backticks in it; `cell`: in a
    table.
    """
    shown = for_eyes(text).replace("|", "\\|") if cell else for_eyes(text)
    longest = max(map(len, re.findall("`+", shown)), default=0)
    fence = "`" * (longest + 1)
    apart = " " if longest or not shown or shown[0] == shown[-1] == " " else ""
    return Markdown(f"{fence}{apart}{shown}{apart}{fence}")


def markdown(template: str, *values: object) -> Markdown:
    """Return `template` with each `{}` replaced by a value; all but `Markdown` and numbers is
    escaped.

    The template must be a literal. Raise ValueError if it has more or fewer places than values.
    """
    pieces = template.split("{}")
    if len(pieces) != len(values) + 1:
        raise ValueError(f"{template!r} has {len(pieces) - 1} places for {len(values)} values")
    filled = (
        str(value) if isinstance(value, (Markdown, int)) else for_markdown(str(value))
        for value in values
    )
    return Markdown(
        pieces[0] + "".join(value + piece for value, piece in zip(filled, pieces[1:], strict=True))
    )
