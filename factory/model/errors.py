"""Every error this project raises on purpose, with its sentence, its way out and its exit code.

A `Refusal` carries findings and ends a run as BLOCKED. Anything that is not one of
these is a defect and ends as FAIL. Only a face turns an error into a process exit.
"""

from __future__ import annotations

from factory.model.finding import Finding
from factory.model.verdict import EXIT_INTERRUPTED, EXIT_USAGE, Status


class FactoryError(Exception):
    """Base of the tree: one sentence (expected, found, where) and one hint (what to do)."""

    exit_code: int = Status.FAIL.exit_code

    def __init__(self, sentence: str, hint: str = "") -> None:
        super().__init__(sentence)
        self.sentence = sentence
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.sentence}; {self.hint}" if self.hint else self.sentence


class UsageError(FactoryError):
    """The words of the command line cannot be carried out."""

    exit_code = EXIT_USAGE


class Interrupted(FactoryError):
    """A person or a supervisor asked the run to stop."""

    exit_code = EXIT_INTERRUPTED


class Refusal(FactoryError):
    """A condition that the orchestrator will not go on under: BLOCKED, with findings."""

    exit_code = Status.BLOCKED.exit_code

    def __init__(self, *findings: Finding) -> None:
        if not findings:
            raise ValueError("a Refusal needs at least one Finding")
        super().__init__(findings[0].message, findings[0].hint)
        self.findings = findings

    @property
    def of_the_disk(self) -> bool:
        """Whether the host's disk refused, which says nothing about what was to be written."""
        return any(finding.id == "DISK_UNWRITABLE" for finding in self.findings)


class InternalError(FactoryError):
    """The orchestrator could not reach a verdict: FAIL."""


class Overdue(InternalError):
    """Something took longer than the time that was given to it."""
