"""Render FINAL_REPORT as Markdown and as plain text, from the run's status document alone.

The report starts with what a reviewer must know in ten seconds. Text that a pack could have written
is made inert for the medium (`model.inert`). Reads no clock: the same run id and inputs give the
same bytes.
"""

from __future__ import annotations

from collections.abc import Sequence

from factory.model.evidence import (
    FilesChanged,
    FindingRecord,
    PackLine,
    PolicyRecord,
    ReusedRecord,
    RunStatus,
    SigningRecord,
)
from factory.model.finding import last_line_of, owner_of
from factory.model.inert import Markdown, code, for_eyes, for_markdown
from factory.model.inert import markdown as md
from factory.model.layout import ATTESTATIONS, IN_BUNDLE, IN_RUN, INTEGRATOR
from factory.model.wording import counted


def change_text(files: int, added: int, removed: int, artifacts: int) -> str:
    """Return one pack's change in a few words, as in `3 files +10 −2, 1 artifact`."""
    change = f"{counted(files, 'file')} +{added} −{removed}" if files else "no change"
    return f"{change}, {counted(artifacts, 'artifact')}" if artifacts else change


def network_text(packs: tuple[PackLine, ...]) -> str:
    """Return the hosts that packs could reach, as in `A-1 to example.org`; "" if none could reach
    any.
    """
    parts = []
    for pack in packs:
        if pack.network:
            hosts = "any public host" if "*" in pack.network else ", ".join(pack.network)
            parts.append(f"{pack.pack} to {hosts}")
    return "; ".join(parts)


_MOST_GRANTS = 8  # the first lines stay short; policy.json has all
_SET_BY = {
    "repository": "factory.toml of the work tree",
    "judged": "what factory.toml of the work tree tightens",
    "user": "the user's own file",
    "environment": "FACTORY_ variables",
    "flag": "flags",
}


def policy_text(policy: PolicyRecord) -> str:
    """Return which policy was in force, what set it, and what the user granted, in one line."""
    chosen = f"factory.toml of {policy.ref} at {policy.commit[:12]}" if policy.commit else ""
    words = {**_SET_BY, **({"repository": chosen} if chosen else {})}
    origins = {"repository"} | set(policy.sources) if chosen else set(policy.sources)
    origin = ", ".join(text for name, text in words.items() if name in origins) or "defaults"
    grants = [f"{row.kind} {row.thing} to {row.pack or 'any pack'}" for row in policy.grants]
    if len(grants) > _MOST_GRANTS:
        grants[_MOST_GRANTS:] = [f"{len(grants) - _MOST_GRANTS} more"]
    return f"{policy.sha256[:12]}, set by {origin}; granted: {', '.join(grants) or 'nothing'}"


def markdown(status: RunStatus, changed: FilesChanged | None) -> bytes:
    """Return FINAL_REPORT.md, UTF-8 with one line feed at its end."""
    lines = [
        md("# {} · {}", status.status, Markdown(status.run_id)),
        "",
        *_head(status, changed),
        "",
    ]
    lines += [
        "| pack | domain | status | change | checks | why it matters |",
        "|---|---|---|---|---|---|",
    ]
    lines += [_row(pack) for pack in sorted(status.packs, key=_passed)]
    lines += _findings(status.findings)
    lines += _overlaps(status)
    lines += _files(changed)
    lines += _asked(status)
    lines += _checks(status)
    lines += _reused(status)
    lines += _artifacts(status)
    lines += _evidence(status)
    return ("\n".join(lines).rstrip() + "\n").encode("utf-8")


def _head(status: RunStatus, changed: FilesChanged | None) -> list[str]:
    files = changed.files if changed is not None else ()
    added = sum(record.lines_added or 0 for record in files)
    removed = sum(record.lines_removed or 0 for record in files)
    tree = (
        md("tree {} on base", code(status.merged_tree[:12]))
        if status.merged_tree
        else "nothing merged, base"
    )
    what = (
        f"{counted(len(status.packs), 'pack')} · {counted(len(files), 'file')}, +{added} −{removed}"
    )
    base = code(status.base_commit[:12])
    lines: list[str] = [
        md("**{}** · {} · {} {} ({})", status.status, what, tree, base, status.base_ref),
        "",
    ]
    lines.append(md("Policy: {}.", policy_text(status.policy)))
    lines.append(f"Enforced: {', '.join(status.properties_given) or 'nothing'}.")
    accepted = ", ".join(status.properties_accepted)
    lines.append(
        f"**Accepted weaker by the user: {accepted}.**"
        if accepted
        else "Nothing was accepted weaker."
    )
    reached = network_text(status.packs)
    if reached:
        where = IN_RUN.raw.pack("<PACK>").egress
        lines.append(md("**Network: {}.** Each connection is in `{}`.", reached, Markdown(where)))
    lines += [
        md("**Cloud: {} {}.**", finding.pack, finding.message)
        for finding in status.findings
        if finding.id == "CLOUD_GRANTED"
    ]
    lines += [
        md("**Judge of {}: {}.**", finding.pack, finding.message)
        for finding in status.findings
        if finding.id == "JUDGE_PERMITTED"
    ]
    if status.signing.signer == "none":
        lines += ["", f"**{UNSIGNED}**"]
    if not status.packs_committed:
        lines += ["", "Task packs differ from the base commit, so this run cannot be published."]
    return lines


