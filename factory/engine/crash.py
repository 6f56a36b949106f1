"""An unexpected exception, told as a finding in one line: never a traceback, yet enough to report
it by.

Does not know where the exception came from.
"""

from __future__ import annotations

import os
import traceback

from factory.model.finding import Finding

_FRAMES_TOLD = 3
_MESSAGE_LIMIT = 300
_HINT = "this is a defect of the orchestrator: report it with this line"


def crash(expected: str, error: BaseException, pack: str = "") -> Finding:
    """A CRASH finding: `expected` is a clause ("expected X to …"), what was found is the
    exception.
    """
    return Finding("CRASH", f"{expected}, found {described(error)}", _HINT, pack=pack)


def described(error: BaseException) -> str:
    """An exception in one line, with its innermost frames."""
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


def told(finding: Finding) -> str:
    """A finding in one line: id, place, sentence, what to do."""
    place = f"{finding.location}  " if finding.location else ""
    hint = f"; {finding.hint}" if finding.hint else ""
    return f"{finding.id}  {place}{finding.message}{hint}"
