"""No expression of ours matches otherwise on Python 3.11.2, which Debian 12 has, than on a later one.

Before 3.11.5 a possessive group kept what its last repetition had read when that failed
(gh-100061). It does not where an alternative that never matches is tried last.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from factory.redact import reading_through
from factory.redact.credential_forms import FORMS
from tests.parsed import nodes

ROOT = Path(__file__).resolve().parents[3]
_parser: Any = re._parser
SAFE = rb"(?:a(?=b)b|(?!)){0,4}+"
SOURCES = {
    f"{form.kind}, {form.anchor!r}, {name}": getattr(form, name)._source
    for form in FORMS
    for name in ("whole", "begun")
}


def possessive_groups(tree: Any) -> Iterator[Any]:
    """The body of each possessive repetition of more than one character."""
    for kind, value in tree:
        if str(kind) == "POSSESSIVE_REPEAT" and not is_one_character(value[2]):
            yield value[2]
        for below in parts_of(value):
            yield from possessive_groups(below)


def parts_of(value: Any) -> Iterator[Any]:
    if isinstance(value, _parser.SubPattern):
        yield value
    elif isinstance(value, tuple | list):
        for one in value:
            yield from parts_of(one)


def is_one_character(body: Any) -> bool:
    return len(body) == 1 and str(body[0][0]) in ("LITERAL", "NOT_LITERAL", "ANY", "IN")


def ends_with_none(body: Any) -> bool:
    """Whether it is a choice of which the last never matches."""
    if len(body) != 1 or str(body[0][0]) != "BRANCH":
        return False
    last = body[0][1][1][-1]
    return str(last) == str(_parser.parse(b"(?!)"))


def wrong(source: bytes | str) -> list[str]:
    tree = _parser.parse(source)
    return [str(body) for body in possessive_groups(tree) if not ends_with_none(body)]


def test_the_rule_sees_what_breaks_it() -> None:
    assert wrong(rb"(?:a(?=b)b){0,4}+")
    assert wrong(rb"x(?P<secret>y(?:ab|c)*+)")
    assert wrong(rb"(?=z(?:ab)?+)")
    assert not wrong(SAFE)
    assert not wrong(rb"[ab]{2,}+a*+.?+")


def test_the_way_around_works_on_this_python() -> None:
    found = re.match(SAFE, b"ababa")
    assert found is not None
    assert found.span() == (0, 4)


@pytest.mark.parametrize("name", SOURCES)
def test_a_form_of_a_credential_keeps_the_rule(name: str) -> None:
    assert wrong(SOURCES[name]) == []


def test_the_search_for_wide_text_keeps_the_rule() -> None:
    assert wrong(reading_through._WIDE.pattern) == []


def test_no_other_module_has_such_a_group() -> None:
    """By its text: `)` and a possessive mark in one literal."""
    mark = re.compile(r"(?<!\(\?!)\)(?:[*+?]|\{[0-9]*,?[0-9]*\})\+")
    found = []
    for file in sorted((ROOT / "factory").rglob("*.py")):
        for node in nodes(file.read_text("utf-8")):
            if isinstance(node, ast.Constant) and isinstance(node.value, str | bytes):
                text = node.value if isinstance(node.value, str) else node.value.decode("latin-1")
                if mark.search(text):
                    found.append(f"{file.relative_to(ROOT)}:{node.lineno}")
    assert {place.partition(":")[0] for place in found} <= {
        "factory/redact/credential_forms.py",
        "factory/redact/reading_through.py",
    }, found