def _passed(pack: PackLine) -> bool:
    """Return whether a pack is PASS: others are shown before those that are."""
    return pack.status == "PASS"


def _row(pack: PackLine) -> Markdown:
    change = change_text(
        pack.files_changed, pack.lines_added, pack.lines_removed, len(pack.artifacts)
    )
    checks = f"{pack.checks_ok} of {pack.checks} ok"
    title = md("{} {}", pack.pack, pack.title)
    return md(
        "| {} | {} | {} | {} | {} | {} |", title, pack.domain, pack.status, change, checks, pack.why
    )


def _findings(findings: tuple[FindingRecord, ...]) -> list[str]:
    if not findings:
        return ["", "No finding."]
    lines = ["", "## Findings", ""]
    for finding in findings:
        place = md(" ({})", code(place_of(finding))) if finding.file else Markdown()
        owner = md("{}: ", finding.pack) if finding.pack else Markdown()
        kind = Markdown(finding.id)
        lines.append(
            md("- **{}** ({}) {}{}{}", kind, finding.severity, owner, finding.message, place)
        )
        last = last_line_of(finding.facts)
        if last:
            lines.append(md('  Its log ends with "{}".', last))
        if finding.hint:
            lines.append(md("  {}", finding.hint))
    return lines


def place_of(finding: FindingRecord) -> str:
    """Return `file:line` of a finding, or `file` if its line is not known (0)."""
    return finding.file + (f":{finding.line}" if finding.line else "")


def _overlaps(status: RunStatus) -> list[str]:
    if not status.overlaps and not status.smallest_conflict:
        return []
    lines = ["", "## Conflicts", ""]
    if status.overlaps:
        names = sorted(
            {name for overlap in status.overlaps for name in (overlap.first, overlap.second)}
        )
        met = {(o.first, o.second): o for o in status.overlaps}
        lines += [
            "| | " + " | ".join(map(for_markdown, names)) + " |",
            "|---" * (len(names) + 1) + "|",
        ]
        for row in names:
            cells = []
            for column in names:
                found = met.get((min(row, column), max(row, column))) if row != column else None
                cells.append(
                    "·" if row == column else code(found.path, cell=True) if found else "—"
                )
            lines.append(md("| {} | {} |", row, Markdown(" | ".join(cells))))
        settled = (
            md("- {} and {}: {}.", o.first, o.second, o.resolved)
            for o in status.overlaps
            if o.resolved
        )
        lines += ["", *settled]
    label = "" if status.exact else " (greedy, not exact)"
    count = f"{len(status.largest_set)} of {len(status.packs)}"
    lines.append(f"Largest set that integrates{label}: {_listed(status.largest_set)} ({count}).")
    if status.smallest_conflict:
        lines.append(f"Smallest set that does not: {_listed(status.smallest_conflict)}.")
    return lines


def _listed(packs: tuple[str, ...]) -> str:
    return ", ".join(map(for_markdown, packs)) or "none"


def _files(changed: FilesChanged | None) -> list[str]:
    if changed is None or not changed.files:
        return []
    lines = ["", "## Files", "", "| file | change | lines |", "|---|---|---|"]
    for record in changed.files:
        lines_text = (
            "binary"
            if record.lines_added is None
            else f"+{record.lines_added} −{record.lines_removed}"
        )
        lines.append(f"| {code(record.path, cell=True)} | {record.kind} | {lines_text} |")
    return lines


def _asked(status: RunStatus) -> list[str]:
    """Return what each check of each pack says of its result, of the base's code under the result's
    judge, and of the result under the judge as it was.
    """
    rows = [(line, row) for line in status.packs for row in line.asked]
    if not rows:
        return []
    lines = ["", "## What each check says", ""]
    lines += ["| pack | check | after | before | old judge |", "|---|---|---|---|---|"]
    lines += [
        md("| {} | {} | {} | {} | {} |", line.pack, row.label, row.after, row.before, row.old_judge)
        for line, row in rows
    ]
    changed = [line for line in status.packs if line.judge_changed]
    lines += [""] if changed else []
    return [*lines, *(md("- {}: {}.", line.pack, judge_text(line)) for line in changed)]


