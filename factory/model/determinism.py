"""Define the record of `factory determinism` for one pack. Version 1.

It is bound to one action and one bundle and says nothing about any other. Contains no time and no
path.
"""

from typing import Literal

from factory.model.action import Digest
from factory.strict.document import Document, Field


class DeterminismRecord(Document):
    """Define `determinism/<PACK>.json`.

    `manifest` is the digest of the manifest.json that both executions yielded, "" if they differed;
    `first` then describes the first difference. `varied` and `constant` name what was changed and
    what was kept between the two environments.
    """

    schema_version: Literal[1] = 1
    pack: str
    outcome: Literal["identical", "different"]
    action_key: Digest
    manifest: str
    varied: tuple[str, ...]
    constant: tuple[str, ...]
    file: str = Field(
        default="", description="where the first divergence is, relative to the bundle"
    )
    offset: int = 0
    first: str = ""


DETERMINISM: tuple[tuple[str, type[Document]], ...] = (("determinism", DeterminismRecord),)
