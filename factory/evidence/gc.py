"""Collect garbage: remove what is proved to be superseded or exported, each recorded before it
goes.

Order of effects, each thing alone: the folder is moved aside in one step → ledger event → it is
removed. After a crash the next start puts back what was not recorded, and removes all else. Does
not know what may go: `evidence.retention` decides, over proofs made here by reading every byte. The
caller has the run lock.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from factory.evidence.ledger_head import cover_ledger
from factory.evidence.replay import ReplayedRun, replay
from factory.evidence.retention import Chosen, RemovalKind, RunOnDisk, Stays, Work, beyond, decide
from factory.evidence.trash import move_aside, settle_trash
from factory.files.state_store import StateStore
from factory.git.objects import GitObjects
from factory.model.card import Card
from factory.model.errors import Refusal, UsageError
from factory.model.event import Entry, Event, RunState
from factory.model.events import CacheRemoved, RawRemoved, RunRemoved
from factory.model.layout import (
    CACHE,
    GIT,
    GIT_OBJECTS,
    IN_RUN,
    NOT_PACKS,
    RUNS,
    RunFolder,
    environment_tree,
)
from factory.plan.site import Site
from factory.run.bundle_validate import bundle_intact

_CACHES = (
    (CACHE, "views, tool identities, memories and checks are made again", CACHE),
    (GIT, "objects are made again of bundles", GIT_OBJECTS),
)
_FRAME = frozenset({"info", "pack"})  # what an object folder without an object has


@dataclass(frozen=True, slots=True)
class Removal:
    """Describe one removal: its path in the state folder, why, where a copy of its work is, and how
    many files and bytes.
    """

    kind: RemovalKind
    run_id: str
    path: str
    why: str
    where: str
    files: int
    bytes: int


@dataclass(frozen=True, slots=True)
class Collection:
    """List what is removed and which old runs stay."""

    removals: tuple[Removal, ...]
    stays: tuple[Stays, ...]


class ExportedRuns:
    """Compare runs of the state folder `state` byte for byte, by digest, with copies directly below
    `folder`. A folder is no copy of itself, also where links lead to it. Raise UsageError.
    """

    def __init__(self, state: Path, folder: Path) -> None:
        if not folder.is_dir():
            raise UsageError(f"expected a folder of exported runs, found none at {str(folder)!r}")
        real, home = folder.resolve(), state.resolve()
        if real == home or home in real.parents:
            hint = "copy the runs to another place first, and name that"
            raise UsageError(f"{str(folder)!r} is in the state folder itself", hint)
        self.where = str(folder)
        self._runs = StateStore(home / RUNS)
        self._copies = StateStore(real)

    def problem(self, run_id: str) -> str:
        """Return why the copy of a run is not a copy of every byte; "" where it is."""
        own, copy = self._runs.root / run_id, self._copies.root / run_id
        if not copy.is_dir() or copy.is_symlink():
            return "it has no copy there"
        if os.path.samefile(own, copy):
            return "the copy is the run's folder itself"
        files = self._runs.files(run_id)
        if files != self._copies.files(run_id):
            return "the copy has other files"
        for path in files:
            digest = self._runs.sha256(f"{run_id}/{path}")
            if not digest or self._copies.sha256(f"{run_id}/{path}") != digest:
                return f"{path} is not the same there"
        return ""


def collect_garbage(
    site: Site, keep: int, exported: Path | None, report: Callable[[Removal], None] | None
) -> Collection:
    """Return what may go and what stays; with `report` also remove it, under the run lock.

    Raise Refusal LOCKED, LEDGER_BROKEN, LEDGER_ORDER, and UsageError for a folder `exported` that
    cannot contain copies.
    """
    with site.locks.take("run"):
        site.locks.announce("run", "collecting garbage")
        settle_trash(site)
        exports = ExportedRuns(site.store.root, exported) if exported is not None else None
        planned = plan(site, site.refs, keep, exports)
        if report is not None:
            collect(site, planned, report)
        return planned


def clean_caches(site: Site, report: Callable[[Removal], None], dry: bool) -> None:
    """Remove the caches under the run lock, or only report them if `dry`. Raise Refusal LOCKED."""
    with site.locks.take("run"):
        site.locks.announce("run", "removing caches")
        planned = caches(site)
        if not dry:
            collect(site, planned, report)
            return
        for removal in planned.removals:
            report(removal)


def plan(
    site: Site, refs: GitObjects, keep: int = 0, exports: ExportedRuns | None = None
) -> Collection:
    """Return what may be removed. The `keep` newest runs always stay; with 0 no run is removed.

    Raise Refusal LEDGER_BROKEN, LEDGER_ORDER.
    """
    replayed = replay(site.ledger.events())
    present = [run for run in replayed.runs if site.store.names(RunFolder.of(run.run_id))]
    protected = _protected(site, present)
    old = beyond((run.run_id for run in present), keep, protected)
    keepers = [run.run_id for run in present if run.run_id not in old]
    folders = [
        _folder(site, refs, run, keepers, exports if run.run_id in old else None) for run in present
    ]
    decision = decide(folders, old, protected)
    removals = tuple(_measured(site, chosen) for chosen in decision.chosen)
    return Collection((*caches(site).removals, *removals), decision.stays)


def caches(site: Site) -> Collection:
    """Return the caches, which are made again whenever they are missing, whatever
    the ledger says.
    """
    chosen = [
        Chosen(RemovalKind.CACHE, path, why, "")
        for path, why, folder in _CACHES
        if _has_more(site, folder)
    ]
    store = site.sandbox.environments
    for digest in store.superseded() if store is not None else ():
        why = "an environment that was prepared anew since"
        chosen.append(Chosen(RemovalKind.CACHE, environment_tree(digest), why, ""))
    return Collection(tuple(_measured(site, one) for one in chosen), ())


def _has_more(site: Site, folder: str) -> bool:
    return not _FRAME.issuperset(site.store.names(folder))


def collect(site: Site, collection: Collection, announce: Callable[[Removal], None]) -> None:
    """Remove what was planned. `announce` is called with each removal before anything is done to
    it.

    Raise Refusal LEDGER_BROKEN, DISK_UNWRITABLE, PATH_UNSAFE.
    """
    settle_trash(site)
    for removal in collection.removals:
        announce(removal)
        entry = _entry(site, removal)
        move_aside(site, removal.kind, removal.path)
        try:
            site.ledger.append(entry)
        finally:
            settle_trash(site)
    if collection.removals:
        cover_ledger(site)


def _entry(site: Site, removal: Removal) -> Entry:
    what, why, where = removal.path, removal.why, removal.where
    files, size = removal.files, removal.bytes
    event: Event
    match removal.kind:
        case RemovalKind.RUN:
            manifest = site.store.sha256(RunFolder(what).manifest) or None
            event = RunRemoved(
                path=what, why=why, where=where, files=files, bytes=size, manifest=manifest
            )
        case RemovalKind.RAW:
            event = RawRemoved(path=what, why=why, where=where, files=files, bytes=size)
        case RemovalKind.CACHE:
            event = CacheRemoved(path=what, why=why, where=where, files=files, bytes=size)
    return event.entry(removal.run_id)


def _protected(site: Site, present: list[ReplayedRun]) -> frozenset[str]:
    """Return the runs that are never removed: the last one, the last one that finished, and those
    that a marker names.
    """
    last = [run.run_id for run in present][-1:]
    finished = [run.run_id for run in present if run.state is RunState.FINISHED][-1:]
    cards = (Card(name, name, "", "", (), ()) for name in ("integrate", "summary"))
    marked = [marker.run_id for card in cards if (marker := site.markers.load(card)) is not None]
    return frozenset((*last, *finished, *marked))


def _folder(
    site: Site, refs: GitObjects, run: ReplayedRun, keepers: list[str], exports: ExportedRuns | None
) -> RunOnDisk:
    """Return the facts about one run.

    Proofs are only made for a run that may be removed (not in `keepers`).
    """
    folder = RunFolder.of(run.run_id)
    has_raw = IN_RUN.raw in site.store.names(folder)
    if run.run_id in keepers:
        return RunOnDisk(run.run_id, run.state, has_raw)
    exported = exports.where if exports is not None and not exports.problem(run.run_id) else ""
    works = () if exported else tuple(_works(site, refs, run, keepers))
    return RunOnDisk(run.run_id, run.state, has_raw, works, exported)


def _works(
    site: Site, refs: GitObjects, run: ReplayedRun, keepers: Iterable[str]
) -> Iterable[Work]:
    """Yield every bundle and result in a run's folder, with where a copy of it is."""
    folder = RunFolder.of(run.run_id)
    for name in site.store.names(folder):
        if name in NOT_PACKS or name in (IN_RUN.manifest, IN_RUN.plan):
            continue
        digest = site.store.sha256(folder.bundle(name).manifest)
        sound = bool(digest) and not bundle_intact(site.store, name, folder)
        copies = (
            f"run {keeper}"
            for keeper in reversed([*keepers])
            if sound and _has_bundle(site, keeper, name, digest)
        )
        yield Work(f"the bundle of {name}" if digest else name, next(copies, ""))
    result = site.store.sha256(folder.integrator.objects)
    if result:
        yield Work("its merged result", _copy_of_result(site, refs, run, keepers, result))


