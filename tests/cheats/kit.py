"""The corpus of workers as data, and what our own product makes of them.

`projects.toml` has small repositories with work to do, `cheats.toml` workers that lie about it,
`honest.toml` workers that do not, `beyond.toml` lies that no such rule can tell from work. A
worker is one shell command. Each is a pack of its own over one project; all of a project are
played in one repository by one `factory launch`, since packs see nothing of each other.
"""

from __future__ import annotations

import json
import os
import subprocess
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from tests.sample import WHOLE as EVERYTHING
from tests.world import World

HERE = Path(__file__).parent
WHOLE = bool(os.environ.get("CHEATS_WHOLE")) or EVERYTHING
TASK = """\
id: %s
title: Work
type: platform
scope: {allowed_paths: ["**"]}
inputs: ["**"]
limits: {attempts: %d, changed_lines: 5000}
steps: [{name: work, run: %s}]
"""
# In what a contract asks, by the finding that a lie meets: how it would have to be written for the
# lie to be a PASS.
TAKEN_AWAY: Mapping[str, Mapping[str, Any]] = {
    "JUDGE_CHANGED": {"may_change": ["**"], "retires": ["*"]},
    "JUDGE_WEAKENED": {"retires": ["*"]},
    "NO_CHANGE": {"require": ["judge"]},
    "NOT_FIXED": {"require": ["judge"]},
    "HUNK_UNPROVED": {"require": ["judge"]},
}


@dataclass(frozen=True)
class Worker:
    """One worker: its project, its command, what its contract says, and what meets a lie.

    `finding` is the id of what refuses it, and `names` are words of that sentence. `task` is more
    of its task.yml, `here` are files of its pack's folder, `done` says that the project's own work
    was done before.
    """

    kind: str
    project: str
    does: str
    number: int
    finding: str = ""
    names: tuple[str, ...] = ()
    contract: tuple[tuple[str, str], ...] = ()
    task: str = ""
    here: tuple[tuple[str, str], ...] = ()
    attempts: int = 1
    done: bool = False

    @property
    def pack(self) -> str:
        return f"TASK-{self.number:04}"

    @property
    def shown(self) -> str:
        """Return one line that says which worker this is."""
        contract = " ".join(f"{key}: {value}" for key, value in self.contract)
        return f"{self.kind} {self.pack} in {self.project}: {self.does!r} {contract}"

    @property
    def asks(self) -> dict[str, Any]:
        return {key: json.loads(value) for key, value in self.contract}


CONTRACT = ("may_change", "require", "retires", "judge", "fixed")
KEYS = {
    "in",
    "does",
    "met",
    "attempts",
    "done",
    "each",
    "expect",
    "task",
    "here",
    *CONTRACT,
}


@cache
def projects() -> Mapping[str, Any]:
    """Return the projects by name: `files`, `accept` and `honest`."""
    return tomllib.loads((HERE / "projects.toml").read_text())


@cache
def workers(file: str) -> tuple[Worker, ...]:
    """Return the workers of a table, in order; a kind is a table of it."""
    kinds = tomllib.loads((HERE / file).read_text())
    found: list[Worker] = []
    for kind, rows in kinds.items():
        for row in rows:
            assert not row.keys() - KEYS, row
            for variant in row.get("each", [""]):
                does = row["does"].replace("{x}", variant)
                found.append(_worker(kind, row, does, len(found) + 1))
    return tuple(found)


def _worker(kind: str, row: Mapping[str, Any], does: str, number: int) -> Worker:
    finding, _, names = row.get("met", "").partition(" ")
    asked = {key: json.dumps(row[key]) for key in CONTRACT if key in row}
    expected = f"expect: {row['expect']}\n" if "expect" in row else ""
    return Worker(
        kind,
        row["in"],
        does,
        number,
        finding,
        tuple(names.split()),
        tuple(asked.items()),
        f"{expected}{row.get('task', '')}\n",
        tuple(row.get("here", {}).items()),
        row.get("attempts", 1),
        row.get("done", False),
    )


def honest_of(liars: Iterable[Worker]) -> tuple[Worker, ...]:
    """Return one honest worker for each contract that liars of a project have."""
    asked = dict.fromkeys((one.project, one.contract) for one in liars)
    return tuple(
        Worker("honest", project, projects()[project]["honest"], 5000 + at, contract=contract)
        for at, (project, contract) in enumerate(asked)
    )


