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

from factory.contract.value_forms import (
    Unfit,
    ValueForm,
    choice,
    many,
    matching,
    measure,
    one_of,
    sound,
    text_form,
    true_or_false,
    whole_number,
)
from factory.judge.scope import problem_with_pattern
from factory.log.key import KEY_ID
from factory.model import forms
from factory.model.config import ContractPolicy, OverlapPolicy, RetryPolicy
from factory.model.injection import GRANT, UPSTREAM, grant_of, upstream_of
from factory.model.pack import Limits, Requirement
from factory.model.signing import SigningPolicy
from factory.model.wording import found, nearest, quoted
from factory.sandbox import backends
from factory.sandbox.properties import Property
from factory.strict.values import LARGEST_INTEGER, Value

MOST_WORKERS = 1024
MOST_RECHECKS = 10_000


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
    return sound(text, problem_with_pattern)


def _host(text: str) -> str:
    return text if text == "*" else sound(text, forms.problem_with_host).lower()


def _private(text: str) -> str:
    return sound(text, forms.problem_with_host).lower()


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


def _upstream(value: Value) -> object:
    if not isinstance(value, str):
        raise Unfit(f"expected text, found {found(value)}", "put it in quotes")
    if upstream_of(value) is None:
        hint = (
            'write its address and where user:password is, as in "http://proxy.example.org:3128'
            ' env:PROXY_LOGIN"'
        )
        # The text is not repeated: it may be one with a password in it.
        raise Unfit("expected the address of a proxy with its port, found other text", hint)
    return value


def _key_id(text: str) -> str:
    if not re.fullmatch(KEY_ID, text):
        raise Unfit(
            "expected the id of a key, found other text",
            "write one as `factory keys list` prints it",
        )
    return text


def _checkpoint(text: str) -> str:
    if not re.fullmatch(forms.CHECKPOINT_PLACE, text):
        raise Unfit(
            f"{quoted(text)} names no place of a checkpoint",
            "write ref:refs/factory/checkpoint, or file: and an absolute path",
        )
    return text


_DURATION = measure(
    forms.duration_of,
    forms.DURATION,
    forms.LONGEST,
    "a duration",
    "write seconds, or text such as 90s or 10m",
)


def _bytes(least: int) -> ValueForm:
    hint = "write bytes, or text such as 512MiB or 2G"
    return measure(forms.size_of, forms.SIZE, LARGEST_INTEGER, "a size", hint, least)


_PROPERTIES = many(_property, {"enum": [known.value for known in Property]})
_REQUIREMENT = one_of(get_args(Requirement))
_PATTERNS = many(_pattern, {"type": "string", "minLength": 1})
_CEILINGS: Mapping[str, tuple[ValueForm, str]] = {
    "timeout": (_DURATION, "Seconds, or text such as 90s or 10m."),
    "memory": (_bytes(1), "Bytes, or text such as 512MiB or 2G."),
    "processes": (whole_number(1, LARGEST_INTEGER), "Processes and threads at once."),
    "disk": (_bytes(forms.LEAST_DISK), "Bytes written."),
    "output": (_bytes(1), "Bytes printed by one command."),
    "changed_lines": (whole_number(0, LARGEST_INTEGER), "Lines added and removed."),
    "attempts": (whole_number(1, LARGEST_INTEGER), "Fresh starts at most."),
    "idle": (_DURATION, "How long a connection may be silent: seconds, or text such as 5m."),
    "connections": (
        whole_number(1, LARGEST_INTEGER),
        "Connections to the outside of one stage.",
    ),
    "upload": (_bytes(1), "Bytes that one stage sends."),
    "download": (_bytes(1), "Bytes that one stage receives."),
}


def _never_by_a_repository(clause: str) -> Callable[[Any, Any], str]:
    return lambda value, _users: f"a repository cannot {clause}" if value else ""


def _other_interpreter(value: str, _users: Any) -> str:
    return "a repository cannot name an interpreter by .." if ".." in value.split("/") else ""


