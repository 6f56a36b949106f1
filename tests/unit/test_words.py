"""Keep private words out of code and documents, and give each class name one meaning.

Read are docstrings, comments, names of classes and functions, sentences in the code (text with a
blank in it), the catalogue of findings, and the prose of the documents.
"""

from __future__ import annotations

import ast
import io
import re
import tokenize
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from factory.model.findings.catalogue import CATALOGUE
from factory.model.findings.entry import CatalogueEntry, Text
from tests.parsed import nodes

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "factory"
# Decisions are history: they keep the words of their day.
DOCUMENTS = sorted(
    {*ROOT.glob("*.md"), *ROOT.glob("[!.]*/*.md"), *ROOT.glob("docs/factory/*.md")}
    | {path for path in (PACKAGE / "templates").rglob("*") if path.is_file()}
)
# A word, and what to write instead.
PRIVATE = {
    "tell|tells|told|telling": "report, record, return, print or warn",
    "hold|holds|held|holding": "stay valid, compare or contain; a lock may be held",
    "ways? out": "remedy",
    "stands?|stood|standing|standstill": "is, or the state of a thing",
    "grounds?": "reason, or what it is",
    "rest": "remainder, or all else",
    "sheets?|papers|hearing|surroundings": "document, argument or context",
    "makings|(?:the|its|of) making": "to make, or build",
    "elsewhere|whither": "in another place",
    "visit|visits|visited": "session",
    "come to|comes to|came to|coming to": "result",
    "beside": "next to, besides or in addition to",
    "as above": "the thing itself",
}
# Class names that two modules define: `verify` has code of its own for the same document or value,
# and calls it by the same name.
SAME_THING = frozenset(
    "Carried Checkpoint Event FilesChanged LogIndex Manifest PackLine Plan PlannedCommand"
    " PlannedEnvironment PlannedJudge PlannedPack PlannedPolicy RunStatus ScopeLock Threshold".split()
)
PATTERN = re.compile(
    "|".join(rf"\b(?P<w{at}>{words})\b" for at, words in enumerate(PRIVATE)), re.IGNORECASE
)
# What only looks like one: terms of the field, taken out before a text is read.
TERMS = re.compile(
    r"\bstyle sheets?\b"
    r"|\b(?:hold|holds|held|holding)\b[^.;]*?\block\w*|\block\w*\b[^.;]*?\b(?:hold|holds|held|holding)\b",
    re.IGNORECASE,
)


def private_words(text: str) -> list[str]:
    """Return each private word of a text."""
    return [match.group().lower() for match in PATTERN.finditer(TERMS.sub("", text))]


def said_in(source: str) -> Iterator[tuple[int, str]]:
    """Yield line and text of every comment, sentence, and name of a class or function."""
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.COMMENT:
            yield token.start[0], token.string
    for node in nodes(source):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            name = getattr(node, "name", "")
            yield getattr(node, "lineno", 1), re.sub(r"(?<=[a-z])(?=[A-Z])|_", " ", name)
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and " " in node.value:
            yield node.lineno, node.value


def prose_of(document: str) -> Iterator[tuple[int, str]]:
    """Yield line number and text of every line of a document, without code."""
    fenced = False
    for number, line in enumerate(document.splitlines(), 1):
        if line.lstrip().startswith("```"):
            fenced = not fenced
        elif not fenced:
            yield number, re.sub(r"`[^`]*`", "", line)


def sentences(entry: CatalogueEntry) -> Iterator[str]:
    """Yield what the catalogue says of one id."""
    yield entry.meaning
    for text in (entry.sentence, entry.hint, entry.remedy):
        yield from _parts(text)


def _parts(text: Text) -> tuple[str, ...]:
    return (text,) if isinstance(text, str) else tuple(text.values())


def test_no_module_uses_a_private_word() -> None:
    found = [
        f"{path.relative_to(PACKAGE)}:{line}: {word}"
        for path in sorted(PACKAGE.rglob("*.py"))
        for line, text in said_in(path.read_text("utf-8"))
        for word in private_words(text)
    ]
    assert found == [], f"write instead: {PRIVATE}"


def test_no_document_uses_a_private_word() -> None:
    found = [
        f"{path.relative_to(ROOT)}:{line}: {word}"
        for path in DOCUMENTS
        for line, text in prose_of(path.read_text("utf-8"))
        for word in private_words(text)
    ]
    assert found == [], f"write instead: {PRIVATE}"


