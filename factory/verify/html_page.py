"""Read `report.html` as a browser would: nothing in it may act; what it says is gathered by
section.

A page is refused if it contains anything but plain elements, its own style under a policy that
allows nothing else, and links to itself and to logs. Does not know what the page should say.
"""

from __future__ import annotations

import base64
import hashlib
import re
from dataclasses import dataclass, field
from html.parser import HTMLParser

from factory.verify import paths

_ELEMENTS = frozenset(
    "html head meta title style body a header h1 h2 h3 p code nav ul ol li main section div table"
    " caption thead tbody tr th td span strong br details summary pre dl dt dd".split()
)
_EMPTY = frozenset({"meta", "br"})
_ATTRIBUTES = frozenset(
    "charset http-equiv content name lang class href id scope role aria-label tabindex open".split()
)
_LINK = re.compile(rf"#[a-z]+|(?:\.\./[A-Za-z0-9._~%-]+/)?{paths.LOGS}[A-Za-z0-9._~%-]+\.log")


@dataclass
class Page:
    """Contain what a page says: title, verdict, the lines of its head, rows and items by
    section.
    """

    title: str = ""
    verdict: str = ""
    head: list[str] = field(default_factory=list)
    rows: dict[str, list[tuple[str, ...]]] = field(default_factory=dict)
    items: dict[str, list[tuple[str, ...]]] = field(default_factory=dict)
    words: dict[str, str] = field(default_factory=dict)
    problem: str = ""


def read_page(content: bytes) -> Page:
    """Return the page of these bytes; `problem` says, in one clause, what in it could act, else
    "".
    """
    reader = _Reader()
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError:
        return Page(problem="is not UTF-8")
    if not text.startswith('<!DOCTYPE html>\n<html lang="en"><head>'):
        return Page(problem="does not begin as a page of ours")
    reader.feed(text)
    reader.close()
    page = reader.page
    digest = base64.b64encode(hashlib.sha256(reader.style.encode("utf-8")).digest()).decode("ascii")
    policy = f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"
    if reader.policies != [policy]:
        page.problem = (
            page.problem
            or "does not state the one policy under which nothing but its own style acts"
        )
    if reader.open:
        page.problem = page.problem or f"leaves {reader.open[-1]} open"
    return page


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.page = Page()
        self.style = ""
        self.policies: list[str] = []
        self.open: list[str] = []
        self._section = ""
        self._cells: list[str] = []
        self._parts: list[str] = []

    def _refuse(self, what: str) -> None:
        self.page.problem = self.page.problem or what

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in _ELEMENTS:
            self._refuse(f"contains an element {tag}")
        for name, value in attrs:
            if name not in _ATTRIBUTES or (name == "href" and _LINK.fullmatch(value or "") is None):
                self._refuse(f"contains {name}={value!r}")
        given = dict(attrs)
        if "http-equiv" in given:
            self.policies.append(given.get("content") or "")
            if given["http-equiv"] != "Content-Security-Policy":
                self._refuse(f"contains http-equiv={given['http-equiv']!r}")
        if tag in _EMPTY:
            self.handle_data(" ")
            return
        self.open.append(tag)
        if tag == "section":
            self._section = given.get("id") or ""
        if tag in ("tr", "li"):
            self._cells = []
        if tag in ("th", "td", "p", "h1", "title"):
            self._parts = []

    def handle_endtag(self, tag: str) -> None:
        if not self.open or self.open.pop() != tag:
            self._refuse(f"closes {tag} where it is not open")
        said = " ".join("".join(self._parts).split())
        if tag == "title":
            self.page.title = said
        elif tag == "h1":
            self.page.verdict += said
        elif tag == "p" and "header" in self.open:
            self.page.head.append(said)
        elif tag in ("th", "td", "p"):
            self._cells.append(said)
        elif tag == "tr" and "tbody" in self.open:
            self.page.rows.setdefault(self._section, []).append(tuple(self._cells))
        elif tag == "li" and self._cells:
            self.page.items.setdefault(self._section, []).append(tuple(self._cells))

    def handle_data(self, data: str) -> None:
        self._parts.append(data)
        if self.open and self.open[-1] == "style":
            self.style += data
        elif self._section:
            self.page.words[self._section] = self.page.words.get(self._section, "") + data

    def handle_comment(self, data: str) -> None:
        del data
        self._refuse("contains a comment")

    def handle_pi(self, data: str) -> None:
        del data
        self._refuse("contains a processing instruction")

    def unknown_decl(self, data: str) -> None:
        del data
        self._refuse("contains a declaration")
