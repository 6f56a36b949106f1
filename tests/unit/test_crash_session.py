"""The crash session's arguments: other operations each day, and a run of too few points is a
failure.
"""

from __future__ import annotations

import datetime
import sys

import pytest

from tests.faults import session

DAY = datetime.date(2026, 1, 31)


def test_a_stride_of_days_takes_every_operation_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        sys, "argv", ["session", "--stride", "9", "--offset", "today", "--at-least", "500"]
    )
    given = [session._given(DAY + datetime.timedelta(days=number)) for number in range(9)]
    assert sorted(one.offset for one in given) == [*range(9)]
    assert {one.at_least for one in given} == {500}


def test_too_few_points_are_a_failure(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["session", "--only", "none", "--how", "kill"])
    given = session._given(DAY)
    assert session.verdict(given, tried=0, failed=0) == 1
    assert "expected at least 1 points, tried 0" in capsys.readouterr().out
    assert session.verdict(given, tried=1, failed=0) == 0
    assert session.verdict(given, tried=1, failed=1) == 1
