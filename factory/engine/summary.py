"""What is said of a run: its status document, the headline of each card, and the closing lines.

Everything is taken from verdicts and bundles; nothing is decided here that `status_eval` has
not decided.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import replace
from typing import Protocol

from factory.bundle.make import unique
from factory.contract.catalogue import Catalogue, PackEntry
from factory.evidence.signing import signing_record
from factory.judge.status_eval import combine, of_findings
from factory.model.card import Card, Closing
from factory.model.evidence import FilesChanged, PackLine, RunStatus, StatusDocument
from factory.model.evidence_text import finding_of, finding_record, parse_document
from factory.model.finding import Finding
from factory.model.layout import RunFolder
from factory.model.verdict import Status
from factory.model.wording import counted
from factory.plan.markers import load_marker
from factory.plan.planner import Planner
from factory.plan.site import Integrated, Session, Site
from factory.report.text import brief, change_text, finding_lines
from factory.run.reading import load_status
from factory.run.shown import shown_by
from factory.sandbox.properties import Enforcement

_TOLD_WHOLE = 8


class Told(Protocol):
    """What the summary asks of the pipeline."""

    @property
    def site(self) -> Site: ...

    @property
    def session(self) -> Session: ...

    @property
    def catalogue(self) -> Catalogue: ...

    @property
    def planner(self) -> Planner: ...

    def cards(self) -> tuple[Card, ...]: ...

    def result_of(self, card: Card) -> tuple[Status, tuple[Finding, ...], bool]: ...


def findings_of(status: StatusDocument) -> tuple[Finding, ...]:
    """A bundle's findings."""
    return tuple(finding_of(record) for record in status.findings)


def pack_headline(status: StatusDocument) -> str:
    """`2 files +41 −3, 14 artifacts`."""
    return change_text(
        status.files_changed, status.lines_added, status.lines_removed, len(status.artifacts)
    )


def merge_headline(result: Integrated) -> str:
    """`tree 8b52c1d, no overlap · 9 checks again on the merged tree, 9 ok`."""
    if result.merge is None or not result.merge.merged_tree:
        count = len(result.merge.overlaps) if result.merge is not None else 0
        return f"nothing merged, {counted(count, 'overlap')}" if count else "nothing merged"
    settled = len(result.merge.overlaps)
    overlaps = f"{counted(settled, 'overlap')} merged" if settled else "no overlap"
    words = [f"tree {result.merge.merged_tree[:7]}, {overlaps}"]
    ran = [record for record in result.rechecks if record.outcome != "as-accepted"]
    same = len(result.rechecks) - len(ran)
    if ran:
        good = sum(record.outcome == "ok" for record in ran)
        words.append(f"{counted(len(ran), 'check')} again on the merged tree, {good} ok")
    if same:
        words.append(f"{counted(same, 'check')} saw the same tree already")
    return " · ".join(words)


def run_status(
    told: Told,
    integrated: Integrated,
    enforcement: Enforcement,
    asked: Collection[str],
    against: tuple[Finding, ...] = (),
) -> RunStatus:
    """The run's whole verdict as one document; `against` is what speaks against it beside the
    cards.

    What an earlier run remembers of a card that is not among those `asked` for is no finding of
    this one.
    """
    site, session = told.site, told.session
    known = [(card, *told.result_of(card)) for card in told.cards() if card.phase != "summary"]
    heard = [
        (c, s, f)
        for c, s, f, seen in known
        if seen and (c.name in session.results or s is Status.PASS)
    ]
    status = combine((*(status for _, status, _ in heard), *verdict_of(against)))
    findings = unique(
        (*(finding for c, _, found in heard if c.name in asked for finding in found), *against)
    )
    merge = integrated.merge
    statuses = {
        card.pack: card_status for card, card_status, _, _ in known if card.phase == "launch"
    }
    return RunStatus(
        run_id=session.run_id,
        status=status.value,
        base_ref=site.repository.base_ref,
        base_commit=site.repository.commit,
        base_tree=told.planner.base.oid,
        merged_tree=merge.merged_tree if merge is not None else "",
        packs_committed=session.plan is None or session.plan.document.packs_committed,
        packs=tuple(_line(told, entry, statuses, integrated) for entry in told.catalogue.entries),
        findings=tuple(finding_record(finding) for finding in findings),
        rechecks=integrated.rechecks,
        overlaps=merge.overlaps if merge is not None else (),
        largest_set=_largest(integrated),
        smallest_conflict=_smallest(integrated),
        exact=merge.exact if merge is not None else True,
        properties_given=tuple(sorted(given.value for given in enforcement.given)),
        properties_accepted=_accepted(site, enforcement),
        signing=signing_record(site),
    )


