"""Index, review, replay and garbage collection over real runs, by the real command line."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import cast

import pytest
from filelock import FileLock
from jsonschema import Draft202012Validator

from factory.engine import wiring
from factory.evidence.replay import replay
from factory.evidence.review import review
from factory.evidence.review_rules import Mode
from factory.git.objects import GitObjects
from factory.model.index import ReviewReport
from factory.model.ledger_chain import parse_event
from tests.world import PATIENCE, World, environment

pytestmark = pytest.mark.linux

ROOT = Path(__file__).resolve().parents[2]
INDEX = "evidence-index.json"


def writes(name: str, text: str, more: str = "") -> str:
    return f"""
    scope: {{allowed_paths: ["docs/**"]}}
    steps: [{{name: write, run: "mkdir -p docs && echo {text} > docs/{name}.txt"}}]
    {more}
"""


def made(root: Path) -> World:
    """Three runs: one PASS, one BLOCKED that copies a bundle, one PASS again; one result is on a
    branch.
    """
    world = World(root)
    world.pack("TASK-0101-one", writes("one", "one"))
    world.pack("TASK-0102-two", writes("two", "two"))
    world.commit()
    assert world.factory("oneshot", "-n", "1").rc == 0
    world.pack("TASK-0102-two", writes("two", "three"), "checks: [{name: no, run: 'false'}]\n")
    world.commit()
    assert world.factory("oneshot", "-n", "1").rc == 2
    world.pack("TASK-0102-two", writes("two", "four"))
    world.commit()
    assert world.factory("oneshot", "-n", "1").rc == 0
    return world


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return made(tmp_path_factory.mktemp("overviews") / "repo").root


class Copied(World):
    """A copy of a repository with its runs."""

    def __init__(self, original: Path, root: Path) -> None:
        shutil.copytree(original, root, symlinks=True)
        self.root = root

    def json(self, *words: str) -> dict:
        return json.loads(self.factory(*words, "--json").out)

    def index(self) -> bytes:
        return (self.state / INDEX).read_bytes()


@pytest.fixture
def world(original: Path, tmp_path: Path) -> Copied:
    return Copied(original, tmp_path / "repo")


@pytest.fixture(scope="module")
def places(original: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Where a fourth run was made, and a copy of all that it left."""
    folder = tmp_path_factory.mktemp("settled")
    live = Copied(original, folder / "repo")
    assert live.factory("oneshot").rc == 0
    return live.root, Copied(live.root, folder / "kept").root


@pytest.fixture
def settled(places: tuple[Path, Path]) -> Copied:
    """A repository after its fourth run, at the very place of it: markers hold no copied one."""
    live, kept = places
    shutil.rmtree(live)
    copied = Copied(kept, live)
    copied.claim()
    return copied


def tree(root: Path) -> dict[str, str]:
    return {
        path.relative_to(root).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(root.rglob("*"))
        if path.is_file() and not path.is_symlink()
    }


# ── index ────────────────────────────────────────────────────────────────────


def test_index_is_the_same_twice_from_nothing_and_elsewhere(
    world: Copied, original: Path, tmp_path: Path
) -> None:
    before = tree(world.state / "runs")
    first = world.json("evidence", "index")
    content = world.index()
    assert first["read"] == first["artifacts"] == len(before)
    again = world.json("evidence", "index")
    assert (world.index(), again["index"]["written"]) == (content, False)
    assert world.json("evidence", "index", "--full")["read"] == len(before)
    assert world.index() == content
    (world.state / INDEX).unlink()
    shutil.rmtree(world.state / "cache")
    assert world.factory("evidence", "index", PYTHONHASHSEED="1").rc == 0
    other = Copied(original, tmp_path / "other" / "place")
    varied = {"TZ": "Asia/Tokyo", "LANG": "C", "PYTHONHASHSEED": "2"}
    assert other.factory("evidence", "index", cwd=other.root / "taskpacks", **varied).rc == 0
    assert (world.index(), other.index()) == (content, content)
    assert tree(world.state / "runs") == before
    schema = json.loads((ROOT / "schemas" / "evidence_index.schema.json").read_text("utf-8"))
    Draft202012Validator(schema).validate(json.loads(content))


