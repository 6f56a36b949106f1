"""Launching as the pipeline does it: one pack is run, and what came of it is recorded.

`run.launch` returns a value; this side begins the pack in the ledger, writes the raw files, puts
the bundle in its place, and only then says that it is there.
"""

from __future__ import annotations

import contextlib

from factory.model.errors import Refusal
from factory.model.events import AttemptFinished, PackStarted
from factory.model.layout import BundleFolder, RunFolder
from factory.plan.plan import Plan, PlannedPack
from factory.plan.site import Session
from factory.run.attempt import machine_of
from factory.run.launch import Launched, broken_off, launch
from factory.run.reading import stacked_base
from factory.sandbox.properties import Enforcement


def launch_recorded(session: Session, plan: Plan, pack: str) -> Launched:
    """Run one pack of this run and put its bundle in place. Raise Refusal where not even its
    beginning can be recorded.
    """
    planned, machine = plan.planned(pack), machine_of(session.site, session.progress)
    session.ensure_run()
    network = planned.pack.constraints.network.declared
    begun = session.record(_started(planned, session.site.sandbox.measure(network)))
    session.causes[pack] = begun
    try:
        base = stacked_base(session.site.store, session.site.objects, plan, planned)
    except Exception as error:  # noqa: BLE001  a pack that was begun has an end in the ledger
        launched = broken_off(planned, machine, error)
    else:
        launched = launch(planned, base, machine)
    if launched.status is not None:
        try:
            _keep(session, pack, begun, launched)
        except Refusal as refusal:
            launched = broken_off(planned, machine, refusal, launched)
    if launched.status is None:
        # What lies there is of an earlier action, and no part of a run that tried this one; its
        # own run has it.
        session.site.store.remove(BundleFolder.of(pack))
        # A disk that takes no more is the very reason, and is a finding as such.
        with contextlib.suppress(Refusal):
            _keep(session, pack, begun, launched)
    session.egress[pack] = launched.connections
    return launched


def _keep(session: Session, pack: str, begun: str, launched: Launched) -> None:
    """Write the raw files and record the work, then the bundle, then the event that closes the
    pack.
    """
    store = session.site.store
    for path, content in launched.raw.items():
        store.write(RunFolder.of(session.run_id).raw.at(path), content)
    *work, end = launched.events
    last = max(
        (n for n, one in enumerate(work, 1) if one.event_type == AttemptFinished.event_type),
        default=0,
    )
    if session.causes[pack] == begun:
        session.causes[pack] = session.record_all(work[:last], begun)
        session.record_all(work[last:], begun)
    if launched.files:
        store.replace_folder(BundleFolder.of(pack), launched.files)
    session.causes[pack] = session.record_all((end,), session.causes[pack])


def _started(planned: PlannedPack, enforcement: Enforcement) -> PackStarted:
    """Return the event that begins a pack: its action, and the sandbox that it runs in."""
    facts = enforcement.facts
    return PackStarted(
        pack=planned.pack.id,
        action_key=planned.key,
        properties=" ".join(sorted(given.value for given in enforcement.given)),
        sandbox=enforcement.backend,
        sandbox_version=facts.get("bwrap_version", ""),
        kernel=facts.get("kernel", ""),
        landlock_abi=facts.get("landlock_abi", ""),
        sandbox_binary=facts.get("bwrap_sha256") or None,
        syscall_filter=facts.get("seccomp_sha256") or None,
    )
