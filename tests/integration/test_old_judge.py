"""A result is judged by the judge as it was before the work: what a pack may change of it, and what
it may not.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.sample import WHOLE
from tests.world import World

pytestmark = pytest.mark.linux

RUN = "python -m pytest -q -p no:cacheprovider"
TESTS = f"tests: [{RUN}]\n"
SKIP = "s/^def/@pytest.mark.skip\\ndef/"
IGNORE = '"--ignore=tests/test_two.py"'
NEW_TEST = "echo 'def test_new(): pass' > tests/test_new.py"
GOOD = "from links import one\n\n\ndef test_good():\n    assert one() == 1\n"
BAD = "from links import two\n\n\ndef test_two():\n    assert two() == 2\n"
# What each pack does (a line of shell for each), what it adds to acceptance.yml, and its findings.
PACKS: dict[str, tuple[str, str, set[str]]] = {
    "rewrites the failing test": (
        "echo 'def test_two(): pass' > tests/test_two.py",
        "",
        {"JUDGE_CHANGED"},
    ),
    "deletes the failing test": ("rm tests/test_two.py", "", {"JUDGE_CHANGED"}),
    "plants a conftest": (
        "echo 'collect_ignore = [\"tests/test_two.py\"]' > conftest.py",
        "",
        {"JUDGE_CHANGED"},
    ),
    "plants an ini file": (
        "printf '[pytest]\\naddopts = --ignore=tests/test_two.py\\n' > pytest.ini",
        "",
        {"JUDGE_CHANGED"},
    ),
    "plants a runner": (
        "printf 'print(\"9 passed in 0.1s\")\\n' > pytest.py",
        "",
        {"JUDGE_CHANGED"},
    ),
    "changes a table of half code": (
        f"printf '[tool.pytest.ini_options]\\naddopts = {IGNORE}\\n' >> pyproject.toml",
        "",
        {"JUDGE_CHANGED"},
    ),
    "repairs": ("sed -i s/3/2/ links.py", "", set()),
    "repairs and adds a test": (
        "sed -i s/3/2/ links.py; echo 'def test_new(): pass' > tests/test_new.py",
        "",
        set(),
    ),
    "repairs and changes the other half": (
        "sed -i s/3/2/ links.py; sed -i s/name/description/ pyproject.toml",
        "",
        set(),
    ),
    "may rewrite its test": (
        "sed -i s/3/4/ links.py; sed -i 's/== 2/== 4/' tests/test_two.py",
        "may_change: [tests/test_two.py]\n",
        set(),
    ),
    "may rewrite, and deletes one test": (
        "sed -i s/3/2/ links.py; rm tests/test_good.py",
        "may_change: [tests/]\n",
        {"JUDGE_WEAKENED"},
    ),
    "may rewrite, and skips one test": (
        f"sed -i s/3/2/ links.py; sed -i '{SKIP}; 1i import pytest' tests/test_good.py",
        "may_change: [tests/]\n",
        {"JUDGE_WEAKENED"},
    ),
    "retires the test it deletes": (
        "sed -i s/3/2/ links.py; rm tests/test_good.py",
        'may_change: [tests/]\nretires: ["tests/test_good.py::test_good"]\n',
        set(),
    ),
    "repairs what had to be repaired": ("sed -i s/3/2/ links.py", "require: [fixed]\n", set()),
    "brings a test of what it repairs": (
        f"echo 'def three(): return 3' >> links.py; sed -i s/3/2/ links.py; {NEW_TEST}",
        "require: [change, fixed]\n",
        set(),
    ),
    "needs each hunk": ("sed -i s/3/2/ links.py", "require: [every-hunk]\n", set()),
    "brings more than is tested": (
        "sed -i s/3/2/ links.py; echo '# a remark' >> pyproject.toml; echo x > new.txt",
        "require: [every-hunk]\n",
        {"HUNK_UNPROVED"},
    ),
}
# Each starts pytest several times in a sandbox: the corpus of lies has these kinds too.
AT_NIGHT = (
    "deletes the failing test",
    "plants a conftest",
    "plants an ini file",
    "plants a runner",
    "may rewrite, and skips one test",
    "brings a test of what it repairs",
)
if not WHOLE:
    PACKS = {name: pack for name, pack in PACKS.items() if name not in AT_NIGHT}
# What a pack does where nothing is to be repaired, what it adds to acceptance.yml, and its findings.
DONE: dict[str, tuple[str, str, set[str]]] = {
    "changes nothing": ("true", "", set()),
    "changes nothing, and must": ("true", "require: [change]\n", {"NO_CHANGE"}),
    "repairs nothing, and must": (
        "echo '# a remark' >> links.py",
        "require: [fixed]\n",
        {"NOT_FIXED"},
    ),
    "changes nothing, and must repair": ("true", "require: [fixed]\n", {"NOT_FIXED"}),
    "adds what only its own test shows": (
        (
            "echo 'def four(): return 4' >> links.py; "
            "printf 'from links import four\\ndef test_four(): assert four() == 4\\n' > tests/test_4.py"
        ),
        "require: [change, fixed, every-hunk]\n",
        set(),
    ),
}


def played(world: World, packs: dict[str, tuple[str, str, set[str]]], two: int) -> dict[str, Any]:
    """Return STATUS.json of each pack's bundle, all of one run, where `two()` returns `two`."""
    world.write("links.py", f"def one():\n    return 1\n\n\ndef two():\n    return {two}\n")
    world.write("tests/test_good.py", GOOD)
    world.write("tests/test_two.py", BAD)
    world.write("pyproject.toml", '[project]\nname = "x"\n')
    for number, (work, asked, _) in enumerate(packs.values(), 1):
        steps = json.dumps([work])
        task = f"scope: {{allowed_paths: ['**']}}\nsteps: {steps}\n"
        world.pack(f"TASK-{number:04}-x", task, TESTS + asked)
    world.commit()
    world.factory("oneshot")
    folders = (world.state / "bundles" / f"TASK-{number:04}" for number, _ in enumerate(packs, 1))
    read = (json.loads((folder / "STATUS.json").read_text()) for folder in folders)
    return dict(zip(packs, read, strict=True))


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    return World(tmp_path_factory.mktemp("judge") / "repository")


