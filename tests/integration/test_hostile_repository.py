"""A hostile repository: no command of ours starts a program of it on the host.

Each plant would leave a line in a file outside the repository, which nothing inside a sandbox can
reach. What `doit` and `python -m` load by themselves from the current folder is left out (docs
say so): `doit list` runs where only the other plants are.
"""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
import time
from pathlib import Path

import pytest

from factory.commands.command_table import COMMANDS
from tests.sample import sample
from tests.warm import BIN
from tests.world import PATIENCE, World, environment

pytestmark = pytest.mark.linux

WORDS: dict[str, tuple[str, ...]] = {
    "why": ("TASK-0001",),
    "shell": ("TASK-0001", "--", "true"),
    "determinism": ("TASK-0001",),
    "evidence": ("index",),
    "taskpack": ("new", "TASK-0002", "other"),
    "keys": ("list",),
}
PROGRAMS = (
    "git",
    "python",
    "python3",
    "sh",
    "bash",
    "bwrap",
    "less",
    "ssh",
    "env",
    "doit",
    "own-tool",
)
HOOKS = (
    *("reference-transaction", "post-index-change", "post-checkout", "pre-commit", "post-commit"),
    *("fsmonitor-watchman", "pre-auto-gc", "post-merge", "update", "pre-receive", "post-rewrite"),
)
MODULES = (
    "json",
    "subprocess",
    "yaml",
    "pydantic",
    "sitecustomize",
    "usercustomize",
    "dodo",
    "conftest",
)


class Hostile:
    """A repository full of plants, and the file that each would write to."""

    def __init__(self, top: Path) -> None:
        self.canary = top / "canary"
        self.world = World(top / "repository")
        self.root = self.world.root
        self.world.pack(
            "TASK-0001-a",
            'scope: {allowed_paths: [src/]}\nsteps: [{run: "echo x > src/b.txt"}]\n',
        )
        self.world.write("src/a.txt", "text\n")
        self.world.commit()

    def program(self, path: str, name: str) -> None:
        place = self.root / path
        place.parent.mkdir(parents=True, exist_ok=True)
        real = {"python": sys.executable, "python3": sys.executable}.get(name, f"/usr/bin/{name}")
        line = f"echo {shlex.quote(path)} >>{shlex.quote(str(self.canary))}"
        place.write_text(f'#!/bin/sh\n{line}\nexec {shlex.quote(real)} "$@"\n')
        place.chmod(0o755)

    def in_path(self) -> None:
        for name in PROGRAMS:
            self.program(f"bin/{name}", name)

    def in_git(self) -> None:
        self.program("evil", "true")
        evil = str(self.root / "evil")
        for hook in HOOKS:
            self.program(f".git/hooks/{hook}", "true")
        place = self.root / ".git/config"
        place.write_text(
            place.read_text()
            + "".join(
                f"[{section}]\n\t{key} = {evil}\n"
                for section, key in (
                    *(
                        ("core", key)
                        for key in ("fsmonitor", "pager", "editor", "sshCommand", "askPass")
                    ),
                    ("core", "alternateRefsCommand"),
                    ("diff", "external"),
                    *(
                        (f'diff "x{mark}x"', key)
                        for mark in ("", "=")
                        for key in ("command", "textconv")
                    ),
                    *(
                        (f'filter "x{mark}x"', key)
                        for mark in ("", "=")
                        for key in ("clean", "smudge", "process")
                    ),
                    ('merge "x=x"', "driver"),
                    ("gpg", "program"),
                    ("credential", "helper"),
                    ("uploadpack", "packObjectsHook"),
                    *(("alias", name) for name in ("status", "rev-parse", "cat-file")),
                )
            )
            + f"[include]\n\tpath = {self.root}/more.cfg\n[core]\n\thooksPath = {self.root}/.git/hooks\n"
        )
        self.world.write(
            "more.cfg", f'[filter "included=x"]\n\tclean = {evil}\n\trequired = true\n'
        )
        self.world.write(
            ".gitattributes",
            "a.txt filter=x=x diff=x=x merge=x=x\n*.md filter=xx diff=xx\n*.cfg filter=included=x\n",
        )
        subprocess.run(
            ["git", "-c", "core.hooksPath=/dev/null", "-c", "core.fsmonitor=false", "add", "more.cfg"],
            cwd=self.root, check=False, env=environment(), capture_output=True,
        )  # fmt: skip
        self.canary.unlink(missing_ok=True)
        later = time.time() + 100  # so that `git status` has to look into each file
        for path in ("src/a.txt", "README.md", "more.cfg"):
            os.utime(self.root / path, (later, later))

    def as_modules(self) -> None:
        for name in MODULES:
            self.world.write(f"{name}.py", f"open({str(self.canary)!r}, 'a').write({name!r})\n")
        self.world.write("doit.cfg", "[GLOBAL]\nreporter = evil\n[COMMAND]\nlist = conftest:Evil\n")

    def venv(self) -> Path:
        """A virtual environment of the repository, whose interpreter and scripts are plants."""
        for name in ("python", "python3", "git", "sh"):
            self.program(f".venv/bin/{name}", name)
        self.world.write(".venv/pyvenv.cfg", f"home = {self.root}/bin\nversion = 3.11.0\n")
        return self.root / ".venv/bin/python"

    def run(self, *words: str, **env: str) -> str:
        path = f".:bin:{self.root}/bin:{self.root}/.venv/bin:{environment()['PATH']}"
        done = subprocess.run(
            words, cwd=self.root, capture_output=True, text=True, check=False, timeout=PATIENCE,
            stdin=subprocess.DEVNULL, env=environment(**{"PATH": path, **env}),
        )  # fmt: skip
        assert "Traceback" not in done.stderr, done.stderr
        return done.stdout + done.stderr

    def ran(self) -> str:
        return self.canary.read_text() if self.canary.exists() else ""


