"""Define every error this project raises on purpose, each with sentence, hint and exit code.

A `Refusal` carries findings and ends a run as BLOCKED. Any error outside this tree is a defect and
ends as FAIL. Only a command's entry point turns an error into a process exit.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from factory.model.verdict import EXIT_INTERRUPTED, EXIT_USAGE, Status

if TYPE_CHECKING:
    from factory.model.finding import Finding


class FactoryError(Exception):
    """Report one sentence (expected, found, where) and one hint (what to do). Base of the tree."""

    exit_code: int = Status.FAIL.exit_code

    def __init__(self, sentence: str, hint: str = "") -> None:
        super().__init__(sentence)
        self.sentence = sentence
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.sentence}; {self.hint}" if self.hint else self.sentence


class UsageError(FactoryError):
    """Report that the words of the command line cannot be carried out."""

    exit_code = EXIT_USAGE


class Interrupted(FactoryError):
    """Report that a person or a supervisor asked the run to stop."""

    exit_code = EXIT_INTERRUPTED


class Refusal(FactoryError):
    """Report a condition under which the orchestrator does not continue: BLOCKED, with findings."""

    exit_code = Status.BLOCKED.exit_code

    def __init__(self, *findings: Finding) -> None:
        if not findings:
            raise ValueError("a Refusal needs at least one Finding")
        super().__init__(findings[0].attributed, findings[0].hint)
        self.findings = findings

    def __reduce__(self) -> tuple[type[Refusal], tuple[Finding, ...], dict[str, object]]:
        return Refusal, self.findings, self.__dict__

    @property
    def of_the_disk(self) -> bool:
        """Return True if the host's disk refused; that says nothing about the content to be
        written.
        """
        return any(finding.id == "DISK_UNWRITABLE" for finding in self.findings)


class InternalError(FactoryError):
    """Report that the orchestrator could not reach a verdict: FAIL."""


class Overdue(InternalError):
    """Report that something took longer than its time limit."""
