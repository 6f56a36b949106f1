"""Open a pack's sandbox for a session: view, limits and environment of an attempt; nothing stays.

Rule: what would keep a pack from running keeps a person out. No run is minted, no bundle made, no
verdict reached; the ledger records that a sandbox was opened and how it was left. Does not know
how a person types.
"""

from __future__ import annotations

import enum
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

from factory.contract.catalogue import PackEntry
from factory.git.narrowing import narrow
from factory.judge import path_guard
from factory.judge.denials import denied, remedy_of, rule_words
from factory.judge.secrecy import silenced
from factory.model.card import Progress
from factory.model.errors import Refusal
from factory.model.events import ShellClosed, ShellOpened
from factory.model.evidence import CheckRecord
from factory.model.finding import Finding
from factory.model.pack import Limits, TaskPack
from factory.model.tree import Difference, Tree
from factory.plan.plan import PlannedPack
from factory.plan.planner import Planner
from factory.plan.site import Site
from factory.plan.stages import PackStage, PackView
from factory.run import attempt, preflight
from factory.run.attempt import Machine, machine_of
from factory.run.egress import keep_session
from factory.run.reading import stacked_base
from factory.sandbox.properties import Enforcement
from factory.sandbox.values import CommandOutcome, CommandSpec
from factory.trust.requests import judge_grants

SHORTEST_SESSION = 3600  # seconds that a person gets where the pack's own limit is less
# Bash where there is one: history and editing. Neither reads a file at its start.
_SHELL = "if [ -x /bin/bash ]; then exec /bin/bash --norc --noprofile -i; fi; exec /bin/sh -i"


class Where(enum.Enum):
    """Describe what a person finds inside."""

    WORK = "what its steps see"
    AFTER_STEPS = "what its steps leave"
    FROZEN = "what its acceptance sees"


@dataclass(frozen=True, slots=True)
class ShellRequest:
    """Describe what was asked for. `line` is one command, or empty for a shell; `timeout` in
    seconds, 0 for the default; `name` names the stage.
    """

    name: str
    where: Where = Where.WORK
    line: str = ""
    timeout: int = 0
    term: str = "dumb"


@dataclass(frozen=True, slots=True)
class SessionTerms:
    """Describe what is in force for a session."""

    pack: str
    where: Where
    enforcement: Enforcement
    accepted: tuple[Finding, ...]
    limits: Limits
    timeout: int
    network: str


@dataclass(frozen=True, slots=True)
class ChangedFile:
    """Describe a file that the session changed; `verdict` is what the contract has against that,
    empty where it has nothing.
    """

    path: str
    kind: str
    verdict: str


@dataclass(frozen=True, slots=True)
class Observed:
    """Describe what the host saw tried and denied: what, how often, the rule, and what would allow
    it.
    """

    tried: str
    what: str
    count: int
    rule: str
    remedy: str


@dataclass(frozen=True, slots=True)
class SessionEnd:
    """Describe the end of a session. `findings` are those that an attempt with this change would
    have had.
    """

    outcome: CommandOutcome
    changed: tuple[ChangedFile, ...]
    findings: tuple[Finding, ...]
    denials: tuple[Observed, ...] = ()


Talk: TypeAlias = Callable[[PackStage, CommandSpec], CommandOutcome]
"""Carry out a command in a stage."""


@dataclass(frozen=True, slots=True)
class SessionEvents:
    """Functions that are called while a session lasts."""

    stepped: Callable[[CheckRecord], None]
    opened: Callable[[SessionTerms], None]


def admit(
    site: Site, planner: Planner, entry: PackEntry
) -> tuple[PlannedPack, tuple[Finding, ...]]:
    """Return the pack as it would run, and what the user accepted. Raise Refusal with all that
    would keep it from running.
    """
    found = (
        *preflight.judge_host(site.config, site.sandbox.measure()),
        *(
            (
                *judge_grants(entry.pack, site.config),
                *preflight.judge_network(entry.pack, site.config, site.sandbox.measure()),
            )
            if entry.pack is not None
            else ()
        ),
        *entry.findings,
        *(
            preflight.judge_pack(entry.pack, planner.missing_tools(entry.pack))
            if entry.pack is not None
            else ()
        ),
    )
    blocking = tuple(finding for finding in found if finding.blocks)
    if blocking:
        raise Refusal(*blocking)
    accepted = tuple(finding for finding in found if finding.id == "PROPERTY_ACCEPTED")
    return planner.planned(entry.id), accepted


