"""Answer `factory verify`: re-derive the evidence of runs, and say whether somebody vouches for
it.
"""

from __future__ import annotations

import contextlib
import time
from argparse import Namespace
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from factory.commands.options import Parser, add_refs, flags_of, here, run_id
from factory.engine.wiring import sound_config, user_keys
from factory.evidence.ledger_own import OwnLines
from factory.files.key_files import UserKeys
from factory.files.user_places import user_state_folder
from factory.git import repository
from factory.git.git import find_git
from factory.git.kept_files import read_note, read_ref
from factory.git.ports import Repository
from factory.model.config import Config
from factory.model.errors import Refusal, UsageError
from factory.model.finding import Finding, Location
from factory.model.layout import ATTESTATIONS, IN_RUN, LEDGER, RUNS, STATE_FOLDER, shown
from factory.model.verdict import Status
from factory.model.wording import nearest
from factory.report.answer import CommandResult, finding_row
from factory.verify import session
from factory.verify.context import Demand, load_checkpoint, names_below
from factory.verify.folder import read_plain
from factory.verify.form import FormError
from factory.verify.notes import Checkpoint, Key, Way, read_checkpoint, read_key
from factory.verify.pins import NO_PINS, Pins, read_pins
from factory.verify.results import Fact, Gap
from factory.verify.run import Outcome, Verified
from factory.verify.session import Caller, PolicyCommit, Unreadable

HELP = {
    "verify": (
        """\
usage: factory verify [RUN_ID|--all|--path DIR|--since CHECKPOINT] [OPTION…]

Re-derive the evidence of a run from its bytes, by code that shares nothing with what wrote it:
manifests, bundles, merged tree, verdict, ledger, checkpoints, statements and signatures. Without
a RUN_ID, of the last run that finished. What could not be checked is listed, never counted as
checked. Only reads, but for --record. Ends with 0 VERIFIED, 2 NOT VERIFIED, 1 FAIL, and with 2
where nothing differs and nobody whom you trust signed: INTACT, NOT TRUSTED. You trust your own
keys, those in your folder of keys (factory keys trust --user) and those of --key.

With --rebuild its packs are then run again from its base commit, in a scratch folder, and every
bundle is compared byte for byte; the outcome is stated and signed where there is a key. Only what
was made again, each bundle of it, ends with 0.

  factory verify
  factory verify --path /mnt/copy/factory_20261122_101502_1f0c9a2e_001 --key alice.pub

options
  --all                 every run of this repository
  --path DIR            the run in this folder, copied from anywhere
  --key FILE            the run must be signed by the public key in FILE, or by one of several
  --signature FILE      a signature that somebody added to the run: factory keys sign --file
  --checkpoint FILE     the ledger must continue this checkpoint, kept apart; may be given again
  --since CHECKPOINT    every run that finished after this checkpoint, which the ledger must
                        continue: a file, ref:REF or note:COMMIT (factory ledger export-checkpoint)
  --policy-ref REF      the commit whose configuration and keys are in force: a full name of a ref
  --strict              what could not be checked is refused too
  --rebuild             make the bundles again and compare them
  --record              append the outcome to the ledger, as an event after the run's end
"""
    ),
}

_WIDTH = 12
_BY_PACK = {"VERIFY_MERGE": "merged tree", "VERIFY_STATUS": "verdict", "VERIFY_REPORT": "report"}
_SECTIONS = {
    **_BY_PACK,
    "VERIFY_BASE": "base",
    "VERIFY_PLAN": "plan",
    "VERIFY_JUDGE": "judge",
    "VERIFY_LEDGER": "ledger",
    "VERIFY_ROLLBACK": "ledger",
    "VERIFY_ATTESTATION": "statements",
    "VERIFY_SIGNATURE": "signatures",
    "VERIFY_UNTRUSTED": "signatures",
    "VERIFY_REBUILD": "rebuild",
}
_ORDER = (
    "manifests",
    "bundles",
    "base",
    "merged tree",
    "plan",
    "judge",
    "verdict",
    "report",
    "ledger",
    "statements",
    "signatures",
    "rebuild",
)


def define(command: str, parser: Parser) -> None:
    """Define which runs are verified, and whom to trust."""
    del command
    parser.add_argument("run_id", nargs="?", type=run_id, metavar="RUN_ID")
    parser.add_argument("--all", action="store_true")
    parser.add_argument("--path", type=Path, metavar="DIR")
    parser.add_argument("--since", metavar="CHECKPOINT")
    parser.add_argument("--rebuild", action="store_true")
    parser.add_argument("--strict", action="store_true")
    parser.add_argument("--record", action="store_true")
    parser.add_argument("--key", action="append", type=Path, metavar="FILE", default=[])
    parser.add_argument("--signature", action="append", type=Path, metavar="FILE", default=[])
    parser.add_argument("--checkpoint", action="append", type=Path, metavar="FILE", default=[])
    add_refs(parser, base=False)


