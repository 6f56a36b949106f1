"""The catalogue of findings: every id is raised somewhere, and provoked by a test that reads its
sentence; every text renders with the facts that are given, and says what was expected and found.
"""

from __future__ import annotations

import ast
import pickle
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from string import Formatter

import pytest

from factory.model.finding import Finding, last_line_of
from factory.model.findings.catalogue import CATALOGUE, TABLES
from factory.model.findings.entry import CatalogueEntry, Fact, Facts, rendered
from tests.parsed import nodes

ROOT = Path(__file__).parents[2]
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
        not name.startswith("factory/model/findings/")
        for name in words_below("factory").get(kind, set())
    )
    assert raised, f"nothing raises {kind}: take it out of the catalogue"


@pytest.mark.parametrize("kind", CATALOGUE)
def test_every_id_is_provoked_by_a_test(kind: str) -> None:
    provoked = bool(words_below("tests").get(kind, set()) - NO_PROOF)
    assert provoked, f"no test provokes {kind}: write one that reads its sentence"


@dataclass(frozen=True)
class Call:
    """One call that makes a finding: its id, its facts where they are written out, and its place.

    `facts` maps each name to its value where that is a literal, else to None. `whole` is false
    where more facts are merged in.
    """

    id: str
    facts: dict[str, object]
    whole: bool
    place: str


def calls() -> Iterator[Call]:
    """Every call of Finding with a literal id and written-out facts: in the call, or in the last
    assignment to that name before it.
    """
    for path in sorted((ROOT / "factory").rglob("*.py")):
        name = path.relative_to(ROOT).as_posix()
        within = nodes(path.read_text(encoding="utf-8"))
        written = [
            (node.lineno, target.id, node.value)
            for node in within
            if isinstance(node, (ast.Assign, ast.AnnAssign)) and isinstance(node.value, ast.Dict)
            for target in (node.targets if isinstance(node, ast.Assign) else [node.target])
            if isinstance(target, ast.Name)
        ]
        for node in within:
            if (
                isinstance(node, ast.Call)
                and isinstance(node.func, ast.Name)
                and node.func.id == "Finding"
                and node.args
                and isinstance(node.args[0], ast.Constant)
            ):
                facts: ast.expr = node.args[1] if len(node.args) > 1 else ast.Dict([], [])
                if isinstance(facts, ast.Name):
                    before = [
                        (line, value)
                        for line, target, value in written
                        if target == facts.id and line <= node.lineno
                    ]
                    facts = max(before, key=lambda row: row[0])[1] if before else facts
                if isinstance(facts, ast.Dict):
                    yield Call(str(node.args[0].value), *_literals(facts), f"{name}:{node.lineno}")


def _literals(facts: ast.Dict) -> tuple[dict[str, object], bool]:
    named: dict[str, object] = {
        str(ast.literal_eval(key)): value.value if isinstance(value, ast.Constant) else None
        for key, value in zip(facts.keys, facts.values, strict=True)
        if key is not None
    }
    return named, None not in facts.keys


def texts_of(entry: CatalogueEntry, case: object) -> list[str]:
    """Return sentence, hint and remedy of an entry for one case."""
    return [
        text if isinstance(text, str) else text[str(case)]
        for text in (entry.sentence, entry.hint, entry.remedy)
    ]


def names_in(text: str) -> set[str]:
    """Return the facts that a text takes up."""
    return {
        re.split(r"[.\[]", name)[0] for _, name, _, _ in Formatter().parse(text) if name is not None
    }


def names_of(entry: CatalogueEntry, case: object) -> set[str]:
    """Return the facts that the texts of one case take up."""
    return set().union(*map(names_in, texts_of(entry, case)))


def test_every_call_gives_the_facts_that_its_texts_take_up() -> None:
    wrong = []
    whole = [call for call in calls() if call.whole]
    assert len(whole) > 90
    for call in whole:
        entry = CATALOGUE[call.id]
        cases: Iterable[object] = (call.facts.get("case", ""),)
        if call.facts.get("case", "") is None:  # chosen as it runs: one of them has to fit
            cases = {str(facts["case"]) for facts in entry.examples}
        lacking = [names_of(entry, case) - call.facts.keys() for case in cases]
        if all(lacking):
            wrong.append((call.place, call.id, lacking))
    assert wrong == []


EXAMPLES = [(name, facts) for name, entry in CATALOGUE.items() for facts in entry.examples]
OPENINGS = (
    "allow it with: ",
    "nothing in the contract can allow ",
    "no change of the contract ",
    "no change of this contract ",
    "the contract itself is wrong: ",
    "the contract is incomplete: ",
    "there is no contract yet: ",
)