def test_index_names_every_file_with_its_digest_and_the_ledgers_word(world: Copied) -> None:
    assert world.factory("evidence", "index").rc == 0
    document = json.loads(world.index())
    rows = {
        f"{run['run_id']}/{row['path']}": row
        for run in document["runs"]
        for row in run["artifacts"]
    }
    assert {name: row["sha256"] for name, row in rows.items()} == tree(world.state / "runs")
    runs = {run["run_id"]: run for run in document["runs"]}
    assert [(runs[name]["state"], runs[name]["status"]) for name in world.ordered()] == [
        ("finished", "PASS"), ("finished", "BLOCKED"), ("finished", "PASS"),
    ]  # fmt: skip
    started = {e["run_id"]: e for e in world.events() if e["event_type"] == "run.started"}
    for name, run in runs.items():
        assert (run["started"], run["base_commit"]) == (
            started[name]["ts_utc"],
            started[name]["hashes"]["base_commit"],
        )
    documents = [
        row
        for row in rows.values()
        if row["type"] in ("run-status", "bundle-manifest", "action", "merge")
    ]
    assert {(row["type"], row["schema_version"]) for row in documents} == {
        ("run-status", 4), ("bundle-manifest", 1), ("action", 2), ("merge", 2),
    }  # fmt: skip
    assert {row["type"] for row in rows.values()} <= {
        *json.loads((ROOT / "schemas" / "evidence_index.schema.json").read_text("utf-8"))["$defs"][
            "IndexedArtifact"
        ]["properties"]["type"]["enum"]
    }
    assert "other" not in {row["type"] for row in rows.values()}, "a file of ours has no type"


def test_change_in_place_shows_and_only_it_is_read(world: Copied) -> None:
    assert world.factory("evidence", "index").rc == 0
    time.sleep(0.06)
    assert world.factory("evidence", "index").rc == 0
    log = next((world.state / "runs").rglob("TASK-0101/LOGS/check-1.log"))
    status = log.stat()
    log.write_bytes(log.read_bytes() + b"x")
    os.utime(log, ns=(status.st_atime_ns, status.st_mtime_ns))
    answer = world.json("evidence", "index")
    assert (answer["read"], answer["index"]["written"]) == (1, True)
    shown = world.json("evidence", "show-artifact", hashlib.sha256(log.read_bytes()).hexdigest())
    assert [row["path"] for row in shown["artifacts"]] == [
        log.relative_to(log.parents[2]).as_posix()
    ]


def test_questions_read_the_index_and_nothing_else(world: Copied) -> None:
    missing = world.factory("evidence", "list-runs")
    assert (missing.rc, missing.err.split()[0]) == (2, "INDEX_MISSING")
    assert world.factory("evidence", "index").rc == 0
    meta = world.json("evidence", "show-index-meta")["index"]
    shutil.rmtree(world.state / "runs")
    (world.state / "ledger.jsonl").unlink()
    assert world.json("evidence", "show-index-meta")["index"] == meta
    assert meta["sha256"] == hashlib.sha256(world.index()).hexdigest()
    assert len(world.json("evidence", "list-runs", "--status", "PASS")["runs"]) == 2
    assert len(world.json("evidence", "list-runs", "--limit", "1")["runs"]) == 1
    patches = world.json("evidence", "list-artifacts", "--type", "patch", "--pack", "TASK-0101")[
        "artifacts"
    ]
    assert len(patches) == 3
    unknown = world.factory("evidence", "show-artifact", "runs/none/DIFF.patch")
    assert unknown.rc == 2
    assert unknown.err.startswith(
        "EVIDENCE_UNKNOWN  the evidence index has no artifact 'runs/none/DIFF.patch'"
    )
    (world.state / INDEX).write_bytes(world.index().replace(b"PASS", b"PASS ", 1))
    broken = world.factory("evidence", "list-artifacts")
    assert (broken.rc, broken.err.split()[0]) == (2, "INDEX_BROKEN")


