"""The tests that `nox -s portable` runs can be imported where there is no POSIX, read off their
imports.

Followed are imports at the top of a module, through our own modules; one inside a function or under
a condition is its writer's care.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from tests.conftest import WHOLLY_LINUX
from tests.parsed import parsed

ROOT = Path(__file__).parents[2]
POSIX_ONLY = frozenset({"fcntl", "grp", "pty", "pwd", "resource", "syslog", "termios", "tty"})


@cache
def imported(path: Path) -> frozenset[str]:
    """Names of modules that a module imports at its top, with what may be modules below them."""
    return frozenset(name for node in parsed(path.read_bytes()).body for name in _names(node))


def _names(node: ast.stmt) -> Iterator[str]:
    if isinstance(node, ast.Import):
        yield from (alias.name for alias in node.names)
    if isinstance(node, ast.ImportFrom) and node.module and not node.level:
        parts = node.module.split(".")
        yield from (".".join(parts[:end]) for end in range(1, len(parts) + 1))
        yield from (f"{node.module}.{alias.name}" for alias in node.names)


@cache
def file_of(name: str) -> Path | None:
    place = ROOT.joinpath(*name.split("."))
    return next(
        (path for path in (place.with_suffix(".py"), place / "__init__.py") if path.is_file()), None
    )


@cache
def reached(path: Path) -> frozenset[Path]:
    """A module and every one of ours that it imports."""
    found, waiting = {path}, [path]
    while waiting:
        files = {file for name in imported(waiting.pop()) if (file := file_of(name)) is not None}
        waiting += sorted(files - found)
        found |= files
    return frozenset(found)


def needs(path: Path) -> set[str]:
    """What a test module imports, itself or through others, and exists on POSIX alone."""
    return {
        f"{file.name}: {name}"
        for file in reached(path)
        for name in imported(file)
        if name in POSIX_ONLY
    }


def test_what_is_not_marked_linux_needs_no_posix() -> None:
    modules = {
        path: path.read_text("utf-8") for path in sorted((ROOT / "tests").rglob("test_*.py"))
    }
    marked = {path for path, text in modules.items() if WHOLLY_LINUX in text}
    wrong = {path.name: needs(path) for path in modules.keys() - marked}
    assert {name: found for name, found in wrong.items() if found} == {}
    assert any(needs(path) for path in marked), "expected that the search can find something"


def test_only_the_linux_sandbox_needs_posix() -> None:
    """Everything else is imported on every platform; the sandbox of Linux is imported where it was
    chosen.
    """
    modules = sorted((ROOT / "factory").rglob("*.py"))
    found = {
        path.relative_to(ROOT / "factory").parent.as_posix() for path in modules if needs(path)
    }
    assert found == {"sandbox"}
