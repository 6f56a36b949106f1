"""The paths of state and evidence: the examples at the top of the module are true."""

from __future__ import annotations

import doctest

from factory.model import layout


def test_the_examples_of_the_module_are_true() -> None:
    found = doctest.testmod(layout)
    assert found.attempted >= 4
    assert found.failed == 0
