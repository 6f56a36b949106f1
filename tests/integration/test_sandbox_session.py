"""A session in a stage: its terminal is the sandbox's own, and every limit of a command holds for
it.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import MappingProxyType

import pytest

from factory.model.errors import InternalError
from factory.model.pack import Limits
from factory.plan.stages import PackSandbox
from factory.sandbox import stage as stage_module
from factory.sandbox.relay import Leaving
from factory.sandbox.values import CommandOutcome, CommandSpec, Ended
from tests.sandbox_kit import MIB, SMALL, sandbox, stage

pytestmark = pytest.mark.linux

SHELL = "exec /bin/sh -i"


class Scripted:
    """A person who has typed all they will type."""

    def __init__(self, text: str) -> None:
        self.typing, self._type = os.pipe()
        self.resized, self._resize = os.pipe()
        self.seen = b""
        os.write(self._type, text.encode())

    def hang_up(self) -> None:
        os.close(self._type)

    def typed(self) -> bytes:
        return os.read(self.typing, 1 << 12)

    def show(self, chunk: bytes) -> None:
        self.seen += chunk

    def window(self) -> tuple[int, int]:
        return 33, 101


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PackSandbox]:
    with sandbox(tmp_path_factory.mktemp("sandbox")) as (built, _):
        yield built


def talk(
    made: PackSandbox,
    person: Scripted,
    limits: Limits = SMALL,
    line: str = SHELL,
    timeout: float = 60,
    env: Mapping[str, str] = MappingProxyType({}),
) -> CommandOutcome:
    with stage(made, limits) as opened:
        return opened.converse(
            CommandSpec(line, "", tuple(env.items()), timeout, limits.output), person
        )


def test_the_terminal_is_made_inside_and_is_the_controlling_one(made: PackSandbox) -> None:
    person = Scripted("tty; stty size; ls -l /proc/self/fd; echo fine >/dev/tty; exit 7\n")
    outcome = talk(made, person)
    assert (outcome.ended, outcome.rc, outcome.log) == (Ended.EXITED, 7, b"")
    lines = person.seen.decode().split("\r\n")
    assert "fine" in lines
    assert "33 101" in lines
    descriptors = {line.split("-> ")[1] for line in lines if "-> " in line}
    assert descriptors - {"/dev/pts/0"} == {next(iter(descriptors - {"/dev/pts/0"}))}
    assert all(name == "/dev/pts/0" or name.startswith("/proc/") for name in descriptors)
    assert outcome.output_bytes == len(person.seen)


def test_nothing_of_the_packs_acts_before_the_terminal_is_there(made: PackSandbox) -> None:
    person = Scripted("")
    evil = {
        "PATH": "/workspace",
        "LD_PRELOAD": "/workspace/evil.so",
        "PYTHONPATH": "/workspace",
        "HOLDS": "this",
    }
    outcome = talk(made, person, line='echo "$HOLDS $PATH"', env=evil)
    assert outcome.rc == 0
    assert b"this /workspace\r\n" in person.seen


def test_output_time_and_memory_are_bounded(made: PackSandbox) -> None:
    flood = talk(
        made,
        Scripted("while :; do echo flood; done\n"),
        Limits(output=4096, processes=32, disk=16 * MIB),
    )
    assert flood.ended is Ended.OUTPUT
    late = talk(made, Scripted("trap '' TERM HUP INT; while :; do :; done\n"), timeout=0.2)
    assert late.ended is Ended.TIMEOUT
    hog = "exec python3 -I -S -c 'import time; held = bytearray(1 << 27); time.sleep(60)'"
    large = talk(made, Scripted(""), Limits(memory=32 * MIB, processes=32, disk=16 * MIB), line=hog)
    assert large.ended is Ended.MEMORY
    assert 0 not in (flood.rc, late.rc, large.rc)


def test_a_person_who_is_gone_or_leaves_ends_it(made: PackSandbox) -> None:
    gone = Scripted("trap '' HUP TERM; sleep 1000\n")
    gone.hang_up()
    assert talk(made, gone).ended is Ended.CANCELLED
    assert (
        talk(made, Scripted("\x1d\x1d\x1d"), line="stty raw; exec sleep 1000").ended
        is Ended.CANCELLED
    )


def test_a_stage_goes_on_after_a_session_until_it_is_frozen(made: PackSandbox) -> None:
    with stage(made) as opened:
        spec = CommandSpec("echo new >new.txt; sleep 1000 & exit 0", "", (), 60, MIB)
        assert opened.converse(spec, Scripted("")).rc == 0
        assert [file.path for file in opened.freeze().files] == ["new.txt"]
        with pytest.raises(InternalError, match="frozen already"):
            opened.converse(spec, Scripted(""))


def test_leaving_takes_three_in_a_row_whatever_the_pieces() -> None:
    leaving = Leaving()
    assert [
        leaving.asked(piece) for piece in (b"a\x1d\x1d", b"b\x1d", b"\x1d", b"", b"\x1dx", b"y")
    ] == [*(False, False, False, False, True, True)]


def test_where_no_terminal_can_be_made_it_is_said_why(
    made: PackSandbox, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "opener.py").write_text("raise SystemExit('there is no terminal left')\n")
    monkeypatch.setattr(stage_module, "_OPENER", tmp_path / "opener.py")
    with pytest.raises(InternalError, match="in the sandbox: there is no terminal left"):
        talk(made, Scripted(""))
