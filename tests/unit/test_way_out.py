"""What `why` proposes: the smallest change of the contract, or that none can allow it; never by
omission.
"""

from __future__ import annotations

import pytest

from factory.judge.way_out import ELSEWHERE, NEVER, Facts, way_out
from factory.model.finding import Finding
from factory.model.findings.catalogue import CATALOGUE
from factory.model.pack import Scope, TaskPack

PACK = TaskPack(
    "T-1", "taskpacks/T-1", "t", "d", "", Scope(("docs/**",)), (), (), inputs=("src/**",)
)


@pytest.mark.parametrize(
    ("kind", "facts", "sentence"),
    [
        (
            "SCOPE_OUTSIDE_ALLOWED",
            Facts(outside=("README.md", 'ü "x"')),
            'allow it with: scope: {allowed_paths: ["docs/**", "README.md", "ü \\"x\\""]}',
        ),
        (
            "SCOPE_DENIED",
            Facts(denied=("a",)),
            'allow it with: scope.denied_paths without what denies "a"',
        ),
        ("INPUT_HIDDEN_CHANGED", Facts(hidden=("b",)), 'allow it with: inputs: ["src/**", "b"]'),
        ("LIMIT_CHANGED_LINES", Facts(lines=912), "allow it with: limits: {changed_lines: 912}"),
        (
            "CHANGE_TOO_LARGE",
            Facts(),
            "allow it with: limits: {changed_lines: …, timeout: …} above 800 and 900",
        ),
        ("LIMIT_TIME", Facts(), "allow it with: limits: {timeout: …} above 900"),
        ("PATH_PROTECTED", Facts(outside=("dodo.py",)), "nothing in the contract can allow it"),
        ("CHECK_FAILED", Facts(), "nothing in the contract can allow it"),
        ("PROPERTY_MISSING", Facts(), "no change of the contract is needed"),
        (
            "CRASH",
            Facts(),
            (
                "no change of the contract mends it: report it, with what the run keeps in its"
                " folder raw"
            ),
        ),
        ("REPO_DIRTY", Facts(), "does not stand in the way"),
        ("SCOPE_OUTSIDE_ALLOWED", Facts(), "mend the contract where it says"),
        ("PACK_INVALID", Facts(), "mend the contract where it says"),
    ],
)
def test_sentence(kind: str, facts: Facts, sentence: str) -> None:
    assert way_out(PACK, Finding(kind, "x"), facts) == sentence


def test_tables_name_known_ids_once() -> None:
    assert set(CATALOGUE) >= NEVER | ELSEWHERE
    assert not NEVER & ELSEWHERE


@pytest.mark.parametrize("kind", sorted(CATALOGUE))
def test_every_id_has_an_answer(kind: str) -> None:
    assert way_out(PACK, Finding(kind, "x"), Facts())


@pytest.mark.parametrize(
    "kind", sorted(name for name in CATALOGUE if name.startswith(("PATH_", "FILE_", "SECRET")))
)
def test_what_is_never_granted_is_never_proposed(kind: str) -> None:
    assert (
        way_out(PACK, Finding(kind, "x"), Facts(("a",), ("a",), ("a",), 9))
        == "nothing in the contract can allow it"
    )