def _other_keys(value: tuple[str, ...], users: tuple[str, ...] | None) -> str:
    beyond = sorted(set(value) - set(users)) if users is not None else ()
    return f"{', '.join(beyond)} is not among the user's keys" if beyond else ""


def _other_files(value: tuple[str, ...], users: tuple[str, ...] | None) -> str:
    beyond = [one for one in value if one.startswith("file:") and one not in (users or ())]
    return f"a repository cannot name a file of this host, {beyond[0]}" if beyond else ""


_NEUTRAL, _TIGHTENS, _REQUEST, _USER = Direction


def _branch(value: Value) -> object:
    if not isinstance(value, str):
        raise Unfit(f"expected text, found {found(value)}", "put it in quotes")
    return sound(value, forms.problem_with_branch)


# What `factory integrate --branch` makes.
_RESULT: Mapping[str, tuple[Any, ...]] = {
    "branch": (
        _NEUTRAL,
        ValueForm(_branch, {"type": "string", "minLength": 1}),
        "Name of the branch of a result; {run} is its run. Without {run} it is a prefix.",
    ),
    "message": (
        _NEUTRAL,
        text_form(r"[^\x00]*", "contains a NUL", "write text"),
        "Message of its commit; {run}, {count} and {packs} are taken up.",
    ),
    "author": (
        _NEUTRAL,
        text_form(
            rf"(?:{forms.AUTHOR})?",
            "is not a name and an address",
            'write one as in "Ada <ada@example.org>"',
        ),
        "Author and committer of its commit.",
    ),
    "sign_off": (
        _NEUTRAL,
        ValueForm(true_or_false, {"type": "boolean"}),
        "Whether its message ends with Signed-off-by.",
    ),
    "sign": (
        _USER,
        ValueForm(true_or_false, {"type": "boolean"}),
        "User's own file only: whether Git signs its commit, as the user's configuration says.",
        _never_by_a_repository("have a program started that signs"),
    ),
}

SECTIONS: Mapping[str, str] = {
    "packs": "Name the folder of the packs and the commit they start from.",
    "safety": "Set what must be enforced. A repository may add, never remove.",
    "ceilings": "Set the most that a pack may declare under limits.",
    "run": "Set how a run is carried out.",
    "integration": "Set how results are merged.",
    "network": "List hosts that packs may declare.",
    "cloud": "Name hosts that get a credential, and its source. User's own file only.",
    "signing": "Set which signature a run's evidence needs.",
    "evidence": "Set where checkpoints of the ledger are kept besides.",
    "judge": "Set what judges a result in addition to its commands. A repository may add, never"
    " remove.",
}

