"""What `verify` needs from this user and this repository: trusted and own keys, the policy, where
runs lie.

Wiring like `factory.engine.wiring`: finds and hands over; decides nothing. Writes nothing, and
makes no state folder: evidence is only read.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from factory.engine.wiring import load_config, user_keys
from factory.files.key_files import UserKeys
from factory.git import repository
from factory.git.ports import Repository
from factory.model.errors import Refusal, UsageError
from factory.model.finding import Finding
from factory.model.layout import ATTESTATIONS, IN_RUN, RUNS, STATE_FOLDER, shown
from factory.model.wording import nearest
from factory.verify import session
from factory.verify.context import Demand, load_checkpoint, names_below
from factory.verify.folder import read_plain
from factory.verify.form import FormError
from factory.verify.notes import Checkpoint, Key, read_key
from factory.verify.run import Verified
from factory.verify.session import Asked, Unreadable

_MOST_BYTES = 16 * 1024


@dataclass(frozen=True, slots=True)
class Witness:
    """What an auditor brings along: files of public keys that they trust, and of checkpoints that
    they kept.
    """

    keys: tuple[Path, ...] = ()
    checkpoints: tuple[Path, ...] = ()


def verify_folder(start: Path, place: Path, witness: Witness) -> tuple[Verified, ...]:
    """The run in the folder `place`, wherever that is. Raises UsageError, Refusal."""
    try:
        found = _repository(start)
    except Refusal:
        found = (
            None  # a copy is verified anywhere; what needs a repository is told as not checkable
        )
    try:
        return (session.verify_at(place, _asked(found, witness)),)
    except Unreadable as error:
        raise UsageError(str(error), f"name the folder that holds {IN_RUN.manifest}") from error


def verify_runs(start: Path, run_id: str, every: bool, witness: Witness) -> tuple[Verified, ...]:
    """The run of that id, the last one that finished (""), or all. Raises Refusal RUN_UNKNOWN,
    UsageError.
    """
    found = _repository(start)
    state = found.root / STATE_FOLDER
    asked = _asked(found, witness)
    if every:
        verified = tuple(session.verify_state(state, asked))
        if not verified:
            raise Refusal(Finding("RUN_UNKNOWN", {"case": "none-made"}))
        return verified
    try:
        one = session.verify_run_of(state, run_id, asked)
    except Unreadable as error:
        facts = {"case": "word", "problem": str(error), "advice": f"runs are in {shown(RUNS)}/"}
        raise Refusal(Finding("RUN_UNKNOWN", facts)) from error
    if one is not None:
        return (one,)
    if not run_id:
        raise Refusal(Finding("RUN_UNKNOWN", {"case": "none"}))
    meant = nearest(run_id, names_below(state / RUNS))
    advice = f"did you mean {meant}?" if meant else f"runs are in {shown(RUNS)}/"
    facts = {"case": "folder", "run": run_id, "advice": advice}
    raise Refusal(Finding("RUN_UNKNOWN", facts))


def _repository(start: Path) -> Repository:
    return repository.discover(start, "HEAD")


def _given_key(path: Path) -> Key:
    try:
        return read_key(read_plain(path, _MOST_BYTES), "given")
    except (OSError, FormError) as error:
        raise UsageError(
            f"expected a public key in {str(path)!r}: {error}",
            "write one with: factory keys export",
        ) from error


def _kept(path: Path) -> Checkpoint:
    try:
        return load_checkpoint(path)
    except (OSError, FormError) as error:
        raise UsageError(
            f"expected a checkpoint in {str(path)!r}: {error}",
            f"keep a copy of a run's {ATTESTATIONS.checkpoint}",
        ) from error


def _asked(found: Repository | None, witness: Witness) -> Asked:
    given = tuple(map(_given_key, witness.keys))
    kept = {str(path): _kept(path) for path in witness.checkpoints}
    if found is None:
        return Asked((*given, *_own(user_keys(None))), checkpoints=kept)
    config, findings = load_config(found.root, {})
    blocking = tuple(finding for finding in findings if finding.blocks)
    if blocking:
        raise Refusal(*blocking)
    demand = Demand(config.signing_policy.value, tuple(config.signing_key_ids))
    return Asked((*given, *_own(user_keys(found.root))), demand, found.root, found.commit, kept)


def _own(keys: UserKeys) -> tuple[Key, ...]:
    """The public halves of this user's keys; a key that must not be used vouches for nothing."""
    try:
        return tuple(Key(own.key, "own") for own in keys.own())
    except Refusal:
        return ()
