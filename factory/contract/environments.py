"""Read `[environments.NAME]` of factory.toml: what each key takes, and what a table must have.

Each key has a direction, as each setting has. Names that packs use are compared with what is
declared. Pure: bytes were read already. Does not know what the base has at an environment's paths.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from factory.contract.settings import Direction
from factory.contract.value_forms import Unfit, ValueForm, many, matching, sound, text_form
from factory.judge.path_guard import reads_as_git
from factory.judge.scope import problem_with_pattern
from factory.model import forms
from factory.model.config import Config
from factory.model.environment import NAME, DeclaredEnvironment
from factory.model.finding import Finding, Location
from factory.model.findings.entry import Facts
from factory.model.layout import STATE_FOLDER
from factory.model.pack import Network, TaskPack
from factory.model.wording import found, nearest, quoted, unknown_key
from factory.strict.values import StrictDocument, Value, child

SECTION = "environments"
MEANING = "Dependencies and toolchains that packs name under environment."
_SOURCES = ("submodules", "lfs")
_SEGMENT = r"(?!\.{1,2}(?:/|$))[^/\\\x00-\x1f\x7f]+"
_HOST_FOLDER = rf"~(?:/{_SEGMENT})+"


@dataclass(frozen=True, slots=True, eq=False)
class EnvironmentKey:
    """Describe one key of an environment. `direction` is what a repository's value does by itself:
    what is a request takes effect once the user granted it.
    """

    key: str
    direction: Direction
    form: ValueForm
    meaning: str


def _command(text: str) -> str:
    if not text.strip() or "\0" in text:
        raise Unfit("is empty, expected a command", "write the command to run")
    return text


def _pattern(text: str) -> str:
    return sound(text, problem_with_pattern)


def _output(text: str) -> str:
    sound(text, problem_with_pattern)
    if any(reads_as_git(part) for part in text.split("/")):
        raise Unfit(f"{quoted(text)} leads into .git", "name another folder")
    if text.split("/", 1)[0] in ("**", "*", STATE_FOLDER):
        raise Unfit(f"{quoted(text)} is no folder of its own", "write one as in .venv/")
    return text


def _source(text: str) -> str:
    if text not in _SOURCES:
        raise Unfit(f"expected submodules or lfs, found {quoted(text)}", "write one of them")
    return text


def _relative(text: str) -> str:
    return forms.clean_folder(sound(text, forms.problem_with_folder))


def _cwd(value: Value) -> str:
    if not isinstance(value, str):
        raise Unfit(f"expected text, found {found(value)}", "put it in quotes")
    return _relative(value)


def _network(value: Value) -> Network:
    if value is False:
        return Network()
    if value is True:
        return Network(any_host=True)
    if not isinstance(value, tuple):
        raise Unfit(
            f"expected false, true or a list of hosts, found {found(value)}",
            'write ["index.example.org"]',
        )
    hosts = _HOSTS.read(value)
    return Network(hosts=tuple(sorted(set(hosts)))) if isinstance(hosts, tuple) else Network()


def _host(text: str) -> str:
    return sound(text, forms.problem_with_host).lower()


_TEXT: Mapping[str, Any] = {"type": "string", "minLength": 1}
_HOSTS = many(_host, matching(forms.HOST))
_HOST = text_form(_HOST_FOLDER, "is no folder below your home", 'write one as in "~/.cargo"')
_PATTERNS = many(_pattern, _TEXT)
_NEUTRAL, _REQUEST = Direction.NEUTRAL, Direction.REQUEST

KEYS: tuple[EnvironmentKey, ...] = (
    EnvironmentKey(
        "prepare", _NEUTRAL, many(_command, _TEXT), "Commands that make the outputs, in order."
    ),
    EnvironmentKey("inputs", _NEUTRAL, _PATTERNS, "Patterns of the files that they see."),
    EnvironmentKey(
        "outputs", _NEUTRAL, many(_output, _TEXT), "Patterns of what is kept, as in .venv/."
    ),
    EnvironmentKey(
        "allow_network",
        _REQUEST,
        ValueForm(_network, {"anyOf": [{"type": "boolean"}, _HOSTS.schema]}),
        "false, true, or the hosts that the commands may reach.",
    ),
    EnvironmentKey(
        "cwd", _NEUTRAL, ValueForm(_cwd, matching(forms.FOLDER)), "Folder that they run in."
    ),
    EnvironmentKey(
        "inputs_from",
        _NEUTRAL,
        many(_source, {"type": "string", "enum": list(_SOURCES)}),
        "submodules, lfs: what of them is there locally is an input too.",
    ),
    EnvironmentKey(
        "host",
        _REQUEST,
        _HOST,
        "A folder of the user's, shown read-only, instead of prepare.",
    ),
    EnvironmentKey(
        "also", _REQUEST, many(_HOST.parse_text, _HOST.schema), "More folders of the user's."
    ),
    EnvironmentKey(
        "path", _NEUTRAL, many(_relative, _TEXT), "Folders for PATH, from the user's home."
    ),
)
BY_KEY: Mapping[str, EnvironmentKey] = {each.key: each for each in KEYS}

_ONLY_PREPARE = ("inputs", "outputs", "allow_network", "cwd", "inputs_from")
_ONLY_HOST = ("also", "path")


def read_environments(
    document: StrictDocument, file: str
) -> tuple[tuple[DeclaredEnvironment, ...], tuple[Finding, ...]]:
    """Return the sound environments of factory.toml, and CONFIG_INVALID for what is wrong in
    others.
    """
    tables = document.value.get(SECTION) if isinstance(document.value, Mapping) else None
    if tables is None:
        return (), ()
    if not isinstance(tables, Mapping):
        clause = f"environments: expected tables, found {found(tables)}"
        place = Location(file, *document.place(f"/{SECTION}"))
        return (), (_invalid(clause, "write [environments.NAME]", place),)
    sound_ones: list[DeclaredEnvironment] = []
    findings: list[Finding] = []
    for name, table in tables.items():
        reader = _Table(document, file, name, child(f"/{SECTION}", name))
        wrong = list(reader.problems(table))
        findings += wrong
        if not wrong:
            sound_ones.append(reader.environment)
    return tuple(sound_ones), tuple(findings)


class _Table:
    """Read one table; `environment` is what it means, once `problems` yielded none."""

    def __init__(self, document: StrictDocument, file: str, name: str, pointer: str) -> None:
        self._document, self._file, self._name, self._pointer = document, file, name, pointer
        self._values: dict[str, Any] = {}
        self._written: tuple[str, ...] = ()

    def problems(self, table: Value) -> Iterator[Finding]:
        if not isinstance(table, Mapping):
            yield self._wrong("", f"expected a table, found {found(table)}", "write a table")
            return
        if not re.fullmatch(NAME, self._name):
            hint = "use small letters, digits, - and _"
            yield self._wrong("", f"{quoted(self._name)} is no name of an environment", hint)
        self._written = tuple(table)
        for key, value in table.items():
            known = BY_KEY.get(key)
            if known is None:
                yield self._wrong(key, *unknown_key(key, BY_KEY), key=True)
                continue
            try:
                self._values[key] = known.form.read(value)
            except Unfit as error:
                at = key if error.item is None else f"{key}/{error.item}"
                yield self._wrong(at, f"{key}: {error.clause}", error.hint)
        yield from self._contradictions()

    def _contradictions(self) -> Iterator[Finding]:
        written = self._written
        if ("prepare" in written) == ("host" in written):
            clause = "expected either prepare or host"
            yield self._wrong("", clause, "write the commands that make it, or name a folder")
            return
        strange = _ONLY_HOST if "prepare" in written else _ONLY_PREPARE
        kind = "prepare" if "prepare" in written else "host"
        for key in written:
            if key in strange:
                yield self._wrong(key, f"{key} does not go with {kind}", f"remove {key}", key=True)
        if "prepare" in written and not self._values.get("prepare", ("",)):
            yield self._wrong("prepare", "prepare: no command", "write at least one")
        said = "outputs" in written and "outputs" not in self._values
        if "prepare" in written and not said and not self._values.get("outputs"):
            yield self._wrong("", "outputs: expected what to keep", 'add it, as in [".venv/"]')

    @property
    def environment(self) -> DeclaredEnvironment:
        given = {key: value for key, value in self._values.items() if key != "allow_network"}
        if "allow_network" in self._values:
            given["network"] = self._values["allow_network"]
        places = (
            ("", self._at("", key=True)),
            *((key, self._at(key, key=True)) for key in self._written),
        )
        return DeclaredEnvironment(name=self._name, places=places, **given)

    def _at(self, below: str, *, key: bool = False) -> Location:
        pointer = f"{self._pointer}/{below}" if below else self._pointer
        place = self._document.key_place if key else self._document.place
        return Location(self._file, *place(pointer))

    def _wrong(self, below: str, clause: str, hint: str, *, key: bool = False) -> Finding:
        return _invalid(f"environments.{self._name}: {clause}", hint, self._at(below, key=key))


def _invalid(problem: str, advice: str, location: Location) -> Finding:
    return Finding("CONFIG_INVALID", {"problem": problem, "advice": advice}, location=location)


_TYPO_CUTOFF = 0.5  # difflib's ratio; names are short


def judge_names(pack: TaskPack, config: Config) -> Iterator[Finding]:
    """Yield ENVIRONMENT_UNKNOWN for each name that factory.toml does not declare."""
    for name in pack.environments:
        if config.environment(name) is not None:
            continue
        meant = nearest(name, [each.name for each in config.environments], _TYPO_CUTOFF)
        facts: Facts = {"case": "unknown", "name": name}
        if meant:
            facts = {"case": "meant", "name": name, "meant": meant}
        place = pack.place("/environment")
        yield Finding("ENVIRONMENT_UNKNOWN", facts, pack=pack.id, location=place)