SETTINGS: tuple[Setting, ...] = (
    Setting(
        "packs_folder",
        "packs",
        "folder",
        _NEUTRAL,
        text_form(
            forms.PLAIN_FOLDER, "is not a folder below the root", "write one as in taskpacks"
        ),
        "Folder of the task packs, from the root.",
    ),
    Setting(
        "base_ref",
        "packs",
        "base_ref",
        _NEUTRAL,
        text_form(forms.REF, "is not the name of a commit", "write a branch, a tag or a commit id"),
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
        text_form(
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
        whole_number(0, MOST_WORKERS),
        "Packs at once; 0 chooses by the host.",
    ),
    Setting(
        "fresh",
        "run",
        "fresh",
        _NEUTRAL,
        ValueForm(true_or_false, {"type": "boolean"}),
        "Whether every check runs, also one that passed before over the same files.",
    ),
    Setting(
        "isolation",
        "run",
        "isolation",
        _NEUTRAL,
        choice(backends.IsolationMode),
        "How a pack's view is made.",
    ),
    Setting(
        "backend",
        "run",
        "backend",
        _USER,
        one_of((backends.AUTO, *backends.NAMES)),
        "User's own file only: what confines packs.",
        _never_by_a_repository("choose what confines packs"),
    ),
    Setting(
        "python",
        "run",
        "python",
        _REQUEST,
        text_form(forms.PROGRAM, "is not a program", "write its name, or an absolute path"),
        "Name or absolute path of another interpreter for packs.",
        _other_interpreter,
    ),
    Setting(
        "overlap",
        "integration",
        "overlap",
        _TIGHTENS,
        choice(OverlapPolicy),
        "What to do where two packs change one path.",
        ranked=(OverlapPolicy.MERGE, OverlapPolicy.BLOCK),
    ),
    Setting(
        "recheck_budget",
        "integration",
        "recheck_budget",
        _NEUTRAL,
        whole_number(0, MOST_RECHECKS),
        "Extra runs to name a culprit.",
    ),
    Setting(
        "partial",
        "integration",
        "partial",
        _NEUTRAL,
        ValueForm(true_or_false, {"type": "boolean"}),
        "Whether the packs that passed are merged where others did not; such a run is BLOCKED.",
    ),
    *(Setting(f"result_{key}", "integration", key, *row) for key, row in _RESULT.items()),
    Setting(
        "network_hosts",
        "network",
        "hosts",
        _TIGHTENS,
        many(_host, matching(rf"\*|{forms.HOST}")),
        "Hosts that packs may declare; *.example.org is any below it.",
    ),
    Setting(
        "network_allow_any",
        "network",
        "allow_any",
        _USER,
        ValueForm(true_or_false, {"type": "boolean"}),
        "User's own file only: packs may ask for any public host.",
        _never_by_a_repository("consent to packs that reach any host"),
    ),
    Setting(
        "network_private",
        "network",
        "private",
        _USER,
        many(_private, matching(forms.HOST)),
        "User's own file only: hosts that may be at private addresses, this host's included.",
        _never_by_a_repository("let packs reach hosts at private addresses"),
    ),
    Setting(
        "network_ca_file",
        "network",
        "ca_file",
        _USER,
        text_form(
            r"/[^\x00-\x1f]{1,1023}",
            "is not an absolute path",
            "write one as in /etc/corporate.pem",
        ),
        "User's own file only: certificates (PEM) that packs with network trust as well.",
        _never_by_a_repository("name authorities that packs trust"),
    ),
    Setting(
        "network_upstream_proxy",
        "network",
        "upstream_proxy",
        _USER,
        ValueForm(_upstream, matching(UPSTREAM)),
        "User's own file only: the proxy that reaches the outside, and where its login is.",
        _never_by_a_repository("choose the proxy that reaches the outside"),
    ),
    Setting(
        "cloud_inject",
        "cloud",
        "inject",
        _USER,
        many(_grant, matching(GRANT)),
        "A host, the form of a header, where its value is (env:NAME or file:/path), and methods"
        " with paths where only those requests get it.",
        _never_by_a_repository("name a credential"),
    ),
    Setting(
        "signing_policy",
        "signing",
        "policy",
        _TIGHTENS,
        choice(SigningPolicy),
        "Whether a run needs a signature; required-from: by one of keys.",
        ranked=tuple(SigningPolicy),
    ),
    Setting(
        "signing_key_ids",
        "signing",
        "keys",
        _TIGHTENS,
        many(_key_id, matching(KEY_ID)),
        "Ids of the keys that required-from means.",
        _other_keys,
    ),
    Setting(
        "evidence_checkpoints",
        "evidence",
        "checkpoints",
        _TIGHTENS,
        many(_checkpoint, matching(forms.CHECKPOINT_PLACE)),
        "Where a checkpoint must be kept that covers a run: ref:refs/factory/NAME or file:/PATH.",
        _other_files,
        adds_up=True,
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
        many(_REQUIREMENT.read, _REQUIREMENT.schema),
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
        choice(RetryPolicy),
        "What a pass after a failed attempt is: PASS, or BLOCKED.",
        ranked=tuple(RetryPolicy),
    ),
    Setting(
        "judge_contracts",
        "judge",
        "contracts",
        _TIGHTENS,
        choice(ContractPolicy),
        "pinned: acceptance, scope and require must be those of policy_ref.",
        ranked=tuple(ContractPolicy),
    ),
)

BY_NAME: Mapping[str, Setting] = {setting.name: setting for setting in SETTINGS}
BY_POINTER: Mapping[str, Setting] = {setting.pointer: setting for setting in SETTINGS}
