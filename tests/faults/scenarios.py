"""Commands that are broken at one operation each, what they start from, and what must hold
afterwards.
"""

from __future__ import annotations

import errno
import json
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from factory.model.layout import CHECKS, VIEWS
from tests.faults import judge, shim
from tests.faults.bench import Bench, Broke, Ran, digests
from tests.faults.judge import Measure

ONESHOT = ("oneshot", "-n", "1")
_CACHES = ("cache",)


@dataclass(frozen=True)
class Scenario:
    """`state` is what it starts from; `settled` tells what does not hold when `words` were broken
    and run again.
    """

    name: str
    state: str
    words: tuple[str, ...]
    again: Callable[[Bench, Ran, bool], list[str]]


def prepare(bench: Bench) -> Measure:
    """Make every state. What the undisturbed run came to."""
    bench.make_world()
    bench.keep("cold")
    _must(bench.run(*ONESHOT))
    wanted = judge.measure(bench)
    bench.keep("done")
    _forget_runs(bench)
    bench.keep("warm")
    return wanted


def prepare_many(bench: Bench) -> Measure:
    """A state in which one pack changed since its PASS, and what a run then comes to; and one with
    older runs.

    Of these the first has work that is in no other place, the second what the third made again.
    """
    bench.restore("done")
    bench.world.write("taskpacks/TASK-0002-x/risk.md", "# Risk\n\nSome.\n")
    bench.world.commit("risk")
    bench.keep("changed")
    _must(bench.run(*ONESHOT))
    wanted = judge.measure(bench)
    shutil.rmtree(bench.world.state / "state")
    _must(bench.run(*ONESHOT))
    shown = bench.run("gc", "--keep", "1").text
    if shown.count("would remove  runs/") != 1 or shown.count("keep    run ") != 1:
        raise RuntimeError(f"expected one run to go and one to stay, found: {shown}")
    bench.keep("many")
    return wanted


def _must(ran: Ran) -> None:
    if ran.rc:
        raise RuntimeError(f"an undisturbed command ended with {ran.rc}: {ran.text}")


def _forget_runs(bench: Bench) -> None:
    """Nothing but caches that say nothing of this repository; the user's key is gone too."""
    for path in bench.world.state.iterdir():
        if path.name not in _CACHES:
            shutil.rmtree(path) if path.is_dir() else path.unlink()
    # What commands said is sealed with the key of this user, which goes too.
    for folder in (VIEWS, CHECKS):
        shutil.rmtree(bench.world.state / folder)
    shutil.rmtree(bench.live / "home")
    (bench.live / "home").mkdir()


def scenarios(wanted: Measure, changed: Measure) -> dict[str, Scenario]:
    """By name; `wanted` and `changed` as `prepare` and `prepare_many` measured them."""
    return {
        scenario.name: scenario
        for scenario in (
            Scenario("run", "warm", ONESHOT, _run_again(wanted)),
            Scenario("workers", "warm", ("oneshot", "-n", "2"), _run_again(wanted)),
            Scenario("cold", "cold", ONESHOT, _run_again(wanted)),
            Scenario("change", "changed", ONESHOT, _run_again(changed)),
            Scenario("branch", "done", ("integrate", "--branch"), _branch_again),
            Scenario("keys", "warm", ("keys", "new"), _keys_again),
            Scenario("gc", "many", ("gc", "--yes", "--keep", "1"), _gc_again),
        )
    }


def _run_again(wanted: Measure) -> Callable[[Bench, Ran, bool], list[str]]:
    def again(bench: Bench, ran: Ran, killed: bool) -> list[str]:
        found = judge.judge_users(bench, wanted.users)
        before = judge.whole_lines(bench)
        if not killed and ran.rc == 0:
            found += judge.judge_evidence(bench)
        settled = bench.run(*ONESHOT)
        found += judge.judge_again(bench, settled, before, wanted, killed)
        return found + judge.judge_users(bench, wanted.users)

    return again