@pytest.mark.parametrize(
    "words",
    [("list-runs", "--type", "log"), ("index", "--limit", "1"), ("show-artifact",), ("list-runs", "more"), ("nothing",),
     ("list-artifacts", "--path", "../up"), ("list-runs", "--status", "pass"), ("list-runs", "--since", "yesterday")],
)  # fmt: skip
def test_words_that_mean_nothing_are_refused(world: Copied, words: tuple[str, ...]) -> None:
    ended = world.factory("evidence", *words)
    assert (ended.rc, ended.out, ended.err.count("\n")) == (64, "", 1)


def test_broken_ledger_makes_no_index(world: Copied) -> None:
    ledger = world.state / "ledger.jsonl"
    ledger.write_bytes(ledger.read_bytes().replace(b'"rc":2', b'"rc":0', 1))
    ended = world.factory("evidence", "index")
    assert (ended.rc, ended.err.split()[0]) == (2, "LEDGER_BROKEN")
    assert not (world.state / INDEX).exists()


# ── replay ───────────────────────────────────────────────────────────────────


def test_replay_agrees_with_the_folders_and_any_prefix_replays(world: Copied) -> None:
    document = world.json("ledger-replay")
    assert (document["status"], document["findings"]) == ("PASS", [])
    runs = {run["run_id"]: run for run in document["runs"]}
    for name in world.ordered():
        status = json.loads(
            (world.state / "runs" / name / "Z_integrator" / "STATUS.json").read_text()
        )
        assert (runs[name]["status"], runs[name]["merged_tree"]) == (
            status["status"],
            status["merged_tree"],
        )
        assert {pack["pack"] for pack in runs[name]["packs"]} == {
            line["pack"] for line in status["packs"]
        }
    events = [
        parse_event(line) for line in (world.state / "ledger.jsonl").read_bytes().splitlines()
    ]
    for length in range(len(events) + 1):
        assert replay(events[:length]).events == length
    assert world.json("ledger-replay", "--until", "2")["events"] == 2
    assert world.factory("ledger-replay", "--run-id", "nope").rc == 2


def test_replay_names_what_the_folder_says_otherwise(world: Copied) -> None:
    last = world.ordered()[-1]
    status = world.state / "runs" / last / "Z_integrator" / "STATUS.json"
    status.write_bytes(status.read_bytes().replace(b'"PASS"', b'"FAIL"'))
    shutil.copytree(world.state / "runs" / last, world.state / "runs" / "stranger")
    shutil.rmtree(world.state / "runs" / world.ordered()[0])
    document = world.json("ledger-replay")
    assert document["exit_code"] == 2
    said = " ".join(finding["message"] for finding in document["findings"])
    assert {finding["id"] for finding in document["findings"]} == {"LEDGER_DISAGREES", "RUN_GONE"}
    for clause in (
        "its verdict is PASS in the ledger and FAIL",
        "digest of STATUS.json",
        "run stranger is there",
    ):
        assert clause in said


# ── review ───────────────────────────────────────────────────────────────────


def outcomes(document: dict) -> dict[str, tuple[str, list[str]]]:
    return {
        check["id"]: (check["outcome"], [finding["id"] for finding in check["findings"]])
        for check in document["review"]["checks"]
    }


def test_review_of_a_sound_repository(world: Copied, tmp_path: Path) -> None:
    assert world.factory("evidence", "index").rc == 0
    for mode in ("advisory", "strict"):
        first, second = tmp_path / f"{mode}-1.json", tmp_path / f"{mode}-2.json"
        for place in (first, second):
            ended = world.factory("review", "--mode", mode, "--report-path", str(place))
            assert ended.rc == 0, ended.text
        assert first.read_bytes() == second.read_bytes()
        schema = json.loads((ROOT / "schemas" / "review_report.schema.json").read_text("utf-8"))
        Draft202012Validator(schema).validate(json.loads(first.read_bytes()))
    found = outcomes(world.json("review"))
    assert {name for name, (outcome, _) in found.items() if outcome == "ok"} == {
        "RV-CONTRACTS", "RV-PACK-FILES", "RV-STATE-IGNORED", "RV-LEDGER", "RV-RUNS", "RV-INDEX",
    }  # fmt: skip


def spoil_contract(world: World) -> None:
    (world.root / "taskpacks/TASK-0101-one/task.yml").write_text("nonsense: 1\n")


