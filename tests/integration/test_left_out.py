"""New files that a contract throws away: by `discard`, and outside the scope by `outside: drop`."""

from __future__ import annotations

import json

import pytest

from tests.world import World

pytestmark = pytest.mark.linux

DROP = 'scope: {allowed_paths: ["docs/"], denied_paths: ["docs/no/"], outside: drop}\n'
BLOCK = 'scope: {allowed_paths: ["docs/"]}\n'
CACHES = 'discard: ["**/__cache__/", "*.log"]\n'
LEAVES = "echo x | tee docs/__cache__/x a/__cache__/c/y run.log > /dev/null"
SEES = 'checks: [{name: unseen, run: "! test -e away && ! test -e docs/no"}]\n'

# pack: scope and discard, step, findings, changed paths, counts (ignored, discarded, outside)
CASES: dict[str, tuple[str, str, list[str], list[str], tuple[int, ...]]] = {
    "TASK-0001": (
        DROP,
        "mkdir -p docs/no away; echo $0 | tee docs/a docs/no/x away/b c d.ignored > /dev/null",
        [],
        ["docs/a"],
        (1, 0, 3),
    ),
    "TASK-0002": (DROP, "mkdir docs; echo $0 > docs/b; echo x >> run.sh", ["SCOPE"], [], ()),
    "TASK-0003": (DROP, "rm run.sh", ["SCOPE"], [], ()),
    "TASK-0004": (DROP, "mv run.sh other.sh", ["SCOPE"], [], (0, 0, 1)),
    "TASK-0005": (DROP, "rm run.sh; mkdir run.sh; echo x > run.sh/new", ["SCOPE"], [], (0, 0, 1)),
    "TASK-0006": (DROP, "rm -r lib; echo x > lib", ["SCOPE"], [], (0, 0, 0)),
    "TASK-0007": (DROP, "chmod +x run.sh", ["SCOPE"], [], (0, 0, 0)),
    "TASK-0008": (DROP, "echo x > noxfile.py", ["PATH_PROTECTED"], [], (0, 0, 0)),
    "TASK-0009": (DROP, "mkfifo pipe", ["FILE_SPECIAL"], [], (0, 0, 0)),
    "TASK-0010": (DROP, "mkdir x; echo x > x/.GIT", ["PATH_GIT_NAME"], [], (0, 0, 0)),
    "TASK-0011": (
        BLOCK + CACHES,
        "mkdir -p docs/__cache__ a/__cache__/c; echo $0 > docs/c; ln -s /etc e.log; " + LEAVES,
        [],
        ["docs/c"],
        (0, 4, 0),
    ),
    "TASK-0012": (BLOCK + CACHES, "echo x > b.txt", ["SCOPE"], [], (0, 0, 0)),
    "TASK-0013": (BLOCK + CACHES, "echo x >> kept.log", ["SCOPE"], [], (0, 0, 0)),
    "TASK-0014": (BLOCK + 'discard: ["**"]\n', "echo x > factory.toml", ["PATH_PROTECTED"], [], ()),
    "TASK-0015": (
        DROP + 'artifacts: {required: ["/out/r.txt"]}\n',
        "mkdir out; echo x > out/r.txt; echo y > out/s.txt",
        [],
        [],
        (0, 0, 1),
    ),
    "TASK-0016": (DROP + 'inputs: ["docs/"]\n', "echo x > run.sh", ["SCOPE", "HIDDEN"], [], ()),
    "TASK-0017": (DROP + "expect: change\n", "echo x > away", ["NO_CHANGE"], [], (0, 0, 1)),
}
SHORT = {"SCOPE": "SCOPE_OUTSIDE_ALLOWED", "HIDDEN": "INPUT_HIDDEN_CHANGED"}


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    here = World(tmp_path_factory.mktemp("left-out") / "repository")
    here.write("run.sh", "true\n")
    here.write("kept.log", "tracked\n")
    here.write("lib/a", "1\n")
    for name, (contract, step, *_) in CASES.items():
        here.pack(f"{name}-x", f"{contract}steps: [{json.dumps(step)}]\n", SEES)
    here.commit()
    assert here.factory("oneshot").rc == 2
    return here


@pytest.mark.parametrize("name", CASES)
def test_only_new_files_are_thrown_away_and_each_is_counted(world: World, name: str) -> None:
    _, _, findings, paths, counts = CASES[name]
    status = world.bundle(name)
    assert {found["id"] for found in status["findings"]} == {
        SHORT.get(one, one) for one in findings
    }
    assert status["status"] == ("BLOCKED" if findings else "PASS")
    changed = world.bundle(name, "FILES_CHANGED.json")
    if not findings:
        assert [row["path"] for row in changed["files"]] == paths
    if counts:
        kinds = ("ignored_dropped", "discarded", "outside_dropped")
        assert tuple(changed[kind] for kind in kinds) == counts
    (event,) = (
        event
        for event in world.events()
        if event["event_type"] == "attempt.finished" and event["details"]["pack"] == name
    )
    assert event["file_counts"]["discarded"] == changed["discarded"]
    assert event["file_counts"]["outside"] == changed["outside_dropped"]


def test_verify_agrees_with_every_count(world: World) -> None:
    assert world.differs() == ""


def test_an_artifact_outside_the_scope_is_collected_and_not_counted(world: World) -> None:
    assert world.bundle("TASK-0015")["artifacts"] == ["out/r.txt"]
