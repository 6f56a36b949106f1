"""Find runs at a place on a disk, what is known around them and which keys are trusted; verify
each.

Rule: everything is only read. A run that never finished has nothing to verify and is reported so.
One that finished by the ledger and has no folder is a finding, unless the ledger says that it was
removed.
"""

from __future__ import annotations

import os
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
    WholeLedger,
    load_checkpoint,
    load_checkpoints,
    load_ledger,
    names_below,
)
from factory.verify.event_forms import FINISHED
from factory.verify.events import Brief, Chain
from factory.verify.folder import DiskFolder, open_folder, read_plain
from factory.verify.form import FormError
from factory.verify.history import contradiction, lost_lines
from factory.verify.names import spell
from factory.verify.notes import CLAIMS, Checkpoint, Key, Way, read_key
from factory.verify.objects import ObjectError
from factory.verify.pins import FILE as TERMS
from factory.verify.pins import NO_PINS, Pins, Threshold, read_pins
from factory.verify.rebuilds import read_rebuild
from factory.verify.repository import RepositoryObjects, find_objects
from factory.verify.results import Gap
from factory.verify.run import Verified, verify_run
from factory.verify.signatures import covered_events
from factory.verify.trees import FOLDER, TreeEntry, Trees, Unknown

PINS = b"factory.keys"
_REMOVED = "gc.removed"
MOST_SIGNATURE = 64 * 1024  # bytes of a file of one signature
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
class Caller:
    """Describe the caller: keys, demanded signatures, repository's work tree (None: none) and HEAD.

    `policy` is the commit that the caller's policy_ref names, None without one; `checkpoints` are
    those that the caller kept, by the names of their files. `written` has number and id of the
    last lines that this user wrote into the ledger of that repository, the earliest first. `now`
    is the caller's clock in seconds, 0 where there is none; `thresholds` are those of the caller's
    own folder of keys; `cosignatures` are files of signatures that were added to the run;
    `due` are the checkpoints that policy asks for, by place, None for one that is not there.
    """

    keys: tuple[Key, ...] = ()
    demand: Demand = OPTIONAL
    repository: Path | None = None
    head: str = ""
    policy: PolicyCommit | None = None
    checkpoints: Mapping[str, Checkpoint] = field(default_factory=lambda: MappingProxyType({}))
    now: float = 0.0
    thresholds: tuple[Threshold, ...] = ()
    written: tuple[tuple[int, str], ...] = ()
    cosignatures: Mapping[str, bytes] = field(default_factory=lambda: MappingProxyType({}))
    due: Mapping[str, Checkpoint | None] = field(default_factory=lambda: MappingProxyType({}))


@dataclass(frozen=True, slots=True)
class _State:
    """Contain a state folder's ledger and checkpoints, read once for all its runs.

    `at_home` is True for the state folder of a repository, False for a copy of one. `covered` is
    how many events lie under a checkpoint that somebody vouches for, `lost` how the ledger lacks
    lines that this user wrote into it.
    """

    ledger: WholeLedger | None
    checkpoints: dict[str, Checkpoint]
    unread: tuple[str, ...]
    last_checkpoint: Checkpoint | None
    at_home: bool
    covered: int = 0
    lost: str = ""

    def events(self, run_id: str, kind: str) -> list[Brief]:
        """Return the events of one type of a run."""
        known = self.ledger.chain.by_run.get(run_id, ()) if self.ledger is not None else ()
        return [event for event in known if event.event_type == kind]

    def removal(self, run_id: str) -> int:
        """Return the number of the event that records a run's removal; 0 if there is none."""
        return max((event.seq for event in self.events(run_id, _REMOVED)), default=0)

    def removed(self, run_id: str) -> bool:
        """Return True if a run was removed by an event that a checkpoint covers: anybody can append
        a line.
        """
        return 0 < self.removal(run_id) <= self.covered


def verify_at(place: Path, asked: Caller) -> Verified:
    """Verify one run's folder, wherever it is. Raise Unreadable if it is no folder."""
    root = place.absolute()
    state = root.parent.parent if root.parent.name == paths.RUNS else None
    return _verify(root, _state(state, asked) if state is not None else None, asked)


