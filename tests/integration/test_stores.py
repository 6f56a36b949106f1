"""The doors to disk: locks, ledger, state folder, work tree, tools, markers. Real files, threads
and processes.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path, PurePath
from types import SimpleNamespace
from typing import cast

import pytest

from factory.contract.work_tree import MAX_FILE, UserWorkTree
from factory.engine.launching import _objects_too
from factory.engine.run import Run
from factory.evidence.ledger_store import LedgerStore
from factory.files import fs_guard
from factory.files.clock import SystemClock
from factory.files.locks import FileLocks
from factory.files.seals import UserSeal
from factory.files.state_store import StateStore
from factory.log.chain import Head
from factory.model.card import Card
from factory.model.errors import Refusal
from factory.model.event import Entry
from factory.model.finding import Finding
from factory.model.ledger_chain import follow
from factory.model.verdict import Status
from factory.plan.markers import Marker, Markers, marker_path
from factory.plan.tools import HostTools
from tests.world import World

HOLDER = """
import sys, time
from pathlib import Path
from factory.files.clock import SystemClock
from factory.files.locks import FileLocks
locks = FileLocks(Path(sys.argv[1]), SystemClock())
with locks.take("run"):
    if sys.argv[2] == "announce":
        locks.announce("run", "another run r1")
    print("held", flush=True)
    sys.stdin.read()
"""


def holder(root: Path, how: str) -> subprocess.Popen[str]:
    words = [sys.executable, "-c", HOLDER, str(root), how]
    process = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    return process


def refusal(locks: FileLocks) -> str:
    with pytest.raises(Refusal) as raised, locks.take("run"):
        pass
    (finding,) = raised.value.findings
    assert finding.id == "LOCKED"
    assert finding.hint == "it frees itself when that process ends; then run again"
    return finding.message


def test_a_held_lock_is_refused_at_once_with_who_and_since_when(tmp_path: Path) -> None:
    locks = FileLocks(tmp_path, SystemClock())
    assert locks.holders() == ()
    with holder(tmp_path, "announce") as process:
        since = json.loads((tmp_path / "locks/run.json").read_text())["since"]
        sentence = f"another run r1 (pid {process.pid}, started {since}) has the run lock; expected it to be free"
        assert refusal(locks) == sentence
        assert locks.holders() == (sentence,)
        process.kill()
    with locks.take("run"):
        pass
    assert locks.holders() == ()


def test_a_dead_holder_is_not_named_for_a_living_one(tmp_path: Path) -> None:
    locks = FileLocks(tmp_path, SystemClock())
    with holder(tmp_path, "announce") as process:
        process.kill()
    with holder(tmp_path, "silent") as process:
        who = rf"a process \(pid {process.pid}, started [0-9-]{{10}}T[0-9:]{{8}}Z\)"
        silent = f"{who}, which has executed nothing yet, has the run lock; expected it to be free"
        assert re.match(silent, refusal(locks))
        (tmp_path / "locks/run.json").write_text("[]")
        assert re.match(silent, refusal(locks))
        process.kill()


def test_locks_of_two_names_do_not_meet(tmp_path: Path) -> None:
    locks = FileLocks(tmp_path, SystemClock())
    with locks.take("one"), locks.take("two"):
        assert (
            len(locks.holders()) == 0 or len(locks.holders()) == 2
        )  # the kernel tells processes apart, not us


APPENDER = """
import sys
from pathlib import Path
from factory.files.clock import SystemClock
from factory.evidence.ledger_store import LedgerStore
from factory.model.event import Entry
ledger = LedgerStore(Path(sys.argv[1]), SystemClock())
for number in range(20):
    ledger.append(Entry("x", details={"who": sys.argv[2], "number": str(number)}))
