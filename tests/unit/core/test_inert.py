"""What a pack wrote never acts: every sink's text, read back by somebody else's parser, is text and
nothing else.
"""

from __future__ import annotations

import ast
import html
import re
import unicodedata
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from factory.model.inert import (
    BLANK,
    Shown,
    annotation,
    code,
    for_eyes,
    for_markdown,
    for_sarif,
    for_terminal,
    markdown,
    no_command,
)
from tests.hostile_text import ANY_TEXT, HOSTILE
from tests.parsed import nodes

PACKAGE = Path(__file__).resolve().parents[3] / "factory"
PARSER = MarkdownIt("gfm-like", {"linkify": False})
ACTS = re.compile(
    r"[@#]\w|://|www\.|\bGH-\d|:[a-z0-9_+-]+:|[!$&%~^]\d|\b[0-9a-f]{7,40}\b",
    re.IGNORECASE | re.ASCII,
)


def shows(text: str) -> bool:
    """Whether every character of a line is one that a person sees, and that no parser is troubled
    by.
    """
    hidden = {"Cc", "Cf", "Cs", "Zl", "Zp"}
    return not any(unicodedata.category(char) in hidden or char in BLANK for char in text)


def judge(rendered: str) -> None:
    """Rendered text: besides code, which no forge looks into, no tag and nothing that a forge would
    act on.
    """
    loose = re.sub(r"<code>[^<>]*</code>", "code", rendered)
    assert not re.search("[<>]", loose), rendered
    assert not ACTS.search(html.unescape(loose)), rendered
    assert shows(html.unescape(rendered).replace("\u200b", "").replace("\n", " ")), rendered


def seen(rendered: str) -> str:
    """What a person reads: tags away, entities resolved, spaces of no width away."""
    return html.unescape(re.sub(r"<[^>]*>", "", rendered)).replace("\u200b", "").strip()


@pytest.mark.parametrize("text", HOSTILE)
@pytest.mark.parametrize("before", ["", "see ", "- x\n  "])
def test_hostile_text_is_only_text_in_markdown(text: str, before: str) -> None:
    rendered = PARSER.render(f"{before}{for_markdown(text)}")
    inside = re.fullmatch(r"<(p|ul)>(?:\n<li>)?(.*?)(?:</li>\n)?</\1>\n", rendered, re.DOTALL)
    assert inside, rendered
    judge(inside[2])


@given(ANY_TEXT)
def test_any_text_is_only_text_in_markdown(text: str) -> None:
    for before in ("", "a\n", "- "):
        rendered = PARSER.render(f"{before}{for_markdown(text)}")
        judge(re.sub(r"</?(?:p|ul|li)>", "", rendered))
        assert rendered.count("<p>") + rendered.count("<li>") <= 1, rendered


@given(ANY_TEXT)
def test_any_text_stays_in_its_cell(text: str) -> None:
    rendered = PARSER.render(
        f"| a | b |\n|---|---|\n| {for_markdown(text)} | {code(text, cell=True)} |\n| x | y |"
    )
    cells = re.findall(r"<td>(.*?)</td>", rendered, re.DOTALL)
    assert len(cells) == 4, rendered
    assert cells[2:] == ["x", "y"], rendered
    judge(cells[0])
    assert re.fullmatch(r"<code>[^<>]*</code>", cells[1]), rendered


@given(st.text("abc0123456789 <>&*_`@#:/[]()|!~$%^+=\\.-", max_size=30))
def test_a_person_reads_what_was_written(text: str) -> None:
    assert (
        seen(PARSER.render(f"see {for_markdown(text)}")) == f"see {' '.join(text.split())}".strip()
    )


@given(ANY_TEXT)
def test_code_is_one_code_span_and_says_what_it_was_given(text: str) -> None:
    rendered = PARSER.renderInline(f"x{code(text)}y")
    found = re.fullmatch(r"x<code>([^<>]*)</code>y", rendered)
    assert found, rendered
    assert html.unescape(found[1]).strip(" ") == for_eyes(text).strip(" ")
    assert shows(html.unescape(found[1]))


def test_a_commit_like_word_can_still_be_copied() -> None:
    assert for_markdown("tree 8b52c1d4 of v1.2.3") == "tree `8b52c1d4` of v1.2.3"


