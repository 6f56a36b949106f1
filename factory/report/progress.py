"""Print a run's progress as plain lines: one line for each card that ended.

May be called from any thread: one lock guards all of it. Never raises and never decides. Time is a
clock that is passed in. Text of packs is made inert here. Does not know who executes the cards.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Iterable
from typing import Protocol, TextIO

from factory.model.card import Card, CardResult, Progress
from factory.model.verdict import Status
from factory.report.terminal import Palette, Shown, sanitize, write_lines

Clock = Callable[[], float]

LABEL_COLUMNS = 17  # the longest phase, bundle-validate, and two spaces
COLOURS = {Status.PASS: "green", Status.BLOCKED: "yellow", Status.FAIL: "red"}

# The phase that prints a line for each card; the cards of other phases with packs are counted
# into one line.
_SHOWN_EACH = "launch"
_VALIDATION = "bundle-validate"  # its cards say if bundles are true, not if packs passed
MOST_EACH = 8  # packs that get a line each; of more, those that passed are counted into one


class Display(Progress, Protocol):
    """Show progress between a beginning (`expect`) and an end (`stop`)."""

    def expect(self, cards: Iterable[Card]) -> None:
        """Receive all cards of the run, before the first of them is reported."""
        ...

    def note(self, text: Shown) -> None:
        """Print a line of inert text next to the progress."""
        ...

    def stop(self) -> None:
        """Erase all that is drawn and not final; nothing is reported after this. May be called
        twice.
        """
        ...


class PlainProgress:
    """Print lines as in a log: a label when the phase changes, then the result of each card."""

    def __init__(self, stream: TextIO, palette: Palette, clock: Clock) -> None:
        self._lock = threading.RLock()
        self._stream = stream
        self._palette = palette
        self._clock = clock
        self._readable = True
        self._last_phase = ""
        self._pack_columns = 0
        self._of_packs: set[str] = set()
        self._broken: set[str] = set()
        self._expected: Counter[str] = Counter()
        self._ended: Counter[str] = Counter()
        self._passed: Counter[str] = Counter()
        self._unchanged: Counter[str] = Counter()
        self._started: dict[str, float] = {}
        self._began: dict[str, float] = {}

    def expect(self, cards: Iterable[Card]) -> None:
        """Count the cards of each phase, and fit the name column to the longest pack id."""
        with self._lock:
            for card in cards:
                self._expected[card.phase] += 1
                self._of_packs |= {card.phase} if card.pack else set()
                self._pack_columns = max(self._pack_columns, len(card.pack))

    def card_started(self, card: Card) -> None:
        """Record the start time."""
        with self._lock:
            self._started[card.name] = self._clock()
            self._began.setdefault(card.phase, self._clock())

    def command_started(self, pack: str, label: str, run: str, limit: float) -> None:
        """Ignore commands: a log shows cards only."""

    def command_output(self, pack: str, chunk: bytes) -> None:
        """Ignore output: a log shows cards only."""

    def command_ended(self, pack: str, label: str, rc: int) -> None:
        """Ignore commands: a log shows cards only."""

    def card_ended(self, card: Card, result: CardResult) -> None:
        """Print a line for the card, or count it if its phase prints one line for all its packs."""
        with self._lock:
            elapsed = self._clock() - self._started.pop(card.name, self._clock())
            self._ended[card.phase] += 1
            self._passed[card.phase] += result.status is Status.PASS
            if not card.pack:
                self._say(card.phase, self._phase_text(card, result, elapsed))
            elif self._is_news(card, result) or self._each(card.phase):
                self._say(card.phase, self._pack_text(card, result, elapsed))
            self._phase_end(card.phase)

    def card_up_to_date(self, card: Card, status: Status) -> None:
        """Count the card; its phase prints the count only if another of its cards was executed."""
        with self._lock:
            self._unchanged[card.phase] += 1
            self._passed[card.phase] += status is Status.PASS
            self._phase_end(card.phase)

    def note(self, text: Shown) -> None:
        """Print the text on a line of its own."""
        with self._lock:
            self._last_phase = ""
            self._line(text)

    def stop(self) -> None:
        """Do nothing: lines are permanent."""

    def _phase_end(self, phase: str) -> None:
        ended, unchanged, expected = (
            self._ended[phase],
            self._unchanged[phase],
            self._expected[phase],
        )
        if ended + unchanged != expected or not ended:
            return
        if phase == _SHOWN_EACH and not self._each(phase):
            self._say(phase, self._count(phase))
        elif phase == _SHOWN_EACH and unchanged:
            self._say(phase, Shown(f"{unchanged} unchanged"))
        elif phase == _VALIDATION:
            self._say(phase, self._agreement(self._passed[phase], expected))
        elif phase != _SHOWN_EACH and phase in self._of_packs:
            self._say(phase, Shown(f"{self._passed[phase]} of {expected} PASS"))

    def _is_news(self, card: Card, result: CardResult) -> bool:
        """Return whether a card is the first of its pack that did not PASS."""
        if result.status is Status.PASS or card.pack in self._broken:
            return False
        self._broken.add(card.pack)
        return True

    def _each(self, phase: str) -> bool:
        """Return whether each pack of this phase gets a line of its own."""
        return phase == _SHOWN_EACH and self._expected[phase] <= MOST_EACH

    def _count(self, phase: str) -> Shown:
        """Return the result of a phase with many packs, as in `29 of 31 PASS · 27 unchanged,
        4 ran`.
        """
        unchanged, ran = self._unchanged[phase], self._ended[phase]
        how = f"{unchanged} unchanged, {ran} ran" if unchanged else f"{ran} ran"
        elapsed = self._clock() - self._began.get(phase, self._clock())
        passed = f"{self._passed[phase]} of {self._expected[phase]} PASS"
        return Shown(f"{passed} · {how} · {seconds(elapsed)}")

    def _agreement(self, agreed: int, expected: int) -> Shown:
        """Return the result of validation as a sentence.

        A bundle of a pack that did not PASS can be valid too: it records truly what the pack broke.
        """
        alone, passed = expected == 1, self._passed[_SHOWN_EACH]
        if passed == self._expected[_SHOWN_EACH]:
            return Shown(
                f"{agreed} of {expected}"
                f" {'agrees with its contract' if alone else 'agree with their contracts'}"
            )
        said = "bundle is valid" if alone else "bundles are valid"
        return Shown(
            f"{agreed} of {expected} {said}, {passed} of {expected} {'pack' if alone else 'packs'}"
            " passed"
        )

    def _phase_text(self, card: Card, result: CardResult, elapsed: float) -> Shown:
        if card.phase == "summary":
            rest = sanitize(result.headline).removeprefix(result.status.value).strip()
            return Shown(f"{self._status(result.status)}  {rest}".rstrip())
        prefix = "" if result.status is Status.PASS else f"{self._status(result.status)}  "
        return Shown(f"{prefix}{sanitize(result.headline)} · {seconds(elapsed)}")

    def _pack_text(self, card: Card, result: CardResult, elapsed: float) -> Shown:
        name = f"{sanitize(card.pack):<{self._pack_columns}}"
        return Shown(
            f"{name}  {self._status(result.status)}  {sanitize(result.headline)} "
            f" {seconds(elapsed)}"
        )

    def _status(self, status: Status) -> Shown:
        return self._palette.paint(sanitize(status.value), COLOURS[status])

    def _say(self, phase: str, text: Shown) -> None:
        label = phase if phase != self._last_phase else ""
        self._last_phase = phase
        self._line(Shown(f"{label:<{LABEL_COLUMNS}}{text}"))

    def _line(self, text: Shown) -> None:
        if self._readable:
            self._readable = write_lines(self._stream, (text,))


def seconds(elapsed: float) -> str:
    """Return a duration for a person: 0.4 s, 42 s, 3 min 5 s, 15 min."""
    if elapsed < 10:
        return f"{max(elapsed, 0):.1f} s"
    if elapsed < 100:
        return f"{elapsed:.0f} s"
    minutes, rest = divmod(round(elapsed), 60)
    return f"{minutes} min {rest} s" if rest else f"{minutes} min"
