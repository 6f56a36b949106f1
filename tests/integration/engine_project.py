"""A folder with a `dodo.py` over `FilingPipeline`, and real `doit` processes in it."""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from tests.warm import FORKER

SOURCE = Path(__file__).resolve().parents[2]

DODO = """\
from pathlib import Path

from factory.dodo import DOIT_CONFIG, tasks_of
from tests.integration.filing_pipeline import FilingPipeline


def task_factory():
    yield from tasks_of(FilingPipeline(Path.cwd()))
"""

# What the installed package says with an entry point; here the package need not be installed.
DOIT_CFG = "[BACKEND]\nfactory-durable = codex_orchestrator_doit:DurableSqliteDB\n"

PATIENCE = 240.0  # what a busy machine may take; nothing waits for its end


class Project:
    def __init__(self, root: Path, **packs: str) -> None:
        self.root = root
        (root / "packs").mkdir()
        (root / "dodo.py").write_text(DODO, encoding="utf-8")
        (root / "doit.cfg").write_text(DOIT_CFG, encoding="utf-8")
        (root / "settings.txt").write_text("first\n", encoding="utf-8")
        for name, word in packs.items():
            self.write(name, word)

    @property
    def database(self) -> Path:
        return self.root / ".factory" / "state" / "doit.sqlite3"

    def write(self, pack: str, words: str) -> None:
        (self.root / "packs" / f"{pack}.txt").write_text(f"{words}\n", encoding="utf-8")

    def pack(self, name: str) -> Path:
        return self.root / "packs" / f"{name}.txt"

    def marker(self, name: str) -> Path:
        return self.root / ".factory" / "state" / f"{name}.json"

    def env(self, **more: str) -> dict[str, str]:
        kept = {
            name: value
            for name, value in os.environ.items()
            if name not in {"NO_COLOR", "DOIT_FILE"}
        }
        return {**kept, "PYTHONPATH": str(SOURCE), "PYTHONDONTWRITEBYTECODE": "1", **more}

    def doit(self, *words: str, **env: str) -> subprocess.CompletedProcess[str]:
        argv = [sys.executable, "-m", "doit", *words]
        warm = FORKER.run(argv, self.root, self.env(**env), PATIENCE)
        if warm is not None:
            return subprocess.CompletedProcess(argv, warm.rc, warm.out.decode(), warm.err.decode())
        return subprocess.run(
            argv,
            cwd=self.root,
            env=self.env(**env),
            capture_output=True,
            encoding="utf-8",
            timeout=PATIENCE,
        )

    def python(self, *words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, *words],
            cwd=self.root, env=self.env(), capture_output=True, encoding="utf-8", timeout=PATIENCE,
        )  # fmt: skip

    def start(self, *words: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-m", "doit", *words],
            cwd=self.root, env=self.env(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, encoding="utf-8",
        )  # fmt: skip

    def told(self, name: str) -> list[str]:
        path = self.root / "told" / name
        return path.read_text(encoding="utf-8").splitlines() if path.exists() else []

    def wait_for(self, name: str, lines: int = 1) -> None:
        end = time.monotonic() + PATIENCE
        while len(self.told(name)) < lines:
            assert time.monotonic() < end, f"nothing was told as {name}"
            time.sleep(0.02)

    def saved(self) -> set[str]:
        if not self.database.exists():
            return set()
        connection = sqlite3.connect(self.database, timeout=PATIENCE)
        try:
            return {row[0] for row in connection.execute("select task_id from doit")}
        except sqlite3.OperationalError:  # the table is not there yet
            return set()
        finally:
            connection.close()

    def wait_until_saved(self, task: str) -> None:
        end = time.monotonic() + PATIENCE
        while task not in self.saved():
            assert time.monotonic() < end, f"{task} was not saved"
            time.sleep(0.02)

    def executed_since(self, before: int) -> list[str]:
        return self.told("executed")[before:]

    def run(self, *words: str) -> tuple[int, list[str]]:
        """A doit command that must not show a traceback: (exit code, what was executed, sorted)."""
        before = len(self.told("executed"))
        ended = self.doit(*words)
        assert "Traceback" not in ended.stdout + ended.stderr, ended.stderr
        return ended.returncode, sorted(self.executed_since(before))

    def last_closing(self) -> dict[str, Any]:
        closing: dict[str, Any] = json.loads(self.told("closed")[-1])
        return closing
