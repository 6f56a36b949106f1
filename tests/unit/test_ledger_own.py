"""Which lines of a ledger are this user's, wherever the process that wrote them died."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from factory.evidence.ledger_own import OwnLines, prune
from factory.evidence.ledger_store import LedgerStore
from factory.files import fs_guard
from factory.files.clock import SystemClock
from factory.log.chain import Head
from factory.model.errors import Refusal
from factory.model.event import Entry
from factory.model.finding import Finding


@pytest.fixture
def state(tmp_path: Path) -> Path:
    (tmp_path / "r" / "state" / "locks").mkdir(parents=True)
    return tmp_path / "r" / "state"


def ledger(state: Path, user: str = "user") -> LedgerStore:
    folder = state.parents[1] / user / "ledgers"
    return LedgerStore(state, SystemClock(), own=OwnLines(folder, state))


def heads(state: Path) -> list[Head]:
    return [Head(), *(Head(one.seq, one.event_id) for one in ledger(state).events())]


def test_every_line_of_one_user_is_own_in_any_process(state: Path) -> None:
    assert ledger(state).own_since() == 1
    ledger(state).append(Entry("x"))
    ledger(state).append(Entry("x"), Entry("y"))
    assert ledger(state).own_since() == 1


def test_two_processes_of_one_user_are_no_strangers(state: Path) -> None:
    one, other = ledger(state), ledger(state)
    for each in (one, other, one, one, other):
        each.append(Entry("x"))
        assert (one.own_since(), other.own_since()) == (1, 1)
    assert one.compare_with_own() == ()


def test_what_a_stranger_wrote_ends_what_is_own(state: Path) -> None:
    ledger(state).append(Entry("x"))
    ledger(state, "stranger").append(Entry("forged"))
    assert ledger(state).own_since() == 3, "one after the last"
    assert ledger(state, "stranger").own_since() == 2
    ledger(state).append(Entry("y"))
    assert ledger(state).own_since() == 3
    ledger(state).append(Entry("z"))
    assert ledger(state).own_since() == 3


def test_another_place_has_nothing_of_its_own(state: Path) -> None:
    ledger(state).append(Entry("x"))
    moved = state.rename(state.parent / "moved")
    assert ledger(moved).own_since() == 2


@pytest.mark.parametrize("kept", [0, 1, 2, 3])
def test_a_process_that_dies_while_it_writes_loses_nothing_of_its_own(
    state: Path, kept: int
) -> None:
    """The record is written first, the lines in one call, of which any part may reach the disk."""
    ledger(state).append(Entry("before"))
    ledger(state).append(Entry("a"), Entry("b"), Entry("c"))
    path = state / "ledger.jsonl"
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(lines[: 1 + kept]))
    assert ledger(state).own_since() == 1
    assert ledger(state).compare_with_own() == ()


def test_a_first_line_that_the_disk_did_not_take_is_no_lost_ledger(
    state: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(path: Path, _content: bytes) -> int:
        facts = {"case": "write", "place": str(path), "found": "No space left on device"}
        raise Refusal(Finding("DISK_UNWRITABLE", facts))

    with monkeypatch.context() as patched:
        patched.setattr(fs_guard, "append_durable", full)
        with pytest.raises(Refusal):
            ledger(state).append(Entry("a"))
    assert ledger(state).own_since() == 1, "one after the last"
    assert ledger(state).compare_with_own() == ()
    ledger(state).append(Entry("a"))
    assert ledger(state).own_since() == 1


def test_lines_of_a_power_failure_are_a_strangers(state: Path) -> None:
    """The record is not synced: an older one may be found."""
    first = ledger(state)
    first.append(Entry("a"))
    (record,) = (state.parents[1] / "user" / "ledgers").iterdir()
    old = record.read_bytes()
    first.append(Entry("b"))
    record.write_bytes(old)
    assert ledger(state).own_since() == 3
    assert ledger(state).compare_with_own() == ()


@pytest.mark.parametrize("content", [b"", b"{}", b"[]\n", b'{"form":1}\n', b"\xff\n"])
def test_a_damaged_record_says_nothing(state: Path, content: bytes) -> None:
    ledger(state).append(Entry("a"))
    (record,) = (state.parents[1] / "user" / "ledgers").iterdir()
    record.write_bytes(content)
    assert ledger(state).own_since() == 2
    assert ledger(state).compare_with_own() == ()


def test_a_ledger_that_was_cut_is_refused(state: Path) -> None:
    for name in "abc":
        ledger(state).append(Entry(name))
    path = state / "ledger.jsonl"
    path.write_bytes(path.read_bytes().splitlines(keepends=True)[0])
    with pytest.raises(Refusal) as raised:
        ledger(state).compare_with_own()
    assert raised.value.findings[0].id == "LEDGER_ROLLED_BACK"


def test_a_ledger_that_went_another_way_is_refused(state: Path) -> None:
    for name in "abc":
        ledger(state).append(Entry(name))
    (state / "ledger.jsonl").unlink()
    for name in "abcd":
        ledger(state, "stranger").append(Entry(f"x{name}"))
    with pytest.raises(Refusal) as raised:
        ledger(state).compare_with_own()
    assert raised.value.findings[0].id == "LEDGER_REWRITTEN"


def test_a_ledger_that_is_gone_begins_anew_and_names_the_old_one(state: Path) -> None:
    for name in "ab":
        ledger(state).append(Entry(name))
    last = heads(state)[-1]
    (state / "ledger.jsonl").unlink()
    (found,) = ledger(state).compare_with_own()
    assert found.id == "LEDGER_RESTARTED"
    (event,) = ledger(state).events()
    assert (event.event_type, event.hashes) == ("ledger.restarted", {"last": last.event_id})
    assert ledger(state).own_since() == 1
    assert ledger(state).compare_with_own() == ()


def test_without_a_folder_lines_are_own_in_their_process(state: Path) -> None:
    for own in (None, OwnLines(Path("/proc/nonexistent/ledgers"), state)):
        one = LedgerStore(state, SystemClock(), own=own)
        one.append(Entry("a"))
        assert one.own_since() <= one.state().head.seq
        assert ledger(state).own_since() == one.state().head.seq + 1


def test_records_of_folders_that_are_gone_are_removed_by_age(state: Path) -> None:
    ledger(state).append(Entry("a"))
    other = state.parents[1] / "s" / "state"
    (other / "locks").mkdir(parents=True)
    ledger(other).append(Entry("a"))
    folder = state.parents[1] / "user" / "ledgers"
    (folder / "damaged.json").write_bytes(b"{}")
    for file in folder.iterdir():
        os.utime(file, (1, 1))
    assert prune(folder, before=2.0) == 0
    shutil.rmtree(other.parent)
    assert prune(folder, before=1.0) == 0
    assert prune(folder, before=2.0) == 1
    assert len(list(folder.iterdir())) == 2
    assert ledger(state).own_since() == 1
    assert prune(folder / "none", before=2.0) == 0


def test_a_folder_that_may_not_be_read_keeps_its_records(
    state: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As another user finds it."""

    def refused(*_: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "glob", refused)
    assert prune(state, before=2.0) == 0
