"""Define a finding: what a guard observed, as a stable id with facts, a pack and a place.

A finding carries facts and no text: the catalogue (`factory.model.findings`) renders its
sentence, its hint and its remedy. What a finding is about is `pack` and the fact `packs`, never a
word of its sentence. Does not know who raises which finding.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from factory.model.findings.catalogue import CATALOGUE
from factory.model.findings.entry import Facts, Severity, Text, listed, rendered


@dataclass(frozen=True, slots=True)
class Location:
    """Name a place in a repository file: POSIX path from the root, 1-based line and column (0:
    whole file).
    """

    file: str
    line: int = 0
    column: int = 0

    def __str__(self) -> str:
        parts = [self.file]
        if self.line:
            parts.append(str(self.line))
            if self.column:
                parts.append(str(self.column))
        return ":".join(parts)


@dataclass(frozen=True, slots=True)
class Finding:
    """Describe one observation of a guard: its id, its facts, the pack that it is about ("" for the
    run) and its place.

    A finding about several packs names all of them in the fact `packs`. Raise ValueError for an id
    that is not in the catalogue.
    """

    id: str
    facts: Facts = field(default_factory=dict)
    pack: str = ""
    location: Location | None = None

    def __post_init__(self) -> None:
        if self.id not in CATALOGUE:
            raise ValueError(f"finding id {self.id!r} is not in the catalogue")
        object.__setattr__(self, "facts", MappingProxyType(dict(self.facts)))

    def __hash__(self) -> int:
        return hash((self.id, frozenset(self.facts.items()), self.pack, self.location))

    def __reduce__(self) -> tuple[Any, ...]:
        return Finding, (self.id, dict(self.facts), self.pack, self.location)

    @property
    def severity(self) -> Severity:
        """Return how it weighs."""
        return CATALOGUE[self.id].severity

    @property
    def blocks(self) -> bool:
        """Return whether it keeps a verdict from being PASS."""
        return self.severity is Severity.ERROR

    @property
    def message(self) -> str:
        """Return one sentence: what was expected and what was found, without the name of `pack`."""
        entry = CATALOGUE[self.id]
        return self._rendered(entry.sentence) or f"{entry.meaning} ({listed(self.facts)})"

    @property
    def hint(self) -> str:
        """Return what to do next; "" where there is nothing to say."""
        return self._rendered(CATALOGUE[self.id].hint)

    @property
    def remedy(self) -> str:
        """Return what would allow it: the smallest change of the contract, or what
        to do instead.
        """
        known = self._rendered(CATALOGUE[self.id].remedy)
        return known or ("nothing is known to allow it" if self.blocks else "it does not block")

    @property
    def packs(self) -> tuple[str, ...]:
        """Return every pack that it is about."""
        return packs_of(self.pack, self.facts)

    @property
    def owner(self) -> str:
        """Return `PACK: ` for a finding about one pack, else ""."""
        return owner_of(self.pack, self.facts)

    @property
    def attributed(self) -> str:
        """Return the sentence, after the pack that it is about."""
        return f"{self.owner}{self.message}"

    def _rendered(self, text: Text) -> str:
        """Return `text` with the facts; "" where they do not fit, as those of
        another version may.
        """
        try:
            return rendered(text, self.facts)
        except (LookupError, TypeError, ValueError):
            return ""


def packs_of(pack: str, facts: Facts) -> tuple[str, ...]:
    """Return the packs that a finding is about: `pack`, and those of the fact `packs`."""
    named = facts.get("packs", ())
    several = named if isinstance(named, tuple) else ()
    return tuple(dict.fromkeys(filter(None, (pack, *several))))


def owner_of(pack: str, facts: Facts) -> str:
    """Return `PACK: ` for the sentence of a finding about one pack; "" where its sentence names
    all of its packs, or it is about the run.
    """
    return f"{pack}: " if pack and not facts.get("packs") else ""


def last_line_of(facts: Facts) -> str:
    """Return the last line of the log of the command that a finding is about; "" if it names
    none.
    """
    last = facts.get("last", "")
    return last if "label" in facts and isinstance(last, str) else ""
