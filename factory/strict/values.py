"""Define what a strict reader yields: a frozen value tree, the place of every node, named problems.

The rule: a document is read wholly or not at all; nothing in it was dropped, merged, coerced or
executed. Knows nothing of any one syntax.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TypeAlias

Value: TypeAlias = "None | bool | int | float | str | tuple[Value, ...] | Mapping[str, Value]"
Place: TypeAlias = tuple[int, int]

LARGEST_INTEGER = 2**53 - 1
"""Beyond this another JSON reader may read another number (RFC 8785, RFC 7493)."""


@dataclass(frozen=True, slots=True)
class Problem:
    """Describe one error in a document: a sentence, a 1-based place (0 = whole file), what to
    do.
    """

    problem: str
    line: int = 0
    column: int = 0
    hint: str = ""

    def __str__(self) -> str:
        return f"{self.problem}; {self.hint}" if self.hint else self.problem


class DocumentError(ValueError):
    """Report every problem that was found in a document before reading it stopped."""

    def __init__(self, *problems: Problem) -> None:
        if not problems:
            raise ValueError("a DocumentError needs at least one Problem")
        super().__init__(str(problems[0]))
        self.problems = problems


@dataclass(frozen=True, slots=True)
class StrictDocument:
    """Contain a value tree and the places where it was written.

    `places` maps a JSON pointer (RFC 6901) to the place of its value, `keys` to the place of its
    key. Mappings are read-only, sequences are tuples.
    """

    value: Value
    places: Mapping[str, Place] = field(default_factory=lambda: MappingProxyType({}))
    keys: Mapping[str, Place] = field(default_factory=lambda: MappingProxyType({}))

    def place(self, pointer: str) -> Place:
        """Return the place of the value at `pointer`, or of its nearest parent that was written."""
        while pointer and pointer not in self.places:
            pointer = pointer.rpartition("/")[0]
        return self.places.get(pointer, (1, 1))

    def key_place(self, pointer: str) -> Place:
        """Return the place of the key at `pointer`; of the value if it has no key (an item, the
        root).
        """
        return self.keys.get(pointer) or self.place(pointer)


def child(pointer: str, name: str | int) -> str:
    """Return the JSON pointer of a member `name` (or item) below `pointer`."""
    return f"{pointer}/{str(name).replace('~', '~0').replace('/', '~1')}"


def freeze(value: object) -> Value:
    """Return the same tree with tuples and read-only mappings. Raise TypeError if it is not
    JSON-like.
    """
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    if isinstance(value, Mapping):
        return MappingProxyType({str(key): freeze(member) for key, member in value.items()})
    if isinstance(value, (list, tuple)):
        return tuple(freeze(item) for item in value)
    raise TypeError(f"{type(value).__name__} has no place in a document")


def plain(value: Value) -> object:
    """Return a fresh tree of dicts and tuples, as strict documents require it."""
    if isinstance(value, Mapping):
        return {key: plain(member) for key, member in value.items()}
    if isinstance(value, tuple):
        return tuple(plain(item) for item in value)
    return value


def pointers(value: Value, pointer: str = "") -> Iterator[str]:
    """Yield every JSON pointer of the tree, parents first."""
    yield pointer
    if isinstance(value, Mapping):
        for key, member in value.items():
            yield from pointers(member, child(pointer, key))
    elif isinstance(value, tuple):
        for index, item in enumerate(value):
            yield from pointers(item, child(pointer, index))
