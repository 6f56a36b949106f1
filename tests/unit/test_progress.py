"""Progress as a person sees it: the exact lines of a log, and the exact screen of a terminal."""

from __future__ import annotations

import io
import os
import re
import threading
from collections.abc import Callable

import pytest

from factory.model.card import Card, CardResult
from factory.model.inert import Shown
from factory.model.verdict import Status
from factory.report import live
from factory.report.live import LiveProgress, display_for, last_line
from factory.report.progress import Display, PlainProgress, seconds
from factory.report.terminal import Palette


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


class Terminal(io.StringIO):
    """Enough of a terminal to know what is on the screen: line feeds, carriage returns, cursor up,
    erase below.
    """

    def __init__(self, columns: int = 80, rows: int = 24, encoding: str = "utf-8") -> None:
        super().__init__()
        self.size = os.terminal_size((columns, rows))
        self._encoding = encoding
        self.lines: list[str] = [""]
        self.row = 0

    @property
    def encoding(self) -> str:  # type: ignore[override]  # the real one is read-only too; its stub says otherwise
        return self._encoding

    def isatty(self) -> bool:
        return True

    def write(self, text: str) -> int:
        for token in re.findall(r"\x1b\[[0-9;]*[A-Za-z]|[^\x1b]", text):
            self._act(token)
        return len(text)

    def _act(self, token: str) -> None:
        if token == "\n":
            self.row += 1
            if self.row == len(self.lines):
                self.lines.append("")
        elif not token.startswith("\x1b"):
            self.lines[self.row] += token.strip("\r")
            assert len(self.lines[self.row]) < self.size.columns, "a line would wrap"
        elif token.endswith("A"):
            self.row -= int(token[2:-1])
            assert self.row >= 0, "the cursor left the screen"
        elif token.endswith("J"):
            del self.lines[self.row :]
            self.lines.append("")
        else:
            assert token.endswith("m"), f"unknown sequence {token!r}"

    def shown(self) -> list[str]:
        assert self.lines[-1] == ""
        return self.lines[:-1]


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> Terminal:
    made = Terminal()
    monkeypatch.setattr(live.Screen, "_size", lambda _screen: made.size)
    return made


def card(name: str, pack: str = "") -> Card:
    return Card(name, name.partition(":")[0], pack, "", (), ())


CARDS = (
    card("preflight"),
    card("launch:TASK-0101-a", "TASK-0101"),
    card("launch:TASK-0102-b", "TASK-0102"),
    card("bundle-validate:TASK-0101-a", "TASK-0101"),
    card("bundle-validate:TASK-0102-b", "TASK-0102"),
    card("integrate"),
    card("summary"),
)


def result(headline: str = "", status: Status = Status.PASS) -> CardResult:
    return CardResult(status, "", headline=headline)


def carry_out(display: Display, clock: Clock, name: str, took: float, ended: CardResult) -> None:
    found = next(card for card in CARDS if card.name.startswith(name))
    display.card_started(found)
    clock.now += took
    display.card_ended(found, ended)


def whole_run(display: Display, clock: Clock) -> None:
    display.expect(CARDS)
    carry_out(display, clock, "preflight", 0.2, result("2 packs at 1f0c9a2e (main) · sandbox full"))
    carry_out(display, clock, "launch:TASK-0101", 1.9, result("2 files +41 −3"))
    carry_out(display, clock, "launch:TASK-0102", 4.2, result("no change", Status.BLOCKED))
    carry_out(display, clock, "bundle-validate:TASK-0101", 0.1, result())
    carry_out(display, clock, "bundle-validate:TASK-0102", 0.1, result("no bundle", Status.BLOCKED))
    carry_out(display, clock, "integrate", 65.0, result("nothing merged", Status.BLOCKED))
    carry_out(display, clock, "summary", 0.0, result("BLOCKED  factory_1", Status.BLOCKED))
    display.stop()


WHOLE_RUN = [
    "preflight        2 packs at 1f0c9a2e (main) · sandbox full · 0.2 s",
    "launch           TASK-0101  PASS  2 files +41 −3  1.9 s",
    "                 TASK-0102  BLOCKED  no change  4.2 s",
    "bundle-validate  1 of 2 bundles are valid, 1 of 2 packs passed",
    "integrate        BLOCKED  nothing merged · 65 s",
    "summary          BLOCKED  factory_1",
]


