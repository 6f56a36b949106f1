"""Collect the result of one verification: findings, gaps and facts, in order.

A gap is something that could not be checked, with its reason; it is never counted as checked. Does
not know what is being verified.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TypeVar

from factory.model.finding import Finding, Location


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
class Results:
    """Collect findings, gaps and facts of one run, in order; repeats are dropped."""

    findings: list[Finding] = field(default_factory=list)
    gaps: list[Gap] = field(default_factory=list)
    facts: list[Fact] = field(default_factory=list)
    spoilt: set[str] = field(default_factory=set)
    """Files whose bytes are not those on record: reported once, whatever else depends on them."""
    signers: tuple[str, ...] = ()
    """Ids of the trusted keys that signed everything. Nobody vouches where it is empty."""
    untrusted: Finding | None = None
    """Why there are no such keys; it does not say that anything differs."""
    _said: set[Finding | Gap] = field(default_factory=set)

    def wrong(self, kind: str, file: str, problem: str, pack: str = "") -> None:
        """Record a finding: `problem` says what was expected and what was found in `file`."""
        self.record(kind, file, {"case": "wrong", "problem": problem}, pack)

    def record(self, kind: str, file: str, facts: Mapping[str, str | int], pack: str = "") -> None:
        """Record a finding with these facts about `file` ("" for none)."""
        place = Location(file) if file else None
        known = {"file": file, **facts}
        self._once(Finding(kind, known, pack=pack, location=place), self.findings)

    def differs(
        self, kind: str, file: str, what: str, expected: object, found: object, pack: str = ""
    ) -> bool:
        """Record a finding where the two differ; return whether they do."""
        if expected == found:
            return False
        values = {"expected": shown(expected), "found": shown(found)}
        self.record(kind, file, {"case": "differs", "what": what, **values}, pack)
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
