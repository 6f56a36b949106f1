"""Split files that are half code, half judge: set the old tables of runners into the new file.

In `package.json`, `pyproject.toml`, `setup.cfg`, `tox.ini` and `Cargo.toml` only scripts and the
tables of runners, linters and build systems belong to the judge.

    >>> old = b'[project]\\nversion = "1"\\n[tool.pytest.ini_options]\\naddopts = "-q"\\n'
    >>> new = b'[project]\\nversion = "2"\\n[tool.pytest.ini_options]\\naddopts = "-k none"\\n'
    >>> same_judge("pyproject.toml", old, new)
    False
    >>> print(with_judge_of("pyproject.toml", old, new).decode(), end="")
    [project]
    version = "2"
    [tool.pytest.ini_options]
    addopts = "-q"

Rule: what was put together is parsed again, and must have exactly the old judge's part and the new
other part; else the whole file belongs to the judge. Pure.
"""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

Path = tuple[str, ...]
Keyed = dict[Path, Any]

# Members of package.json that a runner, a linter or a package manager acts on.
_PACKAGE_JSON = frozenset(
    "scripts jest mocha ava nyc c8 tap xo standard eslintConfig eslintIgnore prettier babel"
    " stylelint lint-staged husky simple-git-hooks vitest playwright karma tsd workspaces"
    " packageManager imports".split()
)
# Tables below `tool` that describe how a package is made; every other one belongs to the judge.
_PACKAGING = frozenset(
    "poetry setuptools setuptools_scm setuptools-scm hatch pdm uv flit rye maturin scikit-build"
    " bumpversion bumpver commitizen semantic_release towncrier cibuildwheel jupyter versioneer"
    " git-cliff dependabot".split()
)
_JUDGE_IN_PYPROJECT: tuple[Path, ...] = (
    ("build-system",),
    ("project", "scripts"),
    ("project", "gui-scripts"),
    ("project", "entry-points"),
    ("tool", "poetry", "scripts"),
    ("tool", "poetry", "plugins"),
    ("tool", "hatch", "envs"),
    ("tool", "pdm", "scripts"),
)
_JUDGE_IN_CARGO = frozenset("bin test bench lib example lints profile".split())
_PACKAGING_SECTIONS = re.compile(
    r"metadata|options(?:\.(?!entry_points).*)?|bdist_.*|sdist|egg_info|bumpversion.*|DEFAULT"
)


def is_half_code(path: str) -> bool:
    """Return whether a file of this name belongs to the judge in part only."""
    return path.rpartition("/")[2] in _FORMS


def same_judge(path: str, old: bytes, new: bytes) -> bool:
    """Return whether two versions of a half-code file have the same judge's part; False where one
    cannot be parsed. Absent is b"".
    """
    try:
        form = _FORMS[path.rpartition("/")[2]]
        return form.judged(form.read(old)) == form.judged(form.read(new))
    except _UNREADABLE:
        return old == new


def with_judge_of(path: str, old: bytes, new: bytes) -> bytes | None:
    """Return `new` with the judge's part of `old`; None where that cannot be done."""
    try:
        form = _FORMS[path.rpartition("/")[2]]
        before, after = form.read(old), form.read(new)
        made = form.joined(old, new)
        again = form.read(made)
        same = form.judged(again) == form.judged(before) and form.other(again) == form.other(after)
        return made if same else None
    except _UNREADABLE:
        return None


_UNREADABLE = (
    ValueError,  # JSON, TOML and UTF-8 errors are kinds of it
    RecursionError,
)


@dataclass(frozen=True, slots=True)
class _FileForm:
    """Describe one form of file: how it is read into values by path, which paths are the judge's,
    and how two texts are joined.
    """

    read: Callable[[bytes], Keyed]
    is_judge: Callable[[Path], bool]
    joined: Callable[[bytes, bytes], bytes]

    def judged(self, values: Keyed) -> Keyed:
        """Return the values that belong to the judge."""
        return {path: value for path, value in values.items() if self.is_judge(path)}

    def other(self, values: Keyed) -> Keyed:
        """Return all other values."""
        return {path: value for path, value in values.items() if not self.is_judge(path)}


def _flat(value: object, path: Path = ()) -> Keyed:
    """Return the leaves of nested mappings by path; a list and an empty mapping are leaves."""
    if not isinstance(value, dict) or (path and not value):
        return {path: value}
    found: Keyed = {}
    for key, inner in value.items():
        found |= _flat(inner, (*path, str(key)))
    return found