def test_a_log_has_one_line_for_what_ended() -> None:
    stream, clock = io.StringIO(), Clock()
    whole_run(PlainProgress(stream, Palette(False), clock), clock)
    assert stream.getvalue().splitlines() == WHOLE_RUN


def test_a_terminal_ends_with_the_lines_of_the_log(terminal: Terminal) -> None:
    clock = Clock()
    whole_run(LiveProgress(terminal, Palette(True), clock, redraw_seconds=0), clock)
    assert terminal.shown() == WHOLE_RUN


def test_nothing_executed_shows_nothing() -> None:
    stream = io.StringIO()
    display = PlainProgress(stream, Palette(False), Clock())
    display.expect(CARDS)
    for held in CARDS:
        display.card_up_to_date(held, Status.PASS)
    assert stream.getvalue() == ""


def test_what_held_beside_what_ran_is_counted() -> None:
    stream, clock = io.StringIO(), Clock()
    display = PlainProgress(stream, Palette(False), clock)
    display.expect(CARDS)
    for name in ("preflight", "launch:TASK-0101", "bundle-validate:TASK-0101"):
        display.card_up_to_date(
            next(card for card in CARDS if card.name.startswith(name)), Status.PASS
        )
    carry_out(display, clock, "launch:TASK-0102", 1.0, result("1 file +1 −1"))
    carry_out(display, clock, "bundle-validate:TASK-0102", 1.0, result())
    assert stream.getvalue().splitlines() == [
        "launch           TASK-0102  PASS  1 file +1 −1  1.0 s",
        "                 1 unchanged",
        "bundle-validate  2 of 2 agree with their contracts",
    ]


def test_a_phase_that_nobody_foresaw_is_counted_where_it_has_packs() -> None:
    """Its words claim no more than that its cards passed."""
    stream, clock = io.StringIO(), Clock()
    display = PlainProgress(stream, Palette(False), clock)
    cards = [Card(f"scan:{pack}", "scan", pack, "", (), ()) for pack in ("A-1", "B-2")]
    cards.append(Card("sign", "sign", "", "", (), ()))
    display.expect(cards)
    for card, ended in zip(
        cards, (result(), result("x", Status.BLOCKED), result("ok")), strict=True
    ):
        display.card_started(card)
        display.card_ended(card, ended)
    assert stream.getvalue().splitlines() == [
        "scan             B-2  BLOCKED  x  0.0 s",
        "                 1 of 2 PASS",
        "sign             ok · 0.0 s",
    ]


def test_of_many_packs_only_what_is_broken_has_a_line() -> None:
    stream, clock = io.StringIO(), Clock()
    display = PlainProgress(stream, Palette(False), clock)
    cards = [Card(f"launch:{n}", "launch", f"TASK-10{n:02}", "", (), ()) for n in range(31)]
    display.expect(cards)
    for one in cards[:27]:
        display.card_up_to_date(one, Status.PASS)
    for one, ended in zip(
        cards[27:],
        (result(), result("6 files outside its scope", Status.BLOCKED), result(), result()),
        strict=True,
    ):
        display.card_started(one)
        clock.now += 1
        display.card_ended(one, ended)
    assert stream.getvalue().splitlines() == [
        "launch           TASK-1028  BLOCKED  6 files outside its scope  1.0 s",
        "                 30 of 31 PASS · 27 unchanged, 4 ran · 4.0 s",
    ]


def test_a_permanent_line_is_wrapped_below_its_text(terminal: Terminal) -> None:
    terminal.size = os.terminal_size((40, 24))
    display = LiveProgress(terminal, Palette(True), Clock(), redraw_seconds=0)
    display.expect(CARDS)
    display.card_started(CARDS[1])
    display.card_ended(CARDS[1], result("a reason that is long", Status.BLOCKED))
    assert [re.sub(r"\x1b\[[0-9]*m", "", line) for line in terminal.shown()] == [
        "launch           TASK-0101  BLOCKED  a",
        "                 reason that is long",
        "                 0.0 s",
    ]


