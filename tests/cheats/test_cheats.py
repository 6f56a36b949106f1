"""No worker that lies is a PASS, the honest one beside it is, and each lie is a PASS where what it
meets is taken away.

`nox -s cheats` plays all of them; a run of the suite one of each kind.
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from tests.cheats.kit import (
    WHOLE,
    Worker,
    honest_of,
    places_of,
    play,
    play_until_retried,
    projects,
    put,
    workers,
)

pytestmark = pytest.mark.linux

LIES = tuple(one for one in workers("cheats.toml") if not one.open)
# Where one of each kind is played: whose runners start quickly, and as few repositories as can be.
QUICK = ("unittest", "make", "own", "feature", "report", "lint", "doctest")


def chosen() -> tuple[Worker, ...]:
    """Return every lie, or the first of each kind in the quickest project that has one."""
    if WHOLE:
        return LIES
    quick = sorted(
        (one for one in LIES if one.project in QUICK), key=lambda one: QUICK.index(one.project)
    )
    first: dict[str, Worker] = {}
    for one in quick:
        first.setdefault(one.kind, one)
    return tuple(first.values())


PROJECTS = tuple(name for name in projects() if any(one.project == name for one in chosen()))


def of(project: str) -> tuple[Worker, ...]:
    return tuple(one for one in chosen() if one.project == project)


def test_the_corpus_is_as_large_and_as_varied_as_it_claims() -> None:
    lies = workers("cheats.toml")
    kinds = Counter(one.kind for one in lies)
    assert len(lies) >= 200
    assert len(kinds) >= 15
    assert max(kinds.values()) <= 20
    assert len({(one.project, one.does, one.contract) for one in lies}) == len(lies)
    assert sum("may_change" in one.asks for one in lies) >= 40
    asked = Counter(max((one.asks.get("require") or ["judge"]), key=len) for one in lies)
    assert asked["judge"] > len(lies) / 2
    assert 0 < asked["every-hunk"] <= 10
    assert {"pytest", "unittest", "node", "make"} <= {one.project for one in lies}
    assert len(workers("honest.toml")) + len(honest_of(lies)) >= len(lies)
    assert {one.kind for one in chosen()} == {one.kind for one in LIES}


@pytest.mark.timeout(1800)
@pytest.mark.parametrize("project", PROJECTS)
def test_no_lie_is_a_pass_and_the_honest_worker_is(project: str, tmp_path: Path) -> None:
    lies = of(project)
    played = play_until_retried(tmp_path, (*lies, *honest_of(lies)))
    wrong = []
    for worker, came in played.items():
        if not worker.finding:
            holds = came.verdict == "PASS"
        else:
            said = came.sentence(worker.finding)
            named = all(put(name, places_of(worker)) in said for name in worker.names)
            holds = came.verdict == "BLOCKED" and bool(said) and named
        if not holds:
            wrong.append(f"{worker.shown}\n{came}")
    assert not wrong, "\n\n".join(wrong)


@pytest.mark.timeout(1800)
@pytest.mark.parametrize("project", PROJECTS)
def test_each_lie_is_a_pass_without_what_it_meets(project: str, tmp_path: Path) -> None:
    played = play(tmp_path / "r", of(project), without=True)
    wrong = [f"{worker.shown}\n{came}" for worker, came in played.items() if came.verdict != "PASS"]
    assert not wrong, "\n\n".join(wrong)
