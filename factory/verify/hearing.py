"""One run's events and everything that they are held against.

Rule: a file that was named already, as changed, missing or more, is asked nothing. Decides nothing
itself.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TypeVar

from factory.verify.documents import Event, RunStatus
from factory.verify.events import Told
from factory.verify.folder import Folder
from factory.verify.form import FormError, read
from factory.verify.manifests import Seen
from factory.verify.sheet import Sheet
from factory.verify.surroundings import Surroundings

COPY = "attestations/ledger.jsonl"
Shape = TypeVar("Shape")


class Hearing:
    """The events of one run, its folder, its verdict and what lies beside it."""

    def __init__(
        self,
        sheet: Sheet,
        run: Folder,
        seen: Seen,
        around: Surroundings,
        status: RunStatus,
        told: Told,
    ) -> None:
        self.sheet = sheet
        self.run = run
        self.seen = seen
        self.around = around
        self.status = status
        self.told = told
        odd = (
            f
            for f in sheet.findings
            if f.id in ("VERIFY_EXTRA", "VERIFY_MISSING") and f.location is not None
        )
        self._named = {
            *sheet.spoilt,
            *(finding.location.file for finding in odd if finding.location is not None),
        }

    def events(self) -> Iterable[Event]:
        """All of the run's events."""
        return (line.event for line in self.told.lines)

    def differs(self, what: str, expected: object, found: object, file: str = COPY) -> bool:
        """Record a finding about what the events say, where the two differ; whether they do."""
        return self.sheet.differs("VERIFY_LEDGER", file, what, expected, found)

    def says(self, event: Event, *rows: tuple[str, object, object]) -> None:
        """Hold members of one event: what, what was expected, what was found."""
        for what, expected, found in rows:
            self.differs(f"event {event.seq}, {what}", expected, found)

    def whole(self, path: str) -> bool:
        """Whether a file, or (with a slash at the end) everything below a folder, was not named."""
        return path not in self._named and not (
            path.endswith("/") and any(n.startswith(path) for n in self._named)
        )

    def document(self, shape: type[Shape], path: str) -> Shape | None:
        """A document of the run; None where there is none that holds its form, which is named
        elsewhere.
        """
        try:
            return read(shape, self.run.read(path) or b"")
        except FormError:
            return None


def digest(event: Event, name: str, expected: str) -> tuple[str, object, object]:
    """A row for `says`: a digest of an event."""
    return name, expected or "nothing", event.hashes.get(name) or "nothing"
