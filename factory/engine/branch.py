"""Make a branch of a PASS run's result in the user's repository: `codex/<RUN_ID>`, or as the
configuration names it, created and never moved.

Order of effects: ledger `branch.prepared` → objects, each checked against its name and durable →
ref by compare-and-swap → ledger `branch.created`. Each step may be repeated, and one function takes
them all: when a person asks, and at the next start for a branch that was prepared when its process
died. The user's branch, index, work tree and stash are no business of this module: it has no way to
reach them.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from factory.engine.result_commit import commit_of, is_own
from factory.evidence.run_intact import refuse_damaged
from factory.git import loose
from factory.git.objects import GitObjects
from factory.model.errors import Refusal
from factory.model.events import BranchAbandoned, BranchCreated, BranchPrepared, IntegrateFinished
from factory.model.evidence import EventDocument, Manifest, RunStatus
from factory.model.evidence_text import EvidenceError, parse_document, sha256
from factory.model.finding import Finding
from factory.model.forms import branch_of
from factory.model.layout import INTEGRATOR, RunFolder
from factory.model.verdict import Status
from factory.plan.site import Site

_EVENTS = frozenset(
    one.event_type for one in (IntegrateFinished, BranchPrepared, BranchCreated, BranchAbandoned)
)
_BUNDLE = INTEGRATOR.objects


@dataclass(frozen=True, slots=True)
class Branched:
    """Describe a branch that contains a run's result. `fresh`: it was created now; `committed`: the
    run's packs were.
    """

    run_id: str
    name: str
    commit: str
    tree: str
    fresh: bool
    committed: bool


def make_branch(site: Site, refs: GitObjects, run_id: str) -> Branched:
    """Make the branch of a PASS run, or find that it is there; one that was prepared and cannot be
    is abandoned.

    The run lock is held. Raise Refusal RUN_UNKNOWN if the run did not PASS, BUNDLE_MANIFEST or
    MERGE_DIFFERS if its result is not what its evidence says, REF_MOVED if the branch points to
    another commit, DISK_UNWRITABLE: then it stays prepared.
    """
    try:
        return _make(site, refs, run_id)
    except Refusal as refusal:
        last = _own(site, run_id)[-1:]
        if last and last[0].event_type == BranchPrepared.event_type and not refusal.of_the_disk:
            abandoned = BranchAbandoned(rc=Status.BLOCKED.exit_code)
            site.ledger.append(abandoned.entry(run_id, last[0].event_id))
        raise


@dataclass(frozen=True, slots=True)
class Result:
    """Contain the result of a PASS: its verdict, the bundle of its objects, and of these the commit
    that it began with, its own, and its tree.
    """

    status: RunStatus
    bundle: bytes
    base: str
    tip: str
    tree: str


def result_of(site: Site, run_id: str) -> Result:
    """Return the result of a PASS run of this user, its objects taken in and compared. Raise
    Refusal as `make_branch`.
    """
    _refuse_foreign(site, run_id)
    status, bundle = _evidence(site, run_id)
    base, tip = site.objects.take_in(bundle)
    if base != status.base_commit or site.objects.tree_id_of(tip) != status.merged_tree:
        facts = {"case": "bundle", "run": run_id, "expected": status.merged_tree}
        raise Refusal(Finding("MERGE_DIFFERS", facts))
    return Result(status, bundle, base, tip, status.merged_tree)


def _make(site: Site, refs: GitObjects, run_id: str) -> Branched:
    result = result_of(site, run_id)
    status, bundle, base, tip = result.status, result.bundle, result.base, result.tip
    name = branch_of(site.config.result_branch, run_id)
    ref = f"refs/heads/{name}"
    events = _own(site, run_id)
    last, cause = next(((event.event_type, event.event_id) for event in reversed(events)), ("", ""))
    there = refs.commit_at(ref)
    made = None
    if is_own(site.config) and not _made_before(events, ref, there):
        packs = tuple(line.pack for line in status.packs)
        made = commit_of(refs, site.config, run_id, status.merged_tree, base, packs)
        tip = made.oid
    elif is_own(site.config):
        tip = there
    fresh = there != tip
    began = site.clock.monotonic()
    if fresh:
        if last != BranchPrepared.event_type:
            prepared = BranchPrepared(ref=ref, commit=tip, tree=status.merged_tree)
            cause = site.ledger.append(prepared.entry(run_id, cause))
        refs.hand_over(bundle)
        if made is not None:
            folder = refs.repository.common_dir / "objects"
            loose.write(folder, "commit", made.content, refs.hash_name, durable=True)
        refs.update_ref(ref, tip, "")
    if fresh or last != BranchCreated.event_type:
        took = int((site.clock.monotonic() - began) * 1000)
        created = BranchCreated(ref=ref, commit=tip, tree=status.merged_tree, duration_ms=took)
        site.ledger.append(created.entry(run_id, cause))
    return Branched(run_id, name, tip, status.merged_tree, fresh, status.packs_committed)


def _made_before(events: Iterable[EventDocument], ref: str, commit: str) -> bool:
    """Return whether an earlier start recorded that it made `ref` at `commit`."""
    made = (BranchCreated.event_type, ref, commit)
    return any(
        (event.event_type, event.details.get("ref"), event.hashes.get("commit")) == made
        for event in events
    )


def recover_branches(site: Site, refs: GitObjects) -> tuple[Finding, ...]:
    """Make or abandon every branch that was prepared. The run lock is held. Raises Refusal
    DISK_UNWRITABLE.
    """
    notes = []
    for run_id in sorted(site.ledger.state().branching):
        try:
            make_branch(site, refs, run_id)
        except Refusal as refusal:
            if refusal.of_the_disk:
                raise
            facts = {"run": run_id, "problem": refusal.sentence}
            notes.append(Finding("BRANCH_ABANDONED", facts))
    return tuple(notes)


def _evidence(site: Site, run_id: str) -> tuple[RunStatus, bytes]:
    """Return the run's verdict and its result, as its manifest names them."""
    refuse_damaged(site, run_id)
    store, run = site.store, RunFolder.of(run_id)
    try:
        manifest = parse_document(Manifest, store.read(run.manifest) or b"")
        status = parse_document(RunStatus, store.read(run.integrator.status) or b"")
    except EvidenceError as error:
        raise _spoilt(run_id, str(error)) from error
    if status.status != Status.PASS.value or not status.merged_tree:
        found = f"{status.status}{'' if status.merged_tree else ' and merged nothing'}"
        raise Refusal(Finding("RUN_UNKNOWN", {"case": "not-pass", "run": run_id, "found": found}))
    expected = {entry.path: entry.sha256 for entry in manifest.files}
    bundle = store.read(run.at(_BUNDLE)) or b""
    for path, found in (
        (_BUNDLE, sha256(bundle)),
        (INTEGRATOR.status, store.sha256(run.integrator.status)),
    ):
        if expected.get(path) != found:
            raise _spoilt(run_id, f"{path} is not the file that it names")
    return status, bundle


def _refuse_foreign(site: Site, run_id: str) -> None:
    """Raise Refusal RUN_UNKNOWN for a run whose end this user did not record here: a commit or a
    restored cache may bring any evidence.
    """
    ends = [
        event.seq
        for event in _own(site, run_id)
        if event.event_type == IntegrateFinished.event_type
    ]
    if ends and ends[-1] < site.ledger.own_since():
        raise Refusal(Finding("RUN_UNKNOWN", {"case": "foreign", "run": run_id}))


def _spoilt(run_id: str, why: str) -> Refusal:
    return Refusal(Finding("BUNDLE_MANIFEST", {"case": "run", "run": run_id, "problem": why}))


def _own(site: Site, run_id: str) -> tuple[EventDocument, ...]:
    """Return the events of a run that its branch depends on: its end, and what was done for the
    branch.
    """
    return tuple(event for event in site.ledger.of_runs((run_id,)) if event.event_type in _EVENTS)
