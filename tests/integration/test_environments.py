"""Environments through the real pipeline: prepared once over their inputs, sealed, shown below a
private layer, and blocked where they cannot be.
"""

from __future__ import annotations

import base64
import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from factory.egress.connection import Connection, Reason
from factory.engine.preparing import cause_of
from factory.evidence.gc import caches
from factory.model.card import CardResult
from factory.model.egress_record import record_of
from factory.model.environment import DeclaredEnvironment
from factory.model.finding import Finding
from factory.model.pack import Network
from factory.model.verdict import Status
from tests import in_process
from tests.in_process import oneshot
from tests.world import World

pytestmark = pytest.mark.linux

MAKE = (
    "mkdir -p deps/bin && cp wanted.txt deps/lib.txt && ln -s ../lib.txt deps/bin/lib"
    " && printf '#!/bin/sh\\\\necho tool\\\\n' > deps/bin/tool && chmod +x deps/bin/tool"
    " && test ! -e README.md && test ! -e taskpacks && echo dirt > dirt"
)
CONFIG = """
[environments.deps]
prepare = ["{0}"]
inputs = ["wanted.txt"]
outputs = ["deps/"]
"""
USES = """
environment: [deps]
scope: {allowed_paths: ["out/"]}
steps:
  - {name: use, run: "mkdir out && deps/bin/tool > out/said && cat deps/bin/lib >> out/said"}
  - {name: spoil, run: "echo x > deps/more && echo x >> deps/lib.txt && rm -r deps/bin && test ! -e dirt"}
"""
SEES = """
checks:
  - {name: sealed, run: "test -x deps/bin/tool && test ! -e deps/more && grep -qx one deps/lib.txt && rm deps/lib.txt"}
  - {name: same-stage, run: "test ! -e deps/lib.txt"}
"""
ALSO = """
environment: [deps]
scope: {allowed_paths: ["also/"]}
steps: [{name: use, run: "mkdir also && deps/bin/tool > also/said"}]
"""
PLAIN = (
    'scope: {allowed_paths: ["plain/"]}\nsteps: [{name: a, run: "mkdir plain && ls > plain/ls"}]\n'
)


def a_world(folder: Path, config: str = CONFIG.format(MAKE)) -> World:
    world = World(folder)
    world.write("factory.toml", config)
    world.write("wanted.txt", "one\n")
    world.pack("TASK-0001-uses", USES, SEES)
    world.pack("TASK-0002-also", ALSO)
    world.pack("TASK-0003-plain", PLAIN)
    world.commit()
    return world


def ids(result: CardResult) -> list[str]:
    return [finding.id for finding in result.findings]


def statuses(results: Mapping[str, CardResult]) -> dict[str, str]:
    return {
        name.removeprefix("launch:")[:9]: result.status.value
        for name, result in results.items()
        if name.startswith("launch:")
    }


def prepared(world: World) -> list[str]:
    """The keys of what was prepared, in order."""
    return [
        event["hashes"]["key"]
        for event in world.events()
        if event["event_type"] == "environment.prepared"
    ]


@pytest.fixture(scope="module")
def lived(tmp_path_factory: pytest.TempPathFactory) -> World:
    world = a_world(tmp_path_factory.mktemp("environments") / "repo")
    verdict, results = oneshot(world)
    assert verdict is Status.PASS, [result.findings for result in results.values()]
    return world


def plan_of(world: World) -> Any:
    return json.loads((world.state / "runs" / world.runs()[-1] / "PLAN.json").read_bytes())


def test_it_is_prepared_once_for_all_and_is_no_change(lived: World) -> None:
    types = [event["event_type"] for event in lived.events()]
    assert types[: types.index("integrate.finished")].count("environment.prepared") == 1
    changed = json.loads((lived.state / "bundles/TASK-0001/FILES_CHANGED.json").read_bytes())
    assert [file["path"] for file in changed["files"]] == ["out/said"]
    (place,) = (lived.state / "environments/trees").glob("[0-9a-f]*")
    assert sorted(path.name for path in place.rglob("*")) == [
        "bin",
        "deps",
        "lib",
        "lib.txt",
        "tool",
    ]
    assert (place / "deps/lib.txt").read_text() == "one\n"


def test_its_digest_is_in_plan_key_and_provenance(lived: World) -> None:
    plan = plan_of(lived)
    (planned,) = plan["environments"]
    assert (planned["name"], planned["inputs"], planned["outputs"]) == (
        "deps",
        ["wanted.txt"],
        ["deps/"],
    )
    seen = {pack["pack"]: pack["action"]["environments"] for pack in plan["packs"]}
    pair = ["deps", planned["sha256"]]
    assert seen == {"TASK-0001": [pair], "TASK-0002": [pair], "TASK-0003": []}
    run = lived.state / "runs" / lived.runs()[-1]
    lines = (run / "attestations/attestations.intoto.jsonl").read_text().splitlines()
    made_from = [
        row
        for line in lines
        for row in json.loads(base64.b64decode(json.loads(line)["payload"]))["predicate"]
        .get("buildDefinition", {})
        .get("resolvedDependencies", ())
        if row.get("name", "").startswith("environment:")
    ]
    of_both = {"name": "environment:deps", "digest": {"sha256": planned["sha256"]}}
    assert made_from == [of_both, of_both]
    assert lived.differs() == ""


