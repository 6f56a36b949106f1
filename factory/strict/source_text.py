"""Decode a contract's bytes to text: bounded, strict UTF-8, no character that a reviewer cannot
see.

Knows no syntax. Places are 1-based lines and columns in characters.
"""

from __future__ import annotations

import re

from factory.strict.values import DocumentError, Place, Problem

SIZE_LIMIT = 64 * 1024  # bytes, far more than a contract that a person reviews
DEPTH_LIMIT = 32  # levels; parsers recurse

# Controls, the line separators on which YAML 1.1 and 1.2 disagree, byte order marks inside the
# text, and the bidirectional overrides that make a line read otherwise than it runs.
_UNSEEN = re.compile(
    "[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u2028\u2029\ufeff\ufffe\uffff"
    "\u202a-\u202e\u2066-\u2069]|\r(?!\n)"
)
_UNSEEN_IN_VALUE = re.compile("[\x00\ud800-\udfff\u202a-\u202e\u2066-\u2069]")


def decode_prose(raw: bytes, limit: int) -> str:
    """Return `raw` as text for people, without its byte order mark. Raise DocumentError."""
    if len(raw) > limit:
        raise DocumentError(
            Problem(f"the file has {len(raw)} bytes, the limit is {limit}", hint="shorten it")
        )
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError as error:
        raise DocumentError(_bad_byte(raw, error.start)) from None
    return text.removeprefix("\ufeff")


def decode_text(raw: bytes, limit: int = SIZE_LIMIT) -> str:
    """Return `raw` as text for a parser, without invisible characters. Raise DocumentError."""
    text = decode_prose(raw, limit)
    found = _UNSEEN.search(text)
    if found:
        line, column = place_of(text, found.start())
        raise DocumentError(
            Problem(f"the character {named(found[0][0])} is not allowed", line, column, "remove it")
        )
    return text


def place_of(text: str, offset: int) -> Place:
    """Return (line, column) of `offset` in `text`, both from 1."""
    start = text.rfind("\n", 0, offset) + 1
    return text.count("\n", 0, offset) + 1, offset - start + 1


def named(character: str) -> str:
    """Return `U+202E` and the like, for characters that must not be printed."""
    return f"U+{ord(character):04X}"


def unseen_in(value: str) -> str:
    """Return the first character that a string must not contain, even escaped; "" if there is
    none.
    """
    found = _UNSEEN_IN_VALUE.search(value)
    return found[0] if found else ""


def _bad_byte(raw: bytes, start: int) -> Problem:
    before = raw[:start].decode("utf-8").removeprefix("\ufeff")
    line, column = place_of(before, len(before))
    return Problem(f"byte 0x{raw[start]:02x} is not UTF-8", line, column, "save the file as UTF-8")
