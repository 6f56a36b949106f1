"""A day of work: what each row of docs/factory/EVERYDAY.md asks and refuses, played."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.docs_kit import ROOT, appears, run, typed
from tests.world import Ended, World

pytestmark = pytest.mark.linux

PAGE = (ROOT / "docs" / "factory" / "EVERYDAY.md").read_text("utf-8")
REF = "refs/remotes/origin/main"
ORIGIN = "https://git.example/team/project.git"
PLAIN = 'scope: {{allowed_paths: ["src/**"]}}\nsteps: [{{run: "{step}"}}]\n'
WRITE = PLAIN.replace("{step}", "mkdir -p src; echo {word} > src/{word}")
ASKS = "constraints: {allow_network: [pypi.org]}\nenv: [CI_LEVEL]\n"


class Day:
    """One repository of an adopter, its user, and what a row of the page says."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / "home").mkdir()
        self.world = World(folder / "first")
        self.world.write(".gitignore", ".factory/\n")
        self.world.git("remote", "add", "origin", ORIGIN)
        self.user: dict[str, str] = {}

    def pack(self, text: str, acceptance: str = "") -> None:
        self.world.pack("TASK-0001-one", text, acceptance)
        self.world.commit("a pack")

    def factory(self, *words: str) -> Ended:
        known = {"HOME": str(self.folder / "home"), "XDG_CONFIG_HOME": "", "CI_LEVEL": "some"}
        return self.world.factory(*words, **known, **self.user)

    def open(self) -> list[str]:
        requests = json.loads(self.factory("grant", "--json").out)["requests"]
        return [row["digest"] for row in requests if not row["granted"]]

    def grant(self) -> None:
        assert self.factory("grant", *self.open()).rc == 0

    def at(self, root: Path) -> None:
        """Work in another folder from now on."""
        there = World.__new__(World)
        there.__dict__.update({**self.world.__dict__, "root": root})
        self.world = there

    def clone(self, name: str) -> None:
        root = self.folder / name
        self.world.git("clone", "-q", str(self.world.root), str(root))
        self.at(root)
        self.world.git("remote", "set-url", "origin", ORIGIN)


def _asking(day: Day) -> None:
    day.pack(WRITE.format(word="a") + ASKS)


def _granted(day: Day) -> None:
    _asking(day)
    day.grant()


def _second_clone(day: Day) -> None:
    _granted(day)
    day.clone("second")


def _worktree(day: Day) -> None:
    _granted(day)
    root = day.folder / "linked"
    day.world.git("worktree", "add", "-q", "-b", "other", str(root))
    day.at(root)


def _edited(day: Day) -> None:
    _granted(day)
    day.pack(WRITE.format(word="b") + ASKS)


def _one_more(day: Day) -> None:
    _granted(day)
    day.pack(WRITE.format(word="a") + ASKS.replace("pypi.org", "pypi.org, npm.example.org"))


def _tightened(day: Day) -> None:
    day.pack(WRITE.format(word="a"))
    day.world.write("factory.toml", '[ceilings]\nmemory = "1GiB"\n')
    day.world.commit("tighter")


def _ceiling(day: Day) -> None:
    day.pack(WRITE.format(word="a"))
    day.world.write("factory.toml", '[ceilings]\nmemory = "64GiB"\n')
    day.world.commit("looser")
    assert "CONFIG_NOT_IN_FORCE" in day.factory("config").text


def _bound(day: Day) -> None:
    day.pack(WRITE.format(word="a") + "limits: {timeout: 7200}\n")


def _loosened(day: Day) -> None:
    day.world.write("factory.toml", '[safety]\nprotected = ["src/"]\n')
    day.pack(WRITE.format(word="a"))
    day.world.git("update-ref", REF, "HEAD")
    day.world.write("factory.toml", "[safety]\nprotected = []\n")
    day.world.commit("looser")
    day.user = {"FACTORY_POLICY_REF": REF}