def keep_enforcement(site: Site, run_id: str, enforcement: Enforcement) -> Enforcement:
    """Put `raw/enforcement.tsv` into a run: what was in force, how each property was shown, facts
    of the host.
    """
    rows = [("backend", enforcement.backend, "")]
    shown = sorted(enforcement.proofs, key=lambda proof: proof.property.value)
    rows += [
        (proof.property.value, "given" if proof.given else "absent", proof.how) for proof in shown
    ]
    rows += [("escaped", "", what) for what in enforcement.escaped]
    rows += [("fact", name, value) for name, value in sorted(enforcement.facts.items())]
    lines = ("\t".join(" ".join(cell.split()) for cell in row) + "\n" for row in rows)
    site.store.write(
        RunFolder.of(run_id).raw.enforcement, "".join(lines).encode("utf-8", "backslashreplace")
    )
    return enforcement


def verdict_of(findings: tuple[Finding, ...]) -> tuple[Status, ...]:
    """The status that findings alone amount to; none where there are none, since nothing was shown
    then.
    """
    return (of_findings(findings),) if findings else ()


def _accepted(site: Site, enforcement: Enforcement) -> tuple[str, ...]:
    missing = site.config.required & site.config.accepted_missing - enforcement.given
    return tuple(sorted(name.value for name in missing))


def _line(
    told: Told, entry: PackEntry, statuses: dict[str, Status], integrated: Integrated
) -> PackLine:
    site = told.site
    run = RunFolder.of(told.session.run_id)
    bundle = load_status(site.store, entry.id, run) or load_status(site.store, entry.id)
    fresh = bundle is not None and entry.usable and entry.id not in told.session.refused
    manifest = site.store.sha256(run.bundle(entry.id).manifest) if fresh else ""
    ok = sum(check.rc == 0 for check in bundle.checks) if bundle is not None and fresh else 0
    return PackLine(
        pack=entry.id,
        title=entry.pack.title if entry.pack is not None else "",
        domain=entry.pack.domain if entry.pack is not None else "",
        why=entry.pack.why if entry.pack is not None else "",
        status=statuses.get(entry.id, Status.BLOCKED).value,
        files_changed=bundle.files_changed if bundle is not None and fresh else 0,
        lines_added=bundle.lines_added if bundle is not None and fresh else 0,
        lines_removed=bundle.lines_removed if bundle is not None and fresh else 0,
        checks_ok=ok,
        checks=len(bundle.required) if bundle is not None and fresh else 0,
        artifacts=bundle.artifacts if bundle is not None and fresh else (),
        bundle_sha256=manifest,
        came_from=integrated.came_from.get(entry.id, ""),
        network=entry.pack.constraints.network.shown if entry.pack is not None else (),
        reproducible=fresh and _reproducible(site, entry, bundle, manifest),
    )


def _reproducible(
    site: Site, entry: PackEntry, bundle: StatusDocument | None, manifest: str
) -> bool:
    """Whether this very bundle was made twice by `factory determinism`; never where the pack
    declares the network.
    """
    if bundle is None or entry.pack is None or entry.pack.constraints.network.declared:
        return False
    return bool(shown_by(site, entry.id, bundle.action_key, manifest))


def _largest(integrated: Integrated) -> tuple[str, ...]:
    if integrated.merge is None:
        return ()
    return integrated.largest or integrated.merge.largest_set


def _smallest(integrated: Integrated) -> tuple[str, ...]:
    if integrated.merge is None:
        return ()
    return integrated.smallest or integrated.merge.smallest_conflict