def run(command: str, given: Namespace) -> CommandResult:
    """Verify and answer. Raise Refusal, UsageError."""
    del command
    if bool(given.run_id) + given.all + (given.path is not None) + bool(given.since) > 1:
        raise UsageError(
            "expected one of RUN_ID, --all, --path and --since", "see: factory verify --help"
        )
    if given.record and given.path is not None:
        raise UsageError(
            "--record is for runs of this repository, not for --path", "see: factory verify --help"
        )
    if given.signature and (given.all or given.since):
        raise UsageError("--signature is about one run", "see: factory verify --help")
    began = time.monotonic()
    files = (tuple(given.key), tuple(given.checkpoint), tuple(given.signature))
    witness = _Witness(*files, flags_of(given))
    if given.path is not None:
        verified = _verify_folder(here(), given.path, witness)
    elif given.since:
        verified = _verify_since(here(), given.since, witness)
        if not verified:
            line = f"no run has finished since {given.since}, which the ledger continues"
            return CommandResult(Status.PASS, (line,), details={"runs": []})
    else:
        verified = _verify_runs(here(), given.run_id or "", given.all, witness)
    if given.rebuild:
        verified = tuple(_rebuilt(each, witness.flags) for each in verified)
    if given.strict:
        verified = tuple(_strict(each) for each in verified)
    lines = [line for each in verified for line in (*run_lines(each), "")]
    details: dict[str, object] = {"runs": [run_row(each) for each in verified]}
    findings = tuple(finding for each in verified for finding in _findings(each))
    last = verified[0].run_id if len(verified) == 1 else ""
    if given.record:
        _record(verified, int((time.monotonic() - began) * 1000))
    return CommandResult(status_of(verified), tuple(lines[:-1]), findings, last, details)


def _record(verified: Iterable[Verified], took_ms: int) -> None:
    from factory.engine import wiring
    from factory.evidence import verification

    site = wiring.site(here(), {})
    for each in verified:
        counts = (each.files, len(each.findings), len(each.gaps))
        if each.status or each.findings:
            word, status = each.outcome.value, status_of((each,))
            checked = verification.Checked(each.run_id, word, status, took_ms, *counts)
            verification.record(site, checked)


def _rebuilt(verified: Verified, flags: Mapping[str, str]) -> Verified:
    """Return an intact run with what making its bundles again gave."""
    from factory.engine import rebuild

    if not verified.status or not verified.consistent:
        return replace(
            verified,
            gaps=(*verified.gaps, Gap("rebuild", "the evidence itself does not agree", asked=True)),
        )
    try:
        made = rebuild.rebuild(here(), Path(verified.place), flags)
    except Refusal as refusal:
        return replace(
            verified, gaps=(*verified.gaps, Gap("rebuild", refusal.sentence, asked=True))
        )
    differs = [one for one in made.packs if one.outcome is rebuild.RebuildOutcome.DIFFERS]
    unchecked = [one for one in made.packs if one.outcome is rebuild.RebuildOutcome.NOT_CHECKABLE]
    gaps = [Gap(f"rebuild of {one.pack}", one.what, asked=True) for one in unchecked]
    same = sum(one.outcome is rebuild.RebuildOutcome.SAME for one in made.packs)
    facts = (
        [Fact("rebuild", f"{same} of {len(made.packs)} bundles made again, byte for byte")]
        if same
        else []
    )
    facts += [Fact("rebuild", row) for one in differs for row in one.diff]
    who = (
        f"stated in {made.statement}, signed by {made.signer}"
        if made.signer
        else "stated nowhere: no key is at hand"
    )
    return replace(
        verified,
        findings=(
            *verified.findings,
            *(_difference(one.pack, one.file, one.what) for one in differs),
        ),
        gaps=(*verified.gaps, *gaps),
        facts=(*verified.facts, *facts, Fact("rebuild", who)),
    )


def _difference(pack: str, file: str, what: str) -> Finding:
    place = Location(f"{pack}/{file}")
    return Finding("VERIFY_REBUILD", {"found": what}, pack=pack, location=place)


def _strict(verified: Verified) -> Verified:
    """Return the run with every part asked for."""
    return replace(verified, gaps=tuple(replace(gap, asked=True) for gap in verified.gaps))


def _findings(verified: Verified) -> tuple[Finding, ...]:
    """Return what differs; where nothing does, why nobody who is trusted vouches for the run."""
    untrusted = verified.untrusted
    if untrusted is not None and verified.outcome is Outcome.INTACT:
        return (*verified.findings, untrusted)
    return verified.findings


