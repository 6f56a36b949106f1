"""Answer doit: the cards of one pipeline, which of them were asked for, and how each ended.

While nothing changed since a start that had nothing to execute, it answers from memory and opens no
pipeline. The first question that memory cannot answer opens it, and from then on every byte is
read; what memory had said must be found true, or nothing is executed. Where no pipeline can be
opened there is one card that says why. A card that was asked for and never reached is BLOCKED:
leaving something out never makes a PASS.

Task objects share it, worker threads included, so every change is under one lock. Does not know
doit, nor what a card does.
"""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractContextManager
from dataclasses import replace
from types import MappingProxyType
from typing import TYPE_CHECKING, Protocol

from factory.engine.crash import crash, described, one_line
from factory.engine.doit_checker import digest_of, vouch, withdraw
from factory.engine.memory import Memory
from factory.engine.phases import PHASES, phase_named
from factory.judge.status_eval import combine, of_findings
from factory.model.card import Card, CardResult, Closing, Progress
from factory.model.errors import FactoryError, InternalError, Refusal
from factory.model.verdict import Status

if TYPE_CHECKING:
    from factory.model.finding import Finding

VERDICT, KEY, TARGETS = "verdict", "key", "targets"
ONESHOT = "oneshot"

_NAMES_SHOWN = 5


class Pipeline(Protocol):
    """Do the work. Only `begin`, `execute`, `close` and `abandon` have effects."""

    def cards(self) -> tuple[Card, ...]:
        """Return all cards in an order that respects `after`. A broken pack is a card that ends
        BLOCKED.
        """
        ...

    def begin(self, progress: Progress) -> None:
        """Take the run lock and recover what an earlier run left. Raise Refusal LOCKED."""
        ...

    def is_up_to_date(self, card: Card, stored: Mapping[str, object]) -> bool:
        """Return whether the stored result ({"verdict", "key", "targets"}) of `card` is a PASS that
        is still valid. Change nothing.
        """
        ...

    def execute(self, card: Card) -> CardResult:
        """Execute the card and write its targets. Only KeyboardInterrupt leaves it as an
        exception.
        """
        ...

    def close(self, selected: Mapping[str, Status], executed: frozenset[str]) -> Closing:
        """Finish the run (if one was started), release the lock, and return how the command ends.

        `selected` maps every card name that was asked for to its verdict; `executed` names those
        that ran.
        """
        ...

    def abandon(self, reason: str) -> None:
        """Record that the run was interrupted, and release the lock."""
        ...


class NotBegun(Exception):
    """Report that a card was about to be executed outside a begun run of this process."""


