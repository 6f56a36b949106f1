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
    "html head meta title style body a header h1 h2 h3 h4 p code nav ul ol li main section div"
    " table caption thead tbody tr th td span strong br details summary pre dl dt dd".split()
)
_EMPTY = frozenset({"meta", "br"})
_ATTRIBUTES = frozenset(
    "charset http-equiv content name lang class href id scope role aria-label tabindex open".split()
)
_SEGMENT = r"[A-Za-z0-9._~%-]+"
# Places of the page, logs and patches, and artifacts of kinds that no browser runs anything of.
_LINK = re.compile(
    rf"#[a-z]+(?:-[0-9]+)?|(?:\.\./{_SEGMENT}/)?{paths.LOGS}{_SEGMENT}\.log"
    rf"|\.\./{_SEGMENT}/{paths.PATCH}"
    rf"|\.\./{_SEGMENT}/{paths.ARTIFACTS}(?!\.\.?/)(?:{_SEGMENT}/(?!\.\.?/))*{_SEGMENT}"
    r"\.(?:txt|log|json|csv|tsv|md|png|jpe?g|gif|webp)",
    re.IGNORECASE,
)


@dataclass
class Page:
    """Contain what a page says: title, verdict, the lines and facts of its head, rows of tables by
    their class, items that have paragraphs, lines of diffs by section.
    """

    title: str = ""
    verdict: str = ""
    head: list[str] = field(default_factory=list)
    facts: dict[str, str] = field(default_factory=dict)
    diffs: dict[str, list[str]] = field(default_factory=dict)
    rows: dict[str, list[tuple[str, ...]]] = field(default_factory=dict)
    items: list[tuple[str, ...]] = field(default_factory=list)
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
        self._tables: list[str] = []  # classes of the open tables
        self._quiet = 0  # open elements whose text is a line number
        self._cells: list[str] = []
        self._parts: list[str] = []
        self._name = ""
        self._in_diff = False

    def _refuse(self, what: str) -> None:
        self.page.problem = self.page.problem or what

    def _judge(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Refuse an element, an attribute or a link that could act."""
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

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._judge(tag, attrs)
        given = dict(attrs)
        if tag in _EMPTY:
            self.handle_data(" ")
            return
        self.open.append(tag)
        if tag == "section":
            self._section = given.get("id") or ""
        if tag == "table":
            self._tables.append(given.get("class") or "")
        self._quiet += bool(self._quiet) or (tag == "span" and given.get("class") == "n")
        if tag in ("tr", "li"):
            self._cells = []
        begins_diff = tag == "pre" and given.get("class") == "diff"
        self._in_diff = self._in_diff or begins_diff
        if begins_diff or tag in ("th", "td", "p", "h1", "title", "dt", "dd"):
            self._parts = []

    def handle_endtag(self, tag: str) -> None:
        if not self.open or self.open.pop() != tag:
            self._refuse(f"closes {tag} where it is not open")
        self._quiet -= bool(self._quiet)
        text = "".join(self._parts)
        said = " ".join(text.split())
        if tag == "table" and self._tables:
            self._tables.pop()
        if tag == "pre" and self._in_diff:
            self._in_diff = False
            self.page.diffs.setdefault(self._section, []).extend(text.split("\n")[:-1])
        elif tag == "title":
            self.page.title = said
        elif "header" in self.open:
            self._of_head(tag, said)
        else:
            self._of_body(tag, said)

    def _of_head(self, tag: str, said: str) -> None:
        if tag == "h1":
            self.page.verdict += said
        elif tag == "p":
            self.page.head.append(said)
        elif tag == "dt":
            self._name = said
        elif tag == "dd" and self.page.facts.setdefault(self._name, said) != said:
            self._refuse(f"says twice what its {self._name} is")

    def _of_body(self, tag: str, said: str) -> None:
        if tag == "h1":
            self.page.verdict += said
        elif tag in ("th", "td", "p"):
            self._cells.append(said)
        elif tag == "tr" and "tbody" in self.open:
            kind = self._tables[-1] if self._tables else ""
            self.page.rows.setdefault(kind, []).append(tuple(self._cells))
        elif tag == "li" and self._cells:
            self.page.items.append(tuple(self._cells))

    def handle_data(self, data: str) -> None:
        if self._quiet:
            if data.strip("0123456789 "):
                self._refuse(f"numbers a line {data!r}")
            return
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