def _read_json(content: bytes) -> Keyed:
    value = json.loads(content) if content else {}
    if not isinstance(value, dict):
        raise ValueError("expected an object")
    return _flat(value)


def _read_toml(content: bytes) -> Keyed:
    return _flat(tomllib.loads(content.decode("utf-8")))


def _read_ini(content: bytes) -> Keyed:
    """Return the lines of each section, without blank lines and comments."""
    found: Keyed = {}
    section = ""
    for line in content.decode("utf-8").splitlines():
        text = line.rstrip()
        if text[:1] == "[":
            section, bracket, _ = text[1:].partition("]")
            if not bracket or (section,) in found:
                raise ValueError("expected each section once")
            found[(section,)] = ()
        elif text and text.lstrip()[0] not in "#;":
            if not section:
                raise ValueError("expected a section first")
            found[(section,)] = (*found[(section,)], text)
    return found


def _json_judge(path: Path) -> bool:
    return bool(path) and path[0] in _PACKAGE_JSON


def _pyproject_judge(path: Path) -> bool:
    if any(path[: len(part)] == part for part in _JUDGE_IN_PYPROJECT):
        return True
    return path[:1] == ("tool",) and len(path) > 1 and path[1] not in _PACKAGING


def _cargo_judge(path: Path) -> bool:
    return path[:1] != () and (path[0] in _JUDGE_IN_CARGO or path[:2] == ("workspace", "lints"))


def _ini_judge(path: Path) -> bool:
    return _PACKAGING_SECTIONS.fullmatch(path[0]) is None


def _join_json(old: bytes, new: bytes) -> bytes:
    before, after = json.loads(old or b"{}"), json.loads(new or b"{}")
    kept = {key: value for key, value in after.items() if key not in _PACKAGE_JSON}
    made: dict[str, Any] = {}
    for key, value in after.items():  # the order of the new file, so that a formatter has no word
        if key in kept:
            made[key] = value
        elif key in before:
            made[key] = before[key]
    made |= {key: value for key, value in before.items() if key in _PACKAGE_JSON}
    indent = re.search(rb"\n([ \t]+)", new)
    space = indent[1].decode() if indent else None
    text = json.dumps(made, ensure_ascii=False, indent=space)
    return text.encode("utf-8") + (b"\n" if new.endswith(b"\n") else b"")


_TABLE = re.compile(r"^[ \t]*(\[\[?)[ \t]*([^\]\n]+?)[ \t]*\]\]?[ \t]*(?:#.*)?$", re.MULTILINE)
_NAME = re.compile(r"\"((?:[^\"\\]|\\.)*)\"|'([^']*)'|([^.\s\"']+)")


def _sections(text: str) -> Iterable[tuple[Path, str]]:
    """Yield (path of the header, text) of each table of TOML or INI; () for what is before the
    first. A line in a multi-line string may look like a header: the comparison afterwards finds it.
    """
    heads = list(_TABLE.finditer(text))
    starts = [0, *(head.start() for head in heads)]
    ends = [*starts[1:], len(text)]
    paths: list[Path] = [()]
    for head in heads:
        paths.append(tuple(a or b or c for a, b, c in _NAME.findall(head[2])))
    for path, start, end in zip(paths, starts, ends, strict=True):
        yield path, text[start:end]


def _join_tables(is_judge: Callable[[Path], bool], whole: bool) -> Callable[[bytes, bytes], bytes]:
    """Return the joiner of files with headed tables; `whole`: a header is one name (INI)."""

    def judged(head: Path) -> bool:
        name = (".".join(head),) if whole else head
        return bool(head) and is_judge(name)

    def join(old: bytes, new: bytes) -> bytes:
        before, after = old.decode("utf-8"), new.decode("utf-8")
        kept = [text for head, text in _sections(after) if not judged(head)]
        back = [text for head, text in _sections(before) if judged(head)]
        parts = [part if part.endswith("\n") or not part else part + "\n" for part in kept + back]
        return "".join(parts).encode("utf-8")

    return join


_INI = _FileForm(_read_ini, _ini_judge, _join_tables(_ini_judge, whole=True))
_FORMS: Mapping[str, _FileForm] = {
    "package.json": _FileForm(_read_json, _json_judge, _join_json),
    "pyproject.toml": _FileForm(
        _read_toml, _pyproject_judge, _join_tables(_pyproject_judge, whole=False)
    ),
    "Cargo.toml": _FileForm(_read_toml, _cargo_judge, _join_tables(_cargo_judge, whole=False)),
    "setup.cfg": _INI,
    "tox.ini": _INI,
}