def test_new_inputs_are_prepared_anew_and_packs_that_need_them_run_again(tmp_path: Path) -> None:
    world = a_world(tmp_path / "repo")
    assert oneshot(world)[0] is Status.PASS
    (place,) = (world.state / "environments/trees").glob("[0-9a-f]*")
    first = plan_of(world)
    world.write("wanted.txt", "one\nmore\n")
    world.commit()
    assert oneshot(world)[0] is Status.PASS
    one, two = prepared(world)
    assert one != two
    keys = [
        {pack["pack"]: pack["action_key"] for pack in plan["packs"]}
        for plan in (first, plan_of(world))
    ]
    assert keys[0]["TASK-0001"] != keys[1]["TASK-0001"]
    # What was sealed and is changed behind that is made again.
    (place / "deps/lib.txt").write_text("two\n")
    world.write("wanted.txt", "one\n")
    world.commit()
    assert oneshot(world)[0] is Status.PASS
    assert prepared(world) == [one, two, one]
    assert (place / "deps/lib.txt").read_text() == "one\n"
    # Of two of one name the older one may go; `made` of the first is later now.
    built = in_process.site(world)
    (old,) = [one for one in caches(built).removals if one.path.startswith("environments/")]
    in_process.close(built)
    assert (old.files, place.name in old.path) == (3, False)
    # A record that somebody else sealed is not believed.
    for record in (world.state / "environments").glob("*.json"):
        record.write_text(record.read_text().replace('"seal": "', '"seal": "0'))
    assert oneshot(world)[0] is Status.PASS
    assert prepared(world) == [one, two, one, one]


@pytest.mark.parametrize(
    ("command", "why"),
    [
        ("echo first && echo last && exit 3", "command 1 ended with 3: first / last"),
        ("true", "its commands made no file below deps/"),
        (
            "mkdir deps && ln -s /etc/passwd deps/x",
            "the link deps/x leads out of the workspace, to /etc/passwd",
        ),
        ("mkdir deps && mkfifo deps/f", "deps/f cannot be kept: a FIFO"),
    ],
)
def test_one_that_cannot_be_prepared_blocks_who_needs_it_and_no_other(
    tmp_path: Path, command: str, why: str
) -> None:
    world = a_world(tmp_path / "repo", CONFIG.format(command))
    verdict, results = oneshot(world)
    assert verdict is Status.BLOCKED
    assert results["environment:deps"].status is Status.BLOCKED
    assert statuses(results) == {
        "TASK-0001": "BLOCKED",
        "TASK-0002": "BLOCKED",
        "TASK-0003": "PASS",
    }
    (finding,) = results["launch:TASK-0001-uses"].findings
    assert (finding.id, str(finding.location)[:12]) == ("ENVIRONMENT_NOT_PREPARED", "factory.toml")
    assert finding.message.endswith(f'"deps" is not prepared: {why}')
    assert [pack["pack"] for pack in plan_of(world)["packs"]] == ["TASK-0003"]
    (failed,) = [e for e in world.events() if e["event_type"] == "environment.failed"]
    assert (failed["rc"], failed["details"]) == (2, {"environment": "deps", "why": why})
    assert not list((world.state / "environments/trees").glob("*"))


def test_what_is_not_made_yet_is_made_first_and_why_repeats_the_cause(tmp_path: Path) -> None:
    world = a_world(tmp_path / "repo", CONFIG.format("echo no such thing && exit 3"))
    dry = world.factory("oneshot", "--dry-run", PYTHONHASHSEED="0")
    assert dry.out.count("would run: its environment is made first") == 2, dry.out
    assert "would run: it never ran" in dry.out
    assert oneshot(world)[0] is Status.BLOCKED
    why = world.factory("why", "TASK-0001", PYTHONHASHSEED="0")
    assert "TASK-0001 would run: its environment is made first" in why.out, why.out
    assert "command 1 ended with 3: no such thing" in why.out
    assert "mend [environments.deps] in factory.toml" in why.out