class Driver:
    """Cards, and what became of them: `begin`, any number of cards, then `close` or `abandon`.

    `keeps_state` is False where no state is to be kept, as in a folder that has no repository.
    `address` is where another process asks for cards to be executed here; "" where none may.
    """

    address = ""

    def __init__(
        self,
        open_pipeline: Callable[[], Pipeline],
        memory: Memory | None = None,
        lock: Callable[[], AbstractContextManager[None]] = contextlib.nullcontext,
        look: Callable[[], tuple[Finding, ...]] = tuple,
    ) -> None:
        """Never raises. `lock` takes the run lock, for the time that memory answers; `memory` is
        None where nothing is remembered, or something changed since; `look` returns warnings about
        this moment, for an end that memory gives.
        """
        self._open = open_pipeline
        self._memory = memory
        self._lock = lock
        self._look = look
        self._pipeline: Pipeline | None = None
        self._refused: tuple[Finding, ...] = ()
        self._guard = threading.RLock()
        self._answered: dict[str, tuple[Card, Mapping[str, object]]] = {}
        self._unchanged: bool | None = None
        self._defect: InternalError | None = None
        self._stack = contextlib.ExitStack()
        self._asked: tuple[str, ...] = ()
        self._results: dict[str, CardResult] = {}
        self._up_to_date: set[str] = set()
        self._own_findings: list[Finding] = []
        self._progress: Progress | None = None
        self._begun_by = 0
        made = self._made()
        self.cards: Mapping[str, Card] = MappingProxyType({card.name: card for card in made})

    def _made(self) -> tuple[Card, ...]:
        """Return the cards; where they cannot be tasks, one card that says why."""
        try:
            if self._memory is not None:
                cards = self._memory.cards
            else:
                self._pipeline = self._open()
                cards = self._pipeline.cards()
            reason = unfit(cards)
            if reason:
                raise InternalError(reason)
        except Exception as error:  # noqa: BLE001  making the tasks never raises
            self._memory, self._pipeline = None, None
            self._refused = _findings_of(error)
            first = PHASES[0]
            return (Card(first.name, first.name, "", first.help, (), ()),)
        return cards

    @property
    def keeps_state(self) -> bool:
        """Return whether results are to be stored."""
        return not self._refused

    @property
    def begun(self) -> bool:
        """Return whether this process is between `begin` and its end. A forked worker is not."""
        return self._begun_by == os.getpid()

    def begin(self, asked: Iterable[str], progress: Progress) -> None:
        """Take the lock of the repository for the cards named. Raise Refusal LOCKED, InternalError
        for a defect.
        """
        self._asked = tuple(asked)
        self._progress = progress
        try:
            self._begin(progress)
        except FactoryError:
            raise
        except Exception as error:
            raise InternalError(crash("expected the run to begin", error).message) from error
        self._begun_by = os.getpid()

    def _begin(self, progress: Progress) -> None:
        if self._refused:
            return
        if self._pipeline is not None:
            self._pipeline.begin(progress)
            return
        self._stack.enter_context(self._lock())
        self._unchanged = None  # before the lock, another process may have run something
        if not self._remembers():
            self._opened()

    def why_not_up_to_date(self, card: Card, stored: Mapping[str, object]) -> str:
        """Return why the stored result of `card` is not valid any more, as a clause; "" where it
        is. Execute nothing and write nothing.
        """
        if not _is_record(stored):
            return "no, it has no result yet"
        if stored[VERDICT] != Status.PASS.value:
            return f"no, it ended {stored[VERDICT]}"
        if self._refused:
            return f"no, {self._refused[0].id}"
        if self._remembered(card, stored):
            return ""
        edited = _edited_target(card, stored[TARGETS])
        if edited:
            return f"no, {edited} is not the file it wrote"
        try:
            valid = self._opened().is_up_to_date(card, stored)
        except Exception as error:  # noqa: BLE001  without an answer it is executed
            return f"no, asking its action key met {described(error)}"
        more = f"; `factory why {card.pack}` shows what did" if card.phase == "launch" else ""
        return "" if valid else f"no, its action key changed{more}"

    def note_up_to_date(self, name: str) -> None:
        """Record that card `name` was not executed, since its stored PASS is valid."""
        with self._guard:
            self._up_to_date.add(name)
        if self._progress is not None:
            self._progress.card_up_to_date(self.cards[name], Status.PASS)

    def execute(self, card: Card) -> dict[str, object]:
        """Execute one card; return what doit stores of it. Any failure becomes a verdict;
        KeyboardInterrupt passes. Raise NotBegun.
        """
        if not self.begun or self._progress is None:
            raise NotBegun(card.name)
        self._progress.card_started(card)
        try:
            result = self._executed(card)
        except KeyboardInterrupt:
            raise
        except Refusal as refusal:
            result = self._ended_here(refusal.findings)
        except BaseException as error:  # noqa: BLE001  SystemExit too: a card never ends us
            expected = f"expected {card.name} to reach a verdict"
            result = self._ended_here((crash(expected, error, card.pack),))
        with self._guard:
            self._results[card.name] = result
        self._progress.card_ended(card, result)
        return record_of(result)

    def headline(self, name: str) -> str:
        """Return what a card that was executed says of itself in a line; "" for any other."""
        result = self._results.get(name)
        return result.headline if result is not None else ""

    def _executed(self, card: Card) -> CardResult:
        if self._refused:
            headline = self._refused[0].id
            return CardResult(
                of_findings(self._refused), "", headline=headline, findings=self._refused
            )
        return self._opened().execute(card)

    def close(self) -> Closing:
        """Return how the command ends: as the pipeline says, and no better than what the cards
        ended with. Release the lock.
        """
        verdicts = {name: self._verdict(name) for name in self._asked}
        try:
            closing = self._closed(verdicts)
        except Refusal as refusal:
            lines = tuple(map(one_line, refusal.findings))
            closing = Closing(Status.BLOCKED, lines, findings=refusal.findings)
        except Exception as error:  # noqa: BLE001  a verdict and a free lock come all the same
            self.abandon(f"closing met {described(error)}")
            closing = Closing(Status.FAIL, (f"CRASH  closing the run met {described(error)}",))
        self._begun_by = 0
        status = combine((closing.status, *verdicts.values()))
        findings = (*closing.findings, *self._own_findings)
        return Closing(status, (*closing.lines, *self._own_lines()), closing.run_id, findings)

    def _closed(self, verdicts: Mapping[str, Status]) -> Closing:
        if self._refused:
            lines = tuple(map(one_line, self._refused))
            return Closing(of_findings(self._refused), lines, findings=self._refused)
        known = self._memory.up_to_date if self._memory is not None else None
        everything = verdicts.keys() >= self.cards.keys()
        passed = all(status is Status.PASS for status in verdicts.values())
        if self._pipeline is None and known is not None and everything and passed:
            self._stack.close()
            return with_warnings(known.closing, self._look())
        return self._opened().close(verdicts, frozenset(self._results))

    def abandon(self, reason: str) -> None:
        """Let the run end without a verdict; the lock is released, at the latest when the process
        ends.
        """
        if not self.begun:
            return
        self._begun_by = 0
        self._stack.close()
        try:
            if self._pipeline is not None:
                self._pipeline.abandon(reason)
        except Exception as error:  # noqa: BLE001  what led to the end must not be replaced
            self._own_findings.append(crash("expected the run to be recorded as abandoned", error))

    # ── from memory, or from the pipeline ────────────────────────────────────

    def _remembered(self, card: Card, stored: Mapping[str, object]) -> bool:
        """Return whether memory says that the stored result is valid."""
        with self._guard:
            if self._pipeline is not None or not self._remembers():
                return False
            known = self._memory.up_to_date if self._memory is not None else None
            if known is None or stored != known.records.get(card.name):
                return False
            self._answered[card.name] = (card, stored)
            return True

    def _remembers(self) -> bool:
        """Return whether the state folder is as it was; asked once, and again under the lock."""
        if self._unchanged is None:
            memory = self._memory
            self._unchanged = memory is not None and memory.state_unchanged()
            known = memory.up_to_date if memory is not None else None
            (vouch(known.digests) if self._unchanged and known is not None else withdraw())
        return self._unchanged

    def _opened(self) -> Pipeline:
        """Return the pipeline, begun where this is. Raise as its `begin`, and InternalError where
        what memory said is not what it finds.
        """
        with self._guard:
            if self._defect is not None:
                raise self._defect
            if self._pipeline is None:
                withdraw()
                self._stack.close()
                self._pipeline = self._taken_over()
            return self._pipeline

    def _taken_over(self) -> Pipeline:
        pipeline = self._open()
        differs = "tasks" if pipeline.cards() != tuple(self.cards.values()) else ""
        if self._progress is not None and not differs:
            pipeline.begin(self._progress)
            differs = next(
                (
                    name
                    for name, (card, stored) in self._answered.items()
                    if not pipeline.is_up_to_date(card, stored)
                ),
                "",
            )
            if differs:
                pipeline.abandon("what was up to date is not")
        if differs:
            if self._memory is not None:
                self._memory.forget()
            self._defect = InternalError(
                f"expected {differs} to be as when this began, found a change; run it again"
            )
            raise self._defect
        return pipeline

    # ── what the pipeline cannot know ────────────────────────────────────────

    def _ended_here(self, findings: tuple[Finding, ...]) -> CardResult:
        """Return a result that the pipeline knows nothing of; its findings are printed at the
        end.
        """
        with self._guard:
            self._own_findings += findings
        return CardResult(of_findings(findings), "", headline=findings[0].id, findings=findings)

    def _verdict(self, name: str) -> Status:
        result = self._results.get(name)
        if result is not None:
            return result.status
        return Status.PASS if name in self._up_to_date else Status.BLOCKED

    def _own_lines(self) -> Iterable[str]:
        """Yield how cards ended outside the pipeline, and which were never reached."""
        yield from map(one_line, self._own_findings)
        reached = self._results.keys() | self._up_to_date
        missed = [name for name in self._asked if name not in reached]
        if missed:
            more = " and more" if len(missed) > _NAMES_SHOWN else ""
            yield (
                f"not reached, so BLOCKED: {', '.join(missed[:_NAMES_SHOWN])}{more}; what `doit"
                " ignore` named runs again after `doit forget NAME`"
            )


