"""Look at a contract file as it is written, and say which rule is broken at which place of it.

Pure. Does not know any key.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from factory.judge.scope import problem_with_pattern
from factory.model.finding import Location
from factory.model.findings.entry import Facts
from factory.model.wording import label_of, quoted
from factory.strict.values import Problem, StrictDocument, Value, child, pointers


@dataclass(frozen=True, slots=True)
class Breach:
    """Describe a broken rule: the finding's id, its facts, its place (1-based, 0 for the whole
    file).
    """

    finding: str
    facts: Facts
    line: int = 0
    column: int = 0


DEPS_WITHOUT_NETWORK = (
    "packages are listed, which are not installed, and constraints.allow_network is false",
    "remove them, and name an environment that has them: environment: [NAME]",
)
"""Say what is wrong with packages to install, and what to do."""


def invalid(problem: Problem) -> Breach:
    """Return PACK_INVALID for a problem that a reader or a rule found."""
    facts = {"problem": problem.problem, "advice": problem.hint}
    return Breach("PACK_INVALID", facts, problem.line, problem.column)


@dataclass(frozen=True, slots=True)
class Written:
    """Read one file of the pack in `folder`: values, places, and breaches at them.

    `file` is its name in the folder. Pointers are JSON pointers (RFC 6901) into the file.
    """

    folder: str
    file: str
    source: StrictDocument

    def value(self, pointer: str) -> Value:
        """Return the value at a pointer of plain keys; None if there is none."""
        value = self.source.value
        for key in pointer.split("/")[1:]:
            value = value.get(key) if isinstance(value, Mapping) else None
        return value

    def location(self, pointer: str) -> Location:
        """Return the place of a value as a finding names it."""
        return Location(f"{self.folder}/{self.file}", *self.source.place(pointer))

    def places(self) -> tuple[tuple[str, int, int], ...]:
        """Return (pointer, line, column) of everything written, sorted: scalars at their value,
        collections at their key.
        """
        source = self.source
        found = []
        for pointer in pointers(source.value):
            collection = isinstance(self.value(pointer), (tuple, Mapping))
            place = source.key_place(pointer) if collection else source.place(pointer)
            found.append((pointer, *place))
        return tuple(sorted(found))

    def breach(self, pointer: str, clause: str, hint: str) -> Breach:
        """Return PACK_INVALID at the value of `pointer`, labelled with its key."""
        place = self.source.place(pointer)
        return invalid(Problem(f"{label_of(pointer)}: {clause}", *place, hint))

    def missing(self, clause: str, hint: str) -> Breach:
        """Return PACK_INVALID about a key that is written nowhere."""
        return invalid(Problem(clause, 1, 1, hint))

    def against(self, pointer: str, finding: str, facts: Facts) -> Breach:
        """Return a breach with an id of its own, at the value of `pointer`."""
        return Breach(finding, facts, *self.source.place(pointer))

    def patterns(self, *keys: str, rooted: bool = False) -> Iterator[Breach]:
        """Yield a breach for each unsound pattern at `keys`; `rooted` ones may begin with /."""
        for pointer in keys:
            for place, pattern in self._texts(pointer):
                plain = pattern.removeprefix("/") if rooted else pattern
                clause, _, hint = problem_with_pattern(plain).partition("; ")
                if clause:
                    yield self.breach(place, f"{quoted(pattern)} {clause}", hint)

    def _texts(self, pointer: str) -> Iterator[tuple[str, str]]:
        """Yield (pointer, text) of one text, or of every item of a list of texts."""
        written = self.value(pointer)
        if isinstance(written, str):
            yield pointer, written
        elif isinstance(written, tuple):
            for index, item in enumerate(written):
                if isinstance(item, str):
                    yield child(pointer, index), item
