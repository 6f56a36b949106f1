"""Describe a run's signatures in one sentence: who signed, whether it fits, whether you trust them.

Never a verdict: whether the evidence under a signature agrees is for `verify` to say.
"""

from __future__ import annotations

from factory.evidence.attestations import pae, parse_envelopes
from factory.evidence.signing import pinned_keys
from factory.log.checkpoint import KeptCheckpoint, parse_kept
from factory.log.dsse import Envelope
from factory.log.key import PublicKey
from factory.log.signed_note import NoteError, NoteKey, signers
from factory.model.errors import Refusal
from factory.model.evidence_text import EvidenceError
from factory.model.layout import RunFolder
from factory.plan.site import Site


def signed_as(site: Site, run_id: str) -> str:
    """Return who signed a run, as far as its statements name keys, and whether these are pinned.
    Check no signature.
    """
    try:
        envelopes = _envelopes(site, run_id)
        pinned = pinned_keys(site)
    except (EvidenceError, Refusal):
        return "its signatures cannot be read: factory verify"
    named = _named(envelopes)
    if not named:
        return "unsigned (no key was at hand: factory keys new)"
    known = {key.dsse_id: key.key_id for key in (*_own(site), *pinned)}
    strange = (
        ""
        if {key.dsse_id for key in pinned}.issuperset(named)
        else ", not pinned (factory keys trust)"
    )
    return f"signed by {', '.join(sorted(known.get(name, name) for name in named))}{strange}"


def signature_status(site: Site, run_id: str) -> str:
    """Return one sentence: whether one key signed every statement of a run and its checkpoint, and
    whether this user trusts it.
    """
    try:
        envelopes = _envelopes(site, run_id)
        kept = parse_kept(site.store.read(RunFolder.of(run_id).attestations.checkpoint) or b"")
        own, trusted, pinned = _own(site), site.keys.trusted(), pinned_keys(site)
    except (EvidenceError, NoteError, Refusal) as error:
        return f"NOT VERIFIED: {error}"
    named = _named(envelopes)
    if not named and kept.note is None:
        return "NOT TRUSTED: nobody signed this run"
    key = next((key for key in (*own, *trusted, *pinned) if {key.dsse_id} == named), None)
    if key is None:
        return (
            f"NOT TRUSTED: signed by {', '.join(sorted(named)) or 'nobody'}, whose public key is"
            " not known here"
        )
    if not _all_fit(site, key, envelopes, kept):
        return (
            f"NOT VERIFIED: a signature by {key.key_id} is missing or does not fit; see: factory"
            f" verify {run_id}"
        )
    if key not in (*own, *trusted):
        return (
            f"NOT TRUSTED: signed by {key.key_id}, which only the repository pins: compare it with"
            f" its holder, then: factory keys trust --user {key.key_id}"
        )
    whose = "which is your own" if key in own else "which you trust"
    return f"signed by {key.key_id}, {whose}; whether the evidence agrees: factory verify {run_id}"


def _all_fit(
    site: Site, key: PublicKey, envelopes: tuple[Envelope, ...], kept: KeptCheckpoint
) -> bool:
    note = NoteKey(kept.checkpoint.origin, key)
    try:
        fits = kept.note is not None and signers(kept.note, (note,), site.keys.check) == (note,)
    except NoteError:
        return False
    return fits and all(
        [site.keys.check(key, pae(envelope.payload), one.sig) for one in envelope.signatures]
        == [True]
        for envelope in envelopes
    )


def _envelopes(site: Site, run_id: str) -> tuple[Envelope, ...]:
    return parse_envelopes(site.store.read(RunFolder.of(run_id).attestations.statements) or b"")


def _named(envelopes: tuple[Envelope, ...]) -> set[str]:
    """Return the ids that envelopes name keys by."""
    return {signature.keyid for envelope in envelopes for signature in envelope.signatures}


def _own(site: Site) -> tuple[PublicKey, ...]:
    """Return the public halves of this user's keys; none where one must not be used."""
    try:
        return tuple(own.key for own in site.keys.own())
    except Refusal:
        return ()