def _has_bundle(site: Site, keeper: str, pack: str, digest: str) -> bool:
    """Return whether a run that stays has the same bundle, complete."""
    folder = RunFolder.of(keeper)
    same = site.store.sha256(folder.bundle(pack).manifest) == digest
    return same and not bundle_intact(site.store, pack, folder)


def _copy_of_result(
    site: Site, refs: GitObjects, run: ReplayedRun, keepers: Iterable[str], digest: str
) -> str:
    for keeper in reversed([*keepers]):
        if site.store.sha256(RunFolder.of(keeper).integrator.objects) == digest:
            return f"run {keeper}"
    commit = refs.commit_at(run.branch) if run.branch else ""
    try:
        on_branch = (
            bool(commit)
            and bool(run.merged_tree)
            and site.objects.tree_id_of(commit) == run.merged_tree
        )
    except Refusal:
        on_branch = False
    return f"branch {run.branch.removeprefix('refs/heads/')}" if on_branch else ""


def _measured(site: Site, chosen: Chosen) -> Removal:
    path = {
        RemovalKind.RUN: RunFolder.of(chosen.run_id),
        RemovalKind.RAW: RunFolder.of(chosen.run_id).raw,
        RemovalKind.CACHE: chosen.run_id,
    }[chosen.kind]
    run_id = "" if chosen.kind is RemovalKind.CACHE else chosen.run_id
    files = site.store.files(path)
    size = sum(site.store.size(f"{path}/{name}") for name in files)
    return Removal(chosen.kind, run_id, path, chosen.why, chosen.where, len(files), size)
