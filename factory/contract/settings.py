"""Define every setting: its place in factory.toml, its field, and the values it takes.

One table serves files, environment and flags. Reads without pydantic, because every command reads
configuration before it does anything; `contract.config_document` states the same shape for editors,
and a test compares the two. Each setting has a direction: what a repository may do with it, since
its factory.toml may be that of a pull request. Does not know precedence.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from enum import Enum
from typing import Any, get_args

from factory.judge.scope import problem_with_pattern
from factory.log.key import KEY_ID
from factory.model import forms
from factory.model.config import ContractPolicy, OverlapPolicy, RetryPolicy
from factory.model.injection import grant_of
from factory.model.pack import Limits, Requirement
from factory.model.signing import SigningPolicy
from factory.model.wording import found, nearest, quoted
from factory.sandbox import backends
from factory.sandbox.properties import Property
from factory.strict.values import LARGEST_INTEGER, Value

MOST_WORKERS = 1024
MOST_RECHECKS = 10_000


class Unfit(Exception):
    """Report a value that a setting does not take: one clause, what to do, and the item's index in
    a list.
    """

    def __init__(self, clause: str, hint: str, item: int | None = None) -> None:
        super().__init__(clause)
        self.clause, self.hint, self.item = clause, hint, item


class Direction(Enum):
    """Say what a value from a repository's factory.toml may do by itself.

    NEUTRAL: it is in force, over the user's file. TIGHTENS: it is in force where it is stricter
    than the user's or adds to it. REQUEST: it is in force once the user has granted exactly it.
    USER: it is refused; only the user's file, a variable or a flag may set it.
    """

    NEUTRAL = "neutral"
    TIGHTENS = "tightens"
    REQUEST = "request"
    USER = "user"


def _never(_value: Any, _users: Any) -> str:
    return ""


@dataclass(frozen=True, slots=True)
class Setting:
    """Describe one setting. `read` turns a document's value into what Config contains.

    `weaker` returns why a repository's value is no tightening, one clause, given the value in the
    user's file (None: not set there); "" if it is one. There is no default for `direction`: a
    setting without one cannot be made.

    In an environment variable or flag, `listed` means comma-separated text, `numeric` that it may
    be a number, `switch` that it is true or false.
    """

    name: str
    section: str
    key: str
    direction: Direction
    read: Callable[[Value], object]
    weaker: Callable[[Any, Any], str] = _never
    listed: bool = False
    numeric: bool = False
    switch: bool = False

    @property
    def pointer(self) -> str:
        return f"/{self.section}/{self.key}"

    @property
    def variable(self) -> str:
        return f"FACTORY_{self.name.upper()}"

    def parse_text(self, text: str) -> object:
        """Return the value of a variable or flag. Raise Unfit."""
        if self.listed:
            return self.read(tuple(item.strip() for item in text.split(",") if item.strip()))
        if re.fullmatch(r"[0-9]{1,17}", text) and self.numeric:
            return self.read(int(text))
        if self.switch and text in ("true", "false"):
            return self.read(text == "true")
        return self.read(text)


def _text(form: str, clause: str, hint: str) -> Callable[[Value], object]:
    expression = re.compile(form)

    def read(value: Value) -> object:
        if not isinstance(value, str):
            raise Unfit(f"expected text, found {found(value)}", "put it in quotes")
        if not expression.fullmatch(value):
            raise Unfit(f"{quoted(value)} {clause}", hint)
        return value

    return read


def _whole(least: int, most: int) -> Callable[[Value], object]:
    def read(value: Value) -> object:
        if not isinstance(value, int) or isinstance(value, bool):
            raise Unfit(
                f"expected a whole number, found {found(value)}",
                "write digits, without quotes or fraction",
            )
        return _bounded(value, least, most)

    return read


def _measure(
    parse: Callable[[str], int | None], most: int, wanted: str, hint: str, least: int = 1
) -> Callable[[Value], object]:
    def read(value: Value) -> object:
        number = parse(value) if isinstance(value, str) else value
        if not isinstance(number, int) or isinstance(number, bool):
            raise Unfit(f"expected {wanted}, found {found(value)}", hint)
        return _bounded(number, least, most)

    return read


def _bounded(number: int, least: int, most: int) -> int:
    if number < least:
        raise Unfit(
            f"expected at least {least}, found the number {number}", f"write at least {least}"
        )
    if number > most:
        raise Unfit(f"expected at most {most}, found the number {number}", f"write at most {most}")
    return number


def _choice(choices: type[Enum]) -> Callable[[Value], object]:
    read = _name(tuple(choice.value for choice in choices))
    return lambda value: choices(read(value))


def _name(names: tuple[str, ...]) -> Callable[[Value], object]:
    wanted = " or ".join(quoted(name) for name in names)

    def read(value: Value) -> object:
        if value not in names:
            raise Unfit(f"expected {wanted}, found {found(value)}", f"write {wanted}")
        return value

    return read


def _switch(value: Value) -> object:
    if not isinstance(value, bool):
        raise Unfit(f"expected true or false, found {found(value)}", "write true or false")
    return value


def _many(read_one: Callable[[str], object]) -> Callable[[Value], object]:
    def read(value: Value) -> object:
        if not isinstance(value, tuple):
            raise Unfit(f"expected a list, found {found(value)}", "write [...]")
        return tuple(_item(read_one, index, item) for index, item in enumerate(value))

    return read


def _item(read_one: Callable[[str], object], index: int, item: Value) -> object:
    if not isinstance(item, str):
        raise Unfit(f"expected text, found {found(item)}", "put it in quotes", index)
    try:
        return read_one(item)
    except Unfit as error:
        raise Unfit(error.clause, error.hint, index) from None


def _property(text: str) -> Property:
    names = [known.value for known in Property]
    if text not in names:
        meant = nearest(text, names)
        raise Unfit(
            f"{quoted(text)} is not a property",
            f'did you mean "{meant}"?' if meant else f"known: {', '.join(names)}",
        )
    return Property(text)


def _pattern(text: str) -> str:
    return _sound(text, problem_with_pattern)


def _host(text: str) -> str:
    return text if text == "*" else _sound(text, forms.problem_with_host).lower()


def _grant(text: str) -> str:
    if grant_of(text) is None:
        hint = (
            'write a host, a form and a source, as in "api.example.org authorization-bearer'
            ' env:NAME"'
        )
        raise Unfit(
            "expected a host, the form of a header and where its value is, found other text", hint
        )
    return text


def _key_id(text: str) -> str:
    if not re.fullmatch(KEY_ID, text):
        raise Unfit(
            "expected the id of a key, found other text",
            "write one as `factory keys list` prints it",
        )
    return text


def _sound(text: str, problem_with: Callable[[str], str]) -> str:
    clause, _, hint = problem_with(text).partition("; ")
    if clause:
        raise Unfit(f"{quoted(text)} {clause}", hint)
    return text


_DURATION = _measure(
    forms.duration_of, forms.LONGEST, "a duration", "write seconds, or text such as 90s or 10m"
)
_SIZE = _measure(
    forms.size_of, LARGEST_INTEGER, "a size", "write bytes, or text such as 512MiB or 2G"
)
_DISK = _measure(
    forms.size_of,
    LARGEST_INTEGER,
    "a size",
    "write bytes, or text such as 512MiB or 2G",
    forms.LEAST_DISK,
)
_COUNT = _whole(1, LARGEST_INTEGER)
_CEILINGS: Mapping[str, Callable[[Value], object]] = {
    "timeout": _DURATION,
    "memory": _SIZE,
    "processes": _COUNT,
    "disk": _DISK,
    "output": _SIZE,
    "changed_lines": _whole(0, LARGEST_INTEGER),
    "attempts": _COUNT,
}


def _never_by_a_repository(clause: str) -> Callable[[Any, Any], str]:
    return lambda value, _users: f"a repository cannot {clause}" if value else ""


def _other_interpreter(value: str, _users: Any) -> str:
    below_usr = value.startswith("/usr/") and ".." not in value.split("/")
    of_the_system = "/" not in value or below_usr
    return "" if of_the_system else "a repository cannot name an interpreter outside /usr"


def _merging(value: OverlapPolicy, users: OverlapPolicy | None) -> str:
    weaker = users is OverlapPolicy.BLOCK and value is OverlapPolicy.MERGE
    return "merge, where the user's file says block" if weaker else ""


def _unsigned(value: SigningPolicy, users: SigningPolicy | None) -> str:
    strictest = tuple(SigningPolicy)
    weaker = users is not None and strictest.index(value) < strictest.index(users)
    return f"{value.value}, where the user's file says {users.value}" if users and weaker else ""


def _looser(choices: type[Enum]) -> Callable[[Any, Any], str]:
    """Return the rule of a setting whose choices are listed strictest last."""
    ranked = tuple(choices)

    def weaker(value: Enum, users: Enum | None) -> str:
        looser = users is not None and ranked.index(value) < ranked.index(users)
        return (
            f"{value.value}, where the user's file says {users.value}" if looser and users else ""
        )

    return weaker


def _other_keys(value: tuple[str, ...], users: tuple[str, ...] | None) -> str:
    beyond = sorted(set(value) - set(users)) if users is not None else ()
    return f"{', '.join(beyond)} is not among the user's keys" if beyond else ""


_NEUTRAL, _TIGHTENS, _REQUEST, _USER = Direction

SETTINGS: tuple[Setting, ...] = (
    Setting(
        "packs_folder",
        "packs",
        "folder",
        _NEUTRAL,
        _text(forms.PLAIN_FOLDER, "is not a folder below the root", "write one as in taskpacks"),
    ),
    Setting(
        "base_ref",
        "packs",
        "base_ref",
        _NEUTRAL,
        _text(forms.REF, "is not the name of a commit", "write a branch, a tag or a commit id"),
    ),
    Setting("required", "safety", "required", _TIGHTENS, _many(_property), listed=True),
    Setting(
        "accept_missing",
        "safety",
        "accept_missing",
        _USER,
        _many(_property),
        _never_by_a_repository("accept that a property is missing"),
        listed=True,
    ),
    Setting("protected", "safety", "protected", _TIGHTENS, _many(_pattern), listed=True),
    Setting(
        "policy_ref",
        "safety",
        "policy_ref",
        _USER,
        _text(
            forms.FULL_REF,
            "is no full name of a ref",
            "write one as in refs/remotes/origin/main, or a whole commit id",
        ),
        _never_by_a_repository("name the commit whose policy is in force"),
    ),
    *(
        Setting(
            f"ceilings_{limit.name}",
            "ceilings",
            limit.name,
            _TIGHTENS,
            _CEILINGS[limit.name],
            numeric=True,
        )
        for limit in fields(Limits)
    ),
    Setting("workers", "run", "workers", _NEUTRAL, _whole(0, MOST_WORKERS), numeric=True),
    Setting("isolation", "run", "isolation", _NEUTRAL, _choice(backends.IsolationMode)),
    Setting(
        "backend",
        "run",
        "backend",
        _USER,
        _name((backends.AUTO, *backends.NAMES)),
        _never_by_a_repository("choose what confines packs"),
    ),
    Setting(
        "python",
        "run",
        "python",
        _REQUEST,
        _text(forms.PROGRAM, "is not a program", "write its name, or an absolute path"),
        _other_interpreter,
    ),
    Setting("overlap", "integration", "overlap", _TIGHTENS, _choice(OverlapPolicy), _merging),
    Setting(
        "recheck_budget",
        "integration",
        "recheck_budget",
        _NEUTRAL,
        _whole(0, MOST_RECHECKS),
        numeric=True,
    ),
    Setting("network_hosts", "network", "hosts", _TIGHTENS, _many(_host), listed=True),
    Setting(
        "network_allow_any",
        "network",
        "allow_any",
        _USER,
        _switch,
        _never_by_a_repository("consent to packs that reach any host"),
        switch=True,
    ),
    Setting(
        "cloud_inject",
        "cloud",
        "inject",
        _USER,
        _many(_grant),
        _never_by_a_repository("name a credential"),
        listed=True,
    ),
    Setting("signing_policy", "signing", "policy", _TIGHTENS, _choice(SigningPolicy), _unsigned),
    Setting(
        "signing_key_ids", "signing", "keys", _TIGHTENS, _many(_key_id), _other_keys, listed=True
    ),
    Setting("judge_patterns", "judge", "patterns", _TIGHTENS, _many(_pattern), listed=True),
    Setting(
        "judge_require",
        "judge",
        "require",
        _TIGHTENS,
        _many(_name(get_args(Requirement))),
        listed=True,
    ),
    Setting("judge_may_change", "judge", "may_change", _TIGHTENS, _many(_pattern), listed=True),
    Setting("judge_retry", "judge", "retry", _TIGHTENS, _choice(RetryPolicy), _looser(RetryPolicy)),
    Setting(
        "judge_contracts",
        "judge",
        "contracts",
        _TIGHTENS,
        _choice(ContractPolicy),
        _looser(ContractPolicy),
    ),
)

BY_NAME: Mapping[str, Setting] = {setting.name: setting for setting in SETTINGS}
BY_POINTER: Mapping[str, Setting] = {setting.pointer: setting for setting in SETTINGS}
SECTIONS: tuple[str, ...] = tuple(dict.fromkeys(setting.section for setting in SETTINGS))
