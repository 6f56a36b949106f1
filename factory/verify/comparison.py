"""Gather one run's events and everything that they are compared with.

Rule: a file that was reported already, as changed, missing or extra, is not compared. Decides
nothing itself.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TypeVar

from factory.verify import paths
from factory.verify.documents import Event
from factory.verify.events import RunEvents
from factory.verify.form import FormError, read
from factory.verify.run_part import RunPart

Shape = TypeVar("Shape")


@dataclass(eq=False)
class Comparison(RunPart):
    """Compare the events of one run with its folder, its verdict and what is known around it."""

    own: RunEvents

    def __post_init__(self) -> None:
        odd = (
            f
            for f in self.results.findings
            if f.id in ("VERIFY_EXTRA", "VERIFY_MISSING") and f.location is not None
        )
        self._named = {
            *self.results.spoilt,
            *(finding.location.file for finding in odd if finding.location is not None),
        }

    def events(self) -> Iterable[Event]:
        """Return all of the run's events."""
        return (line.event for line in self.own.lines)

    def differs(self, what: str, expected: object, found: object, file: str = paths.EVENTS) -> bool:
        """Report if the two differ, about what the events say; return True if they do."""
        return self.results.differs("VERIFY_LEDGER", file, what, expected, found)

    def says(self, event: Event, *rows: tuple[str, object, object]) -> None:
        """Compare members of one event: (what, expected, found) each."""
        for what, expected, found in rows:
            self.differs(f"event {event.seq}, {what}", expected, found)

    def whole(self, path: str) -> bool:
        """Return True if a file, or (with a slash at its end) all below a folder, was not
        reported.
        """
        return path not in self._named and not (
            path.endswith("/") and any(n.startswith(path) for n in self._named)
        )

    def document(self, shape: type[Shape], path: str) -> Shape | None:
        """Return a document of the run; None if it is missing or malformed, which is reported
        repository.
        """
        try:
            return read(shape, self.run.read(path) or b"")
        except FormError:
            return None


def digest(event: Event, name: str, expected: str) -> tuple[str, object, object]:
    """Return a row for `says`: a digest of an event."""
    return name, expected or "nothing", event.hashes.get(name) or "nothing"
