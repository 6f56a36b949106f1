"""Normalise JSON and XML: the same content gives the same bytes, whenever and wherever it was
written.

Rule: two documents that differ only in order, blanks and volatile values become the same bytes; a
document that two readers could understand differently is refused. Numbers keep the digits they were
written with. Nothing is fetched, no entity is expanded. Does not know files.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping
from types import SimpleNamespace
from typing import Any, NoReturn
from xml.etree import ElementTree

MOST_TEXT = 32 * 1024 * 1024  # bytes; a parsed document takes many times its size
_MOST_MADE = (
    4 * MOST_TEXT
)  # characters; indents grow with each level, so output can be far larger than input
_DEPTH = 200  # levels; readers and writers recurse
_NAMESPACES = (
    200  # in force at one place: a name is searched in all of them, so time grows with their number
)

# Members and attributes in which tools write a time, a duration, a host or a process id.
VOLATILE = frozenset(
    (
        "timestamp",
        "duration",
        "duration_ms",
        "elapsed",
        "elapsed_ms",
        "hostname",
        "pid",
        "started_at",
        "finished_at",
    )
)
_VOLATILE_XML = VOLATILE | {"time"}
_WORDS = frozenset(("timestamp", "hostname", "started_at", "finished_at"))  # the others are numbers

# Kind, what any match contains (one of these; none: nothing is known), pattern, constant.
# `\d(?<!\w\d)` is `\b\d`, and so on: a pattern that begins with a set or a text is searched at two
# to ten times the speed of one that begins with an assertion (CPython's `_compile_info`).
_RULES: tuple[tuple[str, tuple[str, ...], re.Pattern[str], str], ...] = (
    (
        "time",
        (":",),
        re.compile(
            r"\d(?<!\w\d)\d{3}-\d{2}-\d{2}[T ]\d{2}:\d{2}:\d{2}(?:[.,]\d+)?(?:Z|[+-]\d{2}:?\d{2})?"
        ),
        "<TIME>",
    ),
    ("time", (":",), re.compile(r"\d(?<!\w\d)\d:\d{2}:\d{2}(?:[.,]\d+)?\b"), "<TIME>"),
    (
        "duration",
        (),
        re.compile(r"\d(?<!\w\d)\d*(?:\.\d+)? ?(?:ns|us|µs|ms|s|sec|secs|seconds?|minutes?)\b"),
        "<DURATION>",
    ),
    ("address", ("0x",), re.compile(r"0x(?<!\w0x)[0-9a-fA-F]{6,16}\b"), "<ADDRESS>"),
    (
        "temporary path",
        ("/tmp/",),
        re.compile(r"/tmp/[A-Za-z0-9._-]*(?:tmp|pytest-of-)[A-Za-z0-9._/-]*"),
        "<TMP>",
    ),
    (
        "process id",
        ("pid", "PID"),
        re.compile(r"(pid|PID)(?<!\w...)([ =:]+)\d+\b"),
        r"\1\2<PID>",
    ),
)


class Unnormal(ValueError):
    """Report why something is not normalised: one clause that does not vary."""


class Counts:
    """Count how often each kind of thing was made constant."""

    def __init__(self) -> None:
        self._counts: dict[str, int] = {}

    def add(self, kind: str, count: int = 1) -> None:
        """Add `count` to a kind."""
        if count:
            self._counts[kind] = self._counts.get(kind, 0) + count

    def lines(self) -> tuple[str, ...]:
        """Return lines such as `3 x time`, sorted by kind."""
        return tuple(f"{self._counts[kind]} x {kind}" for kind in sorted(self._counts))


def constant_tokens(text: str, counts: Counts) -> str:
    """Return `text` with times, durations, addresses, temporary paths and process ids replaced."""
    for kind, parts, pattern, constant in _RULES:
        if not parts or any(part in text for part in parts):
            text, found = pattern.subn(constant, text)
            counts.add(kind, found)
    return text


class _Number(str):
    """Keep a number as it was written."""

    __slots__ = ()


def normal_json(content: bytes, counts: Counts) -> bytes:
    """Return JSON with sorted keys, two-space indent, volatile members and tokens constant.

    Raise Unnormal.
    """
    text = _text_of(content)
    if _deeper_than(text, _DEPTH):
        raise Unnormal(f"it is nested deeper than {_DEPTH} levels")
    try:
        value = json.loads(
            text,
            object_pairs_hook=_members,
            parse_int=_Number,
            parse_float=_Number,
            parse_constant=_no_constant,
        )
    except (json.JSONDecodeError, RecursionError) as error:
        raise Unnormal("it is no JSON") from error
    rows = _bounded(_json_rows(value, "", counts)) + "\n"
    if any("\ud800" <= char <= "\udfff" for char in rows):
        raise Unnormal("a string contains half of a surrogate pair")
    return rows.encode("utf-8")


def _bounded(rows: Iterable[str]) -> str:
    kept, size = [], 0
    for row in rows:
        size += len(row)
        if size > _MOST_MADE:
            raise Unnormal(f"its normal form is larger than {_MOST_MADE} bytes")
        kept.append(row)
    return "".join(kept)


def _text_of(content: bytes) -> str:
    if len(content) > MOST_TEXT:
        raise Unnormal(f"it is larger than {MOST_TEXT} bytes")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise Unnormal("it is not UTF-8") from error


_STRING = re.compile(r'"(?:[^"\\]|\\.)*"?', re.DOTALL)


def _deeper_than(text: str, limit: int) -> bool:
    depth = 0
    for found in re.finditer(r"[\[{]|[\]}]", _STRING.sub("", text)):
        depth += 1 if found[0] in "[{" else -1
        if depth > limit:
            return True
    return False


def _members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise Unnormal("a member has one name twice")
    return found


def _no_constant(name: str) -> NoReturn:
    raise Unnormal(f"it contains {name}, which is no JSON")


def _json_rows(value: Any, indent: str, counts: Counts) -> Iterable[str]:
    match value:
        case _Number():
            yield str(value)
        case str():
            yield json.dumps(constant_tokens(value, counts), ensure_ascii=False)
        case dict() if value:
            rows = ((name, _member(name, value[name], counts)) for name in sorted(value))
            yield from _block(
                "{}",
                indent,
                ((f"{json.dumps(n, ensure_ascii=False)}: ", m) for n, m in rows),
                counts,
            )
        case list() if value:
            yield from _block("[]", indent, (("", item) for item in value), counts)
        case _:
            yield json.dumps(value)


def _block(
    ends: str, indent: str, rows: Iterable[tuple[str, Any]], counts: Counts
) -> Iterable[str]:
    inner = indent + "  "
    separator = ends[0] + "\n"
    for name, item in rows:
        yield f"{separator}{inner}{name}"
        yield from _json_rows(item, inner, counts)
        separator = ",\n"
    yield f"\n{indent}{ends[1]}"


def _member(name: str, value: Any, counts: Counts) -> Any:
    """Return a volatile member's value made constant, of the same type; other values unchanged."""
    if name not in VOLATILE or not isinstance(value, str):
        return value
    counts.add(f"member {name}")
    return _Number("0") if isinstance(value, _Number) else ""


