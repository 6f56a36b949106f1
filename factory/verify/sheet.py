"""What one verification comes to: findings, gaps and facts, gathered while it goes.

A gap is something that could not be checked, with its reason; it is never counted as checked.
Does not know what is being verified.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TypeVar

from factory.model.finding import Finding, Location

KEEP = "Keep the evidence as it is for an audit; factory oneshot makes a new run."


@dataclass(frozen=True, slots=True)
class Gap:
    """What was not checkable: the part, and why, each one clause; `asked` where just that part was
    asked for.
    """

    part: str
    reason: str
    asked: bool = False


Row = TypeVar("Row", Finding, Gap)


@dataclass(frozen=True, slots=True)
class Fact:
    """One line of the answer: the section it belongs to and what was found to hold."""

    section: str
    text: str


@dataclass(slots=True)
class Sheet:
    """Findings, gaps and facts of one run, in the order they were met; repeats are dropped."""

    findings: list[Finding] = field(default_factory=list)
    gaps: list[Gap] = field(default_factory=list)
    facts: list[Fact] = field(default_factory=list)
    spoilt: set[str] = field(default_factory=set)
    """Files whose bytes are not those on record: named once, whatever else depends on them."""
    _said: set[Finding | Gap] = field(default_factory=set)

    def wrong(self, kind: str, file: str, what: str, pack: str = "", hint: str = KEEP) -> None:
        """Record a finding: `what` says what was expected and what was found in `file`."""
        finding = Finding(
            kind, f"{file}: {what}" if file else what, hint, Location(file) if file else None, pack
        )
        self._once(finding, self.findings)

    def differs(
        self, kind: str, file: str, what: str, expected: object, found: object, pack: str = ""
    ) -> bool:
        """Record a finding where the two differ; whether they do."""
        if expected == found:
            return False
        self.wrong(kind, file, f"{what}: expected {shown(expected)}, found {shown(found)}", pack)
        return True

    def gap(self, part: str, reason: str) -> None:
        """Record what could not be checked."""
        self._once(Gap(part, reason), self.gaps)

    def fact(self, section: str, text: str) -> None:
        """Record what was found to hold."""
        self.facts.append(Fact(section, text))

    def _once(self, row: Row, rows: list[Row]) -> None:
        if row not in self._said:
            self._said.add(row)
            rows.append(row)


def shown(value: object, most: int = 160) -> str:
    """A value in a sentence, shortened."""
    text = (
        value
        if isinstance(value, str)
        else ", ".join(map(str, value))
        if isinstance(value, tuple)
        else str(value)
    )
    text = text if len(text) <= most else f"{text[: most - 1]}…"
    return text or "nothing"
