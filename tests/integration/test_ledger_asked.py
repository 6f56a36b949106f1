"""The ledger asked by its command line: filters, following, and proofs that somebody else can
check.
"""

from __future__ import annotations

import base64
import hashlib
import json
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from factory.log.chain import Head
from factory.model.event import Entry
from factory.model.ledger_chain import format_event
from tests.ledger_lines import link
from tests.world import PATIENCE, World, environment

pytestmark = pytest.mark.linux

CHECKPOINT = "attestations/checkpoint"


@pytest.fixture(scope="module")
def asked(tmp_path_factory: pytest.TempPathFactory) -> World:
    """Two runs: one PASS, one BLOCKED."""
    world = World(tmp_path_factory.mktemp("asked") / "repo")
    world.pack("TASK-0101-one", "", "checks: [{name: ok, run: 'true'}]")
    world.commit()
    assert world.factory("oneshot").rc == 0
    world.pack("TASK-0101-one", "", "checks: [{name: no, run: 'false'}]")
    world.commit()
    assert world.factory("oneshot").rc == 2
    return world


@pytest.fixture
def copy(asked: World, tmp_path: Path) -> World:
    shutil.copytree(asked.root, tmp_path / "repo", symlinks=True)
    world = World.__new__(World)
    world.root = tmp_path / "repo"
    return world


def told(world: World, *words: str) -> list[int]:
    ended = world.factory("ledger", *words, "--json")
    assert ended.rc == 0, ended.text
    return [event["seq"] for event in json.loads(ended.out)["events"]]


