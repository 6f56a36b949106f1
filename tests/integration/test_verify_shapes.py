"""Runs of every shape that can be made are verified, wholly; and what was merged three ways is made
again too.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from factory.files.state_store import StateStore
from factory.git.objects import GitObjects
from factory.git.repository import discover
from factory.merge import merging, role_z
from factory.model.evidence import PlanDocument
from factory.model.evidence_text import parse_document
from factory.verify.repository import RepositoryObjects
from factory.verify.run import Outcome, Verified
from factory.verify.session import Caller, verify_at, verify_state
from tests.verify_kit import Memory, Z, around, check, forged, ids, load
from tests.world import World

pytestmark = pytest.mark.linux

LINES = "".join(f"line {number}\n" for number in range(40))


@pytest.fixture(scope="module")
def merged(tmp_path_factory: pytest.TempPathFactory) -> World:
    """One run: overlaps merged three ways, an identical change, a stack of three, narrowed inputs,
    odd names.
    """
    world = World(tmp_path_factory.mktemp("shapes") / "merged")
    world.write("factory.toml", 'version = 1\n[integration]\noverlap = "merge"\n')
    world.write("src/a.txt", LINES)
    world.write("src/run.sh", "#!/bin/sh\n")
    world.write("src/deep/er/old.txt", "old\n")
    world.write("data/x.bin", bytes(range(256)) * 9)
    world.write("elsewhere/hidden.txt", "hidden\n")
    scope = "scope: {allowed_paths: [src/, data/, docs/]}\n"
    world.pack(
        "TASK-0001-top",
        scope + "steps: [\"sed -i 's/line 1$/first/' src/a.txt; chmod +x src/run.sh\"]\n",
    )
    world.pack(
        "TASK-0002-end",
        scope
        + "inputs: [src/]\nsteps: [\"sed -i 's/line 39$/last/' src/a.txt; rm -r src/deep; ln -s"
        ' a.txt src/link"]\n',
    )
    same = "steps: ['mkdir -p docs; echo same > docs/same.txt']\n"
    world.pack("TASK-0003-one", scope + same)
    world.pack("TASK-0004-two", scope + same)
    world.pack(
        "TASK-0005-below",
        scope + "steps: ['printf more >> data/x.bin; mkdir docs; echo é > \"docs/a é.txt\"']\n",
    )
    world.pack(
        "TASK-0006-upon", scope + "depends_on: [TASK-0005]\nsteps: ['printf yet >> data/x.bin']\n"
    )
    world.pack(
        "TASK-0007-above",
        scope + "depends_on: [TASK-0006, TASK-0001]\nsteps: [\"sed -i 's/line 20$/middle/'"
        ' src/a.txt"]\n',
    )
    world.pack("TASK-0008-none", "docs: {required: [README.md]}\nsteps: []\n")
    world.commit()
    done = world.factory("oneshot")
    assert done.rc == 0, done.text
    return world


@pytest.fixture(scope="module")
def run(merged: World) -> Memory:
    return load(merged.state / "runs" / merged.runs()[0])


@pytest.fixture
def objects(merged: World) -> Iterator[RepositoryObjects]:
    with RepositoryObjects(merged.root / ".git" / "objects", "sha1") as elsewhere:
        yield elsewhere


def parts(verified: Verified) -> set[str]:
    return {gap.part for gap in verified.gaps}


def facts(verified: Verified) -> dict[str, str]:
    return {fact.section: fact.text for fact in verified.facts}


def test_every_shape_is_verified_without_a_gap(merged: World) -> None:
    (verified,) = verify_state(merged.state, Caller(repository=merged.root))
    assert verified.findings == ()
    assert parts(verified) == set()
    assert verified.outcome is Outcome.INTACT
    assert "8 re-derived" in facts(verified)["bundles"]
    assert "re-made from base and bundles" in facts(verified)["merged tree"]
    merge = json.loads((merged.last() / "MERGE.json").read_text())
    assert [row["resolved"] for row in merge["overlaps"] if row["first"] == "TASK-0001"], (
        "the overlap was merged"
    )


def test_a_copy_without_the_repository_says_that_it_was_not_merged_again(
    merged: World, tmp_path: Path
) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(merged.state / "runs" / merged.runs()[0], copy)
    verified = verify_at(copy, Caller())
    assert verified.findings == ()
    assert {"merged tree", "base commit", "ledger chain"} <= parts(verified)
    assert "merged tree" not in facts(verified)


def test_the_forger_who_changes_nothing_holds_here_too(
    run: Memory, objects: RepositoryObjects
) -> None:
    evidence, ledger = forged(run, {})
    beside = around(ledger, sizes={len(ledger.splitlines())})
    assert check(evidence, replace(beside, repository=objects)).findings == ()


@pytest.mark.parametrize("pack", ["TASK-0002", "TASK-0004", "TASK-0007"])
def test_a_bundle_of_another_base_is_named(
    run: Memory, objects: RepositoryObjects, pack: str
) -> None:
    """Its change is told to start from the base tree of another pack: consistent in itself, and not
    what it saw.
    """
    other = json.loads(run.files["TASK-0005/STATUS.json"])["base_tree"]
    status = json.loads(run.files[f"{pack}/STATUS.json"])
    if status["base_tree"] == other:
        other = json.loads(run.files["TASK-0002/STATUS.json"])["base_tree"]
    status["base_tree"] = other
    content = json.dumps(status, indent=2, sort_keys=True, ensure_ascii=False).encode() + b"\n"
    evidence, ledger = forged(run, {f"{pack}/STATUS.json": content})
    verified = check(evidence, replace(around(ledger), repository=objects))
    assert ids(verified) & {"VERIFY_BASE", "VERIFY_CHANGE", "VERIFY_ACTION", "VERIFY_OBJECTS"}


def test_another_merge_of_the_same_bundles_is_named(
    run: Memory, objects: RepositoryObjects
) -> None:
    """Z's result is that of one pack less: sound in itself, and not what base and bundles unite
    to.
    """
    taken = {
        f"{Z}/{name}": run.files[f"TASK-0001/{name}"]
        for name in ("FILES_CHANGED.json", "DIFF.patch")
    }
    tree = json.loads(run.files["TASK-0001/STATUS.json"])["result_tree"]
    merge = json.loads(run.files[f"{Z}/MERGE.json"]) | {"merged_tree": tree}
    plan = run.files[f"{Z}/MERGE_PLAN.md"].replace(
        json.loads(run.files[f"{Z}/MERGE.json"])["merged_tree"].encode(), tree.encode()
    )
    content = json.dumps(merge, indent=2, sort_keys=True, ensure_ascii=False).encode() + b"\n"
    changes = {**taken, f"{Z}/MERGE.json": content, f"{Z}/MERGE_PLAN.md": plan}
    evidence, ledger = forged(run, changes, merged_tree=tree)
    verified = check(evidence, replace(around(ledger), repository=objects))
    assert not verified.consistent
    assert any(
        place.startswith(f"{Z}/")
        for place in {f.location.file for f in verified.findings if f.location}
    )


def test_overlaps_told_as_merged_where_policy_blocks_them_are_named(
    run: Memory, objects: RepositoryObjects
) -> None:
    policy = run.files["attestations/policy.json"].replace(
        b'"overlap": "merge"', b'"overlap": "block"'
    )
    assert policy != run.files["attestations/policy.json"]
    evidence, ledger = forged(run, {"attestations/policy.json": policy})
    verified = check(evidence, replace(around(ledger), repository=objects))
    assert any(
        "overlaps merged where policy blocks them" in finding.message
        for finding in verified.findings
    )


def test_twin_folders_keep_two_packs_apart_and_a_merge_of_them_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Then the integrator that does not know the rule: it merges them, sound in itself, where no
    path is shared.
    """
    world = World(tmp_path / "repository")
    for number, path in enumerate(("data/a", "dATA/b", "y"), 1):
        steps = f"steps: ['mkdir -p x/data x/dATA; echo {number} > x/{path}']\n"
        world.pack(f"TASK-000{number}-t", f"scope: {{allowed_paths: [x/{path}]}}\n{steps}")
    world.commit()
    assert world.factory("oneshot").rc == 2
    status = world.status()
    sentence = (
        "TASK-0001 and TASK-0002 both change x/data/a and x/dATA/b: x/data and x/dATA are one name"
        " where case or "
    )
    assert [row["message"] for row in status["findings"]] == [f"{sentence}Unicode form is ignored"]
    assert (status["largest_set"], status["smallest_conflict"]) == (
        ["TASK-0001", "TASK-0003"],
        ["TASK-0001", "TASK-0002"],
    )
    (verified,) = verify_state(world.state, Caller(repository=world.root))
    assert verified.findings == ()
    run = world.state / "runs" / world.runs()[0]
    honest = load(run)
    monkeypatch.setattr(merging, "find_overlaps", lambda *_: ())
    monkeypatch.setattr(merging, "new_collisions", lambda *_: ())
    plan = parse_document(PlanDocument, (run / "PLAN.json").read_bytes())
    with GitObjects(discover(world.root, "HEAD"), tmp_path / "objects") as own:
        merge = role_z.integrate(plan, StateStore(run), own)
    made = {
        name: content
        for name, content in load(run).files.items()
        if honest.files.get(name) != content
    }
    assert {f"{Z}/MERGE.json", f"{Z}/CHANGES.bundle"} <= made.keys()
    evidence, ledger = forged(honest, made, merged_tree=merge.merged_tree, overlaps=(), findings=())
    with RepositoryObjects(world.root / ".git" / "objects", "sha1") as elsewhere:
        verified = check(evidence, replace(around(ledger), repository=elsewhere))
    said = [finding.message for finding in verified.findings if finding.id == "VERIFY_MERGE"]
    assert any("its overlapping pairs" in message for message in said)
    for folder in ("x/data", "x/dATA"):
        assert any(f"found {folder} and one that folds alike" in message for message in said)