def verify_run_of(state: Path, run_id: str, asked: Caller) -> Verified | None:
    """Verify the run of that id, or the last finished one (""); return None if there is no such
    run.

    Raise Unreadable.
    """
    known = _state(state, asked)
    name = run_id or _last(known)
    found = _found(state, name, known, asked) if name else None
    return found or _rolled_back(known, asked)


def verify_state(state: Path, asked: Caller) -> Iterator[Verified]:
    """Verify every run of a state folder: those on disk, then those that only the ledger names.

    Where there is none, yield what the checkpoints contradict.
    """
    known = _state(state, asked)
    names = names_below(state / paths.RUNS)
    rolled_back = None if names or _all_finished(known) else _rolled_back(known, asked)
    if rolled_back is not None:
        yield rolled_back
    for name in [*names, *sorted(_all_finished(known) - set(names))]:
        try:
            found = _found(state, name, known, asked)
        except Unreadable as error:
            found = _absent(name, finding=str(error))
        if found is not None:
            yield found


def verify_since(state: Path, size: int, asked: Caller) -> Iterator[Verified]:
    """Verify every run that finished after the first `size` events of the ledger, the earliest
    first. Where there is none, yield what the checkpoints contradict.
    """
    known = _state(state, asked)
    ends = {run_id: end for run_id, end in _ends(known).items() if end > size}
    rolled_back = None if ends else _rolled_back(known, asked)
    if rolled_back is not None:
        yield rolled_back
    for name in sorted(ends, key=lambda name: (ends[name], name)):
        try:
            found = _found(state, name, known, asked)
        except Unreadable as error:
            found = _absent(name, finding=str(error))
        if found is not None:
            yield found


def _found(state: Path, name: str, known: _State, asked: Caller) -> Verified | None:
    """Return a run of a state folder, verified or as the ledger reports it; None if nothing is
    known.
    """
    place = state / paths.RUNS / name
    if place.is_symlink():
        return _absent(name, finding="expected the folder of a run, found a symbolic link")
    settled = (
        (place / paths.RUN_MANIFEST).exists() or name in known.checkpoints or name in known.unread
    )
    if place.is_dir() and (settled or _finished(known, name)):
        return _verify(place, known, asked)
    if place.is_dir() and known.ledger is None:
        return _absent(
            name,
            finding=f"expected {paths.RUN_MANIFEST} or a ledger that names this run, found neither",
        )
    if place.is_dir():
        return _absent(name, gap="it never finished, so nothing of it was settled")
    if known.removed(name):
        return _absent(name, gap="its evidence was removed, as the ledger records")
    if not _finished(known, name):
        return None
    what = "expected the evidence of a run that the ledger says finished, found none"
    if number := known.removal(name):
        what += f": event {number} records its removal, and no checkpoint covers that event"
    return _absent(name, finding=what)


def _last(known: _State) -> str:
    """Return the id of the run that finished last, even if its folder is missing; "" if none did.

    The checkpoint that a run keeps says so even where the ledger lost the run. A run that was
    removed does not count.
    """
    here = {name: size for name, size in _ends(known).items() if not known.removed(name)}
    return max(here, key=lambda name: (here[name], name), default="")


def _ends(known: _State) -> dict[str, int]:
    """Return the number of the event that finished each run, by ledger or by the run's own
    checkpoint.
    """
    ends = {name: checkpoint.size for name, checkpoint in known.checkpoints.items()}
    for run_id in _all_finished(known):
        last = known.events(run_id, FINISHED)[-1].seq
        ends[run_id] = max(last, ends.get(run_id, 0))
    return ends


