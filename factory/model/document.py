"""Name what every document of the evidence is: frozen, strict, nothing unknown in it."""

from __future__ import annotations

from factory.strict.document import Document

__all__ = ["Digest", "Document"]

Digest = str
"""SHA-256 in lower-case hex."""
