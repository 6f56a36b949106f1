"""The live block: a bar per running pack, its command, its last line, elapsed against its limit.

The block is drawn below the lines that stay, and redrawn in place; it never scrolls and
never wraps. Does not know the plain lines it stands under: `PlainProgress` says them.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TextIO

from factory.model.card import Card, CardResult
from factory.report.progress import Clock, Display, PlainProgress, seconds
from factory.report.terminal import (
    Palette,
    Shown,
    fit,
    is_terminal,
    palette_for,
    plain,
    sanitize,
)
from factory.report.veil import veiled

MINIMUM_COLUMNS = 40
MINIMUM_ROWS = 6

_REDRAW_SECONDS = 0.25
_TAIL_BYTES = 2048
_BAR_COLUMNS = 12
_FALLBACK_SIZE = os.terminal_size((80, 24))


class Screen:
    """The lowest lines of a terminal. Raises nothing: what can't be written is not shown."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._block: tuple[Shown, ...] = ()

    def columns(self) -> int:
        """Width now."""
        return self._size().columns

    def rows(self) -> int:
        """Height now."""
        return self._size().lines

    def can_show(self, text: str) -> bool:
        """Whether the stream's encoding has these characters."""
        try:
            text.encode(self._stream.encoding or "ascii")
        except (UnicodeError, LookupError):
            return False
        return True

    def draw(self, kept: Sequence[Shown], block: Sequence[Shown]) -> None:
        """Replace the block: first the lines that stay, then the new block. One write, so that
        nothing flickers.
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
        try:
            size = os.get_terminal_size(self._stream.fileno())
        except (OSError, ValueError):
            return _FALLBACK_SIZE
        return size if size.columns and size.lines else _FALLBACK_SIZE


@dataclass(slots=True)
class _Running:
    """A pack at work. Times are of the clock; `tail` is the end of its output as it came."""

    started: float
    label: str = ""
    run: str = ""
    limit: float = 0.0
    command_started: float = 0.0
    tail: bytes = b""


class LiveProgress(PlainProgress):
    """Plain lines above, the block below. A thread of its own keeps the times moving until `stop`.

    `redraw_seconds` 0 starts no thread: the block is then only redrawn when something begins or
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
        """A line of the block for a pack at work."""
        with self._lock:
            super().card_started(card)
            if card.pack:
                self._running[card.pack] = _Running(self._clock())
            self._tick_from_now()
            self._draw()

    def command_started(self, pack: str, label: str, run: str, limit: float) -> None:
        """Show the command, its time starting over. Also for a pack without a card, as in a
        re-check.
        """
        with self._lock:
            now = self._clock()
            running = self._running.setdefault(pack, _Running(now))
            running.label, running.run, running.limit = label, run, limit
            running.command_started, running.tail = now, b""
            self._draw()

    def command_output(self, pack: str, chunk: bytes) -> None:
        """Keep the end of the output; the next redraw shows its last line."""
        with self._lock:
            running = self._running.get(pack)
            if running is not None:
                running.tail = (running.tail + chunk)[-_TAIL_BYTES:]

    def command_ended(self, pack: str, label: str, rc: int) -> None:  # noqa: ARG002  the port's names
        """Between two commands only the time of the whole card is shown."""
        with self._lock:
            running = self._running.get(pack)
            if running is not None:
                running.label = running.run = ""
                running.limit = 0.0
                self._draw()

    def card_ended(self, card: Card, result: CardResult) -> None:
        """The pack leaves the block, and its line stays above it."""
        with self._lock:
            self._running.pop(card.pack, None)
            if not card.pack:
                self._running.clear()
            super().card_ended(card, result)
            self._draw()

    def stop(self) -> None:
        """Erase the block and end the thread."""
        with self._lock:
            self._running.clear()
            self._stopped.set()
            self._draw()
        if self._ticker is not None:
            self._ticker.join()
            self._ticker = None

    def redraw(self) -> None:
        """Draw the block as it is now."""
        with self._lock:
            self._draw()

    def _line(self, text: Shown) -> None:
        self._screen.draw((text,), self._block())

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
        room = max(1, (self._screen.rows() - 2) // 2)
        shown = list(self._running.items())[:room]
        lines = [
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
        told = f"{seconds(elapsed)}{of_limit}  {sanitize(running.label)}: {sanitize(running.run)}"
        yield fit(Shown(f"{name}  {self._bar(elapsed, running.limit)}{told}"), columns)
        last = last_line(running.tail)
        if last:
            yield self._palette.paint(
                fit(Shown(f"{'':{self._pack_columns}}  {last}"), columns), "dim"
            )

    def _bar(self, elapsed: float, limit: float) -> str:
        if limit <= 0:
            return ""
        done = min(_BAR_COLUMNS, int(_BAR_COLUMNS * max(elapsed, 0.0) / limit))
        full, empty = ("█", "░") if self._bars else ("#", "-")
        return f"{full * done}{empty * (_BAR_COLUMNS - done)} "


def last_line(tail: bytes) -> Shown:
    """The last line with something in it, inert and without colours; a carriage return starts a
    line over.
    """
    for line in reversed(tail.replace(b"\r", b"\n").split(b"\n")):
        text = plain(line.decode("utf-8", "replace")).strip()
        if text:
            return Shown(text)
    return Shown("")


def display_for(stream: TextIO, environ: Mapping[str, str], clock: Clock) -> Display:
    """Return a live block on a terminal that is large enough, else plain lines."""
    palette = palette_for(stream, environ)
    if is_terminal(stream, environ):
        screen = Screen(stream)
        if screen.columns() >= MINIMUM_COLUMNS and screen.rows() >= MINIMUM_ROWS:
            return LiveProgress(stream, palette, clock)
    return PlainProgress(stream, palette, clock)
