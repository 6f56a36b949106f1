"""Planted broken pages: each flaw must be named; and a sound site must pass whole."""

from __future__ import annotations

import tempfile
import unittest
from pathlib import Path

from build import build, version_problem
from check import problems
from pages import render_site, slug

SOUND = {
    "README.md": "# Start\n\nSee [more](docs/more.md#second-part) and [all](docs/more.md), [out](https://example.org/a?b#c).\n",
    "docs/more.md": "# More\n\n## Second part\n\n[Back](../README.md#start)\n",
}


def built(**changed: str) -> dict[str, bytes]:
    """The files of the sound site with some sources replaced (`README` for README.md, `more` for
    docs/more.md).
    """
    names = {"README": "README.md", "more": "docs/more.md", "extra": "docs/extra.md"}
    texts = SOUND | {names[name]: text for name, text in changed.items()}
    return {path: text.encode() for path, text in render_site(texts).items()} | {"style.css": b""}


def page(body: str) -> dict[str, bytes]:
    """A start page with the given body, written by hand."""
    return {"index.html": f'<html lang="en"><title>T</title><h1>T</h1>{body}'.encode()}


class Flaws(unittest.TestCase):
    """What the check must name."""

    def flaw(self, files: dict[str, bytes], words: str) -> None:
        found = problems(files)
        self.assertEqual(len(found), 1, found)
        self.assertIn(words, found[0])

    def test_sound_site_passes(self) -> None:
        self.assertEqual(problems(built()), [])

    def test_dead_page(self) -> None:
        self.flaw(
            built(more="# More\n\n## Second part\n\n[x](missing.md)\n"), "no such file in the site"
        )

    def test_dead_anchor(self) -> None:
        self.flaw(built(more="# More\n\n## Other part\n"), "expected the anchor 'second-part'")

    def test_dead_anchor_on_the_same_page(self) -> None:
        self.flaw(page('<a href="#nowhere">x</a>'), "expected the anchor 'nowhere' in index.html")

    def test_link_out_of_the_site(self) -> None:
        self.flaw(built(more="# More\n\n## Second part\n\n[x](../../else.md)\n"), "leaves the site")

    def test_absolute_path(self) -> None:
        self.flaw(page('<a href="/etc">x</a>'), "leaves the site")

    def test_image_without_text(self) -> None:
        files = built(more="# More\n\n## Second part\n\n![](a.png)\n") | {"docs/a.png": b""}
        self.flaw(files, "alternative text for the image 'a.png'")

    def test_missing_image(self) -> None:
        self.flaw(built(more="# More\n\n## Second part\n\n![A](a.png)\n"), "expected docs/a.png")

    def test_id_twice(self) -> None:
        self.flaw(page('<p id="a"></p><p id="a"></p>'), "the id 'a' once, found it 2 times")

    def test_headings_with_one_text_get_two_ids(self) -> None:
        self.assertEqual(problems(built(more="# More\n\n## Second part\n\n## Second part\n")), [])

    def test_two_first_headings(self) -> None:
        self.flaw(page("<h1>U</h1>"), "one heading of the first level, found 2")

    def test_level_that_jumps(self) -> None:
        self.flaw(page("<h3>U</h3>"), "level 2 at most after level 1, found level 3")

    def test_missing_language(self) -> None:
        self.flaw({"index.html": b"<title>T</title><h1>T</h1>"}, "expected a language")

    def test_missing_title(self) -> None:
        self.flaw({"index.html": b'<html lang="en"><title> </title><h1>T</h1>'}, "expected a title")

    def test_style_from_elsewhere(self) -> None:
        self.flaw(
            page('<link rel="stylesheet" href="https://example.org/a.css">'),
            "is loaded from elsewhere",
        )

    def test_image_from_elsewhere(self) -> None:
        self.flaw(page('<img alt="a" src="//example.org/a.png">'), "is loaded from elsewhere")

    def test_script(self) -> None:
        self.flaw(page("<script>1</script>"), "expected no script")
        self.flaw(page('<p onclick="1">'), "expected no script")

    def test_addresses_outside(self) -> None:
        for address in (
            "https://",
            "https://exa mple.org",
            "https://a@example.org",
            "mailto:nobody",
            "https://[::1",
        ):
            with self.subTest(address=address):
                self.flaw(page(f'<a href="{address}">x</a>'), "address")
        for address in ("javascript:alert(1)", "ftp://example.org/"):
            with self.subTest(address=address):
                self.flaw(page(f'<a href="{address}">x</a>'), "expected http, https or mailto")
        self.assertEqual(problems(page('<a href="mailto:a@example.org">x</a>')), [])

    def test_page_without_a_way_to_it(self) -> None:
        lost = {"lost.html": b'<html lang="en"><title>T</title><h1>T</h1>'}
        self.flaw(page("") | lost, "lost.html: expected a way from the start page")

    def test_no_start_page(self) -> None:
        self.flaw({"other.html": b""}, "index.html: expected the start page")


class Pages(unittest.TestCase):
    """What is built."""

    def test_markup_in_markdown_is_text(self) -> None:
        files = built(more="# More\n\n## Second part\n\n<script>alert(1)</script>\n")
        self.assertIn(b"&lt;script&gt;", files["docs/more.html"])
        self.assertEqual(problems(files), [])

    def test_titles_are_escaped(self) -> None:
        self.assertIn(b"<title>A &lt; B</title>", built(README="# A < B\n")["index.html"])

    def test_anchors_are_those_of_code_hosts(self) -> None:
        self.assertEqual(slug("What it enforces, and what not"), "what-it-enforces-and-what-not")
        self.assertEqual(slug("`factory.toml`"), "factorytoml")

    def test_new_page_is_in_the_navigation_of_all(self) -> None:
        files = built(extra="# Extra\n")
        self.assertIn(b'href="docs/extra.html"', files["index.html"])
        self.assertIn(b'href="extra.html"', files["docs/more.html"])

    def test_order_of_sources_does_not_matter(self) -> None:
        turned = dict(reversed(SOUND.items()))
        self.assertEqual(list(render_site(turned).items()), list(render_site(SOUND).items()))


class Build(unittest.TestCase):
    """From folder to folder."""

    def test_files_beside_the_pages_are_copied_and_links_are_not_followed(self) -> None:
        with tempfile.TemporaryDirectory() as folder:
            root, target = Path(folder, "root"), Path(folder, "site")
            (root / "docs").mkdir(parents=True)
            for name, text in SOUND.items():
                (root / name).write_text(text, "utf-8")
            (root / "docs" / "a.json").write_bytes(b"{}")
            (root / "docs" / ".hidden").write_bytes(b"")
            (root / "docs" / "link.md").symlink_to("/etc/passwd")
            self.assertEqual(build(root, target), 2)
            names = sorted(
                path.relative_to(target).as_posix() for path in target.rglob("*") if path.is_file()
            )
            self.assertEqual(
                names, ["docs/a.json", "docs/more.html", "index.html", "pages.json", "style.css"]
            )

    def test_other_version_of_the_parser_is_refused(self) -> None:
        self.assertIn(
            "expected markdown-it-py 0.0.1, found ", version_problem("markdown-it-py==0.0.1 \\\n")
        )
        self.assertIn("a version in requirements.lock", version_problem("# nothing\n"))


if __name__ == "__main__":
    unittest.main()