def test_text_of_packs_is_inert() -> None:
    stream, clock = io.StringIO(), Clock()
    display = PlainProgress(stream, Palette(False), clock)
    display.expect(CARDS)
    carry_out(display, clock, "launch:TASK-0101", 0.0, result("\x1b[2J\u202egone"))
    assert stream.getvalue() == "launch           TASK-0101  PASS  \\x1b[2J\\u202egone  0.0 s\n"


def test_verdicts_are_coloured_on_request() -> None:
    stream, clock = io.StringIO(), Clock()
    display = PlainProgress(stream, Palette(True), clock)
    display.expect(CARDS)
    carry_out(display, clock, "launch:TASK-0101", 0.0, result("x", Status.FAIL))
    assert "\x1b[31mFAIL\x1b[0m" in stream.getvalue()


def test_the_block_shows_what_runs_against_its_limit(terminal: Terminal) -> None:
    clock = Clock()
    display = LiveProgress(terminal, Palette(True), clock, redraw_seconds=0)
    display.expect(CARDS)
    display.card_started(CARDS[1])
    display.card_started(CARDS[2])
    display.command_started("TASK-0101", "steps 1", "python build.py", 60.0)
    display.command_output("TASK-0101", b"page 1\n\x1b[32mpage 2\x1b[0m\n\n")
    clock.now += 20
    display.redraw()
    assert terminal.shown() == [
        "launch           ░░░░░░░░░░░░ 0 of 2",
        "TASK-0101  20 s of 60 s  steps 1: python build.py",
        "           page 2",
        "TASK-0102  20 s",
    ]
    display.command_ended("TASK-0101", "steps 1", 0)
    display.card_ended(CARDS[1], result("2 files"))
    assert terminal.shown() == [
        "launch           TASK-0101  PASS  2 files  20 s",
        "launch           ██████░░░░░░ 1 of 2",
        "TASK-0102  20 s",
    ]
    display.note(Shown("a line beside"))
    display.stop()
    display.stop()
    assert terminal.shown() == ["launch           TASK-0101  PASS  2 files  20 s", "a line beside"]


def test_hostile_output_stays_on_its_line(terminal: Terminal) -> None:
    clock = Clock()
    display = LiveProgress(terminal, Palette(False), clock, redraw_seconds=0)
    display.expect(CARDS)
    display.card_started(CARDS[1])
    display.command_started("TASK-0101", "steps\n1", "printf '\x1b[9A'", 0.0)
    display.command_output("TASK-0101", b"\x1b[5A\x1b[2J\x07bell \xe2\x80\xae\xff" + b"w" * 500)
    display.redraw()
    assert terminal.shown()[1] == "TASK-0101  0.0 s  steps\\x0a1: printf '\\x1b[9A'"
    assert terminal.shown()[2].startswith("           \\x07bell \\u202e")
    assert terminal.shown()[2].endswith("…")


@pytest.mark.parametrize("columns", [40, 41, 200])
def test_no_line_reaches_the_last_column(terminal: Terminal, columns: int) -> None:
    terminal.size = os.terminal_size((columns, 24))
    display = LiveProgress(terminal, Palette(True), Clock(), redraw_seconds=0)
    display.expect(CARDS)
    display.card_started(CARDS[1])
    display.command_started("TASK-0101", "checks 1", "x" * 300, 1e9)
    display.command_output("TASK-0101", "字".encode() * 300)
    display.redraw()
    assert len(terminal.shown()) == 3


def test_more_packs_than_rows_are_counted(terminal: Terminal) -> None:
    terminal.size = os.terminal_size((80, 10))
    display = LiveProgress(terminal, Palette(False), Clock(), redraw_seconds=0)
    many = [card(f"launch:P-{number}", f"P-{number}") for number in range(9)]
    display.expect(many)
    for one in many:
        display.card_started(one)
    assert terminal.shown() == [
        "launch           ░░░░░░░░░░░░ 0 of 9",
        *(f"P-{number}  0.0 s" for number in range(3)),
        "and 6 more",
    ]
    display.card_ended(many[0], result())
    display.card_ended(many[1], result("x", Status.BLOCKED))
    assert terminal.shown()[:2] == [
        "launch           P-1  BLOCKED  x  0.0 s",
        "launch           ██░░░░░░░░░░ 2 of 9, 1 not PASS",
    ]


