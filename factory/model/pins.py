"""Define what pinned public keys are for: purposes, dates, revocation, thresholds. Version 1.

The document lies in the folder of the keys that it is about: `factory.keys/` of a repository, or a
user's folder of keys. A key that it does not name is for runs, without an end.
"""

from typing import Annotated, Literal

from factory.strict.document import Document, Field

PINS_FILE = "keys.json"
Purpose = Literal["run"]
KeyId = Annotated[str, Field(pattern=r"^ed25519:[0-9a-f]{16}$")]
Moment = Annotated[
    str, Field(pattern=r"^([0-9]{4}-[01][0-9]-[0-3][0-9]T[0-2][0-9]:[0-5][0-9]:[0-6][0-9]Z)?$")
]


class PinnedKey(Document):
    """Define one key's terms; "" means no such moment. `revoked` ends what `until` would not:
    what was signed from then on is not trusted.
    """

    key: KeyId
    purposes: tuple[Purpose, ...]
    since: Moment = ""
    until: Moment = ""
    revoked: Moment = ""


class Threshold(Document):
    """Define how many of these keys must have signed for a purpose."""

    purpose: Purpose
    need: Annotated[int, Field(ge=1)]
    of: tuple[KeyId, ...]


class PinsDocument(Document):
    """Define `keys.json` in a folder of public keys."""

    schema_version: Literal[1] = 1
    keys: tuple[PinnedKey, ...]
    thresholds: tuple[Threshold, ...] = ()


PINS: tuple[tuple[str, type[Document]], ...] = (("pins", PinsDocument),)
