"""What must hold after a command was broken and run again: one sentence for each thing that does
not.

Rule: nothing lost, nothing twice, the same result, nothing of the user's touched, nothing left
lying about. The undisturbed run is the measure. Does not break anything itself.
"""

from __future__ import annotations

import json
import os
import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from factory.files.remains import OPEN_FOLDERS
from factory.log.chain import Head
from factory.model.ledger_chain import follow
from tests.faults.bench import PACKS, Bench, Ran, digests

_TOLD_ONCE = frozenset(("RUN_ABANDONED", "LEDGER_TORN"))
_LITTER = re.compile(
    r"\.[^/]+\.[a-z0-9_]{8}(\.old)?|tmp_obj_.*|tmp[a-z0-9_]{8}|probe-.*|scratch-.*|deep-[0-9a-f]{32}"
)


@dataclass(frozen=True)
class Measure:
    """What the undisturbed run came to."""

    status: dict
    report: bytes
    bundles: dict[str, str]
    users: dict[str, str]


def measure(bench: Bench) -> Measure:
    """Of the repository as it stands, in which one run finished."""
    world = bench.world
    bundles = {pack: digests(world.state / "bundles" / pack)["manifest.json"] for pack in PACKS}
    return Measure(status_of(bench)[0], report_of(bench), bundles, users_files(bench))


def users_files(bench: Bench) -> dict[str, str]:
    """Everything that is the user's: work tree, index, refs, objects."""
    return digests(bench.world.root, without=(".factory", "__pycache__"))


def status_of(bench: Bench) -> tuple[dict, bool]:
    """The last run's verdict without its id and what an earlier crash adds; whether there was any
    of that.
    """
    status = bench.world.status()
    text = json.dumps(status).replace(status["run_id"], "RUN")
    plain = json.loads(text)
    plain["findings"] = [row for row in plain["findings"] if row["id"] not in _TOLD_ONCE]
    for line in plain["packs"]:
        line["came_from"] = ""
    # What a killed run paid for, bundles as well as checks, is taken from it and said so.
    plain["reused"] = []
    return plain, plain != json.loads(text)


def report_of(bench: Bench) -> bytes:
    """The last run's report without its id."""
    folder = bench.world.last()
    return (folder / "FINAL_REPORT.md").read_bytes().replace(folder.parent.name.encode(), b"RUN")


def whole_lines(bench: Bench) -> list[bytes]:
    """The ledger's lines, without a torn last one."""
    path = bench.world.state / "ledger.jsonl"
    return path.read_bytes().split(b"\n")[:-1] if path.exists() else []


def done_before(lines: Iterable[bytes]) -> frozenset[str]:
    """Packs of which the ledger says that they finished, in a run that did not."""
    found: set[str] = set()
    for event in map(json.loads, lines):
        if event["event_type"] == "integrate.finished":
            found.clear()
        elif event["event_type"] == "pack.finished":
            found.add(event["details"]["pack"])
    return frozenset(found)


def judge_broken(ran: Ran, killed: bool) -> list[str]:
    """Of the command that was broken."""
    found = [f"outlived it: {line}" for line in ran.survivors]
    if ran.late:
        found.append("did not end")
    if killed:
        return found
    if "Traceback" in ran.text:
        found.append(f"a traceback: {ran.text[-600:]}")
    if ran.rc not in (0, 1, 2):
        found.append(f"ended with {ran.rc}: {ran.text[-300:]}")
    if ran.rc and not ran.text.strip():
        found.append(f"ended with {ran.rc} and said nothing")
    return found


def judge_evidence(bench: Bench) -> list[str]:
    """Return what is wrong with the evidence: nothing differs in any run, whether or not the disk
    could keep a key to sign it, and the ledger replays.
    """
    verified, replayed = bench.run("verify", "--all"), bench.run("ledger-replay")
    intact = "INTACT, NOT TRUSTED" in verified.text and "NOT VERIFIED" not in verified.text
    found = []
    if verified.rc and not intact:
        found.append(f"verify --all ended with {verified.rc}: {verified.text[-500:]}")
    if replayed.rc:
        found.append(f"ledger-replay ended with {replayed.rc}: {replayed.text[-500:]}")
    return found


