"""Read strict JSON into plain dicts and lists; refuse what two readers could understand
differently.

Refused: duplicate keys, NaN and Infinity, numbers beyond ±(2**53 - 1), floats unless asked for,
lone surrogates, nesting over the limit, more bytes than the caller allows, bytes that are not UTF-8
(RFC 8259, narrowed by I-JSON, RFC 7493). Does not keep places: machines write these files. Costs
little over `json.loads`, so that a ledger of any length can pass through it.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Iterator
from typing import Any, NoReturn

from factory.strict.values import LARGEST_INTEGER, DocumentError, Problem

DEPTH_LIMIT = 64  # levels; the decoder recurses

_STRING = re.compile(rb'"(?:[^"\\]|\\.)*"?', re.DOTALL)
_LONG_DIGITS = re.compile(rb"[0-9]{16}")
_LARGEST_DIGITS = 16  # digits of 2**53 - 1


def parse(raw: bytes, *, max_bytes: int, floats: bool = False, depth: int = DEPTH_LIMIT) -> Any:
    """Read one JSON value of at most `max_bytes` bytes. Raise DocumentError and nothing else."""
    if len(raw) > max_bytes:
        raise DocumentError(
            Problem(f"the JSON has {len(raw)} bytes, the limit is {max_bytes}", hint="write less")
        )
    if raw.count(b"[") + raw.count(b"{") > depth:
        _judge_depth(raw, depth)
    decoder = _DECODERS[floats, _LONG_DIGITS.search(raw) is not None]
    try:
        value = decoder.decode(raw.decode("utf-8"))
    except UnicodeDecodeError as error:
        raise DocumentError(
            Problem(f"byte {error.start} (0x{raw[error.start]:02x}) is not UTF-8")
        ) from None
    except json.JSONDecodeError as error:
        raise DocumentError(
            Problem("this is not JSON", error.lineno, error.colno, "write it again")
        ) from None
    if b"\\u" in raw:
        _refuse_surrogates(value)
    return value


def _judge_depth(raw: bytes, limit: int) -> None:
    depth = 0
    for byte in _STRING.sub(b"", raw):
        if byte in b"[{":
            depth += 1
            if depth > limit:
                raise DocumentError(
                    Problem(f"the JSON is nested deeper than {limit} levels", hint="flatten it")
                )
        elif byte in b"]}":
            depth -= 1


def _refuse_surrogates(value: Any) -> None:
    for text in _strings(value):
        if not text.isascii() and any("\ud800" <= character <= "\udfff" for character in text):
            raise DocumentError(
                Problem("a string contains half of a surrogate pair", hint="write whole characters")
            )


def _strings(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, list):
        for item in value:
            yield from _strings(item)
    elif isinstance(value, dict):
        for key, member in value.items():
            yield key
            yield from _strings(member)


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        seen: set[str] = set()
        for key, _ in pairs:
            if key in seen:
                raise DocumentError(
                    Problem(f"the key {json.dumps(key)} is given twice", hint="keep one of them")
                )
            seen.add(key)
    return found


def _checked_integer(text: str) -> int:
    if len(text.lstrip("-")) <= _LARGEST_DIGITS and abs(int(text)) <= LARGEST_INTEGER:
        return int(text)
    raise DocumentError(
        Problem(
            f"a number of {len(text)} digits is beyond ±{LARGEST_INTEGER}", hint="write it as text"
        )
    )


def _checked_float(text: str) -> float:
    number = float(text)
    if math.isfinite(number):
        return number
    raise DocumentError(Problem(f"{text[:40]} is not a finite number", hint="write a finite one"))


def _no_float(text: str) -> NoReturn:
    raise DocumentError(
        Problem(f"{text[:40]} is not a whole number", hint="write a whole number, or text")
    )


def _no_constant(text: str) -> NoReturn:
    raise DocumentError(Problem(f"{text} is not a finite number", hint="write a finite one"))


def _decoder(floats: bool, long_digits: bool) -> json.JSONDecoder:
    parse_float: Callable[[str], float] = _checked_float if floats else _no_float
    return json.JSONDecoder(
        object_pairs_hook=_object,
        parse_float=parse_float,
        parse_int=_checked_integer if long_digits else None,
        parse_constant=_no_constant,
    )


_DECODERS = {
    (floats, digits): _decoder(floats, digits)
    for floats in (False, True)
    for digits in (False, True)
}
