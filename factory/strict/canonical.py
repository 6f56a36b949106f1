"""Encode canonical JSON: one byte string for one value, on every machine (RFC 8785).

Floats are refused, although the RFC has a form for them: nothing that is hashed or signed here may
depend on rounding. A value that is all ASCII, as nearly every one is, is printed by the standard
library, whose form of it is the RFC's; any other, whose keys sort by UTF-16, by the slower library.
Does not know what is hashed, or why.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any, cast


class NotCanonical(ValueError):
    """Report a value without canonical form: a float, a key that is not text, an integer over 2**53
    - 1.
    """


def encode(value: object) -> bytes:
    """Return the canonical bytes of None, bool, int, str, and sequences and mappings of these.

    Raise NotCanonical.
    """
    try:
        plain = _checked(value)
        text = _PRINTER.encode(plain)
        if text.isascii():
            return text.encode("ascii")
        import rfc8785  # seldom needed, and every start would wait for it

        return rfc8785.dumps(plain)
    except (
        ValueError,
        RecursionError,
    ) as error:  # also UnicodeEncodeError, for a lone surrogate in a key
        raise NotCanonical(f"this value has no canonical JSON: {error}") from error


def digest(value: object) -> str:
    """Return the SHA-256, in hex, of the canonical bytes. Raise NotCanonical."""
    return hashlib.sha256(encode(value)).hexdigest()


_PRINTER = json.JSONEncoder(
    ensure_ascii=False, sort_keys=True, separators=(",", ":"), check_circular=False
)
_LARGEST = 2**53 - 1  # larger ones are not exact in every JSON reader (RFC 7493)


def _checked(value: object) -> Any:
    """Return the value in the standard library's own types. Raise NotCanonical."""
    kind = type(value)
    if kind is str or value is None:
        return value
    if kind is dict:  # nearly every value is of these two types, which are quickly distinguished
        members = cast("dict[object, object]", value)
        return {
            key if type(key) is str else _key(key): (
                member if type(member) is str else _checked(member)
            )
            for key, member in members.items()
        }
    if kind is int and -_LARGEST <= cast("int", value) <= _LARGEST:
        return value
    if isinstance(value, (str, bool)):
        return value
    if isinstance(value, int):
        return _integer(value)
    if isinstance(value, (list, tuple)):
        return [_checked(item) for item in value]
    if isinstance(value, (dict, Mapping)):  # the plain one first: asking the abstract one is slow
        return {_key(key): _checked(member) for key, member in value.items()}
    raise NotCanonical(f"expected text, integers, lists and mappings, found {type(value).__name__}")


def _integer(value: int) -> int:
    if not -_LARGEST <= value <= _LARGEST:
        raise NotCanonical(f"expected an integer of at most 53 bits, found {value.bit_length()}")
    return int(value)


def _key(key: object) -> str:
    if isinstance(key, str):
        return key
    raise NotCanonical(f"expected a text key, found {type(key).__name__}")