def spoil_run(world: World) -> None:
    next((world.state / "runs").rglob("FINAL_REPORT.txt")).write_text("All is well.\n")


def expose(world: World) -> None:
    world.git("add", "-f", ".factory/ledger.jsonl")


def require_docs(world: World) -> None:
    world.pack(
        "TASK-0103-three", "docs: {required: [MISSING.md]}\nscope: {allowed_paths: [src/]}\n"
    )


def reviewed(world: World, mode: Mode) -> ReviewReport:
    site = wiring.site(world.root, {})
    try:
        return review(site, mode, ())
    finally:
        site.sandbox.close()
        cast("GitObjects", site.objects).close()


@pytest.mark.parametrize(
    ("spoil", "check", "finding"),
    [
        (spoil_contract, "RV-CONTRACTS", "PACK_INVALID"),
        (lambda w: (w.root / "taskpacks/TASK-0101-one/risk.md").unlink(), "RV-PACK-FILES", "PACK_FILE_MISSING"),
        (require_docs, "RV-DOCS", "DOCS_MISSING"),
        (lambda w: w.write(".github/workflows/a.yml", "permissions: {}\njobs: {a: {uses: o/r@v1}}\n"),
         "RV-WORKFLOW-PINS", "WORKFLOW_UNPINNED"),
        (lambda w: w.write(".github/workflows/a.yml", "on: push\n"), "RV-WORKFLOW-PERMISSIONS", "WORKFLOW_PERMISSIONS"),
        (lambda w: w.write("schemas/task.schema.json", '{"$id": "urn:codex-orchestrator:schema:task:1"}\n'),
         "RV-SCHEMAS", "SCHEMA_STALE"),
        (expose, "RV-STATE-IGNORED", "STATE_EXPOSED"),
        (spoil_run, "RV-RUNS", "RUN_DAMAGED"),
        (spoil_run, "RV-INDEX", "INDEX_STALE"),
        (lambda w: (w.last() / "extra").write_text(""), "RV-RUNS", "RUN_DAMAGED"),
        (lambda w: (w.last().parent / "RUN_MANIFEST.json").write_text("{}"), "RV-RUNS", "RUN_DAMAGED"),
        (lambda w: (w.last() / "STATUS.json").unlink(), "RV-LEDGER", "LEDGER_DISAGREES"),
        (lambda w: (w.state / "ledger.jsonl").write_text("{}\n"), "RV-LEDGER", "LEDGER_BROKEN"),
    ],
)  # fmt: skip
def test_review_names_it_and_only_strict_blocks(
    world: Copied, spoil: Callable[[World], object], check: str, finding: str
) -> None:
    assert world.factory("evidence", "index").rc == 0
    spoil(world)
    report = reviewed(world, Mode.ADVISORY)
    assert report.status == "PASS"
    (judged,) = [each for each in report.checks if each.id == check]
    assert (judged.outcome, finding in {record.id for record in judged.findings}) == (
        "findings",
        True,
    )
    assert reviewed(world, Mode.STRICT).status == "BLOCKED"


def test_an_index_that_is_older_than_the_runs_is_a_warning(world: Copied) -> None:
    assert world.factory("evidence", "index").rc == 0
    index = world.state / INDEX
    index.write_bytes(index.read_bytes() + b"\n")
    report = reviewed(world, Mode.STRICT)
    (judged,) = [each for each in report.checks if each.id == "RV-INDEX"]
    assert [record.id for record in judged.findings] == ["INDEX_STALE"]
    assert report.status == "PASS"


# ── at the end of a run, and as tasks ────────────────────────────────────────


