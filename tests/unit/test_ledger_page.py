"""LEDGER.md tells the members of an event, its types and actors as the code has them."""

from __future__ import annotations

import re
from pathlib import Path

from factory.model.event_types import ACTORS, EVENT_TYPES
from factory.model.evidence import EventDocument

PAGE = (Path(__file__).resolve().parents[2] / "docs/factory/LEDGER.md").read_text("utf-8")


def table(head: str) -> list[tuple[str, str]]:
    """First and second column of the table under that head line."""
    lines = PAGE.split(f"{head}\n", 1)[1].splitlines()[1:]
    rows = lines[
        : next(number for number, line in enumerate([*lines, ""]) if not line.startswith("|"))
    ]
    return [(row.split("|")[1].strip(), row.split("|")[2].strip()) for row in rows]


def test_types_and_actors() -> None:
    assert table("| type | records that |") == [
        (f"`{name}`", text) for name, text in EVENT_TYPES.items()
    ]
    assert table("| actor | is |") == [(f"`{name}`", text) for name, text in ACTORS.items()]


def test_members() -> None:
    told = [
        name
        for first, _ in table("| member | holds |")
        for name in re.findall("`([a-z_]+)`", first)
    ]
    assert sorted(told) == sorted(EventDocument.model_fields)