def test_runs_that_are_blocked_copied_or_of_another_hash_are_verified(tmp_path: Path) -> None:
    """One world, three runs: one pack BLOCKED; it again beside a copied bundle; then packs that are
    not committed.
    """
    world = World(tmp_path / "repository", object_format="sha256")
    world.pack(
        "TASK-0001-good",
        "scope: {allowed_paths: [docs/]}\nsteps: ['mkdir docs; echo a > docs/a']\n",
    )
    world.pack(
        "TASK-0002-bad", "scope: {allowed_paths: [docs/]}\nsteps: ['echo b >> README.md; exit 3']\n"
    )
    world.commit()
    assert world.factory("oneshot").rc == 2
    assert world.factory("oneshot").rc == 2
    world.write(
        "taskpacks/TASK-0002-bad/task.yml", "id: TASK-0002\ntitle: b\ntype: web\nsteps: []\n"
    )
    assert world.factory("oneshot").rc == 0
    told = list(verify_state(world.state, Caller(repository=world.root)))
    assert [verified.findings for verified in told] == [(), (), ()]
    assert sorted(verified.status for verified in told) == ["BLOCKED", "BLOCKED", "PASS"]


def test_what_was_refused_before_its_launch_brings_no_bundle_of_an_earlier_action(
    tmp_path: Path,
) -> None:
    """By its contract, or by the host: the run is BLOCKED, and holds as what it is."""
    world = World(tmp_path / "refused")
    for number in (1, 2):
        world.pack(
            f"TASK-000{number}-x",
            "scope: {allowed_paths: [docs/]}\nsteps: ['mkdir docs; date > docs/a']\n",
        )
    world.commit()
    assert world.factory("launch").rc == 0
    world.pack("TASK-0001-x", "scope: {allowed_paths: [docs/]}\nno such key: 1\n")
    assert world.factory("oneshot").rc == 2
    assert not (world.last().parent / "TASK-0001").exists()
    assert world.differs() == ""
    world.pack("TASK-0001-x", "scope: {allowed_paths: [docs/]}\n")
    world.pack("TASK-0002-x", "scope: {allowed_paths: [docs/]}\n")
    done = world.factory("oneshot", FACTORY_ISOLATION="worktree")
    assert (done.rc, world.findings()) == (2, ["PROPERTY_MISSING"]), done.text
    assert [
        path.name for path in world.last().parent.iterdir() if path.name.startswith("TASK")
    ] == []
    assert world.differs() == ""