def _cleaned(day: Day) -> None:
    day.pack(WRITE.format(word="a"))
    assert day.factory("oneshot").rc == 0
    day.world.git("clean", "-fdxq")
    assert not (day.world.root / ".factory/ledger.jsonl").exists()


def _formatter(day: Day) -> None:
    day.world.write("src/a.txt", "One  two\n")
    day.pack(
        PLAIN.format(step="sed -i 's/  / /' src/a.txt"),
        "format: ['! grep -q \"  \" src/a.txt']\n",
    )


def _generator(day: Day) -> None:
    day.world.write("src/made", "made\n")
    day.pack(PLAIN.format(step="echo made > src/made"))


def _dependencies(day: Day) -> None:
    day.world.write("src/requirements.lock", "a==1\n")
    day.pack(PLAIN.format(step="echo a==2 > src/requirements.lock"))


ROWS: dict[str, Callable[[Day], None]] = {
    "a fresh clone whose packs ask for a host and a variable": _asking,
    "the same after both were granted once": _granted,
    "a second clone of the same origin": _second_clone,
    "a linked worktree": _worktree,
    "a pack's steps are edited": _edited,
    "a pack asks for one host more": _one_more,
    "the repository tightens its policy": _tightened,
    "the repository raises a ceiling over yours": _ceiling,
    "a pack asks for more than a ceiling": _bound,
    "under `policy_ref` a branch loosens its policy": _loosened,
    "`git clean -fdx`": _cleaned,
    "a formatter over code, with `format --check`": _formatter,
    "a generator that finds nothing to do": _generator,
    "a dependency update that changes a lock file in scope": _dependencies,
}


def table() -> dict[str, tuple[str, str]]:
    """Return what the page says of each row: what it asks, what it refuses."""
    rows = re.findall(r"(?m)^\| (.+?) \| (.+?) \| (.+?) \| .+ \|$", PAGE)
    return {work: (asks, refuses) for work, asks, refuses in rows if work != "work"}


def test_the_page_has_every_row_and_no_other() -> None:
    assert list(table()) == list(ROWS)


@pytest.mark.parametrize("work", list(ROWS))
def test_a_row_of_everyday_work_asks_and_refuses_what_the_page_says(
    tmp_path: Path, work: str
) -> None:
    day = Day(tmp_path)
    ROWS[work](day)
    open_requests = len(day.open())
    ended = day.factory("oneshot")
    requests = f"{open_requests} request{'' if open_requests == 1 else 's'}"
    asks = requests if open_requests else "nothing"
    errors = {
        finding["id"]
        for finding in day.world.status()["findings"]
        if finding["severity"] == "error"
    }
    refuses = ", ".join(sorted(errors)) or "nothing"
    assert ((asks, refuses), ended.rc) == (table()[work], 2 if errors else 0), ended.text
    shutil.rmtree(day.folder / "home")


HOSTILE = """\
scope: {allowed_paths: ["docs/**"]}
env: [CI_LEVEL]
constraints: {allow_network: [drop.example.org]}
steps: [{run: "mkdir -p docs; echo x > docs/x"}]
"""


def test_the_first_run_in_a_hostile_clone_is_typed_as_it_is_shown(tmp_path: Path) -> None:
    world = World(tmp_path / "clone")
    canary = tmp_path / "executed"
    world.write("factory.toml", '[run]\npython = "/opt/python"\n\n[safety]\n')
    with open(world.root / "factory.toml", "a", encoding="utf-8") as stream:
        stream.write('accept_missing = ["net_isolated"]\n')
    world.pack("TASK-0666-free", HOSTILE, f'must: ["touch {canary}; exit 1"]\n')
    world.write(".factory/bundles/TASK-0666/STATUS.json", '{"status": "PASS"}\n')
    world.git("add", "-f", ".factory")
    world.commit("it passed already")
    lines = [line for line in typed(PAGE) if line.shown is not None]
    assert len(lines) == 9
    for line in lines:
        text, _ = run(line.command, world.root)
        assert line.shown is not None
        assert appears(line.shown, text), f"{line.command}\n{text}"
    assert not canary.exists()
    assert world.executed() == []
