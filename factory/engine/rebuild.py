"""Make a run's packs again from its base commit, in a scratch folder, and compare byte for byte.

Rule: the packs are taken from the base commit, never from the work tree, and the run itself is not
touched. Another action than the run's (another tool, another environment) is no reproduction and no
difference: it is reported as not checkable. Wiring like `factory.engine.wiring`; writes one signed
statement of the outcome into the state folder, where there is a key.
"""

from __future__ import annotations

import contextlib
import enum
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from factory.engine import wiring
from factory.engine.divergence import Sides, first_divergence
from factory.engine.pipeline import RepositoryPipeline
from factory.engine.run import ENVIRONMENT
from factory.engine.wiring import Silent, user_keys
from factory.evidence.attestations import enclose, pae
from factory.files import fs_guard
from factory.files.clock import SystemClock
from factory.files.state_store import StateStore
from factory.git import repository, scratch
from factory.git.git import GitError
from factory.git.objects import GitObjects
from factory.git.ports import Repository
from factory.judge.path_guard import display
from factory.log.dsse import format_envelopes
from factory.log.key import Signature
from factory.model import layout
from factory.model.action import ActionDocument, why_changed
from factory.model.errors import Refusal
from factory.model.evidence import FilesChanged, RunStatus, ScopeLock, StatusDocument
from factory.model.evidence_text import EvidenceError, parse_document, sha256
from factory.model.layout import (
    IN_BUNDLE,
    IN_RUN,
    INTEGRATOR,
    STATE_FOLDER,
    BundleFolder,
    shown,
)
from factory.model.names import CONFIG_FILE
from factory.model.statement import STATEMENT_TYPE, VERIFIER_ID
from factory.model.tree import MODE_EXECUTABLE, Leaf, Tree
from factory.strict import canonical
from factory.version import __version__

REPRODUCTION = "urn:codex-orchestrator:reproduction:1"
_CHANGED = IN_BUNDLE.files_changed
_NAMED = 5  # paths of other results; the diff shows more
_SIDES = Sides("the recorded bundle", "the bundle made again")


class RebuildOutcome(enum.Enum):
    """Name the outcome of one bundle that was made again."""

    SAME = "same"
    DIFFERS = "differs"
    NOT_CHECKABLE = "not-checkable"


@dataclass(frozen=True, slots=True)
class Rebuilt:
    """Describe one pack made again: `what` says where it differs or why it was not checkable;
    `diff` is for reading.
    """

    pack: str
    outcome: RebuildOutcome
    what: str = ""
    file: str = ""
    offset: int = 0
    diff: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Rebuilding:
    """Describe a whole run made again; `statement` is the signed file ("" where nobody could sign),
    `signer` who did.
    """

    packs: tuple[Rebuilt, ...]
    statement: str = ""
    signer: str = ""


def rebuild(start: Path, run: Path, flags: Mapping[str, str]) -> Rebuilding:
    """Make the packs of the run in the folder `run` again, under the policy that the user's
    settings and `flags` name. Raise Refusal, EvidenceError.
    """
    evidence = StateStore(run)
    status = parse_document(RunStatus, evidence.read(INTEGRATOR.status) or b"")
    found = repository.discover(start, "HEAD")
    packs = tuple(line.pack for line in status.packs if line.bundle_sha256)
    wiring.prepare_state(found.root / STATE_FOLDER)
    if not status.packs_committed:
        told = tuple(
            _unchecked(pack, "the packs of that run were not those of its base commit")
            for pack in packs
        )
        return _stated(found, status, evidence, told)
    policy = _policy_of(found, flags)
    try:
        with _scratch(found, status.base_commit, policy) as place:
            pipeline = wiring.pipeline(
                place, {"base_ref": status.base_commit, **policy}, granted=found
            )
            pipeline.run.leave_unsigned()
            told = tuple(_again(pipeline, evidence, packs, place))
    except Absent as absent:
        told = tuple(_unchecked(pack, str(absent)) for pack in packs)
    return _stated(found, status, evidence, told)


class Absent(Exception):
    """Report that the base commit, or a part of it, is not in this repository: one clause."""


