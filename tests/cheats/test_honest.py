"""Honest work stays a PASS under the `require` and `may_change` that it declares; and what no rule
of this kind can tell from it is what the documentation says.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.cheats.kit import WHOLE, Worker, play, workers

pytestmark = pytest.mark.linux

QUICK = ("unittest", "own")
JUDGE = Path(__file__).parents[2] / "docs" / "factory" / "JUDGE.md"


def chosen(file: str) -> dict[tuple[str, bool], tuple[Worker, ...]]:
    """Return the workers of a table by project, and by whether its own work was done before; all of
    them, or the first of each kind in quick projects.
    """
    listed = workers(file)
    if not WHOLE:
        quick = {one.kind: one for one in reversed(listed) if one.project in QUICK}
        listed = tuple(quick.values())
    places = dict.fromkeys((one.project, one.done) for one in listed)
    return {
        place: tuple(one for one in listed if (one.project, one.done) == place) for place in places
    }


@pytest.mark.timeout(1800)
@pytest.mark.parametrize(
    "place", chosen("honest.toml"), ids=lambda place: "-".join(map(str, place))
)
def test_honest_work_is_a_pass(place: tuple[str, bool], tmp_path: Path) -> None:
    passes(tmp_path, chosen("honest.toml")[place])


@pytest.mark.timeout(1800)
@pytest.mark.parametrize("place", chosen("beyond.toml"), ids=lambda place: place[0])
def test_what_no_rule_can_tell_is_a_pass(place: tuple[str, bool], tmp_path: Path) -> None:
    passes(tmp_path, chosen("beyond.toml")[place])


def passes(folder: Path, asked: tuple[Worker, ...]) -> None:
    """Assert that each of these workers is a PASS."""
    played = play(folder / "r", asked)
    wrong = [f"{worker.shown}\n{came}" for worker, came in played.items() if came.verdict != "PASS"]
    assert not wrong, "\n\n".join(wrong)


def test_the_documentation_lists_what_no_rule_can_tell() -> None:
    listed = re.findall(r"^\| `([a-z-]+)` \|", JUDGE.read_text("utf-8"), re.MULTILINE)
    assert set(listed) >= {one.kind for one in workers("beyond.toml")}