def _rolled_back(known: _State, asked: Caller) -> Verified | None:
    """Return what speaks against the ledger outside of any run: checkpoints, lines that this user
    wrote, its chain; None if nothing.
    """
    kept = {f"the checkpoint in {name}": one for name, one in asked.checkpoints.items()}
    if known.last_checkpoint is not None:
        kept[f"the checkpoint in {paths.LEDGER_CHECKPOINT}"] = known.last_checkpoint
    chain = known.ledger.chain if known.ledger is not None else Chain()
    problems = [contradiction(chain, name, one) for name, one in kept.items()]
    problems += [f"line {number}: {what}" for number, what in chain.problems[:1]]
    problems += [known.ledger.unread] if known.ledger is not None else []
    wrong = [
        Finding(
            "VERIFY_ROLLBACK",
            {"case": "wrong", "file": paths.LEDGER, "problem": problem},
            location=Location(paths.LEDGER),
        )
        for problem in (*problems, known.lost)
        if problem
    ]
    return Verified("", "", 0, tuple(wrong), (), ()) if wrong else None


def _absent(name: str, gap: str = "", finding: str = "") -> Verified:
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


def _state(state: Path, asked: Caller) -> _State:
    checkpoints, unread = load_checkpoints(state / paths.RUNS)
    try:
        last = load_checkpoint(state / paths.LEDGER_CHECKPOINT)
    except FileNotFoundError:
        last = None  # only commands that append outside of runs write it
    except (OSError, FormError):
        last, unread = None, (*unread, paths.LEDGER_CHECKPOINT)
    ours = (*checkpoints.values(), *((last,) if last is not None else ()))
    sizes = {one.size for one in (*ours, *asked.checkpoints.values())}
    ledger = load_ledger((state / paths.LEDGER,), sizes)
    covered = 0
    if ledger is not None:
        keys = (*asked.keys, *_policy_pins(asked)[0])
        covered = covered_events(ledger.chain, ours, tuple(asked.checkpoints.values()), keys)
    at_home = state.name == paths.STATE_FOLDER and (state.parent / ".git").exists()
    ours_here = asked.repository is not None and os.path.realpath(state) == os.path.realpath(
        asked.repository / paths.STATE_FOLDER
    )
    chain = ledger.chain if ledger is not None else Chain()
    lost = lost_lines(chain, asked.written) if ours_here else ""
    return _State(ledger, checkpoints, unread, last, at_home, covered, lost)


def _kinds(state: _State, run_id: str) -> frozenset[str]:
    return state.ledger.chain.kinds(run_id) if state.ledger is not None else frozenset()


def _finished(state: _State, run_id: str) -> bool:
    return FINISHED in _kinds(state, run_id)


def _all_finished(state: _State) -> set[str]:
    known = state.ledger.chain.by_run if state.ledger is not None else {}
    return {run_id for run_id in known if _finished(state, run_id)}


def _verify(root: Path, state: _State | None, asked: Caller) -> Verified:
    try:
        run = open_folder(root)
    except OSError as error:
        raise Unreadable(
            f"expected the folder of a run at {str(root)!r}, found: {error.strerror or error}"
        ) from error
    context = Context(
        now=asked.now,
        keys=asked.keys,
        demand=asked.demand,
        named=state is not None,
        kept=asked.checkpoints,
        due=asked.due,
    )
    if state is not None:
        others = {
            name: checkpoint for name, checkpoint in state.checkpoints.items() if name != run.name
        }
        if state.last_checkpoint is not None:
            others[paths.LEDGER_CHECKPOINT] = state.last_checkpoint
        context = replace(
            context,
            ledger=state.ledger,
            others=others,
            unread=state.unread,
            covered=state.covered,
            lost=state.lost,
            ledger_due=state.at_home,
        )
    context = replace(context, cosignatures=_cosignatures(run, state, asked))
    with _repository(run, asked) as (repository, ours):
        pins = _pins(repository, run, asked, ours) if repository is not None else ()
        pinned, thresholds = _policy_pins(asked)
        keys = _unique((*asked.keys, *pinned, *pins))
        context = replace(context, thresholds=(*asked.thresholds, *thresholds))
        context = replace(context, repository=repository, keys=keys)
        verified = replace(verify_run(run, context), place=str(root))
        return _with_rebuild(verified, run, keys) if state is not None else verified