def test_flags_add_to_a_run_and_nothing_without_them(world: Copied) -> None:
    assert not (world.state / INDEX).exists()
    assert not (world.state / "reviews").exists()
    world.pack("TASK-0102-two", writes("two", "five"))
    world.commit()
    ended = world.doit("oneshot", ORCH_COLLECT_REVIEW="1", ORCH_WRITE_EVIDENCE_INDEX="1")
    assert ended.rc == 0, ended.text
    last = world.ordered()[-1]
    report = json.loads((world.state / "reviews" / f"{last}.json").read_text())
    assert (report["mode"], report["errors"]) == ("advisory", 0)
    assert last in world.index().decode()
    assert f"Review    0 errors, 0 warnings  .factory/reviews/{last}.json" in ended.out
    inside = {
        entry["path"]
        for entry in json.loads((world.last().parent / "RUN_MANIFEST.json").read_text())["files"]
    }
    assert inside | {"RUN_MANIFEST.json"} == set(tree(world.last().parent)), (
        "both lie beside the run, not in it"
    )
    assert not [path for path in inside if "review" in path or INDEX in path]
    assert world.differs(last) == ""
    content = world.index()
    held = world.doit("oneshot", ORCH_COLLECT_REVIEW="1", ORCH_WRITE_EVIDENCE_INDEX="1")
    assert ("Review" in held.out, world.index()) == (False, content)
    assert world.factory("review", "--mode", "strict").rc == 0
    spoil_run(world)
    assert (world.factory("review").rc, world.factory("review", "--mode", "strict").rc) == (0, 2)


def test_flag_that_fails_changes_no_verdict(world: Copied) -> None:
    (world.state / "reviews").write_text("in the way\n")
    world.pack("TASK-0102-two", writes("two", "six"))
    world.commit()
    ended = world.factory("oneshot", ORCH_COLLECT_REVIEW="1", ORCH_WRITE_EVIDENCE_INDEX="yes")
    assert ended.rc == 0, ended.text
    assert "Review    not made: DISK_UNWRITABLE" in ended.out
    assert not (world.state / INDEX).exists()


def test_tasks_of_doit(settled: Copied) -> None:
    ended = settled.doit("evidence-index", "review", "doctor")
    assert (ended.rc, "PASS  0 errors, 0 warnings (advisory)" in ended.out) == (0, True), ended.text
    assert ended.out.endswith("PASS  this host can enforce what is required\n")
    assert (settled.state / INDEX).exists()
    assert len(settled.ordered()) == 4
    both = settled.doit("oneshot", "evidence-index")
    assert (both.rc, "is up to date" in both.out) == (0, True), both.text
    (settled.state / "ledger.jsonl").write_text("{}\n")
    broken = settled.doit("evidence-index")
    assert broken.rc == 2
    assert "Traceback" not in broken.text


# ── garbage collection ───────────────────────────────────────────────────────


def removed(document: dict) -> list[tuple[str, str]]:
    return [(row["event"], row["path"]) for row in document["removals"]]


def test_dry_run_tells_and_changes_nothing(settled: Copied) -> None:
    before = tree(settled.state)
    document = settled.json("gc", "--keep", "1")
    assert document["dry_run"] is True
    assert (
        settled.factory("gc", "--keep", "1")
        .out.rstrip()
        .endswith("would be removed; to remove it, add --yes")
    )
    assert ("gc.cache-removed", "cache") in removed(document)
    after = {
        path: digest
        for path, digest in tree(settled.state).items()
        if not path.startswith("locks/")
    }
    assert after == {
        path: digest for path, digest in before.items() if not path.startswith("locks/")
    }


def test_only_copy_of_work_stays_and_everything_else_goes_on(settled: Copied) -> None:
    last = settled.ordered()[-1]
    first, second, third, _ = settled.ordered()
    document = settled.json("gc", "--yes", "--keep", "1")
    assert {finding["id"] for finding in document["findings"]} == {"GC_KEPT"}
    said = [finding["message"] for finding in document["findings"]]
    assert "the bundle of TASK-0102, its merged result is in no other place" in said[0]
    assert said[1].startswith(f"run {second} stays")
    # the third run made what the last one made again
    assert [path for event, path in removed(document) if event == "gc.removed"] == [f"runs/{third}"]
    assert (
        next(row["where"] for row in document["removals"] if third in row["path"]) == f"run {last}"
    )
    assert settled.runs() == [first, second, last]
    assert not (settled.state / "cache").exists()
    held = settled.factory("oneshot")
    assert (held.rc, "is up to date" in held.out) == (0, True), held.text
    settled.pack("TASK-0102-two", writes("two", "seven", "depends_on: [TASK-0101]"))
    settled.commit()
    assert settled.factory("oneshot").rc == 0
    assert settled.json("ledger-replay")["findings"] == []
    assert settled.differs() == ""


