"""The table of properties by backend in SECURITY.md is what each backend promises: every cell, for
root and a user.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from factory.model.config import Backend
from factory.model.properties import Property
from factory.sandbox import host, landlock, promise
from factory.sandbox.bubblewrap import HostView
from factory.sandbox.confinement import Confinement

pytestmark = pytest.mark.linux

PAGE = Path(__file__).resolve().parents[2] / "docs" / "factory" / "SECURITY.md"
# Heading of a column: backend, overlay, and who we are (None: for both).
COLUMNS: dict[str, tuple[Backend, bool, bool | None]] = {
    "`full` overlay": (Backend.FULL, True, None),
    "`full` worktree": (Backend.FULL, False, None),
    "`bubblewrap`": (Backend.BUBBLEWRAP, False, None),
    "`landlock` as root": (Backend.LANDLOCK, False, True),
    "`landlock` as a user": (Backend.LANDLOCK, False, False),
}
CASES = [
    (name, as_root)
    for name, (*_, only) in COLUMNS.items()
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
    assert told().keys() == {*COLUMNS, "`none`"}
    assert all(column.keys() == {each.value for each in Property} for column in told().values())
    assert set(told()["`none`"].values()) == {"no"}


@pytest.mark.parametrize(("name", "as_root"), CASES)
def test_each_cell_is_what_the_backend_promises(
    name: str, as_root: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    backend, overlay, _ = COLUMNS[name]
    monkeypatch.setattr(host, "acts_as_root", lambda: as_root)
    lacks = promise.of(
        Confinement(backend, overlay, HostView((), ()), b"", landlock=landlock.SCOPES)
    )
    assert {each.value: "no" if lack else "given" for each, lack in lacks.items()} == told()[name]
