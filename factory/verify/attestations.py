"""Check lists, envelopes and signatures of one run against its evidence and the signing policy.

Rule: a missing signature is reported, and refused if a key was available or if policy requires one.
A signature by an unavailable key proves nothing and is reported as not checkable.
"""

from __future__ import annotations

from collections.abc import Mapping

from factory.log.dsse import Envelope, pae
from factory.verify import paths
from factory.verify.bundle import Bundle
from factory.verify.context import Context, Demand
from factory.verify.documents import Policy, RunStatus
from factory.verify.events import RunEvents
from factory.verify.folder import Folder
from factory.verify.form import FormError, canonical, value_of
from factory.verify.manifests import Seen, check_list
from factory.verify.notes import (
    PAYLOAD_TYPE,
    Checkpoint,
    Key,
    read_checkpoint,
    read_envelopes,
    signed_by,
)
from factory.verify.results import Results
from factory.verify.statements import Execution, first_difference, provenance, summary, test_result

_LEDGER = (paths.EVENTS, paths.CHECKPOINT, paths.PROOF)
_REPORTS = (
    paths.REPORT,
    paths.REPORT_TEXT,
    paths.REPORT_PAGE,
    paths.JUNIT,
    paths.SARIF,
    f"{paths.Z}/{paths.STATUS}",
)
_STRENGTH = {"optional": 0, "required": 1, "required-from": 2}


