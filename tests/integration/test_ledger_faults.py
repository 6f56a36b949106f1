"""Disks that fail under the ledger: whatever fails, and for how long, the last good event stays and
the chain holds.
"""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from factory.evidence.ledger_store import LedgerStore
from factory.files.clock import SystemClock
from factory.log.chain import Head
from factory.model.errors import Refusal
from factory.model.event import Entry
from factory.model.ledger_chain import follow

OPERATIONS = ("open", "write", "fdatasync", "ftruncate", "fsync")


class Disk:
    """Counts the operations of `fs_guard` and fails the one at `at`, or (`lasting`) every one from
    there on.
    """

    def __init__(self, at: int, code: int, lasting: bool, short: bool) -> None:
        self.count, self.at, self.code, self.lasting, self.short = 0, at, code, lasting, short

    def wrapped(self, name: str, real: Callable[..., Any]) -> Callable[..., Any]:
        def operation(*words: Any) -> Any:
            self.count += 1
            if self.count == self.at or (self.lasting and self.count > self.at):
                if name == "write" and self.short and self.count == self.at:
                    return real(words[0], bytes(words[1])[: len(words[1]) // 2])
                raise OSError(self.code, os.strerror(self.code))
            return real(*words)

        return operation


def lines(path: Path) -> list[bytes]:
    return (path / "ledger.jsonl").read_bytes().split(b"\n")


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EIO])
@pytest.mark.parametrize("lasting", [False, True])
@pytest.mark.parametrize("short", [False, True])
@pytest.mark.parametrize("at", range(1, 8))
def test_a_failure_at_any_operation_leaves_the_last_good_event(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, at: int, code: int, lasting: bool, short: bool
) -> None:
    ledger = LedgerStore(tmp_path, SystemClock())
    acknowledged = [ledger.append(Entry("x"), Entry("y"))]
    disk, told = Disk(at, code, lasting, short), []
    with monkeypatch.context() as patched:
        for name in OPERATIONS:
            patched.setattr(os, name, disk.wrapped(name, getattr(os, name)))
        for number in range(2):
            try:
                acknowledged.append(
                    ledger.append(Entry("x", details={"number": str(number)}), Entry("y"))
                )
            except Refusal as refusal:
                told += [finding.id for finding in refusal.findings]
    assert set(told) <= {"DISK_UNWRITABLE"}
    assert len(acknowledged) + len(told) == 3
    after = LedgerStore(tmp_path, SystemClock())
    after.recover()
    acknowledged.append(
        ledger.append(Entry("z"))
    )  # the process that met the failure goes on as well
    acknowledged.append(after.append(Entry("z")))
    *whole, rest = lines(tmp_path)
    assert rest == b""
    assert follow(Head(), whole).seq == len(whole)
    ids = [event.event_id for event in LedgerStore(tmp_path, SystemClock()).events()]
    assert [event for event in ids if event in acknowledged] == acknowledged
    asides = {path.name for path in tmp_path.glob("ledger.torn-*")}
    assert asides == {
        e.details["file"] for e in after.events() if e.event_type == "ledger.recovered"
    }


GROW = """
import resource, sys
from pathlib import Path
from factory.files.clock import SystemClock
from factory.evidence.ledger_store import LedgerStore
from factory.model.event import Entry
from factory.model.errors import Refusal
state, limit = Path(sys.argv[1]), int(sys.argv[2])
if limit:
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
ledger, done = LedgerStore(state, SystemClock()), 0
try:
    while done < 10000:
        ledger.append(Entry("x", details={"text": "t" * 300}))
        done += 1
except Refusal as refusal:
    print(done, refusal.findings[0].id)
"""


def held(state: Path, said: str, reason: str = "DISK_UNWRITABLE") -> None:
    count, told = said.split()
    assert told == reason
    *whole, rest = lines(state)
    assert (rest, len(whole)) == (b"", int(count))
    assert follow(Head(), whole).seq == int(count) > 3


@pytest.mark.linux
def test_a_file_that_may_grow_no_further_keeps_whole_events(tmp_path: Path) -> None:
    """The kernel itself writes the part that fits (RLIMIT_FSIZE), then refuses."""
    words = [sys.executable, "-c", GROW, str(tmp_path), "20000"]
    done = subprocess.run(words, capture_output=True, text=True, check=True)
    held(tmp_path, done.stdout)
    assert LedgerStore(tmp_path, SystemClock()).append(Entry("x"))


@pytest.mark.linux
def test_a_full_file_system_keeps_whole_events(tmp_path: Path) -> None:
    """A real file system of 64 KiB, in a mount namespace of its own; the file is carried out of
    it.
    """
    (tmp_path / "disk").mkdir()
    (tmp_path / "grow.py").write_text(GROW)
    line = (
        f"mount -t tmpfs -o size=64k none disk && {sys.executable} grow.py disk 0 && cp"
        " disk/ledger.jsonl ledger.jsonl"
    )
    words = ["unshare", "--mount", "--map-root-user", "/bin/sh", "-c", line]
    done = subprocess.run(words, capture_output=True, text=True, cwd=tmp_path, check=True)
    held(tmp_path, done.stdout)


def remembered(tmp_path: Path) -> Path:
    """A ledger of more events than are read again, of which a part is remembered."""
    ledger = LedgerStore(tmp_path, SystemClock())
    (tmp_path / "state").mkdir()
    ledger.append(*[Entry("x")] * 600)
    ledger.remember()
    ledger.append(Entry("y"))
    return tmp_path / "state/ledger.json"


def test_what_is_remembered_is_gone_on_from_and_nothing_else_hangs_on_it(tmp_path: Path) -> None:
    memory = remembered(tmp_path)
    known = LedgerStore(tmp_path, SystemClock()).state()
    content = memory.read_bytes()
    for spoilt in (
        b"",
        b"{}",
        content[:-1],
        content + b" ",
        content.replace(b'"seq":600', b'"seq":599'),
    ):
        memory.write_bytes(spoilt)
        found = LedgerStore(tmp_path, SystemClock()).state()
        assert (found.head, found.tree, found.size) == (known.head, known.tree, known.size)
    memory.unlink()
    assert LedgerStore(tmp_path, SystemClock()).state().tree == known.tree


def test_a_beginning_that_was_changed_is_found_although_it_was_verified_before(
    tmp_path: Path,
) -> None:
    remembered(tmp_path)
    path = tmp_path / "ledger.jsonl"
    content = path.read_bytes()
    path.write_bytes(content.replace(b'"duration_ms":0', b'"duration_ms":1', 1))
    with pytest.raises(Refusal) as raised:
        LedgerStore(tmp_path, SystemClock()).state()
    assert "the ledger is broken at line 1" in raised.value.findings[0].message


def test_a_remembered_beginning_is_not_read_line_by_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from factory.model import ledger_chain

    remembered(tmp_path)
    read: list[bytes] = []
    real = ledger_chain.skim
    monkeypatch.setattr(ledger_chain, "skim", lambda line: (read.append(line), real(line))[1])
    assert LedgerStore(tmp_path, SystemClock()).state().head.seq == 601
    assert len(read) == 1