def test_filters_must_all_agree(asked: World) -> None:
    events = asked.events()
    run, when = asked.ordered()[1], events[len(events) // 2]["ts_utc"]
    asks: list[tuple[list[str], Any]] = [
        (["--run-id", run], lambda e: e["run_id"] == run),
        (["--event-type", "check.finished"], lambda e: e["event_type"] == "check.finished"),
        (["--actor", "pipeline"], lambda e: e["actor"] == "pipeline"),
        (["--status", "BLOCKED"], lambda e: e["details"].get("status") == "BLOCKED"),
        (["--rc", "1"], lambda e: e["rc"] == 1),
        (["--since", when], lambda e: e["ts_utc"] >= when),
        (["--until", when], lambda e: e["ts_utc"] <= when),
        (["--run-id", run, "--status", "BLOCKED", "--rc", "2", "--since", when, "--until", "9999-12-31"],
         lambda e: e["run_id"] == run and e["details"].get("status") == "BLOCKED" and e["ts_utc"] >= when),
    ]  # fmt: skip
    for words, fits in asks:
        expected = [event["seq"] for event in events if fits(event)]
        assert expected, words
        assert told(asked, *words) == expected
        assert told(asked, *words, "--limit", "2") == expected[-2:]


def test_a_second_is_meant_whole(asked: World) -> None:
    """What happened within the second that `--until` names is not after it."""
    last = asked.events()[-1]["ts_utc"]
    second = f"{last[:19]}Z"
    within = [event["seq"] for event in asked.events() if second <= f"{event['ts_utc'][:19]}Z"]
    assert told(asked, "--since", second, "--until", second) == within
    assert within


def test_a_run_that_no_event_names_is_unknown_to_both_commands(asked: World) -> None:
    for command in ("ledger", "ledger-replay"):
        ended = asked.factory(command, "--run-id", "nosuch")
        assert (ended.rc, ended.out) == (2, ""), ended.text
        assert ended.err.startswith("RUN_UNKNOWN")
        assert "the ledger knows no run nosuch" in ended.err
    typed = asked.ordered()[0][:-1]
    assert f"did you mean {asked.ordered()[0]}?" in asked.factory("ledger", "--run-id", typed).err
    assert (
        told(asked, "--run-id", asked.ordered()[0], "--rc", "77") == []
    )  # a run that is known, and nothing fits


def test_raw_events_are_the_lines(asked: World) -> None:
    assert (
        asked.factory("ledger", "--raw-events").out.encode()
        == (asked.state / "ledger.jsonl").read_bytes()
    )


@pytest.mark.parametrize(
    ("words", "clause"),
    [
        (["--event-type", "pack.finish"], "did you mean pack.finished?"),
        (["--actor", "me"], "expected one of branch, determinism, environment,"),
        (["--status", "GOOD"], "GOOD"),
        (["--rc", "two"], "expected an exit code from 0 to 255, found 'two'"),
        (["--rc", "999"], "expected an exit code from 0 to 255, found '999'"),
        (["--rc=-1"], "expected an exit code from 0 to 255, found '-1'"),
        (["--since", "2026-02-30"], "expected a day or a time in UTC"),
        (["--until", "noon"], "expected a day or a time in UTC"),
        (["--since", "2026-02-02", "--until", "2026-02-01"], "nothing is both since 2026-02-02"),
        (["--limit", "0"], "expected a whole number from 1"),
        (["--run-id", "../x"], "expected letters"),
        (["--follow", "--json-out", "x.json"], "--follow has no end"),
        (["prove", "1", "--status", "PASS"], "ledger prove does not take --status"),
        (["consistency", "a", "b", "--run-id", "r"], "ledger consistency does not take --run-id"),
        (["prove", "0"], "expected the number of an event"),
        (["prove"], "expected prove SEQ"),
    ],
)
def test_bad_value_is_wrong_usage(asked: World, words: list[str], clause: str) -> None:
    ended = asked.factory("ledger", *words)
    assert (ended.rc, ended.out) == (64, "")
    assert clause in ended.err


def following(world: World, *words: str) -> subprocess.Popen[str]:
    argv = [sys.executable, "-m", "factory", "ledger", "--follow", *words]
    pipe = subprocess.PIPE
    return subprocess.Popen(
        argv, cwd=world.root, env=environment(), stdout=pipe, stderr=pipe, text=True
    )


def grow(world: World, event_type: str) -> None:
    """One more event, as another process would append it."""
    path = world.state / "ledger.jsonl"
    last = world.events()[-1]
    event = link(Head(last["seq"], last["event_id"]), Entry(event_type), "2026-11-22T00:00:00.000Z")
    with path.open("ab") as stream:
        stream.write(format_event(event))


def test_follow_shows_what_comes_and_ends_with_an_interrupt(copy: World) -> None:
    wanted = ["--event-type", "gc.cache-removed", "--json"]
    with following(copy, *wanted) as process:
        assert process.stdout is not None
        for _ in range(2):
            time.sleep(0.5)  # whether it has begun to follow or not, it shows each once
            grow(copy, "gc.cache-removed")
        seen = [json.loads(process.stdout.readline()) for _ in range(2)]
        process.send_signal(signal.SIGINT)
        rest, complaint = process.communicate(timeout=PATIENCE)
        assert (process.returncode, rest) == (130, "")
        assert "Traceback" not in complaint
    assert [event["seq"] for event in seen] == [event["seq"] for event in copy.events()][-2:]


def test_follow_ends_when_nobody_reads(copy: World) -> None:
    with following(copy, "--limit", "1") as process:
        assert process.stdout is not None
        assert "integrate.finished" in process.stdout.readline()
        process.stdout.close()
        assert process.wait(timeout=PATIENCE) == 0
        assert process.stderr is not None
        assert process.stderr.read() == ""


# A checker of proofs that shares nothing with ours: the definitions of RFC 6962 §2.1, read
# backwards.


def leaf(line: bytes) -> bytes:
    return hashlib.sha256(b"\0" + line).digest()


def node(left: bytes, right: bytes) -> bytes:
    return hashlib.sha256(b"\1" + left + right).digest()


def split(count: int) -> int:
    return 1 << (count - 1).bit_length() - 1


def root_by_path(entry: bytes, index: int, count: int, path: list[bytes]) -> bytes:
    """MTH(D[count]) by the audit path of one leaf."""
    if count == 1:
        assert path == []
        return entry
    left = split(count)
    if index < left:
        return node(root_by_path(entry, index, left, path[:-1]), path[-1])
    return node(path[-1], root_by_path(entry, index - left, count - left, path[:-1]))


def roots_by_proof(
    old: int, new: int, path: list[bytes], known: bytes | None
) -> tuple[bytes, bytes]:
    """(MTH(D[old]), MTH(D[new])) by a consistency proof; `known` is the old root where it is a
    whole subtree.
    """
    if old == new:
        if known is not None:
            assert path == []
            return known, known
        (only,) = path
        return only, only
    left = split(new)
    if old <= left:
        first, second = roots_by_proof(old, left, path[:-1], known)
        return first, node(second, path[-1])
    first, second = roots_by_proof(old - left, new - left, path[:-1], None)
    return node(path[-1], first), node(path[-1], second)


def test_a_strangers_code_accepts_every_proof(asked: World) -> None:
    lines = (asked.state / "ledger.jsonl").read_bytes().split(b"\n")[:-1]
    for seq in (1, 2, len(lines) // 2, len(lines) - 1):
        ended = asked.factory("ledger", "prove", str(seq))
        assert ended.rc == 0, ended.text
        head, _, checkpoint = ended.out.partition("\n\n")
        version, index, *path = head.split("\n")
        origin, size, root = checkpoint.split("\n")[:3]
        assert (version, index) == ("c2sp.org/tlog-proof@v1", f"index {seq - 1}")
        assert origin == f"codex-orchestrator/ledger/{json.loads(lines[0])['event_id'][:32]}"
        steps = [base64.b64decode(step) for step in path]
        assert root_by_path(leaf(lines[seq - 1]), seq - 1, int(size), steps) == base64.b64decode(
            root
        )


def test_a_strangers_code_accepts_the_consistency_of_two_runs(asked: World) -> None:
    first, second = asked.ordered()
    ended = asked.factory("ledger", "consistency", first, second, "--json")
    assert ended.rc == 0, ended.text
    found = json.loads(ended.out)
    (old, old_root), (new, new_root) = ((int(text[1]), base64.b64decode(text[2])) for text in (
        (asked.state / "runs" / run / CHECKPOINT).read_text().split("\n") for run in (first, second)))  # fmt: skip
    assert (found["old"]["size"], found["new"]["size"]) == (old, new)
    path = [base64.b64decode(step) for step in found["path"]]
    known = old_root if old & (old - 1) == 0 else None
    assert roots_by_proof(old, new, path, known) == (old_root, new_root)


def test_the_page_tells_how_to_check_by_hand(asked: World, monkeypatch: pytest.MonkeyPatch) -> None:
    page = (Path(__file__).resolve().parents[2] / "docs/factory/LEDGER.md").read_text("utf-8")
    chain, tree = (block.split("```", 1)[0] for block in page.split("```python\n")[1:])
    monkeypatch.chdir(asked.root)
    known: dict[str, Any] = {}
    exec(chain, known)
    assert known["before"] == asked.events()[-1]["event_id"]
    exec(tree, known)
    for run in asked.ordered():
        _, size, root = (asked.state / "runs" / run / CHECKPOINT).read_text().split("\n")[:3]
        assert known["root_at"](int(size)) == root


def refusal(world: World, *words: str) -> str:
    ended = world.factory("ledger", *words)
    assert ended.rc == 2, ended.text
    assert "Traceback" not in ended.err
    return ended.err


def rewritten(world: World, at: int) -> None:
    """The ledger with another event at `at` and a chain that is sound again."""
    lines, head = [], Head()
    for number, old in enumerate(world.events(), 1):
        duration = old["duration_ms"] + (number == at)
        entry = Entry(
            old["event_type"], old["run_id"], "", old["actor"], duration, old["file_counts"], old["hashes"], old["rc"],
            old["details"],
        )  # fmt: skip
        event = link(head, entry, old["ts_utc"])
        lines.append(format_event(event))
        head = Head(event.seq, event.event_id)
    (world.state / "ledger.jsonl").write_bytes(b"".join(lines))


def test_each_way_to_change_history_is_named_against_a_checkpoint_kept_elsewhere(
    copy: World, tmp_path: Path
) -> None:
    kept = [tmp_path / "one", tmp_path / "two"]
    for run, place in zip(copy.ordered(), kept, strict=True):
        shutil.copy(copy.state / "runs" / run / CHECKPOINT, place)
    one, two = map(str, kept)
    assert copy.factory("ledger", "consistency", one, "now").rc == 0
    size = int(kept[1].read_text().split("\n")[1])
    ledger = copy.state / "ledger.jsonl"
    whole = ledger.read_bytes()
    lines = whole.splitlines(keepends=True)

    ledger.write_bytes(b"".join(lines[: size - 1]))
    assert "LEDGER_ROLLED_BACK" in (said := refusal(copy, "consistency", two, "now"))
    assert f"was made over {size} events, the ledger has {size - 1}: its end was taken away" in said
    assert copy.factory("oneshot").rc == 2  # and no run begins on it

    ledger.write_bytes(whole)
    grow_from = json.loads(lines[size - 2])
    other = link(
        Head(size - 1, grow_from["event_id"]), Entry("gc.cache-removed"), "2026-11-22T00:00:00.000Z"
    )
    ledger.write_bytes(b"".join(lines[: size - 1]) + format_event(other))
    said = refusal(copy, "consistency", one, two)
    assert "LEDGER_FORKED" in said
    assert "is of this ledger, and after it history went two ways" in said

    ledger.write_bytes(whole)
    rewritten(copy, 2)
    for name in (one, two):
        assert refusal(copy, "consistency", name, "now").startswith("LEDGER_REWRITTEN")
    started = copy.factory("oneshot")
    assert started.rc == 2
    assert "LEDGER_REWRITTEN" in started.text


def test_history_written_anew_from_its_first_event_is_named_by_the_next_run(copy: World) -> None:
    rewritten(copy, 1)
    started = copy.factory("oneshot")
    assert started.rc == 2
    assert "LEDGER_REWRITTEN" in started.text
    assert "and its checkpoint is of codex-orchestrator/ledger/" in started.text
    assert "another first event" in started.text


def test_what_no_checkpoint_covers_has_no_proof(copy: World) -> None:
    grow(copy, "gc.cache-removed")
    count = len(copy.events())
    assert f"no run has a checkpoint that covers event {count}" in refusal(
        copy, "prove", str(count)
    )
    said = refusal(copy, "prove", str(count + 1))
    assert said.startswith("LEDGER_NO_CHECKPOINT")
    assert f"there is no event {count + 1}; the ledger has {count}" in said
    first = copy.ordered()[0]
    assert f"run {first} has no checkpoint that covers" in refusal(
        copy, "prove", str(count - 1), "--run-id", first
    )
    assert "nowhere is neither a run with a checkpoint nor a checkpoint file" in refusal(
        copy, "consistency", "nowhere", "now"
    )


@pytest.mark.parametrize(
    ("content", "clause"),
    [
        (b"", "expected three lines"),
        (b"x\n1\n", "expected three lines"),
        (
            b"x\n01\n" + base64.b64encode(bytes(32)) + b"\n",
            "expected a decimal number without leading zeros",
        ),
        (b"x\n1\nAAAA\n", "expected a hash of 32 bytes"),
        (b"\xff", "is not UTF-8"),
    ],
)
def test_a_checkpoint_that_does_not_hold_is_named(copy: World, content: bytes, clause: str) -> None:
    (copy.root / "kept").write_bytes(content)
    said = refusal(copy, "consistency", "kept", "now")
    assert said.startswith("CHECKPOINT_INVALID")
    assert f"the checkpoint of kept is invalid: {clause}" in said
    last = copy.ordered()[-1]
    (copy.state / "runs" / last / CHECKPOINT).write_bytes(content)
    said = refusal(copy, "prove", "1")
    assert said.startswith("CHECKPOINT_INVALID")
    assert f"the checkpoint of {last} is invalid" in said
