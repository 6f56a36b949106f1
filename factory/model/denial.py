"""What the host saw a pack try and not get: addresses, limits, changes that its contract does not
allow.

Observed, so it stands in the run's `raw/` and in no bundle, and decides nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import Field

from factory.model.evidence import Document
from factory.strict.values import LARGEST_INTEGER

MOST = 200  # rows of one pack in one run
_Whole = Annotated[int, Field(ge=0, le=LARGEST_INTEGER)]


@dataclass(frozen=True, slots=True)
class Tried:
    """An address that processes of a command gave to the kernel, so many times; whether they got
    there is not known.

    `call` is connect or send. `family` is inet, inet6, unix, abstract or another's name. All are
    empty, and `port` is 0, where `count` is of those that found no place.
    """

    call: str
    family: str
    address: str
    port: int
    count: int


class DenialRecord(Document):
    """One thing that was tried: what, under which rule it was denied, how often, and during which
    commands.

    `rule` is the name of a property or the id of a finding.
    """

    tried: Literal["connect", "send", "look-up", "exceed", "change", "carry"]
    what: str
    rule: str
    count: Annotated[int, Field(ge=1, le=LARGEST_INTEGER)]
    during: tuple[str, ...]


class DeniedDocument(Document):
    """DENIED.json of one pack in one run. `observed` names what the host could see; `more` counts
    what has no row.
    """

    schema_version: Literal[1] = 1
    pack: str
    observed: tuple[Literal["network"], ...]
    denials: Annotated[tuple[DenialRecord, ...], Field(max_length=MOST)]
    more: _Whole


DENIALS: tuple[tuple[str, type[Document]], ...] = (("denied", DeniedDocument),)
