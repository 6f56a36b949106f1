"""Define the record of what a pack tried and was denied: addresses, limits, changes out of
contract.

It is observed on the host, so it is in the run's `raw/` and in no bundle, and decides nothing.
"""

from typing import Annotated, Literal

from factory.strict.document import Document, Field
from factory.strict.values import LARGEST_INTEGER

MOST = 200  # rows of one pack in one run
_Whole = Annotated[int, Field(ge=0, le=LARGEST_INTEGER)]


class DenialRecord(Document):
    """Record one denied thing: what was tried, the rule that denied it, how often, during which
    commands.

    `rule` is the name of a property or the id of a finding, whose facts are `facts`.
    """

    tried: Literal["connect", "send", "look-up", "exceed", "change", "carry"]
    what: str
    rule: str
    count: Annotated[int, Field(ge=1, le=LARGEST_INTEGER)]
    during: tuple[str, ...]
    facts: dict[str, str | int | tuple[str, ...]]


class DeniedDocument(Document):
    """Define DENIED.json of one pack in one run.

    `observed` names what the host could see; `more` is the number of denials that have no row.
    """

    schema_version: Literal[2] = 2
    pack: str
    observed: tuple[Literal["network"], ...]
    denials: Annotated[tuple[DenialRecord, ...], Field(max_length=MOST)]
    more: _Whole


DENIALS: tuple[tuple[str, type[Document]], ...] = (("denied", DeniedDocument),)