@pytest.fixture(scope="module")
def bundles(world: World) -> dict[str, dict[str, Any]]:
    return played(world, PACKS, 3)


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Any]]:
    return played(World(tmp_path_factory.mktemp("judge") / "done"), DONE, 2)


@pytest.mark.parametrize("name", PACKS)
def test_what_a_pack_did_is_found(name: str, bundles: dict[str, dict[str, Any]]) -> None:
    status = bundles[name]
    found = {one["id"] for one in status["findings"] if one["severity"] == "error"}
    assert found == PACKS[name][2], [one["message"] for one in status["findings"]]
    assert status["status"] == ("BLOCKED" if found else "PASS")


@pytest.mark.parametrize("name", DONE)
def test_what_a_pack_has_not_shown_is_found(name: str, done: dict[str, dict[str, Any]]) -> None:
    status = done[name]
    found = {one["id"] for one in status["findings"] if one["severity"] == "error"}
    assert found == DONE[name][2], [one["message"] for one in status["findings"]]
    assert status["status"] == ("BLOCKED" if found else "PASS")


def test_the_bundle_says_what_a_check_said_before(
    bundles: dict[str, dict[str, Any]], done: dict[str, dict[str, Any]]
) -> None:
    (row,) = bundles["repairs what had to be repaired"]["judged"]["checks"]
    assert row["before"] == "fixed"
    (row,) = done["repairs nothing, and must"]["judged"]["checks"]
    assert row["before"] == "ok"
    (row,) = bundles["needs each hunk"]["judged"]["hunks"]
    assert row == {"path": "links.py", "line": 6, "lines": 1, "failed": "tests-1"}
    messages = [one["message"] for one in bundles["brings more than is tested"]["findings"]]
    assert messages == [
        (
            "every-hunk is required; without 2 hunks (new.txt:1, pyproject.toml:3) every check still"
            " passes"
        )
    ]
    messages = [one["message"] for one in done["changes nothing, and must repair"]["findings"]]
    assert messages == [
        (
            "a repair is required; expected a check that fails on the base's code under the result's"
            " judge and passes now, found tests-1 ok"
        )
    ]


def test_a_pack_that_touches_no_judge_runs_nothing_more(bundles: dict[str, dict[str, Any]]) -> None:
    judged = bundles["repairs"]["judged"]
    assert judged["files"] == judged["runs"] == []
    assert judged["checks"] == [
        {"label": "tests-1", "before": "not-asked", "old_judge": "not-asked"}
    ]
    assert bundles["repairs and changes the other half"]["judged"]["files"] == []


def test_the_bundle_says_what_was_asked(bundles: dict[str, dict[str, Any]]) -> None:
    judged = bundles["rewrites the failing test"]["judged"]
    assert judged["files"] == [
        {"path": "tests/test_two.py", "role": "test", "change": "modified", "permitted": False}
    ]
    assert [row["old_judge"] for row in judged["checks"]] == ["broken"]
    assert [(row["label"], row["rc"]) for row in judged["runs"]] == [("old.tests-1", 1)]
    judged = bundles["retires the test it deletes"]["judged"]
    assert judged["retired"] == ["tests/test_good.py::test_good"]
    assert {row["label"].split(".")[0] for row in judged["runs"]} == {"base", "result"}


