"""The commands on a real repository with real packs: exit code, output, document, and what they
leave alone.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.snapshot import agrees, expected, settled
from tests.warm import BIN
from tests.world import PATIENCE, World, environment

pytestmark = pytest.mark.linux

GOOD = """
    scope: {allowed_paths: ["docs/**"]}
    steps: [{name: write, run: "mkdir -p docs && echo one > docs/one.txt"}]
"""
OUTSIDE = """
    scope: {allowed_paths: ["docs/**"]}
    steps: [{name: write, run: "mkdir -p docs && echo two > docs/two.txt && echo more >> README.md"}]
"""
LARGE = """
    scope: {allowed_paths: ["docs/**", README.md]}
    limits: {changed_lines: 1}
    steps: [{name: write, run: "mkdir -p docs && echo two > docs/two.txt && echo more >> README.md"}]
"""
FAILING = "checks: [{name: no, run: \"printf 'a → b\\\\n2 dead links\\\\n' && false\"}]\n"


@pytest.fixture
def world(tmp_path: Path) -> World:
    made = World(tmp_path / "repo")
    made.pack("TASK-0101-one", GOOD)
    made.commit()
    return made


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> World:
    """A repository after a run that was BLOCKED by two of three packs; tests only read it."""
    made = World(tmp_path_factory.mktemp("finished") / "repo")
    made.pack("TASK-0101-one", GOOD)
    made.pack("TASK-0102-two", LARGE)
    made.pack("TASK-0103-three", GOOD.replace("one", "three"), FAILING)
    made.commit()
    made.blocked = made.factory("oneshot", "-n", "1")  # type: ignore[attr-defined]
    return made


def listing(root: Path) -> dict[str, tuple[int, int]]:
    return {
        str(path.relative_to(root)): (path.lstat().st_mtime_ns, path.lstat().st_size)
        for path in sorted(root.rglob("*"))
        if not path.is_dir()
    }


def test_first_run_and_nothing_changed(world: World) -> None:
    first = world.factory("oneshot", "-n", "1")
    assert first.rc == 0, first.text
    text = settled(first.out)
    assert agrees("first-run.txt", text), (text, expected("first-run.txt"))
    before = listing(world.state)
    again = world.factory("oneshot")
    assert again.rc == 0
    text = settled(again.out)
    assert agrees("nothing-changed.txt", text), (text, expected("nothing-changed.txt"))
    caches = {"cache/memory", *(name for name in before if name.startswith("locks/"))}
    assert {k: v for k, v in listing(world.state).items() if k not in caches} == {
        k: v for k, v in before.items() if k not in caches
    }


def test_doit_and_factory_share_state(world: World) -> None:
    assert world.doit("oneshot").rc == 0
    again = world.factory("oneshot")
    assert (again.rc, "is up to date" in again.out) == (0, True)
    assert world.executed() == ["TASK-0101"]


def test_blocked(finished: World) -> None:
    ended = finished.blocked  # type: ignore[attr-defined]
    assert ended.rc == 2
    assert ended.err == ""
    text = settled(ended.out)
    assert agrees("blocked.txt", text), (text, expected("blocked.txt"))


def test_doit_list(finished: World) -> None:
    for words, name in ((["list"], "doit-list.txt"), (["list", "--all"], "doit-list-all.txt")):
        ended = finished.doit(*words)
        assert ended.rc == 0
        assert agrees(name, ended.out), (ended.out, expected(name))


def test_why_and_print_report(finished: World) -> None:
    for words, name in (
        (["why", "TASK-0102"], "why-blocked.txt"),
        (["why", "TASK-0103"], "why-failed.txt"),
        (["why", "TASK-0101-one"], "why-holds.txt"),
        (["print-report"], "print-report.txt"),
        (["print-report", "--pack", "TASK-0103", "--log", "check-1"], "print-log.txt"),
        (["plan"], "plan.txt"),
        (["open-run"], "open-run.txt"),
    ):
        ended = finished.factory(*words)
        assert (ended.rc, ended.err) == (0, ""), ended.text
        text = settled(ended.out, ROOT=finished.root)
        assert agrees(name, text), (text, expected(name))


def test_document_is_all_there_is_on_standard_output(finished: World) -> None:
    for words, code in (
        (["plan"], 0),
        (["why", "TASK-0102"], 0),
        (["contract"], 0),
        (["config"], 0),
        (["print-report"], 0),
        (["open-run"], 0),
        (["preflight"], 0),
        (["print-report", "nope"], 2),
    ):
        ended = finished.factory(*words, "--json")
        document = json.loads(ended.out)
        assert (ended.rc, document["exit_code"], document["schema_version"]) == (
            code,
            code,
            2,
        ), words
        assert document["command"] == words[0]
        assert document["status"] in ("PASS", "BLOCKED")


def test_document_of_a_run_has_verdict_findings_and_cards(world: World) -> None:
    world.pack("TASK-0102-two", OUTSIDE)
    world.commit()
    ended = world.factory("oneshot", "--json", "--json-out", str(world.root.parent / "out.json"))
    document = json.loads(ended.out)
    assert json.loads((world.root.parent / "out.json").read_text()) == document
    assert (ended.rc, document["status"], document["exit_code"]) == (2, "BLOCKED", 2)
    assert document["run_id"] == world.runs()[0]
    assert "SCOPE_OUTSIDE_ALLOWED" in {finding["id"] for finding in document["findings"]}
    cards = {card["card"]: card["status"] for card in document["cards"]}
    assert cards["launch:TASK-0101-one"] == "PASS"
    assert cards["launch:TASK-0102-two"] == "BLOCKED"
    assert "launch" in ended.err  # progress goes where it disturbs nothing


def test_one_pack_by_id_or_folder(world: World) -> None:
    world.pack("TASK-0102-two", GOOD.replace("one", "two"))
    world.commit()
    assert world.factory("launch", "TASK-0102").rc == 0
    assert world.executed() == ["TASK-0102"]
    assert world.factory("bundle-validate", "taskpacks/TASK-0101-one/").rc == 0
    assert world.executed() == ["TASK-0102", "TASK-0101"]
    wrong = world.factory("launch", "TASK-0103")
    assert (wrong.rc, wrong.out) == (64, "")
    assert wrong.err == "factory: there is no task pack 'TASK-0103'; did you mean TASK-0102?\n"


def test_phases_one_by_one(world: World) -> None:
    for command in ("preflight", "launch", "bundle-validate", "integrate", "summary"):
        assert world.factory(command).rc == 0, command
    assert world.executed() == ["TASK-0101"]


def test_run_id_is_taken_and_never_given_twice(world: World) -> None:
    assert world.factory("oneshot", "--run-id", "release-1").rc == 0
    assert world.runs() == ["release-1"]
    before = listing(world.state / "runs")
    world.write("taskpacks/TASK-0101-one/spec.md", "# Other\n\nText.\n")
    again = world.factory("oneshot", "--run-id", "release-1")
    assert again.rc == 2
    assert "RUN_EXISTS" in again.text
    assert {name: listing(world.state / "runs").get(name) for name in before} == before
    shutil.rmtree(
        world.state / "runs" / "release-1"
    )  # the ledger still has it, and one id names one run there
    once_more = world.factory("oneshot", "--run-id", "release-1")
    assert once_more.rc == 2
    assert (
        "RUN_EXISTS  a run of the id release-1 exists already, or the ledger knows one"
        in once_more.text
    )


def test_base_ref(world: World) -> None:
    first = world.git("rev-parse", "HEAD").strip()
    world.write("README.md", "# Another\n")
    world.commit()
    ended = world.factory("oneshot", "--base-ref", first)
    assert ended.rc == 0, ended.text
    assert world.status()["base_commit"] == first
    unknown = world.factory("oneshot", "--base-ref", "no-such")
    assert unknown.rc == 2
    assert unknown.err.startswith("REPO_BASE_UNKNOWN  expected base ref 'no-such' to name a commit")


def test_why_names_the_files_that_changed(world: World) -> None:
    never = world.factory("why", "TASK-0101")
    assert "would run: it never ran" in never.out
    assert world.factory("oneshot").rc == 0
    assert "nothing changed" in world.factory("why", "TASK-0101").out
    world.write("README.md", "# Another\n")
    world.write("new.txt", "new\n")
    world.commit()
    changed = world.factory("why", "TASK-0101")
    assert changed.rc == 0
    assert "its action key changed" in changed.out
    rows = [line.split() for line in changed.out.splitlines() if line.startswith("  inputs")]
    assert [row[1] for row in rows] == ["README.md", "new.txt"]
    assert rows[1][2] == "nothing"
    assert "  same       pack, sandbox, limits, protected, tools" in changed.out
    world.write("taskpacks/TASK-0101-one/spec.md", "# Other\n\nText.\n")
    parts = [
        row["part"]
        for row in json.loads(world.factory("why", "TASK-0101", "--json").out)["changes"]
    ]
    assert parts == ["pack", "inputs", "inputs"]


def test_why_follows_dependencies(world: World) -> None:
    world.pack("TASK-0102-two", "depends_on: [TASK-0101]\n" + "scope: {allowed_paths: [docs/]}\n")
    world.commit()
    assert world.factory("oneshot").rc == 0
    shutil.rmtree(world.state / "bundles" / "TASK-0101" / "LOGS")
    assert "its bundle is not as it was written" in world.factory("why", "TASK-0101").out
    assert "TASK-0101, which it depends on, runs again" in world.factory("why", "TASK-0102").out


def test_why_of_a_broken_contract(world: World) -> None:
    world.write("taskpacks/TASK-0101-one/task.yml", "id: TASK-0101\ntitel: x\n")
    ended = world.factory("why", "TASK-0101")
    assert ended.rc == 0
    assert ended.out.startswith(
        "TASK-0101 cannot run: its contract, or one that it depends on, is not valid"
    )
    assert "taskpacks/TASK-0101-one/task.yml:2:1" in ended.out


def test_contract_tells_places_and_ends_with_the_verdict(world: World) -> None:
    world.pack("TASK-0105-bad", "titel: x\nscope: {allowed_paths: [../other]}\n")
    ended = world.factory("contract")
    assert (ended.rc, ended.err) == (2, "")
    lines = ended.out.splitlines()
    assert lines[-1] == "BLOCKED  1 of 2 packs is not valid"
    assert any(
        line.startswith("taskpacks/TASK-0105-bad/task.yml:")
        and 'unknown key "titel"; did you mean "title"?' in line
        for line in lines
    ), ended.out
    assert not world.state.exists()  # it only reads
    assert world.factory("contract", "TASK-0101").rc == 0
    assert world.factory("taskpack", "lint", "TASK-0105").rc == 2


def test_contract_sees_stale_schemas_only_where_they_are_ours(world: World) -> None:
    world.write("schemas/theirs.schema.json", "{}")
    assert world.factory("contract").rc == 0
    source = Path(__file__).resolve().parents[2] / "schemas" / "task.schema.json"
    world.write("schemas/task.schema.json", source.read_bytes())
    ended = world.factory("contract", "--json")
    assert ended.rc == 2
    assert {finding["id"] for finding in json.loads(ended.out)["findings"]} == {"SCHEMA_STALE"}


def test_contract_and_config_tell_a_broken_configuration(world: World) -> None:
    world.write("factory.toml", "[packs]\nfoldr = 1\n")
    ended = world.factory("contract")
    assert ended.rc == 2
    assert 'factory.toml:2:1  unknown key "foldr"; did you mean "folder"?' in ended.out
    assert world.factory("config").rc == 2
    assert world.factory("oneshot").rc == 2


def test_config_tells_where_a_value_came_from(world: World, tmp_path: Path) -> None:
    world.write("factory.toml", '[integration]\noverlap = "merge"\n')
    (tmp_path / "codex-orchestrator").mkdir()
    (tmp_path / "codex-orchestrator" / "factory.toml").write_text("[ceilings]\nmemory = '1G'\n")
    ended = world.factory(
        "config", "--json", XDG_CONFIG_HOME=str(tmp_path), FACTORY_BASE_REF="main"
    )
    assert ended.rc == 0, ended.text
    rows = {row["name"]: (row["value"], row["source"]) for row in json.loads(ended.out)["settings"]}
    assert rows["integration.overlap"] == ("merge", "repository: factory.toml")
    assert rows["packs.base_ref"] == ("main", "environment: FACTORY_BASE_REF")
    assert rows["ceilings.memory"][0] == str(1024**3)
    assert rows["ceilings.memory"][1].startswith("yours: ")
    assert rows["ceilings.disk"] == (str(8 * 1024**3), "default")
    assert rows["run.isolation"] == ("auto", "default")


def test_doctor_inside_and_outside(world: World, tmp_path: Path) -> None:
    for cwd in (world.root, tmp_path):
        ended = world.factory("doctor", "--json", cwd=cwd)
        document = json.loads(ended.out)
        assert ended.rc == 0, ended.text
        rows = {row["topic"]: row["state"] for row in document["rows"]}
        assert rows["net_isolated"] == rows["git"] == rows["python"] == rows["doit"] == "ok"
        assert rows["repository"] == ("ok" if cwd == world.root else "note")
    every = world.factory("doctor", "--backends", "--json")
    measured = {each["backend"]: each for each in json.loads(every.out)["backends"]}
    assert list(measured) == ["full", "bubblewrap", "landlock", "none"]
    assert all(not each["escaped"] for each in measured.values())
    for name in (
        "full",
        "bubblewrap",
        "landlock",
    ):  # what packs without network have; the others have no proxy
        given = {known: each["given"] for known, each in measured[name]["properties"].items()}
        assert given["net_isolated"] == given["time_bounded"], name
    assert "PASS  this host can enforce what is required" in world.factory("doctor").out


def test_doctor_names_a_lock_and_what_was_left_behind(world: World) -> None:
    assert world.factory("preflight").rc == 0
    (world.state / "worktrees" / "TASK-0101").mkdir(parents=True)
    left = world.factory("doctor")
    assert (left.rc, "STALE_WORKTREE" in left.out) == (0, True)
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(world.state)],
        stdout=subprocess.PIPE,
        env=environment(),
        text=True,
    )
    try:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        held = world.factory("doctor")
        assert held.rc == 0
        assert f"pid {holder.pid}" in held.out
        locked = world.factory("oneshot")
        assert locked.rc == 2
        assert locked.err.startswith("LOCKED  ")
        assert f"pid {holder.pid}" in locked.err
        document = json.loads(world.factory("oneshot", "--json").out)
        assert [finding["id"] for finding in document["findings"]] == ["LOCKED"]
    finally:
        holder.kill()
        holder.wait()
        if holder.stdout is not None:
            holder.stdout.close()
    assert world.factory("oneshot").rc == 0


HOLD = """
import sys, time
from pathlib import Path
from factory.files.clock import SystemClock
from factory.files.locks import FileLocks
locks = FileLocks(Path(sys.argv[1]), SystemClock())
with locks.take("run"):
    locks.announce("run", "another run")
    print("held", flush=True)
    time.sleep(3600)
