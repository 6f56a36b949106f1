"""Compare a run's events about one pack with its bundle: where it was made, how, and its
validation.

Does not know the run's result.
"""

from __future__ import annotations

from factory.verify import paths
from factory.verify.bundle import Bundle
from factory.verify.comparison import Comparison, digest
from factory.verify.documents import PackLine
from factory.verify.execution import MADE, ExecutionCheck
from factory.verify.verdict import EXIT_CODES


class PackBindings:
    """Check what the events of a run say of one pack."""

    def __init__(self, comparison: Comparison, line: PackLine, bundle: Bundle) -> None:
        self.comparison = comparison
        self.own = comparison.own
        self.line = line
        self.bundle = bundle
        self.differs = comparison.differs
        self.files = sum(path.startswith(f"{line.pack}/") for path in comparison.run.sizes)

    def check(self) -> None:
        """Compare all events about the pack."""
        line, pack = self.line, self.line.pack
        made = [event for event in self.own.of("", pack) if event.event_type in MADE]
        if line.came_from:
            self._copied()
            self.differs(f"events of {pack}, which an earlier run made", 0, len(made))
        else:
            self.differs(
                f"whether {pack} was copied from another run",
                False,
                bool(self.own.of("bundle.copied", pack)),
            )
        if made and not line.came_from:
            ExecutionCheck(self.comparison, self.bundle, self.own, paths.EVENTS, raw=True).check()
            self._sandbox()
        elif not line.came_from and line.status == "PASS":
            self.differs(f"whether it says that {pack} was run", True, False)
        elif not line.came_from:
            self.comparison.results.gap(
                f"making of {pack}'s bundle",
                "this run did not run the pack, and the ledger names no other",
            )
        self._validated(bool(made))
        self._reproducible()

    def _sandbox(self) -> None:
        """Report required properties that were neither in force nor accepted as missing.

        Without them the pack must not have started.
        """
        due = set(self.bundle.lock.required_properties) - set(
            self.comparison.status.properties_accepted
        )
        for event in self.own.of("pack.started", self.line.pack):
            lacking = sorted(due - set(event.details.get("properties", "").split()))
            self.comparison.says(
                event, ("properties that lacked in the sandbox", "", " ".join(lacking))
            )

    def _validated(self, made: bool) -> None:
        """Check that a validation is of this very bundle, and that a PASS made here has one.

        The validation may be that of an earlier run that made the same bundle.
        """
        pack = self.line.pack
        recorded = self.own.of("bundle.validated", pack)
        self.differs(f"validations of {pack}, at most one", len(recorded[:1]), len(recorded))
        known = {row.id for row in self.bundle.status.findings}
        own = [
            row
            for row in self.comparison.status.findings
            if row.pack == pack and row.severity == "error"
        ]
        refused = any(row.id not in known for row in own)
        for event in recorded:
            self.comparison.says(event, digest(event, "manifest", self.bundle.manifest))
            self.comparison.says(event, ("files", self.files, event.file_counts.get("files")))
            if not refused:
                self.comparison.says(event, ("rc", 0, event.rc))
            elif event.rc not in EXIT_CODES.values():
                self.comparison.says(event, ("rc", "one of a verdict", event.rc))
        if not recorded and made and self.comparison.status.status == "PASS":
            self._validated_before()

    def _validated_before(self) -> None:
        """Find the validation of the same bundle in earlier runs: equal bytes are not validated
        again.
        """
        ledger, part = self.comparison.context.ledger, f"validation of {self.bundle.pack}'s bundle"
        if ledger is None:
            self.comparison.results.gap(
                part, "this run did not validate it, and the events of earlier runs are not at hand"
            )
            return
        kinds = ("pack.finished", "bundle.validated")
        others = [
            run_id
            for run_id in ledger.chain.by_run
            if run_id not in ("", self.comparison.status.run_id)
        ]
        made, validated = (
            any(
                event.hashes.get("manifest") == self.bundle.manifest
                for run_id in others
                for event in ledger.chain.run(run_id).of(kind, self.bundle.pack)
            )
            for kind in kinds
        )
        if not made and not validated:
            self.differs(f"validations of {self.bundle.pack}", 1, 0)
        elif not validated:
            self.comparison.results.gap(
                part, "an earlier run made the same, and no event says that it was validated"
            )

    def _reproducible(self) -> None:
        """Check that a bundle is called reproducible exactly if this run recorded the event that
        showed it.
        """
        own = (self.bundle.status.action_key, self.bundle.manifest)
        recorded = self.own.of("pack.reproducible", self.line.pack)
        said = [
            (event.hashes.get("action_key", ""), event.hashes.get("manifest", ""))
            for event in recorded
        ]
        self.differs(
            f"what showed {self.line.pack} reproducible",
            [own] if self.line.reproducible else [],
            said,
        )
        if not self.line.reproducible:
            return
        if self.bundle.lock.network or self.bundle.lock.network_any:
            self.differs(
                f"whether {self.line.pack}, which declares the network, is called reproducible",
                False,
                True,
            )
        if self.bundle.lock.learn:
            what = f"whether {self.line.pack}, whose attempts learn, is called reproducible"
            self.differs(what, False, True)
        ledger = self.comparison.context.ledger
        if ledger is None:
            self.comparison.results.gap(
                f"what showed {self.line.pack} reproducible", "the whole ledger is not at hand"
            )
            return
        shown = {
            event.event_id
            for event in ledger.chain.run("").of("determinism.shown", self.line.pack)
            if own == (event.hashes.get("action_key", ""), event.hashes.get("manifest", ""))
        }
        if not shown:
            self.differs(
                f"determinism.shown for {self.line.pack}",
                "an event of this action and bundle",
                "none",
                paths.LEDGER,
            )
        for event in recorded if shown else ():
            if event.hashes.get("shown") not in shown:
                self.comparison.says(
                    event, ("shown", " or ".join(sorted(shown)), event.hashes.get("shown"))
                )

    def _copied(self) -> None:
        """Check a bundle of an earlier run: this run's record of the copy, and that run's
        events.
        """
        recorded = [
            (
                event.hashes.get("manifest"),
                event.details.get("from_run"),
                event.file_counts.get("files"),
            )
            for event in self.own.of("bundle.copied", self.line.pack)
        ]
        due = [(self.bundle.manifest, self.line.came_from, self.files)]
        self.differs(f"where {self.line.pack}'s bundle came from", due, recorded)
        ledger = self.comparison.context.ledger
        if ledger is None:
            reason = f"it was made by {self.line.came_from}, whose events are not at hand"
            self.comparison.results.gap(f"making of {self.line.pack}'s bundle", reason)
            return
        events = ledger.chain.run(self.line.came_from)
        ExecutionCheck(self.comparison, self.bundle, events, paths.LEDGER, raw=False).check()
