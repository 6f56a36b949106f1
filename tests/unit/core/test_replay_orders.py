"""No order but one that a run can really have replays: real histories, and each small change of
every one.

A change that replay accepts must be in the list of harmless ones below, each with why a real run
may look like that.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain

import pytest
from hypothesis import given
from hypothesis import strategies as st

from factory.evidence.replay import replay
from factory.model.errors import Refusal
from factory.model.event import Entry, RunState
from tests.sample import examples
from tests.unit.core.test_replay import (
    CODES,
    TREE,
    chained,
    merged,
    pack,
    preflight,
    ran,
    settled,
    started,
)

RUN = "r"
LOCK = {"lock": "run"}
NAMES = ("T-1", "T-2", "T-3")
KINDS = ("ran", "ran twice", "altered", "held", "held, validated", "carried on")
ENDS = (
    "PASS",
    "launch only",
    "BLOCKED",
    "merge BLOCKED",
    "recheck BLOCKED",
    "killed",
    "interrupted",
)


@dataclass(frozen=True)
class Told:
    """What one run told, and how it ended; `before` is the run that held bundles are of."""

    before: tuple[Entry, ...]
    own: tuple[Entry, ...]
    end: str

    def accepts(self, own: Sequence[Entry]) -> bool:
        try:
            replay(chained([(entry, -1) for entry in (*self.before, *own)]))
        except Refusal:
            return False
        return True


def connection(name: str, during: str, number: int) -> Entry:
    return Entry(
        "egress.finished", RUN, details={"pack": name, "during": during, "connection": str(number)}
    )


def with_connections(entries: list[Entry], name: str) -> list[Entry]:
    at = [entry.event_type for entry in entries].index("step.finished")
    return [
        *entries[:at],
        connection(name, "steps", 1),
        connection(name, "steps", 2),
        *entries[at:],
    ]


def validated(name: str, run: str = RUN, end: str = "PASS") -> Entry:
    return Entry(
        "bundle.validated",
        run,
        rc=CODES[end],
        hashes={"manifest": "f" * 64},
        details={"pack": name},
    )


def work(name: str, kind: str, end: str, net: bool, validating: bool) -> list[Entry]:
    """What is told of one pack until bundles are collected."""
    if kind == "held":
        return []
    if kind == "held, validated":
        return [validated(name)] if validating else []
    if kind == "carried on":
        lock = {"lock": f"pack-{name}", "pack": name}
        both = [Entry("lock.taken", RUN, details=lock), Entry("lock.released", RUN, details=lock)]
        return [*both, validated(name)] if validating else both
    attempts = ("BLOCKED", end) if kind == "ran twice" else (end,)
    entries = ran(RUN, name, *attempts, end=end)
    if kind == "altered":
        entries.insert(1, Entry("bundle.refused", RUN, rc=2, details={"pack": name}))
    if net:
        entries = with_connections(entries, name)
    return (
        entries if validating else [one for one in entries if one.event_type != "bundle.validated"]
    )


@st.composite
def told(draw: st.DrawFn, ends: Sequence[str] = ENDS) -> Told:
    """A run of up to three packs, as the pipeline tells one."""
    end = draw(st.sampled_from(ends))
    names = NAMES[: draw(st.integers(1, 3))]
    kinds = {name: draw(st.sampled_from(KINDS)) for name in names}
    if end == "BLOCKED":
        kinds["T-1"] = draw(st.sampled_from(KINDS[:3]))
    net = draw(st.booleans())
    working = [
        work(
            name,
            kinds[name],
            "BLOCKED" if (end, name) == ("BLOCKED", "T-1") else "PASS",
            net,
            end != "launch only",
        )
        for name in names
    ]
    head = [started(RUN), Entry("lock.taken", RUN, details=LOCK)]
    head += (
        [preflight(RUN, "PASS")] if draw(st.booleans()) else []
    )  # else it held from an earlier day
    middle: list[Entry] = []
    while any(working):  # workers take turns
        middle.append(draw(st.sampled_from([entries for entries in working if entries])).pop(0))
    collected = [
        pack(RUN, "bundle.copied", name, from_run="q")
        for name in names
        if not kinds[name].startswith(("ran", "altered")) and end != "launch only"
    ]
    again = [name for name in names if draw(st.booleans())]
    tail = ending(draw, end, names, again, net, collected)
    own = [*head, *middle, *tail]
    if end in ("killed", "interrupted"):
        cut = draw(st.integers(2 if end == "interrupted" else 1, len(own)))
        own = [*own[:cut], Entry("run.abandoned", RUN, rc=1)]
        if own[-2].event_type in (
            "integrate.finished",
            "lock.released",
        ) and "integrate.finished" in types(own):
            own = own[:-1]
    before = [started("q"), Entry("lock.taken", "q", details=LOCK)]
    before += [one for name in NAMES for one in ran("q", name, "PASS", end="PASS")]
    before += [*merged("q", *NAMES), *settled("q", "PASS", TREE)]
    return Told(tuple(before), tuple(own), end)


def ending(
    draw: st.DrawFn,
    end: str,
    names: Sequence[str],
    again: Sequence[str],
    net: bool,
    collected: list[Entry],
) -> list[Entry]:
    """What is told once no pack is worked at any more."""
    released = Entry("lock.released", RUN, details=LOCK)
    if end in ("launch only", "BLOCKED"):
        return [*collected, *settled(RUN, "PASS" if end == "launch only" else end, ""), released]
    both = merged(RUN, *names)
    if end == "merge BLOCKED":
        refused = Entry(
            "merge.finished",
            RUN,
            rc=2,
            hashes={"merged_tree": ""},
            file_counts={"packs": len(names)},
        )
        return [*collected, refused, *settled(RUN, "BLOCKED", ""), released]
    rechecks = [one for one in both[1:] if one.details["pack"] in again]
    reached = [connection(name, "recheck", 9) for name in again] if net else []
    shown = [pack(RUN, "pack.reproducible", name) for name in names if draw(st.booleans())]
    verdict = "BLOCKED" if end == "recheck BLOCKED" else "PASS"
    return [
        *collected,
        both[0],
        *reached,
        *rechecks,
        *shown,
        *settled(RUN, verdict, TREE),
        released,
    ]


def types(entries: Sequence[Entry]) -> list[str]:
    return [entry.event_type for entry in entries]


# ── what is harmless, and why ────────────────────────────────────────────────

WORK = frozenset({
    "bundle.refused", "pack.started", "step.finished", "check.finished", "egress.finished", "attempt.finished",
    "pack.finished", "pack.abandoned", "bundle.validated",
})  # fmt: skip
COMMANDS = ("step.finished", "check.finished", "recheck.finished")


def swap_is_harmless(told: Told, one: Entry, two: Entry) -> str:
    """Why two neighbours may as well have come the other way round; "" where they may not."""
    kinds = {one.event_type, two.event_type}
    locks = [entry for entry in (one, two) if entry.event_type.startswith("lock.")]
    packs = [entry.details.get("pack", "") for entry in (one, two)]
    if one == two:
        return "they are the same"
    if locks and "run.started" not in kinds:
        if len(locks) == 2 and one.details["lock"] == two.details["lock"]:
            return ""
        if told.end in ("PASS", "launch only") and kinds & {"integrate.finished"}:
            return ""
        return "locks have an order of their own, each by its name"
    if "run.abandoned" in kinds and kinds - {"run.abandoned"} <= WORK | {
        "merge.finished",
        "recheck.finished",
    }:
        return "a worker may be at its last word while another thread records the interruption"
    if "" not in packs and packs[0] != packs[1] and (kinds <= WORK or len(kinds) == 1):
        return "two workers, or two packs of which neither waits for the other"
    if kinds == {"egress.finished", "recheck.finished"} or (
        kinds <= {*WORK} and "egress.finished" in kinds
    ):
        return "a connection may end before or after the command that is told beside it"
    if len(kinds) == 1 and one.event_type in COMMANDS:
        return (
            "commands of one kind have names; their order is in the bundle, and ledger-replay holds"
            " it against that"
        )
    return ""


def removal_is_harmless(told: Told, at: int) -> str:
    """Why a run may lack that event; "" where it may not."""
    gone = told.own[at]
    name = gone.details.get("pack", "")
    rest = (*told.own[:at], *told.own[at + 1 :])
    match gone.event_type:
        case "preflight.finished":
            return "a preflight that held from an earlier day is no part of this run's history"
        case "step.finished" | "check.finished":
            return (
                "how many commands there are is in the bundle, and ledger-replay holds it against"
                " that"
            )
        case "egress.finished" | "pack.reproducible" | "bundle.refused":
            return "whether there was any is not said elsewhere in the ledger"
        case "bundle.validated" if any(
            e.event_type == "bundle.copied" and e.details["pack"] == name for e in rest
        ):
            return "the validation of an earlier run's bundle may hold, as its launch does"
        case "recheck.finished" if not any(
            e.event_type == gone.event_type and e.details["pack"] == name for e in rest
        ):
            return "a pack that sees on the merged tree what it was accepted on is not asked again"
        case "lock.released" if gone.details["lock"] == "run":
            return "the disk may not take the last event"
        case "integrate.prepared" | "integrate.finished" | "run.abandoned" if (
            "integrate.finished" not in types(rest)
        ):
            return "a run that was killed just ends; the next start finishes it"
        case "run.started" | "integrate.prepared" | "integrate.finished":
            return ""
        case _ if told.end not in ("PASS", "launch only"):
            return (
                "what did not PASS may lack what a kill or a full disk kept from the ledger:"
                " nothing rests on it"
            )
    return ""


def judge(told: Told, at: int) -> None:
    own = told.own
    swapped = [*own[:at], *own[at + 1 : at + 2], own[at], *own[at + 2 :]]
    if at + 1 < len(own) and told.accepts(swapped):
        assert swap_is_harmless(told, own[at], own[at + 1]), (own[at], own[at + 1], types(own))
    if told.accepts([*own[:at], *own[at + 1 :]]):
        assert removal_is_harmless(told, at), (own[at], types(own))
    assert not told.accepts([*own[: at + 1], own[at], *own[at + 1 :]]), (
        "told twice",
        own[at],
        types(own),
    )


@examples(50)
@given(told())
def test_what_a_run_tells_replays(told: Told) -> None:
    assert told.accepts(told.own), types(told.own)


@examples(60)
@given(told(), st.data())
def test_a_changed_order_is_refused_unless_it_is_one_that_a_run_may_have(
    told: Told, data: st.DataObject
) -> None:
    judge(told, data.draw(st.integers(0, len(told.own) - 1)))


def whole(*kinds: str) -> Told:
    """A PASS with everything in it, in one order."""
    working = [
        work(name, kind, "PASS", True, True) for name, kind in zip(NAMES, kinds, strict=False)
    ]
    names = NAMES[: len(kinds)]
    own = [
        started(RUN),
        Entry("lock.taken", RUN, details=LOCK),
        preflight(RUN, "PASS"),
        *chain(*working),
    ]
    own += [pack(RUN, "bundle.copied", name, from_run="q") for name, kind in zip(NAMES, kinds, strict=False)
            if kind.startswith(("held", "carried"))]  # fmt: skip
    own += [
        *merged(RUN, *names),
        *settled(RUN, "PASS", TREE),
        Entry("lock.released", RUN, details=LOCK),
    ]
    before = [started("q"), Entry("lock.taken", "q", details=LOCK)]
    before += [one for name in NAMES for one in ran("q", name, "PASS", end="PASS")]
    before += [*merged("q", *NAMES), *settled("q", "PASS", TREE)]
    return Told(tuple(before), tuple(own), "PASS")


WHOLE = (whole("ran twice", "altered", "held"), whole("carried on", "held, validated"))


@pytest.mark.parametrize("told", WHOLE, ids=["ran", "held"])
def test_every_small_change_of_a_whole_run_is_judged(told: Told) -> None:
    assert told.accepts(told.own)
    for at in range(len(told.own)):
        judge(told, at)


def test_a_small_change_near_a_kill_is_judged() -> None:
    for told in WHOLE:
        for length in range(1, len(told.own) - 1):
            own = (*told.own[:length], Entry("run.abandoned", RUN, rc=1))
            killed = Told(told.before, own, "killed")
            for at in range(max(0, len(own) - 3), len(own)):
                judge(killed, at)


MOVED = ["preflight.finished", "merge.finished", "recheck.finished", "bundle.validated", "bundle.copied",
         "integrate.prepared", "integrate.finished", "pack.started", "pack.finished"]  # fmt: skip


@pytest.mark.parametrize("kind", MOVED)
def test_no_event_moves_past_what_it_rests_on(kind: str) -> None:
    """Each of them taken to every other place: it may pass only neighbours that it could have come
    with.
    """
    for told in WHOLE:
        for at in (number for number, entry in enumerate(told.own) if entry.event_type == kind):
            rest = [*told.own[:at], *told.own[at + 1 :]]
            for place in range(len(rest) + 1):
                passed = rest[min(at, place) : max(at, place)]
                if told.accepts([*rest[:place], told.own[at], *rest[place:]]):
                    assert all(swap_is_harmless(told, told.own[at], other) for other in passed), (
                        kind,
                        place,
                    )


def test_a_killed_run_is_abandoned_wherever_it_was() -> None:
    for told in WHOLE:
        for length in range(1, len(told.own) - 1):
            own = [*told.own[:length], Entry("run.abandoned", RUN, rc=1)]
            runs = replay(chained([(entry, -1) for entry in (*told.before, *own)])).runs
            assert runs[-1].state is RunState.ABANDONED or "integrate.finished" in types(own)