def judge_text(line: PackLine) -> str:
    """Return what became of a pack's judge, as in `1 of 2 changed files of its judge permitted`."""
    files = counted(line.judge_changed, "changed file")
    return f"{line.judge_permitted} of {files} of its judge permitted"


def _checks(status: RunStatus) -> list[str]:
    if not status.rechecks:
        return []
    lines = ["", "## Checks on the merged tree", ""]
    lines += ["| pack | check | outcome | old judge | command |", "|---|---|---|---|---|"]
    for record in status.rechecks:
        ran = code(_short(record.run), cell=True)
        words = (record.pack, record.label, record.outcome, record.old_judge)
        lines.append(md("| {} | {} | {} | {} | {} |", *words, ran))
    return lines


def _reused(status: RunStatus) -> list[str]:
    """Return the checks that did not run, with the run that each is from."""
    if not status.reused:
        return []
    rows = (
        md(
            "- {} {}{}",
            row.pack,
            row.label,
            Markdown(f"{reused_where(row)}: reused from {row.from_run}"),
        )
        for row in status.reused
    )
    return ["", "## Checks that did not run again", "", *rows]


def reused_where(row: ReusedRecord) -> str:
    """Return where a check that did not run is needed, if not in the first attempt."""
    if row.attempt == 0:
        return " on the merged tree"
    return f" of attempt {row.attempt}" if row.attempt > 1 else ""


MOST_ARTIFACTS = 100  # of a pack; its bundle has all of them in ARTIFACTS/


def _artifacts(status: RunStatus) -> list[str]:
    """Return the section that names artifacts, at most MOST_ARTIFACTS of a pack."""
    rows = [
        md("| {} | {} |", pack.pack, code(path, cell=True))
        for pack in status.packs
        for path in pack.artifacts[:MOST_ARTIFACTS]
    ]
    more = [
        md("| {} | and {} more |", pack.pack, len(pack.artifacts) - MOST_ARTIFACTS)
        for pack in status.packs
        if len(pack.artifacts) > MOST_ARTIFACTS
    ]
    head = ["", "## Artifacts", "", "| pack | artifact |", "|---|---|"]
    return [*head, *rows, *more] if rows else []


def _short(run: str, most: int = 100) -> str:
    line = " ".join(run.split())
    return line if len(line) <= most else line[: most - 1] + "…"


def _evidence(status: RunStatus) -> list[str]:
    lines = ["", "## Evidence", ""]
    for pack in status.packs:
        origin = f", made by {pack.came_from}" if pack.came_from else ""
        digest = code(pack.bundle_sha256) if pack.bundle_sha256 else "none"
        again = (
            ", reproducible: made twice in two environments, byte for byte"
            if pack.reproducible
            else ""
        )
        lines.append(
            md("- {}: bundle manifest sha256 {}{}", pack.pack, digest, Markdown(f"{origin}{again}"))
        )
    lines += [
        "",
        (
            "To check it without this tool: the digest of every file of this run is in"
            f" `{IN_RUN.manifest}`;"
        ),
        *_by_git(status),
        signing_text(status.signing),
    ]
    return lines


def _by_git(status: RunStatus) -> tuple[str, ...]:
    """Return the lines that say how Git alone yields the result: the merged tree, or else each
    pack's own.
    """
    if status.merged_tree:
        merged = INTEGRATOR.objects
        return (
            (
                f"`git bundle verify {merged}` and `git fetch` from it inside a clone give the"
                " merged tree,"
            ),
            f"and `git rev-parse FETCH_HEAD^{{tree}}` must print `{status.merged_tree}`.",
        )
    if any(pack.bundle_sha256 for pack in status.packs):
        return (
            (
                f"nothing was merged; `git fetch` from a pack's `{IN_BUNDLE.objects}` inside a"
                " clone gives its own result."
            ),
        )
    return ("nothing was merged, and no pack left a bundle.",)


def unmerged_plan(status: RunStatus) -> bytes:
    """Return MERGE_PLAN.md of a run without a merge: it names the packs that did not PASS."""
    lines = [
        "# Merge plan",
        "",
        f"Base commit `{status.base_commit}`, tree `{status.base_tree}`.",
        "",
    ]
    lines += ["Result: nothing was merged.", ""]
    left = [
        md("- {} is {}.", pack.pack, pack.status) for pack in status.packs if pack.status != "PASS"
    ]
    lines += left or [
        "No pack prevents a merge: integration was not requested, or returned no valid result."
    ]
    return ("\n".join(lines) + "\n").encode("utf-8")