"""


def test_no_run_yet(world: World) -> None:
    for command in ("print-report", "open-run"):
        ended = world.factory(command)
        assert (ended.rc, ended.out) == (2, "")
        assert (
            ended.err
            == "RUN_UNKNOWN  no run has finished yet\n    Make one with: factory oneshot\n"
        )


def test_logs_are_made_inert(world: World) -> None:
    world.pack(
        "TASK-0102-two",
        "scope: {allowed_paths: [docs/]}\n",
        "checks: [{name: x, run: \"printf 'a\\\\033[2Jb\\\\n'\"}]\n",
    )
    world.commit()
    assert world.factory("launch", "TASK-0102").rc == 0
    shown = world.factory("print-report", "--pack", "TASK-0102", "--log", "check-1")
    assert (shown.rc, "\x1b" in shown.out) == (0, False)
    unknown = world.factory("print-report", "--pack", "TASK-0102", "--log", "chek-1")
    assert (unknown.rc, "did you mean check-1?" in unknown.err) == (2, True)
    assert world.factory("print-report", "--pack", "TASK-0102").rc == 64
    assert world.factory("print-report", "--pack", "../..", "--log", "x").rc == 64


def test_taskpack_new_holds_its_contract_and_accepts_nothing(world: World) -> None:
    ended = world.factory("taskpack", "new", "TASK-0200-2024.x", "--domain", "web")
    assert ended.rc == 0, ended.text
    checked = world.factory("contract", "--json")
    assert checked.rc == 0
    (unwritten,) = json.loads(checked.out)["findings"]
    assert unwritten["id"] == "SPEC_UNWRITTEN"
    assert "expected a sentence that says why this pack matters" in unwritten["message"]
    spec = world.root / "taskpacks/TASK-0200-2024.x/spec.md"
    spec.write_text(spec.read_text().replace("One sentence that says", "The sentence that says"))
    assert "SPEC" not in world.factory("taskpack", "lint", "TASK-0200", "--json").out
    assert "checks-0200" not in ended.out
    again = world.factory("taskpack", "new", "TASK-0200-2024.x")
    assert (again.rc, "wrote" in again.out) == (0, False)
    blocked = world.factory("launch", "TASK-0200")
    assert (blocked.rc, "CHECK_FAILED" in blocked.out) == (2, True)


def test_closed_pipe_is_quiet(finished: World) -> None:
    for words in (["--help"], ["plan"], ["config", "--json"]):
        line = f"{sys.executable} -m factory {' '.join(words)} | true; echo ${{PIPESTATUS[0]}}"
        ended = subprocess.run(
            ["bash", "-c", line],
            cwd=finished.root,
            env=environment(),
            capture_output=True,
            text=True,
            timeout=PATIENCE,
        )
        assert (ended.stdout, ended.stderr) == ("0\n", "")


def test_interrupt_ends_with_130_and_the_next_run_goes_on(world: World) -> None:
    world.pack(
        "TASK-0102-slow", 'steps: [{name: s, run: "sleep 600"}]\nscope: {allowed_paths: [docs/]}\n'
    )
    world.commit()
    process = subprocess.Popen(
        [sys.executable, "-m", "factory", "oneshot", "-n", "1"],
        cwd=world.root, env=environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    end = time.monotonic() + PATIENCE
    while "TASK-0102" not in world.executed():
        assert time.monotonic() < end
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=PATIENCE)
    assert process.returncode == 130, out + err
    assert "Traceback" not in out + err
    assert err == "interrupted: what is finished is kept; run it again to go on\n"
    world.pack("TASK-0102-slow", "scope: {allowed_paths: [docs/]}\n")
    again = world.factory("oneshot")
    assert again.rc == 0, again.text
    assert world.executed() == ["TASK-0101", "TASK-0102", "TASK-0102"]


def test_version_and_module_are_one_tool(tmp_path: Path) -> None:
    words = ([str(BIN / "factory"), "--version"], [sys.executable, "-m", "factory", "--version"])
    outs = {
        subprocess.run(w, cwd=tmp_path, capture_output=True, text=True, check=True).stdout
        for w in words
    }
    assert len(outs) == 1
    assert outs.pop().startswith("factory ")


def test_colour_only_on_a_terminal_and_not_with_no_color(world: World) -> None:
    import pty

    def run_on_terminal(**variables: str) -> bytes:
        leader, follower = pty.openpty()
        env = {**environment(TERM="xterm-256color", **variables)}
        if "NO_COLOR" not in variables:
            del env["NO_COLOR"]
        process = subprocess.Popen(
            [sys.executable, "-m", "factory", "preflight"],
            cwd=world.root,
            env=env,
            stdout=follower,
            stderr=follower,
        )
        os.close(follower)
        found = b""
        while True:
            try:
                chunk = os.read(leader, 65536)
            except OSError:
                break
            if not chunk:
                break
            found += chunk
        os.close(leader)
        assert process.wait(60) == 2
        return found

    world.write("taskpacks/TASK-0101-one/task.yml", "id: TASK-0101\n")
    assert b"\x1b[33mBLOCKED\x1b[0m" in run_on_terminal()
    assert b"\x1b[33m" not in run_on_terminal(NO_COLOR="1")
