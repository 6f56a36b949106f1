"""What real runs write into the ledger: each type of event, with values that mean something, under
its cause.
"""

from __future__ import annotations

import hashlib
import json
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from factory.evidence.replay import replay
from factory.model.events import ACTORS, EVENTS
from factory.model.ledger_chain import parse_event
from tests.world import World, environment

pytestmark = pytest.mark.linux

ROOT = Path(__file__).resolve().parents[2]
# Those of determinism, of the network and of the old judge have tests of their own, and so have
# those of what went wrong.
OF_THE_NETWORK = {"egress.finished", "shell.connected"}
OF_ENVIRONMENTS = {"environment.prepared", "environment.failed", "environment.connected"}
OF_MISHAPS = {"branch.abandoned", "pack.abandoned"}
ELSEWHERE = {
    "determinism.shown",
    "determinism.refuted",
    "pack.reproducible",
    "ledger.restarted",
    *OF_ENVIRONMENTS,
    *OF_MISHAPS,
    *OF_THE_NETWORK,
}
TASK = """
scope: {{allowed_paths: ["docs/**"]}}
limits: {{attempts: 2}}
steps: [{{name: write, run: "mkdir -p docs && echo {0} > docs/{0}.txt{1}"}}]
"""


@pytest.fixture(scope="module")
def lived(tmp_path_factory: pytest.TempPathFactory) -> World:
    """A repository that went through everything: killed, recovered, blocked, put on a branch,
    collected, verified.
    """
    world = World(tmp_path_factory.mktemp("lived") / "repo")
    world.pack(
        "TASK-0101-one",
        TASK.format("one", ""),
        "checks: [{name: all, run: 'test -f docs/one.txt'}]",
    )
    world.pack("TASK-0102-two", TASK.format("two", " && sleep 300"))
    world.commit()
    killed(world)
    world.pack("TASK-0102-two", TASK.format("two", ""), "checks: [{name: no, run: 'false'}]")
    assert world.factory("oneshot", "-n", "1").rc == 2
    bundle = world.state / "bundles" / "TASK-0101" / "SUMMARY.md"
    bundle.write_text("changed by hand\n")
    assert world.factory("oneshot", "-n", "1").rc == 2
    world.pack(
        "TASK-0102-two",
        TASK.format("two", " && mkdir docs/tests && mv docs/two.txt docs/tests"),
        "checks: [{name: all, run: 'test -d docs || true'}]",
    )
    world.commit()
    with (world.state / "ledger.jsonl").open("ab") as stream:
        stream.write(b'{"actor":"pipel')
    assert world.factory("oneshot", "-n", "1").rc == 0
    assert world.factory("shell", "TASK-0101", "--command", "true").rc == 0
    for words in (
        ["integrate", "--branch"],
        ["gc", "--yes"],
        ["gc", "--yes", "--keep", "1"],
    ):
        ended = world.factory(*words)
        assert ended.rc == 0, ended.text
    ended = world.factory("verify", "--record")
    assert ended.out.splitlines()[-1].startswith("INTACT, NOT TRUSTED"), ended.text
    return world


def killed(world: World) -> None:
    """A run of which the whole process group is killed while the second pack sleeps."""
    words = [sys.executable, "-m", "factory", "oneshot", "-n", "1"]
    with subprocess.Popen(
        words,
        cwd=world.root,
        env=environment(),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    ) as process:
        deadline = time.monotonic() + 120
        while len(world.executed()) < 2:
            assert time.monotonic() < deadline
            assert process.poll() is None
            time.sleep(0.02)
        process.send_signal(signal.SIGKILL)


def of(world: World, kind: str) -> list[dict[str, Any]]:
    return [event for event in world.events() if event["event_type"] == kind]


def test_every_line_holds_the_written_schema(lived: World) -> None:
    schema = json.loads((ROOT / "schemas/run_ledger_event.schema.json").read_text("utf-8"))
    validator = Draft202012Validator(schema)
    events = lived.events()
    assert len(events) > 40
    for event in events:
        assert list(validator.iter_errors(event)) == []
    for member in schema["required"]:
        assert list(validator.iter_errors({**events[0], member: None})) != []


def test_every_type_and_actor_occurs_and_no_other(lived: World) -> None:
    events = lived.events()
    assert {event["event_type"] for event in events} == EVENTS.keys() - ELSEWHERE
    assert {event["actor"] for event in events} == ACTORS.keys() - {"determinism", "environment"}


def test_the_history_replays_and_agrees_with_the_folders(lived: World) -> None:
    events = [
        parse_event(line) for line in (lived.state / "ledger.jsonl").read_bytes().splitlines()
    ]
    runs = replay(events).runs
    assert [run.state.value for run in runs] == ["removed", "finished", "finished", "finished"]
    ended = lived.factory("ledger-replay")
    assert ended.rc == 0, ended.text


