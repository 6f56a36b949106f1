"""How much of what is alike a run of the suite tries: a sample in a change, all of it at night
(`nox -s whole`).
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import Any

import pytest
from hypothesis import settings

# All of it: every case, many generated examples, and nothing forked or remembered from one start
# to the next (`tests.warm`, `tests.measured_once`).
WHOLE = bool(os.environ.get("TESTS_WHOLE"))
MORE = 10


def sample(every_run: Iterable[Any], nightly: Iterable[Any]) -> list[Any]:
    """Values of one parameter, or tuples of several: the first in every run, the others marked
    slow.
    """
    marked = [
        pytest.param(*(v if isinstance(v, tuple) else (v,)), marks=pytest.mark.slow)
        for v in nightly
    ]
    return [*every_run, *marked]


def examples(count: int, **others: Any) -> settings:
    """Settings of a property test: so many examples in a change, MORE times as many at night."""
    return settings(max_examples=count * MORE if WHOLE else count, deadline=None, **others)
