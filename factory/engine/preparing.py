"""Prepare an environment as the pipeline does: where the user granted what it asks, once, recorded.

A preparation runs before the plan is frozen, so before there is a run; several runs use it, so its
events are of no run. One that fails blocks the packs that need it, and no other. Does not know how
commands are run.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from factory.egress.connection import DEFAULT_PORT, Reason, Verdict
from factory.engine.launching import refused_by_preflight
from factory.engine.run import CardOutcome, Run
from factory.files import fs_guard
from factory.model.card import Card
from factory.model.egress_record import ConnectionRecord, record_of
from factory.model.environment import DeclaredEnvironment
from factory.model.errors import Refusal
from factory.model.events import EnvironmentConnected, EnvironmentFailed, EnvironmentPrepared
from factory.model.findings.entry import Facts
from factory.model.verdict import Status
from factory.model.wording import counted
from factory.plan.environments import EnvironmentStore, Prepared
from factory.plan.host_folders import FolderNotShown
from factory.run import preflight
from factory.run.attempt import machine_of
from factory.run.egress import facts_of, without_credentials
from factory.run.preparing import Preparation, prepare
from factory.trust.requests import is_granted, requests_of_environment

_MOST_HOSTS = 4  # refused hosts in one sentence; all of them are in the ledger


def prepare_card(card: Card, run: Run) -> CardOutcome:
    """Prepare the environment of a card, unless it is there. Raise Refusal."""
    name = card.name.partition(":")[2]
    if refused_by_preflight(card, run) == ():
        return CardOutcome(Status.BLOCKED, (), f"{name}: not prepared: preflight")
    return prepare_environment(name, run)


def prepare_environment(name: str, run: Run, *, anew: bool = False) -> CardOutcome:
    """Prepare one environment, unless it is there and not wanted `anew`. Raise Refusal."""
    found, store = run.planner.environment(name), run.site.sandbox.environments
    if found is None or store is None:
        run.planner.failed(name, "factory.toml declares none of that name")
        return CardOutcome(Status.BLOCKED, (), f"{name}: not declared")
    declared, key, inputs = found
    known = None if anew else run.planner.prepared(name)
    if known is not None:
        return CardOutcome(Status.PASS, (), f"{name}: {_shown(known)}, as it was")
    why = _lacking(declared, run)
    if not why and not key:
        why = run.planner.why_failed(name)
    if why:
        run.planner.failed(name, why)
        return CardOutcome(Status.BLOCKED, (), f"{name}: not prepared: {why}")
    site, began = run.site, run.site.clock.monotonic()
    with site.locks.take(f"environment-{name}"):
        machine = machine_of(site, run.progress)
        try:
            if declared.host:
                ended = _show(store, declared, key, site.clock.utc())
            else:
                ended = prepare(machine, store, declared, key, inputs, site.config.ceilings)
        except Refusal as refusal:
            run.planner.failed(name, refusal.findings[0].message)
            raise
        fs_guard.write_atomic(store.log(name), ended.log, durable=False)
    redactor = site.redactor
    records = [
        record_of(without_credentials(redactor, connection), number, "steps", 0)
        for number, connection in enumerate(ended.connections, 1)
    ]
    why, facts = cause_of(declared, ended.why, records)
    _record(name, key, replace(ended, why=why), records, run, run.recorder.milliseconds(began))
    if ended.prepared is None:
        run.planner.failed(name, why, facts)
        return CardOutcome(Status.BLOCKED, (), f"{name}: {why}")
    return CardOutcome(Status.PASS, (), f"{name}: {_shown(ended.prepared)}")


def _show(
    store: EnvironmentStore, declared: DeclaredEnvironment, key: str, made: str
) -> Preparation:
    """Copy folders of the user's, to be shown. Raise Refusal where the disk takes no more."""
    try:
        return Preparation(store.keep_host(declared, key, made), "", b"", ())
    except FolderNotShown as error:
        return Preparation(None, str(error), b"", ())


def _shown(prepared: Prepared) -> str:
    return f"{counted(prepared.files, 'file')}, {prepared.bytes / (1 << 20):.1f} MiB"


def _lacking(declared: DeclaredEnvironment, run: Run) -> str:
    """Return why nothing may be prepared now, one clause; "" where it may."""
    config, enforcement = run.site.config, run.measured()
    asked = requests_of_environment(declared, config)
    lacking = next((one for one in asked if not is_granted(one, config.grants)), None)
    if lacking is not None:
        return f"it asks for {lacking.kind.value} {lacking.thing}, which you have not granted"
    found = (
        *preflight.judge_host(config, enforcement),
        *preflight.judge_environment(declared, "", config, enforcement),
    )
    return next((one.message for one in found if one.blocks), "")


def cause_of(
    declared: DeclaredEnvironment, why: str, records: Sequence[ConnectionRecord]
) -> tuple[str, Facts]:
    """Return why a preparation failed, after the hosts that the proxy refused it, and the facts
    that choose the remedy: those of the first reason for which any was refused.
    """
    refused = [one for one in records if one.verdict == Verdict.REFUSED.value and one.host]
    if not why or not refused:
        return why, {"case": "failed"}
    reason = refused[0].reason
    alike = [one for one in refused if one.reason == reason]
    targets = tuple(dict.fromkeys(f"{one.host}:{one.port}" for one in alike))[:_MOST_HOSTS]
    why = f"the proxy refused {', '.join(targets)} ({reason}); {why}"
    if reason in (Reason.NOT_PUBLIC.value, Reason.NEAR.value):
        hosts = tuple(dict.fromkeys(one.host for one in alike))[:_MOST_HOSTS]
        return why, {"case": "private", "hosts": hosts}
    if reason == Reason.NOT_DECLARED.value:
        added = (target.removesuffix(f":{DEFAULT_PORT}") for target in targets)
        return why, {"case": "declare", "allow": (*declared.network.shown, *added)}
    return why, {"case": "failed"}


def _record(
    name: str,
    key: str,
    ended: Preparation,
    records: Iterable[ConnectionRecord],
    run: Run,
    duration: int,
) -> None:
    ledger, redactor = run.site.ledger, run.site.redactor
    for record in records:
        ledger.append(
            EnvironmentConnected(
                environment=name,
                key=key,
                **facts_of(record),
            ).entry()
        )
    made = ended.prepared
    if made is None:
        code = Status.BLOCKED.exit_code
        why = redactor.redact(ended.why.encode()).content.decode("utf-8", "replace")
        failed = EnvironmentFailed(
            environment=name, key=key, why=why, duration_ms=duration, rc=code
        )
        ledger.append(failed.entry())
        return
    ledger.append(
        EnvironmentPrepared(
            environment=name,
            key=key,
            tree=made.sha256,
            files=made.files,
            bytes=made.bytes,
            duration_ms=duration,
        ).entry()
    )
