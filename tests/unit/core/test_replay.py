"""Replay: every real order is accepted, every other is refused by name, and nothing is believed
twice.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from factory.evidence.replay import Replayed, ReplayedPack, ReplayedRun, replay
from factory.evidence.replay_agrees import FolderSays, disagreements
from factory.log.chain import Head
from factory.model.errors import Refusal
from factory.model.event import Entry, PackState
from factory.model.events import EVENTS as TABLE
from factory.model.evidence import (
    CheckRecord,
    EventDocument,
    PackLine,
    RecheckRecord,
    RunStatus,
    StatusDocument,
)
from tests.ledger_lines import link

ROOT = Path(__file__).resolve().parents[3]
TREE, BASE, KEY = "a" * 40, "b" * 40, "c" * 64
CODES = {"PASS": 0, "BLOCKED": 2, "FAIL": 1}


def complete(entry: Entry) -> Entry:
    """The entry with exactly the members of its type: empty where a test does not say."""
    kind = TABLE.get(entry.event_type)
    if kind is None:
        return entry
    due = kind.members()
    hashes = {name: entry.hashes.get(name, "") for name, _ in due.hashes}
    counts = {name: entry.file_counts.get(name, 0) for name, _ in due.file_counts}
    always = {name for name, must in due.details if must}
    details = {
        name: entry.details.get(name, "")
        for name, _ in due.details
        if name in always or name in entry.details
    }
    return replace(entry, hashes=hashes, file_counts=counts, details=details)


def chained(entries: Sequence[tuple[Entry, int]]) -> list[EventDocument]:
    """Events with a sound chain; the number beside an entry is the place of its parent, -1 for
    none.
    """
    events: list[EventDocument] = []
    head = Head()
    for number, (entry, parent) in enumerate(entries):
        parent_id = events[parent].event_id if 0 <= parent < number else ""
        event = link(
            head,
            replace(complete(entry), parent=parent_id),
            f"2026-01-01T00:{number // 60:02}:{number % 60:02}.000Z",
        )
        events.append(event)
        head = Head(event.seq, event.event_id)
    return events


def started(run: str) -> Entry:
    return Entry("run.started", run, hashes={"base_commit": BASE}, details={"base_ref": "HEAD"})


def pack(run: str, event: str, name: str, status: str = "", **more: str) -> Entry:
    hashes = {"pack.started": {"action_key": KEY}, "attempt.finished": {"result_tree": TREE}}.get(
        event, {}
    )
    if event == "pack.finished":
        hashes = {"action_key": KEY, "result_tree": TREE}
    details = {"pack": name, **({"status": status} if status else {}), **more}
    return Entry(event, run, rc=CODES.get(status, 0), hashes=hashes, details=details)


def attempt(run: str, name: str, status: str, number: int) -> list[Entry]:
    rc = CODES[status]
    return [
        Entry(
            "step.finished", run, details={"pack": name, "attempt": str(number), "label": "step-1"}
        ),
        Entry(
            "check.finished",
            run,
            rc=rc,
            details={"pack": name, "attempt": str(number), "label": "check-1"},
        ),
        pack(run, "attempt.finished", name, status, attempt=str(number)),
    ]


def ran(run: str, name: str, *attempts: str, end: str) -> list[Entry]:
    lock = {"lock": f"pack-{name}", "pack": name}
    return [
        Entry("lock.taken", run, details=lock),
        pack(run, "pack.started", name),
        *(entry for n, status in enumerate(attempts, 1) for entry in attempt(run, name, status, n)),
        pack(run, "pack.finished", name, end),
        Entry(
            "bundle.validated",
            run,
            rc=CODES[end],
            hashes={"manifest": "f" * 64},
            details={"pack": name},
        ),
        Entry("lock.released", run, details=lock),
    ]


def settled(run: str, status: str, tree: str) -> list[Entry]:
    hashes = {"merged_tree": tree}
    return [
        Entry("integrate.prepared", run, rc=CODES[status], hashes={**hashes, "status": "d" * 64}),
        Entry("integrate.finished", run, rc=CODES[status], hashes={**hashes, "report": "e" * 64},
              details={"status": status}),
    ]  # fmt: skip


def merged(run: str, *packs: str) -> list[Entry]:
    return [
        Entry(
            "merge.finished", run, hashes={"merged_tree": TREE}, file_counts={"packs": len(packs)}
        ),
        *(
            Entry("recheck.finished", run, details={"pack": name, "label": "check-1"})
            for name in packs
        ),
    ]


def preflight(run: str, status: str) -> Entry:
    return Entry("preflight.finished", run, rc=CODES[status], details={"status": status})


def history() -> list[tuple[Entry, int]]:
    """Six runs: PASS with two attempts; one that copies a bundle and blocks; three that end early;
    one refused.
    """
    lock = {"lock": "run"}
    runs: list[tuple[list[Entry], list[Entry]]] = [
        (
            [started("r1"), Entry("lock.taken", "r1", details=lock), preflight("r1", "PASS"),
             *ran("r1", "T-1", "BLOCKED", "PASS", end="PASS"), *ran("r1", "T-2", "PASS", end="PASS"),
             *merged("r1", "T-1", "T-2"), *settled("r1", "PASS", TREE)],
            [Entry("lock.released", "r1", details=lock),
             Entry("branch.prepared", "r1", details={"ref": "refs/heads/codex/r1"}),
             Entry("branch.created", "r1", details={"ref": "refs/heads/codex/r1"}),
             Entry("verify.finished", "r1", details={"status": "PASS"})],
        ),
        (
            [started("r2"), *ran("r2", "T-2", "BLOCKED", end="BLOCKED"), pack("r2", "bundle.copied", "T-1",
             from_run="r1"), *settled("r2", "BLOCKED", "")],
            [Entry("gc.cache-removed", details={"path": "cache"})],
        ),
        ([started("r3"), pack("r3", "pack.started", "T-1"), pack("r3", "pack.abandoned", "T-1"),
          Entry("run.abandoned", "r3", rc=1)],
         [Entry("recovery.finished"), Entry("gc.raw-removed", "r3"), Entry("ledger.recovered")]),
        ([started("r4"), *settled("r4", "PASS", TREE)[:1], Entry("run.abandoned", "r4", rc=1)], []),
        (
            [started("r5"), preflight("r5", "BLOCKED"), *settled("r5", "BLOCKED", "")],
            [Entry("gc.removed", "r1"), Entry("gc.removed", "r1")],
        ),
        ([started("r6"), Entry("bundle.refused", "r6", rc=2, details={"pack": "T-1"}),
          pack("r6", "pack.started", "T-1"), Entry("run.abandoned", "r6", rc=1)], []),
    ]  # fmt: skip
    entries: list[tuple[Entry, int]] = []
    for own, later in runs:
        start = len(entries)
        entries += [(entry, start if number else -1) for number, entry in enumerate(own)]
        entries += [(entry, -1) for entry in later]
    return entries


ENTRIES = history()
EVENTS = chained(ENTRIES)


def refusal_of(events: Sequence[EventDocument]) -> str:
    with pytest.raises(Refusal) as caught:
        replay(events)
    (finding,) = caught.value.findings
    assert finding.id == "LEDGER_ORDER"
    return finding.message


def states(replayed: Replayed) -> dict[str, ReplayedRun]:
    # Made and prepared afterwards is what a branch that was deleted looks like: it shows as one
    # that is to be made.
    return {
        run.run_id: replace(run, started="", ended="", branching=False) for run in replayed.runs
    }


def test_whole_history() -> None:
    runs = states(replay(EVENTS))
    assert {name: (run.state.value, run.status) for name, run in runs.items()} == {
        "r1": ("removed", "PASS"), "r2": ("finished", "BLOCKED"), "r3": ("abandoned", ""), "r4": ("abandoned", ""),
        "r5": ("finished", "BLOCKED"), "r6": ("abandoned", ""),
    }  # fmt: skip
    one, two = runs["r1"].packs
    assert (one.state, one.status, one.attempts, one.valid) == (
        PackState.VALIDATED,
        "PASS",
        2,
        True,
    )
    assert (two.attempts, runs["r1"].branch, runs["r1"].merged_tree) == (
        1,
        "refs/heads/codex/r1",
        TREE,
    )
    assert (runs["r2"].packs[0].state, runs["r2"].packs[0].from_run) == (PackState.COPIED, "r1")
    assert dict(runs["r2"].phases())["launch"] == "BLOCKED"
    assert dict(runs["r5"].phases())["preflight"] == "BLOCKED"


@given(st.integers(0, len(EVENTS)))
def test_any_prefix_replays(length: int) -> None:
    assert replay(EVENTS[:length]).events == length


@given(st.integers(0, len(EVENTS) - 1), st.integers(0, len(EVENTS) - 1))
def test_any_swap_is_refused(first: int, second: int) -> None:
    changed = [*EVENTS]
    changed[first], changed[second] = changed[second], changed[first]
    if first == second:
        assert replay(changed).events == len(EVENTS)
    else:
        assert f"event {changed[min(first, second)].seq} " in refusal_of(changed)


@given(st.integers(0, len(EVENTS) - 2))
def test_any_removal_is_refused(at: int) -> None:
    assert f"event {EVENTS[at + 1].seq} " in refusal_of([*EVENTS[:at], *EVENTS[at + 1 :]])


@given(st.integers(0, len(EVENTS) - 1), st.integers(0, len(EVENTS) - 1))
def test_any_repetition_is_refused(at: int, after: int) -> None:
    refusal_of([*EVENTS[: after + 1], EVENTS[at], *EVENTS[after + 1 :]])


def moved(parent: int, order: Sequence[int]) -> int:
    return order.index(parent) if parent in order else -1


def relinked(order: Sequence[int]) -> list[EventDocument]:
    """Entries in another order, with a chain that somebody made sound again, and parents that
    follow.
    """
    return chained([(ENTRIES[at][0], moved(ENTRIES[at][1], order)) for at in order])


@given(st.integers(0, len(EVENTS) - 2))
def test_swap_under_a_forged_chain_is_refused_or_changes_nothing(at: int) -> None:
    order = [*range(len(EVENTS))]
    order[at], order[at + 1] = order[at + 1], order[at]
    try:
        replayed = replay(relinked(order))
    except Refusal:
        return
    assert states(replayed) == states(replay(EVENTS))


@given(st.integers(0, len(EVENTS) - 1))
def test_removal_under_a_forged_chain_is_refused_or_shows(at: int) -> None:
    try:
        replayed = replay(relinked([number for number in range(len(EVENTS)) if number != at]))
    except Refusal:
        return
    assert (replayed.events, states(replayed)) != (len(EVENTS), states(replay(EVENTS)))


def test_order_within_a_pack_cannot_be_forged() -> None:
    kinds = [entry.event_type for entry, _ in ENTRIES]
    first, last = kinds.index("pack.started"), kinds.index("bundle.validated")
    one = ["step.finished", "check.finished", "attempt.finished"]
    assert kinds[first : last + 1] == [
        "pack.started",
        *one,
        *one,
        "pack.finished",
        "bundle.validated",
    ]
    for at in range(first, last):
        order = [*range(len(EVENTS))]
        order[at], order[at + 1] = order[at + 1], order[at]
        refusal_of(relinked(order))
    for at in (at for at in range(first, last) if kinds[at] not in one[:2]):
        refusal_of(relinked([number for number in range(len(EVENTS)) if number != at]))


WORDS = st.sampled_from(
    ["", "T-1", "T-2", "1", "2", "run", "pack-T-1", "PASS", "BLOCKED", "FAIL", "r1", "r2", TREE]
)
ANY = st.builds(
    Entry,
    event_type=st.sampled_from(sorted(TABLE)),
    run_id=st.sampled_from(["", "r1", "r2"]),
    rc=st.sampled_from([0, 1, 2, 7]),
    hashes=st.dictionaries(
        st.sampled_from(["action_key", "result_tree", "merged_tree", "base_commit", "manifest"]),
        st.sampled_from(["", TREE, BASE]),
    ),
    details=st.dictionaries(
        st.sampled_from(["pack", "attempt", "label", "lock", "status", "from_run", "ref"]), WORDS
    ),
)


def refused_at(events: Sequence[EventDocument]) -> int:
    """The number of the event that replay refuses by name, 0 for none; anything else that is raised
    is a defect.
    """
    try:
        replay(events)
    except Refusal as refusal:
        place = refusal.findings[0].location
        return place.line if refusal.findings[0].id == "LEDGER_ORDER" and place is not None else -1
    return 0


@given(st.lists(st.tuples(ANY, st.integers(-1, 30)), max_size=30))
def test_any_events_in_any_order_replay_or_are_refused_by_name(
    entries: list[tuple[Entry, int]],
) -> None:
    """The table is total: nothing else can come of any chain that holds."""
    events = chained(entries)
    at = refused_at(events)
    assert 0 <= at <= len(events)
    assert replay(events[: at - 1] if at else events).events == (at - 1 if at else len(events))


@given(st.lists(st.integers(0, len(ENTRIES) - 1), max_size=40))
def test_real_events_in_any_order_replay_or_are_refused_by_name(order: list[int]) -> None:
    assert 0 <= refused_at(relinked(order)) <= len(order)


BEGUN = [(started("r"), -1), (pack("r", "pack.started", "T-1"), 0)]
TRIED = [*BEGUN, (pack("r", "attempt.finished", "T-1", "BLOCKED", attempt="1"), 0)]
COPIED = [BEGUN[0], (pack("r", "bundle.copied", "T-1", from_run="q"), 0)]
BRANCH = Entry("branch.prepared", "r", details={"ref": "refs/heads/codex/r"})


@pytest.mark.parametrize(
    ("entries", "clause"),
    [
        ([(Entry("run.started"), -1)], "its run is unknown, expected unknown"),
        ([(Entry("pack.started", "r", details={"pack": "T-1"}), -1)], "its run is unknown, expected abandoned or open"),
        ([(Entry("dance.started", "r"), -1)], "no such type of event is known"),
        ([(Entry("ledger.recovered", "r"), -1)], "bears no run"),
        ([(started("r"), -1), (started("s"), -1)], "run r has not ended"),
        ([(started("r"), -1), (started("r"), -1)], "its run is open, expected unknown"),
        ([(started("r"), -1), *[(entry, 0) for entry in settled("r", "PASS", TREE)[1:]]], "expected prepared"),
        ([*BEGUN, (pack("r", "pack.finished", "T-1", "PASS"), 0)], "T-1 is started, expected tried"),
        ([*TRIED, (pack("r", "pack.finished", "T-1", "PASS"), 0)], "it says PASS, and its last attempt ended BLOCKED"),
        ([*TRIED, (pack("r", "attempt.finished", "T-1", "PASS", attempt="3"), 0)], "its attempt is 3, expected 2"),
        ([*BEGUN, (pack("r", "bundle.copied", "T-1", from_run="q"), 0)], "T-1 is started, expected absent or"),
        ([*BEGUN[:1], (pack("r", "bundle.copied", "T-1", from_run="r"), 0)], "no other run is named"),
        ([*BEGUN, *[(entry, 0) for entry in settled("r", "PASS", TREE)]], "it says PASS, and T-1 did not"),
        ([(replace(started("r"), rc=2), -1), (Entry("preflight.finished", "r", rc=1, details={"status": "PASS"}), 0)],
         "its verdict is PASS, expected FAIL"),
        ([(started("r"), -1), (Entry("integrate.prepared", "r", rc=7), 0)], "7 is no verdict's exit code"),
        ([(started("r"), -1), (settled("r", "PASS", TREE)[0], 0), (settled("r", "PASS", BASE)[1], 0)], "its merged"),
        ([(started("r"), -1), (settled("r", "PASS", "")[0], 0), (settled("r", "FAIL", "")[1], 0)], "verdict is FAIL"),
        ([(started("r"), -1), (Entry("branch.created", "r"), 0)], "its run is open, expected finished"),
        ([(started("r"), -1), (Entry("gc.removed", "r"), -1)], "expected abandoned or finished or removed"),
        ([*BEGUN, (attempt("r", "T-1", "PASS", 2)[0], 0)], "its attempt is 2, expected 1"),
        ([*BEGUN, *[(entry, 0) for entry in attempt("r", "T-1", "PASS", 1)[1::-1]]], "T-1 is at its checks, expected"),
        ([*BEGUN, *[(attempt("r", "T-1", "PASS", 1)[0], 0)] * 2], "step-1 ended twice in one attempt"),
        ([*BEGUN, (attempt("r", "T-1", "FAIL", 1)[1], 0), (attempt("r", "T-1", "PASS", 1)[2], 0)],
         "it says PASS, and check-1 did not end with 0"),
        ([*BEGUN[:1], (Entry("lock.released", "r", details={"lock": "run"}), 0)], "lock run is free"),
        ([*BEGUN[:1], *[(Entry("lock.taken", "r", details={"lock": "run"}), 0)] * 2], "lock run is taken"),
        ([*COPIED, (merged("r", "T-1")[0], 0), (settled("r", "PASS", BASE)[0], 0)], "its merged tree is bbbbbbbbbbbb,"),
        ([*BEGUN, (merged("r", "T-1")[0], 0)], "T-1 is started, expected validated or copied"),
        ([*BEGUN[:1], (merged("r")[0], 0)], "its run is begun, expected at its packs or with its bundles collected"),
        ([*COPIED, (merged("r", "T-1", "T-2")[0], 0)], "its number of packs is 2, expected 1"),
        ([*COPIED, *[(merged("r", "T-1")[0], 0)] * 2], "its run is merged, expected at its packs or with"),
        ([*COPIED, (merged("r", "T-1")[1], 0)], "its run is with its bundles collected, expected merged"),
        ([*COPIED, *[(entry, 0) for entry in (*merged("r", "T-1"), merged("r", "T-1")[1])]],
         "check check-1 ran again before, or is none of T-1"),
        ([*COPIED, *[(entry, 0) for entry in (*merged("r", "T-1"), ran("r", "T-1", "PASS", end="PASS")[-2])]],
         "its run is merged, expected at its packs or begun or past preflight"),
        ([*COPIED, (pack("r", "pack.started", "T-2"), 0)], "its run is with its bundles collected, expected at its"),
        ([*BEGUN, (preflight("r", "PASS"), 0)], "its run is at its packs, expected begun"),
        ([*BEGUN[:1], *[(preflight("r", "PASS"), 0)] * 2], "its run is past preflight, expected begun"),
        ([*BEGUN[:1], *[(entry, 0) for entry in settled("r", "PASS", TREE)]], "and the merge is not there"),
        ([*BEGUN[:1], *[(entry, 0) for entry in settled("r", "PASS", "")]], "with no lock, expected lock run"),
        ([*BEGUN[:1], *[(replace(entry, actor="recovery"), 0) for entry in settled("r", "PASS", "")]],
         "with no lock, expected lock run"),
        ([*BEGUN[:1], *[(settled("r", "PASS", "")[0], 0)] * 2], "its run is prepared, expected open"),
        ([*COPIED, (replace(merged("r", "T-1")[0], rc=2), 0), *[(entry, 0) for entry in settled("r", "PASS", TREE)]],
         "it says PASS, and the merge did not"),
        ([*[(entry, 0) for entry in (started("r"), *ran("r", "T-1", "PASS", end="PASS")[:-2])],
          (merged("r", "T-1")[0], 0)], "pack T-1 is finished, expected validated or copied"),
        ([*COPIED, *[(pack("r", "pack.reproducible", "T-1"), 0)] * 2], "T-1 was called reproducible before"),
        ([*[(entry, 0) for entry in (started("r"), *settled("r", "BLOCKED", ""))], *[(BRANCH, 0)] * 2],
         "a branch was prepared already"),
        ([*[(entry, 0) for entry in (started("r"), *settled("r", "BLOCKED", ""))],
          (replace(BRANCH, event_type="branch.abandoned"), 0)], "a branch was not prepared"),
        ([*[(entry, 0) for entry in (started("r"), *settled("r", "BLOCKED", ""), Entry("run.abandoned", "r", rc=1))]],
         "its run is finished, expected open or prepared"),
    ],
)  # fmt: skip
def test_impossible_event_is_named(entries: list[tuple[Entry, int]], clause: str) -> None:
    message = refusal_of(chained(entries))
    last = entries[-1][0]
    assert f"event {len(entries)} ({last.event_type}" in message
    assert clause in message


def test_parent_must_be_an_earlier_event_of_the_run() -> None:
    events = chained(
        [(started("r"), -1), (Entry("run.abandoned", "r", rc=1), 0), (started("s"), 0)]
    )
    assert "id of its parent" in refusal_of(events)


def test_members_of_another_type_are_refused() -> None:
    sound = EVENTS[0]
    for part, more in (("hashes", {"shown": ""}), ("file_counts", {"files": 1}), ("details", {})):
        changed: dict[str, Any] = {"hashes": sound.hashes, "details": sound.details, part: more}
        entry = Entry("run.started", "r1", **changed)
        (event,) = [link(Head(), entry, "2026-01-01T00:00:00.000Z")]
        assert "than those of its type" in refusal_of([event])


LINE = PackLine(
    pack="T-1", title="", domain="", why="", status="PASS", files_changed=0, lines_added=0, lines_removed=0,
    checks_ok=0, checks=0, artifacts=(), bundle_sha256="f" * 64,
)  # fmt: skip


def bundle(replayed: ReplayedPack, **changes: object) -> StatusDocument:
    checks = tuple(
        CheckRecord.model_construct(
            label=label, rc=rc, kind="check", name="", run="", ended="exited"
        )
        for label, rc in replayed.ran
    )
    known: dict[str, Any] = {
        "status": replayed.status, "action_key": replayed.action_key, "result_tree": replayed.result_tree,
        "attempts": (None,) * replayed.attempts, "checks": checks, **changes,
    }  # fmt: skip
    return StatusDocument.model_construct(**known)


def says(run: ReplayedRun, **changes: object) -> FolderSays:
    lines = tuple(LINE.model_copy(update={"pack": p.pack, "status": p.status or "PASS", "came_from": p.from_run})
                  for p in run.packs)  # fmt: skip
    known: dict[str, Any] = {
        "run_id": run.run_id, "status": run.status, "base_ref": "HEAD", "base_commit": BASE, "base_tree": TREE,
        "merged_tree": run.merged_tree, "packs_committed": True, "packs": lines, "findings": (), "rechecks": (),
        "overlaps": (), "largest_set": (), "smallest_conflict": (), "exact": True, "properties_given": (),
        "properties_accepted": (), **changes,
    }  # fmt: skip
    bundles = {p.pack: bundle(p) for p in run.packs if p.status}
    manifests = {p.pack: p.manifest for p in run.packs if p.manifest}
    status = RunStatus.model_construct(**known)
    return FolderSays(True, True, status, "d" * 64, "e" * 64, bundles, manifests)


def lines_of(said: FolderSays) -> tuple[PackLine, ...]:
    assert said.status is not None
    return said.status.packs


@pytest.mark.parametrize(
    ("changes", "clause"),
    [
        ({"status": "PASS"}, "T-2: its verdict is BLOCKED in the ledger and PASS in its bundle"),
        ({"action_key": "0" * 64}, "T-2: its action key is cccc"),
        ({"result_tree": BASE}, "T-2: its result tree is aaaa"),
        ({"attempts": ()}, "T-2: its number of attempts is 1 in the ledger and 0 in its bundle"),
        (
            {"checks": ()},
            "T-2: its commands is step-1 0, check-1 2 in the ledger and none in its bundle",
        ),
    ],
)
def test_bundle_that_tells_another_story_is_named(changes: dict[str, object], clause: str) -> None:
    run = states(replay(EVENTS))["r2"]
    changed = replace(says(run), bundles={"T-2": bundle(run.packs[1], **changes)})
    (finding,) = disagreements(run, changed)
    assert finding.id == "LEDGER_DISAGREES"
    assert clause in finding.message


def test_checks_on_the_merged_tree_that_tell_another_story_are_named() -> None:
    run = states(replay(EVENTS))["r2"]
    rows = (
        RecheckRecord(pack="T-2", label="check-1", run="true", outcome="ok", rc=0),
        RecheckRecord(pack="T-2", label="check-2", run="true", outcome="as-accepted", rc=0),
    )
    for outcomes, found in (
        ((("check-1", 0, "ok"),), ""),
        ((("check-1", 1, "broken"),), "check-1 1 broken"),
        ((), "none"),
    ):
        told = replace(run, packs=(run.packs[0], replace(run.packs[1], outcomes=outcomes)))
        clause = (
            f"T-2: its checks on the merged tree are {found} in the ledger and check-1 0 ok in its"
            " folder"
        )
        messages = [finding.message for finding in disagreements(told, says(told, rechecks=rows))]
        assert messages == ([f"run r2: {clause}"] if found else [])
        assert disagreements(told, says(told)) == (), (
            "they broke off, and left nothing but their events"
        )


def test_a_check_on_the_merged_tree_is_replayed_with_its_outcome() -> None:
    entries = [started("r1"), *ran("r1", "T-1", "PASS", end="PASS"), *merged("r1", "T-1")]
    (run,) = replay(chained([(entry, -1) for entry in entries])).runs
    assert [pack.outcomes for pack in run.packs] == [(("check-1", 0, ""),)]


def test_bundle_that_is_another_or_none_is_named() -> None:
    run = states(replay(EVENTS))["r2"]
    (finding,) = disagreements(run, replace(says(run), manifests={"T-2": "0" * 64}))
    assert (
        "T-2: its bundle is ffffffffffff… in the ledger and 000000000000… in its folder"
        in finding.message
    )
    (finding,) = disagreements(run, replace(says(run), bundles={}))
    assert (
        "T-2 ended BLOCKED, and its bundle has no STATUS.json that is well formed"
        in finding.message
    )
    nothing = says(
        run,
        packs=tuple(line.model_copy(update={"bundle_sha256": ""}) for line in lines_of(says(run))),
    )
    assert disagreements(run, replace(nothing, bundles={}, manifests={})) == ()


def test_folder_that_agrees_and_every_way_not_to() -> None:
    runs = {run.run_id: run for run in replay(EVENTS).runs}
    two = runs["r2"]
    assert disagreements(two, says(two)) == ()
    for changes in (
        {"status": "PASS"},
        {"merged_tree": TREE},
        {"base_commit": TREE},
        {"base_ref": "x"},
        {"run_id": "x"},
    ):
        (finding,) = disagreements(two, says(two, **changes))
        assert finding.id == "LEDGER_DISAGREES"
    lines = lines_of(says(two))
    assert (
        "came from r1"
        in disagreements(
            two, says(two, packs=(lines[0].model_copy(update={"came_from": ""}), lines[1]))
        )[0].message
    )
    assert (
        "ended BLOCKED"
        in disagreements(
            two, says(two, packs=(lines[0], lines[1].model_copy(update={"status": "PASS"})))
        )[0].message
    )
    assert "does not know it" in disagreements(two, says(two, packs=lines[:1]))[0].message
    assert len(disagreements(two, replace(says(two), status_digest="0", report_digest="1"))) == 2
    assert [f.id for f in disagreements(two, replace(says(two), present=False))] == ["RUN_GONE"]
    assert (
        "no Z_integrator/STATUS.json"
        in disagreements(two, replace(says(two), status=None))[0].message
    )
    assert "its folder is there" in disagreements(runs["r1"], says(runs["r1"]))[0].message
    assert disagreements(runs["r3"], replace(says(two), has_manifest=False)) == ()
    opened = replay(EVENTS[:3]).runs[0]
    assert "its folder has a manifest" in disagreements(opened, says(two))[0].message


def test_a_connection_belongs_to_an_attempt_or_to_the_merged_tree() -> None:
    tried = Entry(
        "egress.finished", "r1", rc=2, details={"pack": "T-1", "during": "steps", "connection": "1"}
    )
    again = replace(tried, details={**tried.details, "during": "recheck"})
    begun, ended = (
        [started("r1"), pack("r1", "pack.started", "T-1")],
        ran("r1", "T-1", "PASS", end="PASS"),
    )
    together = [started("r1"), *ended, merged("r1", "T-1")[0]]
    for entries in (
        [*begun, tried],
        [*begun, *attempt("r1", "T-1", "PASS", 1), tried],
        [*together, again],
    ):
        before = replay(chained([(entry, -1) for entry in entries[:-1]]))
        after = replay(chained([(entry, -1) for entry in entries]))
        one, other = (run.runs[0].packs[0] for run in (before, after))
        assert replace(other, connections=frozenset()) == one, "it changes no state"
    for entries in (
        [started("r1"), tried], [*begun, again], [started("r1"), *ended, tried], [started("r1"), *ended, again],
        [*together, tried], [*begun, tried, tried],
    ):  # fmt: skip
        assert "(egress.finished of r1) cannot follow" in refusal_of(
            chained([(entry, -1) for entry in entries])
        )
