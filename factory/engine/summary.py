"""End a run: its status document, the headline of each card, and the closing lines.

Everything is taken from verdicts and bundles; nothing is decided here that `status_eval` has
not decided.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Collection, Iterable
from dataclasses import replace

from factory.bundle.make import unique
from factory.contract.catalogue import PackEntry
from factory.contract.policy import policy_record
from factory.engine.last import keep_last
from factory.engine.result_commit import room_for
from factory.engine.run import CardOutcome, Integrated, Run
from factory.evidence import settle
from factory.evidence.signing import signing_record
from factory.judge.status_eval import combine, of_findings
from factory.model.card import Card, Closing
from factory.model.command_kind import CommandKind
from factory.model.errors import Refusal
from factory.model.events import PackReproducible
from factory.model.evidence import FilesChanged, PackLine, RunStatus, StatusDocument
from factory.model.evidence_text import finding_of, finding_record, parse_document
from factory.model.finding import Finding, last_line_of
from factory.model.findings.catalogue import CATALOGUE
from factory.model.forms import branch_of
from factory.model.inert import for_eyes
from factory.model.judged import AfterName, AskedRecord, JudgedCheckRecord, JudgedRecord
from factory.model.layout import RunFolder
from factory.model.verdict import Status
from factory.model.wording import counted
from factory.plan.site import Site
from factory.report.brief import brief
from factory.report.run_view import last_lines
from factory.report.step_summary import VARIABLE, append_summary
from factory.report.text import change_text, finding_lines, policy_text
from factory.run.reading import load_status
from factory.run.shown import shown_by
from factory.sandbox.properties import Enforcement

_TOLD_WHOLE = 8


def findings_of(status: StatusDocument) -> tuple[Finding, ...]:
    """Return a bundle's findings."""
    return tuple(finding_of(record) for record in status.findings)


def pack_headline(status: StatusDocument) -> str:
    """Return as `2 files +41 −3, 14 artifacts`, with `attempts: 2 of 3` if the first one failed."""
    change = change_text(
        status.files_changed, status.lines_added, status.lines_removed, len(status.artifacts)
    )
    tried = [row.facts for row in status.findings if row.id in ("RETRIED", "RETRY_BLOCKED")]
    more = "".join(f", attempts: {facts['number']} of {facts['most']}" for facts in tried)
    return f"{change}{more}"


def short_reason(findings: Iterable[Finding]) -> str:
    """Return in a few words what keeps a pack from PASS, as in `tests-1 ended with 1, and 2 more`;
    "" where nothing does.
    """
    blocking = [finding for finding in findings if finding.blocks]
    if not blocking:
        return ""
    facts = blocking[0].facts
    words = CATALOGUE[blocking[0].id].meaning
    if "label" in facts and "rc" in facts:
        words = f"{facts['label']} ended with {facts['rc']}"
    elif blocking[0].id == "SCOPE_OUTSIDE_ALLOWED":
        words = f"{counted(int(str(facts.get('count', 1))), 'file')} outside its scope"
    more = len(blocking) - 1
    return f"{words}, and {more} more" if more else words


CONTRACT_NOT_VALID = "its contract is not valid"
_NOT_RUN = {
    "GRANT_MISSING": "it asks for what you have not granted",
    "TOOL_MISSING": "a tool is missing",
    "ENVIRONMENT_NOT_PREPARED": "its environment is not prepared",
    "DEPENDS_NOT_PASS": "a pack that it needs cannot run",
}


def not_run_words(findings: Iterable[Finding]) -> str:
    """Return why a pack is not run, one clause, by what blocks it: that of its contract where
    any finding is about the contract.
    """
    words = []
    for one in findings:
        ungranted = one.id == "ENVIRONMENT_NOT_PREPARED" and one.facts.get("case") == "grant"
        words.append(_NOT_RUN.get("GRANT_MISSING" if ungranted else one.id, CONTRACT_NOT_VALID))
    return words[0] if words and CONTRACT_NOT_VALID not in words else CONTRACT_NOT_VALID


