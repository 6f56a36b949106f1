"""Draw the live block: how many cards of the phase have ended, and for each running pack its
command, its last line, elapsed and limit.

The block is drawn below the permanent lines and redrawn in place; it never scrolls and never wraps.
Does not know the permanent lines: `PlainProgress` writes them.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TextIO

from factory.model.card import Card, CardResult
from factory.report.progress import LABEL_COLUMNS, Clock, Display, PlainProgress, seconds
from factory.report.terminal import (
    Palette,
    Shown,
    fit,
    is_terminal,
    palette_for,
    plain,
    sanitize,
    size_of,
    wrapped,
)
from factory.report.veil import veiled

MINIMUM_COLUMNS = 40
MINIMUM_ROWS = 6

_REDRAW_SECONDS = 0.25  # seconds between two redraws
_TAIL_BYTES = 2048  # bytes of output, more than one line of any terminal
_BAR_COLUMNS = 12


class Screen:
    """Draw on the lowest lines of a terminal. Raise nothing: what cannot be written is skipped."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._block: tuple[Shown, ...] = ()

    def columns(self) -> int:
        """Return the current width in columns; 80 if it is not known."""
        return self._size().columns

    def rows(self) -> int:
        """Return the current height in lines; 24 if it is not known."""
        return self._size().lines

    def can_show(self, text: str) -> bool:
        """Return True if the stream's encoding has all these characters."""
        try:
            text.encode(self._stream.encoding or "ascii")
        except (UnicodeError, LookupError):
            return False
        return True

    def draw(self, kept: Sequence[Shown], block: Sequence[Shown]) -> None:
        """Erase the block, print the lines `kept`, then the new block; one write, to avoid
        flicker.
        """
        if not kept and tuple(block) == self._block:
            return
        text = self._erasing() + veiled("".join(f"{line}\n" for line in (*kept, *block)))
        self._block = tuple(block)
        try:
            self._stream.write(text)
            self._stream.flush()
        except (OSError, ValueError):
            self._block = ()

    def _erasing(self) -> str:
        return f"\x1b[{len(self._block)}A\r\x1b[J" if self._block else ""

    def _size(self) -> os.terminal_size:
        return size_of(self._stream)


@dataclass(slots=True)
class _Running:
    """Describe a running pack: clock times in seconds; `tail` is the end of its raw output."""

    started: float
    label: str = ""
    run: str = ""
    limit: float = 0.0
    command_started: float = 0.0
    tail: bytes = b""


