"""Make one attempt at one pack: steps in a private view, freeze, judge, accept over exactly the
frozen tree.

Launch and the re-check on a merged tree share `accept`. Knows the sandbox as a port only.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import TypeAlias

from factory.bundle.make import LeftOut, LoggedCommand
from factory.egress.connection import Connection
from factory.egress.reach import Reach
from factory.files.clock import SystemClock
from factory.git.derive import apply_layer, new_paths
from factory.git.merged_view import Collected
from factory.git.narrowing import apply_differences, between, hidden_paths, view_with
from factory.git.ports import Objects
from factory.judge.acceptance import (
    EndedName,
    artifact_name_problem,
    check_record,
    is_uncounted,
    judge_artifacts,
    judge_command,
    judge_docs,
    judge_normalized,
    judge_reports,
)
from factory.judge.attributes import NAMES as ATTRIBUTES
from factory.judge.attributes import judge_attributes
from factory.judge.effort import Effort, effort_of, judge_bytes, judge_effort, judge_overdue
from factory.judge.judge import (
    judge_change,
    judge_ignored,
    judge_lines,
    judge_oddities,
    named_though_ignored,
    new_files_dropped,
    read_contents,
    split_artifacts,
)
from factory.judge.runner_words import report_paths
from factory.judge.scope import compile_patterns
from factory.judge.secrecy import judge_artifact_secrets, judge_secrets
from factory.model.card import Progress
from factory.model.errors import Overdue
from factory.model.event import Entry
from factory.model.events import CheckReused
from factory.model.evidence_text import sha256
from factory.model.finding import Finding
from factory.model.pack import Command, Limits, TaskPack
from factory.model.tree import MODE_SUBMODULE, Difference, Tree
from factory.plan.cloud import UserCloud
from factory.plan.plan import PlannedPack
from factory.plan.site import Site
from factory.plan.stages import PackSandbox, PackStage, PackView
from factory.redact.redaction import Redactor, Stream
from factory.run.comparing import Compared, LineCounts, compared, seconds_for
from factory.run.defects import Defect, defect
from factory.run.doit_table import judge_configuration
from factory.run.paid import MOST_BYTES, CheckMemory, KnownCheck, MadeCheck
from factory.sandbox.values import CommandSpec, ConnectAttempt
from factory.steady.normalize_artifacts import Normalized, normalize, normalize_log

# Without them each waits for an answer, and asks again, for minutes.
OFFLINE = (
    ("CARGO_NET_OFFLINE", "true"),
    ("GOPROXY", "off"),
    ("GOTOOLCHAIN", "local"),
    ("PIP_DISABLE_PIP_VERSION_CHECK", "1"),
    ("PIP_NO_INDEX", "1"),
    ("UV_OFFLINE", "1"),
    ("npm_config_offline", "true"),
    ("npm_config_update_notifier", "false"),
)


@dataclass(frozen=True, slots=True)
class Machine:
    """Contain what executes packs on one host. No ledger and no store is among it: nothing that
    runs a pack can record or replace anything.

    `cloud` is what the user grants of clouds; `progress` is called while commands run; `paid` is
    what checks said before, None where all of them are to run.
    """

    objects: Objects
    sandbox: PackSandbox
    redactor: Redactor
    cloud: UserCloud
    clock: SystemClock
    progress: Progress
    paid: CheckMemory | None = None


def machine_of(site: Site, progress: Progress, paid: CheckMemory | None = None) -> Machine:
    """Return this host as what executes packs; `progress` is called while commands run."""
    where = (site.objects, site.sandbox, site.redactor, site.cloud, site.clock)
    return Machine(*where, progress, paid)


@dataclass(frozen=True, slots=True)
class Ran:
    """Describe one executed command: the record for the bundle, raw output, findings, and what it
    did over the network. `ended_at` is the time of its end (RFC 3339); `defect` is ours, met while
    judging. One that did not run, since the run `reused` has it under the same `key`, took no time.
    """

    logged: LoggedCommand
    raw: bytes
    duration_ms: int
    findings: tuple[Finding, ...]
    tried: tuple[ConnectAttempt, ...] | None = None
    connections: tuple[Connection, ...] = ()
    ended_at: str = ""
    defect: Defect | None = None
    key: str = ""
    reused: str = ""


@dataclass(frozen=True, slots=True)
class Frozen:
    """Describe what the steps left: what the pack could see before and after, how that differs, and
    what was judged.

    A change that carries a credential, or is beyond comparing, is `withheld`: its findings say
    so, and `after` is `before`. `compared` is None where there is little to compare.
    """

    before: Tree
    after: Tree
    differences: tuple[Difference, ...]
    findings: tuple[Finding, ...]
    left_out: LeftOut
    artifacts: tuple[Collected, ...]
    compared: Compared | None = None
    withheld: bool = False


class Budget:
    """Seconds that are left of a pack's limit, by monotonic time."""

    def __init__(self, clock: SystemClock, limits: Limits) -> None:
        self._clock = clock
        self._end = self._clock.monotonic() + limits.timeout

    def of(self, command: Command) -> float:
        """Return the bound of one command: its own, or what is left of the pack's."""
        left = max(0.05, self._end - self._clock.monotonic())
        return min(left, float(command.timeout)) if command.timeout else left


