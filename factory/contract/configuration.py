"""Resolve the configuration: defaults < user's file < repository's factory.toml < FACTORY_* <
flags.

The rule: the repository may tighten safety, only the user (file, environment, flag) may accept
less. Bad values are findings with their place, never exceptions; after one, the value of the layer
below applies, and the finding blocks. Pure: does not know where files are, nor the environment.

What a repository may do with a setting is its direction in `settings.SETTINGS`. What it lists as
`required` is removed from what the user's file accepts; `protected` only grows.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields, replace
from enum import Enum
from typing import Any

from factory.contract.environments import SECTION as ENVIRONMENTS
from factory.contract.environments import read_environments
from factory.contract.old_variables import judge_variables
from factory.contract.settings import (
    BY_NAME,
    BY_POINTER,
    SECTIONS,
    SETTINGS,
    Direction,
    Setting,
)
from factory.contract.value_forms import Unfit
from factory.egress.rules import uncovered
from factory.model.config import (
    CEILINGS,
    REQUIRED_BY_DEFAULT,
    Config,
    Source,
)
from factory.model.environment import DeclaredEnvironment
from factory.model.finding import Finding, Location
from factory.model.names import GRANTS_VARIABLE
from factory.model.pack import Limits
from factory.model.signing import PRIVATE_VARIABLES
from factory.model.wording import found, label_of, nearest, quoted, unknown_key
from factory.strict import canonical
from factory.strict import toml as strict_toml
from factory.strict.values import DocumentError, StrictDocument, Value, child

REPOSITORY_FILE = "factory.toml"
USER_FILE = "the user's factory.toml"

_PREFIX = "FACTORY_"
_TYPO_CUTOFF = 0.85  # difflib's ratio; a lower one takes other tools' variables for typos
_NARROWED = frozenset({"network_hosts", "judge_may_change"})  # a repository's list is a bound


@dataclass(frozen=True, slots=True)
class Layer:
    """Contain the valid settings of one source by name, and their places (None: not in a file)."""

    source: Source
    values: Mapping[str, Any]
    places: Mapping[str, Location]
    findings: tuple[Finding, ...] = ()
    environments: tuple[DeclaredEnvironment, ...] = ()


def read(
    user: bytes | None,
    repository: bytes | None,
    environment: Mapping[str, str],
    flags: Mapping[str, str],
    *,
    user_file: str = USER_FILE,
    repository_file: str = REPOSITORY_FILE,
    policy: bytes | None = None,
    policy_file: str = "",
) -> tuple[Config, tuple[Finding, ...]]:
    """Return the merged configuration and findings, from the bytes of the files (None: absent).

    `environment` may be the whole environment; `flags` maps setting names to text. Setting names
    are those of `settings.SETTINGS`: `base_ref` is FACTORY_BASE_REF in the environment. With a
    `policy_file` the repository's configuration is that of `policy` (None: it has none), and
    `repository` is judged: it only tightens.
    """
    judged = Source.JUDGED if policy_file else Source.REPOSITORY
    layers = (
        _file_layer(Source.USER, user, user_file),
        *((_file_layer(Source.REPOSITORY, policy, policy_file),) if policy_file else ()),
        _file_layer(judged, repository, repository_file),
        _environment_layer(environment),
        _flag_layer(flags),
    )
    merged = _Merged()
    for layer in layers:
        merged.add(layer)
    return merged.config(), tuple(merged.findings)


class _Merged:
    """Collect the values so far, layer by layer, weakest first."""

    def __init__(self) -> None:
        self.findings: list[Finding] = []
        self._values: dict[str, Any] = {}
        self._sources: dict[str, Source] = {}
        self._user: Mapping[str, Any] = {}
        self._environments: dict[str, DeclaredEnvironment] = {}

    def add(self, layer: Layer) -> None:
        self.findings += layer.findings
        if layer.source is Source.USER:
            self._user = layer.values
        accepted = self._values.get("accept_missing", frozenset())
        if "required" in layer.values:
            self._values["accept_missing"] = accepted - frozenset(layer.values["required"])
        for each in layer.environments:
            known = self._environments.get(each.name)
            judged = layer.source is Source.JUDGED and known != each
            own = layer.source is Source.USER
            self._environments[each.name] = replace(each, own=own, judged=judged)
        for name, value in layer.values.items():
            foreign = layer.source in (Source.REPOSITORY, Source.JUDGED)
            weakened = self._weakened(name, value) if foreign else ""
            if weakened:
                facts = {"setting": label_of(BY_NAME[name].pointer), "problem": weakened}
                place = layer.places.get(name)
                self.findings.append(Finding("CONFIG_WEAKENED", facts, location=place))
                continue
            place = layer.places.get(name)
            if layer.source is not Source.JUDGED or self._tightens(name, value, place):
                self._set(layer.source, name, value, place)

    def _tightens(self, name: str, value: Any, place: Location | None) -> bool:
        """Return whether a value of the judged work tree may tighten what is in force; where it
        would not and differs, that is a finding.
        """
        setting = BY_NAME[name]
        if setting.adds_up or name.startswith("ceilings_") or name in _NARROWED:
            return True  # `_set` takes only what is stricter
        current = self._values.get(name, getattr(Config(), name))
        if setting.stricter(value, current):
            return True
        if name == "signing_key_ids" and current and set(value) < set(current):
            return True
        if current != value:
            self._note(name, value, current, "by policy_ref", place)
        return False

    def _note(
        self, name: str, value: Any, current: Any, whose: str, place: Location | None
    ) -> None:
        facts = {
            "setting": label_of(BY_NAME[name].pointer),
            "value": _shown(value),
            "instead": _shown(current),
            "whose": whose,
        }
        self.findings.append(Finding("CONFIG_NOT_IN_FORCE", facts, location=place))

    def _set(self, source: Source, name: str, value: Any, place: Location | None = None) -> None:
        """Put a value in force. A repository only lowers ceilings and narrows hosts; a variable or
        a flag is the user's, and so is in force as it is.
        """
        foreign = source in (Source.REPOSITORY, Source.JUDGED)
        if name == "network_hosts" and foreign:
            within = self._values.get("network_within")
            self._values["network_within"] = value if within is None else _both(value, within)
            self._sources["network_within"] = source
            return
        if name == "network_hosts" and source is not Source.USER:
            self._values.pop("network_within", None)
        if name.startswith("ceilings_") and foreign:
            below = self._values.get(name, getattr(CEILINGS, name.removeprefix("ceilings_")))
            if value > below:
                whose = "by your ceilings" if source is Source.REPOSITORY else "by policy_ref"
                self._note(name, value, below, whose, place)
            if value >= below:
                return
        if name == "judge_may_change" and not foreign:
            value = (value,)  # the user's; a repository adds one more bound
        elif name == "judge_may_change":
            value = tuple(dict.fromkeys((*self._values.get(name, ()), value)))
        self._values[name] = self._joined(name, value)
        self._sources[name] = source

    def config(self) -> Config:
        given = {
            limit.name: self._values[f"ceilings_{limit.name}"]
            for limit in fields(Limits)
            if f"ceilings_{limit.name}" in self._values
        }
        apart = {"required", "accept_missing", *(f"ceilings_{name}" for name in given)}
        return Config(
            required=REQUIRED_BY_DEFAULT | self._values.get("required", frozenset()),
            accepted_missing=self._values.get("accept_missing", frozenset()),
            ceilings=replace(CEILINGS, **given),
            environments=tuple(self._environments[name] for name in sorted(self._environments)),
            sources=self._all_sources(),
            **{name: value for name, value in self._values.items() if name not in apart},
        )

    def _joined(self, name: str, value: Any) -> Any:
        """Return the union with the layers below for a setting that only grows, otherwise
        `value`.
        """
        if name in ("required", "accept_missing"):
            return self._values.get(name, frozenset()) | frozenset(value)
        if BY_NAME[name].adds_up:
            return tuple(dict.fromkeys((*self._values.get(name, ()), *value)))
        return value

    def _weakened(self, name: str, value: Any) -> str:
        """Return why the repository may not set this, one clause; "" if it may."""
        setting = BY_NAME[name]
        if setting.direction is Direction.NEUTRAL:
            return ""
        return setting.weaker(value, self._user.get(name))

    def _all_sources(self) -> tuple[tuple[str, Source], ...]:
        found_in = {
            field.name: Source.DEFAULT for field in fields(Config) if field.name != "sources"
        }
        for name, source in self._sources.items():
            shown = (
                "ceilings"
                if name.startswith("ceilings_")
                else name.replace("accept_missing", "accepted_missing")
            )
            ranked = list(Source)
            found_in[shown] = max(found_in[shown], source, key=ranked.index)
        return tuple(sorted(found_in.items()))


def _both(one: tuple[str, ...], other: tuple[str, ...]) -> tuple[str, ...]:
    """Return the hosts that two lists have in common."""
    first = [host for host in one if not uncovered((host,), other)]
    return tuple(dict.fromkeys((*first, *(h for h in other if not uncovered((h,), one)))))


def _shown(value: Any) -> str:
    if isinstance(value, tuple):
        return ", ".join(map(str, value)) or "none"
    return str(value.value if isinstance(value, Enum) else value) or "none"


def _file_layer(source: Source, content: bytes | None, file: str) -> Layer:
    if content is None:
        return Layer(source, {}, {})
    try:
        document = strict_toml.parse(content)
    except DocumentError as error:
        problems = (
            _invalid(problem.problem, problem.hint, Location(file, problem.line, problem.column))
            for problem in error.problems
        )
        return Layer(source, {}, {}, tuple(problems))
    values: dict[str, Any] = {}
    places: dict[str, Location] = {}
    findings = list(_strangers(document, file))
    for setting, value in _written(document):
        places[setting.name] = Location(file, *document.place(setting.pointer))
        try:
            values[setting.name] = setting.form.read(value)
        except Unfit as error:
            pointer = setting.pointer if error.item is None else child(setting.pointer, error.item)
            location = Location(file, *document.place(pointer))
            findings.append(_invalid(f"{label_of(pointer)}: {error.clause}", error.hint, location))
    environments, wrong = read_environments(document, file)
    findings += wrong
    findings.sort(
        key=lambda finding: (
            (finding.location.line, finding.location.column) if finding.location else (0, 0)
        )
    )
    return Layer(source, values, places, tuple(findings), environments)


def _written(document: StrictDocument) -> Iterator[tuple[Setting, Value]]:
    """Yield every known setting that the document contains."""
    for setting in SETTINGS:
        section = (
            document.value.get(setting.section) if isinstance(document.value, Mapping) else None
        )
        if isinstance(section, Mapping) and setting.key in section:
            yield setting, section[setting.key]


def _strangers(document: StrictDocument, file: str) -> Iterator[Finding]:
    """Yield findings about unknown sections and keys, and about sections that are no tables."""
    written = document.value if isinstance(document.value, Mapping) else {}
    for name, section in written.items():
        pointer = child("", name)
        if name == "version":
            if section != 1 or isinstance(section, (bool, float)):
                sentence = f"version: expected 1, found {found(section)}"
                yield _at_value(document, pointer, file, sentence, "write 1")
        elif name == ENVIRONMENTS:
            continue
        elif name not in SECTIONS:
            known_ones = (*SECTIONS, ENVIRONMENTS, "version")
            yield _at_key(document, pointer, file, *unknown_key(name, known_ones))
        elif not isinstance(section, Mapping):
            yield _at_value(
                document,
                pointer,
                file,
                f"{name}: expected a table, found {found(section)}",
                f"write [{name}]",
            )
        else:
            known = [setting.key for setting in SETTINGS if setting.section == name]
            for key in section:
                if child(pointer, key) not in BY_POINTER:
                    yield _at_key(document, child(pointer, key), file, *unknown_key(key, known))


def _at_key(document: StrictDocument, pointer: str, file: str, sentence: str, hint: str) -> Finding:
    return _invalid(sentence, hint, Location(file, *document.key_place(pointer)))


def _at_value(
    document: StrictDocument, pointer: str, file: str, sentence: str, hint: str
) -> Finding:
    return _invalid(sentence, hint, Location(file, *document.place(pointer)))


def _invalid(problem: str, advice: str, location: Location | None = None) -> Finding:
    """Return the finding about a setting that a reader refuses."""
    return Finding("CONFIG_INVALID", {"problem": problem, "advice": advice}, location=location)


def _environment_layer(environment: Mapping[str, str]) -> Layer:
    """Return the known FACTORY_* variables that are not empty.

    A variable whose name is nearly one of them is refused; one that earlier versions took is named.
    """
    variables = {setting.variable: setting for setting in SETTINGS}
    given = {}
    findings = []
    for variable, text in sorted(environment.items()):
        setting = variables.get(variable)
        if setting is not None and text:
            given[setting] = text
        elif setting is None and variable.startswith(_PREFIX) and variable not in PRIVATE_VARIABLES:
            known = (*variables, *sorted(PRIVATE_VARIABLES), GRANTS_VARIABLE)
            meant = nearest(variable, known, _TYPO_CUTOFF) if variable not in known else None
            if meant:
                sentence = f"the variable {variable} is not known"
                findings.append(_invalid(sentence, f"did you mean {meant}?"))
    values, problems = _texts(given, lambda setting: setting.variable)
    named = {str(finding.facts["problem"]).split()[2] for finding in findings}
    others = {name: text for name, text in environment.items() if name not in named}
    without = judge_variables(others, variables)
    return Layer(Source.ENVIRONMENT, values, {}, (*findings, *problems, *without))


def _flag_layer(flags: Mapping[str, str]) -> Layer:
    given = {}
    findings = []
    for name, text in sorted(flags.items()):
        setting = BY_NAME.get(name.replace("-", "_"))
        if setting is not None:
            given[setting] = text
        else:
            meant = nearest(name, BY_NAME)
            hint = f"did you mean {meant}?" if meant else f"known are {', '.join(sorted(BY_NAME))}"
            findings.append(_invalid(f"there is no setting {quoted(name)}", hint))
    values, problems = _texts(given, lambda setting: "--" + setting.name.replace("_", "-"))
    return Layer(Source.FLAG, values, {}, (*findings, *problems))


def _texts(given: Mapping[Setting, str], name_of: Any) -> tuple[dict[str, Any], list[Finding]]:
    values: dict[str, Any] = {}
    findings: list[Finding] = []
    for setting, text in given.items():
        try:
            values[setting.name] = setting.form.parse_text(text)
        except Unfit as error:
            findings.append(_invalid(f"{name_of(setting)}: {error.clause}", error.hint))
    return values, findings


def config_digest(config: Config) -> str:
    """Return the SHA-256 of every value in force; the same for the same values in any process."""
    rows = []
    for name in sorted(
        field.name for field in fields(config) if field.name not in ("sources", "workers", "fresh")
    ):
        value = getattr(config, name)
        rows.append(
            [
                name,
                sorted(str(item) for item in value) if isinstance(value, frozenset) else str(value),
            ]
        )
    return canonical.digest(rows)