def with_warnings(closing: Closing, found: tuple[Finding, ...]) -> Closing:
    """Return an end with a line for each of these findings, which decide nothing."""
    lines = (*closing.lines, *map(one_line, found))
    return replace(closing, lines=lines, findings=(*closing.findings, *found))


def unfit(cards: tuple[Card, ...]) -> str:
    """Return why doit would refuse these cards before it starts, as one clause; "" where it would
    not. Raise InternalError for a card of no known phase.
    """
    names = [card.name for card in cards]
    targets = [target for card in cards for target in (*card.targets, *card.products)]
    seen: set[str] = set()
    for card in cards:
        phase_named(card.phase)
        missing = [name for name in card.after if name not in seen]
        if missing:
            return f"{card.name} comes before {missing[0]}, which it must follow"
        if set(card.name) & set("=*") or not card.name.isprintable() or card.name == ONESHOT:
            return f"{card.name!r} can't be the name of a task"
        seen.add(card.name)
    if len(seen) != len(names):
        return "two cards have one name"
    return "two cards write one target" if len(set(targets)) != len(targets) else ""


def record_of(result: CardResult) -> dict[str, object]:
    """Return what doit stores of a result: text only, so that no value can spoil its database."""
    targets = {str(path): str(digest) for path, digest in result.targets.items()}
    return {VERDICT: result.status.value, KEY: str(result.key), TARGETS: targets}


def _findings_of(error: Exception) -> tuple[Finding, ...]:
    """Return what is reported where no pipeline could be opened."""
    if isinstance(error, Refusal):
        return error.findings
    if isinstance(error, FactoryError) and not isinstance(error, InternalError):
        from factory.model.finding import Finding

        return (Finding("CONFIG_INVALID", {"problem": error.sentence, "advice": error.hint}),)
    return (crash("expected the tasks to be made", error),)


def _is_record(stored: object) -> bool:
    """Return whether doit has stored a result of ours."""
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
    """Return the first target whose bytes are not the recorded ones; "" where all are."""
    digests = recorded if isinstance(recorded, dict) else {}
    return next((path for path in card.targets if digest_of(path) != digests.get(path)), "")
