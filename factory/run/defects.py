"""Report defects of the orchestrator itself: a finding that makes the verdict FAIL, and where it
came from.

Rule: what provokes a defect leaves no less evidence than what does not. Does not know who met it,
nor where the traceback is kept.
"""

from __future__ import annotations

from dataclasses import dataclass

from factory.judge.secrecy import silent
from factory.model.finding import Finding
from factory.model.layout import IN_RAW
from factory.redact.redaction import Redactor


@dataclass(frozen=True, slots=True)
class Defect:
    """Describe one defect: its finding, and its traceback (UTF-8) under the name that it has in a
    run's `raw/`.
    """

    finding: Finding
    name: str
    traceback: bytes


def defect(redactor: Redactor, what: str, error: Exception, pack: str = "") -> Defect:
    """Describe a defect that `what` (as in `launch:TASK-0001`) met, without credentials."""
    import traceback

    facts = {"case": "met", "what": what, "found": f"{type(error).__name__}: {error}"}
    text = silent(redactor, "".join(traceback.format_exception(error)))
    found = Finding("CRASH", facts, pack=pack)
    return Defect(found, IN_RAW.crash(what), text.encode("utf-8", "backslashreplace"))
