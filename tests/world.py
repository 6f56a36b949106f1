"""Repositories with task packs, made for one test, and the real tool run in them."""

from __future__ import annotations

import atexit
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from textwrap import dedent
from types import MappingProxyType

from factory.evidence.ledger_own import OwnLines
from factory.log.chain import Head
from tests.warm import BIN, FORKER

PATIENCE = 300.0
DODO = "from factory.dodo import DOIT_CONFIG, task_factory  # noqa: F401\n"
PROSE = {
    "spec.md": "# Spec\n\nDoes one thing.\n",
    "risk.md": "# Risk\n\nNone.\n",
    "runbook.md": "# Runbook\n\nRun it.\n",
}


@dataclass(frozen=True)
class Ended:
    """A process that ended."""

    rc: int
    out: str
    err: str

    @property
    def text(self) -> str:
        return self.out + self.err

    @property
    def said(self) -> str:
        """Return standard output without the line that names the policy, which must be there, and
        without what may be typed next.
        """
        before, _, _ = self.out.partition("\nNext      ")
        lines = f"{before.rstrip()}\n".splitlines(keepends=True)
        others = [line for line in lines if not line.startswith("Policy    ")]
        assert len(others) == len(lines) - 1, self.text
        return "".join(others)


class World:
    """One Git repository with packs."""

    def __init__(self, root: Path, *, object_format: str = "sha1") -> None:
        self.root = root
        root.mkdir(parents=True, exist_ok=True)
        self.git("init", "-q", "-b", "main", f"--object-format={object_format}")
        self.write("dodo.py", DODO)
        self.write("README.md", "# A repository\n")
        self.write(".gitignore", "*.ignored\n")

    def write(self, path: str, text: str | bytes) -> None:
        place = self.root / path
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(text if isinstance(text, bytes) else text.encode())

    def pack(self, folder: str, task: str, acceptance: str | None = None, **files: str) -> None:
        """A whole pack; `task` gets id and title where it has none."""
        text = dedent(task)
        if "id:" not in text:
            text = f"id: {'-'.join(folder.split('-')[:2])}\n{text}"
        if "title:" not in text:
            text = f"title: {folder}\n{text}"
        if "type:" not in text and "pillar:" not in text:
            text = f"type: platform\n{text}"
        here = f"taskpacks/{folder}"
        self.write(f"{here}/task.yml", text)
        self.write(
            f"{here}/acceptance.yml",
            dedent(acceptance) if acceptance else 'checks: [{name: ok, run: "true"}]\n',
        )
        for name, content in {**PROSE, **files}.items():
            self.write(f"{here}/{name}", content)

    _grants: tuple[str, ...] = ()

    def grant(self, *lines: str) -> None:
        """Grant what packs ask for, each as "KIND THING PACK" ("*": any pack), to all that is
        started from now on.
        """
        self._grants = (*self._grants, *lines)
        file = self.root.parent / f"{self.root.name}.grants"
        file.write_text("".join(f"{line}\n" for line in self._grants))
        self.granted = {"FACTORY_GRANTS": str(file)}

    granted: Mapping[str, str] = MappingProxyType({})

    def git(self, *words: str, check: bool = True) -> str:
        identity = (
            "-c",
            "user.name=A",
            "-c",
            "user.email=a@example.org",
            "-c",
            "commit.gpgsign=false",
        )
        done = subprocess.run(
            ["git", *identity, *words],
            cwd=self.root,
            check=check,
            capture_output=True,
            text=True,
            env=environment(),
        )
        return done.stdout

    def commit(self, message: str = "change") -> str:
        self.git("add", "-A")
        self.git("commit", "-qm", message)
        return self.git("rev-parse", "HEAD").strip()

    def doit(self, *words: str, cwd: Path | str | None = None, **env: str) -> Ended:
        return run([str(BIN / "doit"), *words], Path(cwd or self.root), **{**self.granted, **env})

    def factory(self, *words: str, cwd: Path | str | None = None, **env: str) -> Ended:
        argv = [sys.executable, "-m", "factory", *words]
        return run(argv, Path(cwd or self.root), **{**self.granted, **env})

    def differs(self, *words: str, cwd: Path | str | None = None, **env: str) -> str:
        """Return what `factory verify` finds wrong in runs that nobody signed; "" if nothing
        differs.
        """
        ended = self.factory("verify", "--json", *words, cwd=cwd, **env)
        assert ended.rc in (0, 2), ended.text
        runs = json.loads(ended.out)["runs"]
        bad = [run for run in runs if run["findings"] and run["outcome"] == "not-verified"]
        return ended.text if bad or not any(run["verdict"] for run in runs) else ""

    @property
    def state(self) -> Path:
        return self.root / ".factory"

    def claim(self) -> None:
        """Record that this user wrote every line of the ledger that is here now, as where a test
        cuts a ledger or copies a repository that it made itself.
        """
        own = OwnLines(Path(user_state(), "codex-orchestrator", "ledgers"), self.state)
        assert own.file is not None
        own.file.unlink(missing_ok=True)
        own.note(Head(), [event["event_id"] for event in self.events()])

    def runs(self) -> list[str]:
        """Return the run folders, oldest first: by the ledger, since the names of two runs of one
        second are in any order; those that it does not know come last.
        """
        folder, ledger = self.state / "runs", self.state / "ledger.jsonl"
        lines = ledger.read_bytes().splitlines() if ledger.is_file() else []
        rank: dict[str, int] = {}
        for line in lines:
            for found in re.findall(rb'"run_id":"([^"]+)"', line):
                rank.setdefault(found.decode(), len(rank))
        names = [path.name for path in folder.iterdir()] if folder.is_dir() else []
        return sorted(names, key=lambda name: (rank.get(name, len(rank)), name))

    def ordered(self) -> list[str]:
        """Return the runs as the ledger has them: two of one second have names in any order."""
        return [event["run_id"] for event in self.events() if event["event_type"] == "run.started"]

    def last(self) -> Path:
        """Return Z's folder of the newest run, by the ledger."""
        return self.state / "runs" / self.ordered()[-1] / "Z_integrator"

    def status(self) -> dict:
        return json.loads((self.last() / "STATUS.json").read_text())

    def findings(self) -> list[str]:
        return [finding["id"] for finding in self.status()["findings"]]

    def bundle(self, pack: str, name: str = "STATUS.json") -> dict:
        return json.loads((self.state / "bundles" / pack / name).read_text())

    def events(self) -> list[dict]:
        path = self.state / "ledger.jsonl"
        return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []

    def executed(self) -> list[str]:
        """Packs that ran, in order, over all runs."""
        return [
            event["details"]["pack"]
            for event in self.events()
            if event["event_type"] == "pack.started"
        ]