def _lacking(verified: Verified) -> int:
    """Return how many parts were asked for and could not be checked."""
    return sum(gap.asked for gap in verified.gaps)


def status_of(verified: Iterable[Verified]) -> Status:
    """Return PASS where every run that could be verified is VERIFIED; BLOCKED where one is not, or
    none could be.
    """
    known = [each for each in verified if each.status or each.findings or _lacking(each)]
    good = known and all(each.outcome is Outcome.VERIFIED for each in known)
    return Status.PASS if good else Status.BLOCKED


def run_lines(verified: Verified) -> list[str]:
    """Return the lines about one run: what agrees, what does not, what was not checkable, the
    outcome.
    """
    rows = [(fact.section, fact.text) for fact in verified.facts]
    rows += [
        (_section(finding), f"{finding.message}  [{finding.id}]") for finding in _findings(verified)
    ]
    rows.sort(key=lambda row: _ORDER.index(row[0]))
    lines = [
        verified.run_id or shown(LEDGER),
        *(f"  {section:<{_WIDTH}} {text}" for section, text in rows),
    ]
    lines += [f"  {'not-checkable':<{_WIDTH}} {gap.part}: {gap.reason}" for gap in verified.gaps]
    return [*lines, _last_word(verified)]


def _section(finding: Finding) -> str:
    own = "bundles" if finding.pack else "manifests"
    if finding.pack and finding.id in _BY_PACK:
        return own
    return _SECTIONS.get(finding.id, own)


def _last_word(verified: Verified) -> str:
    count = len(verified.findings)
    if count:
        files = len(
            {finding.location.file for finding in verified.findings if finding.location is not None}
        )
        noun = f"{count} finding{'' if count == 1 else 's'}"
        return f"NOT VERIFIED  {noun}" + (f" in {files} of {verified.files} files" if files else "")
    if not verified.status:
        return "NOT VERIFIABLE"
    if _lacking(verified):
        return (
            f"NOT VERIFIED  nothing differs, but {_lacking(verified)} of what was asked for could"
            " not be checked"
        )
    word = "VERIFIED" if verified.outcome is Outcome.VERIFIED else "INTACT, NOT TRUSTED"
    count = len(verified.gaps)
    return f"{word}  {count} part{'' if count == 1 else 's'} not checkable" if count else word


def run_row(verified: Verified) -> dict[str, object]:
    """Return one run for a program."""
    return {
        "run_id": verified.run_id,
        "outcome": verified.outcome.value,
        "signers": list(verified.signers),
        "verdict": verified.status,
        "files": verified.files,
        "facts": [{"section": fact.section, "text": fact.text} for fact in verified.facts],
        "not_checkable": [{"part": gap.part, "reason": gap.reason} for gap in verified.gaps],
        "findings": [finding_row(finding) for finding in _findings(verified)],
    }


_MOST_BYTES = 16 * 1024  # of a public key or a checkpoint


@dataclass(frozen=True, slots=True)
class _Witness:
    """List files that an auditor brings: public keys that they trust, checkpoints that they
    kept, signatures that were added to the run. `flags` are settings of the command line.
    """

    keys: tuple[Path, ...] = ()
    checkpoints: tuple[Path, ...] = ()
    signatures: tuple[Path, ...] = ()
    flags: Mapping[str, str] = field(default_factory=dict)


def _verify_folder(start: Path, place: Path, witness: _Witness) -> tuple[Verified, ...]:
    """Verify the run in the folder `place`, wherever that is. Raise UsageError, Refusal."""
    try:
        found = _repository(start)
    except Refusal:
        found = None  # a copy is verified anywhere; the repository's part is not checkable
    try:
        return (session.verify_at(place, _asked(found, witness)),)
    except Unreadable as error:
        raise UsageError(str(error), f"name the folder that contains {IN_RUN.manifest}") from error


def _verify_runs(start: Path, run_id: str, every: bool, witness: _Witness) -> tuple[Verified, ...]:
    """Verify the run of that id, the last one that finished (""), or all. Raise Refusal
    RUN_UNKNOWN, UsageError.
    """
    found = _repository(start)
    state = found.root / STATE_FOLDER
    asked = _asked(found, witness)
    try:
        if every:
            verified = tuple(session.verify_state(state, asked))
            if not verified:
                raise Refusal(Finding("RUN_UNKNOWN", {"case": "none-made"}))
            return verified
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


def _verify_since(start: Path, word: str, witness: _Witness) -> tuple[Verified, ...]:
    """Verify every run that finished after a checkpoint; () where there is none, and the ledger
    continues the checkpoint. Raise Refusal, UsageError.
    """
    found = _repository(start)
    name, since = _since(found, word)
    asked = _asked(found, witness)
    asked = replace(asked, checkpoints={**asked.checkpoints, name: since})
    try:
        return tuple(session.verify_since(found.root / STATE_FOLDER, since.size, asked))
    except Unreadable as error:
        raise UsageError(str(error), "see: factory verify --help") from error


