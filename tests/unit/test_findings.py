"""The catalogue of findings: every id is raised somewhere, and provoked by a test that reads its
sentence.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from factory.model.findings.catalogue import CATALOGUE, TABLES

ROOT = Path(__file__).parents[2]
# These speak about ids and raise none.
NO_CALL = {"factory/judge/way_out.py", "factory/judge/denials.py"}
# These name ids without provoking them.
NO_PROOF = {"tests/unit/test_findings.py", "tests/unit/test_docs.py"}


def texts(path: Path) -> Iterator[str]:
    """Every string of a module that is no docstring."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    documents = {
        id(node.body[0].value)
        for node in ast.walk(tree)
        if isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef))
        and node.body
        and isinstance(node.body[0], ast.Expr)
    }
    for node in ast.walk(tree):
        if (
            isinstance(node, ast.Constant)
            and isinstance(node.value, str)
            and id(node) not in documents
        ):
            yield node.value


@cache
def words_below(folder: str) -> dict[str, set[str]]:
    """Words written like ids, to the modules below a folder that hold them in a string."""
    found: dict[str, set[str]] = {}
    for path in sorted((ROOT / folder).rglob("*.py")):
        name = path.relative_to(ROOT).as_posix()
        for text in texts(path):
            for word in re.findall(r"\b[A-Z]+(?:_[A-Z]+)*\b", text):
                found.setdefault(word, set()).add(name)
    return found


@pytest.mark.parametrize("kind", CATALOGUE)
def test_every_id_is_raised_somewhere(kind: str) -> None:
    raised = any(
        not name.startswith("factory/model/findings/") and name not in NO_CALL
        for name in words_below("factory").get(kind, set())
    )
    assert raised, f"nothing raises {kind}: take it out of the catalogue"


@pytest.mark.parametrize("kind", CATALOGUE)
def test_every_id_is_provoked_by_a_test(kind: str) -> None:
    provoked = bool(words_below("tests").get(kind, set()) - NO_PROOF)
    assert provoked, f"no test provokes {kind}: write one that reads its sentence"


def test_every_finding_that_is_made_is_in_the_catalogue() -> None:
    """Also where the line that makes it is never run by a test."""
    made: dict[str, str] = {}
    for path in sorted((ROOT / "factory").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if (
                isinstance(node, ast.Call)
                and isinstance(node.func, ast.Name)
                and node.func.id == "Finding"
                and node.args
            ):
                first = node.args[0]
                if isinstance(first, ast.Constant):
                    made[str(first.value)] = path.name
    assert len(made) > 40
    assert set(made) <= set(CATALOGUE)


def test_an_id_has_one_entry() -> None:
    assert sum(map(len, TABLES)) == len(CATALOGUE)
