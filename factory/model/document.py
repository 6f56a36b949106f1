"""Define what every document of the evidence is: frozen, strict, nothing unknown in it."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict

Digest = str
"""SHA-256 in lower-case hex."""


class Document(BaseModel):
    """Define a frozen, strict document: unknown keys and wrong types are errors."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)