def environment_in(stage: PackStage, given: Mapping[str, str]) -> tuple[tuple[str, str], ...]:
    """Return variables for a command: those given over the stage's own and, where it has no
    network, those that say so to package managers, unless they are given in any case of letters.
    """
    given = {**dict(stage.variables), **given}
    if stage.networked:
        return tuple(sorted(given.items()))
    named = {name.lower() for name in given}
    more = {name: value for name, value in OFFLINE if name.lower() not in named}
    return tuple(sorted({**more, **given}.items()))


def run_command(
    machine: Machine, planned: PlannedPack, stage: PackStage, command: Command, budget: Budget
) -> Ran:
    """Run one command in a stage and judge how it ended."""
    limits = planned.limits
    bound = budget.of(command)
    pack = planned.pack
    machine.progress.command_started(pack.id, command.label, command.run, bound)
    environment = environment_in(stage, {**dict(planned.environment), **dict(command.env)})
    redactor = machine.redactor
    shown = Stream(redactor)
    outcome = stage.run(
        CommandSpec(command.run, command.cwd, environment, bound, limits.output),
        lambda chunk: machine.progress.command_output(pack.id, shown.feed(chunk)),
    )
    machine.progress.command_output(pack.id, shown.end())
    machine.progress.command_ended(pack.id, command.label, outcome.rc)
    connections = stage.connections()
    ended: EndedName = outcome.ended.value
    rc = outcome.rc if outcome.rc != 0 or ended == "exited" else 1
    truncated = outcome.output_bytes > len(outcome.log)
    raw = redactor.redact(outcome.log, cut=truncated or ended != "exited").content
    met: Defect | None = None
    findings: tuple[Finding, ...]
    try:
        findings = judge_command(pack, command, rc, ended, outcome.disk_full, raw, limits)
    except Exception as error:  # noqa: BLE001  what a log provokes must not cost the log
        met = defect(redactor, f"judge:{pack.id}:{command.label}", error, pack.id)
        findings = (met.finding,)
    if rc == 0 and any(finding.blocks for finding in findings):
        rc = 1  # a runner that ran nothing did not succeed, whatever it says
    log = normalize_log(raw)
    record = check_record(command, rc, ended)
    logged = LoggedCommand(record, log, truncated)
    duration, ended_at = outcome.duration_ms, machine.clock.utc()
    return Ran(logged, raw, duration, findings, outcome.tried, connections, ended_at, met)


def reach_of(machine: Machine, planned: PlannedPack, *, accepting: bool = False) -> Reach | None:
    """Return what a stage of this pack may reach, with the user's credential where they grant a
    cloud; None where the pack declares nothing, and then there is no proxy. What accepts has
    either only where acceptance.yml says so: the result is judged by what it is.
    """
    pack, limits = planned.pack, planned.limits
    if accepting and not pack.acceptance_network:
        return None
    if accepting and not pack.acceptance_cloud:
        return machine.cloud.bare_reach(pack, limits)
    return machine.cloud.reach(pack, limits)


OnRan: TypeAlias = Callable[[Ran], None]
"""Called with each command as it ends."""


def ignore(_ran: Ran) -> None:
    """Do nothing, as an `OnRan`."""


