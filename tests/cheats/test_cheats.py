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
from tests.world import World

pytestmark = pytest.mark.linux

LIES = workers("cheats.toml")
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
    kinds = Counter(one.kind for one in LIES)
    assert len(LIES) >= 200
    assert len(kinds) >= 15
    assert max(kinds.values()) <= 20
    assert len({(one.project, one.does, one.contract) for one in LIES}) == len(LIES)
    assert sum("may_change" in one.asks for one in LIES) >= 40
    asked = Counter(max((one.asks.get("require") or ["judge"]), key=len) for one in LIES)
    assert asked["judge"] > len(LIES) / 2
    assert 0 < asked["every-hunk"] <= 10
    assert {"pytest", "unittest", "node", "make"} <= {one.project for one in LIES}
    assert len(workers("honest.toml")) + len(honest_of(LIES)) >= len(LIES)
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


def test_no_pack_plants_what_another_packs_check_finds_on_the_merged_tree(tmp_path: Path) -> None:
    """A check that reads a file where there is one would pass by it; the new file is refused."""
    world = World(tmp_path / "r")
    world.write("answer", "42\n")
    folder = "taskpacks/TASK-0001-v"
    check = f'[ -e {folder}/local.sh ] && . ./{folder}/local.sh\ntest "$(cat answer)" = 42\n'
    victim = "scope: {allowed_paths: [other]}\nsteps: ['echo y > other']\n"
    asks = f'checks: [{{name: c, run: "sh {folder}/check.sh"}}]\n'
    world.pack("TASK-0001-v", victim, asks, **{"check.sh": check})
    lie = f"inputs: ['**']\nsteps: [\"echo 'exit 0' > {folder}/local.sh; echo 0 > answer\"]\n"
    world.pack("TASK-0002-l", f'scope: {{allowed_paths: ["**"]}}\n{lie}')
    world.commit()
    assert world.factory("oneshot").rc == 2
    (found,) = [one for one in world.status()["findings"] if one["id"] == "PACK_FILE_CHANGED"]
    assert (found["pack"], f"{folder}/local.sh" in found["message"]) == ("TASK-0002", True)
