"""Find runs at a place on a disk, what is known around them and which keys are trusted; verify
each.

Rule: everything is only read. A run that never finished has nothing to verify and is reported so.
One that finished by the ledger and has no folder is a finding, unless the ledger says that it was
removed.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import MappingProxyType

from factory.model.finding import Finding, Location
from factory.verify import paths
from factory.verify.context import (
    OPTIONAL,
    Context,
    Demand,
    Ledger,
    load_checkpoints,
    load_ledger,
    names_below,
)
from factory.verify.event_forms import FINISHED
from factory.verify.folder import DiskFolder, open_folder
from factory.verify.form import FormError
from factory.verify.names import spell
from factory.verify.notes import Checkpoint, Key, Way, read_key
from factory.verify.objects import ObjectError
from factory.verify.repository import RepositoryObjects, find_objects
from factory.verify.results import Gap
from factory.verify.run import Verified, verify_run
from factory.verify.trees import FOLDER, Trees, Unknown

PINS = b"factory.keys"
_REMOVED = "gc.removed"
_WAYS = tuple(Way)  # the strongest first
_COMMIT = re.compile(rb'"base_commit": "([0-9a-f]{40}(?:[0-9a-f]{24})?)"')


class Unreadable(Exception):
    """Report a place that contains no run: one clause."""


@dataclass(frozen=True, slots=True)
class PolicyCommit:
    """Name the commit whose pins the verifier trusts, and where that comes from, for people."""

    commit: str
    where: str


@dataclass(frozen=True, slots=True)
class Asked:
    """Describe the caller: keys, demanded signatures, repository's work tree (None: none) and HEAD.

    `policy` is the commit that the caller's policy_ref names, None without one; `checkpoints` are
    those that the caller kept, by the names of their files.
    """

    keys: tuple[Key, ...] = ()
    demand: Demand = OPTIONAL
    repository: Path | None = None
    head: str = ""
    policy: PolicyCommit | None = None
    checkpoints: Mapping[str, Checkpoint] = field(default_factory=lambda: MappingProxyType({}))


@dataclass(frozen=True, slots=True)
class _State:
    """Contain a state folder's ledger and checkpoints, read once for all its runs."""

    ledger: Ledger | None
    checkpoints: dict[str, Checkpoint]
    unread: tuple[str, ...]
    at_home: bool
    """True for the state folder of a repository, False for a copy of one."""


def verify_at(place: Path, asked: Asked) -> Verified:
    """Verify one run's folder, wherever it is. Raise Unreadable if it is no folder."""
    root = place.absolute()
    beside = root.parent.parent if root.parent.name == paths.RUNS else None
    return _verify(root, _state(beside, asked) if beside is not None else None, asked)


def verify_run_of(state: Path, run_id: str, asked: Asked) -> Verified | None:
    """Verify the run of that id, or the last finished one (""); return None if there is no such
    run.

    Raise Unreadable.
    """
    known = _state(state, asked)
    name = run_id or _last(state, known)
    return _found(state, name, known, asked) if name else None


def verify_state(state: Path, asked: Asked) -> Iterator[Verified]:
    """Verify every run of a state folder: those on disk, then those that only the ledger names."""
    known = _state(state, asked)
    names = names_below(state / paths.RUNS)
    for name in [*names, *sorted(_all_finished(known) - set(names))]:
        try:
            found = _found(state, name, known, asked)
        except Unreadable as error:
            found = _told(name, finding=str(error))
        if found is not None:
            yield found


def _found(state: Path, name: str, known: _State, asked: Asked) -> Verified | None:
    """Return a run of a state folder, verified or as the ledger reports it; None if nothing is
    known.
    """
    place = state / paths.RUNS / name
    if place.is_symlink():
        return _told(name, finding="expected the folder of a run, found a symbolic link")
    settled = (
        (place / paths.RUN_MANIFEST).exists() or name in known.checkpoints or name in known.unread
    )
    if place.is_dir() and (settled or _finished(known, name)):
        return _verify(place, known, asked)
    if place.is_dir() and known.ledger is None:
        return _told(
            name,
            finding=f"expected {paths.RUN_MANIFEST} or a ledger that names this run, found neither",
        )
    if place.is_dir():
        return _told(name, gap="it never finished, so nothing of it was settled")
    if _REMOVED in _kinds(known, name):
        return _told(name, gap="its evidence was removed, which the ledger tells")
    if _finished(known, name):
        return _told(
            name, finding="expected the evidence of a run that the ledger says finished, found none"
        )
    return None


def _last(state: Path, known: _State) -> str:
    """Return the id of the run that finished last, even if its folder is missing; "" if none did.

    A run that was removed according to the ledger does not count. Without a ledger, it is the run
    with the largest checkpoint, else any.
    """
    if known.ledger is None:
        return max(names_below(state / paths.RUNS), key=lambda name: _size(known, name), default="")
    chain = known.ledger.chain
    done = [
        event
        for events in chain.by_run.values()
        for event in events
        if event.event_type == FINISHED
    ]
    latest = sorted(done, key=lambda event: event.seq, reverse=True)
    return next(
        (event.run_id for event in latest if _REMOVED not in _kinds(known, event.run_id)), ""
    )


def _size(known: _State, name: str) -> int:
    return known.checkpoints[name].size if name in known.checkpoints else 0