@cache
def user_state() -> str:
    """Return a folder for what the product keeps of its user, one for all that this process does:
    the memory of earlier starts is believed only where there is one.
    """
    folder, owner = tempfile.mkdtemp(prefix="factory-user-"), os.getpid()
    atexit.register(lambda: os.getpid() == owner and shutil.rmtree(folder, ignore_errors=True))
    return folder


def environment(**extra: str) -> dict[str, str]:
    """A small, constant environment that no configuration of the host reaches."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if name.startswith("COVERAGE_") or name == "SYSTEMROOT"
    }
    return {
        **kept,
        "PATH": f"{BIN}:/usr/local/bin:/usr/bin:/bin",
        "HOME": "/proc/nonexistent",  # which root cannot make either
        "XDG_CONFIG_HOME": "/proc/nonexistent",
        "XDG_STATE_HOME": user_state(),
        "GIT_CONFIG_GLOBAL": os.devnull,
        "GIT_CONFIG_NOSYSTEM": "1",
        "LANG": "C.UTF-8",
        "NO_COLOR": "1",
        **extra,
    }


def run(argv: list[str], cwd: Path, **env: str) -> Ended:
    """Run a program to its end; `factory` and `doit` by way of `tests.warm` where that makes no
    difference.
    """
    warm = FORKER.run(argv, cwd, environment(**env), PATIENCE)
    if warm is not None:
        return Ended(warm.rc, _text(warm.out), _text(warm.err))
    done = subprocess.run(
        argv,
        cwd=cwd,
        capture_output=True,
        text=True,
        env=environment(**env),
        timeout=PATIENCE,
        stdin=subprocess.DEVNULL,
    )
    return Ended(done.returncode, done.stdout, done.stderr)


def run_merged(argv: list[str], cwd: Path, variables: dict[str, str]) -> tuple[str, int]:
    """As `run`: standard output and error in the order in which they were written, and the exit
    code.
    """
    warm = FORKER.run(argv, cwd, variables, PATIENCE, merged=True)
    if warm is not None:
        return _text(warm.out), warm.rc
    done = subprocess.run(
        argv,
        cwd=cwd,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env=variables,
        timeout=PATIENCE,
        stdin=subprocess.DEVNULL,
    )
    return done.stdout, done.returncode


def _text(written: bytes) -> str:
    return (
        written.decode().replace("\r\n", "\n").replace("\r", "\n")
    )  # as a pipe in text mode has it