def every_command() -> list[tuple[str, ...]]:
    return [(command.name, *WORDS.get(command.name, ())) for command in COMMANDS]


@pytest.fixture(scope="module")
def planted(tmp_path_factory: pytest.TempPathFactory) -> Hostile:
    made = Hostile(tmp_path_factory.mktemp("planted"))
    made.in_path()
    made.as_modules()
    made.venv()
    made.in_git()
    return made


@pytest.mark.parametrize("words", every_command(), ids=lambda words: words[0])
def test_no_command_runs_anything_of_the_repository(
    planted: Hostile, words: tuple[str, ...]
) -> None:
    said = planted.run(str(BIN / "factory"), *words)
    assert planted.ran() == "", said


def test_the_plants_are_live(tmp_path: Path) -> None:
    """Each would have fired: by stock Git, by the shell, and as a module."""
    made = Hostile(tmp_path)
    made.in_path()
    made.run("sh", "-c", "true")  # found by PATH
    assert "bin/sh" in made.ran()
    made.canary.unlink()
    made.in_git()
    made.run("/usr/bin/git", "-c", "core.fsmonitor=false", "-c", "filter.x=x.clean=", "status")
    assert "evil" in made.ran()
    made.canary.unlink()
    made.as_modules()
    made.run(sys.executable, "-c", "import yaml")
    assert "yaml" in made.ran()


def test_doit_list_runs_nothing_but_dodo(tmp_path: Path) -> None:
    made = Hostile(tmp_path)
    made.in_path()
    made.venv()
    made.in_git()
    assert "oneshot" in made.run(str(BIN / "doit"), "list")
    assert made.ran() == ""


EVERY = (("plan",), ("why", "TASK-0001"), ("doctor",), ("preflight",), ("oneshot",))
NAMED = ("{root}/bin/python", "{root}/.venv/bin/python", "{root}/link")


@pytest.mark.parametrize(
    ("python", "commands"),
    sample(
        [(NAMED[0], EVERY), *((python, EVERY[-1:]) for python in NAMED[1:])],
        ((python, EVERY[:-1]) for python in NAMED[1:]),
    ),
)
def test_the_interpreter_that_a_repository_names_is_asked_for_and_not_run(
    tmp_path: Path, python: str, commands: tuple[tuple[str, ...], ...]
) -> None:
    made = Hostile(tmp_path)
    made.in_path()
    made.venv()
    (made.root / "link").symlink_to("bin/python")
    made.world.write(
        "factory.toml", f'version = 1\n[run]\npython = "{python.format(root=made.root)}"\n'
    )
    made.world.commit()
    for words in commands:
        said = made.run(str(BIN / "factory"), *words)
        refused = words[0] in ("preflight", "oneshot")
        assert ("the interpreter that factory.toml names lies in" in said) >= refused, said
        assert made.ran() == ""


def test_the_users_choice_of_an_interpreter_in_the_work_tree_is_not_run_here(
    tmp_path: Path,
) -> None:
    made = Hostile(tmp_path)
    python = str(made.venv())
    made.world.commit()
    for words in (("plan",), ("doctor",), ("preflight",), ("oneshot",)):
        said = made.run(str(BIN / "factory"), *words, FACTORY_PYTHON=python)
        assert made.ran() == "", said
    assert "does not look like an installation of Python" in said


@pytest.mark.parametrize("name", ["lib", "bin/python"])
def test_an_environment_of_the_work_tree_shows_no_other_folder(tmp_path: Path, name: str) -> None:
    """`lib` of it, or its interpreter, leads to a folder of the user's that packs must not see."""
    secret = tmp_path / "home/lib/python3.11"
    secret.mkdir(parents=True)
    (secret / "os.py").write_text("")
    (tmp_path / "home/bin").mkdir()
    (tmp_path / "home/bin/python3.11").write_text("#!/bin/sh\n")
    (tmp_path / "home/bin/python3.11").chmod(0o755)
    made = Hostile(tmp_path)
    (made.root / ".venv/bin").mkdir(parents=True)
    made.world.write(".venv/pyvenv.cfg", "home = /usr/bin\n")
    target = "/usr/bin/python3" if name == "lib" else tmp_path / "home/bin/python3.11"
    (made.root / ".venv/bin/python").symlink_to(target)
    (made.root / ".venv/lib").symlink_to(tmp_path / "home/lib")
    said = made.run(
        str(BIN / "factory"), "preflight", FACTORY_PYTHON=str(made.root / ".venv/bin/python")
    )
    assert "TOOL_MISSING" in said, said
    assert ("leads out of" if name == "lib" else "nobody allowed packs to see") in said
