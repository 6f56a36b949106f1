"""Adopt real projects as a new user would: `init`, `grant`, a pack of real work with the project's
own tests as acceptance, `oneshot`, `verify`, `integrate --branch`.

Nothing but the result branch and what `init` wrote may differ afterwards. Prints for each project
the minutes to the first PASS and what was typed.
"""

from __future__ import annotations

import ipaddress
import os
import re
import shutil
import socket
import subprocess
import sys
import time
import tomllib
from pathlib import Path
from typing import Any

import pytest

from tests.adoption.sources import Unreachable, laid_out
from tests.warm import BIN
from tests.world import environment

pytestmark = [
    pytest.mark.linux,
    pytest.mark.skipif("ADOPT" not in os.environ, reason="needs registries: nox -s adoption"),
]

PROJECTS: dict[str, dict[str, Any]] = tomllib.loads(
    (Path(__file__).parent / "projects.toml").read_text("utf-8")
)
INDEX = '''\
"""Write, or check, an index of the public names of stubs that begin with a letter."""
import ast, pathlib, sys

word, letter = sys.argv[1:]
lines = [f"# Stubs: {letter}", ""]
for path in sorted(pathlib.Path("mypy/typeshed/stdlib").glob(f"{letter}*.pyi")):
    tree = ast.parse(path.read_text("utf-8"))
    kinds = (ast.FunctionDef, ast.ClassDef)
    names = sorted({n.name for n in tree.body if isinstance(n, kinds) and n.name[0] != "_"})
    lines.append(f"- `{path.stem}`: {', '.join(names) or 'nothing of its own'}")
target = pathlib.Path(f"docs/stubs/{letter}.md")
text = "\\n".join(lines) + "\\n"
if word == "write":
    target.write_text(text, "utf-8")
sys.exit(target.read_text("utf-8") != text)
'''


class Adopter:
    """Type commands in a project's folder, and remember them."""

    def __init__(self, root: Path, home: Path) -> None:
        self.root, self.typed = root, list[str]()
        self.env = {**environment(), **usual(), "HOME": str(home), "XDG_STATE_HOME": str(home)}
        self.env |= {
            "XDG_CONFIG_HOME": str(home / ".config"),
            "PATH": f"{BIN}:{os.environ['PATH']}",
        }

    def type(self, line: str, ok: tuple[int, ...] = (0,)) -> str:
        """Type a line at the shell; return what it prints."""
        self.typed.append(line)
        done = subprocess.run(
            ["/bin/sh", "-c", line],
            cwd=self.root,
            env=self.env,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=1800,
            check=False,
        )
        assert done.returncode in ok, f"$ {line}\n{done.stdout[-6000:]}"
        return done.stdout

    def git(self, *words: str) -> str:
        """Ask Git, as a test does: not something that the adopter types."""
        done = subprocess.run(
            ["git", *words], cwd=self.root, env=self.env, capture_output=True, text=True, check=True
        )
        return done.stdout


def usual() -> dict[str, str]:
    """Return what a company's machine sets so that package managers reach their registries."""
    named = ("SSL_CERT_FILE", "PIP_CERT", "NODE_EXTRA_CA_CERTS", "npm_config_registry")
    return {name: os.environ[name] for name in named if name in os.environ}


def private_network(hosts: list[str]) -> dict[str, str]:
    """Return the user's settings for registries at private addresses, where they are at such."""
    private = []
    for host in hosts:
        name, _, port = host.partition(":")
        try:
            address = ipaddress.ip_address(socket.gethostbyname(name))
        except OSError:
            continue
        if not address.is_global:
            private.append(f"{name}:{port}" if port else name)
    settings = {"FACTORY_NETWORK_PRIVATE": ",".join(private)} if private else {}
    if "SSL_CERT_FILE" in os.environ:
        settings["FACTORY_NETWORK_CA_FILE"] = os.environ["SSL_CERT_FILE"]
    return settings


def packs_of(project: dict[str, Any]) -> dict[str, dict[str, str]]:
    """Return the files of each pack by its folder's name."""
    made = {}
    for number, letter in enumerate(project.get("packs", [""]), 100):
        name = f"TASK-0{number}-{letter or 'work'}"

        def filled(text: str, letter: str = letter, name: str = name) -> str:
            return text.replace("@PACK@", name).replace("@", letter)

        lines = ["version: 1", f"id: TASK-0{number}", f"title: Work {letter or 'on it'}"]
        lines.append("type: platform")
        lines.append(f"scope: {{allowed_paths: {list(map(filled, project['scope']))}}}")
        if "environment" in project:
            lines.append(f"environment: {project['environment']}")
        if "inputs" in project:
            lines.append(f"inputs: {project['inputs']}")
        most = project.get("changed_lines", 800)
        lines += [f"limits: {{timeout: 20m, changed_lines: {most}}}", "steps:"]
        lines += [f"  - {{name: work, run: {quoted(filled(step))}}}" for step in project["steps"]]
        checks = [quoted(filled(test)) for test in project["tests"]]
        kind = project.get("kind", "tests")
        wanted = (
            f"checks: [{', '.join(f'{{name: it is right, run: {each}}}' for each in checks)}]"
            if kind == "checks"
            else f"tests: {{commands: [{', '.join(checks)}]}}"
        )
        made[name] = {
            "task.yml": "\n".join(lines) + "\n",
            "acceptance.yml": f"{wanted}\n",
            **({"index.py": INDEX} if "packs" in project else {}),
            **{f"{doc}.md": f"# {doc}\n\nWhat a person reads.\n" for doc in DOCUMENTS},
        }
    return made