def _told(name: str, gap: str = "", finding: str = "") -> Verified:
    place = f"{paths.RUNS}/{spell(name)}"
    wrong = (
        (
            Finding(
                "VERIFY_MISSING",
                {"case": "run", "file": place, "problem": finding},
                location=Location(place),
            ),
        )
        if finding
        else ()
    )
    return Verified(name, "", 0, wrong, (Gap("run", gap),) if gap else (), ())


def _state(state: Path, asked: Asked) -> _State:
    checkpoints, unread = load_checkpoints(state / paths.RUNS)
    known = (*checkpoints.values(), *asked.checkpoints.values())
    at_home = state.name == paths.STATE_FOLDER and (state.parent / ".git").exists()
    return _State(
        load_ledger(state / paths.LEDGER, {one.size for one in known}), checkpoints, unread, at_home
    )


def _kinds(state: _State, run_id: str) -> frozenset[str]:
    return state.ledger.chain.kinds(run_id) if state.ledger is not None else frozenset()


def _finished(state: _State, run_id: str) -> bool:
    return FINISHED in _kinds(state, run_id)


def _all_finished(state: _State) -> set[str]:
    known = state.ledger.chain.by_run if state.ledger is not None else {}
    return {run_id for run_id in known if _finished(state, run_id)}


def _verify(root: Path, state: _State | None, asked: Asked) -> Verified:
    try:
        run = open_folder(root)
    except OSError as error:
        raise Unreadable(
            f"expected the folder of a run at {str(root)!r}, found: {error.strerror or error}"
        ) from error
    context = Context(
        keys=asked.keys, demand=asked.demand, named=state is not None, kept=asked.checkpoints
    )
    if state is not None:
        others = {
            name: checkpoint for name, checkpoint in state.checkpoints.items() if name != run.name
        }
        context = replace(
            context,
            ledger=state.ledger,
            others=others,
            unread=state.unread,
            ledger_due=state.at_home,
        )
    with _repository(run, asked) as (repository, ours):
        pins = _pins(repository, run, asked, ours) if repository is not None else ()
        keys = _unique((*asked.keys, *_policy_pins(asked), *pins))
        context = replace(context, repository=repository, keys=keys)
        return replace(verify_run(run, context), place=str(root))


def _unique(keys: Iterable[Key]) -> tuple[Key, ...]:
    """Return each key once, with the strongest reason to trust it."""
    ranked = sorted(keys, key=lambda key: _WAYS.index(key.way))
    found: dict[str, Key] = {}
    for key in ranked:
        found.setdefault(key.id, key)
    return tuple(found.values())


@contextmanager
def _repository(run: DiskFolder, asked: Asked) -> Iterator[tuple[RepositoryObjects | None, bool]]:
    """Yield (repository, it is the caller's): that around the run, else the caller's, or (None,
    False).
    """
    state = run.root.parent.parent
    own = (
        state.parent
        if run.root.parent.name == paths.RUNS and state.name == paths.STATE_FOLDER
        else None
    )
    places = ((place, find_objects(place)) for place in (own, asked.repository) if place)
    place, objects = next(((place, objects) for place, objects in places if objects), (None, None))
    commit = _base_commit(run)
    with ExitStack() as stack:
        if objects is None or place is None or not commit:
            yield None, False
            return
        try:
            repository = stack.enter_context(_opened(objects, commit))
        except OSError:
            yield None, False
        else:
            yield (
                repository,
                asked.repository is not None and place.resolve() == asked.repository.resolve(),
            )


def _base_commit(run: DiskFolder) -> str:
    """Return the commit that the verdict names, found before anything is parsed."""
    found = _COMMIT.search(run.read(f"{paths.Z}/{paths.STATUS}") or b"")
    return found[1].decode("ascii") if found else ""


def _pins(
    repository: RepositoryObjects, run: DiskFolder, asked: Asked, ours: bool
) -> Iterator[Key]:
    """Yield keys pinned in the caller's HEAD and in the run's base commit.

    Either may be the tree under judgement: these keys are known only so that they can be shown as
    claims. `ours` says that the repository is the caller's.
    """
    if ours and asked.head:
        yield from _pinned(repository, asked.head, Way.CHECKED_OUT)
    base = _base_commit(run)
    if base and not (ours and base == asked.head):
        yield from _pinned(repository, base, Way.BASE)


def _policy_pins(asked: Asked) -> Iterator[Key]:
    """Yield keys pinned in the commit of policy_ref, read from the caller's own repository."""
    policy = asked.policy
    objects = find_objects(asked.repository) if policy and asked.repository else None
    if policy is None or objects is None:
        return
    with _opened(objects, policy.commit) as repository:
        yield from _pinned(repository, policy.commit, Way.POLICY, policy.where)


def _opened(objects: Path, commit: str) -> RepositoryObjects:
    return RepositoryObjects(objects, "sha1" if len(commit) == 40 else "sha256")


def _pinned(repository: RepositoryObjects, commit: str, way: Way, where: str = "") -> Iterator[Key]:
    """Yield the keys of `factory.keys/*.pub` in a commit; none where it is not at hand."""
    try:
        tree = repository.tree_of_commit(commit)
        trees = Trees("sha1" if len(commit) == 40 else "sha256", {}, repository.tree)
        folder = trees.at(tree, (PINS,)) if tree else None
        entries = trees.entries(folder.oid) if folder is not None and folder.mode == FOLDER else {}
    except (Unknown, ObjectError):
        return
    for name, entry in entries.items():
        try:
            content = repository.blob(entry.oid) if name.endswith(b".pub") else None
            if content is not None:
                yield read_key(content, way, where)
        except (ObjectError, FormError):
            continue  # a key that cannot be read is not trusted