def closing(
    told: Told, status: Status, asked: Collection[str], executed: frozenset[str], run_id: str
) -> Closing:
    """The last word of a command: findings by pack, where the report is, what to do next."""
    found = unique(
        finding
        for card in told.cards()
        if card.name in asked
        for finding in told.result_of(card)[1]
    )
    return replace(_closing(told, status, asked, executed, run_id), findings=found)


def _closing(
    told: Told, status: Status, asked: Collection[str], executed: frozenset[str], run_id: str
) -> Closing:
    from factory.evidence.signatures import signed_as  # late: only where something ran

    if not run_id and told.session.run_id:
        left = (
            f"{status.value}  the end of run {told.session.run_id} was cut off; the next run"
            " finishes it"
        )
        return Closing(status, (*_blocking_lines(told, asked), "", left), told.session.run_id)
    if not run_id and status is not Status.PASS:
        return Closing(
            status, (*_blocking_lines(told, asked), "", f"{status.value}  nothing was run")
        )
    if not run_id:
        return _nothing_run(told, asked, executed)
    lines = [*_blocking_lines(told, asked), *_report_lines(told.site, run_id, executed)]
    report = told.site.store.root / RunFolder.of(run_id).integrator.report
    try:
        shown = report.relative_to(told.site.repository.root)
    except ValueError:
        shown = report
    lines += [
        *([] if "summary" in executed else [""]),
        f"Report    {shown}",
        (
            f"Evidence  {signed_as(told.site, run_id)}, ledger"
            f" {counted(told.site.ledger.standing().head.seq, 'event')}"
        ),
    ]
    if status is Status.PASS and "integrate" in executed:
        lines.append(f"Next      factory integrate --branch     put the result on codex/{run_id}")
    return Closing(status, tuple(lines), run_id)


def _report_lines(site: Site, run_id: str, executed: frozenset[str]) -> tuple[str, ...]:
    """The report itself, where the whole of a run was asked for."""
    folder = RunFolder.of(run_id).integrator
    if "summary" not in executed:
        return ()
    changed = site.store.read(folder.files_changed)
    status = parse_document(RunStatus, site.store.read(folder.status) or b"")
    return (
        "",
        *brief(status, parse_document(FilesChanged, changed) if changed is not None else None),
    )


def _nothing_run(told: Told, asked: Collection[str], executed: frozenset[str]) -> Closing:
    """All that was asked for holds. Only where that is an integration is there a run to name, and
    it is that one's.
    """
    cards = [card for card in told.cards() if card.name in asked]
    whole = next(
        (load_marker(told.site.store, card) for card in cards if card.phase == "integrate"), None
    )
    run_id = whole.run_id if whole is not None else ""
    packs = sum(card.phase == "launch" for card in cards)
    unchanged = f": {counted(packs, 'pack')} unchanged" if packs else ""
    what = f"{run_id} still holds" if run_id else f"{cards[-1].phase} holds"
    words = _blocking_lines(told, asked) if executed or not run_id else []
    return Closing(
        Status.PASS,
        (*words, *([""] if words else []), f"PASS  {what}{unchanged}, nothing was run"),
        run_id,
    )


def _blocking_lines(told: Told, asked: Collection[str]) -> list[str]:
    by_pack: dict[str, list[Finding]] = {}
    for card in (card for card in told.cards() if card.name in asked):
        for finding in told.result_of(card)[1]:
            known = by_pack.setdefault(finding.pack, [])
            if finding not in known:
                known.append(finding)
    lines: list[str] = []
    whole, rest = sorted(by_pack)[:_TOLD_WHOLE], sorted(by_pack)[_TOLD_WHOLE:]
    for pack in whole:
        rows = [
            row for finding in by_pack[pack] for row in finding_lines(finding_record(finding), "  ")
        ]
        lines += ["", pack or "the run", *rows]
    if rest:
        lines += [
            "",
            (
                f"and {counted(len(rest), 'more pack')}; all of it is in the report, or of one:"
                " factory why PACK"
            ),
        ]
        lines += [f"  {pack}  {_ids(by_pack[pack])}" for pack in rest]
    return lines


def _ids(findings: Iterable[Finding]) -> str:
    return ", ".join(dict.fromkeys(finding.id for finding in findings))
