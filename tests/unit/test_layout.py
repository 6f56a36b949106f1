"""One module names every path of state and evidence, one more does so for the checker."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from factory.model import layout
from tests.parsed import nodes, parsed

PACKAGE = Path(__file__).resolve().parents[2] / "factory"
LAYOUT = PACKAGE / "model" / "layout.py"
OF_THE_CHECKER = PACKAGE / "verify" / "paths.py"

# Names that mean a path of ours wherever they stand.
NAMES = re.compile(
    r"\b(?:STATUS|FILES_CHANGED|SCOPE_LOCK|ACTION|MERGE|EGRESS|DENIED|PLAN|RUN_MANIFEST|manifest"
    r"|LOGS/INDEX)\.json\b"
    r"|\b(?:DIFF\.patch|CHANGES\.bundle|SUMMARY\.md|MERGE_PLAN\.md|FINAL_REPORT|report\.html"
    r"|junit\.xml|results\.sarif|Z_integrator|ledger\.jsonl|finished\.tlog-proof|intoto\.jsonl"
    r"|enforcement\.tsv|timings\.tsv|normalized\.tsv|doit\.sqlite3|evidence-index\.json)\b"
    r"|\b(?:LOGS|ARTIFACTS|attestations|runs|bundles|trash)/"
    r"|/(?:LOGS|ARTIFACTS|attestations|runs|bundles|trash)\b"
    r"|\.factory\b"
)
# The catalogue of findings: sentences, and facts to try them with.
SENTENCES = PACKAGE / "model" / "findings"
# A program that `factory init` gives away: it runs where our package is not.
APART = PACKAGE / "templates"
# Words of English, too: a path only where a path is made or a store is asked.
FOLDERS = frozenset(
    str(folder) for folder in (*layout.FOLDERS, layout.TRASH, layout.REVIEWS, layout.REBUILDS)
) | {"raw", "attestations", "LOGS", "ARTIFACTS"}
STORE_METHODS = frozenset("read write names files sha256 digests size remove move below".split())


def texts(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """Every string literal that is no docstring, with its line."""
    documents = {
        id(body[0].value)
        for node in ast.walk(tree)
        if isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef))
        and (body := node.body)
        and isinstance(body[0], ast.Expr)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, (str, bytes)):
            if id(node) in documents:
                continue
            value = node.value
            yield node.lineno, value if isinstance(value, str) else value.decode("latin-1")


def prose(text: str) -> bool:
    """Whether a text is a sentence, which may name a file and opens none."""
    return " " in text


def named(node: ast.AST) -> str:
    value = node.value if isinstance(node, ast.Constant) else ""
    return value if isinstance(value, str) and value in FOLDERS else ""


def found_in(source: str) -> list[str]:
    """`line: text` of each path of ours that a source spells out."""
    tree = parsed(source)
    found = [
        f"{line}: {text}" for line, text in texts(tree) if NAMES.search(text) and not prose(text)
    ]
    for node in nodes(source):
        if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Div) and named(node.right):
            found.append(f"{node.lineno}: / {named(node.right)}")
        if isinstance(node, ast.Call) and getattr(node.func, "attr", "") in STORE_METHODS:
            found += [f"{node.lineno}: {named(a)}" for a in node.args if named(a)]
    return found


@pytest.mark.parametrize(
    "source",
    [
        'x = f"{run}/STATUS.json"',
        'x = f"runs/{run_id}/raw"',
        'x = root / "bundles" / pack',
        'x = store.names("runs")',
        'x = b"/ledger.jsonl"',
    ],
)
def test_a_path_that_is_spelled_out_is_found(source: str) -> None:
    assert found_in(source)


def test_what_only_reads_like_a_path_is_not() -> None:
    assert found_in('"""Reads STATUS.json."""\nx = {"runs": [], "state": 1}\ny = "two runs"') == []


def test_no_other_module_spells_out_a_path_of_state_or_evidence() -> None:
    spelled = {
        str(file.relative_to(PACKAGE)): found
        for file in sorted(PACKAGE.rglob("*.py"))
        if file not in (LAYOUT, OF_THE_CHECKER) and not {SENTENCES, APART} & {*file.parents}
        if (found := found_in(file.read_text("utf-8")))
    }
    assert spelled == {}, (
        "name the path in factory/model/layout.py (for the checker: factory/verify/paths.py)"
    )
