"""Compare a run's events with its evidence: every event that exists, and every one that must exist.

Rule: every member of an event has its counterpart in the evidence, or is known from the writer
alone; a test lists the latter, each with its reason. A file that was reported as changed is not
compared again. Does not know chains.
"""

from __future__ import annotations

from collections.abc import Mapping

from factory.verify import paths
from factory.verify.bundle import Bundle
from factory.verify.comparison import Comparison, digest
from factory.verify.documents import Event, FilesChanged, Merge
from factory.verify.event_forms import FINISHED, PREPARED, RECOVERY, STARTED, problems
from factory.verify.execution import MADE
from factory.verify.pack_bindings import PackBindings
from factory.verify.reused import ReusedChecks
from factory.verify.verdict import EXIT_CODES, of_findings


class Bindings(Comparison):
    """Check one run's own events against its evidence."""

    def check(self, bundles: Mapping[str, Bundle]) -> None:
        """Compare all events with the evidence that was not reported already."""
        for event in (line.event for line in self.own.lines):
            for what, expected, found in problems(event):
                self.differs(f"event {event.seq} ({event.event_type}), {what}", expected, found)
        if not self.whole(f"{paths.Z}/{paths.STATUS}"):
            return
        self._run()
        self._locks()
        self._preflight(bundles)
        self._merge(bundles)
        self._rechecks()
        ReusedChecks(self, bundles).check()
        names = {line.pack for line in self.status.packs}
        about = {event.details["pack"] for event in self.events() if "pack" in event.details}
        self.differs("packs that only events name", "", ", ".join(sorted(about - names)))
        for line in self.status.packs:
            bundle = bundles.get(line.pack)
            for event in self.own.of("pack.abandoned", line.pack):
                self.says(
                    event,
                    ("what it left", "no bundle", "one" if line.bundle_sha256 else "no bundle"),
                )
                if (
                    event.rc not in (EXIT_CODES["FAIL"], EXIT_CODES["BLOCKED"])
                    or line.status == "PASS"
                ):
                    self.says(
                        event,
                        (
                            "rc and the verdict on the pack",
                            "those of a refusal",
                            (event.rc, line.status),
                        ),
                    )
            if line.bundle_sha256 and bundle is not None and self.whole(f"{line.pack}/"):
                PackBindings(self, line, bundle).check()

    # ── the run itself ───────────────────────────────────────────────────────

    def _run(self) -> None:
        """Compare its start and its two ends."""
        status = self.status
        code = EXIT_CODES[status.status]
        for event in self.own.of(STARTED):
            self.says(event, digest(event, "base_commit", status.base_commit))
            self.says(event, ("base_ref", status.base_ref, event.details.get("base_ref")))
            self._plan(event)
        prepared = self.own.of(PREPARED)
        self.differs(f"events {PREPARED}", 1, len(prepared))
        for event in prepared:
            self.says(event, digest(event, "status", self.seen(f"{paths.Z}/{paths.STATUS}")))
            self.says(
                event, digest(event, "merged_tree", status.merged_tree), ("rc", code, event.rc)
            )
            self.says(event, ("packs", len(status.packs), event.file_counts.get("packs")))
        changed = self.document(FilesChanged, f"{paths.Z}/{paths.FILES_CHANGED}")
        if changed is not None:
            left_out = (changed.ignored_dropped, changed.discarded, changed.outside_dropped)
            self.differs("files that the merge left out", (0, 0, 0), left_out)
        for event in self.own.of(FINISHED):
            if self.whole(paths.REPORT):
                self.says(event, digest(event, "report", self.seen(paths.REPORT)))
            self.says(
                event, digest(event, "merged_tree", status.merged_tree), ("rc", code, event.rc)
            )
            self.says(event, ("status", status.status, event.details.get("status")))
            if self.whole(f"{paths.Z}/{paths.FILES_CHANGED}"):
                files = len(changed.files) if changed is not None else 0
                self.says(event, ("changed", files, event.file_counts.get("changed")))

    def _plan(self, event: Event) -> None:
        """Compare the digest of the plan; a run that could not be planned has neither."""
        if self.whole(paths.PLAN):
            found = self.seen(paths.PLAN) if paths.PLAN in self.run.sizes else ""
            self.says(event, digest(event, "plan", found))

    def _locks(self) -> None:
        """Check that each lock is taken once, and released once (or never, if its owner died).

        Packs must have run under their own locks.
        """
        kinds = ("lock.taken", "lock.released")
        by_name: dict[str, list[str]] = {
            "run": [],
            **{f"pack-{line.pack}": [] for line in self.status.packs},
        }
        for event in (event for event in self.events() if event.event_type in kinds):
            name = event.details.get("lock", "")
            self.says(
                event,
                (
                    "lock",
                    f"pack-{event.details['pack']}" if "pack" in event.details else "run",
                    name,
                ),
            )
            by_name.setdefault(name, []).append(event.event_type)
        # A run that broke off in good order gave its lock back; a later start, under a lock of its
        # own, finished it.
        broke_off = tuple(by_name["run"]) == kinds and {
            event.actor for event in self.own.of(FINISHED)
        } == {RECOVERY}
        if not broke_off:
            self.differs(
                "what became of the run's lock before its end", kinds[:1], tuple(by_name["run"])
            )
        for line in self.status.packs:
            recorded = tuple(event.event_type for event in self.own.of("", line.pack))
            found = tuple(by_name[f"pack-{line.pack}"])
            if "pack.finished" in recorded and (line.bundle_sha256 or line.status == "PASS"):
                order = (
                    "lock.taken",
                    *(kind for kind in recorded if kind in MADE),
                    "lock.released",
                )
                self.differs(f"the lock around the events of {line.pack}", kinds, found)
                self.differs(
                    f"its place around {line.pack}",
                    order,
                    tuple(k for k in recorded if k in {*MADE, *kinds}),
                )
            elif found not in ((), kinds, kinds[:1]) or ("pack.started" in recorded and not found):
                self.differs(f"the lock of {line.pack}", kinds, found)

    def _preflight(self, bundles: Mapping[str, Bundle]) -> None:
        """Check preflight: recorded once, or not at all if it was up to date; a run that PASSes
        passed it.
        """
        status = self.status
        recorded = self.own.of("preflight.finished")
        self.differs("events preflight.finished, at most one", len(recorded[:1]), len(recorded))
        for event in recorded:
            said = event.details.get("status", "")
            self.says(event, ("rc", EXIT_CODES.get(said), event.rc))
            self.says(event, ("packs", len(status.packs), event.file_counts.get("packs")))
            self.says(
                event, ("whether it has a plan", said == "PASS", bool(event.hashes.get("plan")))
            )
            if event.hashes.get("plan"):
                self._plan(event)
            if status.status != "PASS":
                continue
            self.says(event, ("status", "PASS", said))
            if all(line.pack in bundles for line in status.packs):
                files = sum(len(bundle.action.files) for bundle in bundles.values())
                self.says(event, ("files", files, event.file_counts.get("files")))

    # ── results of Z and of the checks on its tree ──────────────────────────

    def _merge(self, bundles: Mapping[str, Bundle]) -> None:
        """Compare the merge event with Z's answer. It may be missing in a run that is not PASS."""
        recorded = self.own.of("merge.finished")
        merge = self.document(Merge, paths.MERGE)
        if not self.whole(paths.MERGE):
            return
        if merge is None or not (self.status.status == "PASS" or self.status.rechecks):
            self.differs("events merge.finished, at most one", len(recorded[:1]), len(recorded))
        else:
            self.differs("events merge.finished", 1, len(recorded))
        tree = merge.merged_tree if merge is not None else ""
        for event in recorded:
            self.says(event, digest(event, "merged_tree", tree))
            self.says(
                event,
                (
                    "overlaps",
                    len(merge.overlaps) if merge else 0,
                    event.file_counts.get("overlaps"),
                ),
            )
            counted = event.file_counts.get("packs", 0)
            most = min(counted, len(self.status.packs))  # which were asked about, Z did not say
            self.says(event, ("packs", len(merge.order) if merge else most, counted))
            part = [bundles[pack] for pack in merge.order if pack in bundles] if merge else []
            if not tree or (merge is not None and len(part) == len(merge.order)):
                changed = sum(bundle.status.files_changed for bundle in part) if tree else 0
                self.says(event, ("changed", changed, event.file_counts.get("changed")))
            refused = merge is None or not tree or bool(of_findings(merge.findings))
            fine = bool(self.status.rechecks) or self.status.status == "PASS"
            if refused or fine:
                self.says(event, ("whether its rc is 0", not refused, event.rc == 0))
            elif event.rc not in EXIT_CODES.values():
                self.says(event, ("rc", "one of a verdict", event.rc))

    def _rechecks(self) -> None:
        """Check that each re-check has its event, those of a pack in their order."""
        rows = [row for row in self.status.rechecks if row.outcome != "as-accepted"]
        recorded = self.own.of("recheck.finished")
        if recorded and not any(event.rc == 0 for event in self.own.of("merge.finished")):
            self.differs("checks on a merged tree, where nothing was merged", 0, len(recorded))
        if not self.status.rechecks and self.status.status != "PASS":
            return  # they broke off, so that there is nothing of them but their events
        for line in self.status.packs:
            own = [row for row in rows if row.pack == line.pack]
            logs = [f"{paths.Z}/{paths.LOGS}{row.pack}.{row.label}.log" for row in own]
            found = self.own.of("recheck.finished", line.pack)
            due = [(row.label, row.rc, row.outcome) for row in own]
            said = [
                (event.details.get("label"), event.rc, event.details.get("outcome"))
                for event in found
            ]
            if self.differs(f"checks of {line.pack} on the merged tree", due, said):
                continue
            for path, event in zip(logs, found, strict=True):
                if self.whole(path):
                    self.says(event, digest(event, "log", self.seen(path)))
            self._judge_runs(line.pack)

    def _judge_runs(self, pack: str) -> None:
        """Check that each command that asked the judge about the merged tree has its event."""
        rows = [row for row in self.status.judge_runs if row.pack == pack]
        found = self.own.of("recheck.judged", pack)
        due = [(row.label, row.rc, row.ended) for row in rows]
        said = [(one.details.get("label"), one.rc, one.details.get("ended")) for one in found]
        what = f"commands that asked the judge of {pack} about the merged tree"
        if self.differs(what, due, said):
            return
        for row, event in zip(rows, found, strict=True):
            path = f"{paths.Z}/{paths.LOGS}{pack}.{row.label}.log"
            if self.whole(path):
                self.says(event, digest(event, "log", self.seen(path)))