def test_exported_run_goes_and_is_on_record(world: Copied, tmp_path: Path) -> None:
    first, second, third = world.ordered()
    shutil.copytree(world.state / "runs" / first, tmp_path / "kept" / first)
    shutil.copytree(world.state / "runs" / second, tmp_path / "kept" / second)
    shutil.copytree(world.state / "runs" / third, tmp_path / "kept" / third)
    report = tmp_path / "kept" / second / "Z_integrator" / "FINAL_REPORT.md"
    report.write_bytes(report.read_bytes() + b" ")
    manifest = hashlib.sha256(
        (world.state / "runs" / first / "RUN_MANIFEST.json").read_bytes()
    ).hexdigest()
    document = world.json("gc", "--yes", "--keep", "1", "--exported", str(tmp_path / "kept"))
    assert ("gc.removed", f"runs/{first}") in removed(document)
    assert world.runs() == [second, third]
    events = [event for event in world.events() if event["event_type"] == "gc.removed"]
    assert [(e["run_id"], e["actor"], e["hashes"]) for e in events] == [
        (first, "gc", {"manifest": manifest})
    ]
    assert events[0]["details"] == {"path": f"runs/{first}", "why": "exported, every byte of it",
                                    "where": str(tmp_path / "kept")}  # fmt: skip
    replayed = world.json("ledger-replay")
    assert (replayed["findings"], replayed["runs"][0]["state"]) == ([], "removed")
    again = world.json("gc", "--yes", "--keep", "1", "--exported", str(tmp_path / "kept"))
    assert removed(again) == []
    assert world.runs() == [second, third]


def test_folder_is_no_copy_of_itself(world: Copied, tmp_path: Path) -> None:
    assert world.factory("gc", "--yes", "--keep", "1", "--exported", ".factory/runs").rc == 64
    (tmp_path / "link").symlink_to(world.state / "runs")
    assert (
        world.factory("gc", "--yes", "--keep", "1", "--exported", str(tmp_path / "link")).rc == 64
    )
    copies = tmp_path / "copies"
    copies.mkdir()
    for name in world.runs():
        (copies / name).symlink_to(world.state / "runs" / name)
    before = world.runs()
    assert world.factory("gc", "--yes", "--keep", "1", "--exported", str(copies)).rc == 0
    assert world.runs() == before
    assert world.factory("gc", "--yes", "--exported", str(tmp_path / "nowhere")).rc == 64


def test_result_on_a_branch_and_bundles_elsewhere(settled: Copied) -> None:
    assert settled.factory("integrate", "--branch").rc == 0
    branched = settled.ordered()[-1]
    settled.pack("TASK-0103-three", writes("three", "three", "inputs: [docs/]"))
    settled.pack("TASK-0101-one", writes("one", "one", "inputs: [docs/]"))
    document = settled.json("gc", "--keep", "1")
    assert f"runs/{branched}" not in [path for _, path in removed(document)]
    assert settled.factory("oneshot").rc == 0
    said = [finding["message"] for finding in settled.json("gc", "--keep", "1")["findings"]]
    (why,) = [message for message in said if branched in message]
    assert "the bundle of TASK-0101 is in no other place" in why
    settled.git("branch", "-D", f"codex/{branched}")
    said = [finding["message"] for finding in settled.json("gc", "--keep", "1")["findings"]]
    (why,) = [message for message in said if branched in message]
    assert "its merged result is in no other place" in why


