"""Build HTML and XML from values: whatever is not already `Markup` is made inert and escaped.

Rule: names of elements and attributes come from this program, text may come from anybody. No
comment, CDATA section or processing instruction can be made, and no character that XML 1.0 forbids.
Does not know what a document says.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from factory.model.inert import for_eyes, without_colours

_NAME = re.compile(r"[a-z][a-z0-9-]*")
_ESCAPED = {"&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "'": "&#39;"}
_UNRESERVED = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~/")
_VOID = frozenset({"meta", "br", "wbr", "hr"})


@dataclass(frozen=True, slots=True)
class Markup:
    """Mark text as safe to insert: it comes from this program or was escaped."""

    text: str


Child = Markup | str | int


def text_of(value: str) -> str:
    """Return untrusted text on one line, escaped for an element or a quoted attribute."""
    return "".join(_ESCAPED.get(char, char) for char in for_eyes(value))


def lines_of(value: str) -> Markup:
    """Return untrusted text of several lines, such as a log: without colours, each line inert."""
    lines = (
        line.expandtabs(4) for line in without_colours(value.replace("\r\n", "\n")).split("\n")
    )
    return Markup("\n".join(map(text_of, lines)))


def tag(name: str, /, *children: Child, **attributes: str | int | bool) -> Markup:
    """Return one element. In attribute names `_` becomes `-`, and a trailing `_` is dropped.

    True yields an attribute without value; False and "" leave it out. Raise ValueError for a name
    that is not lower-case letters, digits and hyphens.
    """
    shown = "".join(
        _attribute(key, value)
        for key, value in attributes.items()
        if value is not False and value != ""
    )
    opening = f"<{_checked(name)}{shown}>"
    return Markup(opening if name in _VOID else f"{opening}{joined(*children).text}</{name}>")


def joined(*children: Child) -> Markup:
    """Return all children in order; those that are not `Markup` are escaped."""
    return Markup(
        "".join(
            child.text if isinstance(child, Markup) else text_of(str(child)) for child in children
        )
    )


def relative_uri(path: str) -> str:
    """Return a path as a relative URI that cannot name a scheme, a host, a query or a fragment."""
    safe = "".join(
        chr(byte) if byte in _UNRESERVED else f"%{byte:02X}"
        for byte in for_eyes(path).encode("utf-8")
    )
    return f"./{safe}" if safe.startswith("/") else safe


def _attribute(key: str, value: str | int) -> str:
    name = _checked(key.rstrip("_").replace("_", "-"))
    return f" {name}" if value is True else f' {name}="{text_of(str(value))}"'


def _checked(name: str) -> str:
    if _NAME.fullmatch(name) is None:
        raise ValueError(f"expected a name of an element or attribute, found {name!r}")
    return name