def test_no_finding_uses_a_private_word() -> None:
    found = [
        f"{name}: {word}"
        for name, entry in CATALOGUE.items()
        for text in sentences(entry)
        for word in private_words(text)
    ]
    assert found == [], f"write instead: {PRIVATE}"


def test_a_docstring_begins_with_a_verb() -> None:
    no_verb = re.compile(
        r"(?:What|Whether|Which|How|Where|As|Who|When|Why|A|An|The|One|All|Every|Findings)\b|`"
    )
    found = [
        f"{path.relative_to(PACKAGE)}:{getattr(node, 'lineno', 1)}"
        for path in sorted(PACKAGE.rglob("*.py"))
        for node in nodes(path.read_text("utf-8"))
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef)
        and no_verb.match(ast.get_docstring(node) or "")
    ]
    assert found == [], "say what comes out: Return, Read, Make, Decide, Define …"


def defined_in(package: Path) -> dict[str, list[str]]:
    """Return for each class name the modules that define it, as paths below the package."""
    found: dict[str, list[str]] = defaultdict(list)
    for path in sorted(package.rglob("*.py")):
        for node in nodes(path.read_text("utf-8")):
            if isinstance(node, ast.ClassDef):
                found[node.name].append(path.relative_to(package).as_posix())
    return found


def ambiguous(classes: dict[str, list[str]]) -> dict[str, list[str]]:
    """Return the class names with more than one meaning, and where each is defined."""
    return {
        name: places
        for name, places in classes.items()
        if len(places) > 1
        and not (name in SAME_THING and sum(not at.startswith("verify/") for at in places) == 1)
    }


def test_a_class_name_has_one_meaning() -> None:
    found = ambiguous(defined_in(PACKAGE))
    assert found == {}, "rename one of them after what it is, not after what happens to it"


def test_each_name_that_is_shared_is_defined_twice() -> None:
    classes = defined_in(PACKAGE)
    assert [name for name in sorted(SAME_THING) if len(classes[name]) < 2] == []


def test_class_name_with_two_meanings_is_found(tmp_path: Path) -> None:
    for at, name in {"a/one": "Made", "b/two": "Made", "c": "Plan", "verify/d": "Plan"}.items():
        path = tmp_path / f"{at}.py"
        path.parent.mkdir(exist_ok=True)
        path.write_text(f"class {name}: ...\n", "utf-8")
    assert ambiguous(defined_in(tmp_path)) == {"Made": ["a/one.py", "b/two.py"]}


@pytest.mark.parametrize(
    ("planted", "word"),
    [
        ('"""The ledger holds."""', "holds"),
        ('def one():\n    """Return what was told."""', "told"),
        ("one = 1  # the way out of it", "way out"),
        ("def lay_beside(): ...", "beside"),
        ("class TheMakings: ...", "makings"),
        ('fail("the run is told of it")', "told"),
        ("def read_papers(): ...", "papers"),
        ('class One:\n    """Return what a pack came to."""', "came to"),
    ],
)
def test_planted_private_word_is_found(planted: str, word: str) -> None:
    found = [each for _, text in said_in(planted) for each in private_words(text)]
    assert found == [word]


def test_private_word_of_a_document_is_found() -> None:
    document = "What it holds.\n```text\nIt is told.\n```\nAs `it stands`, elsewhere.\n"
    found = [(line, word) for line, text in prose_of(document) for word in private_words(text)]
    assert found == [(1, "holds"), (5, "elsewhere")]


def test_private_word_of_a_finding_is_found() -> None:
    name, entry = next(iter(CATALOGUE.items()))
    planted = replace(entry, hint={"case": "See what stands there."})
    found = [word for text in sentences(planted) for word in private_words(text)]
    assert found == ["stands"], name


@pytest.mark.parametrize(
    "text",
    [
        "The run lock is held until the end.",
        "One process at a time holds the lock.",
        "Requires that the caller holds a lock.",
        "Write the style sheet of a page.",
        "Write files, making their folders.",
        "Return the household, the standard and the restored.",
    ],
)
def test_term_of_the_field_is_no_private_word(text: str) -> None:
    assert private_words(text) == []
