"""Check a built site: links, anchors, images, ids, headings, and that nothing is loaded from
elsewhere.

Usage: check.py FOLDER. Exit codes: 0 sound, 1 problems, 64 usage. Rule: reads the HTML that was
built and shares no code with what built it. Nothing is fetched.
"""

from __future__ import annotations

import posixpath
import re
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

_HOST = re.compile(
    r"(?=.{1,253}\Z)[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?(?:\.[A-Za-z0-9-]{1,63})*(?::[0-9]{1,5})?"
)
_MAIL = re.compile(r"[^@\s]+@[A-Za-z0-9.-]+")
_LOADING = {
    ("img", "src"),
    ("script", "src"),
    ("link", "href"),
    ("source", "src"),
    ("iframe", "src"),
    ("object", "data"),
}


@dataclass(slots=True)
class Read:
    """What one page holds that a check looks at."""

    ids: list[str] = field(default_factory=list)
    links: list[str] = field(default_factory=list)
    loads: list[str] = field(default_factory=list)
    images_without_text: list[str] = field(default_factory=list)
    levels: list[int] = field(default_factory=list)
    scripts: int = 0
    language: str = ""
    title: str = ""


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.read = Read()
        self._in_title = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        named = {name: value or "" for name, value in attrs}
        self._in_title = tag == "title"
        if "id" in named:
            self.read.ids.append(named["id"])
        if tag == "html":
            self.read.language = named.get("lang", "")
        if tag == "a" and "href" in named:
            self.read.links.append(named["href"])
        if tag == "img" and not named.get("alt", "").strip():
            self.read.images_without_text.append(named.get("src", ""))
        if tag == "script" or any(name.startswith("on") for name in named):
            self.read.scripts += 1
        if re.fullmatch(r"h[1-6]", tag):
            self.read.levels.append(int(tag[1]))
        self.read.loads += [value for name, value in named.items() if (tag, name) in _LOADING]

    def handle_endtag(self, tag: str) -> None:
        self._in_title = self._in_title and tag != "title"

    def handle_data(self, data: str) -> None:
        if self._in_title:
            self.read.title += data


def read_page(text: str) -> Read:
    """What an HTML text holds."""
    reader = _Reader()
    reader.feed(text)
    reader.close()
    return reader.read


def problems(files: Mapping[str, bytes]) -> list[str]:
    """Everything wrong with a site, from its files by path; a sentence each."""
    pages = {
        path: read_page(content.decode("utf-8"))
        for path, content in sorted(files.items())
        if path.endswith(".html")
    }
    if "index.html" not in pages:
        return ["index.html: expected the start page, found no such file"]
    found = [f"{path}: {clause}" for path, page in pages.items() for clause in _alone(page)]
    reached: dict[str, set[str]] = {path: set() for path in pages}
    for path, page in pages.items():
        for address in (*page.links, *page.loads):
            clause, target = _judge(address, path, files, pages, loading=address in page.loads)
            if clause:
                found.append(f"{path}: {address!r} {clause}")
            reached[path].add(target)
    lost = pages.keys() - _from_start(reached)
    return found + [
        f"{path}: expected a way from the start page, found none" for path in sorted(lost)
    ]


def _alone(page: Read) -> Iterator[str]:
    """What is wrong with one page by itself."""
    if not page.language:
        yield "expected a language, found none"
    if not page.title.strip():
        yield "expected a title, found none"
    if page.levels.count(1) != 1:
        yield f"expected one heading of the first level, found {page.levels.count(1)}"
    for before, after in zip(page.levels, page.levels[1:], strict=False):
        if after > before + 1:
            yield (
                f"expected a heading of level {before + 1} at most after level {before}, found"
                f" level {after}"
            )
    for twice in sorted({one for one in page.ids if page.ids.count(one) > 1}):
        yield f"expected the id {twice!r} once, found it {page.ids.count(twice)} times"
    for image in page.images_without_text:
        yield f"expected an alternative text for the image {image!r}, found none"
    if page.scripts:
        yield "expected no script, found one"


def _judge(
    address: str, page: str, files: Mapping[str, bytes], pages: Mapping[str, Read], *, loading: bool
) -> tuple[str, str]:
    """What is wrong with an address on a page ("" for nothing), and the path in the site that it
    names.
    """
    try:
        parts = urlsplit(address)
    except ValueError:
        return "is not a well-formed address", ""
    if parts.scheme or parts.netloc:
        return (
            "is loaded from elsewhere; everything must be in the site"
            if loading
            else _outside(address)
        ), ""
    target = (
        posixpath.normpath(posixpath.join(posixpath.dirname(page), unquote(parts.path)))
        if parts.path
        else page
    )
    if target.startswith(("../", "/")) or target == "..":
        return "leaves the site", ""
    if target not in files:
        return f"expected {target}, found no such file in the site", ""
    if parts.fragment and unquote(parts.fragment) not in (
        pages[target].ids if target in pages else ()
    ):
        return f"expected the anchor {parts.fragment!r} in {target}, found none", target
    return "", target


def _outside(address: str) -> str:
    """What is wrong with the form of an address outside the site."""
    parts = urlsplit(address)
    if parts.scheme == "mailto":
        return "" if _MAIL.fullmatch(parts.path) else "is not a mail address"
    if parts.scheme not in ("http", "https"):
        return "expected http, https or mailto"
    if "@" in parts.netloc or not _HOST.fullmatch(parts.netloc) or re.search(r"\s", address):
        return "is not a well-formed address"
    return ""


def _from_start(reached: Mapping[str, set[str]]) -> set[str]:
    seen: set[str] = set()
    ahead = ["index.html"]
    while ahead:
        path = ahead.pop()
        if path not in seen and path in reached:
            seen.add(path)
            ahead += reached[path]
    return seen


def main(argv: list[str]) -> int:
    """Check the site in a folder."""
    if len(argv) != 1:
        print("usage: check.py FOLDER", file=sys.stderr)
        return 64
    root = Path(argv[0])
    files = {
        path.relative_to(root).as_posix(): path.read_bytes()
        for path in sorted(root.rglob("*"))
        if path.is_file()
    }
    found = problems(files)
    pages = sum(path.endswith(".html") for path in files)
    print("\n".join(found) or f"{pages} pages, and every link and anchor on them holds")
    return 1 if found else 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
