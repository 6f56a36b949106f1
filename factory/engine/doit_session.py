"""One run of the graph as the engine sees it: what was asked for, what ran, how each card ended.

The doit task objects share it, worker threads included, so every change is under one lock.
A card that was asked for and never reached counts as BLOCKED: leaving something out never
makes a PASS. Does not know doit, nor what a card does.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Protocol

from factory.engine.crash import crash, described, one_line
from factory.engine.doit_checker import digest_of
from factory.judge.status_eval import combine, of_findings
from factory.model.card import Card, CardResult, Closing, Progress
from factory.model.errors import FactoryError, InternalError, Refusal
from factory.model.finding import Finding
from factory.model.verdict import Status

VERDICT, KEY, TARGETS = "verdict", "key", "targets"

_NAMES_TOLD = 5


class Pipeline(Protocol):
    """Everything an engine may ask. Only `execute` has effects besides taking the lock."""

    def cards(self) -> tuple[Card, ...]:
        """All cards in an order that respects `after`. Never raises: a broken pack is a card that
        ends BLOCKED.
        """
        ...

    def begin(self, progress: Progress) -> None:
        """Take the run lock and recover what an earlier run left. Raises Refusal LOCKED."""
        ...

    def holds(self, card: Card, stored: Mapping[str, object]) -> bool:
        """Whether the stored result ({"verdict", "key", "targets"}) of `card` still stands. No side
        effects.
        """
        ...

    def execute(self, card: Card) -> CardResult:
        """Carry the card out and write its targets. Only KeyboardInterrupt leaves it as an
        exception.
        """
        ...

    def close(self, selected: Mapping[str, Status], executed: frozenset[str]) -> Closing:
        """Finish the run (if one was minted), release the lock, and say the last word.

        `selected` maps every card name that was asked for to its verdict; `executed` names those
        that ran.
        """
        ...

    def abandon(self, reason: str) -> None:
        """Record that the run was interrupted, and release the lock."""
        ...


class NotBegun(Exception):
    """A card was about to be executed outside a begun run of this process."""


class Session:
    """Cards of one pipeline, and what became of them. `begin`, any number of cards, then `close` or
    `abandon`.

    `remembers` is False where no state is to be kept, as in a folder that holds no repository.
    """

    def __init__(self, pipeline: Pipeline, cards: Iterable[Card], remembers: bool = True) -> None:
        self._pipeline = pipeline
        self.remembers = remembers
        self.cards: Mapping[str, Card] = MappingProxyType({card.name: card for card in cards})
        self._lock = threading.Lock()
        self._asked: tuple[str, ...] = ()
        self._results: dict[str, CardResult] = {}
        self._held: dict[str, Status] = {}
        self._own_findings: list[Finding] = []
        self._progress: Progress | None = None
        self._begun_by = 0

    @property
    def begun(self) -> bool:
        """Whether this very process is between `begin` and its end. A forked worker is not."""
        return self._begun_by == os.getpid()

    def begin(self, asked: Iterable[str], progress: Progress) -> None:
        """Take the lock of the repository for the cards named. Raises Refusal LOCKED, InternalError
        for a defect.
        """
        self._asked = tuple(asked)
        try:
            self._pipeline.begin(progress)
        except FactoryError:
            raise
        except Exception as error:
            raise InternalError(crash("expected the run to begin", error).message) from error
        self._progress = progress
        self._begun_by = os.getpid()

    def holds(self, card: Card, stored: Mapping[str, object]) -> str:
        """Return why the stored result of `card` is not valid any more, as a clause; "" where it
        is. Change nothing.
        """
        if not _is_record(stored):
            return "no, it has no result yet"
        if stored[VERDICT] != Status.PASS.value:
            return f"no, it ended {stored[VERDICT]}"
        edited = _edited_target(card, stored[TARGETS])
        if edited:
            return f"no, {edited} is not the file it wrote"
        try:
            return "" if self._pipeline.holds(card, stored) else "no, its action key changed"
        except Exception as error:  # noqa: BLE001  a question without an answer is answered by executing
            return f"no, asking its action key met {described(error)}"

    def note_up_to_date(self, name: str) -> None:
        """Record that card `name` was not executed, since its stored PASS is valid."""
        with self._lock:
            self._held[name] = Status.PASS
        if self._progress is not None:
            self._progress.card_up_to_date(self.cards[name], Status.PASS)

    def execute(self, card: Card) -> dict[str, object]:
        """Carry out one card; what doit stores of it. Any failure becomes a verdict;
        KeyboardInterrupt passes.
        """
        if not self.begun or self._progress is None:
            raise NotBegun(card.name)
        self._progress.card_started(card)
        try:
            result = self._pipeline.execute(card)
        except KeyboardInterrupt:
            raise
        except Refusal as refusal:
            result = self._ended_here(refusal.findings)
        except BaseException as error:  # noqa: BLE001  also SystemExit: a card has no say in how the process ends
            result = self._ended_here(
                (crash(f"expected {card.name} to reach a verdict", error, card.pack),)
            )
        with self._lock:
            self._results[card.name] = result
        self._progress.card_ended(card, result)
        return record_of(result)

    def close(self) -> Closing:
        """The last word: the pipeline's, made no better than what the cards ended with. Releases
        the lock.
        """
        verdicts = {name: self._verdict(name) for name in self._asked}
        try:
            closing = self._pipeline.close(verdicts, frozenset(self._results))
        except Refusal as refusal:
            closing = Closing(
                Status.BLOCKED, tuple(map(one_line, refusal.findings)), findings=refusal.findings
            )
        except Exception as error:  # noqa: BLE001  the process must still end with a verdict and free the lock
            self.abandon(f"closing met {described(error)}")
            closing = Closing(Status.FAIL, (f"CRASH  closing the run met {described(error)}",))
        self._begun_by = 0
        status = combine((closing.status, *verdicts.values()))
        findings = (*closing.findings, *self._own_findings)
        return Closing(status, (*closing.lines, *self._own_lines()), closing.run_id, findings)

    def abandon(self, reason: str) -> None:
        """The run ends here without a last word; the lock is released, at the latest when the
        process ends.
        """
        if not self.begun:
            return
        self._begun_by = 0
        try:
            self._pipeline.abandon(reason)
        except Exception as error:  # noqa: BLE001  an end that can't be recorded must not replace what led to it
            self._own_findings.append(crash("expected the run to be recorded as abandoned", error))

    def _ended_here(self, findings: tuple[Finding, ...]) -> CardResult:
        """A result the pipeline knows nothing of; its findings are told at the end."""
        with self._lock:
            self._own_findings += findings
        return CardResult(of_findings(findings), "", headline=findings[0].id, findings=findings)

    def _verdict(self, name: str) -> Status:
        result = self._results.get(name)
        return result.status if result is not None else self._held.get(name, Status.BLOCKED)

    def _own_lines(self) -> Iterable[str]:
        """What the pipeline can't know: how cards ended outside it, and which were never
        reached.
        """
        yield from map(one_line, self._own_findings)
        missed = [
            name for name in self._asked if name not in self._results and name not in self._held
        ]
        if missed:
            names = ", ".join(missed[:_NAMES_TOLD]) + (
                " and more" if len(missed) > _NAMES_TOLD else ""
            )
            yield (
                f"not reached, so BLOCKED: {names}; what `doit ignore` named runs again after `doit"
                " forget NAME`"
            )


def record_of(result: CardResult) -> dict[str, object]:
    """What doit stores of a result: text only, so that no value can spoil the database."""
    targets = {str(path): str(digest) for path, digest in result.targets.items()}
    return {VERDICT: result.status.value, KEY: str(result.key), TARGETS: targets}


def _is_record(stored: object) -> bool:
    if not isinstance(stored, dict):
        return False
    targets = stored.get(TARGETS)
    return (
        isinstance(stored.get(VERDICT), str)
        and isinstance(stored.get(KEY), str)
        and isinstance(targets, dict)
        and all(isinstance(digest, str) for digest in targets.values())
    )


def _edited_target(card: Card, recorded: object) -> str:
    """The first target whose bytes are not the recorded ones; "" where all are."""
    digests = recorded if isinstance(recorded, dict) else {}
    return next((path for path in card.targets if digest_of(path) != digests.get(path)), "")