def _cosignatures(run: DiskFolder, state: _State | None, asked: Caller) -> Mapping[str, bytes]:
    """Return the signatures that were added to a run: those next to the runs, then those given."""
    found: dict[str, bytes] = {}
    folder = run.root.parent.parent / paths.SIGNATURES
    for name in names_below(folder) if state is not None else ():
        if name.startswith(f"{run.root.name}.") and name.endswith(paths.SIGNATURE_ENDING):
            try:
                content = read_plain(folder / name, MOST_SIGNATURE)
            except OSError:
                content = b""  # it has no form, and is named
            found[f"{paths.SIGNATURES}/{name}"] = content
    return {**found, **asked.cosignatures}


def _with_rebuild(verified: Verified, run: DiskFolder, keys: tuple[Key, ...]) -> Verified:
    """Return the run with what a statement in the state folder says of a rebuild."""
    place = run.root.parent.parent / paths.REBUILDS / f"{run.root.name}{paths.REBUILD_ENDING}"
    facts, findings = read_rebuild(place, run, verified.run_id, keys)
    return replace(
        verified, facts=(*verified.facts, *facts), findings=(*verified.findings, *findings)
    )


def _unique(keys: Iterable[Key]) -> tuple[Key, ...]:
    """Return each key once, with the strongest reason to trust it, and with the terms that any
    trusted place has for it: what is revoked there is revoked.
    """
    ranked = sorted(keys, key=lambda key: _WAYS.index(key.way))
    found: dict[str, Key] = {}
    for key in ranked:
        known = found.setdefault(key.id, key)
        if known.terms is None and key.terms is not None and key.way not in CLAIMS:
            found[key.id] = replace(known, terms=key.terms)
    return tuple(found.values())


@contextmanager
def _repository(run: DiskFolder, asked: Caller) -> Iterator[tuple[RepositoryObjects | None, bool]]:
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
    repository: RepositoryObjects, run: DiskFolder, asked: Caller, ours: bool
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


def _policy_pins(asked: Caller) -> tuple[tuple[Key, ...], tuple[Threshold, ...]]:
    """Return keys pinned in the commit of policy_ref, read from the caller's own repository, and
    how many of them must have signed. Raise Unreadable where their terms cannot be read.
    """
    policy = asked.policy
    objects = find_objects(asked.repository) if policy and asked.repository else None
    if policy is None or objects is None:
        return (), ()
    with _opened(objects, policy.commit) as repository:
        try:
            entries = _pin_entries(repository, policy.commit)
            terms = entries.get(TERMS.encode("ascii"))
            content = repository.blob(terms.oid) if terms is not None else None
            pins = read_pins(content) if content is not None else NO_PINS
        except (Unknown, ObjectError, FormError) as error:
            place = f"{PINS.decode('ascii')}/{TERMS}"
            what = f"expected terms of keys in {place} of {policy.where}: {error}"
            raise Unreadable(what) from error
        keys = tuple(_pinned(repository, policy.commit, Way.POLICY, policy.where, pins))
    return keys, pins.for_runs()


def _opened(objects: Path, commit: str) -> RepositoryObjects:
    return RepositoryObjects(objects, "sha1" if len(commit) == 40 else "sha256")


def _pin_entries(repository: RepositoryObjects, commit: str) -> Mapping[bytes, TreeEntry]:
    """Return the entries of `factory.keys/` in a commit. Raise Unknown, ObjectError."""
    tree = repository.tree_of_commit(commit)
    trees = Trees("sha1" if len(commit) == 40 else "sha256", {}, repository.tree)
    folder = trees.at(tree, (PINS,)) if tree else None
    return trees.entries(folder.oid) if folder is not None and folder.mode == FOLDER else {}


def _pinned(
    repository: RepositoryObjects, commit: str, way: Way, where: str = "", pins: Pins = NO_PINS
) -> Iterator[Key]:
    """Yield the keys of `factory.keys/*.pub` in a commit; none where it is not at hand."""
    try:
        entries = _pin_entries(repository, commit)
    except (Unknown, ObjectError):
        return
    for name, entry in entries.items():
        try:
            content = repository.blob(entry.oid) if name.endswith(b".pub") else None
            if content is not None:
                yield read_key(content, way, where, pins)
        except (ObjectError, FormError):
            continue  # a key that cannot be read is not trusted