def judge_again(
    bench: Bench, again: Ran, before: list[bytes], wanted: Measure, killed: bool
) -> list[str]:
    """Of the run that came after: `before` is the ledger as the broken one left it.

    A run that was not killed could end BLOCKED for the disk's sake; its packs run again then, as
    any that did not PASS.
    """
    if again.rc:
        return [f"run again, it ended with {again.rc}: {again.text[-800:]}"]
    found = []
    lines = whole_lines(bench)
    follow(Head(), lines)
    if lines[: len(before)] != before:
        found.append("events that were recorded are gone")
    twice = done_before(before) & started(lines[len(before) :])
    if twice and killed:
        found.append(f"ran twice: {sorted(twice)}")
    status, noted = status_of(bench)
    if status != wanted.status:
        found.append(f"another verdict: {_difference(wanted.status, status)}")
    elif not noted and report_of(bench) != wanted.report:
        found.append("another report")
    for pack, digest in wanted.bundles.items():
        if digests(bench.world.state / "bundles" / pack).get("manifest.json") != digest:
            found.append(f"another bundle of {pack}")
    found += _twice_told(lines)
    return found + judge_evidence(bench) + _nothing_more_to_do(bench) + judge_litter(bench)


def judge_users(bench: Bench, wanted: dict[str, str]) -> list[str]:
    """Work tree, index, refs and objects are as they were."""
    now = users_files(bench)
    changed = sorted(
        path for path in now.keys() | wanted.keys() if now.get(path) != wanted.get(path)
    )
    return [f"the user's files changed: {changed[:5]}"] if changed else []


def judge_litter(bench: Bench) -> list[str]:
    """Half-made files that nobody clears."""
    state = bench.world.state
    found = [
        str(path.relative_to(bench.live))
        for top in (state, bench.live / "tmp")
        for path in top.rglob("*")
        if _LITTER.fullmatch(path.name)
    ]
    return [f"left lying: {sorted(found)[:6]}"] if found else []


def _let_a_day_pass(bench: Bench) -> None:
    """What lies where several processes may be at work is cleared when nothing touched it for
    long.
    """
    state = bench.world.state
    git = state / "git"
    shelves = (state / "cache" / "views").glob("*/*")
    opened = (state / name for name in OPEN_FOLDERS)
    for folder in (*opened, git / "scratch", *(git / "objects").glob("*"), *shelves):
        for path in folder.glob("*") if folder.is_dir() else ():
            if path.suffix != ".lock":  # when a view was last wanted
                os.utime(path, (1, 1), follow_symlinks=False)


def _nothing_more_to_do(bench: Bench) -> list[str]:
    _let_a_day_pass(bench)
    count = len(whole_lines(bench))
    last = bench.run("oneshot", "-n", "1")
    if last.rc or "nothing was run" not in last.text or len(whole_lines(bench)) != count:
        return [f"a third run still had something to do ({last.rc}): {last.text[-400:]}"]
    return []


def started(lines: Iterable[bytes]) -> frozenset[str]:
    """Packs that were run."""
    events = [json.loads(line) for line in lines]
    return frozenset(
        event["details"]["pack"] for event in events if event["event_type"] == "pack.started"
    )


def _twice_told(lines: list[bytes]) -> list[str]:
    events = [json.loads(line) for line in lines]
    told = Counter(
        (event["run_id"], event["event_type"], event["details"].get("pack", ""), _place(event))
        for event in events
        if event["event_type"] not in ("ledger.recovered", "attempt.finished", "integrate.prepared")
    )
    ends = Counter(
        event["run_id"]
        for event in events
        if event["event_type"] in ("integrate.finished", "run.abandoned")
    )
    twice = [*(" ".join(key).rstrip() for key, count in told.items() if count > 1)]
    return [f"recorded twice: {row}" for row in twice] + [
        f"ended twice: {run}" for run, count in ends.items() if count > 1
    ]


def _place(event: dict) -> str:
    """Return where a check was reused, in an attempt or ("0") on the merged tree: both may be."""
    return event["details"]["attempt"] if event["event_type"] == "check.reused" else ""


def _difference(wanted: dict, found: dict) -> str:
    keys = [key for key in wanted if wanted[key] != found.get(key)]
    return "; ".join(f"{key}: {json.dumps(found.get(key))[:200]}" for key in keys)
