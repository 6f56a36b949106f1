"""Remove credentials from everything that this process prints, whoever wrote the line.

Rule: all printed text passes here, findings and documents alike. The redactor is made once, and
only when something is printed. Does not know what a line says.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from factory.redact.redaction import Redactor


def veiled(text: str) -> str:
    """Return the text without credentials."""
    from factory.judge.secrecy import silent

    return silent(_redactor(), text)


@cache
def _redactor() -> Redactor:
    import os

    from factory.contract.known_secrets import redactor_for

    return redactor_for(os.environ)
