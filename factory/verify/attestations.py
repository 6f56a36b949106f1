"""Check the digest lists and statements of one run against its evidence.

Does not know whom the verifier trusts: `signatures` decides that.
"""

from __future__ import annotations

from collections.abc import Mapping, Sized
from typing import Any

from factory.log.dsse import Envelope
from factory.verify import paths
from factory.verify.bundle import Bundle
from factory.verify.documents import Policy
from factory.verify.events import RunEvents
from factory.verify.form import FormError, canonical, value_of
from factory.verify.manifests import check_list
from factory.verify.notes import Checkpoint, read_checkpoint, read_envelopes
from factory.verify.objects import tip_of
from factory.verify.run_part import RunPart
from factory.verify.signatures import SignatureCheck
from factory.verify.statements import (
    Execution,
    files,
    first_difference,
    git_objects,
    provenance,
    summary,
    test_result,
)

_LEDGER = (paths.EVENTS, paths.CHECKPOINT, paths.PROOF)
_REPORTS = (*paths.RENDERINGS, f"{paths.Z}/{paths.STATUS}")


class AttestationCheck(RunPart):
    """Check one run's `attestations/`."""

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
        self._signatures(envelopes, policy, own.lines[-1].event.ts_utc if own.lines else "")

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
        recorded = [self._statement(number, payload) for number, payload in enumerate(payloads, 1)]
        listed = [line for line in self.status.packs if line.bundle_sha256]
        if not 0 < len(recorded) - 2 * len(listed) < 3:
            self._miscounted(listed, recorded)
            return
        manifests = {line.pack: line.bundle_sha256 for line in listed}
        due: list[Any] = []
        made_of = []
        for at, line in enumerate(listed):
            bundle = bundles.get(line.pack)
            if bundle is None:
                self.results.gap("statements", f"the bundle of {line.pack} was not re-derived")
                return
            execution = self._execution(line.came_from, own, line.pack)
            made = provenance(
                bundle,
                execution,
                manifests,
                self.seen,
                recorded[2 * at],
                line.reproducible,
                self.run.sizes,
            )
            status = self.seen(f"{bundle.pack}/{paths.STATUS}")
            due += [made, test_result(bundle, status)]
            made_of.append(bundle)
        time = own.lines[-1].event.ts_utc if own.lines else ""
        policy, tree = self.seen(paths.POLICY), self.status.merged_tree
        objects = self.run.read(f"{paths.Z}/{paths.OBJECTS}") if tree else None
        in_git = git_objects(made_of, tree, tip_of(objects or b""))
        for subject in ([in_git] if in_git else []) + [files(about)]:
            kept = recorded[min(len(due), len(recorded) - 1)]
            due.append(summary(self.status, subject, policy, [*due], time, kept))
        if len(due) != len(recorded):
            self._miscounted(listed, recorded)
            return
        same = 0
        for number, (expected, found, payload) in enumerate(
            zip(due, recorded, payloads, strict=True), 1
        ):
            same += self._same(number, expected, found, payload)
        if same == len(due):
            self.results.fact("statements", f"{same} made again from the evidence, byte for byte")

    def _miscounted(self, listed: Sized, recorded: Sized) -> None:
        what = (
            f"expected {2 * len(listed)} statements on bundles, one on Git objects if there are"
            f" any, and one on the run, found {len(recorded)}"
        )
        self.results.wrong("VERIFY_ATTESTATION", paths.STATEMENTS, what)

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

    def _statement(self, number: int, payload: bytes) -> object:
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

    def _signatures(
        self, envelopes: tuple[Envelope, ...], policy: Policy | None, ended: str
    ) -> None:
        checkpoint = self._checkpoint()
        if checkpoint is not None:
            SignatureCheck(self.results, self.context, self.status).check(
                envelopes, checkpoint, policy, ended, self.seen(paths.RUN_MANIFEST)
            )

    def _checkpoint(self) -> Checkpoint | None:
        try:
            return read_checkpoint(self.run.read(paths.CHECKPOINT) or b"")
        except FormError:
            return None  # named where the ledger is checked