class AttestationCheck:
    """Check one run's `attestations/`."""

    def __init__(
        self, results: Results, run: Folder, seen: Seen, context: Context, status: RunStatus
    ) -> None:
        self.results = results
        self.run = run
        self.seen = seen
        self.context = context
        self.status = status

    def check(self, bundles: Mapping[str, Bundle], own: RunEvents, policy: Policy | None) -> None:
        """Check lists, statements and signatures."""
        chosen = self._lists()
        for path, listed in chosen.items():
            check_list(self.results, self.run, self.seen, path, listed)
        envelopes = self._envelopes()
        if envelopes is None:
            return
        about = {
            name: self.seen(name)
            for path in paths.LISTS
            for name in chosen[path]
            if self.seen(name)
        }
        self._statements(
            [envelope.payload for envelope in envelopes],
            bundles,
            own,
            {**about, paths.FILES_LIST: self.seen(paths.FILES_LIST)},
        )
        self._signatures(envelopes, policy)

    def _lists(self) -> dict[str, list[str]]:
        """Return the files that each list must contain."""
        later = {paths.RUN_MANIFEST, paths.STATEMENTS, paths.FILES_LIST, *paths.LISTS}
        files = [path for path in self.run.sizes if path not in later]
        bundles = [
            path
            for path in files
            if path.count("/") == 1 and path.endswith(f"/{paths.BUNDLE_MANIFEST}")
        ]
        return {
            paths.LISTS[0]: bundles,
            paths.LISTS[1]: list(_REPORTS),
            paths.LISTS[2]: list(_LEDGER),
            paths.FILES_LIST: files,
        }

    def _envelopes(self) -> tuple[Envelope, ...] | None:
        content = self.run.read(paths.STATEMENTS)
        if content is None:
            self.results.wrong(
                "VERIFY_MISSING",
                paths.STATEMENTS,
                "expected the statements on this run, found none",
            )
            return None
        try:
            return read_envelopes(content)
        except FormError as error:
            self.results.wrong("VERIFY_FORM", paths.STATEMENTS, str(error))
            return None

    def _statements(
        self,
        payloads: list[bytes],
        bundles: Mapping[str, Bundle],
        own: RunEvents,
        about: Mapping[str, str],
    ) -> None:
        recorded = [self._told(number, payload) for number, payload in enumerate(payloads, 1)]
        listed = [line for line in self.status.packs if line.bundle_sha256]
        if len(recorded) != 2 * len(listed) + 1:
            what = (
                f"expected {2 * len(listed) + 1} statements (two a bundle, one of the run), found"
                f" {len(recorded)}"
            )
            self.results.wrong("VERIFY_ATTESTATION", paths.STATEMENTS, what)
            return
        manifests = {line.pack: line.bundle_sha256 for line in listed}
        due = []
        for at, line in enumerate(listed):
            bundle = bundles.get(line.pack)
            if bundle is None:
                self.results.gap("statements", f"the bundle of {line.pack} was not re-derived")
                return
            execution = self._execution(line.came_from, own, line.pack)
            made = provenance(
                bundle, execution, manifests, self.seen, recorded[2 * at], line.reproducible
            )
            due += [made, test_result(bundle)]
        time = own.lines[-1].event.ts_utc if own.lines else ""
        due.append(summary(self.status, about, self.seen(paths.POLICY), due, time, recorded[-1]))
        held = 0
        for number, (expected, found, payload) in enumerate(
            zip(due, recorded, payloads, strict=True), 1
        ):
            held += self._same(number, expected, found, payload)
        if held == len(due):
            self.results.fact("statements", f"{held} made again from the evidence, byte for byte")

    def _execution(self, came_from: str, own: RunEvents, pack: str) -> Execution:
        run_id = came_from or self.status.run_id
        if not came_from:
            return Execution(run_id, (*own.of("run.started"), *own.of("", pack)))
        ledger = self.context.ledger
        if ledger is None:
            self.results.gap(
                f"provenance of {pack}",
                f"times and properties are recorded by {came_from}, whose events are not at hand",
            )
            return Execution(run_id, None)
        last = own.lines[-1].event.seq if own.lines else 0
        earlier = ledger.chain.run(run_id)
        events = (*earlier.of("run.started"), *earlier.of("", pack))
        return Execution(run_id, tuple(event for event in events if event.seq <= last))

    def _told(self, number: int, payload: bytes) -> object:
        try:
            return value_of(payload)
        except FormError as error:
            self.results.wrong("VERIFY_FORM", paths.STATEMENTS, f"statement {number}: {error}")
            return None

    def _same(self, number: int, expected: object, found: object, payload: bytes) -> bool:
        if canonical(expected) == payload:
            return True
        difference = first_difference(expected, found)
        what = "expected canonical JSON, found another form"
        if difference is not None:
            where, due, there = difference
            what = f"{where}: expected {str(due)[:100]}, found {str(there)[:100]}"
        self.results.wrong("VERIFY_ATTESTATION", paths.STATEMENTS, f"statement {number}: {what}")
        return False

    def _signatures(self, envelopes: tuple[Envelope, ...], policy: Policy | None) -> None:
        checkpoint = self._checkpoint()
        if checkpoint is None:
            return
        ids = tuple(signature.keyid for signature in envelopes[0].signatures) if envelopes else ()
        before = len(self.results.findings)
        for number, envelope in enumerate(envelopes, 1):
            self._envelope(number, envelope, ids)
        self._note(checkpoint, ids)
        self._judge(ids, _demand(self.context.demand, policy, self.status), len(envelopes), before)

    def _checkpoint(self) -> Checkpoint | None:
        try:
            return read_checkpoint(self.run.read(paths.CHECKPOINT) or b"")
        except FormError:
            return None  # named where the ledger is checked

    def _envelope(self, number: int, envelope: Envelope, ids: tuple[str, ...]) -> None:
        if envelope.payload_type != PAYLOAD_TYPE:
            self._wrong(
                paths.STATEMENTS,
                f"statement {number}: expected the type {PAYLOAD_TYPE}, found another",
            )
        found = tuple(signature.keyid for signature in envelope.signatures)
        if found != ids or len(set(ids)) != len(ids):
            self._wrong(
                paths.STATEMENTS,
                f"statement {number}: expected signatures by {_named(ids)}, found {_named(found)}",
            )
        for signature in envelope.signatures:
            key = self._key(signature.keyid)
            message = pae(envelope.payload, PAYLOAD_TYPE)
            if key is not None and not signed_by(key, message, signature.sig):
                what = (
                    f"statement {number}: expected a signature by {signature.keyid} that fits,"
                    " found another"
                )
                self._wrong(paths.STATEMENTS, what)

    def _note(self, checkpoint: Checkpoint, ids: tuple[str, ...]) -> None:
        keys = [self._key(keyid) for keyid in ids]
        if len(checkpoint.signatures) != len(ids):
            found = f"{len(checkpoint.signatures)} signatures"
            self._wrong(
                paths.CHECKPOINT,
                f"expected it signed as the statements are, by {_named(ids)}, found {found}",
            )
            return
        for (name, mark, value), keyid, key in zip(checkpoint.signatures, ids, keys, strict=True):
            if name != checkpoint.origin:
                self._wrong(
                    paths.CHECKPOINT,
                    "expected signatures under the ledger's name, found another name",
                )
            elif key is not None and (
                mark != key.mark_under(name) or not signed_by(key, checkpoint.text, value)
            ):
                self._wrong(
                    paths.CHECKPOINT, f"expected a signature by {keyid} that fits, found another"
                )

    def _judge(self, ids: tuple[str, ...], demand: Demand, count: int, before: int) -> None:
        """Report unless the signers are those that policy requires."""
        keys = [key for key in map(self._key, ids) if key is not None]
        trusted = [key for key in keys if key.how in ("pinned", "given")]
        if demand.policy != "optional":
            named = [key for key in trusted if demand.policy == "required" or key.id in demand.keys]
            if not named:
                asked = (
                    f"by one of {_named(demand.keys)}"
                    if demand.policy == "required-from"
                    else "by a trusted key"
                )
                facts = {"case": "untrusted", "expected": asked, "found": _named(ids)}
                self.results.record("VERIFY_SIGNATURE", paths.CHECKPOINT, facts)
        if not ids and self.status.signing.signer == "at-hand":
            self._wrong(
                paths.CHECKPOINT, "expected signatures, since a key was at hand, found none"
            )
        elif not ids:
            self.results.gap(
                "signatures",
                "nothing is signed: no key was at hand, and nobody vouches for this evidence",
            )
        for keyid in ids:
            if self._key(keyid) is None:
                self.results.gap(
                    "signatures",
                    f"made by {keyid}, whose public key is not at hand; give it with --key FILE",
                )
        if keys and len(self.results.findings) == before:
            by = ", ".join(f"{key.id} ({_HOW[key.how]})" for key in keys)
            self.results.fact(
                "signatures",
                f"{count} envelope{'' if count == 1 else 's'} and the checkpoint by {by}",
            )

    def _key(self, keyid: str) -> Key | None:
        return next((key for key in self.context.keys if key.id == keyid), None)

    def _wrong(self, file: str, what: str) -> None:
        self.results.wrong("VERIFY_SIGNATURE", file, what)


_HOW = {
    "pinned": "trusted: pinned in the repository",
    "given": "trusted: given",
    "own": "your own, not pinned",
    "theirs": "pinned where the run was made, which you do not vouch for",
    "once": (
        "NOT TRUSTED: pinned when the run was made, and no more in the commit that is checked out"
    ),
}


def _named(ids: tuple[str, ...]) -> str:
    return ", ".join(ids) or "nobody"


def _demand(context: Demand, policy: Policy | None, status: RunStatus) -> Demand:
    """Return the strictest signing policy: the caller's, the policy document's, or the
    verdict's.
    """
    asked = [context, Demand(status.signing.policy, status.signing.keys)]
    if policy is not None:
        asked.append(Demand(policy.signing, policy.signing_keys))
    return max(asked, key=lambda demand: _STRENGTH[demand.policy])