def merge_headline(result: Integrated, paid: int = 0) -> str:
    """Return as `tree 8b52c1d, no overlap · 9 checks again on the merged tree, 9 ok, 8 reused`;
    `paid` of them did not run.
    """
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
        reused = f", {paid} reused" if paid else ""
        words.append(f"{counted(len(ran), 'check')} again on the merged tree, {good} ok{reused}")
    if same:
        words.append(f"{counted(same, 'check')} saw the same tree already")
    return " · ".join(words)


def settle_card(card: Card, run: Run) -> CardOutcome:
    """Give the run its verdict; where nothing ran since a finished run that is whole, name that."""
    (before,) = (other for other in run.cards if other.name in card.after)
    marker = run.marker(before)
    if (
        before.name not in run.results
        and marker is not None
        and marker.status is Status.PASS
        and run.is_whole(marker.run_id)
    ):
        run.named = marker.run_id
        keep_last(run.site, run.named)
        return CardOutcome(Status.PASS, (), f"PASS  {run.named}")
    status = settle_run(run, {other.name for other in run.cards})
    return CardOutcome(status, (), f"{status.value}  {run.id}")


def settle_run(run: Run, asked: Collection[str]) -> Status:
    """Give the run its verdict, and make verdict, report and attestations durable; return the
    verdict. `asked` names the cards that were asked for. Raise Refusal where the disk takes no
    more: the next start then finishes the run.
    """
    site, run_id = run.site, run.end()
    run.signing()
    run.against += (*run.take_unkept(), *run.unsealed_checks())
    try:
        run.look_again()
    except Refusal as refusal:
        run.against += refusal.findings
    document = run_status(run, keep_enforcement(site, run_id, run.measured()), asked)
    _record_shown(run, document)
    cause = run.integrated.event or run.recorder.run_event
    elapsed = run.recorder.milliseconds(run.began)
    prepared = settle.prepare(site, document, cause, elapsed, run.recorder.take_waiting())
    settle.settle(site, run_id, prepared)
    run.settled()
    with contextlib.suppress(Refusal):
        # The digests of the run's files, so that the next start need not read them; without them
        # it does.
        from factory.evidence.inventory import RunInventory  # costs what only lists too much

        RunInventory(site.store.root).survey(run_id)
    keep_last(site, run_id)
    return Status(document.status)


def _record_shown(run: Run, status: RunStatus) -> None:
    """Record in the run which of its bundles are reproducible: one event a pack, with the event
    that showed it.
    """
    site = run.site
    for line in status.packs:
        if line.reproducible:
            bundle = load_status(site.store, line.pack, RunFolder.of(status.run_id))
            key = bundle.action_key if bundle is not None else ""
            shown = shown_by(site, line.pack, key, line.bundle_sha256)
            run.recorder.record(
                PackReproducible(
                    pack=line.pack, action_key=key, manifest=line.bundle_sha256, shown=shown
                )
            )