def do_steps(
    machine: Machine,
    planned: PlannedPack,
    base: Tree,
    shared: Tree,
    visible: Tree,
    budget: Budget,
    on_ran: OnRan = ignore,
    *,
    files: tuple[tuple[str, str], ...] = (),
) -> tuple[tuple[Ran, ...], Frozen]:
    """Run the steps over `visible` (a part of `base`) and freeze what they left. Stops at the first
    that fails. `files` are texts that they can read, by their paths below /run.
    """
    if not planned.pack.steps:
        return (), Frozen(visible, visible, (), judge_docs(planned.pack, base), LeftOut(), ())
    reach = reach_of(machine, planned)
    view = PackView(shared, visible, planned.environments, files)
    stage = machine.sandbox.open(view, planned.limits, planned.pack.id, reach)
    try:
        ran: list[Ran] = []
        for command in planned.pack.steps:
            ran.append(run_command(machine, planned, stage, command, budget))
            on_ran(ran[-1])
            if ran[-1].logged.record.rc != 0:
                break
        frozen = freeze(machine, planned, stage, base, visible)
        return tuple(ran), replace(frozen, artifacts=_with_transcripts(planned.pack, ran, frozen))
    finally:
        stage.close()


def _with_transcripts(pack: TaskPack, ran: Iterable[Ran], frozen: Frozen) -> tuple[Collected, ...]:
    """Return what was collected, and what steps printed where they keep it: in place of a file
    that a step wrote there.
    """
    paths = {command.label: command.transcript for command in pack.steps if command.transcript}
    kept = {
        paths[one.logged.record.label]: one.raw for one in ran if one.logged.record.label in paths
    }
    collected = {each.path: each for each in frozen.artifacts}
    collected |= {path: Collected(path, content) for path, content in kept.items()}
    return tuple(collected[path] for path in sorted(collected))


def freeze(
    machine: Machine, planned: PlannedPack, stage: PackStage, base: Tree, visible: Tree
) -> Frozen:
    """End what runs in a stage over `visible` (a part of `base`); what was changed in it,
    judged.
    """
    pack, objects = planned.pack, machine.objects
    layer = stage.freeze().against(visible)
    fresh = new_paths(visible, layer)
    artifact_patterns = compile_patterns((*pack.artifacts.required, *pack.artifacts.optional))
    ignored = objects.ignored(planned.own, fresh) if fresh else frozenset[str]()
    ask_ignored = partial(objects.ignored, planned.own)
    ignored -= named_though_ignored(planned.rules, ignored, ask_ignored)
    more = (path for path in fresh if path not in ignored and base.get(path) is None)
    discarded, outside = new_files_dropped(planned.rules, artifact_patterns, more)
    left_out = LeftOut(len(ignored), len(discarded), len(outside))
    absent = ignored | discarded | outside
    derived = apply_layer(visible, layer, absent)
    seen, _ = split_artifacts(planned.rules, artifact_patterns, between(visible, derived.tree))
    after = apply_differences(base, seen)
    differences = between(base, after)
    visible_after = view_with(after, planned.shows, (change.path for change in differences))
    refused, effort = _unkeepable(machine, planned, differences)
    if refused:
        return Frozen(visible, visible, (), refused, left_out, (), withheld=True)
    contents = read_contents(planned.rules, differences, objects.read)
    objects.write_tree(visible_after)
    objects.write_tree(after)
    seconds = seconds_for(planned.limits.timeout)
    try:
        both = compared(objects, effort, visible.oid, visible_after.oid, seconds)
    except Overdue:
        late = judge_overdue(planned.rules, seconds)
        return Frozen(visible, visible, (), late, left_out, (), withheld=True)
    findings = (
        *judge_oddities(pack.id, layer.without(absent)),
        *judge_change(
            planned.rules, differences, after, contents, hidden_paths(differences, visible)
        ),
        *judge_configuration(objects, pack.id, base, after),
        *judge_ignored(planned.rules, artifact_patterns, ignored),
        *judge_attributes(
            pack.id,
            differences,
            partial(objects.attributes, after, names=ATTRIBUTES),
            objects.read,
        ),
        *judge_docs(pack, after),
    )
    collected = stage.collect(artifact_patterns.sources) if artifact_patterns.sources else ()
    seen = between(visible, visible_after)
    return Frozen(visible, visible_after, seen, findings, left_out, collected, both)


def _unkeepable(
    machine: Machine, planned: PlannedPack, differences: tuple[Difference, ...]
) -> tuple[tuple[Finding, ...], Effort]:
    """Return why a change cannot be kept, if so; and what it takes to compare it."""
    objects = machine.objects
    leaves = (
        leaf for change in differences for leaf in (change.before, change.after) if leaf is not None
    )
    oids = {leaf.oid for leaf in leaves if leaf.mode != MODE_SUBMODULE}
    stored = oids - objects.withheld(oids)
    large = judge_bytes(planned.rules, objects.sizes(stored).values())
    if large:
        return large, Effort()
    effort = effort_of(differences, objects.measured(stored))
    carried = objects.credentials(oids)
    secret = judge_secrets(planned.pack, machine.redactor, differences, carried)
    return secret or judge_effort(planned.rules, effort), effort


