"""Collect the result of one verification: findings, gaps and facts, in order.

A gap is something that could not be checked, with its reason; it is never counted as checked. Does
not know what is being verified.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TypeVar

from factory.model.finding import Finding, Location

KEEP = "Keep the evidence as it is for an audit; factory oneshot makes a new run."


@dataclass(frozen=True, slots=True)
class Gap:
    """Describe what was not checkable: the part and why, one clause each; `asked` if it was
    requested.
    """

    part: str
    reason: str
    asked: bool = False


Row = TypeVar("Row", Finding, Gap)


@dataclass(frozen=True, slots=True)
class Fact:
    """Describe one line of the answer: its section, and what was found to be true."""

    section: str
    text: str


@dataclass(slots=True)
class Sheet:
    """Collect findings, gaps and facts of one run, in order; repeats are dropped."""

    findings: list[Finding] = field(default_factory=list)
    gaps: list[Gap] = field(default_factory=list)
    facts: list[Fact] = field(default_factory=list)
    spoilt: set[str] = field(default_factory=set)
    """Files whose bytes are not those on record: reported once, whatever else depends on them."""
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
        """Report a finding if the two differ; return True if they do."""
        if expected == found:
            return False
        self.wrong(kind, file, f"{what}: expected {shown(expected)}, found {shown(found)}", pack)
        return True

    def gap(self, part: str, reason: str) -> None:
        """Record what could not be checked."""
        self._once(Gap(part, reason), self.gaps)

    def fact(self, section: str, text: str) -> None:
        """Record what was found to be true."""
        self.facts.append(Fact(section, text))

    def _once(self, row: Row, rows: list[Row]) -> None:
        if row not in self._said:
            self._said.add(row)
            rows.append(row)


def shown(value: object, most: int = 160) -> str:
    """Return a value for a sentence, at most `most` characters."""
    text = (
        value
        if isinstance(value, str)
        else ", ".join(map(str, value))
        if isinstance(value, tuple)
        else str(value)
    )
    text = text if len(text) <= most else f"{text[: most - 1]}…"
    return text or "nothing"
