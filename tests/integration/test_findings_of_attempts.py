"""Attempts: each from a fresh base, all recorded, nothing retried into green."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.world import World

pytestmark = pytest.mark.linux

SCOPE = 'scope: {allowed_paths: ["docs/**"]}\n'
# Nothing survives an attempt, so chance decides: one in six passes, and what it prints differs each
# time.
DICE = "n=$(od -An -N4 -tu4 /dev/urandom); echo thrown $n; test $((n % 6)) -eq 0"


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    here = World(tmp_path_factory.mktemp("attempts"))
    make = 'steps: [{name: s, run: "test ! -e docs/x && mkdir -p docs && echo x >> docs/x"}]\n'
    here.pack(
        "TASK-0001-dice",
        f"{SCOPE}limits: {{attempts: 80}}\n{make}",
        f"checks:\n  - name: c\n    run: {DICE}\n",
    )
    here.pack(
        "TASK-0002-same",
        f"{SCOPE}limits: {{attempts: 9}}\n{make}",
        'checks: [{name: c, run: "echo no; exit 4"}]\n',
    )
    tree = 'steps: [{name: s, run: "mkdir -p docs; od -An -N8 -tx8 /dev/urandom > docs/x"}]\n'
    here.pack(
        "TASK-0003-tree",
        f"{SCOPE}limits: {{attempts: 80}}\n{tree}",
        'checks: [{name: c, run: "cat docs/x; grep -q [0-3]$ docs/x"}]\n',
    )
    here.pack("TASK-0004-first", f"{SCOPE}limits: {{attempts: 9}}\n{make}")
    scope = 'steps: [{name: s, run: "echo x > README.md"}]\n'
    here.pack("TASK-0005-scope", f"{SCOPE}limits: {{attempts: 9}}\n{scope}")
    here.commit()
    here.grant("bound attempts=80 *")
    for _ in range(12):
        assert here.doit("oneshot", FACTORY_FRESH="true").rc == 2
        if len(here.bundle("TASK-0001")["attempts"]) > 1:
            break
        here.doit("forget", "launch")  # it passed at once: throw again
    return here


def attempts(world: World, pack: str) -> list[tuple[int, str]]:
    return [(attempt["number"], attempt["status"]) for attempt in world.bundle(pack)["attempts"]]


def test_a_pass_after_a_failure_on_one_tree_is_flaky_and_blocked(world: World) -> None:
    status = world.bundle("TASK-0001")
    trees = {attempt["result_tree"] for attempt in status["attempts"]}
    assert len(trees) == 1
    assert [number for number, _ in attempts(world, "TASK-0001")] == list(
        range(1, len(status["attempts"]) + 1)
    )
    assert status["attempts"][-1]["status"] == "PASS"
    assert {attempt["status"] for attempt in status["attempts"][:-1]} == {"BLOCKED"}
    assert status["status"] == "BLOCKED"
    (finding,) = status["findings"]
    assert (finding["id"], finding["message"], finding["hint"]) == (
        "FLAKY",
        "acceptance failed and then passed on an identical tree; a retry proves nothing",
        "Make the check deterministic.",
    )
    assert (finding["file"].rpartition("/")[2], finding["line"]) == ("task.yml", 5)


def test_the_same_failure_twice_ends_it_early(world: World) -> None:
    assert attempts(world, "TASK-0002") == [(1, "BLOCKED"), (2, "BLOCKED")]
    one, other = world.bundle("TASK-0002")["attempts"]
    assert one["failure"] == other["failure"] != ""
    assert attempts(world, "TASK-0005") == [(1, "BLOCKED"), (2, "BLOCKED")]


def test_a_pass_on_another_tree_is_a_pass_with_its_history(world: World) -> None:
    found = attempts(world, "TASK-0003")
    assert found[-1][1] == "PASS"
    assert world.bundle("TASK-0003")["status"] == "PASS"
    assert all(status == "BLOCKED" for _, status in found[:-1])
    remarks = [one["message"] for one in world.bundle("TASK-0003")["findings"]]
    said = f"attempts: {len(found)} of 80: it passed after a failed attempt"
    assert remarks == ([said] if len(found) > 1 else [])


def test_a_pass_needs_no_second_attempt(world: World) -> None:
    assert attempts(world, "TASK-0004") == [(1, "PASS")]


def test_every_attempt_is_in_the_ledger_and_its_raw_logs_are_kept(world: World) -> None:
    run = world.last().parent
    events = [
        (event["details"]["attempt"], event["details"]["status"])
        for event in world.events()
        if event["event_type"] == "attempt.finished"
        and event["run_id"] == run.name
        and event["details"]["pack"] == "TASK-0001"
    ]
    assert events == [(str(number), status) for number, status in attempts(world, "TASK-0001")]
    raw = run / "raw/TASK-0001"
    assert sorted(path.name for path in raw.iterdir()) == sorted(
        f"attempt-{number}" for number, _ in events
    )
    logs = {Path(path, "check-1.log").read_bytes() for path in raw.iterdir()}
    assert len(logs) == len(events)