def test_each_event_hangs_below_its_cause(lived: World) -> None:
    kinds = {event["event_id"]: event["event_type"] for event in lived.events()}
    causes = {
        (event["event_type"], kinds.get(event["parent_event_id"], "")) for event in lived.events()
    }
    assert causes == {
        ("run.started", ""), ("ledger.recovered", ""), ("recovery.finished", ""), ("gc.cache-removed", ""),
        ("shell.opened", ""), ("shell.closed", ""),
        ("gc.raw-removed", ""), ("gc.removed", ""),
        ("lock.taken", "run.started"), ("lock.released", "run.started"), ("preflight.finished", "run.started"),
        ("pack.started", "run.started"), ("bundle.refused", "run.started"), ("bundle.copied", "run.started"),
        ("step.finished", "pack.started"), ("check.finished", "pack.started"), ("attempt.finished", "pack.started"),
        ("judge.finished", "pack.started"),
        ("pack.finished", "attempt.finished"), ("bundle.validated", "pack.finished"),
        ("bundle.validated", "run.started"),  # of a pack that still held
        ("merge.finished", "run.started"), ("recheck.finished", "merge.finished"),
        ("recheck.judged", "merge.finished"), ("check.reused", "merge.finished"),
        ("check.reused", "pack.started"),
        ("integrate.prepared", "run.started"), ("integrate.prepared", "merge.finished"),
        ("integrate.finished", "integrate.prepared"), ("run.abandoned", "run.started"),
        ("branch.prepared", "integrate.finished"), ("branch.created", "branch.prepared"),
        ("verify.finished", "integrate.finished"),
    }  # fmt: skip


def test_values_mean_something(lived: World) -> None:
    """Durations are of what they say, hashes are of what lies there, counts count."""
    (run,) = [event["run_id"] for event in of(lived, "merge.finished")]
    folder = lived.state / "runs" / run
    digest = {path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
              for path in folder.rglob("*") if path.is_file()}  # fmt: skip
    prepared, finished = of(lived, "integrate.prepared")[-1], of(lived, "integrate.finished")[-1]
    own = [
        event
        for event in lived.events()
        if event["run_id"] == run and event["seq"] < prepared["seq"]
    ]
    assert (
        sum(e["duration_ms"] for e in own if e["event_type"] == "pack.finished")
        <= prepared["duration_ms"]
        < 300_000
    )
    assert prepared["hashes"]["status"] == digest["Z_integrator/STATUS.json"]
    assert finished["hashes"]["report"] == digest["Z_integrator/FINAL_REPORT.md"]
    assert finished["file_counts"] == {"changed": 2}
    for event in own:
        pack = event["details"].get("pack", "")
        match event["event_type"]:
            case "bundle.validated":
                assert event["hashes"]["manifest"] == digest[f"{pack}/manifest.json"]
                assert event["file_counts"]["files"] == sum(
                    path.startswith(f"{pack}/") for path in digest
                )
            case "step.finished" | "check.finished":
                assert (
                    event["hashes"]["log"] == digest[f"{pack}/LOGS/{event['details']['label']}.log"]
                )
                assert event["details"]["ended"] == "exited"
            case "attempt.finished":
                counts = dict.fromkeys(("artifacts", "discarded", "ignored", "outside"), 0)
                assert event["file_counts"] == {**counts, "changed": 1}
                assert event["duration_ms"] > 0
            case "run.started":
                assert event["hashes"]["plan"] == digest["PLAN.json"]
            case "preflight.finished":
                assert event["file_counts"] == {"packs": 2, "files": 10}
                assert event["hashes"]["plan"] == digest["PLAN.json"]
    (verified,) = of(lived, "verify.finished")
    assert verified["hashes"]["manifest"] == digest["RUN_MANIFEST.json"]
    found = (verified["rc"], verified["details"]["status"], verified["file_counts"]["findings"])
    assert found == (2, "BLOCKED", 0)  # nothing differs, and nobody signed
    assert verified["details"]["outcome"] == "intact-untrusted"
    ended = {event["run_id"] for event in of(lived, "integrate.finished")}
    for event in of(lived, "lock.released"):
        assert event["details"]["lock"] != "run" or event["run_id"] not in ended
    (recovery,) = of(lived, "recovery.finished")
    assert recovery["file_counts"] == {"finished": 0, "abandoned": 1}


def test_a_failed_command_is_told_with_its_code(lived: World) -> None:
    failed = [event for event in of(lived, "check.finished") if event["rc"] != 0]
    assert {(event["details"]["pack"], event["rc"]) for event in failed} == {("TASK-0102", 1)}
    assert [event["details"]["attempt"] for event in failed] == ["1", "2"] * 2
    (refused,) = of(lived, "bundle.refused")
    assert "SUMMARY.md" in refused["details"]["why"]