class LiveProgress(PlainProgress):
    """Print plain lines above a live block. A thread of its own updates the times until `stop`.

    `redraw_seconds` 0 starts no thread: the block is then redrawn only when something begins or
    ends.
    """

    def __init__(
        self,
        stream: TextIO,
        palette: Palette,
        clock: Clock,
        redraw_seconds: float = _REDRAW_SECONDS,
    ) -> None:
        super().__init__(stream, palette, clock)
        self._screen = Screen(stream)
        self._bars = self._screen.can_show("█░…·")
        self._running: dict[str, _Running] = {}
        self._stopped = threading.Event()
        self._redraw_seconds = redraw_seconds
        self._ticker: threading.Thread | None = None

    def card_started(self, card: Card) -> None:
        """Add a line to the block if the card has a pack, and start the redrawing thread."""
        with self._lock:
            super().card_started(card)
            if card.pack:
                self._running[card.pack] = _Running(self._clock())
            self._tick_from_now()
            self._draw()

    def command_started(self, pack: str, label: str, run: str, limit: float) -> None:
        """Show the command with its time from 0; a pack without a card, as in a re-check, gets a
        line.
        """
        with self._lock:
            now = self._clock()
            running = self._running.setdefault(pack, _Running(now))
            running.label, running.run, running.limit = label, run, limit
            running.command_started, running.tail = now, b""
            self._draw()

    def command_output(self, pack: str, chunk: bytes) -> None:
        """Keep the last _TAIL_BYTES bytes of output; the next redraw shows their last line."""
        with self._lock:
            running = self._running.get(pack)
            if running is not None:
                running.tail = (running.tail + chunk)[-_TAIL_BYTES:]

    def command_ended(self, pack: str, label: str, rc: int) -> None:  # noqa: ARG002  the port's
        """Remove the command; until the next one, only the card's elapsed time is shown."""
        with self._lock:
            running = self._running.get(pack)
            if running is not None:
                running.label = running.run = ""
                running.limit = 0.0
                self._draw()

    def card_ended(self, card: Card, result: CardResult) -> None:
        """Remove the pack from the block and print its permanent line above."""
        with self._lock:
            self._running.pop(card.pack, None)
            if not card.pack:
                self._running.clear()
            super().card_ended(card, result)
            self._draw()

    def stop(self) -> None:
        """Erase the block and end the thread; may be called twice."""
        with self._lock:
            self._running.clear()
            self._stopped.set()
            self._draw()
        if self._ticker is not None:
            self._ticker.join()
            self._ticker = None

    def redraw(self) -> None:
        """Draw the block with the current times."""
        with self._lock:
            self._draw()

    def _line(self, text: Shown) -> None:
        self._screen.draw(tuple(wrapped(text, self._screen.columns() - 1)), self._block())

    def _draw(self) -> None:
        self._screen.draw((), self._block())

    def _tick_from_now(self) -> None:
        if self._ticker is None and self._redraw_seconds and not self._stopped.is_set():
            self._ticker = threading.Thread(target=self._tick, name="progress", daemon=True)
            self._ticker.start()

    def _tick(self) -> None:
        while not self._stopped.wait(self._redraw_seconds):
            self.redraw()

    def _block(self) -> list[Shown]:
        columns = self._screen.columns() - 1  # the last column would wrap on some terminals
        room = max(1, (self._screen.rows() - 3) // 2)  # two lines a pack, and the phase's
        shown = list(self._running.items())[:room]
        lines = [fit(line, columns) for line in self._phase_line()]
        lines += [
            line for pack, running in shown for line in self._pack_lines(pack, running, columns)
        ]
        hidden = len(self._running) - len(shown)
        return [*lines, fit(Shown(f"and {hidden} more"), columns)] if hidden else lines

    def _pack_lines(self, pack: str, running: _Running, columns: int) -> Iterable[Shown]:
        now = self._clock()
        name = f"{sanitize(pack):<{self._pack_columns}}"
        if not running.label:
            yield fit(Shown(f"{name}  {seconds(now - running.started)}"), columns)
            return
        elapsed = now - running.command_started
        of_limit = f" of {seconds(running.limit)}" if running.limit > 0 else ""
        said = f"{seconds(elapsed)}{of_limit}  {sanitize(running.label)}: {sanitize(running.run)}"
        yield fit(Shown(f"{name}  {said}"), columns)
        last = last_line(running.tail)
        if last:
            yield self._palette.paint(
                fit(Shown(f"{'':{self._pack_columns}}  {last}"), columns), "dim"
            )

    def _phase_line(self) -> Iterable[Shown]:
        """Yield how far the phase of the running packs is, where it has more than one pack: a bar,
        `7 of 31`, and how many of those did not PASS.
        """
        done = {name: self._ended[name] + self._unchanged[name] for name in self._began}
        phase = next((name for name in done if done[name] < self._expected[name]), "")
        expected = self._expected[phase]
        if not self._running or expected < 2:
            return
        full, empty = ("█", "░") if self._bars else ("#", "-")
        long = _BAR_COLUMNS * done[phase] // expected
        bar = f"{full * long}{empty * (_BAR_COLUMNS - long)}"
        broken = done[phase] - self._passed[phase]
        more = f", {broken} not PASS" if broken else ""
        yield Shown(f"{phase:<{LABEL_COLUMNS}}{bar} {done[phase]} of {expected}{more}")


def last_line(tail: bytes) -> Shown:
    r"""Return the last line that is not blank, inert and without colours; "\r" also ends a line."""
    for line in reversed(tail.replace(b"\r", b"\n").split(b"\n")):
        text = plain(line.decode("utf-8", "replace")).strip()
        if text:
            return Shown(text)
    return Shown("")


def display_for(stream: TextIO, environ: Mapping[str, str], clock: Clock) -> Display:
    """Return a live block on a terminal that is large enough, otherwise plain lines."""
    palette = palette_for(stream, environ)
    if is_terminal(stream, environ):
        screen = Screen(stream)
        if screen.columns() >= MINIMUM_COLUMNS and screen.rows() >= MINIMUM_ROWS:
            return LiveProgress(stream, palette, clock)
    return PlainProgress(stream, palette, clock)
