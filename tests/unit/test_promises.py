"""The table of properties by backend in SECURITY.md is what each backend promises: every cell, for
root and a user.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from factory.sandbox import backends, host, landlock
from factory.sandbox.backend import Backend, Offer, SandboxSetting
from factory.sandbox.backend_bubblewrap import BubblewrapBackend
from factory.sandbox.backend_full import FullOverlay, FullWorktree
from factory.sandbox.backend_landlock import LandlockBackend
from factory.sandbox.backend_none import Unconfined
from factory.sandbox.host_sandbox import load
from factory.sandbox.properties import Property
from tests.sandbox_kit import folders

pytestmark = pytest.mark.linux

PAGE = Path(__file__).resolve().parents[2] / "docs" / "factory" / "SECURITY.md"
# Heading of a column: backend, and who we are (None: for both).
COLUMNS: dict[str, tuple[type[Backend], bool | None]] = {
    "`full` overlay": (FullOverlay, None),
    "`full` worktree": (FullWorktree, None),
    "`bubblewrap`": (BubblewrapBackend, None),
    "`landlock` as root": (LandlockBackend, True),
    "`landlock` as a user": (LandlockBackend, False),
    "`none`": (Unconfined, None),
}
CASES = [
    (name, as_root)
    for name, (_, only) in COLUMNS.items()
    for as_root in (True, False)
    if only in (None, as_root)
]


def told() -> dict[str, dict[str, str]]:
    """The page's table: by column and property."""
    rows = [
        line.strip("| ").split(" | ")
        for line in PAGE.read_text("utf-8").splitlines()
        if line.startswith("| ")
    ]
    head = next(row for row in rows if row[0] == "property")
    cells = {
        row[0].strip("`"): row[1:]
        for row in rows
        if re.fullmatch(r"`\w+`", row[0]) and len(row) == len(head)
    }
    return {
        name: {known: row[number] for known, row in cells.items()}
        for number, name in enumerate(head[1:])
    }


def test_the_table_has_every_way_of_confining_and_every_property() -> None:
    assert told().keys() == COLUMNS.keys()
    assert all(column.keys() == {each.value for each in Property} for column in told().values())
    assert set(told()["`none`"].values()) == {"no"}
    assert set(load(backends.TABLE)) == {backend for backend, _ in COLUMNS.values()}


@pytest.mark.parametrize(("name", "as_root"), CASES)
def test_each_cell_is_what_the_backend_promises(
    name: str, as_root: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(host, "acts_as_root", lambda: as_root)
    lacks = made(COLUMNS[name][0]).lacks()
    assert {each.value: "no" if lack else "given" for each, lack in lacks.items()} == told()[name]


def made(backend: type[Backend]) -> Backend:
    """A backend of that class that no host was asked about."""
    found = backend.__new__(backend)
    vars(found).update(version=landlock.SCOPES, _why="nothing confines here")
    return found


class Forgetful(Unconfined):
    """A backend that says nothing of what it promises."""

    name = "forgetful"
    promised = Backend.promised
    lack = Backend.lack


def test_a_backend_that_says_nothing_promises_nothing(tmp_path: Path) -> None:
    lacks = Forgetful(Offer(SandboxSetting(*folders(tmp_path))), "").lacks()
    assert lacks == {
        each: f"the backend forgetful does not promise {each.value}" for each in Property
    }