@contextlib.contextmanager
def _scratch(found: Repository, commit: str, policy: Mapping[str, str]) -> Iterator[Path]:
    """Yield a repository of its own that borrows the objects; its work tree has packs and
    configuration as committed.

    Raise Absent, Refusal.
    """
    place = Path(tempfile.mkdtemp(prefix="rebuild-", dir=found.root / STATE_FOLDER))
    try:
        try:
            scratch.borrow(found, commit, place)
            _lay_out(found, commit, place, policy)
        except GitError as error:
            raise Absent(
                f"the base commit {commit[:12]} is not whole in this repository: {error.said}"
            ) from error
        yield place
    finally:
        fs_guard.remove_tree(place)


def _policy_of(found: Repository, flags: Mapping[str, str]) -> dict[str, str]:
    """Return the flag that names the policy commit in force: a scratch repository has no refs."""
    commit = wiring.sound_config(found.root, flags).policy_commit
    return {"policy_ref": commit} if commit else {}


def _lay_out(found: Repository, commit: str, place: Path, policy: Mapping[str, str]) -> None:
    """Write what a plan reads from the work tree: raw bytes, whatever filters the repository
    declares.
    """
    private = Path(tempfile.mkdtemp(prefix="objects-", dir=place / ".git"))
    with GitObjects(found, private) as objects:
        tree = objects.tree_of(commit)
        _write(objects, place, ((path, tree.get(path)) for path in (CONFIG_FILE, ".gitignore")))
        config, _ = wiring.load_config(place, policy)
        packs = tree.get(config.packs_folder)
        if isinstance(packs, Tree):
            _write(objects, place, packs.leaves(f"{config.packs_folder}/"))


def _write(
    objects: GitObjects, place: Path, entries: Iterable[tuple[str, Leaf | Tree | None]]
) -> None:
    leaves = {path: entry for path, entry in entries if isinstance(entry, Leaf)}
    contents = objects.read(leaf.oid for leaf in leaves.values()) if leaves else {}
    scratch.put(
        place,
        ((path, contents[leaf.oid], leaf.mode == MODE_EXECUTABLE) for path, leaf in leaves.items()),
    )


def _again(
    pipeline: RepositoryPipeline, evidence: StateStore, packs: tuple[str, ...], place: Path
) -> Iterator[Rebuilt]:
    """Run the packs in order, in the scratch folder, and compare each bundle as it is made."""
    pipeline.begin(Silent())
    try:
        cards = {card.pack: card for card in pipeline.cards() if card.phase == "launch"}
        for card in pipeline.cards():
            if card.phase == ENVIRONMENT:
                pipeline.execute(card)  # a pack whose environment differs has another action
        for pack in _in_order(pipeline, packs):
            problem = _why_not(pipeline, evidence, pack)
            if problem:
                yield _unchecked(pack, problem)
                continue
            result = pipeline.execute(cards[pack])
            made = _files(StateStore(place / STATE_FOLDER), BundleFolder.of(pack))
            if not made:
                said = result.findings[0].attributed if result.findings else "no bundle"
                yield _unchecked(pack, f"it could not be run here: {said}")
            else:
                yield _compared(pack, _files(evidence, pack), made)
    finally:
        pipeline.abandon("made again only to be compared")


def _in_order(pipeline: RepositoryPipeline, packs: tuple[str, ...]) -> tuple[str, ...]:
    known = [card.pack for card in pipeline.cards() if card.phase == "launch"]
    done: list[str] = []
    for pack in packs:
        needs = pipeline.run.planner.planned(pack).needs if pack in known else ()
        done += [name for name in (*needs, pack) if name not in done and name in packs]
    return tuple(done)


def _why_not(pipeline: RepositoryPipeline, evidence: StateStore, pack: str) -> str:
    """Return why a bundle cannot be made again here, one clause; empty where it can."""
    try:
        lock = parse_document(ScopeLock, evidence.read(IN_RUN.bundle(pack).scope_lock) or b"")
        before = parse_document(ActionDocument, evidence.read(IN_RUN.bundle(pack).action) or b"")
        now = pipeline.run.planner.planned(pack).action
    except (EvidenceError, KeyError):
        return "its contract or its action cannot be read"
    if lock.network or lock.network_any:
        return "it used the network"
    changes = why_changed(before, now)
    if changes:
        rows = "; ".join(
            f"{c.part} {c.what} {c.before[:24] or 'absent'} → {c.after[:24] or 'absent'}"
            for c in changes[:3]
        )
        return f"this host would carry out another action: {rows}"
    return ""


def _unchecked(pack: str, why: str) -> Rebuilt:
    return Rebuilt(pack, RebuildOutcome.NOT_CHECKABLE, why)


