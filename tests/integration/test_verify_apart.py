"""What can be checked of a run without the repository, and of packs whose folders differ from the
commit.
"""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from factory.verify.repository import RepositoryObjects
from tests.verify_kit import around, check, forged, load
from tests.world import World

pytestmark = pytest.mark.linux


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    """A run of two packs that only validate, of which one has an edit that is not committed, and a
    run of two as they are in the commit; a file lies next to the packs.
    """
    made = World(tmp_path_factory.mktemp("apart") / "repo")
    made.pack("TASK-0001-one", "", "checks: ['test -e README.md']\n")
    made.pack("TASK-0002-two", "", "checks: ['test -e README.md']\n")
    made.write("taskpacks/README.md", "# Packs\n")
    made.commit()
    assert made.factory("oneshot").rc == 0
    made.write("taskpacks/TASK-0002-two/spec.md", "# Spec\n\nDoes one thing more.\n")
    assert made.factory("oneshot").rc == 0
    return made


def gaps(out: str) -> list[str]:
    return [line.split(maxsplit=1)[1] for line in out.splitlines() if " not-checkable " in line]


def test_only_the_pack_with_an_edit_has_checks_that_cannot_be_compared(world: World) -> None:
    last = world.factory("verify", world.runs()[1])
    assert gaps(last.out) == [
        "skipped checks of TASK-0002: the pack's folder differed from the base commit"
    ]
    assert gaps(world.factory("verify", world.runs()[0]).out) == []


def test_what_packs_started_from_follows_from_plan_and_bundles(world: World) -> None:
    run = load(world.state / "runs" / world.runs()[0])
    ledger = (world.state / "ledger.jsonl").read_bytes()
    found = check(run, around(ledger, sizes=set(range(1, len(ledger.splitlines()) + 1))))
    assert {gap.part for gap in found.gaps} - {"signatures"} == {"base commit"}
    assert found.consistent


def test_a_forged_list_of_the_packs_folder_is_found(world: World) -> None:
    run = load(world.state / "runs" / world.runs()[0])
    plan = json.loads(run.files["PLAN.json"])
    assert [row["name"] for row in plan["packs_entries"]] == [
        "README.md",
        "TASK-0001-one",
        "TASK-0002-two",
    ]
    plan["packs_entries"] = plan["packs_entries"][1:]
    text = json.dumps(plan, indent=2, sort_keys=True, ensure_ascii=False) + "\n"
    evidence, ledger = forged(run, {"PLAN.json": text.encode()})
    beside = around(ledger, sizes={len(ledger.splitlines())})
    apart = check(evidence, beside)
    assert "what TASK-0001 started from" in {gap.part for gap in apart.gaps}
    with RepositoryObjects(world.root / ".git" / "objects", "sha1") as objects:
        found = check(evidence, replace(beside, repository=objects))
    assert any("the packs folder of the base" in one.message for one in found.findings)


def test_a_copy_without_its_repository_says_so_in_three_lines(world: World, tmp_path: Path) -> None:
    shutil.copytree(world.state / "runs" / world.runs()[0], tmp_path / world.runs()[0])
    other = World(tmp_path / "other")
    other.commit()
    ended = other.factory("verify", "--path", str(tmp_path / world.runs()[0]))
    assert [line.split(":")[0] for line in gaps(ended.out)] == [
        "base commit",
        "ledger chain",
        "ledger tree",
    ]