DOCUMENTS = ("spec", "risk", "runbook")


def quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def lay_out(project: dict[str, Any], cache: Path, root: Path) -> None:
    """Put the project's files into the new folder `root`; leave it out where they are not to be
    had.
    """
    if project["source"] == "made":
        root.mkdir()
        for path, text in project["files"].items():
            (root / path).write_text(text.lstrip("\n"))
        return
    try:
        laid_out(project["source"], cache, root)
    except Unreachable as error:
        pytest.skip(str(error))


@pytest.mark.parametrize("name", PROJECTS)
def test_a_real_project_is_adopted(
    name: str, tmp_path: Path, request: pytest.FixtureRequest, capsys: pytest.CaptureFixture[str]
) -> None:
    project = PROJECTS[name]
    lacking = [each for each in project.get("needs", []) if shutil.which(each) is None]
    if lacking:
        pytest.skip(f"needs {', '.join(lacking)}")
    root, home = tmp_path / name, tmp_path / "home"
    home.mkdir()
    cache = request.config.cache.mkdir("adoption")
    lay_out(project, cache, root)
    user = Adopter(root, home)
    if project.get("home"):  # its toolchain is in the real one
        user.env["HOME"] = str(Path.home())
    for line in project.get("before", []):
        user.type(line)
    user.typed.clear()
    user.git("init", "-q", "-b", "main")
    user.git("add", "-A", "-f")
    user.git("-c", "user.name=T", "-c", "user.email=t@example.invalid", "commit", "-qm", "theirs")
    user.git("config", "user.name", "T")
    user.git("config", "user.email", "t@example.invalid")
    theirs = user.git("rev-parse", "HEAD^{tree}").strip()

    began = time.monotonic()
    found = user.type("factory init")
    assert (f"({project['finds']})" in found) == bool(project["finds"]), found
    for before, after in project.get("edits", []):
        toml = root / "factory.toml"
        assert before in toml.read_text()
        toml.write_text(toml.read_text().replace(before, after))
        user.typed.append(f"sed -i 's/{before}/{after}/' factory.toml")
        for checks in root.glob("taskpacks/TASK-0001-*/acceptance.yml"):
            checks.write_text(checks.read_text().replace(before, after))
    settings = tomllib.loads((root / "factory.toml").read_text())
    environments = settings.get("environments", {}).values()
    hosts = sorted({host for each in environments for host in each.get("allow_network", ())})
    user.env |= private_network(hosts)
    user.type("git add -A && git commit -qm 'Task packs'")
    grant_all(user)
    first = user.type("factory oneshot")
    minutes = (time.monotonic() - began) / 60
    for folder, files in packs_of(project).items():
        place = root / "taskpacks" / folder
        place.mkdir(parents=True)
        for file, text in files.items():
            (place / file).write_text(text)
    user.type("git add -A && git commit -qm 'Work'")
    grant_all(user)
    began = time.monotonic()
    second = user.type("factory oneshot")
    repeated = time.monotonic() - began
    assert "PASS" in first
    assert "PASS" in second
    before = user.git("rev-parse", "main").strip()
    user.type("factory verify")
    user.type("factory integrate --branch")
    branch = user.git("for-each-ref", "--format=%(refname)", "refs/heads/codex").split()[0]
    changed = user.git("diff", "--name-only", f"main..{branch}").split()
    assert len([path for path in changed if "inventory" not in path.lower()]) == project["changes"]
    assert user.git("rev-parse", "main").strip() == before
    assert user.git("status", "--porcelain") == ""
    kept = user.git("ls-tree", "-r", "main").splitlines()
    assert set(user.git("ls-tree", "-r", theirs).splitlines()) <= set(kept)
    with capsys.disabled():
        lines = [
            f"{name}: {minutes:.1f} min to the first PASS, {repeated:.0f} s for the work; typed:"
        ]
        lines += [f"    {line}" for line in user.typed]
        sys.stdout.write("\n" + "\n".join(lines) + "\n")


def grant_all(user: Adopter) -> None:
    """Grant whatever this repository asks for, as CI would: by the digests that are shown."""
    shown = user.type("factory grant", ok=(0, 2))
    digests = re.findall(r"^  ([0-9a-f]{12})  asked by", shown, re.MULTILINE)
    if digests:
        user.type(f"factory grant {' '.join(digests)}")
    else:
        user.typed.pop()
