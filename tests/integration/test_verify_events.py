"""No event of a run can be changed, taken away or told twice unnoticed, by whoever chains and
attests anew.

Real runs, made once; then every member of every event, one at a time. What survives is listed below
with its reason: the writer alone tells it, and nothing else in the evidence knows it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

import pytest

from factory.model.evidence import EventDocument
from factory.model.finding import Finding
from factory.verify.bundle import Bundle, BundleCheck
from factory.verify.documents import RunStatus
from factory.verify.event_forms import FORMS
from factory.verify.form import read
from factory.verify.history import HistoryCheck
from factory.verify.manifests import FileDigests
from factory.verify.repository import RepositoryObjects
from factory.verify.results import Results
from tests.verify_kit import (
    Memory,
    around,
    chained,
    check,
    events_of,
    load,
    places,
    retold,
    told_only,
)
from tests.world import World

pytestmark = pytest.mark.linux

COPY = "attestations/ledger.jsonl"
HOST = (
    "what the host enforced: the provenance repeats it, and nothing else in the run's folder"
    " says so"
)
EARLIER = (
    "of an attempt that another one followed, only verdict, tree and whether it failed are kept"
)
HELD = "a phase that is up to date is not done again, and then leaves no event"
ALONE = {
    ("preflight.finished", "removed"): HELD,
    **{
        ("pack.started", f"hash {name}"): HOST
        for name in ("orchestrator", "sandbox", "syscall_filter")
    },
    ("run.started", "detail origin"): HOST,
    **{
        ("pack.started", f"detail {name}"): HOST
        for name in (
            *("host", "kernel", "landlock_abi", "measured", "orchestrator_version", "sandbox"),
            "sandbox_version",
        )
    },
    **{("pack.started", f"without {name}"): HOST for name in ("sandbox", "syscall_filter")},
}
KEY = "what decides a check: variables and facts of the host, of which no file of the run has all"
ALONE_WHERE_REUSED = {("check.reused", "hash key"): KEY}
ALONE_WHERE_BLOCKED = {
    (
        "preflight.finished",
        "count files",
    ): "not every pack has a bundle whose own files could be counted",
    (
        "bundle.validated",
        "removed",
    ): "where the disk refused the event, the run is BLOCKED and goes on without it",
    **{("step.finished", name): EARLIER for name in ("hash log", "rc")},
    **{
        ("attempt.finished", f"count {name}"): EARLIER
        for name in ("artifacts", "changed", "ignored", "discarded", "outside")
    },
}
MEASURED = {
    kind for kind in FORMS if kind not in ("step.finished", "check.finished", "egress.finished")
}


@dataclass(frozen=True)
class Made:
    """One real run, its bundles re-derived, and every event of the ledger up to its end."""

    run: Memory
    status: RunStatus
    bundles: Mapping[str, Bundle]
    before: tuple[EventDocument, ...]
    own: tuple[EventDocument, ...]


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    """Three runs: both packs made, and merged; then one tried twice and BLOCKED, and the other
    copied; then, where more is required, both made again with checks of the first run.
    """
    world = World(tmp_path_factory.mktemp("events"))
    world.pack(
        "TASK-0001-alpha",
        "scope: {allowed_paths: [docs/]}\nartifacts: {optional: [out/*.txt]}\n"
        "steps: ['mkdir docs; echo a > docs/a', 'mkdir -p taskpacks/TASK-0001-alpha/out; "
        "echo r > taskpacks/TASK-0001-alpha/out/r.txt']\n",
        "tests: ['test -f docs/a']\nchecks: ['echo fine']\n",
    )
    beta = (
        "scope: {{allowed_paths: [docs/, tests/]}}\ndepends_on: [TASK-0001]\nlimits: {{attempts:"
        " 2}}\nsteps: ['{}']\n"
    )
    never_the_same = "cat /proc/sys/kernel/random/uuid; exit 3"
    good = "echo b > docs/b; mkdir tests; echo t > tests/t"
    for line, rc, require in ((good, 0, ""), (never_the_same, 2, ""), (good, 0, "change")):
        world.pack("TASK-0002-beta", beta.format(line))
        world.commit()
        done = world.factory("oneshot", **({"FACTORY_JUDGE_REQUIRE": require} if require else {}))
        assert done.rc == rc, done.text
    return world


@pytest.fixture(scope="module")
def made(world: World) -> list[Made]:
    lines = (world.state / "ledger.jsonl").read_bytes().splitlines()
    whole = [EventDocument.model_validate_json(line) for line in lines]
    found = []
    for run_id in world.runs():
        run = load(world.state / "runs" / run_id)
        own = tuple(events_of(run))
        status = read(RunStatus, run.files["Z_integrator/STATUS.json"])
        sheet, seen = Results(), FileDigests(run)
        names = [line.pack for line in status.packs if line.bundle_sha256]
        bundles = {pack: BundleCheck(sheet, run, seen, pack).check() for pack in names}
        assert sheet.findings == []
        before = tuple(event for event in whole if event.seq < own[0].seq)
        found.append(
            Made(run, status, {pack: one for pack, one in bundles.items() if one}, before, own)
        )
    return found


def history(made: Made, at: int, *events: EventDocument) -> list[Finding]:
    """What is found in the history alone, where these events take the place of the one at that
    place.
    """
    told = chained((*events, *made.own[at + 1 :]), (*made.before, *made.own[:at]))
    run, ledger = told_only(made.run, told)
    sheet = Results()
    HistoryCheck(
        sheet, run, FileDigests(run), around(ledger, sizes={len(told)}), made.status
    ).check(made.bundles)
    return sheet.findings


def other(value: str) -> str:
    return (
        "a" * len(value)
        if len(value) in (40, 64) and set(value) != {"a"}
        else "ghost"
        if value
        else "b" * 64
    )


def mutants(event: EventDocument) -> Iterator[tuple[str, tuple[EventDocument, ...]]]:
    """Everything that one event can be made into."""

    def made(**update: object) -> tuple[EventDocument, ...]:
        return (event.model_copy(update=update),)

    yield "removed", ()
    yield "told twice", (event, event)
    for rc in {0, 1, 2} - {event.rc}:
        yield "rc", made(rc=rc)
    yield "duration", made(duration_ms=event.duration_ms + 1)
    yield "actor", made(actor="ghost")
    yield "type", made(event_type="ghost.finished")
    for name, value in event.hashes.items():
        rest = {key: kept for key, kept in event.hashes.items() if key != name}
        yield f"hash {name}", made(hashes={**rest, name: other(value)})
        yield f"without {name}", made(hashes=rest)
    for name, count in event.file_counts.items():
        counts = {key: kept for key, kept in event.file_counts.items() if key != name}
        yield f"count {name}", made(file_counts={**counts, name: count + 7})
        yield f"without {name}", made(file_counts=counts)
    for name, text in event.details.items():
        rest = {key: kept for key, kept in event.details.items() if key != name}
        yield f"detail {name}", made(details={**rest, name: other(text)})
        yield f"without {name}", made(details=rest)
    yield "a hash more", made(hashes={**event.hashes, "ghost": "a" * 64})
    yield "a count more", made(file_counts={**event.file_counts, "ghost": 1})
    yield "a detail more", made(details={**event.details, "ghost": "ghost"})


def survivors(made: Made) -> tuple[set[tuple[str, str]], int]:
    """What could be done to which kind of event unnoticed, and how much was tried."""
    found: set[tuple[str, str]] = set()
    tried = 0
    for at, event in enumerate(made.own):
        for name, instead in mutants(event):
            tried += 1
            findings = history(made, at, *instead)
            if not findings:
                found.add((event.event_type, name))
            assert all(" expected " in finding.message for finding in findings)
    return found, tried


def test_a_forger_who_changes_nothing_is_not_found(made: list[Made]) -> None:
    for one in made:
        assert history(one, 0, one.own[0]) == []


def test_no_mutation_of_an_event_survives(made: list[Made]) -> None:
    found, tried = zip(*map(survivors, made), strict=True)
    assert sum(tried) > 600
    passed, blocked, reused = found
    measured = {(kind, "duration") for kind in MEASURED}
    assert passed - measured == set(ALONE)
    assert reused - measured - set(ALONE) == set(ALONE_WHERE_REUSED)
    assert blocked - measured - set(ALONE) == set(ALONE_WHERE_BLOCKED)


def test_checks_of_the_first_run_are_in_the_last_one(made: list[Made]) -> None:
    first, _, last = made
    told = {(one.pack, one.attempt, one.label) for one in last.status.reused}
    merged = {(pack, 0, label) for pack, _, label in told}
    assert {("TASK-0001", 1, "tests-1"), ("TASK-0001", 1, "check-1")} <= told
    assert ("TASK-0002", 1, "old.check-1") in told
    assert {("TASK-0001", 0, "tests-1"), ("TASK-0001", 0, "old.tests-1")} <= told, merged
    assert {one.from_run for one in last.status.reused} == {first.status.run_id}
    assert first.status.reused == ()
    logs = [path for path in last.run.files if path.endswith(("LOGS/tests-1.log", "tests-1.log"))]
    assert all(last.run.files[path] == first.run.files[path] for path in logs if "raw/" not in path)


def test_one_mutation_of_each_kind_is_found_by_the_whole_checker(
    world: World, made: list[Made]
) -> None:
    run = made[0]
    at_of = {event.event_type: at for at, event in enumerate(run.own)}
    with RepositoryObjects(world.root / ".git" / "objects", "sha1") as objects:
        for kind, at in [("", 0), *at_of.items()]:
            spoilt = run.own[at].model_copy(update={"rc": 7 if kind else run.own[at].rc})
            told = chained((spoilt, *run.own[at + 1 :]), (*run.before, *run.own[:at]))
            evidence, ledger = retold(run.run, told)
            verified = check(
                evidence, replace(around(ledger, sizes={len(told)}), repository=objects)
            )
            assert places(verified) == ({COPY} if kind else set()), kind


def test_a_changed_file_of_a_bundle_is_the_only_one_that_is_named(made: list[Made]) -> None:
    run = made[0].run
    ledger = retold(run, [*made[0].before, *made[0].own])[1]
    for path in (
        "DIFF.patch",
        "CHANGES.bundle",
        "SCOPE_LOCK.json",
        "LOGS/tests-1.log",
        "SUMMARY.md",
    ):
        spoilt, name = run.copy(), f"TASK-0001/{path}"
        content = run.files[name]
        spoilt.files[name] = (
            content[:-2] + bytes([content[-2] ^ 1]) + content[-1:] if content else b"x"
        )
        assert places(check(spoilt, around(ledger, sizes={len(ledger.splitlines())}))) == {name}