def test_doit_clean_removes_caches_and_no_evidence(settled: Copied) -> None:
    held = {
        path: digest
        for path, digest in tree(settled.state).items()
        if path.startswith(("runs/", "bundles/"))
    }
    lines = (settled.state / "ledger.jsonl").read_bytes()
    rehearsed = settled.doit("clean", "-n")
    assert f"preflight - removing folder '{settled.state / 'cache'}'" in rehearsed.out
    with FileLock(settled.state / "locks" / "run.lock"):
        refused = settled.doit("clean", "preflight")
    assert (refused.rc, refused.err.startswith("caches stay:\nLOCKED  ")) == (0, True), refused.text
    (settled.state / "locks").rename(settled.state / "aside")
    (settled.state / "locks").write_text("in the way\n")
    refused = settled.doit("clean", "preflight")
    assert refused.err.startswith("caches stay:\nPATH_UNSAFE  "), refused.text
    assert "Traceback" not in refused.text
    (settled.state / "locks").unlink()
    (settled.state / "aside").rename(settled.state / "locks")
    assert any((settled.state / "cache").iterdir())
    assert (settled.state / "ledger.jsonl").read_bytes() == lines
    cleaned = settled.doit("clean")
    assert (cleaned.rc, cleaned.err) == (0, ""), cleaned.text
    assert not [name for name in ("cache", "trash") if (settled.state / name).exists()]
    assert not [
        path
        for path in tree(settled.state)
        if path.startswith("git/objects/") and "/info/" not in path
    ]
    assert {
        path: digest
        for path, digest in tree(settled.state).items()
        if path.startswith(("runs/", "bundles/"))
    } == held
    assert (settled.state / "ledger.jsonl").read_bytes().startswith(lines)
    assert [
        e["details"]["path"] for e in settled.events() if e["event_type"] == "gc.cache-removed"
    ] == ["cache", "git"]
    assert settled.factory("oneshot").rc == 0
    assert settled.json("ledger-replay")["findings"] == []


def test_raw_logs_of_an_abandoned_run_go_and_those_of_the_last_one_stay(world: Copied) -> None:
    world.pack(
        "TASK-0102-two", 'steps: [{name: s, run: "sleep 600"}]\nscope: {allowed_paths: [docs/]}\n'
    )
    world.commit()
    process = subprocess.Popen(
        [sys.executable, "-m", "factory", "oneshot", "-n", "1"], cwd=world.root, env=environment(),
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    end = time.monotonic() + PATIENCE
    while len(world.ordered()) < 4 or not any(
        e["event_type"] == "pack.started" for e in world.events()[-2:]
    ):
        assert time.monotonic() < end
        time.sleep(0.05)
    locked = world.factory("gc")
    assert (locked.rc, locked.err.split()[0]) == (2, "LOCKED")
    process.send_signal(signal.SIGINT)
    process.wait(PATIENCE)
    abandoned = world.ordered()[-1]
    raw = world.state / "runs" / abandoned / "raw"
    (raw / "TASK-0102").mkdir(parents=True, exist_ok=True)
    (raw / "TASK-0102" / "x.log").write_text("x\n")
    assert f"runs/{abandoned}/raw" not in [path for _, path in removed(world.json("gc", "--yes"))]
    world.pack("TASK-0102-two", writes("two", "eight"))
    world.commit()
    assert world.factory("oneshot").rc == 0
    assert ("gc.raw-removed", f"runs/{abandoned}/raw") in removed(world.json("gc", "--yes"))
    assert not raw.exists()
    assert world.json("ledger-replay")["findings"] == []


@pytest.mark.parametrize(("recorded", "stands"), [(False, True), (True, False)])
def test_interrupted_collection_is_taken_back_or_finished_by_the_next_start(
    settled: Copied, tmp_path: Path, recorded: bool, stands: bool
) -> None:
    third = settled.ordered()[2]
    run, aside = (
        settled.state / "runs" / third,
        settled.state / "trash" / "gc.removed" / "runs" / third,
    )
    shutil.copytree(run, tmp_path / "kept")
    assert settled.factory("gc", "--yes", "--keep", "1").rc == 0
    assert not run.exists()
    ledger = settled.state / "ledger.jsonl"
    lines = ledger.read_bytes().splitlines(keepends=True)
    ledger.write_bytes(b"".join(lines if recorded else lines[:-1]))
    (settled.state / "ledger.checkpoint").unlink()  # it is written last of all
    assert b'"gc.removed"' in lines[-1]
    shutil.copytree(tmp_path / "kept", aside)
    (settled.state / "trash" / "other").write_text("x\n")
    assert settled.factory("oneshot").rc == 0
    assert run.exists() is stands
    assert not stands or tree(run) == tree(tmp_path / "kept")
    assert not (settled.state / "trash").exists()
    assert settled.json("ledger-replay")["findings"] == []