def normal_xml(content: bytes, counts: Counts) -> bytes:
    """Return canonical XML (C14N 2.0), volatile attributes and tokens constant, one line feed at
    its end.

    Raise Unnormal.
    """
    if len(content) > MOST_TEXT:
        raise Unnormal(f"it is larger than {MOST_TEXT} bytes")
    if b"<!DOCTYPE" in content or b"\0" in content:
        raise Unnormal("it has a document type, or is in another encoding than UTF-8")
    pieces: list[str] = []
    try:
        # it has no document type, so no entity either
        parser = ElementTree.XMLParser(target=_constant_writer(pieces.append, counts))  # noqa: S314
        parser.feed(content)
        parser.close()
    except (ElementTree.ParseError, LookupError, ValueError, RecursionError) as error:
        raise (
            error if isinstance(error, Unnormal) else Unnormal("it is no XML that can be read")
        ) from error
    return ("".join(pieces).strip() + "\n").encode("utf-8")


class _Scopes:
    """Count the namespaces in force, in each open element and in the next one."""

    def __init__(self) -> None:
        self._outer: list[int] = []
        self._count = 0

    def declare(self) -> None:
        """Count one more namespace of the next element. Raise Unnormal above the limit."""
        self._count += 1
        if self._count > _NAMESPACES:
            raise Unnormal(f"it has more than {_NAMESPACES} namespaces in force in one place")

    def open(self) -> None:
        """Open the next element."""
        self._outer.append(self._count)

    def close(self) -> None:
        """Close the innermost element: what it declared is no longer in force."""
        self._outer.pop()
        self._count = self._outer[-1] if self._outer else 0


def _constant_writer(write: Callable[[str], object], counts: Counts) -> SimpleNamespace:
    """Return a parser's target that writes canonical XML and makes volatile parts constant."""

    def write_as_meant(piece: str) -> None:
        # The library escapes comments and instructions as if they were text. No reader undoes that
        # (C14N 2.0 leaves them as they are), so each round would escape once more. Text and tags
        # never begin like this.
        write(_unescaped(piece) if piece.startswith(("<!--", "<?")) else piece)

    canonical = ElementTree.C14NWriterTarget(write_as_meant, with_comments=True)
    pieces: list[str] = []  # of one text, which a parser may deliver in parts
    depth = 0
    scopes = _Scopes()

    def start_ns(prefix: str, uri: str) -> None:
        scopes.declare()
        canonical.start_ns(prefix, uri)

    def settle_text() -> None:
        if pieces:
            canonical.data(constant_tokens("".join(pieces), counts))
            pieces.clear()

    def start(tag: str, attributes: Mapping[str, str]) -> None:
        nonlocal depth
        depth += 1
        if depth > _DEPTH:
            raise Unnormal(f"it is nested deeper than {_DEPTH} levels")
        scopes.open()
        settle_text()
        canonical.start(
            tag, {name: _attribute(name, value, counts) for name, value in attributes.items()}
        )

    def end(tag: str) -> None:
        nonlocal depth
        depth -= 1
        settle_text()
        canonical.end(tag)
        scopes.close()

    def comment(text: str) -> None:
        settle_text()
        canonical.comment(constant_tokens(text, counts))

    def instruction(name: str, text: str) -> None:
        settle_text()
        canonical.pi(name, text)

    targets = {"data": pieces.append, "pi": instruction, "start_ns": start_ns}
    return SimpleNamespace(start=start, end=end, comment=comment, **targets)


def _unescaped(piece: str) -> str:
    return piece.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")


def _attribute(name: str, value: str, counts: Counts) -> str:
    if name not in _VOLATILE_XML:
        return constant_tokens(value, counts)
    counts.add(f"attribute {name}")
    return "" if name in _WORDS else "0"
