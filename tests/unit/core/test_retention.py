"""What may go: nothing without a proof, never what is protected, and each with its reason."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from factory.evidence.retention import RemovalKind, RunOnDisk, Work, beyond, decide
from factory.model.event import RunState

ENDED = st.sampled_from([RunState.FINISHED, RunState.ABANDONED, RunState.REMOVED])
WORKS = st.lists(st.builds(Work, st.sampled_from(["the bundle of T-1", "its merged result"]),
                           st.sampled_from(["", "run r9"])), max_size=3).map(tuple)  # fmt: skip
FOLDERS = st.lists(
    st.builds(RunOnDisk, st.from_regex(r"r[0-9]{1,3}", fullmatch=True), st.sampled_from(RunState), st.booleans(), WORKS,
              st.sampled_from(["", "a copy"])),
    max_size=6, unique_by=lambda folder: folder.run_id,
)  # fmt: skip


@given(FOLDERS, st.sets(st.sampled_from(["r1", "r2", "r3"])), st.integers(0, 4))
def test_what_goes_is_old_ended_and_proved(
    folders: list[RunOnDisk], protected: set[str], keep: int
) -> None:
    old = beyond((folder.run_id for folder in folders), keep, protected)
    by_id = {folder.run_id: folder for folder in folders}
    decision = decide(folders, old, protected)
    for chosen in decision.chosen:
        folder = by_id[chosen.run_id]
        assert chosen.run_id not in protected
        if chosen.kind is RemovalKind.RAW:
            assert (folder.state, folder.has_raw) == (RunState.ABANDONED, True)
            continue
        assert chosen.run_id in old
        assert folder.state not in (RunState.OPEN, RunState.PREPARED, RunState.UNKNOWN)
        assert folder.exported or all(work.copy_at for work in folder.works)
    gone = {chosen.run_id for chosen in decision.chosen if chosen.kind is RemovalKind.RUN}
    assert gone | {stay.run_id for stay in decision.stays} == set(old)


def test_beyond_keeps_the_newest_and_asks_for_none_without_a_number() -> None:
    runs = ("r1", "r2", "r3", "r4")
    assert beyond(runs, 0, ()) == ()
    assert beyond(runs, 2, ()) == ("r1", "r2")
    assert beyond(runs, 2, {"r1"}) == ("r2",)
    assert beyond(runs, 9, ()) == ()


def test_reasons() -> None:
    alone = RunOnDisk(
        "r1",
        RunState.FINISHED,
        False,
        (Work("the bundle of T-1", ""), Work("its merged result", "run r9")),
    )
    empty = RunOnDisk("r2", RunState.ABANDONED, True)
    copied = RunOnDisk("r3", RunState.FINISHED, False, (Work("the bundle of T-1", "run r9"),))
    open_run = RunOnDisk("r4", RunState.OPEN, True)
    decision = decide((alone, empty, copied, open_run), ("r1", "r2", "r3", "r4"), ())
    assert [(c.run_id, c.kind, c.why, c.where) for c in decision.chosen] == [
        ("r2", RemovalKind.RUN, "it made nothing", ""),
        ("r3", RemovalKind.RUN, "everything it made has a copy", "run r9"),
    ]
    assert [(stay.run_id, stay.why) for stay in decision.stays] == [
        ("r1", "the bundle of T-1 is in no other place"),
        ("r4", "the ledger says that it is open"),
    ]