def test_a_stream_without_blocks_gets_signs(terminal: Terminal) -> None:
    terminal._encoding = "ascii"
    clock = Clock()
    display = LiveProgress(terminal, Palette(False), clock, redraw_seconds=0)
    display.expect(CARDS)
    display.command_started("TASK-0101", "tests 1", "pytest", 10.0)
    clock.now += 99
    display.redraw()
    assert terminal.shown() == ["TASK-0101  99 s of 10 s  tests 1: pytest"]
    display.card_ended(CARDS[5], result("merged"))
    assert terminal.shown() == ["integrate        merged · 0.0 s"]


def test_the_clock_of_the_block_goes_on_by_itself(terminal: Terminal) -> None:
    display = LiveProgress(terminal, Palette(False), Clock(), redraw_seconds=0.001)
    drawn = threading.Event()
    draw: Callable[[], None] = display.redraw

    def noticed() -> None:
        draw()
        drawn.set()

    display.redraw = noticed  # type: ignore[method-assign]
    display.expect(CARDS)
    display.card_started(CARDS[1])
    assert drawn.wait(30)
    display.stop()
    assert terminal.shown() == []


def test_many_threads_leave_a_whole_screen(terminal: Terminal) -> None:
    clock = Clock()
    display = LiveProgress(terminal, Palette(True), clock, redraw_seconds=0.001)
    many = [card(f"launch:P-{number:02}", f"P-{number:02}") for number in range(40)]
    display.expect(many)

    def work(own: list[Card]) -> None:
        for one in own:
            display.card_started(one)
            display.command_started(one.pack, "steps 1", "true", 5.0)
            display.command_output(one.pack, b"out\n")
            display.command_ended(one.pack, "steps 1", 0)
            display.card_ended(one, result("done", Status.BLOCKED))

    workers = [threading.Thread(target=work, args=(many[place::4],)) for place in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    display.stop()
    *shown, count = terminal.shown()
    packs = [re.sub(r"^launch|^ +", "", line).split()[0] for line in shown]
    assert sorted(packs) == [one.pack for one in many]
    assert count.split() == "0 of 40 PASS · 40 ran · 0.0 s".split()


def test_a_stream_that_breaks_is_no_exception() -> None:
    class Broken(io.StringIO):
        def write(self, _text: str) -> int:
            raise OSError("gone")

    clock = Clock()
    whole_run(PlainProgress(Broken(), Palette(False), clock), clock)
    whole_run(LiveProgress(Broken(), Palette(False), clock, redraw_seconds=0), clock)


@pytest.mark.parametrize(
    ("tail", "shown"),
    [
        (b"", ""),
        (b"\n \r\n", ""),
        (b"one\ntwo\n", "two"),
        (b"10%\r20%\r", "20%"),
        (b"\xc3\x28", "\ufffd("),
        (b"a\tb", "a b"),
    ],
)
def test_the_last_line_of_output(tail: bytes, shown: str) -> None:
    assert last_line(tail) == shown


@pytest.mark.parametrize(
    ("elapsed", "shown"),
    [
        (-1, "0.0 s"),
        (0.04, "0.0 s"),
        (9.94, "9.9 s"),
        (42, "42 s"),
        (185, "3 min 5 s"),
        (900, "15 min"),
    ],
)
def test_seconds(elapsed: float, shown: str) -> None:
    assert seconds(elapsed) == shown


@pytest.mark.parametrize(
    ("size", "environ", "lively"),
    [
        ((80, 24), {"TERM": "xterm"}, True),
        ((39, 24), {"TERM": "xterm"}, False),
        ((80, 5), {"TERM": "xterm"}, False),
        ((80, 24), {"TERM": "dumb"}, False),
        ((80, 24), {"TERM": "xterm", "NO_COLOR": "1"}, True),
    ],
)
def test_the_display_suits_the_terminal(
    terminal: Terminal, size: tuple[int, int], environ: dict[str, str], lively: bool
) -> None:
    terminal.size = os.terminal_size(size)
    assert isinstance(display_for(terminal, environ, Clock()), LiveProgress) is lively
    assert not isinstance(display_for(io.StringIO(), environ, Clock()), LiveProgress)


def test_the_size_of_no_terminal_is_the_usual_one() -> None:
    assert live.Screen(io.StringIO()).columns() == 80
    assert live.Screen(io.StringIO()).rows() == 24