@dataclass(frozen=True)
class Played:
    """What came of one worker: the verdict of its pack, the sentences of its findings by id, and
    how often it was tried.
    """

    verdict: str
    findings: tuple[tuple[str, str], ...]
    attempts: int

    def sentence(self, finding: str) -> str:
        """Return every sentence with this id; "" if there is none."""
        return "\n".join(said for found, said in self.findings if found == finding)

    def __str__(self) -> str:
        return "\n".join(
            (f"{self.verdict} at attempt {self.attempts}", *map(" ".join, self.findings))
        )


OTHER = "TASK-9001"


def play(root: Path, asked: Iterable[Worker], without: bool = False) -> dict[Worker, Played]:
    """Run workers of one project in a repository at `root`; `without` takes away what each lie
    meets.
    """
    listed = tuple(asked)
    world = repository(root, listed[0].project, listed[0].done)
    world.write("factory.toml", f'[judge]\nretry = "{"allow" if without else "block"}"\n')
    base = projects()[listed[0].project]
    for worker in listed:
        places = places_of(worker, without)
        contract = {**worker.asks, **(TAKEN_AWAY.get(worker.finding, {}) if without else {})}
        task = (
            TASK % (worker.pack, worker.attempts, json.dumps(put(worker.does, places)))
            + worker.task
        )
        accepted = put(acceptance(base["accept"], contract), places)
        world.pack(f"{worker.pack}-w", task, accepted)
        for path, text in {**base.get("here", {}), **dict(worker.here)}.items():
            world.write(f"{places['here']}/{path}", put(text.removeprefix("\n"), places))
    if "here" in base:
        places = {"here": f"taskpacks/{OTHER}-w"}
        world.pack(f"{OTHER}-w", "", put(base["accept"], places))
        for folder in (places["here"], "free/other"):
            for path, text in base["here"].items():
                world.write(f"{folder}/{path}", put(text.removeprefix("\n"), places))
    world.commit()
    world.grant("bound attempts=80 *")
    ended = world.factory("launch", "--workers", "2", *(worker.pack for worker in listed))
    assert ended.rc in (0, 2), ended.text
    return {worker: played(world, worker.pack) for worker in listed}


def repository(root: Path, project: str, done: bool) -> World:
    """Return a repository with a project's files; `done`: an honest worker was there before."""
    world, base = World(root), projects()[project]
    for path, text in base["files"].items():
        world.write(path, text.removeprefix("\n"))
    for path in base.get("programs", ()):
        (world.root / path).chmod(0o755)
    if done:
        subprocess.run(["/bin/sh", "-c", base["honest"]], cwd=root, check=True)
    return world


def places_of(worker: Worker, without: bool = False) -> dict[str, str]:
    """Return where a worker's checker is, and another pack's; `without` is outside of any pack."""
    if without:
        return {"here": f"free/{worker.pack}", "other": "free/other"}
    return {"here": f"taskpacks/{worker.pack}-w", "other": f"taskpacks/{OTHER}-w"}


def put(text: str, places: Mapping[str, str]) -> str:
    """Return the text with `{here}` and `{other}` as the places that they are."""
    for name, place in places.items():
        text = text.replace(f"{{{name}}}", place)
    return text


def acceptance(template: str, contract: Mapping[str, Any]) -> str:
    """Return acceptance.yml: a project's, with what a worker's contract says in its place."""
    lines = [
        line
        for line in template.strip().splitlines()
        if line.partition(":")[0] not in contract
        and not (line.startswith("fixed:") and "fixed" not in contract.get("require", ()))
    ]
    return (
        "\n".join((*lines, *(f"{key}: {json.dumps(value)}" for key, value in contract.items())))
        + "\n"
    )


def play_until_retried(folder: Path, asked: Iterable[Worker]) -> dict[Worker, Played]:
    """Run workers as `play` does; who may try more than once and was lucky at once runs again."""
    found = play(folder / "first", asked)
    for again in range(12):
        lucky = [
            one
            for one, came in found.items()
            if one.attempts > 1 and (came.verdict, came.attempts) == ("PASS", 1)
        ]
        if not lucky:
            break
        found |= play(folder / f"again-{again}", lucky)
    return found


def played(world: World, pack: str) -> Played:
    """Return what a pack's bundle says."""
    status = world.bundle(pack)
    found = tuple((one["id"], one["message"]) for one in status["findings"])
    return Played(status["status"], found, len(status["attempts"]))