"""


def test_processes_and_threads_append_one_chain(tmp_path: Path) -> None:
    ledger = LedgerStore(tmp_path, SystemClock())
    others = [
        subprocess.Popen([sys.executable, "-c", APPENDER, str(tmp_path), str(who)])
        for who in range(3)
    ]
    with ThreadPoolExecutor(4) as pool:
        list(
            pool.map(
                lambda number: ledger.append(Entry("y", details={"number": str(number)})), range(40)
            )
        )
    assert [process.wait() for process in others] == [0, 0, 0]
    lines = (tmp_path / "ledger.jsonl").read_bytes().split(b"\n")[:-1]
    assert follow(Head(), lines).seq == 100
    assert len([*ledger.events()]) == 100
    for who in "012":
        own = [int(e.details["number"]) for e in ledger.events() if e.details.get("who") == who]
        assert own == list(range(20))


def broken(ledger: LedgerStore) -> Finding:
    with pytest.raises(Refusal) as raised:
        ledger.append(Entry("z"))
    (finding,) = raised.value.findings
    assert finding.id == "LEDGER_BROKEN"
    return finding


def test_a_ledger_that_was_cut_or_removed_meanwhile_is_refused(tmp_path: Path) -> None:
    ledger = LedgerStore(tmp_path, SystemClock())
    for _ in range(3):
        ledger.append(Entry("x"))
    path = tmp_path / "ledger.jsonl"
    whole = path.read_bytes()
    path.write_bytes(whole[: whole.rindex(b"\n", 0, -1) + 1])
    assert "shorter than it was" in broken(ledger).message
    path.unlink()
    found = broken(ledger)
    assert "the ledger file is gone" in found.message
    assert str(found.location) == ".factory/ledger.jsonl:4"
    path.write_bytes(whole)
    ledger.append(Entry("x"))
    assert len([*ledger.events()]) == 4


def test_a_torn_tail_is_kept_aside_and_a_whole_ledger_left_alone(tmp_path: Path) -> None:
    ledger = LedgerStore(tmp_path, SystemClock())
    assert ledger.recover() == ()
    ledger.append(Entry("x"))
    with (tmp_path / "ledger.jsonl").open("ab") as stream:
        stream.write(b'{"half')
    (found,) = LedgerStore(tmp_path, SystemClock()).recover()
    assert found.id == "LEDGER_TORN"
    assert [path.read_bytes() for path in tmp_path.glob("ledger.torn-*")] == [b'{"half']
    again = LedgerStore(tmp_path, SystemClock())
    assert again.recover() == ()
    assert [event.event_type for event in again.events()] == ["x", "ledger.recovered"]


def test_a_tail_torn_by_another_process_is_set_aside_by_the_next_append(tmp_path: Path) -> None:
    ledger = LedgerStore(tmp_path, SystemClock())
    ledger.append(Entry("x"))
    with (tmp_path / "ledger.jsonl").open("ab") as stream:
        stream.write(b'{"half')
    assert len([*ledger.events()]) == 1
    ledger.append(Entry("y"))
    assert [event.event_type for event in ledger.events()] == ["x", "ledger.recovered", "y"]
    assert [path.read_bytes() for path in tmp_path.glob("ledger.torn-*")] == [b'{"half']
    lines = (tmp_path / "ledger.jsonl").read_bytes().split(b"\n")[:-1]
    assert follow(Head(), lines).seq == 3


def test_the_store_reads_plain_files_only_and_stays_below_its_root(tmp_path: Path) -> None:
    store = StateStore(tmp_path / "state")
    (tmp_path / "secret").write_text("s")
    store.write("a/b", b"x")
    os.symlink(tmp_path / "secret", store.root / "link")
    os.mkfifo(store.root / "pipe")
    assert store.read("a/b") == b"x"
    assert [store.read(name) for name in ("a", "none", "link", "pipe")] == [None] * 4
    assert [store.sha256(name) for name in ("none", "link", "pipe")] == [""] * 3
    assert store.files("a") == ("b",)
    assert store.files("link") == ()
    assert store.names("none") == ()
    assert (store.size("a/b"), store.size("none")) == (1, 0)
    for outside in ("../secret", "/etc/passwd", "a/../../secret"):
        with pytest.raises((Refusal, ValueError)):
            store.write(outside, b"x")
    assert (tmp_path / "secret").read_text() == "s"


def test_a_folder_is_replaced_whole_or_not_at_all(tmp_path: Path) -> None:
    store = StateStore(tmp_path)
    store.replace_folder("bundles/T-1", {"a": b"1", "d/b": b"2"})
    store.replace_folder("bundles/T-1", {"c": b"3"})
    assert store.files("bundles/T-1") == ("c",)
    with pytest.raises((Refusal, ValueError)):
        store.replace_folder("bundles/T-1", {"ok": b"x", "../evil": b"x"})
    assert store.files("bundles/T-1") == ("c",)
    assert store.names("bundles") == ("T-1",)
    store.copy_folder("bundles/T-1", "runs/r/T-1")
    assert store.read("runs/r/T-1/c") == b"3"
    assert store.below("runs/r").read("T-1/c") == b"3"
    store.remove("bundles/T-1")
    store.remove("bundles/T-1")
    assert store.names("bundles") == ()


_PRIVATE = b"AKIA" + b"Q3EGRTQ7ZMXKOPLA"  # of the form of a cloud's access key


def test_several_folders_are_replaced_only_once_all_can_be(tmp_path: Path) -> None:
    store = StateStore(tmp_path)
    store.replace_folders([("bundles/T-1", [("a", b"1")]), ("runs/r/raw/T-1", [("b", b"2")])])
    for wrong in ({"../evil": b"x"}, {"key": _PRIVATE}):
        with pytest.raises((Refusal, ValueError)):
            store.replace_folders([("bundles/T-1", [("a", b"3")]), ("runs/r/T", wrong.items())])
    assert store.read("bundles/T-1/a") == b"1"
    assert (store.names("bundles"), store.names("runs/r")) == (("T-1",), ("raw",))
    store.copy_folders({"bundles/T-1": "runs/r/T-1", "runs/r/raw/T-1": "runs/r/T-2"})
    assert (store.read("runs/r/T-1/a"), store.read("runs/r/T-2/b")) == (b"1", b"2")


@pytest.mark.parametrize("whole", [True, False], ids=["one sync", "a sync for each file"])
def test_everything_is_on_the_disk_before_a_folder_takes_its_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, whole: bool
) -> None:
    done: list[str] = []

    def told(verb: str, real: Callable[..., object]) -> Callable[..., object]:
        def counted(first: object, *rest: object) -> object:
            name = os.readlink(f"/proc/self/fd/{first}") if isinstance(first, int) else str(first)
            done.append(f"{verb} {PurePath(name).name}")
            return real(first, *rest)

        return counted

    store = StateStore(tmp_path)
    store.replace_folder("bundles/T-1", {"old": b"0"})
    monkeypatch.setattr(os, "fsync", told("fsync", os.fsync))
    monkeypatch.setattr(os, "rename", told("rename", os.rename))
    monkeypatch.setattr(fs_guard, "sync_file_system", told("syncfs", lambda _: whole))
    store.replace_folders(
        [("bundles/T-1", [("a", b"1"), ("d/b", b"2")]), ("runs/r", [("c", b"3")])]
    )
    first, *_ = (at for at, row in enumerate(done) if row.startswith("rename"))
    before, after = done[:first], done[first:]
    assert before[0].startswith("syncfs .T-1.")
    synced = {row.removeprefix("fsync ") for row in before if row.startswith("fsync")}
    assert {"a", "b", "c", "d"} <= synced if not whole else not synced
    assert sum(row.startswith("rename") for row in after) == 3, "the old one is moved aside"
    assert after[-2:] == ["fsync bundles", "fsync runs"]


def test_the_work_tree_is_read_without_following_anything(tmp_path: Path) -> None:
    pack = tmp_path / "packs/T-1-x"
    (pack / "sub").mkdir(parents=True)
    (pack / "task.yml").write_text("x")
    (pack / "run.sh").write_text("#!/bin/sh\n")
    (pack / "run.sh").chmod(0o755)
    (pack / "__pycache__").mkdir()
    (pack / "__pycache__/x.pyc").write_text("x")
    os.symlink("/etc/passwd", pack / "link")
    os.mkfifo(pack / "pipe")
    (pack / "sub/dropped").write_text("x")
    (pack / "big").write_bytes(b"")
    os.truncate(pack / "big", MAX_FILE + 1)
    (pack / "bad.").write_text("x")
    (tmp_path / "packs/.hidden").mkdir()
    os.symlink(pack, tmp_path / "packs/T-2-link")
    tree = UserWorkTree(tmp_path, lambda folder: frozenset({f"{folder}/T-1-x/sub/dropped"}))
    assert tree.pack_folders("packs") == ("packs/T-1-x", "packs/T-2-link")
    assert tree.pack_folders("none") == ()
    found = {
        file.path.removeprefix("packs/T-1-x/"): file for file in tree.pack_files("packs/T-1-x")
    }
    assert {name: file.problem for name, file in found.items()} == {
        "bad.": "starts with a space or ends with a dot or space",
        "big": f"has {MAX_FILE + 1} bytes, the limit is {MAX_FILE}",
        "link": "is a symbolic link; a pack has plain files and folders only",
        "pipe": "is a FIFO; a pack has plain files and folders only",
        "run.sh": "",
        "task.yml": "",
    }
    assert (found["run.sh"].mode, found["task.yml"].mode) == (0o100755, 0o100644)
    (linked,) = tree.pack_files("packs/T-2-link")
    assert linked.problem == "is a symbolic link, expected a folder"
    assert (
        tree.read("packs/T-1-x/task.yml"),
        tree.read("packs/T-1-x/link"),
        tree.read("none"),
    ) == (b"x", None, None)
    os.rename(tmp_path / "packs", tmp_path / "real")
    os.symlink(tmp_path / "real", tmp_path / "packs")
    with pytest.raises(Refusal, match="packs is a symbolic link, expected a folder"):
        tree.pack_folders("packs")


def test_tools_are_known_by_version_and_digest_and_asked_once(tmp_path: Path) -> None:
    asked = []

    def ask(name: str) -> str:
        asked.append(name)
        return f"{name} version 1"

    tools = HostTools(tmp_path / "cache" / "tools.json", ask)
    git = tools.identify("git")
    assert git is not None
    assert git.version.startswith("git version ")
    assert len(git.sha256) == 64
    assert tools.identify("no-such-tool") is None
    assert tools.identify("../bin/git") is None
    python = tools.identify("python")
    assert python is not None
    assert python.version == sys.version.split()[0]
    known = json.loads((tmp_path / "cache/tools.json").read_text())
    assert known[git.sha256] == git.version
    assert tools.identify("git") == git
    assert asked == ["git"]
    for forged in (json.dumps({git.sha256: "forged"}), json.dumps({**known, "seal": "0"}), "["):
        (tmp_path / "cache/tools.json").write_text(forged)
        assert tools.identify("git") == git
    assert asked == ["git"] * 4
    silent = HostTools(tmp_path / "other.json", lambda _name: None).identify("git")
    assert silent is not None
    assert silent.version == ""
    assert not (tmp_path / "other.json").exists()


CARD = Card("launch:T-1-x", "launch", "T-1", "help", (), ("/x",))


def test_a_marker_reads_back_and_a_spoilt_one_counts_as_none(tmp_path: Path) -> None:
    store = StateStore(tmp_path)
    markers = Markers(store, UserSeal(bytes(32), "/a"))
    assert markers.load(CARD) is None
    marker = Marker(
        Status.BLOCKED, "key", "run", (Finding("OVERLAP", {"packs": ("T-1", "T-2")}, "T-1"),)
    )
    digest = markers.store(CARD, marker)
    assert marker_path(CARD) == "state/launch/T-1-x.json"
    assert store.sha256(marker_path(CARD)) == digest
    assert markers.load(CARD) == marker
    assert not markers.foreign
    whole = store.read(marker_path(CARD)) or b""
    for spoilt in (
        b"",
        b"{}",
        whole + b" ",
        whole.replace(b"OVERLAP", b"NO_SUCH"),
        whole.replace(b"BLOCKED", b"GOOD"),
    ):
        store.write(marker_path(CARD), spoilt)
        assert markers.load(CARD) is None


@pytest.mark.parametrize("seal", [UserSeal(bytes(32), "/b"), UserSeal(b"1" * 32, "/a")])
def test_a_marker_that_another_user_or_place_sealed_counts_as_none(
    tmp_path: Path, seal: UserSeal
) -> None:
    store = StateStore(tmp_path)
    Markers(store, seal).store(CARD, Marker(Status.PASS, "key", "run"))
    markers = Markers(store, UserSeal(bytes(32), "/a"))
    assert markers.load(CARD) is None
    assert markers.foreign == {marker_path(CARD)}
    markers.store(CARD, Marker(Status.PASS, "key", "run"))
    assert not markers.foreign


def test_a_marker_moved_to_another_card_counts_as_none(tmp_path: Path) -> None:
    store = StateStore(tmp_path)
    markers = Markers(store, UserSeal(bytes(32), "/a"))
    other = Card("launch:T-2-x", "launch", "T-2", "help", (), ("/y",))
    markers.store(other, Marker(Status.PASS, "key", "run"))
    store.write(marker_path(CARD), store.read(marker_path(other)) or b"")
    assert markers.load(CARD) is None


def test_the_sync_of_a_bundle_makes_its_objects_durable_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One sync for both, after both were written: what it did not reach waits for the next."""
    from tests.in_process import planner  # not where there is no POSIX

    here = World(tmp_path / "r")
    here.commit()
    with planner(here) as (site, _):
        run = cast(Run, SimpleNamespace(site=site))

        def waiting() -> int:
            return len(site.refs.take_unsettled())

        site.objects.write_blob(b"one")
        with _objects_too(run, synced=True):
            site.objects.write_blob(b"written meanwhile")
        assert waiting() == 1
        site.objects.write_blob(b"two")
        with _objects_too(run, synced=False):
            pass
        assert waiting() == 1
        site.objects.write_blob(b"three")
        with pytest.raises(OSError, match="full"), _objects_too(run, synced=True):
            raise OSError("full")
        assert waiting() == 1
        site.objects.write_blob(b"four")
        monkeypatch.setattr(fs_guard, "synced_together", lambda *_: False)
        with _objects_too(run, synced=True):
            pass
        assert waiting() == 1


def test_what_is_installed_with_a_named_interpreter_is_part_of_it(tmp_path: Path) -> None:
    packages = tmp_path / "venv/lib/python3.11/site-packages"
    packages.mkdir(parents=True)
    (packages / "one.py").write_text("ONE = 1\n")
    (tmp_path / "venv/lib64").symlink_to("lib")
    (tmp_path / "venv/pyvenv.cfg").write_text("home = /usr/bin\n")
    program = tmp_path / "venv/bin/python"
    program.parent.mkdir()
    program.symlink_to(sys.executable)

    def digest(word: str) -> str:
        tools = HostTools(tmp_path / "cache/tools.json", lambda _name: "Python 3", word)
        found = tools.identify("python")
        assert found is not None
        return found.sha256

    first = digest(str(program))
    assert digest(str(program)) == first
    (packages / "one.py").write_text("ONE = 2\n")
    second = digest(str(program))
    (packages / "two.py").write_text("")
    assert len({first, second, digest(str(program))}) == 3
    assert not HostTools(tmp_path / "t.json", lambda _name: "", "/usr/bin/python3").counts_packages
    assert not HostTools(tmp_path / "t.json", lambda _name: "").counts_packages
