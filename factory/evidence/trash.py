"""Remove things in steps: moved aside at once, recorded, and only then deleted.

Rule: a move can be taken back, so whatever is in the trash without a record goes back to its place,
and whatever is recorded is deleted; one function does both, in the normal path and at the next
start. Does not know what may be removed.
"""

from __future__ import annotations

from factory.evidence.retention import RemovalKind
from factory.model.layout import RUNS, TRASH, RunFolder, in_trash
from factory.model.names import RUN_ID
from factory.plan.site import Site


def move_aside(site: Site, kind: RemovalKind, path: str) -> None:
    """Move what is to be removed out of its place. Raises Refusal DISK_UNWRITABLE, PATH_UNSAFE."""
    site.store.move(path, in_trash(kind.value, path))


def settle_trash(site: Site) -> None:
    """Empty the trash: unrecorded things of runs go back, all else is deleted.

    Requires the run lock.
    """
    if not site.store.names(TRASH):
        site.store.remove(TRASH)
        return
    recorded = {(event.event_type, event.run_id) for event in site.ledger.events()}
    for kind in (RemovalKind.RUN, RemovalKind.RAW):
        for run_id in site.store.names(in_trash(kind.value, RUNS)):
            run = RunFolder.of(run_id)
            path = run if kind is RemovalKind.RUN else run.raw
            lost = RUN_ID.fullmatch(run_id) is not None and (kind.value, run_id) not in recorded
            if lost and not site.store.names(path):
                site.store.move(in_trash(kind.value, path), path)
    site.store.remove(TRASH)