def _since(found: Repository, word: str) -> tuple[str, Checkpoint]:
    """Return a checkpoint that was kept in a file, a ref or a note, and its name for people. Raise
    UsageError.
    """
    kind, _, rest = word.partition(":")
    if kind == "file":
        return rest, _kept(here() / rest)
    if kind not in ("ref", "note"):
        return word, _kept(here() / word)
    read = read_ref if kind == "ref" else read_note
    try:
        return rest, read_checkpoint(read(find_git(found.root), found, rest))
    except FormError as error:
        raise UsageError(f"expected a checkpoint in {word!r}: {error}", _EXPORT) from error


def _due(found: Repository, places: Iterable[str]) -> dict[str, Checkpoint | None]:
    """Return the checkpoint in each place that policy names; None where none can be read."""
    due: dict[str, Checkpoint | None] = {}
    for place in places:
        try:
            due[place] = _since(found, place)[1]
        except UsageError:
            due[place] = None
    return due


_EXPORT = "keep one with: factory ledger export-checkpoint"


def _repository(start: Path) -> Repository:
    return repository.discover(start, "HEAD")


def _given_key(path: Path) -> Key:
    try:
        return read_key(read_plain(path, _MOST_BYTES), Way.GIVEN, str(path))
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


def _added(path: Path) -> bytes:
    try:
        return read_plain(path, session.MOST_SIGNATURE)
    except OSError as error:
        what = f"expected a signature in {str(path)!r}: {error.strerror or error}"
        raise UsageError(what, "make one with: factory keys sign") from error


def verified_by(run_id: str, path: Path | None, flags: Mapping[str, str]) -> Verified:
    """Return one run, verified with the keys and the policy of this user: that of the id, or the
    one in the folder `path`. Raise Refusal, UsageError.
    """
    witness = _Witness(flags=flags)
    if path is not None:
        return _verify_folder(here(), path, witness)[0]
    return _verify_runs(here(), run_id, False, witness)[0]


def _asked(found: Repository | None, witness: _Witness) -> Caller:
    given = tuple(map(_given_key, witness.keys))
    kept = {str(path): _kept(path) for path in witness.checkpoints}
    own = user_keys(found.root if found is not None else None)
    pins = _users_pins(own)
    keys = (*given, *_users(own, pins))
    added = {str(path): _added(path) for path in witness.signatures}
    if found is None:
        alone = Caller(keys, checkpoints=kept, now=time.time(), thresholds=pins.for_runs())
        return replace(alone, cosignatures=added)
    config = sound_config(found.root, witness.flags)
    due = _due(found, config.evidence_checkpoints)
    kept |= {place: one for place, one in due.items() if one is not None}
    return Caller(
        keys,
        Demand(config.signing_policy.value, tuple(config.signing_key_ids)),
        found.root,
        found.commit,
        policy_commit(config),
        kept,
        time.time(),
        pins.for_runs(),
        _written(found.root / STATE_FOLDER),
        added,
        due,
    )


def _written(state: Path) -> tuple[tuple[int, str], ...]:
    """Return number and id of the last lines that this user wrote into a ledger, after the line
    before them; () where nothing is remembered.
    """
    known = OwnLines(user_state_folder() / "ledgers", state).known()
    if known is None:
        return ()
    own = enumerate(known.ids, known.before.seq + 1)
    return ((known.before.seq, known.before.event_id), *own)


def policy_commit(config: Config) -> PolicyCommit | None:
    """Return the commit whose pins the user trusts, and the words for where it is named; None
    without one: only the user's file, variable or flag may name it.
    """
    if not config.policy_commit:
        return None
    return PolicyCommit(config.policy_commit, config.policy_ref)


def _users(keys: UserKeys, pins: Pins) -> Iterator[Key]:
    """Yield the public halves of this user's keys, and the keys in their folder of keys, with their
    terms.

    Own keys vouch for nothing where one of them must not be used. Raise Refusal where a file of
    the folder of keys must not be used.
    """
    with contextlib.suppress(Refusal):
        yield from [
            Key(own.key, Way.OWN, terms=pins.terms_of(own.key.key_id)) for own in keys.own()
        ]
    for key in keys.trusted():
        yield Key(key, Way.USER, terms=pins.terms_of(key.key_id))


def _users_pins(keys: UserKeys) -> Pins:
    """Return what this user's trusted keys are for. Raise UsageError where that cannot be read."""
    content = keys.terms()
    try:
        return read_pins(content) if content is not None else NO_PINS
    except FormError as error:
        raise UsageError(
            f"expected terms of keys in your folder of keys: {error}", "see: docs/factory/VERIFY.md"
        ) from error
