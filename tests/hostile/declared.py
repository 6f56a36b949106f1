"""What the programs declare about themselves: each docstring is one TOML document.

    threat   one sentence
    section  which part of the threat list it is of
    holds    the property that holds it, or one of RULES: what the host does whatever the sandbox is
    ends     ids of the findings that block its pack; none: the pack passes, and the program itself said HELD
    warns    ids of the findings beside them that do not block
    says     what those findings' sentences hold, in any order
    weaken   what gives it teeth: a profile of `weak`, or a naive tool of `naive`
    steps    how often it is called, with 1, 2, … as its word; `accepts` calls it once more, with "accept"
    limits, scope, artifacts, inputs, checks   parts of its contract

Does not know what a program does.
"""

from __future__ import annotations

import ast
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).with_name("programs")
LIBRARY = FOLDER / "hostile.py"
SECTIONS = (
    "git and tree",
    "artifacts",
    "processes and limits",
    "secrets and authority",
    "inputs and evidence",
)
RULES = frozenset({"judge", "acceptance", "redactor", "escaping"})
# The name of a sample, and its programs: of every property some, of every rule one.
SAMPLE = "sample"
SAMPLED = (
    *(
        "tcp_loopback",
        "dns_question",
        "files_outside",
        "cloud_credentials",
        "writes_outside",
        "traces_of_other_packs",
        "supervisor_binary",
    ),
    *(
        "environment_variables",
        "leaked_descriptors",
        "docker_socket",
        "mount_tmpfs",
        "user_namespace",
        "fork_bomb",
    ),
    *("memory_of_one", "disk_flood", "output_flood", "stops_everybody", "daemon_outlives"),
    *("git_external_diff", "planted_unittest", "secret_printed", "terminal_escapes"),
)
LIMITS = {"timeout": "60s", "memory": "256MiB", "processes": 64, "disk": "16MiB", "output": "1MiB"}


@dataclass(frozen=True)
class Program:
    """One program and what it declares."""

    name: str
    file: Path
    threat: str
    section: str
    holds: str
    weaken: str
    ends: tuple[str, ...] = ()
    warns: tuple[str, ...] = ()
    says: tuple[str, ...] = ()
    steps: int = 1
    accepts: bool = False
    limits: Mapping[str, Any] = field(default_factory=dict)
    scope: Mapping[str, Any] | None = None
    artifacts: Mapping[str, Any] | None = None
    inputs: tuple[str, ...] | None = None
    checks: tuple[str, ...] = ()

    @property
    def folder(self) -> str:
        """The pack's folder, from the repository's root."""
        return f"taskpacks/{self.pack}-{self.name.replace('_', '-')}"

    @property
    def pack(self) -> str:
        """The pack's id."""
        return f"HOSTILE-{names().index(self.name) + 1:03d}"

    def lines(self, scene: str = "") -> tuple[str, ...]:
        """The command lines of its steps."""
        return tuple(self.line(str(turn), scene) for turn in range(1, self.steps + 1))

    def line(self, turn: str, scene: str = "") -> str:
        """One call of it from the workspace's root. By the word `scene` its processes are told from
        another's.
        """
        start = f"{self.folder}/{self.file.name}"
        runner = "sh" if self.file.suffix == ".sh" else "PYTHONPATH=. python -S"
        return f"{runner} {start} {turn} {scene}".rstrip()

    def task(self, scene: str) -> dict[str, Any]:
        """Its task.yml."""
        parts = {"scope": self.scope, "artifacts": self.artifacts, "inputs": self.inputs}
        return {
            "id": self.pack,
            "title": self.threat,
            "type": "security",
            "steps": list(self.lines(scene)),
            "limits": {**LIMITS, **self.limits},
            **{name: part for name, part in parts.items() if part is not None},
        }

    def acceptance(self, scene: str) -> dict[str, Any]:
        """Its acceptance.yml."""
        lines = [*self.checks, *([self.line("accept", scene)] if self.accepts else [])] or ["true"]
        return {
            "tests": [line for line in lines if "unittest" in line or "pytest" in line],
            "checks": _named(lines),
        }


def _named(lines: list[str]) -> list[dict[str, str]]:
    plain = [line for line in lines if "unittest" not in line and "pytest" not in line]
    return [{"name": f"check {number}", "run": line} for number, line in enumerate(plain, 1)]


@cache
def names() -> tuple[str, ...]:
    """Of all programs, in order."""
    found = (path for path in FOLDER.iterdir() if path.suffix in {".py", ".sh"} and path != LIBRARY)
    return tuple(sorted(path.stem for path in found))


@cache
def program(name: str) -> Program:
    """One program as it declares itself. Raises ValueError where it does not."""
    file = next(path for path in FOLDER.glob(f"{name}.*") if path.suffix in {".py", ".sh"})
    declared = tomllib.loads(ast.get_docstring(ast.parse(file.read_text("utf-8"))) or "")
    unknown = declared.keys() - Program.__dataclass_fields__.keys() - {"name", "file"}
    if unknown:
        raise ValueError(f"{file.name} declares {', '.join(sorted(unknown))}, which no program has")
    tuples = {key: tuple(value) for key, value in declared.items() if isinstance(value, list)}
    return Program(name=name, file=file, **{**declared, **tuples})


def chosen(sample: str) -> tuple[Program, ...]:
    """Those of a sample: `all`, `sample` (some of every property), `K-of-N` (every N-th), or one by
    its name.
    """
    number, within, of = sample.partition("-of-")
    if within:
        return programs()[int(number) - 1 :: int(of)]
    wanted = {"all": names(), SAMPLE: SAMPLED}.get(sample, (sample,))
    return tuple(one for one in programs() if one.name in wanted)


@cache
def programs() -> tuple[Program, ...]:
    """All of them."""
    return tuple(map(program, names()))