def _files(store: StateStore, folder: str) -> dict[str, bytes]:
    return {path: store.read(f"{folder}/{path}") or b"" for path in store.files(folder)}


def _compared(pack: str, before: dict[str, bytes], now: dict[str, bytes]) -> Rebuilt:
    """Return the first difference between two bundles, with another verdict and the paths of other
    results before it.
    """
    found = first_divergence(before, now, _SIDES)
    if found is None:
        return Rebuilt(pack, RebuildOutcome.SAME)
    whats = [*_other_verdict(before, now), *_other_files(before, now), f"{pack}/{found.what}"]
    return Rebuilt(
        pack, RebuildOutcome.DIFFERS, "; ".join(whats), found.file, found.offset, found.diff
    )


def _other_verdict(before: dict[str, bytes], now: dict[str, bytes]) -> Iterator[str]:
    """Yield one clause where a pack ended otherwise than on record, with the command or finding
    that says so.
    """
    try:
        one, two = (
            parse_document(StatusDocument, side[IN_BUNDLE.status]) for side in (before, now)
        )
    except (EvidenceError, KeyError):
        return  # the bytes of STATUS.json are named
    if one.status == two.status:
        return
    failed = [f"{check.label} ended with {check.rc}" for check in two.checks if check.rc]
    why = next((finding.message for finding in two.findings), "".join(failed[:1]))
    yield f"it was {one.status}, made again it is {two.status}" + (f": {why}" if why else "")


def _other_files(before: dict[str, bytes], now: dict[str, bytes]) -> Iterator[str]:
    """Yield one clause that names the paths of which the results differ."""
    try:
        one, two = (
            {row.path: row for row in parse_document(FilesChanged, side[_CHANGED]).files}
            for side in (before, now)
        )
    except (EvidenceError, KeyError):
        return  # the bytes of FILES_CHANGED.json are named
    paths = sorted(path for path in one.keys() | two.keys() if one.get(path) != two.get(path))
    if paths:
        more = f" and {len(paths) - _NAMED} more" if len(paths) > _NAMED else ""
        yield f"another result in {', '.join(map(display, paths[:_NAMED]))}{more}"


def _stated(
    found: Repository, status: RunStatus, evidence: StateStore, packs: tuple[Rebuilt, ...]
) -> Rebuilding:
    """Write the outcome as a signed statement next to the runs; unsigned, it is only printed."""
    keys = user_keys(found.root)
    try:
        signer = keys.signer() if any(own.in_use for own in keys.own()) else None
    except Refusal:
        signer = None
    if signer is None:
        return Rebuilding(packs)
    payload = canonical.encode(_statement(status, evidence, packs))
    path = layout.rebuild(status.run_id)
    envelope = enclose(payload, (Signature(signer.key, signer.sign(pae(payload))),))
    StateStore(found.root / STATE_FOLDER).write(path, format_envelopes((envelope,)))
    return Rebuilding(packs, shown(path), signer.key.key_id)


def _statement(
    status: RunStatus, evidence: StateStore, packs: tuple[Rebuilt, ...]
) -> dict[str, object]:
    return {
        "_type": STATEMENT_TYPE,
        "subject": [
            {
                "name": IN_RUN.bundle(one.pack).manifest,
                "digest": {
                    "sha256": sha256(evidence.read(IN_RUN.bundle(one.pack).manifest) or b"")
                },
            }
            for one in packs
        ],
        "predicateType": REPRODUCTION,
        "predicate": {
            "verifier": {"id": VERIFIER_ID, "version": {"codex-orchestrator": __version__}},
            "timeVerified": SystemClock().utc(),
            "resourceUri": f"urn:codex-orchestrator:run:{status.run_id}",
            "baseCommit": status.base_commit,
            "result": _result(packs),
            "packs": [
                {
                    "pack": one.pack,
                    "outcome": one.outcome.value,
                    "what": one.what,
                    "file": one.file,
                    "offset": one.offset,
                }
                for one in packs
            ],
        },
    }


def _result(packs: tuple[Rebuilt, ...]) -> str:
    """Return the outcome of all: one difference decides, and only what was made again wholly is
    REPRODUCED.
    """
    outcomes = {one.outcome for one in packs}
    if RebuildOutcome.DIFFERS in outcomes:
        return "DIFFERENT"
    if RebuildOutcome.SAME not in outcomes:
        return "UNCHECKED"
    return "REPRODUCED" if outcomes == {RebuildOutcome.SAME} else "PARTIAL"