@pytest.mark.parametrize(("name", "facts"), EXAMPLES)
def test_every_text_renders_and_takes_up_every_fact(name: str, facts: Facts) -> None:
    entry = CATALOGUE[name]
    finding = Finding(name, facts)
    assert finding.message == rendered(entry.sentence, facts)
    assert finding.hint == rendered(entry.hint, facts)
    whole = f"{finding.message}\n{finding.hint}\n{finding.remedy}"
    for text in texts_of(entry, facts.get("case", "")):
        assert not set(re.findall(r"\{(\w+)\}", whole)) & names_in(text), whole
    used = names_of(entry, facts.get("case", ""))
    if name not in ("RUN_DAMAGED", "RUN_REPLACED"):  # one set of examples for all of their cases
        shown = {"case", "packs", "events", *({"last"} if last_line_of(facts) else ())}
        assert facts.keys() - shown <= used, "a fact that no text takes up"


@pytest.mark.parametrize("name", CATALOGUE)
def test_every_case_has_an_example_and_every_text_the_same_cases(name: str) -> None:
    entry = CATALOGUE[name]
    shown = {str(facts.get("case", "")) for facts in entry.examples}
    for text in (entry.sentence, entry.hint, entry.remedy):
        assert isinstance(text, str) or text.keys() == shown


@pytest.mark.parametrize(("name", "facts"), EXAMPLES)
def test_what_was_expected_stands_before_what_was_found(name: str, facts: Facts) -> None:
    """Neither value stands in the other's place."""
    if not {"expected", "found"} <= facts.keys():
        return
    marked = {**facts, "expected": "EXPECTED", "found": "FOUND"}
    message = Finding(name, marked).message
    for word, value, other in (("expected", "EXPECTED", "FOUND"), ("found", "FOUND", "EXPECTED")):
        match = re.search(rf"\b{word}\b:?(.*)", message)
        if match and value in match[1]:
            assert match[1].find(value) < (match[1] + other).find(other), message


@pytest.mark.parametrize(
    "name", [name for name, entry in CATALOGUE.items() if Finding(name).blocks]
)
def test_every_blocking_finding_has_a_remedy_of_its_own(name: str) -> None:
    own = {Finding(name, facts).remedy for facts in CATALOGUE[name].examples}
    assert all(remedy.startswith(OPENINGS) or remedy.startswith("never ") for remedy in own), own
    for other, entry in CATALOGUE.items():
        if other != name:
            assert own.isdisjoint(Finding(other, facts).remedy for facts in entry.examples), other


@pytest.mark.parametrize(
    "name", [name for name in CATALOGUE if name.startswith(("PATH_", "FILE_", "SECRET"))]
)
def test_what_is_never_granted_is_never_proposed(name: str) -> None:
    for facts in CATALOGUE[name].examples:
        assert not Finding(name, facts).remedy.startswith("allow it")


def test_facts_that_do_not_fit_are_listed_and_allow_nothing() -> None:
    """Those of another version, or forged ones."""
    odd = Finding("OVERLAP", {"case": "path", "packs": 3})
    assert odd.message == (
        "two packs change the same path, or names that are one on some platform"
        " (case path, packs 3)"
    )
    assert (odd.hint[:4], odd.remedy) == ("Let ", "nothing is known to allow it")
    assert Finding("REPO_DIRTY").remedy == "it does not block"


def test_a_finding_is_a_value() -> None:
    given: dict[str, Fact] = {"packs": ("A", "B"), "case": "path", "paths": ("x",)}
    turned = dict(reversed(list(given.items())))
    one, other = (
        Finding("OVERLAP", given, "B"),
        Finding("OVERLAP", turned, "B"),
    )
    given["paths"] = ("y",)
    assert (one, hash(one)) == (other, hash(other))
    assert pickle.loads(pickle.dumps(one)) == one
    assert one.facts["paths"] == ("x",)
    with pytest.raises(TypeError):
        one.facts["paths"] = ("z",)  # type: ignore[index]


def test_a_finding_is_about_its_pack_and_the_packs_of_its_facts() -> None:
    both = Finding("OVERLAP", {"case": "path", "packs": ("A-1", "A-10"), "paths": ("x",)}, "A-10")
    assert (both.packs, both.owner) == (("A-10", "A-1"), "")
    one = Finding("TOOL_MISSING", {"case": "declared", "tool": "A-1"}, "A-10")
    assert (one.packs, one.owner) == (("A-10",), "A-10: ")
    assert Finding("REPO_SHALLOW").packs == ()


def test_an_id_has_one_entry() -> None:
    assert sum(map(len, TABLES)) == len(CATALOGUE)