@given(ANY_TEXT, ANY_TEXT)
def test_a_template_escapes_what_is_not_markdown_yet(one: str, two: str) -> None:
    assert (
        markdown("**{}** {} {}", one, for_markdown(two), -3)
        == f"**{for_markdown(one)}** {for_markdown(two)} -3"
    )


def test_a_template_has_a_place_for_each_value() -> None:
    with pytest.raises(ValueError, match=r"has 1 places for 2 values"):
        markdown("{}", "a", "b")


def test_templates_are_literals_and_marks_are_for_what_is_ours() -> None:
    """Who writes `markdown(f"…")` lets a pack write Markdown."""
    checked = 0
    for path in sorted(PACKAGE.rglob("*.py")):
        for node in nodes(path.read_text("utf-8")):
            if (
                isinstance(node, ast.Call)
                and isinstance(node.func, ast.Name)
                and node.func.id in ("md", "markdown")
            ):
                checked += 1
                first = node.args[0]
                assert isinstance(first, ast.Constant), (
                    f"{path.name}:{node.lineno}: the template is no literal"
                )
    assert checked > 10


# ── terminals and logs of CI ─────────────────────────────────────────────────

COMMAND = re.compile(r"^\s*::|##[a-z]*\[", re.IGNORECASE | re.MULTILINE)


@given(ANY_TEXT)
def test_no_terminal_and_no_runner_acts_on_any_text(text: str) -> None:
    shown = for_terminal(text)
    assert not any(unicodedata.category(char) in ("Co", "Cn") for char in shown)
    assert shows(shown)
    assert not COMMAND.search(shown)
    assert for_terminal(shown) == shown
    shown.encode()


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("::error::x", "\\u003a:error::x"),
        (" \u00a0::add-mask::x", " \u00a0\\u003a:add-mask::x"),
        ("a ##[group]x", "a \\u0023#[group]x"),
        ("##VSO[x] ###[", "\\u0023#VSO[x] #\\u0023#["),
        ("tests/a.py::test_b ## not a command", "tests/a.py::test_b ## not a command"),
    ],
)
def test_commands_to_runners_are_spelled(text: str, shown: str) -> None:
    assert for_terminal(text) == shown


def test_a_document_stays_the_same_document() -> None:
    import json

    told = {"message": "##[error] \u202e", "lines": ["::error::x"]}
    text = json.dumps(told, indent=2)
    assert no_command(Shown(text)) != text
    assert json.loads(no_command(Shown(text))) == told


# ── workflow commands ────────────────────────────────────────────────────────


def runner(line: str) -> tuple[str, dict[str, str], str]:
    """As GitHub's runner reads a line (ActionCommand.TryParseV2)."""
    assert line.startswith("::")
    end = line.index("::", 2)
    name, _, rest = line[2:end].partition(" ")
    members = dict(member.split("=", 1) for member in rest.strip().split(","))

    def unescaped(text: str, more: bool) -> str:
        pairs = [
            ("%0D", "\r"),
            ("%0A", "\n"),
            *([("%3A", ":"), ("%2C", ",")] if more else []),
            ("%25", "%"),
        ]
        for written, char in pairs:
            text = text.replace(written, char)
        return text

    return (
        name,
        {key: unescaped(value, True) for key, value in members.items()},
        unescaped(line[end + 2 :], False),
    )


@given(ANY_TEXT, ANY_TEXT.filter(bool), ANY_TEXT)
def test_an_annotation_is_one_command_that_says_what_it_was_given(
    title: str, file: str, message: str
) -> None:
    line = annotation("note", f"T{title}T", message, file, 3)
    assert not set("\r\n") & set(line)
    assert shows(line)
    name, members, told = runner(line)
    assert name == "notice"
    assert members == {"file": for_eyes(file), "line": "3", "title": for_eyes(f"T{title}T")}
    assert told == for_eyes(message)


# ── SARIF ────────────────────────────────────────────────────────────────────


@given(ANY_TEXT)
def test_a_message_holds_no_placeholder_and_no_link(text: str) -> None:
    told = for_sarif(text)
    bare = re.sub(r"\\[\\\[\]]", "", told)
    assert not set("[]") & set(bare)
    assert not re.search(r"\{\d", told.replace("{{", ""))
    assert re.sub(r"\\([\\\[\]])", r"\1", told).replace("{{", "{").replace("}}", "}") == for_eyes(
        text
    )
