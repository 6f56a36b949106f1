"""Define what the catalogue says of one kind of finding, and how its texts take up the facts.

A text is a format string over the facts, or one for each value of the fact `case`:

>>> entry = error(
...     "a limit was passed",
...     sentence="{command} changed {lines:line|lines}; expected at most {limit}",
...     remedy="allow it with: limits: {{lines: {lines}}}",
...     examples=[{"command": "step-1", "lines": 3, "limit": 2}],
... )
>>> rendered(entry.sentence, {"command": "step-1", "lines": 3, "limit": 2})
'step-1 changed 3 lines; expected at most 2'

Pure. Does not know which kinds there are.
"""

from __future__ import annotations

import enum
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

_DIGEST = 40  # characters of the shortest digest: SHA-1 in hex

Fact = str | int | tuple[str, ...]
Facts = Mapping[str, Fact]
Text = str | Mapping[str, str]
"""One text, or one for each value of the fact `case`."""


class Severity(enum.Enum):
    """Name how a finding weighs: only ERROR keeps a verdict from being PASS."""

    ERROR = "error"
    WARNING = "warning"
    NOTE = "note"


@dataclass(frozen=True, slots=True)
class CatalogueEntry:
    """Contain all that the catalogue says of one id.

    `sentence` says what was expected and what was found, `hint` what to do next, and `remedy` the
    smallest change of the contract that would allow it, that none can, or what to do instead.
    `examples` are facts, for the documentation and for the tests; at least one for each case.
    """

    severity: Severity
    meaning: str
    sentence: Text
    hint: Text
    remedy: Text
    examples: tuple[Facts, ...]


def error(
    meaning: str,
    *,
    sentence: Text,
    hint: Text = "",
    remedy: Text,
    examples: Iterable[Facts] = ({},),
) -> CatalogueEntry:
    """Return the entry of a finding that blocks."""
    return CatalogueEntry(Severity.ERROR, meaning, sentence, hint, remedy, _frozen(examples))


def warning(
    meaning: str, *, sentence: Text, hint: Text = "", examples: Iterable[Facts] = ({},)
) -> CatalogueEntry:
    """Return the entry of a finding that changes no verdict."""
    return CatalogueEntry(Severity.WARNING, meaning, sentence, hint, "", _frozen(examples))


def note(
    meaning: str,
    *,
    sentence: Text,
    hint: Text = "",
    remedy: Text = "",
    examples: Iterable[Facts] = ({},),
) -> CatalogueEntry:
    """Return the entry of a remark."""
    return CatalogueEntry(Severity.NOTE, meaning, sentence, hint, remedy, _frozen(examples))


def _frozen(examples: Iterable[Facts]) -> tuple[Facts, ...]:
    return tuple(MappingProxyType(dict(facts)) for facts in examples)


def rendered(text: Text, facts: Facts) -> str:
    """Return `text` with `facts` in it.

    Raise LookupError, TypeError or ValueError where the facts do not fit the text.
    """
    chosen = text if isinstance(text, str) else text[str(facts["case"])]
    return chosen.format_map({name: _Shown(fact) for name, fact in facts.items()})


def listed(facts: Facts) -> str:
    """Return facts as one clause, for those that fit no text: from another version, or forged."""
    return ", ".join(f"{name} {_Shown(fact)}" for name, fact in facts.items())


class _Shown:
    """Format a fact in a sentence, by these format specifications:

    `one|many` counts (`3 files`), `yaml` writes YAML in one line, `and` joins with "and", `short`
    shortens a digest, `sh` quotes a word for a shell, `prefix` adds a colon and a space unless
    empty; any other is that of a string. What is empty reads "nothing"; `{packs[0]}` is the first
    of several.
    """

    __slots__ = ("_fact",)

    def __init__(self, fact: Fact) -> None:
        self._fact = fact

    def __format__(self, spec: str) -> str:
        if "|" in spec:
            one, _, many = spec.partition("|")
            return f"{self._fact} {one if self._fact == 1 else many}"
        if spec == "yaml":
            fact = list(self._fact) if isinstance(self._fact, tuple) else self._fact
            return json.dumps(fact, ensure_ascii=False)
        if spec == "and":
            return " and ".join(map(str, _several(self._fact))) or "nothing"
        if spec == "short":
            text = str(self)
            return f"{text[:12]}…" if len(text) >= _DIGEST and " " not in text else text
        if spec == "sh":
            return _quoted(str(self))
        if spec == "prefix":
            return f"{self}: " if self._fact else ""
        return format(str(self), spec)

    def __getitem__(self, position: int) -> _Shown:
        if not isinstance(self._fact, tuple):
            raise TypeError("expected several, found one")
        return _Shown(self._fact[position])

    def __str__(self) -> str:
        return ", ".join(map(str, _several(self._fact))) or "nothing"

    def __repr__(self) -> str:
        return ", ".join(map(repr, _several(self._fact)))


def _quoted(word: str) -> str:
    """Return a word as a POSIX shell reads it."""
    plain = re.fullmatch(r"[\w@%+=:,./-]+", word, re.ASCII)
    return word if plain else "'" + word.replace("'", "'\"'\"'") + "'"


def _several(fact: Fact) -> tuple[str | int, ...]:
    return fact if isinstance(fact, tuple) else (fact,)