def judge_size(machine: Machine, planned: PlannedPack, frozen: Frozen) -> tuple[Finding, ...]:
    """Return findings where the change is not within its limit of lines."""
    lines = _lines_of(machine, frozen)
    added = sum(counts[0] for counts in lines.values() if counts is not None)
    removed = sum(counts[1] for counts in lines.values() if counts is not None)
    return judge_lines(planned.rules, added, removed)


def _lines_of(machine: Machine, frozen: Frozen) -> LineCounts:
    if frozen.compared is not None:
        return frozen.compared.lines
    return (
        machine.objects.numstat(frozen.before.oid, frozen.after.oid) if frozen.differences else {}
    )


def accept(
    machine: Machine,
    planned: PlannedPack,
    shared: Tree,
    visible: Tree,
    budget: Budget,
    on_ran: OnRan = ignore,
) -> tuple[tuple[Ran, ...], tuple[Collected, ...]]:
    """Run every acceptance command over exactly `visible`, on a layer that is thrown away; none
    where all of them are known to have passed over it.
    """
    pack, paid = planned.pack, machine.paid
    enforcement = machine.sandbox.measure(network=False) if paid is not None else None
    keys = paid.keys(planned, visible.oid, enforcement) if paid and enforcement else ()
    known = paid.stage(keys) if paid is not None else ()
    before = _accepted_before(machine, planned, keys, known, on_ran) if known else None
    if before is not None:
        return before
    reach = reach_of(machine, planned, accepting=True)
    view = PackView(shared, visible, planned.environments)
    stage = machine.sandbox.open(view, planned.limits, pack.id, reach)
    try:
        done: list[Ran] = []
        for command in pack.acceptance:
            done.append(run_command(machine, planned, stage, command, budget))
            on_ran(done[-1])
        patterns = _collected_patterns(pack, done)
        found = stage.collect(patterns) if patterns else ()
        ran, artifacts = _with_collected(pack, done, found)
        if paid is not None:
            paid.made += _made(keys, ran, patterns, found)
        return ran, artifacts
    finally:
        stage.close()


def reused_event(pack: str, attempt: int, ran: Ran) -> Entry:
    """Return the event about a command that did not run; `attempt` 0 is the merged tree."""
    return CheckReused(
        pack=pack,
        attempt=attempt,
        label=ran.logged.record.label,
        from_run=ran.reused,
        key=ran.key,
        log=sha256(ran.logged.log),
        rc=0,
    ).entry()


def _collected_patterns(pack: TaskPack, done: Iterable[Ran]) -> tuple[str, ...]:
    """Return patterns of what acceptance leaves: artifacts, and JUnit files of commands whose log
    does not count their tests.
    """
    uncounted = [one for one in pack.acceptance if is_uncounted(_of(one, done))]
    reports = (path for one in uncounted for path in report_paths(one))
    return (*pack.artifacts.required, *pack.artifacts.optional, *reports)


def _with_collected(
    pack: TaskPack, done: Iterable[Ran], found: tuple[Collected, ...]
) -> tuple[tuple[Ran, ...], tuple[Collected, ...]]:
    """Return what ran, with what JUnit files say, and the artifacts among the files `found`."""
    wanted = compile_patterns((*pack.artifacts.required, *pack.artifacts.optional))
    ran = tuple(
        _with_reports(pack, command, one, found)
        for command, one in zip(pack.acceptance, done, strict=True)
    )
    return ran, tuple(each for each in found if wanted.matches(each.path))


