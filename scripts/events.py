"""Print the tables of docs/factory/LEDGER.md that follow from the table of events.

    ./dev python scripts/events.py

Rule: the page says nothing of an event that `factory/model/events.py` does not say; a test
compares.
"""

from __future__ import annotations

import enum
import sys
from collections.abc import Iterable

from factory.model.event import Event, RunProgress
from factory.model.events import ACTORS, EVENTS


def types() -> str:
    """Return what each type of event records, and its members; one that may be absent has a `?`."""
    return _table(
        ("type", "records that", "members"),
        (
            (
                f"`{name}`",
                (kind.__doc__ or "").removeprefix("Record that ").removesuffix("."),
                _members(kind),
            )
            for name, kind in EVENTS.items()
        ),
    )


def places() -> str:
    """Return where each type of event may stand, and after an arrow what it makes of a state."""
    return _table(
        ("type", "its run", "the stage of its run", "its pack"),
        ((f"`{name}`", *_place(kind)) for name, kind in EVENTS.items()),
    )


def actors() -> str:
    """Return who records events."""
    return _table(("actor", "is"), ((f"`{name}`", what) for name, what in ACTORS.items()))


def _table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    lines = (head, ("---",) * len(head), *rows)
    marked = ("|".join(("", *(f" {cell} " for cell in row), "")) for row in lines)
    return "\n".join(marked).replace("| --- ", "|---").replace("|---|", "|---|") + "\n"


def _members(kind: type[Event]) -> str:
    own = kind.members()
    parts = (("hashes", own.hashes), ("counts", own.file_counts), ("details", own.details))
    said = (
        f"{what} " + ", ".join(f"`{name}`{'' if always else '?'}" for name, always in part)
        for what, part in parts
        if part
    )
    return "; ".join(said)


def _place(kind: type[Event]) -> tuple[str, str, str]:
    rule = kind.rule
    if not rule.run_from:
        return "none", "", ""
    stages = "" if rule.stages == frozenset(RunProgress) else _either(rule.stages)
    return (
        _either(rule.run_from) + _after(rule.run_to),
        stages + _after(rule.stage_to),
        _either(rule.pack_from) + _after(rule.pack_to),
    )


def _either(states: Iterable[enum.Enum]) -> str:
    known = {type(state) for state in states}
    order = [state for form in known for state in form]
    return ", ".join(str(state.value) for state in sorted(states, key=order.index))


def _after(state: enum.Enum | None) -> str:
    return f" → {state.value}" if state is not None else ""


if __name__ == "__main__":
    sys.stdout.write(f"{types()}\n{actors()}\n{places()}")
