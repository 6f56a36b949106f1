"""Launch a pack as the pipeline does: run it where it may be, and record the result.

`run.launch` returns a value; this side takes the pack's lock, begins the pack in the ledger, writes
the raw files, puts the bundle in its place, and only then says that it is there.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace

from factory.engine.builder_facts import host_class, own_code
from factory.engine.run import CardOutcome, Run
from factory.engine.summary import findings_of, not_run_words, pack_headline, short_reason
from factory.files import fs_guard
from factory.model.card import Card
from factory.model.errors import Refusal
from factory.model.events import BundleRefused, LockReleased, LockTaken, PackStarted
from factory.model.evidence import StatusDocument
from factory.model.finding import Finding
from factory.model.layout import BundleFolder, RunFolder
from factory.model.verdict import Status
from factory.plan.plan import PlannedPack
from factory.run import egress, preflight
from factory.run.attempt import machine_of
from factory.run.bundle_validate import bundle_intact
from factory.run.launch import Launched, broken_off
from factory.run.reading import load_status
from factory.sandbox.properties import Enforcement
from factory.version import __version__


def launch_card(card: Card, run: Run, key: Callable[[], str]) -> CardOutcome:
    """Run the pack of a launch card where contract and host allow it; `key` computes its key. Raise
    Refusal; then no bundle of the pack is part of this run: what is there is of an earlier action.
    """
    run.workers.ready()
    try:
        return _launch_card(card, run, key)
    except Exception:
        run.refuse(card.pack)
        raise


def _launch_card(card: Card, run: Run, key: Callable[[], str]) -> CardOutcome:
    refused = refused_by_preflight(card, run)
    if refused is not None:
        return _not_run(card, run, refused, not_run_words(refused) if refused else "preflight")
    unplannable = run.planner.why_unplannable(card.pack)
    if unplannable:
        return _not_run(card, run, unplannable, not_run_words(unplannable))
    # Preflight may be up to date from an earlier day; what is enforced is asked of the host as it
    # is now.
    site, planned = run.site, run.plan.planned(card.pack)
    lacking = (
        *preflight.judge_launch(planned.pack, site.config, run.measured(), site.cloud),
        *run.signing(),
    )
    if any(finding.blocks for finding in lacking):
        return _not_run(card, run, tuple(one for one in lacking if one.blocks), "host")
    with contextlib.ExitStack() as stack:
        locked = _take_pack_lock(run, card.pack, stack)
        if locked:
            return _not_run(card, run, locked, "locked")
        status = _resume(card, run, planned)
        if status is not None:
            headline = f"{pack_headline(status)}, from a run that was cut off"
            return CardOutcome(Status.PASS, (), headline, run.resumed[card.pack])
        altered = _altered(card, run, key)
        launched = _launch_recorded(run, planned)
    if launched.status is None:
        run.refuse(card.pack)
        return CardOutcome(launched.verdict, launched.findings)
    findings = (
        *findings_of(launched.status),
        *egress.remarks(planned.pack, launched.connections, planned.limits),
    )
    headline = short_reason(findings) or pack_headline(launched.status)
    return CardOutcome(launched.verdict, findings, headline + altered)


def refused_by_preflight(card: Card, run: Run) -> tuple[Finding, ...] | None:
    """Return what keeps a pack from running: its findings, an empty tuple where the whole run is
    refused, None for nothing.
    """
    before = run.results.get(run.cards[0].name)
    if before is not None and any(one.blocks and not one.pack for one in before.findings):
        return ()
    own = before.findings if before is not None else run.catalogue.all_findings()
    return tuple(one for one in own if one.blocks and one.pack == card.pack) or None


def _not_run(card: Card, run: Run, found: tuple[Finding, ...], why: str) -> CardOutcome:
    run.start()
    run.refuse(card.pack)
    return CardOutcome(Status.BLOCKED, found, f"not run: {why}")


def _resume(card: Card, run: Run, planned: PlannedPack) -> StatusDocument | None:
    """Take over the bundle that a killed run had finished: return its status, or None where the
    pack must run.
    """
    pack, known = planned.pack.id, run.resumable.get(planned.pack.id)
    executed = {
        one.pack for one in run.cards if one.phase == card.phase and one.name in run.results
    }
    ran = any(need in executed and need not in run.resumed for need in planned.needs)
    if known is None or known.key != planned.key or ran:
        return None
    if known.manifest != run.manifest_of(pack) or not run.bundle_is_intact(pack):
        return None
    run.start()
    run.resumed[pack] = known.run_id
    return load_status(run.site.store, pack)


def _altered(card: Card, run: Run, key: Callable[[], str]) -> str:
    """Return words for a bundle that was a PASS of this very action and is not as it was written;
    record that.
    """
    marker = run.marker(card)
    if marker is None or marker.status is not Status.PASS or marker.key != key():
        return ""
    found, manifest = bundle_intact(run.site.store, card.pack), run.manifest_of(card.pack)
    if not found and manifest == marker.bundle:
        return ""
    why = found[0].attributed if found else "its bundle is not the one that passed"
    code = Status.BLOCKED.exit_code
    run.recorder.record(BundleRefused(pack=card.pack, why=why, manifest=manifest, rc=code))
    return f", run again since {why}"


def _take_pack_lock(run: Run, pack: str, stack: contextlib.ExitStack) -> tuple[Finding, ...]:
    """Lock one pack until `stack` ends; return LOCKED, at the pack, where another process has the
    lock. Raise Refusal where it cannot be asked for, or no run can be started.
    """
    try:
        stack.enter_context(_pack_lock(run, pack))
    except Refusal as refusal:
        if any(finding.id != "LOCKED" for finding in refusal.findings):
            raise
        return tuple(replace(finding, pack=pack) for finding in refusal.findings)
    return ()


@contextlib.contextmanager
def _pack_lock(run: Run, pack: str) -> Iterator[None]:
    """Lock one pack; record both ends within the run."""
    name, site, recorder = f"pack-{pack}", run.site, run.recorder
    asked = site.clock.monotonic()
    with site.locks.take(name):
        site.locks.announce(name, "another worker")
        run.start()
        locked = site.clock.monotonic()
        waited = int((locked - asked) * 1000)
        recorder.record_soon(LockTaken(lock=name, pack=pack, duration_ms=waited))
        yield
        taken = recorder.milliseconds(locked)
        recorder.record_soon(LockReleased(lock=name, pack=pack, duration_ms=taken))


def _launch_recorded(run: Run, planned: PlannedPack) -> Launched:
    """Run one pack of this run and put its bundle in place. Raise Refusal where not even its
    beginning can be recorded.
    """
    pack = planned.pack.id
    run.start()
    network = planned.pack.constraints.network.declared
    begun = run.recorder.record(
        _started(planned, run.site.sandbox.measure(network), run.site.environment)
    )
    run.recorder.causes[pack] = begun
    machine = machine_of(run.site, run.progress)
    try:
        launched = run.workers.launch(pack, run.progress)
    except Exception as error:  # noqa: BLE001  a pack that was begun has an end in the ledger
        launched = broken_off(planned, machine, error)
    if launched.status is not None:
        try:
            _keep(run, pack, begun, launched)
        except Refusal as refusal:
            launched = broken_off(planned, machine, refusal, launched)
    if launched.status is None:
        # What lies there is of an earlier action, and no part of a run that tried this one; its
        # own run has it.
        run.site.store.remove(BundleFolder.of(pack))
        # A disk that takes no more is the very reason, and is a finding as such.
        with contextlib.suppress(Refusal):
            _keep(run, pack, begun, launched)
    run.connections[pack] = launched.connections
    return launched


def _keep(run: Run, pack: str, begun: str, launched: Launched) -> None:
    """Put the raw files and the bundle in their places, then record the events, of which the last
    one closes the pack.
    """
    store, raw = run.site.store, RunFolder.of(run.id).raw
    own, folders = f"{pack}/", dict[str, dict[str, bytes]]()
    for path, content in launched.raw.items():
        if path.startswith(own):
            folders.setdefault(raw.pack(pack), {})[path.removeprefix(own)] = content
        else:
            store.write(raw.at(path), content)
    if launched.files:
        folders[BundleFolder.of(pack)] = dict(launched.files)
    with _objects_too(run, bool(folders)):
        store.replace_folders((where, files.items()) for where, files in folders.items())
    run.recorder.causes[pack] = run.recorder.record_all(launched.events, begun)
    run.take_checks(launched.events, launched.checks, launched.foreign)


@contextlib.contextmanager
def _objects_too(run: Run, synced: bool) -> Iterator[None]:
    """Make objects durable with the one sync of the block, where it reaches their folder; what a
    worker writes meanwhile waits for the next.
    """
    objects = run.site.refs
    shared = synced and fs_guard.synced_together(run.site.store.root, objects.folder)
    waiting = objects.take_unsettled() if shared else set()
    try:
        yield
    except BaseException:
        objects.add_unsettled(waiting)
        raise


def _started(
    planned: PlannedPack, enforcement: Enforcement, environment: Mapping[str, str]
) -> PackStarted:
    """Return the event that begins a pack: its action, the sandbox that it runs in, its builder."""
    facts = enforcement.facts
    return PackStarted(
        pack=planned.pack.id,
        action_key=planned.key,
        properties=" ".join(sorted(given.value for given in enforcement.given)),
        sandbox=enforcement.backend,
        sandbox_version=facts.get("bwrap_version", ""),
        kernel=facts.get("kernel", ""),
        landlock_abi=facts.get("landlock_abi", ""),
        host=host_class(environment),
        orchestrator=own_code(),
        orchestrator_version=__version__,
        measured=facts.get("measured", ""),
        sandbox_binary=facts.get("bwrap_sha256") or None,
        syscall_filter=facts.get("seccomp_sha256") or None,
    )