@pytest.mark.parametrize(
    ("reason", "case", "says"),
    [
        (Reason.NOT_PUBLIC, "private", '[network] private = ["a.example"]'),
        (Reason.NEAR, "private", '[network] private = ["a.example"]'),
        (Reason.NOT_DECLARED, "declare", 'allow_network = ["b.example", "a.example"]'),
        (Reason.NOT_TLS, "failed", "mend [environments.deps]"),
    ],
)
def test_a_host_that_the_proxy_refused_is_the_cause(reason: Reason, case: str, says: str) -> None:
    declared = DeclaredEnvironment("deps", network=Network(hosts=("b.example",)))
    record = record_of(Connection(1, "a.example", 443, "", reason, 0, 0, 0), 1, "steps", 0)
    why, facts = cause_of(declared, "command 1 ended with 1: more", [record])
    assert why == f"the proxy refused a.example:443 ({reason.value}); command 1 ended with 1: more"
    finding = Finding("ENVIRONMENT_NOT_PREPARED", {"name": "deps", "why": why, **facts})
    assert facts["case"] == case
    assert says in finding.remedy
    assert cause_of(declared, "", [record]) == ("", {"case": "failed"})


def test_hosts_are_asked_for_before_anything_is_run(tmp_path: Path) -> None:
    world = a_world(tmp_path / "repo", CONFIG.format(MAKE) + 'allow_network = ["a.example.org"]\n')
    verdict, results = oneshot(world)
    assert verdict is Status.BLOCKED
    assert "GRANT_MISSING" in ids(results["preflight"])
    headline = results["launch:TASK-0001-uses"].headline
    assert headline == "not run: it asks for what you have not granted"
    dry = world.factory("oneshot", "--dry-run", PYTHONHASHSEED="0").out
    assert "TASK-0001  cannot run: it asks for what you have not granted" in dry
    assert statuses(results)["TASK-0003"] == "PASS"
    assert "which you have not granted" in results["environment:deps"].headline
    assert not (world.state / "environments/deps.log").exists()
    world.grant("host a.example.org *")
    assert oneshot(world)[0] is Status.PASS


def test_a_pack_that_changes_what_it_is_made_from_is_blocked(tmp_path: Path) -> None:
    world = a_world(tmp_path / "repo")
    change = (
        'steps: [{name: a, run: "echo more >> wanted.txt"}]\nscope: {allowed_paths: [wanted.txt]}\n'
    )
    shutil.rmtree(world.root / "taskpacks/TASK-0001-uses")
    world.pack("TASK-0002-also", ALSO)
    world.pack("TASK-0003-plain", change)
    world.pack("TASK-0004-own", f"environment: [deps]\n{change}")
    world.commit()
    verdict, results = oneshot(world)
    assert verdict is Status.BLOCKED
    assert "ENVIRONMENT_CHANGED" in ids(results["launch:TASK-0004-own"])
    shutil.rmtree(world.root / "taskpacks/TASK-0004-own")
    world.commit()
    verdict, results = oneshot(world)  # on the merged tree the other pack's view is stale
    assert verdict is Status.BLOCKED
    assert "ENVIRONMENT_CHANGED" in ids(results["integrate"])


def test_the_command_lists_shows_and_removes(lived: World) -> None:
    looked = lived.factory("doctor").out
    assert "environment deps" in looked
    assert "3 files, 0.0 MiB, 0 days old" in looked
    listed = lived.factory("environment", "list", "--json")
    (row,) = json.loads(listed.out)["environments"]
    assert (row["name"], row["state"], row["files"]) == ("deps", "prepared", 3)
    rebuilt = lived.factory("verify", "--rebuild")
    assert "rebuild      3 of 3 bundles made again, byte for byte" in rebuilt.out, rebuilt.text
    shown = lived.factory("environment", "show", "deps")
    assert [
        line for line in shown.out.splitlines() if line.startswith(("deps", "  inp", "  out"))
    ] == [
        "deps  prepared  factory.toml:2:15",
        "  inputs   wanted.txt",
        "  outputs  deps/",
    ]
    assert lived.factory("environment", "show", "dep").rc == 64
    assert "did you mean deps?" in lived.factory("environment", "remove", "dep").text
    assert "removed  deps  3 files" in lived.factory("environment", "remove", "deps").out
    assert not list((lived.state / "environments/trees").glob("*"))
    planned = lived.factory("plan").out
    assert planned.count("not planned yet: its environment") == 2, planned
    assert lived.factory("environment", "prepare", "deps").out == "PASS  deps: 3 files, 0.0 MiB\n"


@pytest.mark.parametrize("command", [f"sleep 0.5 && {MAKE}", "sleep 0.5 && false"])
def test_no_pack_runs_before_all_are_prepared(tmp_path: Path, command: str) -> None:
    """The first one that runs freezes the plan, and forks the workers."""
    world = a_world(tmp_path / "repo", CONFIG.format(command))
    ended = world.doit("-n", "3", "oneshot")
    works = "false" not in command
    assert (ended.rc, "CRASH" in ended.text) == (0 if works else 2, False), ended.text
    packs = ["TASK-0001", "TASK-0002", "TASK-0003"]
    planned = [pack["pack"] for pack in plan_of(world)["packs"]]
    assert planned == (packs if works else packs[2:])
    assert world.bundle("TASK-0003")["status"] == "PASS"
    started = [e for e in world.events() if e["event_type"] == "run.started"]
    assert len(started) == 1