UNSIGNED = "No key was at hand, so nothing in this run is signed."


def signing_text(signing: SigningRecord) -> str:
    """Return the signing policy in one sentence, and if a key was available.

    It does not say who signed: only a checked signature shows that, never a report.
    """
    asked = {
        "optional": "a signature is optional",
        "required": "a signature by a key pinned in factory.keys/ is required",
        "required-from": f"a signature by one of {', '.join(signing.keys) or 'no key'} is required",
    }[signing.policy]
    if signing.signer == "none":
        return f"Signing policy: {asked}. {UNSIGNED}"
    return (
        f"Signing policy: {asked}. A key was at hand; who signed is in {ATTESTATIONS.checkpoint}."
    )


def plain(status: RunStatus, changed: FilesChanged | None) -> bytes:
    """Return FINAL_REPORT.txt: the same content for a terminal."""
    files = changed.files if changed is not None else ()
    added = sum(record.lines_added or 0 for record in files)
    removed = sum(record.lines_removed or 0 for record in files)
    tree = f"tree {status.merged_tree[:12]}" if status.merged_tree else "nothing merged"
    what = (
        f"{counted(len(status.packs), 'pack')}, {counted(len(files), 'file')} +{added} −{removed}"
    )
    reached = network_text(status.packs)
    lines = [
        f"{status.status}  {status.run_id}",
        f"{what}, {tree} on base {status.base_commit[:12]}",
        f"Policy: {for_eyes(policy_text(status.policy))}",
        f"Enforced: {', '.join(status.properties_given) or 'nothing'}",
        f"Accepted weaker: {', '.join(status.properties_accepted) or 'nothing'}",
        *([f"Network: {for_eyes(reached)}"] if reached else []),
        *(
            f"Cloud: {for_eyes(f'{each.pack} {each.message}')}"
            for each in status.findings
            if each.id == "CLOUD_GRANTED"
        ),
        *(
            f"Judge of {for_eyes(f'{each.pack}: {each.message}')}"
            for each in status.findings
            if each.id == "JUDGE_PERMITTED"
        ),
        signing_text(status.signing),
        "",
    ]
    names = [for_eyes(pack.pack) for pack in status.packs]
    width = max(map(len, names), default=0)
    for name, pack in zip(names, status.packs, strict=True):
        change = change_text(
            pack.files_changed, pack.lines_added, pack.lines_removed, len(pack.artifacts)
        )
        checks = counted(pack.checks, "check")
        lines.append(
            f"{name:<{width}}  {pack.status:<7}  {change}  {pack.checks_ok} of {checks} ok"
        )
        lines += [f"    {for_eyes(words)}" for words in asked_texts(pack)]
    for finding in status.findings:
        lines += ["", *finding_lines(finding)]
    lines += [""] if status.reused else []
    lines += [
        for_eyes(f"{row.pack} {row.label}{reused_where(row)}: reused from {row.from_run}")
        for row in status.reused
    ]
    if status.overlaps or status.smallest_conflict:
        largest = ", ".join(map(for_eyes, status.largest_set)) or "none"
        lines += [
            "",
            (
                f"Largest set that integrates: {largest} ({len(status.largest_set)} of"
                f" {len(status.packs)})"
            ),
        ]
    return ("\n".join(lines).rstrip() + "\n").encode("utf-8")


def asked_texts(line: PackLine) -> tuple[str, ...]:
    """Return a line for each check of a pack that did not run, or was asked more than once: what it
    says after, before and under the judge as it was.
    """
    shown = []
    for row in line.asked:
        more = (("before", row.before), ("old judge", row.old_judge))
        words = [f"{name} {word}" for name, word in more if word != "not-asked"]
        if words or row.after == "not-run":
            shown.append(", ".join((f"{row.label}  {row.after}", *words)))
    return tuple(shown)


def finding_lines(
    finding: FindingRecord, indent: str = "", owned: bool = True, log_end: Sequence[str] = ()
) -> list[str]:
    """Return the lines of one finding for a terminal: id and sentence, then its place, what its
    log ends with, and its hint.

    Without `owned` the pack is not named, as where a heading names it. `log_end` are the last
    lines of the log; without them the fact `last` of the finding is shown.
    """
    owner = owner_of(finding.pack, finding.facts) if owned else ""
    lines = [f"{indent}{finding.id}  {for_eyes(owner + finding.message)}"]
    if finding.file:
        place = for_eyes(place_of(finding))
        lines.append(f"{indent}    {place}")
    ends = log_end or filter(None, [last_line_of(finding.facts)])
    lines += [f"{indent}      {for_eyes(line)}" for line in ends]
    if finding.hint:
        lines.append(f"{indent}    {for_eyes(finding.hint)}")
    return lines
