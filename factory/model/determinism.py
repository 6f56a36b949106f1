"""What `factory determinism` showed of one pack, as it is kept. Version 1.

Bound to one action and one bundle: of any other it says nothing. No time and no path stands in it.
"""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from factory.model.evidence import Digest, Document


class DeterminismRecord(Document):
    """`determinism/<PACK>.json`.

    `manifest` is the digest of the manifest.json that both times yielded, "" where they differed;
    `first` then tells the first divergence. `varied` and `constant` name what was and what was not
    different.
    """

    schema_version: Literal[1] = 1
    pack: str
    outcome: Literal["identical", "different"]
    action_key: Digest
    manifest: str
    varied: tuple[str, ...]
    constant: tuple[str, ...]
    file: str = Field("", description="where the first divergence is, relative to the bundle")
    offset: int = 0
    first: str = ""


DETERMINISM: tuple[tuple[str, type[Document]], ...] = (("determinism", DeterminismRecord),)
