"""Whatever commands a person types, and in whatever order: the history that they leave replays."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.world import World

pytestmark = pytest.mark.linux

TASK = "scope: {{allowed_paths: ['{0}.txt']}}\nsteps: [{{name: w, run: 'echo {0} > {0}.txt'}}]\n"


def test_single_commands_replay_and_agree(tmp_path: Path) -> None:
    world = World(tmp_path / "repo")
    world.pack("TASK-0101-one", TASK.format("one"))
    world.pack("TASK-0102-two", TASK.format("two"))
    world.commit()
    for words in (
        ["preflight"],
        ["launch", "TASK-0101"],
        ["bundle-validate"],
        ["integrate"],
        ["summary"],
    ):
        ended = world.factory(*words)
        assert ended.rc == 0, ended.text
    (world.state / "bundles/TASK-0101/SUMMARY.md").write_text("changed by hand\n")
    assert world.factory("oneshot", "-n", "2").rc == 0
    assert world.doit("forget", "launch:TASK-0102-two").rc == 0
    assert world.factory("launch").rc == 0
    assert world.factory("oneshot").rc == 0
    ended = world.factory("ledger-replay")
    assert ended.rc == 0, ended.text


def test_what_runs_again_to_the_same_bytes_is_validated_in_that_run(tmp_path: Path) -> None:
    world = World(tmp_path / "repo")
    world.pack("TASK-0101-one", TASK.format("one"))
    world.commit()
    assert world.factory("oneshot").rc == 0
    (world.state / "bundles/TASK-0101/SUMMARY.md").write_text("changed by hand\n")
    assert world.factory("oneshot").rc == 0
    events = world.events()
    second = [event for event in events if event["run_id"] == events[-1]["run_id"]]
    assert [event["event_type"] for event in second if event["event_type"].startswith("bundle.")] == [
        "bundle.refused", "bundle.validated",
    ]  # fmt: skip
    manifests = {
        event["hashes"]["manifest"] for event in events if event["event_type"] == "bundle.validated"
    }
    assert len(manifests) == 1
