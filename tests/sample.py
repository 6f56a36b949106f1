"""A sample of alike cases for every run of the suite; the others are for the night (`nox -s fresh`
runs them).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest


def sample(every_run: Iterable[Any], nightly: Iterable[Any]) -> list[Any]:
    """Values of one parameter, or tuples of several: the first in every run, the others marked
    slow.
    """
    marked = [
        pytest.param(*(v if isinstance(v, tuple) else (v,)), marks=pytest.mark.slow)
        for v in nightly
    ]
    return [*every_run, *marked]
