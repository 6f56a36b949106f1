"""Defects of the orchestrator itself: a finding that makes the verdict FAIL, and where it came
from, kept in the run.

Rule: what provokes a defect leaves no less evidence than what does not. Does not know who met it.
"""

from __future__ import annotations

from factory.judge.secrecy import silent
from factory.model.finding import Finding
from factory.plan.site import Session


def crash(session: Session, what: str, error: Exception, pack: str = "") -> Finding:
    """The finding over a defect that `what` (as in `launch:TASK-0001`) met; its traceback is in the
    run's raw part.
    """
    _keep_traceback(session, what, error)
    message = f"{what} met an error of the orchestrator's own: {type(error).__name__}: {error}"
    return Finding(
        "CRASH", message, "Please report it with the traceback in the run folder.", pack=pack
    )


def _keep_traceback(session: Session, what: str, error: Exception) -> None:
    import traceback

    text = "".join(traceback.format_exception(error))
    kept = silent(session.site.redactor, text).encode("utf-8", "backslashreplace")
    session.site.store.write(
        f"runs/{session.ensure_run()}/raw/crash-{what.replace(':', '-')}.txt", kept
    )