ONE = "with 1 file of it (tests/test_two.py)"
TEST = "tests/test_good.py::test_good"
REMARKS = {
    "may rewrite its test": [
        "1 file of the judge changed by permission of may_change: tests/test_two.py"
    ],
    "retires the test it deletes": [
        "1 file of the judge changed by permission of may_change: tests/test_good.py",
        "1 test retired by the contract: tests/test_good.py::test_good",
    ],
    "rewrites the failing test": [
        f"tests-1 `{RUN}` passes only with changes of the judge: {ONE} as before the work it fails"
    ],
    "may rewrite, and deletes one test": [
        "1 file of the judge changed by permission of may_change: tests/test_good.py",
        f"1 test that tests-1 `{RUN}` ran before the work no longer run, or are skipped: {TEST}",
    ],
}


@pytest.mark.parametrize("name", REMARKS)
def test_the_sentences(name: str, bundles: dict[str, dict[str, Any]]) -> None:
    found = bundles[name]["findings"]
    assert [one["message"] for one in found] == REMARKS[name]
    known = {"JUDGE_PERMITTED", "TESTS_RETIRED", "JUDGE_CHANGED", "JUDGE_WEAKENED"}
    assert {one["id"] for one in found} <= known


def merged(root: Path, work: str, asked: str) -> tuple[dict[str, Any], World]:
    """Return the verdict of a run in which one pack, accepted by one test alone, breaks `two()` and
    does `work`; another one writes a document, and is accepted by all tests.
    """
    world = World(root)
    world.write("links.py", "def one():\n    return 1\n\n\ndef two():\n    return 2\n")
    world.write("tests/test_good.py", GOOD)
    world.write("tests/test_two.py", BAD)
    steps = json.dumps([f"sed -i s/2/3/ links.py; {work}"])
    task = f"scope: {{allowed_paths: ['**']}}\nsteps: {steps}\n"
    world.pack("TASK-0001-breaks", task, f"tests: [{RUN} tests/test_good.py]\n{asked}")
    task = "scope: {allowed_paths: [docs/]}\nsteps: ['mkdir docs; echo a > docs/a.md']\n"
    world.pack("TASK-0002-writes", task, TESTS)
    world.commit()
    done = world.factory("oneshot")
    assert done.rc == 2, done.text
    return world.status(), world


def test_another_packs_judge_does_not_judge_on_the_merged_tree(tmp_path: Path) -> None:
    hides = "echo 'collect_ignore = [\"tests/test_two.py\"]' > conftest.py"
    status, world = merged(tmp_path / "repository", hides, "")
    assert {line["pack"]: line["status"] for line in status["packs"]} == {
        "TASK-0001": "PASS",
        "TASK-0002": "PASS",
    }
    (found,) = [one for one in status["findings"] if one["severity"] == "error"]
    assert (found["id"], found["pack"]) == ("JUDGE_CHANGED", "TASK-0002")
    assert found["message"] == (
        f"on the merged tree tests-1 `{RUN}` passes only with changes of the judge: with 1 file of"
        " it (conftest.py) as before the work it fails"
    )
    words = {(row["pack"], row["outcome"]): row["old_judge"] for row in status["rechecks"]}
    assert words[("TASK-0002", "ok")] == "broken"
    assert world.differs() == ""


@pytest.mark.slow
def test_tests_that_another_pack_may_remove_are_missed_on_the_merged_tree(tmp_path: Path) -> None:
    status, _ = merged(
        tmp_path / "repository", "rm tests/test_two.py", "may_change: [tests/test_two.py]\n"
    )
    (found,) = [one for one in status["findings"] if one["severity"] == "error"]
    assert (found["id"], found["pack"]) == ("JUDGE_WEAKENED", "TASK-0002")
    assert found["facts"]["first"] == ["tests/test_two.py::test_two"]


def test_the_ledger_has_each_command_that_asked_the_judge_as_it_was(
    world: World, bundles: dict[str, dict[str, Any]]
) -> None:
    asked: dict[str, list[str]] = {}
    for event in world.events():
        if event["event_type"] == "judge.finished":
            asked.setdefault(event["details"]["pack"], []).append(event["details"]["label"])
    for number, name in enumerate(PACKS, 1):
        ran = [row["label"] for row in bundles[name]["judged"]["runs"]]
        assert asked.get(f"TASK-{number:04}", []) == ran, name
    assert asked
