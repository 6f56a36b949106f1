"""Read strict TOML: bytes to a value tree with places.

`tomllib` decides what the document means (TOML 1.0); it keeps no places, so a scan of the source
finds those of keys, tables and values. The scan comes first: it bounds nesting and dotted keys, on
which `tomllib` recurses and takes quadratic time. Dates and times are refused. Does not know what a
document is for.
"""

from __future__ import annotations

import datetime
import math
import re
import tomllib
from collections.abc import Mapping
from types import MappingProxyType

from factory.strict.source_text import SIZE_LIMIT, decode_text, named, unseen_in
from factory.strict.toml_places import scan
from factory.strict.values import (
    LARGEST_INTEGER,
    DocumentError,
    Place,
    Problem,
    StrictDocument,
    Value,
    child,
    freeze,
    pointers,
)

_AT = re.compile(r"\s*\(at line (?P<line>[0-9]+), column (?P<column>[0-9]+)\)$")


def parse(raw: bytes, limit: int = SIZE_LIMIT) -> StrictDocument:
    """Read one TOML document. Raise DocumentError and nothing else."""
    text = decode_text(raw, limit)
    scanned = scan(text)
    if scanned.problems:
        raise DocumentError(*scanned.problems)
    try:
        tree = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise DocumentError(_syntax_problem(str(error), text)) from None
    except (RecursionError, ValueError):  # int() refuses thousands of digits
        raise DocumentError(
            Problem("this TOML is nested or counted beyond all limits", hint="shorten it")
        ) from None
    problems = tuple(_unfit(tree, "", scanned.places))
    if problems:
        raise DocumentError(*problems)
    document = StrictDocument(
        freeze(tree), MappingProxyType(scanned.places), MappingProxyType(scanned.keys)
    )
    _judge_places(document.value, scanned.places)
    return document


def _judge_places(value: Value, places: Mapping[str, Place]) -> None:
    if any(pointer not in places for pointer in pointers(value)):
        raise DocumentError(
            Problem("this TOML is written in a form that is not read here", hint="write it plainly")
        )


def _unfit(value: object, pointer: str, places: Mapping[str, Place]) -> list[Problem]:
    """Return problems with values that TOML allows and our documents do not."""
    if isinstance(value, dict):
        return [
            found
            for key, member in value.items()
            for found in _unfit(member, child(pointer, key), places)
        ]
    if isinstance(value, list):
        return [
            found
            for index, item in enumerate(value)
            for found in _unfit(item, child(pointer, index), places)
        ]
    sentence, hint = _unfit_scalar(value)
    return [Problem(sentence, *places.get(pointer, (0, 0)), hint)] if sentence else []


def _unfit_scalar(value: object) -> tuple[str, str]:
    if isinstance(value, (datetime.date, datetime.time)):
        return "a date or time is not used here", "put it in quotes"
    if isinstance(value, float) and not math.isfinite(value):
        return f"{value} is not a finite number", "write a finite one"
    if isinstance(value, int) and abs(value) > LARGEST_INTEGER:
        return (
            f"this number is beyond ±{LARGEST_INTEGER}, where numbers stop being exact",
            "put it in quotes",
        )
    if isinstance(value, str) and unseen_in(value):
        return f"the character {named(unseen_in(value))} is not allowed", "remove it"
    return "", ""


def _syntax_problem(message: str, text: str) -> Problem:
    found = _AT.search(message)
    if found:
        place = int(found["line"]), int(found["column"])
    else:
        lines = text.split("\n")
        place = len(lines), len(lines[-1]) + 1
    return Problem("this is not TOML", *place, "check quotes, brackets and equals signs here")
