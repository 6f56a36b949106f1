"""Define every setting: its place in factory.toml, its field, its meaning and the values it takes.

One table serves files, environment, flags and the schema that editors read. Each setting has a
direction: what a repository may do with it, since its factory.toml may be that of a pull request.
Does not know precedence.
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
from factory.model.injection import GRANT, grant_of
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


@dataclass(frozen=True, slots=True, eq=False)
class ValueForm:
    """Describe the values that a setting takes.

    `read` turns a document's value into what Config contains, or raises Unfit; `schema` says the
    same as a JSON schema, as far as one can. Where a variable or a flag gives the value as text, a
    list is separated by commas.
    """

    read: Callable[[Value], object]
    schema: Mapping[str, Any]

    def parse_text(self, text: str) -> object:
        """Return the value of a variable or flag. Raise Unfit."""
        if self._takes("array"):
            return self.read(tuple(item.strip() for item in text.split(",") if item.strip()))
        if self._takes("integer") and re.fullmatch(r"[0-9]{1,17}", text):
            return self.read(int(text))
        if self._takes("boolean") and text in ("true", "false"):
            return self.read(text == "true")
        return self.read(text)

    def _takes(self, kind: str) -> bool:
        return any(arm.get("type") == kind for arm in self.schema.get("anyOf", (self.schema,)))


@dataclass(frozen=True, slots=True, eq=False)
class Setting:
    """Describe one setting. `meaning` is one sentence for people.

    `weaker` returns why a repository's value is no tightening, one clause, given the value in the
    user's file (None: not set there); "" if it is one. Where the values have an order, `ranked`
    lists them, the strictest last, and a value that ranks lower is weaker. `adds_up`: the layers'
    lists are joined. There is no default for `direction`: a setting without one cannot be made.
    """

    name: str
    section: str
    key: str
    direction: Direction
    form: ValueForm
    meaning: str
    weaker_rule: Callable[[Any, Any], str] | None = None
    ranked: tuple[Any, ...] = ()
    adds_up: bool = False

    @property
    def pointer(self) -> str:
        return f"/{self.section}/{self.key}"

    @property
    def variable(self) -> str:
        return f"FACTORY_{self.name.upper()}"

    def weaker(self, value: Any, users: Any) -> str:
        """Return why a repository's value is no tightening of the user's, one clause; "" if it
        is one, or if the user's file does not set it.
        """
        if self.weaker_rule is not None:
            return self.weaker_rule(value, users)
        if users is not None and self.ranked and self.stricter(users, value):
            return f"{value.value}, where the user's file says {users.value}"
        return ""

    def stricter(self, value: Any, than: Any) -> bool:
        """Return True if `value` ranks above `than`."""
        return bool(self.ranked) and self.ranked.index(value) > self.ranked.index(than)


def _text(form: str, clause: str, hint: str) -> ValueForm:
    expression = re.compile(form)

    def read(value: Value) -> object:
        if not isinstance(value, str):
            raise Unfit(f"expected text, found {found(value)}", "put it in quotes")
        if not expression.fullmatch(value):
            raise Unfit(f"{quoted(value)} {clause}", hint)
        return value

    return ValueForm(read, _matching(form))


def _matching(form: str) -> Mapping[str, Any]:
    return {"type": "string", "pattern": forms.anchored(form)}


def _whole(least: int, most: int) -> ValueForm:
    def read(value: Value) -> object:
        if not isinstance(value, int) or isinstance(value, bool):
            raise Unfit(
                f"expected a whole number, found {found(value)}",
                "write digits, without quotes or fraction",
            )
        return _bounded(value, least, most)

    return ValueForm(read, _between(least, most))


def _between(least: int, most: int) -> Mapping[str, Any]:
    return {"type": "integer", "minimum": least, "maximum": most}


def _measure(
    parse: Callable[[str], int | None],
    form: str,
    most: int,
    wanted: str,
    hint: str,
    least: int = 1,
) -> ValueForm:
    def read(value: Value) -> object:
        number = parse(value) if isinstance(value, str) else value
        if not isinstance(number, int) or isinstance(number, bool):
            raise Unfit(f"expected {wanted}, found {found(value)}", hint)
        return _bounded(number, least, most)

    return ValueForm(read, {"anyOf": [_between(least, most), _matching(form)]})


def _bounded(number: int, least: int, most: int) -> int:
    if number < least:
        raise Unfit(
            f"expected at least {least}, found the number {number}", f"write at least {least}"
        )
    if number > most:
        raise Unfit(f"expected at most {most}, found the number {number}", f"write at most {most}")
    return number


def _choice(choices: type[Enum]) -> ValueForm:
    name = _name(tuple(choice.value for choice in choices))
    return ValueForm(lambda value: choices(name.read(value)), name.schema)


def _name(names: tuple[str, ...]) -> ValueForm:
    wanted = " or ".join(quoted(name) for name in names)

    def read(value: Value) -> object:
        if value not in names:
            raise Unfit(f"expected {wanted}, found {found(value)}", f"write {wanted}")
        return value

    return ValueForm(read, {"type": "string", "enum": list(names)})


def _true_or_false(value: Value) -> object:
    if not isinstance(value, bool):
        raise Unfit(f"expected true or false, found {found(value)}", "write true or false")
    return value


def _many(read_one: Callable[[str], object], one: Mapping[str, Any]) -> ValueForm:
    """Return the form of a list; `one` is the schema of an item."""

    def read(value: Value) -> object:
        if not isinstance(value, tuple):
            raise Unfit(f"expected a list, found {found(value)}", "write [...]")
        return tuple(_item(read_one, index, item) for index, item in enumerate(value))

    return ValueForm(read, {"type": "array", "items": one})


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
    forms.duration_of,
    forms.DURATION,
    forms.LONGEST,
    "a duration",
    "write seconds, or text such as 90s or 10m",
)


def _bytes(least: int) -> ValueForm:
    hint = "write bytes, or text such as 512MiB or 2G"
    return _measure(forms.size_of, forms.SIZE, LARGEST_INTEGER, "a size", hint, least)


_PROPERTIES = _many(_property, {"enum": [known.value for known in Property]})
_REQUIREMENT = _name(get_args(Requirement))
_PATTERNS = _many(_pattern, {"type": "string", "minLength": 1})
_CEILINGS: Mapping[str, tuple[ValueForm, str]] = {
    "timeout": (_DURATION, "Seconds, or text such as 90s or 10m."),
    "memory": (_bytes(1), "Bytes, or text such as 512MiB or 2G."),
    "processes": (_whole(1, LARGEST_INTEGER), "Processes and threads at once."),
    "disk": (_bytes(forms.LEAST_DISK), "Bytes written."),
    "output": (_bytes(1), "Bytes printed by one command."),
    "changed_lines": (_whole(0, LARGEST_INTEGER), "Lines added and removed."),
    "attempts": (_whole(1, LARGEST_INTEGER), "Fresh starts at most."),
}


def _never_by_a_repository(clause: str) -> Callable[[Any, Any], str]:
    return lambda value, _users: f"a repository cannot {clause}" if value else ""


def _other_interpreter(value: str, _users: Any) -> str:
    below_usr = value.startswith("/usr/") and ".." not in value.split("/")
    of_the_system = "/" not in value or below_usr
    return "" if of_the_system else "a repository cannot name an interpreter outside /usr"


def _other_keys(value: tuple[str, ...], users: tuple[str, ...] | None) -> str:
    beyond = sorted(set(value) - set(users)) if users is not None else ()
    return f"{', '.join(beyond)} is not among the user's keys" if beyond else ""


_NEUTRAL, _TIGHTENS, _REQUEST, _USER = Direction

SECTIONS: Mapping[str, str] = {
    "packs": "Name the folder of the packs and the commit they start from.",
    "safety": "Set what must be enforced. A repository may add, never remove.",
    "ceilings": "Set the most that a pack may declare under limits.",
    "run": "Set how a run is carried out.",
    "integration": "Set how results are merged.",
    "network": "List hosts that packs may declare.",
    "cloud": "Name hosts that get a credential, and its source. User's own file only.",
    "signing": "Set which signature a run's evidence needs.",
    "judge": "Set what judges a result in addition to its commands. A repository may add, never"
    " remove.",
}

SETTINGS: tuple[Setting, ...] = (
    Setting(
        "packs_folder",
        "packs",
        "folder",
        _NEUTRAL,
        _text(forms.PLAIN_FOLDER, "is not a folder below the root", "write one as in taskpacks"),
        "Folder of the task packs, from the root.",
    ),
    Setting(
        "base_ref",
        "packs",
        "base_ref",
        _NEUTRAL,
        _text(forms.REF, "is not the name of a commit", "write a branch, a tag or a commit id"),
        "What packs start from.",
    ),
    Setting(
        "required",
        "safety",
        "required",
        _TIGHTENS,
        _PROPERTIES,
        "Properties required whatever a user's file accepts.",
        adds_up=True,
    ),
    Setting(
        "accept_missing",
        "safety",
        "accept_missing",
        _USER,
        _PROPERTIES,
        "User's own file only: properties that may lack.",
        _never_by_a_repository("accept that a property is missing"),
        adds_up=True,
    ),
    Setting(
        "protected",
        "safety",
        "protected",
        _TIGHTENS,
        _PATTERNS,
        "Patterns that no pack may change, in addition to the built-in ones.",
        adds_up=True,
    ),
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
        "User's own file only: the commit whose configuration and pins are in force.",
        _never_by_a_repository("name the commit whose policy is in force"),
    ),
    *(
        Setting(f"ceilings_{limit.name}", "ceilings", limit.name, _TIGHTENS, *_CEILINGS[limit.name])
        for limit in fields(Limits)
    ),
    Setting(
        "workers",
        "run",
        "workers",
        _NEUTRAL,
        _whole(0, MOST_WORKERS),
        "Packs at once; 0 chooses by the host.",
    ),
    Setting(
        "isolation",
        "run",
        "isolation",
        _NEUTRAL,
        _choice(backends.IsolationMode),
        "How a pack's view is made.",
    ),
    Setting(
        "backend",
        "run",
        "backend",
        _USER,
        _name((backends.AUTO, *backends.NAMES)),
        "User's own file only: what confines packs.",
        _never_by_a_repository("choose what confines packs"),
    ),
    Setting(
        "python",
        "run",
        "python",
        _REQUEST,
        _text(forms.PROGRAM, "is not a program", "write its name, or an absolute path"),
        "Name or absolute path of another interpreter for packs.",
        _other_interpreter,
    ),
    Setting(
        "overlap",
        "integration",
        "overlap",
        _TIGHTENS,
        _choice(OverlapPolicy),
        "What to do where two packs change one path.",
        ranked=(OverlapPolicy.MERGE, OverlapPolicy.BLOCK),
    ),
    Setting(
        "recheck_budget",
        "integration",
        "recheck_budget",
        _NEUTRAL,
        _whole(0, MOST_RECHECKS),
        "Extra runs to name a culprit.",
    ),
    Setting(
        "network_hosts",
        "network",
        "hosts",
        _TIGHTENS,
        _many(_host, _matching(rf"\*|{forms.HOST}")),
        "Hosts that packs may declare; *.example.org is any below it.",
    ),
    Setting(
        "network_allow_any",
        "network",
        "allow_any",
        _USER,
        ValueForm(_true_or_false, {"type": "boolean"}),
        "User's own file only: packs may ask for any public host.",
        _never_by_a_repository("consent to packs that reach any host"),
    ),
    Setting(
        "cloud_inject",
        "cloud",
        "inject",
        _USER,
        _many(_grant, _matching(GRANT)),
        "A host, the form of a header, and where its value is: env:NAME or file:/path.",
        _never_by_a_repository("name a credential"),
    ),
    Setting(
        "signing_policy",
        "signing",
        "policy",
        _TIGHTENS,
        _choice(SigningPolicy),
        "Whether a run needs a signature; required-from: by one of keys.",
        ranked=tuple(SigningPolicy),
    ),
    Setting(
        "signing_key_ids",
        "signing",
        "keys",
        _TIGHTENS,
        _many(_key_id, _matching(KEY_ID)),
        "Ids of the keys that required-from means.",
        _other_keys,
    ),
    Setting(
        "judge_patterns",
        "judge",
        "patterns",
        _TIGHTENS,
        _PATTERNS,
        "Patterns of files of the judge, in addition to the built-in ones.",
        adds_up=True,
    ),
    Setting(
        "judge_require",
        "judge",
        "require",
        _TIGHTENS,
        _many(_REQUIREMENT.read, _REQUIREMENT.schema),
        "What every PASS must have shown.",
        adds_up=True,
    ),
    Setting(
        "judge_may_change",
        "judge",
        "may_change",
        _TIGHTENS,
        _PATTERNS,
        "Which files of the judge contracts may let their packs change.",
    ),
    Setting(
        "judge_retry",
        "judge",
        "retry",
        _TIGHTENS,
        _choice(RetryPolicy),
        "What a pass after a failed attempt is: PASS, or BLOCKED.",
        ranked=tuple(RetryPolicy),
    ),
    Setting(
        "judge_contracts",
        "judge",
        "contracts",
        _TIGHTENS,
        _choice(ContractPolicy),
        "pinned: acceptance, scope and require must be those of policy_ref.",
        ranked=tuple(ContractPolicy),
    ),
)

BY_NAME: Mapping[str, Setting] = {setting.name: setting for setting in SETTINGS}
BY_POINTER: Mapping[str, Setting] = {setting.pointer: setting for setting in SETTINGS}
