"""Decide who vouches for one run: whose signatures fit, and whether the verifier trusts them.

Rule: a signature that does not fit is a finding. Signatures that fit by nobody whom the verifier
trusts leave the run intact and not trusted. A key id is a hint: where it names no known key, every
known key is tried. Pins of the tree under judgement are claims. Sources: DSSE v1, C2SP signed-note,
RFC 8032 section 5.1.7.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from factory.log.dsse import Envelope, pae
from factory.model.finding import Finding, Location
from factory.verify import paths
from factory.verify.context import Context, Demand
from factory.verify.cosignatures import check_cosignatures
from factory.verify.documents import Policy, RunStatus
from factory.verify.events import Chain
from factory.verify.notes import CLAIMS, PAYLOAD_TYPE, WORDS, Checkpoint, Key, Way, signed_by
from factory.verify.pins import Threshold
from factory.verify.results import Results

_STRENGTH = {"optional": 0, "required": 1, "required-from": 2}
_ORDER = 2**252 + 27742317777372353535851937790883648493  # of Ed25519's base point


class SignatureCheck:
    """Check the signatures of one run: those of its statements, and that of its checkpoint."""

    def __init__(self, results: Results, context: Context, status: RunStatus) -> None:
        self.results = results
        self.context = context
        self.status = status

    def check(
        self,
        envelopes: tuple[Envelope, ...],
        checkpoint: Checkpoint,
        policy: Policy | None,
        ended: str,
        manifest: str,
    ) -> None:
        """Check every signature, then decide whether somebody who is trusted made them all; the run
        ended then, and its `RUN_MANIFEST.json` has the digest `manifest`.
        """
        ids = self._ids(envelopes[0]) if envelopes else ()
        before = len(self.results.findings)
        signers = [self._signers(number, each, ids) for number, each in enumerate(envelopes, 1)]
        signers.append(self._note(checkpoint, ids))
        everywhere = [key for key in signers[0] if all(key in found for found in signers)]
        demand = strictest(self.context.demand, policy, self.status)
        if not ids and self.status.signing.signer == "at-hand":
            self._wrong(
                paths.CHECKPOINT, "expected signatures, since a key was at hand, found none"
            )
        elif not ids and demand.policy != "optional" and self.status.status == "PASS":
            self._wrong(
                paths.CHECKPOINT, "expected signatures, as the policy of a PASS, found none"
            )
        for keyid in ids:
            if not any(key.id == keyid for key in self.context.keys):
                self.results.gap(
                    "signatures",
                    f"made by {keyid}, whose public key is not at hand; give it with --key FILE",
                )
        if len(self.results.findings) > before:
            return
        if everywhere:
            self._fact(len(envelopes), everywhere)
        others = check_cosignatures(self.results, self.context, self.status.run_id, manifest)
        asked = (demand, self.context.thresholds)
        keys = (self.context.keys, others)
        self.results.untrusted = _untrusted(ids, everywhere, keys, asked, ended) or _uncovered(
            checkpoint, self.context.due
        )
        if self.results.untrusted is None:
            counted = [key.id for key in everywhere if _counts(key, ended)]
            self.results.signers = tuple(dict.fromkeys([*counted, *(key.id for key in others)]))

    def _signers(self, number: int, envelope: Envelope, ids: tuple[str, ...]) -> list[Key]:
        """Return the known keys whose signatures of one statement fit."""
        place = f"statement {number}"
        if envelope.payload_type != PAYLOAD_TYPE:
            what = f"{place}: expected the type {PAYLOAD_TYPE}, found another"
            self._wrong(paths.STATEMENTS, what)
        found = self._ids(envelope)
        if found != ids or len(set(ids)) != len(ids):
            what = f"{place}: expected signatures by {_named(ids)}, found {_named(found)}"
            self._wrong(paths.STATEMENTS, what)
        message = pae(envelope.payload, PAYLOAD_TYPE)
        return [
            key
            for one, keyid in zip(envelope.signatures, found, strict=True)
            if (key := self._signer(paths.STATEMENTS, place, keyid, message, one.sig))
        ]

    def _ids(self, envelope: Envelope) -> tuple[str, ...]:
        """Return the ids of the keys that an envelope names; of a key that is not known here the
        name itself.
        """
        known = {key.dsse_id: key.id for key in self.context.keys}
        return tuple(known.get(one.keyid, one.keyid) for one in envelope.signatures)

    def _note(self, checkpoint: Checkpoint, ids: tuple[str, ...]) -> list[Key]:
        """Return the known keys whose signatures of the checkpoint fit."""
        if len(checkpoint.signatures) != len(ids):
            found = f"{len(checkpoint.signatures)} signatures"
            what = f"expected it signed as the statements are, by {_named(ids)}, found {found}"
            self._wrong(paths.CHECKPOINT, what)
            return []
        signers = []
        for (name, mark, value), keyid in zip(checkpoint.signatures, ids, strict=True):
            if name != checkpoint.origin:
                what = "expected signatures under the ledger's name, found another name"
                self._wrong(paths.CHECKPOINT, what)
                continue
            key = self._signer(paths.CHECKPOINT, "the checkpoint", keyid, checkpoint.text, value)
            if key is not None and mark != key.mark_under(name):
                what = f"expected the mark of {key.id} before its signature, found another"
                self._wrong(paths.CHECKPOINT, what)
            elif key is not None:
                signers.append(key)
        return signers

    def _signer(
        self, file: str, place: str, keyid: str, message: bytes, signature: bytes
    ) -> Key | None:
        """Return the known key that made a signature; None, with a finding unless the key is
        unknown.
        """
        if not _possible(signature):
            what = f"{place}: expected a signature by {keyid}, found bytes that no key makes"
            self._wrong(file, what)
            return None
        known = [key for key in self.context.keys if key.id == keyid]
        for key in known or self.context.keys:
            if not signed_by(key, message, signature):
                continue
            if not known:
                what = f"{place}: expected the id of its key, {key.id}, found {keyid}"
                self._wrong(file, what)
            return key
        if known:
            what = f"{place}: expected a signature by {keyid} that fits, found another"
            self._wrong(file, what)
        return None

    def _fact(self, count: int, keys: Iterable[Key]) -> None:
        by = ", ".join(f"{key.id} ({WORDS[key.way].format(where=key.where)})" for key in keys)
        text = f"{count} envelope{'' if count == 1 else 's'} and the checkpoint by {by}"
        self.results.fact("signatures", text)

    def _wrong(self, file: str, what: str) -> None:
        self.results.wrong("VERIFY_SIGNATURE", file, what)


def covered_events(
    chain: Chain, ours: Iterable[Checkpoint], kept: Iterable[Checkpoint], keys: Iterable[Key]
) -> int:
    """Return how many events of a ledger lie under a checkpoint that somebody vouches for: one that
    the caller kept, or one that a trusted key signed; under any, where there is no such one.
    """
    trusted = [key for key in keys if key.trusted]

    def fits(one: Checkpoint) -> bool:
        return chain.roots.get(one.size) == one.root

    here = [one for one in ours if fits(one)]
    vouched = [one.size for one in here if any(_signed(one, key) for key in trusted)]
    vouched += [one.size for one in kept if fits(one)]
    return max(vouched or [one.size for one in here], default=0)


def _signed(checkpoint: Checkpoint, key: Key) -> bool:
    return any(
        mark == key.mark_under(checkpoint.origin) and signed_by(key, checkpoint.text, value)
        for name, mark, value in checkpoint.signatures
        if name == checkpoint.origin
    )


def strictest(asked: Demand, policy: Policy | None, status: RunStatus) -> Demand:
    """Return the strictest signing policy: the verifier's, the policy document's, or the
    verdict's.
    """
    demands = [asked, Demand(status.signing.policy, status.signing.keys)]
    if policy is not None:
        demands.append(Demand(policy.signing, policy.signing_keys))
    return max(demands, key=lambda demand: _STRENGTH[demand.policy])


def _counts(key: Key, ended: str) -> bool:
    """Return True if a signature by this key vouches for a run that ended then."""
    return key.way not in CLAIMS and not key.refusal(ended)


def _untrusted(
    ids: tuple[str, ...],
    signers: list[Key],
    keys: tuple[tuple[Key, ...], tuple[Key, ...]],
    asked: tuple[Demand, tuple[Threshold, ...]],
    ended: str,
) -> Finding | None:
    """Return why the verifier trusts no signer; None if it trusts one, and as many as it asks
    for. `keys` are those that are known, and those that count and signed later.
    """
    demand, thresholds = asked
    known, others = keys
    given = [key for key in known if key.way is Way.GIVEN]
    trusted = [key for key in signers if _counts(key, ended)]
    unmet = next(
        (one for one in thresholds if one.missing(key.id for key in (*trusted, *others))), None
    )
    found = _named(ids)
    facts: dict[str, str] = {}
    if not ids:
        facts = {"case": "unsigned"}
    elif given and not any(key in given for key in signers):
        # `--key` demands: a signature by another trusted key does not meet it.
        expected = " or ".join(key.id for key in given)
        facts = {"case": "demand", "expected": expected, "found": found}
    elif not signers:
        facts = {"case": "unknown", "found": found}
    elif not trusted and (late := [key for key in signers if key.way not in CLAIMS]):
        facts = {"case": "terms", "found": late[0].id, "why": late[0].refusal(ended)}
    elif not trusted:
        claims = ", ".join(f"{key.id} ({WORDS[key.way]})" for key in signers)
        facts = {"case": "claimed", "found": claims}
    elif demand.policy == "required-from" and not any(key.id in demand.keys for key in trusted):
        facts = {"case": "policy", "expected": _named(demand.keys), "found": found}
    elif unmet is not None:
        expected = f"{unmet.need} of {_named(unmet.of)}"
        both = tuple(dict.fromkeys(key.id for key in (*trusted, *others)))
        facts = {"case": "threshold", "expected": expected, "found": _named(both)}
    if not facts:
        return None
    return Finding("VERIFY_UNTRUSTED", facts, location=Location(paths.CHECKPOINT))


def _uncovered(own: Checkpoint, due: Mapping[str, Checkpoint | None]) -> Finding | None:
    """Return which checkpoint that policy asks for does not cover the run with the checkpoint
    `own`; None if each does. Whether the ledger continues them is asked where the ledger is.
    """
    for place, one in due.items():
        found = ""
        if one is None:
            found = "none"
        elif one.origin != own.origin:
            found = "one of another ledger"
        elif one.size < own.size:
            found = f"one over {one.size} events, of {own.size}"
        if found:
            facts = {"case": "checkpoint", "expected": place, "found": found}
            return Finding("VERIFY_UNTRUSTED", facts, location=Location(paths.CHECKPOINT))
    return None


def _possible(signature: bytes) -> bool:
    """Return True if some key could have made this: its scalar is in range and its point is not
    zero.
    """
    scalar = int.from_bytes(signature[32:], "little")
    return len(signature) == 64 and 0 < scalar < _ORDER and any(signature[:32])


def _named(ids: tuple[str, ...]) -> str:
    return ", ".join(ids) or "nobody"