def run_status(run: Run, enforcement: Enforcement, asked: Collection[str]) -> RunStatus:
    """Return the run's whole verdict as one document.

    What an earlier run said of a card that is not among those `asked` for is no finding of this
    one.
    """
    site, integrated = run.site, run.integrated
    known = [(card, *run.result_of(card)) for card in run.cards[:-1]]  # not the summary itself
    heard = [
        (c, s, f) for c, s, f, seen in known if seen and (c.name in run.results or s is Status.PASS)
    ]
    status = combine((*(status for _, status, _ in heard), *verdict_of(run.against)))
    findings = unique(
        (*(finding for c, _, found in heard if c.name in asked for finding in found), *run.against)
    )
    merge = integrated.merge
    statuses = {
        card.pack: card_status for card, card_status, _, _ in known if card.phase == "launch"
    }
    return RunStatus(
        run_id=run.id,
        status=status.value,
        base_ref=site.repository.base_ref,
        base_commit=site.repository.commit,
        base_tree=run.planner.base.oid,
        merged_tree=merge.merged_tree if merge is not None else "",
        integrated=merge.order if merge is not None and merge.merged_tree else (),
        packs_committed=run.given_plan is None or run.given_plan.document.packs_committed,
        packs=tuple(_line(run, entry, statuses, integrated) for entry in run.catalogue.entries),
        findings=tuple(finding_record(finding) for finding in findings),
        rechecks=integrated.rechecks,
        judge_runs=integrated.judge_runs,
        reused=tuple(sorted(run.reused, key=lambda row: (row.pack, row.attempt, row.label))),
        overlaps=merge.overlaps if merge is not None else (),
        largest_set=_largest(integrated),
        smallest_conflict=_smallest(integrated),
        exact=merge.exact if merge is not None else True,
        properties_given=tuple(sorted(given.value for given in enforcement.given)),
        properties_accepted=_accepted(site, enforcement),
        signing=signing_record(site),
        policy=policy_record(site.config),
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
    """Yield the status that findings alone amount to; none where there are none, since nothing was
    shown then.
    """
    return (of_findings(findings),) if findings else ()


def _accepted(site: Site, enforcement: Enforcement) -> tuple[str, ...]:
    missing = site.config.required & site.config.accepted_missing - enforcement.given
    return tuple(sorted(name.value for name in missing))


def _line(
    run: Run, entry: PackEntry, statuses: dict[str, Status], integrated: Integrated
) -> PackLine:
    site, folder = run.site, RunFolder.of(run.id)
    bundle = load_status(site.store, entry.id, folder) or load_status(site.store, entry.id)
    fresh = bundle is not None and entry.usable and entry.id not in run.refused
    manifest = site.store.sha256(folder.bundle(entry.id).manifest) if fresh else ""
    judged = bundle.judged if bundle is not None and fresh else JudgedRecord()
    checks = _checks_of(bundle) if bundle is not None and fresh else ()
    return PackLine(
        pack=entry.id,
        title=entry.pack.title if entry.pack is not None else "",
        domain=entry.pack.domain if entry.pack is not None else "",
        why=entry.pack.why if entry.pack is not None else "",
        status=statuses.get(entry.id, Status.BLOCKED).value,
        files_changed=bundle.files_changed if bundle is not None and fresh else 0,
        lines_added=bundle.lines_added if bundle is not None and fresh else 0,
        lines_removed=bundle.lines_removed if bundle is not None and fresh else 0,
        checks_ok=sum(checks),
        checks=len(checks),
        asked=asked_of(bundle) if bundle is not None and fresh else (),
        judge_changed=len(judged.files),
        judge_permitted=sum(row.permitted for row in judged.files),
        artifacts=bundle.artifacts if bundle is not None and fresh else (),
        bundle_sha256=manifest,
        came_from=integrated.came_from.get(entry.id, ""),
        network=entry.pack.constraints.network.shown if entry.pack is not None else (),
        reproducible=fresh and _reproducible(site, entry, bundle, manifest),
    )


def _checks_of(bundle: StatusDocument) -> list[bool]:
    """Return for each acceptance command of a bundle whether it ran and ended with 0; steps are no
    checks.
    """
    ended = {check.label: check.rc for check in bundle.checks}
    steps = f"{CommandKind.STEP.value}-"
    return [ended.get(label) == 0 for label in bundle.required if not label.startswith(steps)]


def asked_of(status: StatusDocument) -> tuple[AskedRecord, ...]:
    """Return what each acceptance check of a bundle says, before and after."""
    codes = {row.label: row.rc for row in status.checks}
    nothing = {row.facts.get("label") for row in status.findings if row.id == "CHECK_RAN_NO_TEST"}
    judged = {row.label: row for row in status.judged.checks}
    found = []
    for label in status.required:
        if label.startswith("step-"):
            continue
        row = judged.get(label, JudgedCheckRecord(label=label))
        after: AfterName = "broken"
        if label not in codes:
            after = "not-run"
        elif codes[label] == 0:
            after = "ok"
        elif label in nothing:
            after = "ran-no-test"
        found.append(
            AskedRecord(label=label, after=after, before=row.before, old_judge=row.old_judge)
        )
    return tuple(found)


def _reproducible(
    site: Site, entry: PackEntry, bundle: StatusDocument | None, manifest: str
) -> bool:
    """Return whether this very bundle was made twice by `factory determinism`; never where the pack
    declares the network, or learns from a failed attempt.
    """
    if bundle is None or entry.pack is None:
        return False
    if entry.pack.constraints.network.declared or entry.pack.learn:
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


def closing(run: Run, status: Status, asked: Collection[str], executed: frozenset[str]) -> Closing:
    """Return how a command ends: findings by pack, where the report is, what to do next."""
    found = unique(
        finding for card in run.cards if card.name in asked for finding in run.result_of(card)[1]
    )
    ended = _closing(run, status, asked, executed)
    steps = _next_steps(run, status, ended.run_id, executed, found)
    lines = (*ended.lines, _policy_line(run.site), *_warnings(run), *next_lines(steps))
    return replace(ended, lines=lines, findings=found)


def _warnings(run: Run) -> tuple[str, ...]:
    """Append the report of a run that was settled in this process to the summary of a CI job, and
    return a line where that failed.
    """
    if not os.environ.get(VARIABLE) or not run.id or run.named != run.id:
        return ()
    report = run.site.store.read(RunFolder.of(run.id).integrator.report) or b""
    problem = append_summary(os.environ, report)
    return (f"warning: {problem}; the report is where it says above",) if problem else ()


REPORT_STEP = ("factory open-run", "the report, with every log")


def next_lines(steps: Iterable[tuple[str, str]]) -> list[str]:
    """Return the lines that name what a person may type next; a step is a command and what it is
    for.
    """
    rows = list(steps)
    width = max((len(command) for command, _ in rows), default=0)
    return [
        f"{'' if number else 'Next':<10}{command:<{width}}   {why}"
        for number, (command, why) in enumerate(rows)
    ]


def _next_steps(
    run: Run, status: Status, run_id: str, executed: frozenset[str], found: tuple[Finding, ...]
) -> list[tuple[str, str]]:
    """Return what a person may do after a run that ended so."""
    report = [REPORT_STEP] if run_id and (run.named or run_id != run.id) else []
    if run.id and not run.named:
        return [("factory oneshot", "finish the run that was cut off")]
    if status is not Status.PASS:
        blocked = [finding.packs for finding in found if finding.blocks and finding.packs]
        if blocked:
            return [
                (f"factory why {blocked[0][0]}", "what changed, and what would allow it"),
                *report,
            ]
        return [*report, ("factory oneshot", "again, once what is named above is mended")]
    if not run_id:
        return [("factory oneshot", "all phases, with a report")]
    site = run.site
    if "integrate" not in executed or room_for(site.refs, site.config, run_id):
        return report
    steps = [("factory verify", "check every byte of it again"), *report]
    merge = run.integrated.merge
    if merge is not None and merge.merged_tree == run.planner.base.oid:
        return steps  # a branch would have an empty commit
    name = branch_of(site.config.result_branch, run_id)
    integrate = " ".join(("factory integrate", *run.only, "--branch"))
    return [(integrate, f"put the result on {name}"), *steps]


def _policy_line(site: Site) -> str:
    return for_eyes(f"Policy    {policy_text(policy_record(site.config))}")


def _closing(run: Run, status: Status, asked: Collection[str], executed: frozenset[str]) -> Closing:
    from factory.evidence.signatures import signed_as  # late: only where something ran

    run_id = run.named
    if not run_id and run.id:
        left = f"{status.value}  the end of run {run.id} was cut off; the next run finishes it"
        return Closing(status, (*_blocking_lines(run, asked), "", left), run.id)
    if not run_id and status is not Status.PASS:
        return Closing(
            status, (*_blocking_lines(run, asked), "", f"{status.value}  nothing was run")
        )
    if not run_id:
        return _nothing_run(run, asked, executed)
    lines = [*_blocking_lines(run, asked), *_report_lines(run.site, run_id, executed)]
    report = run.site.store.root / RunFolder.of(run_id).integrator.report
    try:
        shown = report.relative_to(run.site.repository.root)
    except ValueError:
        shown = report
    lines += [
        *([] if "summary" in executed else [""]),
        f"Report    {shown}",
        (
            f"Evidence  {signed_as(run.site, run_id)}, ledger"
            f" {counted(run.site.ledger.state().head.seq, 'event')}"
        ),
    ]
    return Closing(status, tuple(lines), run_id)


def _report_lines(site: Site, run_id: str, executed: frozenset[str]) -> tuple[str, ...]:
    """Return the report itself, where the whole of a run was asked for."""
    folder = RunFolder.of(run_id).integrator
    if "summary" not in executed:
        return ()
    changed = site.store.read(folder.files_changed)
    status = parse_document(RunStatus, site.store.read(folder.status) or b"")
    return (
        "",
        *brief(status, parse_document(FilesChanged, changed) if changed is not None else None),
    )


def unchanged(run: Run) -> Closing:
    """Return how the next start ends where everything is asked for and nothing changes until then:
    as its markers say.
    """
    markers = [(card, marker) for card in run.cards if (marker := run.marker(card)) is not None]
    run_id = next((marker.run_id for card, marker in markers if card.phase == "integrate"), "")
    packs = sum(card.phase == "launch" for card in run.cards)
    found = unique(finding for _, marker in markers for finding in marker.findings)
    lines = (_unchanged_line(run_id, packs), _policy_line(run.site), *next_lines([REPORT_STEP]))
    return Closing(Status.PASS, lines, run_id, found)


def _unchanged_line(what: str, packs: int) -> str:
    counts = f": {counted(packs, 'pack')} unchanged" if packs else ""
    return f"PASS  {what} is up to date{counts}, nothing was run"


def _nothing_run(run: Run, asked: Collection[str], executed: frozenset[str]) -> Closing:
    """Return the lines where all that was asked for is up to date. Only an integration has a run to
    name, its own.
    """
    cards = [card for card in run.cards if card.name in asked]
    whole = next((run.marker(card) for card in cards if card.phase == "integrate"), None)
    run_id = whole.run_id if whole is not None else ""
    packs = sum(card.phase == "launch" for card in cards)
    last = _unchanged_line(run_id or cards[-1].phase, packs)
    words = _blocking_lines(run, asked) if executed or not run_id else []
    return Closing(
        Status.PASS,
        (*words, *([""] if words else []), last),
        run_id,
    )


def _blocking_lines(run: Run, asked: Collection[str]) -> list[str]:
    by_pack: dict[str, list[Finding]] = {}
    for card in (card for card in run.cards if card.name in asked):
        for finding in run.result_of(card)[1]:
            known = by_pack.setdefault(finding.pack, [])
            if finding not in known:
                known.append(finding)
    lines: list[str] = []
    # What blocks comes first: of many packs only the first few are shown whole.
    order = sorted(by_pack, key=lambda pack: (not any(f.blocks for f in by_pack[pack]), pack))
    whole, rest = order[:_TOLD_WHOLE], order[_TOLD_WHOLE:]
    for pack in whole:
        lines += ["", pack or "the run"]
        for finding in by_pack[pack]:
            record = finding_record(finding)
            lines += finding_lines(record, "  ", not pack, _log_end(run, finding))
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


def _log_end(run: Run, finding: Finding) -> tuple[str, ...]:
    """Return the last lines of the log of the command that a finding is about; none where there is
    no such log in this run.
    """
    if not last_line_of(finding.facts) or not (run.named or run.id):
        return ()
    folder, label = RunFolder.of(run.named or run.id), str(finding.facts["label"])
    path = folder.bundle(finding.pack).log(label)
    if finding.facts.get("tree") == "merged":
        path = folder.integrator.log(f"{finding.pack}.{label}")
    return last_lines(run.site.store.read(path) or b"")


def _ids(findings: Iterable[Finding]) -> str:
    return ", ".join(dict.fromkeys(finding.id for finding in findings))
