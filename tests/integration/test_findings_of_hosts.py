"""What a host lacks, an integrator that fails or lies, our own defects: the real pipeline with one
door replaced.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from factory.bundle.make import Files
from factory.merge.integrator import IntegratorProcess
from factory.model.config import Config
from factory.model.evidence import MergeDocument
from factory.model.evidence_text import format_document, parse_document
from factory.model.finding import Finding
from factory.model.verdict import Status
from factory.run.doctor import HostFacts, check_up
from factory.sandbox.properties import Enforcement, Property
from tests.in_process import alter, close_objects, oneshot, planner, site
from tests.world import World, run

pytestmark = pytest.mark.linux

SCOPE = 'scope: {allowed_paths: ["docs/**"]}\n'


def writer(name: str) -> str:
    run = json.dumps(f"mkdir -p docs; echo {name} > docs/{name}")
    return f"{SCOPE}steps: [{{name: s, run: {run}}}]\n"


@pytest.fixture
def world(tmp_path: Path) -> World:
    here = World(tmp_path)
    here.pack("TASK-0001-a", writer("a"))
    here.pack("TASK-0002-b", writer("b"))
    here.commit()
    return here


@dataclass
class OtherHost:
    """The real sandbox, measured as if the host were another."""

    real: Any
    lacks: frozenset[Property] = frozenset()
    escaped: tuple[str, ...] = ()

    def measure(self, network: bool = False) -> Enforcement:
        known = self.real.measure(network)
        proofs = tuple(
            (
                replace(proof, given=False, how="not on this host")
                if proof.property in self.lacks
                else proof
            )
            for proof in known.proofs
        )
        return replace(known, proofs=proofs, escaped=self.escaped)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.real, name)


def lacking(*lacks: Property, escaped: tuple[str, ...] = ()) -> Callable[[Any], OtherHost]:
    return lambda real: OtherHost(real, frozenset(lacks), escaped)


def accepting(*accepted: Property) -> Callable[[Config], Config]:
    return lambda config: replace(config, accepted_missing=frozenset(accepted))


def lines(world: World) -> list[str]:
    return [f"{row['id']} {row['message']} > {row['hint']}" for row in world.status()["findings"]]


def test_a_property_that_lacks_blocks_before_any_pack_runs(world: World) -> None:
    status, results = oneshot(world, sandbox=lacking(Property.DISK_BOUNDED))
    assert status is Status.BLOCKED
    assert world.executed() == []
    assert lines(world) == [
        (
            "PROPERTY_MISSING expected disk_bounded to be enforced, found that it cannot be here: not on this "
            "host > "
            "See: factory doctor. To go on without it, put accept_missing = "
            '["disk_bounded"] in your own configuration file.'
        )
    ]
    assert "disk_bounded" not in world.status()["properties_given"]
    assert {result.status for name, result in results.items() if name.startswith("launch")} == {
        Status.BLOCKED
    }


def test_each_property_is_required(world: World) -> None:
    for wanted in Property:
        status, _ = oneshot(world, sandbox=lacking(wanted))
        assert (status, world.executed()) == (Status.BLOCKED, []), wanted


def test_a_pack_does_not_run_on_a_weaker_host_because_preflight_still_holds(world: World) -> None:
    """What was enforced when preflight passed is not what is enforced today."""
    assert world.doit("preflight").rc == 0
    built = site(world, sandbox=lacking(Property.NET_ISOLATED))
    from factory.engine import wiring
    from factory.engine.pipeline import RepositoryPipeline

    pipeline = RepositoryPipeline(built, wiring.Silent(), lambda: ())
    pipeline.begin(wiring.Silent())
    card = next(card for card in pipeline.cards() if card.phase == "launch")
    result = pipeline.execute(card)
    pipeline.close({card.name: result.status}, frozenset({card.name}))
    close_objects(built)
    assert (result.status, [finding.id for finding in result.findings]) == (
        Status.BLOCKED,
        ["PROPERTY_MISSING"],
    )
    assert world.executed() == []


def test_what_the_user_accepted_by_name_is_a_warning_that_the_report_starts_with(
    world: World,
) -> None:
    status, _ = oneshot(
        world, sandbox=lacking(Property.DISK_BOUNDED), config=accepting(Property.DISK_BOUNDED)
    )
    assert status is Status.PASS
    assert lines(world) == [
        (
            "PROPERTY_ACCEPTED disk_bounded is not enforced and the user accepted that: not on this"
            " host > "
        )
    ]
    assert world.status()["properties_accepted"] == ["disk_bounded"]
    report = (world.last() / "FINAL_REPORT.md").read_text()
    assert report.index("**Accepted weaker by the user: disk_bounded.**") < report.index("| pack |")


def test_what_escaped_blocks_whatever_was_accepted(world: World) -> None:
    status, _ = oneshot(
        world, sandbox=lacking(escaped=("reach the host's loopback",)), config=accepting(*Property)
    )
    assert (status, world.executed()) == (Status.BLOCKED, [])
    assert lines(world) == [
        (
            "PROBE_ESCAPED expected the sandbox to deny it, found that it was possible to reach the host's loopback > "
            "Nothing runs on this host until that is closed; see: factory doctor"
        )
    ]


class Breaks:
    """A sandbox that measures well and then fails in a way that nobody foresaw."""

    def __init__(self, real: Any) -> None:
        self.real = real

    def open(self, *_: object) -> None:
        raise RuntimeError("unforeseen")

    def __getattr__(self, name: str) -> Any:
        return getattr(self.real, name)


def test_a_defect_of_our_own_is_a_fail_with_its_traceback_kept(world: World) -> None:
    status, results = oneshot(world, sandbox=Breaks)
    assert status is Status.FAIL
    assert {result.status for name, result in results.items() if name.startswith("launch")} == {
        Status.FAIL
    }
    run = world.last().parent
    first, _ = lines(world)
    assert first.startswith("CRASH ")
    assert "RuntimeError" in first
    assert "unforeseen" in first
    assert "Traceback" in (run / "raw/crash-launch-TASK-0001-a.txt").read_text()
    assert world.status()["status"] == "FAIL"
    assert (world.last() / "FINAL_REPORT.md").read_text().startswith("# FAIL ")


class Lies:
    """An integrator whose answer is changed after it was given."""

    def __init__(self, real: Any, change: Callable[[Path], None]) -> None:
        self.real = real
        self.change = change

    def __call__(self, run_folder: Path, packs: tuple[str, ...]) -> bytes:
        self.real(run_folder, packs)
        self.change(run_folder / "Z_integrator")
        return (run_folder / "Z_integrator/MERGE.json").read_bytes()


def claims(tree_of: Callable[[MergeDocument], str]) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        place = folder / "MERGE.json"
        merge = parse_document(MergeDocument, place.read_bytes())
        place.write_bytes(format_document(merge.model_copy(update={"merged_tree": tree_of(merge)})))

    return change


def empties(name: str, content: bytes) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        (folder / name).write_bytes(content)

    return change


EMPTY_PATCH = b"""diff --git a/docs/other b/docs/other
new file mode 100644
index 0000000000000000000000000000000000000000..587be6b4c3f93f93c489c0111bba5596147a26cb
--- /dev/null
+++ b/docs/other
@@ -0,0 +1 @@
+x
"""


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (
            claims(lambda merge: merge.base_tree),
            (
                "MERGE_DIFFERS the integrator says tree BASE…, base and bundles yield "
                "TREE… > Look at the bundles, then run again."
            ),
        ),
        (
            empties("DIFF.patch", EMPTY_PATCH),
            "MERGE_DIFFERS the integrator's patch does not yield the merged tree > ",
        ),
        (
            empties("MERGE.json", b"{}"),
            (
                "INTEGRATOR_FAILED the integrator's answer does not match its schema: base_commit:"
                " Field required > "
            ),
        ),
        (
            empties("CHANGES.bundle", b""),
            "BUNDLE_DISAGREES CHANGES.bundle does not start like a bundle of this tool > ",
        ),
    ],
)
def test_an_integrator_that_says_other_than_the_bundles_yield_is_named(
    world: World, change: Callable[[Path], None], sentence: str
) -> None:
    status, _ = oneshot(world, integrator=lambda real: Lies(real, change))
    assert status is Status.BLOCKED
    (found,) = lines(world)
    base = world.git("rev-parse", "HEAD^{tree}")[:12]
    start = sentence.replace("BASE", base).partition("TREE")[0]
    assert found.startswith(start)


def test_an_integrator_that_ends_without_an_answer_is_named_with_what_it_said(world: World) -> None:
    def failing(real: Any) -> Callable[[Path, tuple[str, ...]], bytes]:
        words = ["/bin/sh", "-c", "echo '\033[31mwhy'; exit 9"]
        return IntegratorProcess(real.__self__._repository, lambda _folder, _argv: words).merge

    status, _ = oneshot(world, integrator=failing)
    assert status is Status.BLOCKED
    assert lines(world) == [
        (
            "INTEGRATOR_FAILED the integrator gave no result: it ended with 9 and said: \\u001b[31mwhy"
            " > Run again; see factory doctor."
        )
    ]
    assert world.status()["merged_tree"] == ""


def test_an_overlap_that_only_a_patch_shows_is_named_by_z_itself(world: World) -> None:
    """Validation would name the hidden change first; Z, given such a bundle, sees for itself."""
    assert world.doit("oneshot").rc == 0
    run = world.last().parent
    other = (run / "TASK-0001/DIFF.patch").read_bytes().replace(b"+a", b"+evil")

    def sneak(files: Files) -> None:
        files["DIFF.patch"] += other

    alter(world, "TASK-0002", sneak, f"runs/{run.name}")
    shutil.rmtree(run / "Z_integrator")
    with planner(world) as (built, _):
        answer = parse_document(MergeDocument, built.integrator(run, ("TASK-0001", "TASK-0002")))
    assert answer.merged_tree == ""
    assert [(row.id, row.message, row.pack) for row in answer.findings] == [
        ("HIDDEN_OVERLAP", "TASK-0001 and TASK-0002 both change docs/a", "TASK-0002")
    ]
    assert "depends_on" in answer.findings[0].hint
    assert answer.overlaps[0].hidden
    assert answer.largest_set == ("TASK-0001",)


def test_what_a_contract_asks_for_and_cannot_have(world: World) -> None:
    """One pack each; none of them runs, the sound ones do."""
    asked = {
        "TASK-0011-cloud": (
            'constraints: {allow_cloud_mutations: ["api.example.org"]}\n',
            "CLOUD_WITHOUT_NETWORK",
            "expected network for mutations at api.example.org, found none declared",
        ),
        "TASK-0012-net": (
            'constraints: {allow_network: ["example.org"]}\n',
            "GRANT_MISSING",
            "it asks to reach example.org, which you have not granted",
        ),
        "TASK-0013-any": (
            "constraints: {allow_network: true}\n",
            "GRANT_MISSING",
            "it asks to reach any public host (*), which you have not granted",
        ),
        "TASK-0014-tool": (
            "tools: [no-such-tool-anywhere]\n",
            "TOOL_MISSING",
            (
                "it declares the tool no-such-tool-anywhere; no such command exists where a"
                " sandbox would find it"
            ),
        ),
        "TASK-0015-plugin": (
            "plugin: some.module:Class\nexecution: {use_plugins: true}\n",
            "PLUGIN_UNAVAILABLE",
            ("it uses the plugin some.module:Class; plugins are not available in this version"),
        ),
        "TASK-0016-place": (
            'workspace: ../other\ndocs: {required: ["README.md"]}\n',
            "WORKSPACE_UNAVAILABLE",
            (
                "it targets the workspace ../other; other workspaces are not available in"
                " this version"
            ),
        ),
    }
    for folder, (task, _, _) in asked.items():
        world.pack(folder, SCOPE + task)
    world.commit()
    ended = world.doit("oneshot")
    assert ended.rc == 2, ended.text
    assert sorted(world.executed()) == ["TASK-0001", "TASK-0002"]
    found = {row["pack"]: row for row in world.status()["findings"]}
    assert set(found) == {folder[:9] for folder in asked}
    for folder, (_, kind, message) in asked.items():
        row = found[folder[:9]]
        assert row["id"] == kind
        assert message in row["message"]
        assert row["hint"]
        assert (row["file"], row["line"]) == (f"taskpacks/{folder}/task.yml", 5)


FACTS = {
    "python": sys.version.split()[0],
    "git": "2.39.5",
    "doit": "0.37.0",
    "free": 1 << 40,
    "state": "/x/.factory",
    "worktrees": (),
    "held": (),
}


def test_little_space_is_a_warning_that_says_how_little(world: World) -> None:
    known = {name: FACTS.get(name) for name in HostFacts.__dataclass_fields__}
    facts = HostFacts(**{**known, "free": 3 << 20})  # type: ignore[arg-type]
    with planner(world) as (built, _):
        found = check_up(facts, Config(), built.sandbox.measure(), str(world.root), ()).findings
    low: list[Finding] = [finding for finding in found if finding.id == "DISK_LOW"]
    assert len(low) == 1
    assert "found 0.0 GiB" in low[0].message
    assert "/x/.factory" in low[0].message
    assert low[0].hint == "Free some space; caches can go: doit clean"
    assert not low[0].blocks


def test_root_of_a_namespace_that_maps_nobody_else_is_confined_as_an_ordinary_user(
    tmp_path: Path,
) -> None:
    world = World(tmp_path / "world")
    world.pack("TASK-0001-a", 'scope: {allowed_paths: ["docs/**"]}')
    world.commit()
    done = run(
        ["unshare", "--user", "--map-root-user", sys.executable, "-m", "factory", "oneshot"],
        world.root,
    )
    assert "DISK_UNWRITABLE" not in done.text
    if (
        os.geteuid() == 0
    ):  # the host's root goes beyond a limit on processes whatever it is called inside
        assert (done.rc, world.findings()) == (2, ["PROPERTY_MISSING"])
        assert "expected pids_bounded to be enforced, found that it cannot be here" in done.text
    else:
        assert done.rc == 0, done.text