def open_session(
    site: Site,
    planner: Planner,
    entry: PackEntry,
    asked: ShellRequest,
    talk: Talk,
    on: SessionEvents,
    progress: Progress,
) -> SessionEnd:
    """Open the pack's sandbox, have `talk` carry out what was asked, and look at what that changed.
    Raise Refusal.
    """
    planned, accepted = admit(site, planner, entry)
    machine, limits = machine_of(site, progress), planned.limits
    timeout = asked.timeout or (
        limits.timeout if asked.line else max(limits.timeout, SHORTEST_SESSION)
    )
    network = _network(planned.pack)
    terms = SessionTerms(
        entry.id, asked.where, site.sandbox.measure(), accepted, limits, timeout, network
    )
    base = stacked_base(site.store, site.objects, planner.freeze(), planned)
    visible = narrow(base, planned.shows)
    for tree in (visible, planned.shared):
        site.objects.write_tree(tree)
    if asked.where is Where.FROZEN:
        visible = _frozen(site, machine, planned, base, visible, asked, on)
    stage = _open(machine, planned, visible, asked)
    try:
        if asked.where is Where.AFTER_STEPS:
            _steps(site, machine, planned, stage, on)
        outcome = _recorded(
            site, planned, terms, stage, lambda: _talked(planned, terms, asked, stage, talk, on)
        )
        if asked.where is Where.FROZEN:
            return SessionEnd(outcome, _written(stage), (), _denials(site, planned, outcome))
        frozen = attempt.freeze(machine, planned, stage, base, visible)
        found = (*frozen.findings, *attempt.judge_size(machine, planned, frozen))
        found = tuple(silenced(site.redactor, (finding for finding in found if finding.blocks)))
        changed = tuple(_seen(planned, each) for each in frozen.differences)
        return SessionEnd(outcome, changed, found, _denials(site, planned, outcome))
    finally:
        stage.close()


def _open(machine: Machine, planned: PlannedPack, visible: Tree, asked: ShellRequest) -> PackStage:
    reach = machine.cloud.bare_reach(planned.pack, planned.limits)
    view = PackView(planned.shared, visible, planned.environments)
    return machine.sandbox.open(view, planned.limits, asked.name, reach)


def _steps(
    site: Site, machine: Machine, planned: PlannedPack, stage: PackStage, on: SessionEvents
) -> None:
    """Run the pack's steps, up to the first that fails: what they left is what one wants to look at
    then.
    """
    budget = attempt.Budget(machine.clock, planned.limits)
    for command in planned.pack.steps:
        ran = attempt.run_command(machine, planned, stage, command, budget)
        keep_session(site, planned.pack.id, planned.key, ran.connections)
        record = ran.logged.record
        on.stepped(record)
        if record.rc != 0:
            return


def _frozen(
    site: Site,
    machine: Machine,
    planned: PlannedPack,
    base: Tree,
    visible: Tree,
    asked: ShellRequest,
    on: SessionEvents,
) -> Tree:
    """Return the tree that acceptance would run over."""
    if not planned.pack.steps:
        return visible
    stage = _open(machine, planned, visible, asked)
    try:
        _steps(site, machine, planned, stage, on)
        return attempt.freeze(machine, planned, stage, base, visible).after
    finally:
        stage.close()


def _talked(
    planned: PlannedPack,
    terms: SessionTerms,
    asked: ShellRequest,
    stage: PackStage,
    talk: Talk,
    on: SessionEvents,
) -> CommandOutcome:
    on.opened(terms)
    environment = dict(planned.environment)
    if not asked.line:
        environment |= {"TERM": asked.term, "PS1": f"{planned.pack.id}$ "}
    spec = CommandSpec(
        asked.line or _SHELL,
        "",
        attempt.environment_in(stage, environment),
        float(terms.timeout),
        terms.limits.output,
    )
    return talk(stage, spec)


def _recorded(
    site: Site,
    planned: PlannedPack,
    terms: SessionTerms,
    stage: PackStage,
    talk: Callable[[], CommandOutcome],
) -> CommandOutcome:
    """Record `talk` between two events: before it begins and once it is over, whatever ended it;
    its connections between.
    """
    properties = " ".join(sorted(given.value for given in terms.enforcement.given))
    opened = ShellOpened(
        pack=terms.pack,
        action_key=planned.key,
        view=terms.where.name.lower(),
        network=terms.network,
        properties=properties,
    )
    site.ledger.append(opened.entry())
    began = site.clock.monotonic()
    ended, rc = "interrupted", 1
    try:
        outcome = talk()
        ended, rc = outcome.ended.value, outcome.rc
        return outcome
    finally:
        keep_session(site, terms.pack, planned.key, stage.connections())
        duration = int((site.clock.monotonic() - began) * 1000)
        closed = ShellClosed(
            pack=terms.pack, action_key=planned.key, ended=ended, duration_ms=duration, rc=rc
        )
        site.ledger.append(closed.entry())


def _denials(site: Site, planned: PlannedPack, outcome: CommandOutcome) -> tuple[Observed, ...]:
    pack = planned.pack
    found = denied(pack.id, [("", outcome.tried)], (), site.redactor)
    return tuple(
        Observed(each.tried, each.what, each.count, rule_words(pack, each), remedy_of(pack, each))
        for each in (found.denials if found is not None else ())
    )


def _network(pack: TaskPack) -> str:
    network = pack.constraints.network
    return f"{', '.join(network.shown)}, through the egress proxy" if network.declared else "none"


def _seen(planned: PlannedPack, change: Difference) -> ChangedFile:
    rules = planned.rules
    if path_guard.is_protected(change.path, rules.protected):
        verdict = "protected"
    elif rules.denied.matches(change.path):
        verdict = "denied"
    elif not rules.allowed.matches(change.path):
        verdict = "outside the scope"
    else:
        verdict = ""
    kind = "added" if change.before is None else "removed" if change.after is None else "changed"
    return ChangedFile(change.path, kind, verdict)


def _written(stage: PackStage) -> tuple[ChangedFile, ...]:
    """Return what was left on the layer over a frozen tree, which acceptance throws away too."""
    layer = stage.freeze()
    written = [ChangedFile(file.path, "written", "thrown away") for file in layer.files]
    return (*written, *(ChangedFile(path, "removed", "thrown away") for path in layer.removed))
