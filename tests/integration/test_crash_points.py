"""A sample of the crash session: the real commands, killed or failed by the disk at operations
evenly spread.
"""

from __future__ import annotations

import errno
from collections.abc import Iterator
from functools import cache

import pytest

from tests.faults import shim
from tests.faults.bench import Bench, Broke, Ran
from tests.faults.judge import Measure
from tests.faults.scenarios import Scenario, prepare, prepare_many, scenarios, try_point
from tests.sample import sample

pytestmark = pytest.mark.linux


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Bench, Measure]]:
    with Bench(tmp_path_factory.mktemp("points")) as made:
        yield made, prepare(made)


NO_SPACE = Broke(how=shim.ONCE, error=errno.ENOSPC)


TRIES = 5
# A share of the way, so that the sample stays spread when the number of operations changes; or
# words of one operation, which may be the next after others.
POINTS: tuple[tuple[str, float | str, Broke], ...] = (
    ("run", 0.6, Broke(how=shim.KILL)),
    # Whichever of the processes it is that meets it.
    ("workers", 0.4, Broke(how=shim.KILL)),
    # An end that breaks off is finished by the next start.
    ("run", "Z_integrator/.FINAL_REPORT.md", Broke(how=shim.ONCE, error=errno.EIO)),
    # A disk that is full when a bundle is validated says nothing about the bundle.
    ("run", "bundles/.TASK-0002 > bundles/TASK-0002 > rename .factory/git/objects", NO_SPACE),
    ("branch", 0.9, Broke(how=shim.KILL)),
    ("keys", 0.6, Broke(how=shim.KILL)),
)
AT_NIGHT: tuple[tuple[str, float | str, Broke], ...] = (
    ("run", 0.35, Broke(how=shim.KILL)),
    ("workers", 0.3, Broke(how=shim.KILL)),
    ("workers", 0.5, Broke(how=shim.LASTING, error=errno.ENOSPC)),
    ("workers", 0.8, Broke(how=shim.KILL)),
    ("run", 0.95, Broke(how=shim.KILL)),
    # Half an entry of a check is cleared; what was kept of others is reused.
    ("run", "Z_integrator > rename .factory/cache/checks", Broke(how=shim.KILL)),
    ("run", 0.55, Broke(how=shim.LASTING, error=errno.ENOSPC)),
    # A verdict that is not kept is known to the run.
    ("run", "mkdir .factory/state/bundle-validate", Broke(how=shim.ONCE, error=errno.EIO)),
    ("run", "attestations/.checkpoint", Broke(how=shim.ONCE, error=errno.EIO)),
    # A bundle of an earlier action is no part of the evidence.
    ("change", "bundles/.TASK-0002", Broke(how=shim.ONCE, error=errno.EIO)),
    # Nor is half an answer of Z.
    ("change", "sync .factory/git/objects", Broke(how=shim.ONCE, error=errno.EIO)),
    ("change", "Z_integrator/.MERGE_PLAN.md", Broke(how=shim.ONCE, error=errno.EIO)),
    ("gc", 0.3, Broke(how=shim.KILL)),
    ("gc", 0.7, Broke(how=shim.KILL)),
)
# What starts from more than one run: making that takes as long as three points.
OF_MANY = {"change", "gc"}


# One test for all points: what they start from is made once, which takes as long as three of them.
@pytest.mark.parametrize("points", sample([POINTS], [(AT_NIGHT,)]), ids=["sample", "night"])
def test_the_next_run_converges(
    bench: tuple[Bench, Measure], points: tuple[tuple[str, float | str, Broke], ...]
) -> None:
    made, wanted = bench
    several = OF_MANY & {name for name, _, _ in points}
    known = scenarios(wanted, prepare_many(made) if several else wanted)
    wrong = {}
    for name, place, broke in points:
        at, ran, found = tried(made, known[name], place, broke)
        if found or ran.rc == 0 or (ran.rc == -9) is not (broke.how == shim.KILL):
            wrong[name, place] = (ran.rc, ran.operations[at - 1], found)
    assert wrong == {}


def tried(
    made: Bench, scenario: Scenario, place: float | str, broke: Broke
) -> tuple[int, Ran, object]:
    """Break a scenario at the operation that is meant: its number, how the command ended, and what
    is wrong after the next run.

    What takes long on a loaded machine is recorded at once and not with the next event, so that
    later operations have other numbers than in the run that nothing broke.
    """
    for _ in range(TRIES):
        operations = undisturbed(made, scenario)
        assert len(operations) > 20
        at = number_of(operations, place)
        ran, found = try_point(made, scenario, Broke(at, broke.how, broke.error))
        if found or isinstance(place, float) or number_of(ran.operations, place) == at:
            return at, ran, found
        undisturbed.cache_clear()
    raise AssertionError(f"in {TRIES} runs none was broken at {place!r}")


@cache
def undisturbed(made: Bench, scenario: Scenario) -> tuple[str, ...]:
    """The operations of a scenario that nothing breaks."""
    made.restore(scenario.state)
    return made.run(*scenario.words).operations


def number_of(operations: tuple[str, ...], place: float | str) -> int:
    """Return which operation is meant; 0 if there is none."""
    if isinstance(place, float):
        return int(len(operations) * place)
    at = -1
    for words in place.split(" > "):
        later = (number for number, row in enumerate(operations) if number > at and words in row)
        at = next(later, len(operations))
    return at + 1 if at < len(operations) else 0