def _accepted_before(
    machine: Machine,
    planned: PlannedPack,
    keys: tuple[str, ...],
    known: tuple[KnownCheck, ...],
    on_ran: OnRan,
) -> tuple[tuple[Ran, ...], tuple[Collected, ...]] | None:
    """Return what acceptance said before, its logs judged again; None where these do not pass any
    more, or a file that is wanted now was not collected.
    """
    pack = planned.pack
    done = []
    for command, key, one in zip(pack.acceptance, keys, known, strict=True):
        judged = judge_command(pack, command, 0, "exited", False, one.log, planned.limits)
        logged = LoggedCommand(check_record(command, 0, "exited"), normalize_log(one.log), False)
        tried = () if one.watched else None
        ran = Ran(logged, one.log, 0, judged, tried, key=key, reused=one.run)
        done.append(replace(ran, ended_at=machine.clock.utc()))
    wanted = _collected_patterns(pack, done)
    if not {*wanted} <= {*known[-1].patterns}:
        return None
    patterns = compile_patterns(wanted)
    found = tuple(each for each in known[-1].collected if patterns.matches(each.path))
    every, artifacts = _with_collected(pack, done, found)
    if any(finding.blocks for one in every for finding in one.findings):
        return None
    for command, ran in zip(pack.acceptance, every, strict=True):
        machine.progress.command_started(pack.id, command.label, command.run, 0.0)
        machine.progress.command_ended(pack.id, command.label, 0)
        on_ran(ran)
    return every, artifacts


def _made(
    keys: tuple[str, ...],
    ran: tuple[Ran, ...],
    patterns: tuple[str, ...],
    found: tuple[Collected, ...],
) -> Iterator[MadeCheck]:
    """Yield what is to be remembered of a stage: its commands up to the first that failed, or of
    which not all can be kept.
    """
    for at, (key, one) in enumerate(zip(keys, ran, strict=bool(keys)), 1):
        record, last = one.logged.record, at == len(ran)
        if record.rc != 0 or any(finding.blocks for finding in one.findings):
            if record.ended != "cancelled" and one.defect is None:
                yield MadeCheck(key, None)
            return
        left = (patterns, found) if last else ((), ())
        known = KnownCheck("", one.raw, one.tried is not None, *left)
        if one.logged.truncated or one.defect or one.tried or known.size > MOST_BYTES:
            return
        yield MadeCheck(key, known)


def _of(command: Command, ran: Iterable[Ran]) -> tuple[Finding, ...]:
    return next((one.findings for one in ran if one.logged.record.label == command.label), ())


def _with_reports(pack: TaskPack, command: Command, ran: Ran, found: Iterable[Collected]) -> Ran:
    """Return what a command did with what its JUnit files say of its tests."""
    named = compile_patterns(report_paths(command))
    reports = (each.content for each in found if named.matches(each.path))
    return replace(ran, findings=judge_reports(pack, command, ran.findings, reports))


@dataclass(frozen=True, slots=True)
class NormalizedArtifact:
    """Describe one artifact that the contract wants normalised: its path, its bytes as they were
    made, and what came of them.
    """

    path: str
    before: bytes
    made: Normalized


def normalize_collected(
    machine: Machine, planned: PlannedPack, collected: Mapping[str, bytes]
) -> tuple[dict[str, bytes], tuple[NormalizedArtifact, ...], tuple[Finding, ...]]:
    """Artifacts with those normalised that the contract names; what was done to which, and what
    could not be.

    What was compressed shows its credentials only now, so they are looked for once more.
    """
    patterns = compile_patterns(planned.pack.artifacts.normalized)
    wanted = [path for path in sorted(collected) if patterns.matches(path)]
    done = tuple(
        NormalizedArtifact(path, collected[path], normalize(path, collected[path]))
        for path in wanted
    )
    made, secret = judge_artifact_secrets(
        planned.pack, machine.redactor, {one.path: one.made.content for one in done}
    )
    contents = {
        **{path: content for path, content in collected.items() if path not in wanted},
        **made,
    }
    kept = tuple(one for one in done if one.path in made)
    unnormal = judge_normalized(planned.pack, ((one.path, one.made.problem) for one in kept))
    return contents, kept, (*unnormal, *secret)


def judge_collected(
    machine: Machine, planned: PlannedPack, *collections: Iterable[Collected]
) -> tuple[dict[str, bytes], tuple[Finding, ...]]:
    """Artifacts by path (later collections win), and findings over what is missing, unsafe or
    carries a credential.
    """
    found = {item.path: item for collection in collections for item in collection}
    judged = {
        path: item.problem or artifact_name_problem(path) for path, item in sorted(found.items())
    }
    good = {path: found[path].content for path, problem in judged.items() if not problem}
    problems = [(path, problem) for path, problem in judged.items() if problem]
    kept, secret = judge_artifact_secrets(planned.pack, machine.redactor, good)
    return kept, (*judge_artifacts(planned.pack, good, problems), *secret)
