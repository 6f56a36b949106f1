"""Which files belong to the judge, and what of those that are half code."""

from __future__ import annotations

import json
import re
import tomllib
from pathlib import Path

import pytest

from factory.judge.half_code import is_half_code, same_judge, with_judge_of
from factory.judge.judge_set import BUILT_IN, PATTERNS, SHADOWED, TESTS, JudgePatterns, Role

PAGE = Path(__file__).parents[3] / "docs" / "factory" / "JUDGE.md"
TEST, CONFIGURATION = Role.TEST, Role.CONFIGURATION


@pytest.mark.parametrize(
    ("path", "role"),
    [
        ("tests/test_a.py", TEST),
        ("packages/x/tests/data/expected.txt", TEST),
        ("test_a.py", TEST),
        ("src/links_test.go", TEST),
        ("web/a.spec.ts", TEST),
        ("conftest.py", TEST),
        ("tests/pytest.ini", CONFIGURATION),
        ("sitecustomize.py", CONFIGURATION),
        ("lib/x.pth", CONFIGURATION),
        ("Makefile", CONFIGURATION),
        ("sub/GNUmakefile", CONFIGURATION),
        (".eslintrc.json", CONFIGURATION),
        ("eslint.config.mjs", CONFIGURATION),
        ("node_modules/.bin/jest", CONFIGURATION),
        ("pytest.py", CONFIGURATION),
        ("ruff/__main__.py", CONFIGURATION),
        ("x-1.dist-info/entry_points.txt", CONFIGURATION),
        ("app/.gitignore", CONFIGURATION),
        ("unittest/__init__.py", CONFIGURATION),
        ("src/a.py", None),
        ("docs/testing.md", None),
        ("src/latest.py", None),
        ("contest.py", None),
    ],
)
def test_the_role_of_a_path(path: str, role: Role | None) -> None:
    assert BUILT_IN.compiled.role(path, new=False) is role


@pytest.mark.parametrize(
    "path",
    ["random.py", "src/json.so", "email/__init__.py", "abc.cpython-311-x86_64-linux-gnu.so"],
)
def test_a_new_module_that_shadows_the_standard_library_is_of_the_judge(path: str) -> None:
    assert BUILT_IN.compiled.role(path, new=True) is CONFIGURATION
    assert BUILT_IN.compiled.role(path, new=False) is None


@pytest.mark.parametrize(
    "path", ["app/random.py", "types/index.ts", "src/types/models.py", "email/sender.py", "json.md"]
)
def test_a_new_file_that_shadows_nothing_is_not(path: str) -> None:
    assert BUILT_IN.compiled.role(path, new=True) is None


def test_a_contract_adds_patterns() -> None:
    judge = JudgePatterns(own=("ci/expected/",)).compiled
    assert judge.role("ci/expected/a.json", new=False) is CONFIGURATION
    assert BUILT_IN.compiled.role("ci/expected/a.json", new=False) is None


def test_the_page_lists_exactly_the_table() -> None:
    listed = PAGE.read_text(encoding="utf-8").partition("## The built-in patterns")[2]
    names = set(re.findall(r"`([^`]+)`", listed))
    told = {"judge", "[judge] patterns", "factory/judge/judge_set.py", "src/"}
    assert names - told == {*PATTERNS, *TESTS, *SHADOWED, "random.py", "random/__init__.py"}


OLD = b"""[project]
name = "x"
version = "1"

[tool.pytest.ini_options]
addopts = "-q"

[tool.poetry.scripts]
x = "x:main"
"""


def test_the_old_tables_are_set_into_the_new_file() -> None:
    new = OLD.replace(b'"1"', b'"2"').replace(b"-q", b"-k none") + b"[tool.ruff]\nignore = ['E']\n"
    made = with_judge_of("sub/pyproject.toml", OLD, new)
    assert made is not None
    assert tomllib.loads(made.decode()) == tomllib.loads(OLD.replace(b'"1"', b'"2"').decode())
    assert not same_judge("pyproject.toml", OLD, new)
    assert same_judge("pyproject.toml", OLD, OLD.replace(b'"1"', b'"2"'))


def test_a_new_file_loses_its_tables_and_keeps_the_rest() -> None:
    made = with_judge_of("pyproject.toml", b"", OLD)
    assert made is not None
    assert tomllib.loads(made.decode()) == {"project": {"name": "x", "version": "1"}}


def test_the_order_and_form_of_package_json_stay() -> None:
    old = b'{\n  "name": "x",\n  "scripts": {"test": "jest"},\n  "version": "1"\n}\n'
    new = b'{\n  "name": "x",\n  "scripts": {"test": "true"},\n  "version": "2",\n  "jest": {}\n}\n'
    made = with_judge_of("package.json", old, new)
    assert made is not None
    assert json.loads(made) == {"name": "x", "scripts": {"test": "jest"}, "version": "2"}
    assert list(json.loads(made)) == ["name", "scripts", "version"]
    assert made.startswith(b'{\n  "name"')
    assert made.endswith(b"}\n")


@pytest.mark.parametrize(
    ("path", "half"),
    [
        ("package.json", True),
        ("packages/check/pyproject.toml", True),
        ("node_modules/check/package.json", False),
        ("tests/fixtures/package.json", False),
        ("x.egg-info/setup.cfg", False),
        ("ci/package.json", False),
    ],
)
def test_what_another_pattern_matches_is_no_half_code(path: str, half: bool) -> None:
    assert JudgePatterns(own=("ci/",)).compiled.is_half(path) is half


def test_ini_files() -> None:
    old = b"[metadata]\nversion = 1\n[flake8]\nmax-line-length = 80\n[tool:pytest]\naddopts = -q\n"
    new = old.replace(b"version = 1", b"version = 2").replace(b"80", b"999")
    assert with_judge_of("setup.cfg", old, new) == old.replace(b"version = 1", b"version = 2")
    assert (
        with_judge_of("tox.ini", b"[pytest]\n", b"[pytest]\naddopts = -k none\n") == b"[pytest]\n"
    )


@pytest.mark.parametrize(
    ("path", "old", "new"),
    [
        ("pyproject.toml", OLD, b"no toml"),
        ("pyproject.toml", b"\xff", OLD),
        ("pyproject.toml", OLD, b'[project]\ntext = """\n[tool.ruff]\n"""\n'),
        ("pyproject.toml", b"tool = {ruff = {line-length = 80}}\n", b'[project]\nname = "x"\n'),
        ("package.json", b"{}", b"[" * 5000),
        ("package.json", b"{}", b"[]"),
        ("setup.cfg", b"[a]\n[a]\n", b"[b]\n"),
    ],
)
def test_what_cannot_be_put_together_exactly_is_not(path: str, old: bytes, new: bytes) -> None:
    assert is_half_code(path)
    assert with_judge_of(path, old, new) is None
    assert not same_judge(path, old, new)
