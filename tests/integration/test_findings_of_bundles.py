"""Bundles altered by hand between two commands: each alteration is named, and nothing is merged
over it.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from factory.bundle.make import Files
from factory.merge.role_z import read_candidates
from factory.model.card import Card
from factory.model.errors import Refusal
from factory.model.verdict import Status
from factory.run.bundle_validate import validate
from tests.in_process import alter, oneshot, planner
from tests.world import World

pytestmark = pytest.mark.linux

Altered = Callable[[Files], None]
SNEAKY = b"""diff --git a/docs/sneaky b/docs/sneaky
new file mode 100644
index 0000000000000000000000000000000000000000..587be6b4c3f93f93c489c0111bba5596147a26cb
--- /dev/null
+++ b/docs/sneaky
@@ -0,0 +1 @@
+x
"""


def text(name: str, before: str, after: str) -> Altered:
    def change(files: Files) -> None:
        assert before.encode() in files[name]
        files[name] = files[name].replace(before.encode(), after.encode())

    return change


def both(*changes: Altered) -> Altered:
    def change(files: Files) -> None:
        for one in changes:
            one(files)

    return change


def appended(name: str, content: bytes) -> Altered:
    return lambda files: files.update({name: files.get(name, b"") + content})


RERUN = "Run the pack again: doit forget launch, then doit oneshot."
ALTERATIONS: dict[str, tuple[Altered, set[str]]] = {
    "schema": (
        text("STATUS.json", '"files_changed": 1', '"files_changed": "1"'),
        {("BUNDLE_SCHEMA bundles/ID/STATUS.json: files_changed: Input should be a valid integer")},
    ),
    "lock": (
        text("SCOPE_LOCK.json", '"docs/**"', '"**"'),
        {"BUNDLE_STALE SCOPE_LOCK.json is not what the contract resolves to"},
    ),
    "status": (
        both(
            text("STATUS.json", '"rc": 0', '"rc": 1'), text("LOGS/INDEX.json", '"rc": 0', '"rc": 1')
        ),
        {
            "BUNDLE_STATUS STATUS.json says PASS, its evidence yields BLOCKED",
            "BUNDLE_DISAGREES SUMMARY.md is not what STATUS.json yields",
        },
    ),
    "count": (
        text("FILES_CHANGED.json", '"lines_added": 1', '"lines_added": 2'),
        {
            "BUNDLE_DISAGREES FILES_CHANGED.json miscounts the lines of docs/ID",
            "BUNDLE_DISAGREES STATUS.json and FILES_CHANGED.json count the change differently",
        },
    ),
    "digest": (
        text("FILES_CHANGED.json", '"sha256_after": "', '"sha256_after": "0'),
        {"BUNDLE_DISAGREES FILES_CHANGED.json misstates the content of docs/ID"},
    ),
    "hidden": (
        appended("DIFF.patch", SNEAKY),
        {("HIDDEN_CHANGE DIFF.patch changes docs/sneaky, which FILES_CHANGED.json does not name")},
    ),
    "patch": (
        text("DIFF.patch", "+mine", "+ours"),
        {"BUNDLE_DISAGREES DIFF.patch and the tree differ over docs/ID"},
    ),
    "broken-patch": (text("DIFF.patch", "@@ -0,0 +1 @@", "@@ -3,2 +1 @@"), {"BUNDLE_DISAGREES "}),
    "objects": (appended("CHANGES.bundle", b"x"), {"BUNDLE_DISAGREES CHANGES.bundle "}),
    "log": (
        appended("LOGS/check-1.log", b"all is well\n"),
        {"BUNDLE_DISAGREES LOGS/check-1.log is not the log that LOGS/INDEX.json names"},
    ),
    "artifact": (
        both(
            appended("ARTIFACTS/out/more", b"x"),
            text("STATUS.json", '"artifacts": []', '"artifacts": [\n    "out/more"\n  ]'),
        ),
        {"ARTIFACT_UNSAFE artifact out/more matches no pattern of the contract"},
    ),
}


def identity(slug: str) -> str:
    return f"TASK-{list(ALTERATIONS).index(slug) + 1:04}"


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    """One pack an alteration; nothing ran yet."""
    here = World(tmp_path_factory.mktemp("bundles"))
    for slug in ALTERATIONS:
        name = identity(slug)
        run = json.dumps(f"mkdir -p docs; echo mine > docs/{name}")
        here.pack(
            f"{name}-{slug}",
            f'scope: {{allowed_paths: ["docs/**"]}}\nsteps: [{{name: s, run: {run}}}]\n',
        )
    here.commit()
    return here


def test_every_alteration_is_named_and_nothing_is_merged(world: World) -> None:
    """Altered within the run: a bundle of an earlier one that is another now is made again."""
    changes = {identity(slug): change for slug, (change, _) in ALTERATIONS.items()}

    def altered(card: Card) -> None:
        if card.phase == "launch":
            alter(world, card.pack, changes[card.pack])

    assert oneshot(world, after=altered)[0] is Status.BLOCKED
    assert world.status()["merged_tree"] == ""
    assert len(world.executed()) == len(ALTERATIONS)
    found: dict[str, set[str]] = {slug: set() for slug in ALTERATIONS}
    slugs = {identity(slug): slug for slug in ALTERATIONS}
    for row in world.status()["findings"]:
        found[slugs[row["pack"]]].add(f"{row['id']} {row['message'].replace(row['pack'], 'ID')}")
        assert row["hint"]
        if row["id"] == "BUNDLE_SCHEMA":
            assert row["file"] == f"bundles/{row['pack']}/STATUS.json"
        elif row["id"] in ("BUNDLE_STALE", "BUNDLE_STATUS", "HIDDEN_CHANGE"):
            assert row["hint"] == RERUN
    wrong = {
        slug: (expected, found[slug])
        for slug, (_, expected) in ALTERATIONS.items()
        if len(expected) != len(found[slug])
        or not all(
            any(line == due or (due[-1] == " " and line.startswith(due)) for line in found[slug])
            for due in expected
        )
    }
    assert wrong == {}


def test_what_does_not_fit_its_manifest_or_is_gone_is_named_by_every_reader(tmp_path: Path) -> None:
    """Through the phase itself: doit would run the pack again before it is read."""
    world = World(tmp_path)
    world.pack(
        "TASK-0001-a",
        'scope: {allowed_paths: ["docs/**"]}\nsteps: [{name: s, run: "mkdir docs; touch'
        ' docs/x"}]\n',
    )
    world.commit()
    assert world.doit("oneshot").rc == 0
    manifest = tmp_path / ".factory/bundles/TASK-0001/manifest.json"
    whole = manifest.read_bytes()
    with planner(world) as (site, planning):
        plan = planning.freeze()
        assert validate(site.store, site.objects, plan, "TASK-0001")[0] == ()
        (tmp_path / ".factory/bundles/TASK-0001/extra").write_bytes(b"x")
        ((found,), _) = validate(site.store, site.objects, plan, "TASK-0001")
        assert (found.id, found.message, found.hint, found.pack) == (
            "BUNDLE_MANIFEST",
            "bundles/TASK-0001/extra exists and is not in the manifest",
            RERUN,
            "TASK-0001",
        )
        manifest.unlink()
        ((found,), _) = validate(site.store, site.objects, plan, "TASK-0001")
        assert (found.id, found.message, found.hint) == (
            "BUNDLE_MISSING",
            "expected the bundle's bundles/TASK-0001/manifest.json, found none",
            RERUN,
        )
        manifest.write_bytes(whole)
        record = plan.document.packs[0]
        with pytest.raises(Refusal, match="exists and is not in the manifest"):
            read_candidates(site.store.below("bundles"), site.objects, [record])
        (tmp_path / ".factory/bundles/TASK-0001/extra").unlink()
        assert (
            len(read_candidates(site.store.below("bundles"), site.objects, [record])[0].changes)
            == 1
        )
        stale = record.model_copy(update={"action_key": "0" * 64})
        with pytest.raises(Refusal) as raised:
            read_candidates(site.store.below("bundles"), site.objects, [stale])
        assert raised.value.findings[0].id == "BUNDLE_STALE"
        assert "expected a PASS bundle of action 000000000000…, found PASS" in str(raised.value)


def test_a_bundle_edited_between_launch_and_integrate_is_named_and_made_again(
    tmp_path: Path,
) -> None:
    world = World(tmp_path)
    for number in "12":
        run = json.dumps(f"mkdir -p docs; echo {number} > docs/{number}")
        world.pack(
            f"TASK-000{number}-a",
            f'scope: {{allowed_paths: ["docs/**"]}}\nsteps: [{{name: s, run: {run}}}]\n',
        )
    world.commit()
    ended = world.doit("bundle-validate")
    assert ended.rc == 0, ended.text
    patch = tmp_path / ".factory/bundles/TASK-0002/DIFF.patch"
    honest = patch.read_bytes()
    patch.write_bytes(honest.replace(b"+2", b"+evil"))
    ended = world.doit("integrate")
    assert ended.rc == 0, ended.text
    assert "run again since TASK-0002: bundles/TASK-0002/DIFF.patch expected sha256 " in ended.text
    assert sorted(world.executed()) == ["TASK-0001", "TASK-0002", "TASK-0002"]
    assert patch.read_bytes() == honest
    (refused,) = [event for event in world.events() if event["event_type"] == "bundle.refused"]
    assert refused["details"]["pack"] == "TASK-0002"
    assert "DIFF.patch" in refused["details"]["why"]
    assert "evil" not in (world.last() / "DIFF.patch").read_text()
