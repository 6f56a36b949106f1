"""The pipeline that stands in where the real one could not be made: one card that says why.

Not in a folder without a Git repository, not with a broken configuration, not when the
orchestrator itself is broken does loading tasks raise. Does not know how a pipeline is made.
"""

from __future__ import annotations

from collections.abc import Mapping

from factory.engine.crash import crash, one_line
from factory.judge.status_eval import of_findings
from factory.model.card import Card, CardResult, Closing, Progress
from factory.model.errors import FactoryError, InternalError, Refusal
from factory.model.finding import Finding
from factory.model.verdict import Status


class UnavailablePipeline:
    """A `Pipeline` of a single preflight card, which ends with the findings given and never
    holds.
    """

    def __init__(self, findings: tuple[Finding, ...]) -> None:
        self._findings = findings

    def cards(self) -> tuple[Card, ...]:
        """The one card."""
        return (
            Card(
                "preflight",
                "preflight",
                "",
                "check repository, configuration, packs and host",
                (),
                (),
            ),
        )

    def begin(self, progress: Progress) -> None:
        """Nothing to lock."""

    def holds(self, card: Card, stored: Mapping[str, object]) -> bool:  # noqa: ARG002  the port's names
        """Never."""
        return False

    def execute(self, card: Card) -> CardResult:  # noqa: ARG002
        """The findings, as a verdict."""
        return CardResult(
            of_findings(self._findings), "", headline=self._findings[0].id, findings=self._findings
        )

    def close(self, selected: Mapping[str, Status], executed: frozenset[str]) -> Closing:  # noqa: ARG002
        """The findings, one a line."""
        return Closing(
            of_findings(self._findings),
            tuple(map(one_line, self._findings)),
            findings=self._findings,
        )

    def abandon(self, reason: str) -> None:
        """Nothing was begun."""


def unavailable(error: Exception) -> UnavailablePipeline:
    """The stand-in for what went wrong: a refusal's own findings, anything else by its sentence."""
    if isinstance(error, Refusal):
        return UnavailablePipeline(error.findings)
    if isinstance(error, FactoryError) and not isinstance(error, InternalError):
        return UnavailablePipeline(
            (Finding("CONFIG_INVALID", {"problem": error.sentence, "advice": error.hint}),)
        )
    return UnavailablePipeline((crash("expected the tasks to be made", error),))
