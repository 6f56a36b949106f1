"""Turn an unexpected exception into a finding of one line: never a traceback, yet enough to report
it by.

Does not know where the exception came from.
"""

from __future__ import annotations

import os
import traceback
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from factory.model.finding import Finding


_FRAMES_TOLD = 3
_MESSAGE_LIMIT = 300


def crash(expected: str, error: BaseException, pack: str = "") -> Finding:
    """Return a CRASH: `expected` is a clause ("expected X to …"), found is the exception."""
    from factory.model.finding import (
        Finding,  # late: its catalogue costs a start that never needs it
    )

    facts = {"case": "expected", "expected": expected, "found": described(error)}
    return Finding("CRASH", facts, pack=pack)


def described(error: BaseException) -> str:
    """Return an exception in one line, with its innermost frames."""
    frames = traceback.extract_tb(error.__traceback__)[-_FRAMES_TOLD:]
    places = ", ".join(
        f"{os.path.basename(frame.filename)}:{frame.lineno} {frame.name}" for frame in frames
    )
    message = " ".join(str(error).split())[:_MESSAGE_LIMIT]
    return (
        f"{type(error).__name__}: {message} ({places})"
        if message
        else f"{type(error).__name__} ({places})"
    )


def one_line(finding: Finding) -> str:
    """Return a finding in one line: id, place, sentence, what to do."""
    place = f"{finding.location}  " if finding.location else ""
    hint = f"; {finding.hint}" if finding.hint else ""
    return f"{finding.id}  {place}{finding.attributed}{hint}"
