"""Word what a later attempt may read of the last one: which commands failed, the end of what they
printed, and the findings that blocked.

All of it is redacted. Bounded, whatever was printed. Pure.
"""

from __future__ import annotations

import json
from collections.abc import Iterable

from factory.model.finding import Finding
from factory.redact.redaction import Redactor
from factory.run.attempt import Ran

LESSON = "/run/factory/last-attempt.json"
_MOST_COMMANDS, _MOST_FINDINGS = 8, 64
_TAIL = 16 * 1024  # bytes of a command's output


def lesson_of(
    redactor: Redactor, attempt: int, ran: Iterable[Ran], findings: Iterable[Finding]
) -> str:
    """Return the text that the attempt after this one finds at LESSON."""
    failed = [one for one in ran if one.logged.record.rc != 0]
    blocking = [one for one in findings if one.blocks]
    value = {
        "attempt": attempt,
        "failed": [
            {
                "label": one.logged.record.label,
                "run": one.logged.record.run,
                "rc": one.logged.record.rc,
                "ended": one.logged.record.ended,
                "output_ends_with": one.raw[-_TAIL:].decode("utf-8", "replace"),
            }
            for one in failed[:_MOST_COMMANDS]
        ],
        "findings": [
            {"id": one.id, "message": one.message, "hint": one.hint}
            for one in blocking[:_MOST_FINDINGS]
        ],
    }
    text = json.dumps(value, indent=2, sort_keys=True, ensure_ascii=False) + "\n"
    safe = redactor.redact(text.encode("utf-8", "replace")).content
    return safe.decode("utf-8", "replace")
