"""Markdown texts to HTML pages with anchors, navigation and rewritten links. Text in, text out.

Rule: a page depends on the given texts and on nothing else. Does not know folders, nor whether a
link's target exists: `check.py` reads what was built.
"""

from __future__ import annotations

import html
import posixpath
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from urllib.parse import quote, unquote, urlsplit

from markdown_it import MarkdownIt
from markdown_it.token import Token

START = "README.md"
POLICY = "default-src 'none'; style-src 'self'; img-src 'self'; base-uri 'none'; form-action 'none'"


@dataclass(frozen=True, slots=True)
class Page:
    """One page: its source path, its path in the site, its title, and the HTML of its content."""

    source: str
    path: str
    title: str
    content: str


def render_site(texts: Mapping[str, str]) -> dict[str, str]:
    """Every page as a whole document, by its path in the site, from Markdown by source path."""
    pages = [render_page(source, text, texts.keys()) for source, text in texts.items()]
    ordered = sorted(
        pages, key=lambda page: (page.source != START, page.source.count("/"), page.source)
    )
    return {page.path: _document(page, ordered) for page in ordered}


def render_page(source: str, text: str, sources: Iterable[str]) -> Page:
    """One Markdown text as a page; its title is its first heading, or its path where it has
    none.
    """
    tokens = _parser().parse(text)
    seen: dict[str, int] = {}
    title = ""
    for index, token in enumerate(tokens):
        if token.type == "heading_open":
            words = _plain(tokens[index + 1])
            title = title or words
            token.attrSet("id", _unique(slug(words), seen))
        for inner in token.children or []:
            _rewrite(inner, source, frozenset(sources))
    return Page(
        source,
        path_of(source),
        title or source,
        _parser().renderer.render(tokens, _parser().options, {}),
    )


def path_of(source: str) -> str:
    """The path in the site of a Markdown file; the start page is index.html."""
    return "index.html" if source == START else source.removesuffix(".md") + ".html"


def slug(words: str) -> str:
    """The anchor of a heading: small letters, digits, _ and -, as code hosts write it."""
    return re.sub(r"[^\w\- ]", "", words.strip().lower()).replace(" ", "-") or "section"


def _parser() -> MarkdownIt:
    return MarkdownIt("commonmark", {"html": False}).enable("table")


def _plain(inline: Token) -> str:
    return "".join(
        child.content for child in inline.children or [] if child.type in ("text", "code_inline")
    )


def _unique(anchor: str, seen: dict[str, int]) -> str:
    count = seen.get(anchor, 0)
    seen[anchor] = count + 1
    return f"{anchor}-{count}" if count else anchor


def _rewrite(token: Token, source: str, sources: frozenset[str]) -> None:
    """Point a link at the page instead of at its Markdown file."""
    attribute = {"link_open": "href", "image": "src"}.get(token.type)
    if attribute is None:
        return
    written = str(token.attrGet(attribute))
    parts = urlsplit(written)
    if parts.scheme or parts.netloc or not parts.path:
        return
    target = posixpath.normpath(posixpath.join(posixpath.dirname(source), unquote(parts.path)))
    if target in sources:
        target = path_of(target)
    fragment = f"#{parts.fragment}" if parts.fragment else ""
    token.attrSet(attribute, relative(target, path_of(source)) + fragment)


def relative(target: str, page: str) -> str:
    """The address of one path of the site, as seen from a page."""
    return quote(posixpath.relpath(target, posixpath.dirname(page) or "."))


def _document(page: Page, pages: Iterable[Page]) -> str:
    title = html.escape(page.title)
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="{html.escape(POLICY)}">
<title>{title}</title>
<link rel="stylesheet" href="{relative("style.css", page.path)}">
</head>
<body>
<a class="skip" href="#content">Skip to content</a>
<nav aria-label="Pages">
{"".join(_navigation(page, pages))}</nav>
<main id="content">
{page.content}</main>
<footer><p>Made from <code>{html.escape(page.source)}</code></p></footer>
</body>
</html>
"""


def _navigation(page: Page, pages: Iterable[Page]) -> Iterator[str]:
    """One list of links per folder of the sources."""
    folders: dict[str, list[Page]] = {}
    for other in pages:
        folders.setdefault(posixpath.dirname(other.source), []).append(other)
    for folder, members in folders.items():
        if folder:
            yield f"<p>{html.escape(folder)}</p>\n"
        yield "<ul>\n"
        for other in members:
            current = ' aria-current="page"' if other is page else ""
            address = relative(other.path, page.path)
            yield f'<li><a href="{address}"{current}>{html.escape(other.title)}</a></li>\n'
        yield "</ul>\n"


STYLE = """:root { color-scheme: light dark; --line: #8886; --soft: #8882; }
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 76rem; padding: 1rem; display: grid; gap: 0 2rem;
  grid-template: "nav main" auto "nav footer" auto / 16rem minmax(0, 1fr);
  font: 1rem/1.55 system-ui, sans-serif; }
nav { grid-area: nav; font-size: .9rem; border-right: 1px solid var(--line); padding-right: 1rem; }
nav ul { list-style: none; margin: 0 0 1rem; padding: 0; }
nav li { margin: .25rem 0; }
nav [aria-current] { font-weight: bold; }
main { grid-area: main; }
footer { grid-area: footer; border-top: 1px solid var(--line); font-size: .85rem; }
.skip { position: absolute; left: -100rem; }
.skip:focus { left: 1rem; top: 1rem; padding: .5rem; background: Canvas; }
h1, h2, h3, h4 { line-height: 1.25; }
pre { overflow-x: auto; padding: .75rem; background: var(--soft); border-radius: .3rem; }
code { font-family: ui-monospace, monospace; font-size: .9em; }
table { display: block; overflow-x: auto; border-collapse: collapse; }
th, td { border: 1px solid var(--line); padding: .35rem .6rem; text-align: left; vertical-align: top; }
blockquote { margin-left: 0; padding-left: 1rem; border-left: .25rem solid var(--line); }
:focus-visible { outline: 3px solid Highlight; }
@media (max-width: 50rem) {
  body { display: block; }
  nav { border-right: 0; border-bottom: 1px solid var(--line); padding: 0 0 1rem; }
}
"""
