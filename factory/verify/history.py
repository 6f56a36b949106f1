"""The ledger and one run's copy of it: chain, order, bindings to the evidence, checkpoint and proof.

Does not know who signed.
"""

from __future__ import annotations

from collections.abc import Mapping

from factory.verify.bundle import Bundle
from factory.verify.documents import Event, PackLine, RunStatus
from factory.verify.events import Line, Told, included, read_line
from factory.verify.folder import Folder
from factory.verify.form import FormError
from factory.verify.manifests import Seen
from factory.verify.notes import Checkpoint, read_checkpoint, read_proof
from factory.verify.sheet import Sheet
from factory.verify.surroundings import CHECKPOINT, LEDGER, Surroundings
from factory.verify.verdict import EXIT_CODES

COPY = "attestations/ledger.jsonl"
PROOF = "attestations/finished.tlog-proof"
STARTED, PREPARED, FINISHED = "run.started", "integrate.prepared", "integrate.finished"
_ORIGIN = "codex-orchestrator/ledger/"
_SHOWN = 5


class HistoryCheck:
    """The check of one run's history."""

    def __init__(self, sheet: Sheet, run: Folder, seen: Seen, around: Surroundings, status: RunStatus) -> None:
        self.sheet = sheet
        self.run = run
        self.seen = seen
        self.around = around
        self.status = status
        self.lines: list[Line] = []
        self.told = Told(())

    def check(self, bundles: Mapping[str, Bundle]) -> None:
        """Everything; `told` holds the run's own events afterwards."""
        self._copy()
        self.told = Told(self.lines)
        if self.lines:
            self._order()
            self._bindings(bundles)
        self._ledger()
        self._checkpoint()

    def differs(self, what: str, expected: object, found: object, file: str = COPY) -> bool:
        return self.sheet.differs("VERIFY_LEDGER", file, what, expected, found)

    def _copy(self) -> None:
        content = self.run.read(COPY)
        if content is None:
            self.sheet.wrong("VERIFY_MISSING", COPY, "expected this run's events, found none")
            return
        *lines, rest = content.split(b"\n")
        if rest:
            self.sheet.wrong("VERIFY_LEDGER", COPY, "expected a line feed at the end, found a torn line")
        for number, line in enumerate(lines, 1):
            try:
                self.lines.append(Line(read_line(line), line))
            except FormError as error:
                self.sheet.wrong("VERIFY_LEDGER", COPY, f"line {number}: {error}")
        if not self.lines:
            self.sheet.wrong("VERIFY_LEDGER", COPY, "expected this run's events, found none that holds")

    def _order(self) -> None:
        """Own events, ascending, chained where they follow at once, each with a parent that came before."""
        known: set[str] = set()
        before: Event | None = None
        for event in (line.event for line in self.lines):
            where = f"event {event.seq}"
            self.differs(f"{where}, its run", self.status.run_id, event.run_id)
            if event.parent_event_id and event.parent_event_id not in known:
                self.differs(f"{where}, its parent", "an event before it", event.parent_event_id)
            if before is not None and event.seq <= before.seq:
                self.differs(f"{where}, its place", f"after {before.seq}", event.seq)
            if before is not None and event.seq == before.seq + 1:
                self.differs(f"{where}, the id before it", before.event_id, event.prev)
            known.add(event.event_id)
            before = event
        kinds = [line.event.event_type for line in self.lines]
        self.differs("its first event", STARTED, kinds[0])
        self.differs("its last event", FINISHED, kinds[-1])
        for kind in (STARTED, FINISHED):
            self.differs(f"events {kind}", 1, kinds.count(kind))

    def _bindings(self, bundles: Mapping[str, Bundle]) -> None:
        """What events say against what the evidence is."""
        status, seen = self.status, self.seen
        code = EXIT_CODES[status.status]
        for event in self.told.of(STARTED):
            self._says(event, "base_commit", status.base_commit)
            self.differs(f"event {event.seq}, base_ref", status.base_ref, event.details.get("base_ref"))
        prepared = self.told.of(PREPARED)
        self.differs(f"whether there is an event {PREPARED}", True, bool(prepared))
        for event in prepared[-1:]:
            self._says(event, "status", seen("Z_integrator/STATUS.json"))
            self._says(event, "merged_tree", status.merged_tree)
            self.differs(f"event {event.seq}, rc", code, event.rc)
            self.differs(f"event {event.seq}, packs", len(status.packs), event.file_counts.get("packs"))
        for event in self.told.of(FINISHED):
            self._says(event, "report", seen("Z_integrator/FINAL_REPORT.md"))
            self._says(event, "merged_tree", status.merged_tree)
            self.differs(f"event {event.seq}, rc", code, event.rc)
            self.differs(f"event {event.seq}, status", status.status, event.details.get("status"))
        for line in status.packs:
            if line.bundle_sha256 and line.pack in bundles:
                self._pack(line, bundles[line.pack])

    def _says(self, event: Event, name: str, expected: str) -> None:
        self.differs(f"event {event.seq}, {name}", expected or "nothing", event.hashes.get(name) or "nothing")

    def _pack(self, line: PackLine, bundle: Bundle) -> None:
        pack = line.pack
        ends = self.told.of("pack.finished", pack)
        if line.came_from:
            self._copied(line, bundle)
        elif not ends and line.status == "PASS":
            self.differs(f"whether it tells that {pack} was run", True, False)
        elif not ends:
            self.sheet.gap(f"making of {pack}'s bundle", "this run did not run the pack, and the ledger names no other")
        for event in ends:
            self._made(event, bundle)
        self._reproducible(line, bundle)
        attempts = [(a.number, a.status, a.result_tree) for a in bundle.status.attempts]
        told = [
            (_number(e.details.get("attempt", "")), e.details.get("status", ""), e.hashes.get("result_tree", ""))
            for e in self.told.of("attempt.finished", pack)
        ]
        if ends:
            self.differs(f"attempts of {pack}", attempts, told)
        for event in self.told.of("pack.started", pack):
            self._says(event, "action_key", bundle.status.action_key)

    def _reproducible(self, line: PackLine, bundle: Bundle) -> None:
        """A bundle is called reproducible where this run recorded what showed it, and nowhere else."""
        own = (bundle.status.action_key, bundle.manifest)
        told = [
            (e.hashes.get("action_key", ""), e.hashes.get("manifest", ""))
            for e in self.told.of("pack.reproducible", line.pack)
        ]
        self.differs(f"what showed {line.pack} reproducible", [own] if line.reproducible else [], told)
        if not line.reproducible:
            return
        if bundle.lock.network or bundle.lock.network_any:
            self.differs(f"whether {line.pack}, which declares the network, is called reproducible", False, True)
        ledger = self.around.ledger
        if ledger is None:
            self.sheet.gap(f"what showed {line.pack} reproducible", "the whole ledger is not at hand")
            return
        shown = [event.hashes for event in ledger.chain.run("").of("determinism.shown", line.pack)]
        if own not in [(hashes.get("action_key", ""), hashes.get("manifest", "")) for hashes in shown]:
            self.differs(f"determinism.shown for {line.pack}", "an event of this action and bundle", "none", LEDGER)

    def _made(self, event: Event, bundle: Bundle) -> None:
        status = bundle.status
        self._says(event, "action_key", status.action_key)
        self._says(event, "result_tree", status.result_tree)
        self.differs(f"event {event.seq}, status", status.status, event.details.get("status"))
        self.differs(f"event {event.seq}, rc", EXIT_CODES[status.status], event.rc)
        counts = {"changed": status.files_changed, "artifacts": len(status.artifacts)}
        self.differs(f"event {event.seq}, counts", counts, dict(event.file_counts))

    def _copied(self, line: PackLine, bundle: Bundle) -> None:
        events = self.told.of("bundle.copied", line.pack)
        told = [(event.hashes.get("manifest"), event.details.get("from_run")) for event in events]
        self.differs(f"where {line.pack}'s bundle came from", [(bundle.manifest, line.came_from)], told)
        ledger = self.around.ledger
        if ledger is None:
            self.sheet.gap(
                f"making of {line.pack}'s bundle", f"it was made by {line.came_from}, whose events are not at hand"
            )
            return
        made = [
            (event.hashes.get("action_key"), event.hashes.get("result_tree"), event.details.get("status"))
            for event in ledger.chain.run(line.came_from).of("pack.finished", line.pack)
        ]
        due = (bundle.status.action_key, bundle.status.result_tree, bundle.status.status)
        if due not in made:
            self.differs(f"{line.came_from}: the end of {line.pack}", due, made, LEDGER)

    def _ledger(self) -> None:
        """The whole ledger: its chain, and this run's lines in it."""
        ledger = self.around.ledger
        if ledger is None and self.around.ledger_due:
            self.sheet.wrong("VERIFY_MISSING", LEDGER, "expected the ledger of this repository's runs, found none")
        if ledger is None:
            self.sheet.gap("ledger chain", "the whole ledger is not at hand; this run's own events were checked")
            return
        if ledger.unread:
            self.sheet.wrong("VERIFY_LEDGER", LEDGER, ledger.unread)
        for number, what in ledger.chain.problems[:_SHOWN]:
            self.sheet.wrong("VERIFY_LEDGER", LEDGER, f"line {number}: {what}")
        if ledger.torn:
            hint = "A run that died while it wrote leaves such a line; the next run sets it aside and records it."
            what = f"expected a line feed at the end, found {ledger.torn} bytes of a torn line"
            self.sheet.wrong("VERIFY_LEDGER", LEDGER, what, hint=hint)
        own = [line.content for line in self.lines]
        there = [found.content for found in ledger.chain.by_run.get(self.status.run_id, ())]
        if there[: len(own)] != own or not own:
            self.differs("this run's events", f"{len(own)} as copied into the run", "others", LEDGER)
        later = {found.event_type for found in ledger.chain.by_run.get(self.status.run_id, [])[len(own) :]}
        if later & {STARTED, PREPARED, FINISHED, "pack.started", "pack.finished", "bundle.copied", "run.abandoned"}:
            self.differs("events after the run's end", "none of the run itself", ", ".join(sorted(later)), LEDGER)

    def _checkpoint(self) -> None:
        """The checkpoint and the proof in it, then the ledger against every checkpoint that is known."""
        own = _read(self.sheet, self.run, CHECKPOINT)
        if own is None:
            return
        last = self.lines[-1] if self.lines else None
        if last is not None:
            self.differs("its size", last.event.seq, own.size, CHECKPOINT)
        self._proof(own, last)
        ledger = self.around.ledger
        if ledger is None:
            self.sheet.gap("ledger tree", "the whole ledger is not at hand; the last event's place in it was checked")
            return
        if ledger.unread:
            return
        alien = self.differs("its ledger", f"{_ORIGIN}{ledger.chain.first[:32]}", own.origin, CHECKPOINT)
        for name in self.around.unread:
            self.sheet.gap(f"checkpoint of {name}", "it cannot be read")
        theirs = {f"the checkpoint of {name}": one for name, one in self.around.others.items()}
        kept = {f"the checkpoint in {name}": one for name, one in self.around.kept.items()}
        checked = sum(self._against(name, other, name in kept) for name, other in {**theirs, **kept}.items())
        if alien or not self._against("the run's own checkpoint", own, True):
            return
        earlier = f", consistent with {checked} other checkpoint{'' if checked == 1 else 's'}" if checked else ""
        if not any(finding.location is not None and finding.location.file == LEDGER for finding in self.sheet.findings):
            self.sheet.fact("ledger", f"{ledger.chain.size} events, chain and tree hold{earlier}")

    def _against(self, name: str, other: Checkpoint, binding: bool) -> int:
        """1 where the ledger continues what a checkpoint was made over; `binding`: it must be of this ledger."""
        ledger = self.around.ledger
        if ledger is None:
            return 0
        if other.origin != f"{_ORIGIN}{ledger.chain.first[:32]}":
            if not binding and not self.around.ledger_due:
                self.sheet.gap(name, "it is of another ledger")
                return 0
            what = f"it was replaced: expected the ledger of {name}, {other.origin}, found another"
        elif other.size > ledger.chain.size:
            what = f"its end was taken away: expected the {other.size} events of {name}, found {ledger.chain.size}"
        elif ledger.chain.roots.get(other.size) != other.root:
            what = (
                f"it was rewritten or forked: expected the first {other.size} events as {name} has them, found others"
            )
        else:
            return 1
        self.sheet.wrong("VERIFY_ROLLBACK", LEDGER, what)
        return 0

    def _proof(self, own: Checkpoint, last: Line | None) -> None:
        content = self.run.read(PROOF)
        if content is None:
            self.sheet.wrong("VERIFY_MISSING", PROOF, "expected this proof, found none")
            return
        try:
            index, path, kept = read_proof(content)
        except FormError as error:
            self.sheet.wrong("VERIFY_FORM", PROOF, str(error))
            return
        if kept != self.run.read(CHECKPOINT):
            self.sheet.wrong("VERIFY_LEDGER", PROOF, "expected the run's own checkpoint in it, found another")
        if last is not None:
            self.differs("its index", last.event.seq - 1, index, PROOF)
            if not included(last.content, index, own.size, path, own.root):
                self.sheet.wrong("VERIFY_LEDGER", PROOF, "expected a path from the last event to the root, found none")


def _number(text: str) -> int:
    return int(text) if text.isascii() and text.isdigit() and len(text) < 9 else -1


def _read(sheet: Sheet, run: Folder, path: str) -> Checkpoint | None:
    content = run.read(path)
    if content is None:
        sheet.wrong("VERIFY_MISSING", path, "expected this checkpoint, found none")
        return None
    try:
        return read_checkpoint(content)
    except FormError as error:
        sheet.wrong("VERIFY_FORM", path, str(error))
        return None