def _branch_again(bench: Bench, _ran: Ran, _killed: bool) -> list[str]:
    world = bench.world
    before = [json.loads(line) for line in judge.whole_lines(bench)]
    run = next(event["run_id"] for event in before if event["event_type"] == "run.started")
    begun = [event["event_type"] for event in before].count("branch.prepared")
    at_start = bench.run(*ONESHOT)
    made = [event["event_type"] for event in world.events()].count("branch.created")
    if at_start.rc or made != begun:
        return [f"the next start left it ({begun} prepared, {made} made): {at_start.text[-600:]}"]
    again = bench.run("integrate", "--branch")
    if again.rc:
        return [f"run again, it ended with {again.rc}: {again.text[-600:]}"]
    found = []
    if world.git("rev-parse", f"codex/{run}^{{tree}}").strip() != world.status()["merged_tree"]:
        found.append("the branch does not hold the merged tree")
    if world.git("rev-parse", "--abbrev-ref", "HEAD").strip() != "main" or world.git(
        "status", "--porcelain"
    ):
        found.append("HEAD, index or work tree changed")
    world.git("fsck", "--strict", "--no-dangling")
    kinds = [event["event_type"] for event in world.events()]
    if kinds.count("branch.created") != 1:
        found.append(f"branch.created was recorded {kinds.count('branch.created')} times")
    return found + judge.judge_evidence(bench) + judge.judge_litter(bench)


def _keys_again(bench: Bench, _ran: Ran, _killed: bool) -> list[str]:
    again = bench.run("keys", "new")
    if again.rc:
        return [f"run again, it ended with {again.rc}: {again.text[-600:]}"]
    folder = bench.live / "home" / ".config" / "codex-orchestrator" / "keys"
    open_to_all = [path.name for path in folder.glob("*") if path.stat().st_mode & 0o077]
    listed = bench.run("keys", "list")
    found = [f"readable to others: {open_to_all}"] if open_to_all else []
    return found + ([f"keys list ended with {listed.rc}: {listed.text}"] if listed.rc else [])


def _gc_again(bench: Bench, _ran: Ran, _killed: bool) -> list[str]:
    kept = bench.place / "many" / "w" / ".factory"
    wanted = {
        digest for path, digest in digests(kept / "runs").items() if path.endswith("/manifest.json")
    }
    found = [] if wanted <= _manifests(bench) else ["a bundle that was there is in no run any more"]
    found += (
        [f"before the next: {row}" for row in judge.judge_evidence(bench)]
        if bench.run(*ONESHOT).rc == 0
        else []
    )
    again = bench.run("gc", "--yes", "--keep", "1")
    if again.rc:
        return [*found, f"run again, it ended with {again.rc}: {again.text[-600:]}"]
    if not wanted <= _manifests(bench):
        found.append("a bundle that was there is in no run any more")
    if (bench.world.state / "trash").exists():
        found.append("the trash is still there")
    last = bench.run("gc", "--yes", "--keep", "1")
    if "nothing to remove" not in last.text:
        found.append(f"a third collection still had something to do: {last.text[-400:]}")
    if bench.run(*ONESHOT).rc:
        found.append("the last run does not hold any more")
    return found + judge.judge_evidence(bench) + judge.judge_litter(bench)


def _manifests(bench: Bench) -> set[str]:
    """Digests of the bundle manifests in runs that stand, and of those in the trash: a move is no
    loss yet.
    """
    found = digests(bench.world.state / "runs") | digests(bench.world.state / "trash")
    return {digest for path, digest in found.items() if path.endswith("/manifest.json")}


FAULTS = tuple(
    (how, error) for how in (shim.ONCE, shim.LASTING) for error in (errno.ENOSPC, errno.EIO)
)


def points(operations: int, how: str, stride: int, offset: int) -> Iterator[Broke]:
    """Where to break: by "kill", or by "disk" errors, of which each operation gets all four kinds
    over four strides.
    """
    for at in range(1 + offset, operations + 1, stride):
        if how == "kill":
            yield Broke(at, shim.KILL)
        else:
            for kind, error in FAULTS if stride == 1 else (FAULTS[(at // stride) % len(FAULTS)],):
                yield Broke(at, kind, error)


def try_point(bench: Bench, scenario: Scenario, broke: Broke) -> tuple[Ran, list[str]]:
    """Break the command once, and look at what comes of it."""
    bench.restore(scenario.state)
    ran = bench.run(*scenario.words, broke=broke)
    killed = broke.how == shim.KILL or broke.kill_after > 0
    found = judge.judge_broken(ran, killed)
    return ran, found + scenario.again(bench, ran, killed)


def told(scenario: Scenario, broke: Broke, ran: Ran) -> str:
    """One point in a line."""
    kind = {shim.KILL: "kill", shim.ONCE: "once", shim.LASTING: "lasting"}.get(broke.how, "clock")
    error = f" {errno.errorcode[broke.error]}" if broke.error else ""
    where = ran.operations[broke.at - 1] if 0 < broke.at <= len(ran.operations) else "(not reached)"
    return json.dumps([scenario.name, f"{kind}{error}", broke.at, where, ran.rc])
