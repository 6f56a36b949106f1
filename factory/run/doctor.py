"""Judge what this host can enforce, and what would keep a run from starting: rows to read, findings
to act on.

Everything it judges was gathered by others. A lock that is held is a fact, not a fault.
"""

from __future__ import annotations

import enum
from collections.abc import Iterable
from dataclasses import dataclass

from factory.judge.status_eval import of_findings
from factory.model.config import Config
from factory.model.finding import Finding
from factory.model.findings.entry import Facts
from factory.model.verdict import Status
from factory.run.preflight import judge_host
from factory.sandbox.properties import Enforcement, Property

LOW_SPACE = 1024**3
_REPOSITORY = ("REPO_NOT_FOUND", "REPO_NO_COMMITS", "REPO_BARE", "REPO_BASE_UNKNOWN")


@dataclass(frozen=True, slots=True)
class HostFacts:
    """List what is installed and what is left. Versions are "" where a thing is missing; `free` is
    in bytes.

    `locked` has a sentence for each lock that is held now; `worktrees` are names left behind by
    earlier runs; `user_config` is the path of the user's own file, `user_config_exists` is True if
    it is there.
    """

    platform: str
    python: str
    python_program: str
    git: str
    git_program: str
    doit: str
    state: str
    free: int
    locked: tuple[str, ...]
    worktrees: tuple[str, ...]
    user_config: str
    user_config_exists: bool


class Mark(enum.Enum):
    """Name how a row weighs."""

    GOOD = "ok"
    MISSING = "missing"
    NOTE = "note"


@dataclass(frozen=True, slots=True)
class Row:
    """Describe one line: what was looked at, how it is, one sentence, and facts with their
    names.
    """

    topic: str
    mark: Mark
    text: str
    facts: tuple[tuple[str, str], ...] = ()

    @property
    def whole(self) -> str:
        """Return the sentence with the facts behind it, in one line."""
        facts = ", ".join(f"{name} {value}" for name, value in self.facts)
        return f"{self.text} ({facts})" if facts else self.text


@dataclass(frozen=True, slots=True)
class Checkup:
    """Contain all rows, and what blocks or warns."""

    rows: tuple[Row, ...]
    findings: tuple[Finding, ...]

    @property
    def status(self) -> Status:
        return of_findings(self.findings)


def check_up(
    facts: HostFacts,
    config: Config,
    enforcement: Enforcement | None,
    root: str,
    refused: Iterable[Finding],
) -> Checkup:
    """Return the whole examination. `root` is the repository ("" for none), `refused` what kept it
    from being opened.

    Being outside a repository is no fault of the host, so that alone does not block.
    """
    others = tuple(finding for finding in refused if finding.id not in _REPOSITORY)
    outside = next((finding for finding in refused if finding.id in _REPOSITORY), None)
    rows = (
        *_installed(facts),
        _repository(root, outside),
        *_properties(config, enforcement),
        *_state(facts),
    )
    findings = [*others, *(judge_host(config, enforcement) if enforcement is not None else ())]
    if enforcement is None and not others:
        findings.append(Finding("PROPERTY_MISSING", {"case": "untried"}))
    if not facts.doit:
        findings.append(Finding("TOOL_MISSING", {"case": "doit"}))
    if facts.free < LOW_SPACE:
        low = {"wanted": _size(LOW_SPACE), "place": facts.state, "found": _size(facts.free)}
        findings.append(Finding("DISK_LOW", low))
    if facts.worktrees and not facts.locked:
        left: Facts = {
            "place": f"{facts.state}/worktrees",
            "count": len(facts.worktrees),
            "names": tuple(facts.worktrees[:5]),
        }
        findings.append(Finding("STALE_WORKTREE", left))
    return Checkup(rows, tuple(findings))


def _installed(facts: HostFacts) -> Iterable[Row]:
    yield Row("system", Mark.GOOD, facts.platform)
    for topic, version, program in (
        ("git", facts.git, facts.git_program),
        ("python", facts.python, facts.python_program),
        ("doit", facts.doit, ""),
    ):
        if version:
            yield Row(topic, Mark.GOOD, f"{version}  {program}".rstrip())
        else:
            yield Row(topic, Mark.MISSING, "not found")


def _repository(root: str, outside: Finding | None) -> Row:
    if outside is not None:
        return Row("repository", Mark.NOTE, f"{outside.message}; {outside.hint}")
    return (
        Row("repository", Mark.GOOD, root) if root else Row("repository", Mark.NOTE, "not opened")
    )


def _properties(config: Config, enforcement: Enforcement | None) -> Iterable[Row]:
    if enforcement is None:
        yield Row("sandbox", Mark.MISSING, "not measured")
        return
    shown = sorted(item for item in enforcement.facts.items() if "sha256" not in item[0])
    usable = Mark.GOOD if enforcement.given else Mark.MISSING
    yield Row("sandbox", usable, enforcement.backend, tuple(shown))
    for wanted in Property:
        how = enforcement.why_not(wanted)
        if wanted in enforcement.given:
            yield Row(wanted.value, Mark.GOOD, how)
        elif wanted in config.required and wanted not in config.accepted_missing:
            yield Row(wanted.value, Mark.MISSING, how)
        else:
            yield Row(
                wanted.value, Mark.NOTE, f"not enforced, and accepted by your configuration: {how}"
            )


def ladder(measured: Iterable[tuple[str, Enforcement]]) -> tuple[tuple[str, ...], ...]:
    """Properties by backend: a first row of names, then per property whether each gives it."""
    columns = tuple(measured)
    rows = [("property", *(name for name, _ in columns))]
    rows += [
        (
            each.value,
            *("given" if each in enforcement.given else "no" for _, enforcement in columns),
        )
        for each in Property
    ]
    return tuple(rows)


def lacking(measured: Iterable[tuple[str, Enforcement]]) -> tuple[str, ...]:
    """Return why each backend lacks what it lacks: a sentence a property, or one alone where all
    lack for one reason.
    """
    told: list[str] = []
    for name, enforcement in measured:
        reasons = {
            each.value: enforcement.why_not(each)
            for each in Property
            if each not in enforcement.given
        }
        if len(reasons) == len(Property) and len(set(reasons.values())) == 1:
            told.append(f"{name}: {next(iter(reasons.values()))}")
        else:
            told += [f"{name}, {lacks}: {why}" for lacks, why in reasons.items()]
    return tuple(told)


def _state(facts: HostFacts) -> Iterable[Row]:
    yield Row(
        "free disk",
        Mark.GOOD if facts.free >= LOW_SPACE else Mark.NOTE,
        f"{_size(facts.free)} at {facts.state}",
    )
    for sentence in facts.locked or ("none",):
        yield Row("locks", Mark.NOTE if facts.locked else Mark.GOOD, sentence)
    if facts.worktrees:
        yield Row("worktrees", Mark.NOTE, f"{', '.join(facts.worktrees[:5])} kept or left behind")
    exists = facts.user_config if facts.user_config_exists else f"none ({facts.user_config})"
    yield Row("your config", Mark.GOOD, exists)


def _size(count: int) -> str:
    return f"{count / 1024**3:.1f} GiB"
