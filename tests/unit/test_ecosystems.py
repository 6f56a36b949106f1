"""What `init` recognises of a repository, and what it writes for each package manager."""

from __future__ import annotations

import os
import re
import stat
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest

from factory.commands.registries import hosts_of
from factory.contract.ecosystems import Files, recognise
from factory.contract.environments import read_environments
from factory.contract.scaffold import dependencies_pack, environments_text, found_line
from factory.files.templates import read_templates
from factory.strict import toml, yaml

POETRY = b'[[package]]\nname = "a"\n[package.source]\nurl = "https://index.example.org/simple"\n'
UV = b'source = { registry = "https://pypi.example.org:8443/simple" }\nsdist = { url = "https://f.example.org/a" }\n'
NPM = b'{"packages": {"node_modules/a": {"resolved": "https://npm.example.org/a.tgz", "funding": {"url": "https://other.example.org/"}}}}'

NODE = b'{"devDependencies": {"a": "1"}}'
CARGO = b'[dependencies]\na = "1"\n'
GO = b"module x\nrequire a v1.0.0\n"

PROJECTS: dict[str, tuple[Files, list[str]]] = {
    "nothing": ({"README.md": b"# X\n", "setup.py": b"raise SystemExit(1)\n"}, []),
    "pip": ({"requirements.txt": b"click==8\n"}, ["pip"]),
    "pip with hashes": ({"requirements.txt": b"click==8 --hash=sha256:00\n"}, ["pip"]),
    "pip for tests too": (
        {"requirements.txt": b"a\n", "requirements-dev.txt": b"-r requirements.txt\npytest\n"},
        ["pip"],
    ),
    "a project file": (
        {"pyproject.toml": b'[project]\nname = "x"\ndependencies = ["click"]\n'},
        ["pip, without a lock file"],
    ),
    "a project file with a group": (
        {"pyproject.toml": b'[project]\nname = "x"\n[dependency-groups]\ntests = ["pytest"]\n'},
        ["pip, without a lock file"],
    ),
    "a project file with an extra": (
        {"pyproject.toml": b'[project]\nname = "x"\n[project.optional-dependencies]\ntest = ["a"]\n'},
        ["pip, without a lock file"],
    ),
    "a project file that asks for nothing": ({"pyproject.toml": b'[project]\nname = "x"\n'}, []),
    "a broken project file": ({"pyproject.toml": b"[project"}, []),
    "uv": ({"pyproject.toml": b"[project]\n", "uv.lock": UV}, ["uv"]),
    "poetry": ({"pyproject.toml": b"", "poetry.lock": POETRY}, ["poetry"]),
    "npm": ({"package.json": NODE, "package-lock.json": NPM}, ["npm"]),
    "npm with workspaces": (
        {"package.json": b'{"workspaces": ["packages/*"]}', "package-lock.json": b"{}"},
        ["npm"],
    ),
    "npm without a lock file": ({"package.json": b"{}"}, []),
    "a broken package.json": ({"package.json": b"[", "package-lock.json": b"\xff"}, ["npm"]),
    "pnpm": (
        {
            "package.json": b'{"packageManager": "pnpm@9.15.9+sha512.00", "dependencies": {"a": "1"}}',
            "pnpm-lock.yaml": b"",
            "pnpm-workspace.yaml": b"packages:\n  - 'apps/*'\n",
        },
        ["pnpm"],
    ),
    "cargo": ({"Cargo.toml": CARGO, "Cargo.lock": b""}, ["cargo"]),
    "go": ({"go.mod": GO, "go.sum": b""}, ["go"]),
    "Maven": ({"pom.xml": b"<project/>"}, ["Maven"]),
    "make": ({"Makefile": b"test: all\n"}, ["make"]),
    "several": (
        {"uv.lock": UV, "package.json": NODE, "package-lock.json": NPM, "Makefile": b"all:\n"},
        ["uv", "npm", "make"],
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", PROJECTS)
@pytest.mark.parametrize("below_usr", [True, False])
def test_what_is_recognised_becomes_sound_documents(name: str, below_usr: bool) -> None:
    files, managers = PROJECTS[name]
    recipes = recognise(files, lambda _: below_usr)
    assert [recipe.manager for recipe in recipes] == managers
    hosts = {recipe.name: (*recipe.hosts, "more.example.org") for recipe in recipes if recipe.asks}
    pack = dependencies_pack(recipes, hosts, read_templates("dependencies"))
    assert "@" not in "".join(pack.files.values()).replace("pnpm@", "")
    environments, findings = read_environments(toml.parse(pack.environments.encode()), "f.toml")
    assert findings == ()
    assert [each.name for each in environments] == [each.name for each in recipes if each.name]
    task: Any = yaml.parse(pack.files["task.yml"].encode()).value
    assert task.get("environment", ()) == tuple(each.name for each in environments)
    hides = "inputs" in task and "# tests:" in pack.files["acceptance.yml"]
    assert ("remove the line inputs in task.yml too" in pack.files["acceptance.yml"]) == hides
    assert ("line `inputs` in `task.yml`" in pack.files["runbook.md"]) == ("inputs" in task)
    if recipes:
        accepted: Any = yaml.parse(pack.files["acceptance.yml"].encode()).value
        checks = accepted["checks"]
        assert [check["run"] for check in checks] == [recipe.check for recipe in recipes]


def recipe_of(name: str, below_usr: bool = True) -> dict[str, object]:
    (recipe,) = recognise(PROJECTS[name][0], lambda _: below_usr)
    return {field: getattr(recipe, field) for field in recipe.__slots__}


def test_details_that_a_lock_file_or_a_manifest_decides() -> None:
    assert recipe_of("uv")["hosts"] == ("f.example.org", "pypi.example.org:8443")
    assert recipe_of("poetry")["hosts"] == ("index.example.org",)
    assert recipe_of("npm")["hosts"] == ("npm.example.org",)  # not that of a sponsor
    assert "--require-hashes -r requirements.txt" in str(recipe_of("pip with hashes")["prepare"])
    assert "--require-hashes" not in str(recipe_of("pip")["prepare"])
    assert "-r requirements-dev.txt" in str(recipe_of("pip for tests too")["prepare"])
    assert "--group tests" in str(recipe_of("a project file with a group")["prepare"])
    (with_extra,) = recognise(PROJECTS["a project file with an extra"][0], lambda _: True)
    assert "'optional-dependencies']['test']" in with_extra.prepare[1]
    assert recipe_of("npm with workspaces")["outputs"] == (
        "node_modules/",
        "packages/*/node_modules/",
    )
    assert "pnpm@9.15.9" in str(recipe_of("pnpm", below_usr=False)["prepare"])
    assert recipe_of("pnpm")["outputs"] == ("node_modules/", "apps/*/node_modules/")
    assert recipe_of("cargo", below_usr=False)["path"] == (".cargo/bin",)
    assert recipe_of("uv", below_usr=False)["outputs"] == (".venv/", ".tools/")
    assert recipe_of("make")["tests"] == "make test"


@pytest.mark.parametrize(
    "files",
    [
        {"package.json": b"{}", "package-lock.json": b"{}"},
        {"Cargo.toml": b"[package]\n"},
        {"go.mod": b"module x\n"},
    ],
)
def test_what_depends_on_nothing_needs_no_environment(files: Files) -> None:
    (recipe,) = recognise(files, lambda _: True)
    assert (recipe.name, recipe.prepare, recipe.host) == ("", (), "")
    assert environments_text([recipe], {}) == ""


def test_the_line_that_says_what_was_found() -> None:
    assert found_line(recognise(PROJECTS["several"][0], lambda _: True)) == (
        "uv.lock (uv) · package.json, package-lock.json (npm) · Makefile (make)"
    )


def test_the_command_that_reads_a_project_file_prints_what_it_asks_for(tmp_path: Path) -> None:
    (recipe,) = recognise(PROJECTS["a project file with an extra"][0], lambda _: True)
    content = PROJECTS["a project file with an extra"][0]["pyproject.toml"]
    (tmp_path / "pyproject.toml").write_bytes(content)
    (tmp_path / ".venv").mkdir()
    (tmp_path / "python3").symlink_to(sys.executable)
    subprocess.run(
        ["/bin/sh", "-c", recipe.prepare[1]],
        cwd=tmp_path,
        check=True,
        env={"PATH": f"{tmp_path}:{os.environ['PATH']}"},
    )
    assert (tmp_path / ".venv/asked.txt").read_text().split() == ["a"]
    assert tomllib.loads(content.decode())["project"]["optional-dependencies"]["test"] == ["a"]


REPOSITORY = Path("/nowhere/repository")


def program(folder: Path, name: str, script: str) -> None:
    place = folder / name
    place.write_text(f"#!/bin/sh\n{script}\n")
    place.chmod(place.stat().st_mode | stat.S_IXUSR)


def test_hosts_come_from_the_package_managers_of_the_user(tmp_path: Path) -> None:
    program(
        tmp_path,
        "python3",
        'case "$*" in\n'
        "  *--help) echo '  -i, --index-url <url>  Base (default https://index.example.org/simple).';;\n"
        "  *list) echo \"global.extra-index-url='https://more.example.org:8443/simple'\";;\n"
        "  *) echo index.example.org files.example.org;;\n"
        "esac",
    )
    program(tmp_path, "npm", "echo http://npm.example.org/")
    program(tmp_path, "go", "echo https://proxy.example.org,direct; echo sum.example.org")
    jars = tmp_path / "lib"
    jars.mkdir()
    environ = {"PATH": str(tmp_path), "HOME": str(tmp_path)}
    assert hosts_of("pip", environ, REPOSITORY) == (
        "files.example.org",
        "index.example.org",
        "more.example.org:8443",
    )
    assert hosts_of("npm", environ, REPOSITORY) == ("npm.example.org:80",)
    npmrc = b"registry=https://own.example.org/\n@us:registry=https://us.example.org\n"
    assert hosts_of("npm", environ, REPOSITORY, npmrc) == ("own.example.org", "us.example.org")
    assert hosts_of("go", environ, REPOSITORY) == ("proxy.example.org", "sum.example.org")
    (tmp_path / ".m2").mkdir()
    settings = "<settings><mirrors><mirror><url>https://maven.example.org/m</url></mirror></mirrors></settings>"
    (tmp_path / ".m2/settings.xml").write_text(settings)
    assert hosts_of("maven", environ, REPOSITORY) == ("maven.example.org",)
    assert hosts_of("pip", {"PATH": "", "HOME": str(tmp_path)}, REPOSITORY) == ()
    assert hosts_of("", environ, REPOSITORY) == ()


def test_package_managers_are_asked_outside_the_repository(tmp_path: Path) -> None:
    """A file of the repository could say what they run."""
    program(tmp_path, "npm", 'test "$PWD" = / && echo https://npm.example.org/')
    environ = {"PATH": f"{tmp_path}:/bin:/usr/bin", "HOME": str(tmp_path)}
    assert hosts_of("npm", environ, REPOSITORY) == ("npm.example.org",)
    assert hosts_of("npm", {**environ, "HOME": str(tmp_path / "none")}, REPOSITORY) == ()


def test_no_program_of_the_repository_is_asked(tmp_path: Path) -> None:
    """An active virtual environment, or node_modules/.bin on PATH, is of the repository."""
    root, ours = tmp_path / "repository", tmp_path / "ours"
    (root / "bin").mkdir(parents=True)
    ours.mkdir()
    (tmp_path / "link").symlink_to(root / "bin")
    program(root / "bin", "npm", f"touch {tmp_path}/ran; echo https://evil.example.org/")
    program(ours, "npm", "echo https://npm.example.org/")
    path = f"{root}/bin:{tmp_path}/link:bin:.:{ours}:/bin:/usr/bin"
    environ = {"PATH": path, "HOME": str(tmp_path)}
    assert hosts_of("npm", environ, root) == ("npm.example.org",)
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize(
    "name",
    ["requirements;x.txt", "-requirements.txt", "my requirements.txt", "requirements[a].txt"],
)
def test_a_name_that_is_no_plain_word_is_not_recognised(name: str) -> None:
    assert recognise({name: b"a\n"}, lambda _: True) == ()
    (recipe,) = recognise({name: b"a\n", "requirements.txt": b"a\n"}, lambda _: True)
    assert recipe.inputs == ("requirements.txt",)


DOCUMENTED = {
    "pip": {"requirements.txt": b"a --hash=sha256:00\n"},
    "pip, without a lock file": {
        "pyproject.toml": b'[project]\nname = "x"\ndependencies = ["a"]\n[dependency-groups]\ntests = ["b"]'
    },
    "uv": {"pyproject.toml": b"", "uv.lock": b""},
    "poetry": {"pyproject.toml": b"", "poetry.lock": b""},
    "npm": {"package.json": NODE, "package-lock.json": b"{}"},
    "pnpm": {"package.json": NODE, "pnpm-lock.yaml": b""},
    "cargo": {"Cargo.toml": CARGO, "Cargo.lock": b""},
    "go": {"go.mod": GO, "go.sum": b""},
    "Maven": {"pom.xml": b""},
    "make": {"Makefile": b""},
}
HOSTS = {
    "py": ("files.example.org", "index.example.org"),
    "node": ("npm.example.org",),
    "go": ("proxy.example.org",),
    "java": ("maven.example.org",),
}
PAGE = (Path(__file__).parents[2] / "docs/factory/DEPENDENCIES.md").read_text("utf-8")


@pytest.mark.parametrize("manager", DOCUMENTED)
def test_the_page_has_what_init_writes(manager: str) -> None:
    (recipe,) = recognise(DOCUMENTED[manager], lambda name: name not in ("uv", "cargo"))
    assert recipe.manager == manager
    section = PAGE.split(f"\n### {manager}\n")[1].split("\n### ")[0].split("\n## ")[0]
    if recipe.name:
        shown = section.split("```toml\n")[1].split("```")[0]
        assert shown == environments_text([recipe], HOSTS)
    assert f"`{recipe.check.removesuffix(' > /dev/null')}`" in section


def test_every_recipe_is_on_the_page() -> None:
    assert set(re.findall(r"^### (.+)$", PAGE, re.MULTILINE)) == set(DOCUMENTED)
