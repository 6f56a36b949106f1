"""Compare FINAL_REPORT with the verdict: status, counts, trees, packs and findings must be the
same.

The text is not rendered again here; its digest is bound by the ledger, and every line that carries
a claim is compared with the evidence. Does not know how a report is laid out otherwise.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from factory.verify import paths
from factory.verify.documents import FilesChanged, RunStatus
from factory.verify.folder import EvidenceFolder
from factory.verify.names import eyes, inert
from factory.verify.results import Results

_UNSIGNED = "No key was at hand, so nothing in this run is signed."
_MD, _TXT = paths.REPORT, paths.REPORT_TEXT

_REPRODUCIBLE = ", reproducible: made twice in two environments, byte for byte"


def check_report(
    results: Results, run: EvidenceFolder, status: RunStatus, changed: FilesChanged | None
) -> None:
    """Compare both forms of the report with the verdict."""
    for path, starts, claims in (
        (_MD, _first_lines(status, changed), tuple(_claims(status))),
        (_TXT, _first_plain(status, changed), tuple(f"{row.id}  " for row in status.findings)),
    ):
        content = run.read(path)
        if content is None:
            results.wrong("VERIFY_MISSING", path, "expected the report, found none")
            continue
        lines = content.decode("utf-8", "replace").split("\n")
        _compare(results, path, lines, starts, claims)
        if path == _MD:
            _nothing_more(results, lines, status)


def _first_lines(status: RunStatus, changed: FilesChanged | None) -> list[str]:
    tree = (
        f"tree `{status.merged_tree[:12]}` on base"
        if status.merged_tree
        else "nothing merged, base"
    )
    what = f"{_counted(len(status.packs), 'pack')} · {_files(changed)}, {_lines(changed)} · {tree}"
    accepted = ", ".join(status.properties_accepted)
    network = reached(status)
    return [
        f"# {status.status} · {status.run_id}",
        "",
        f"**{status.status}** · {what} `{status.base_commit[:12]}` ({inert(status.base_ref)})",
        "",
        f"Policy: {inert(policy_words(status))}.",
        f"Enforced: {', '.join(status.properties_given) or 'nothing'}.",
        (
            f"**Accepted weaker by the user: {accepted}.**"
            if accepted
            else "Nothing was accepted weaker."
        ),
        *(
            (f"**Network: {inert(network)}.** Each connection is in `raw/<PACK>/EGRESS.json`.",)
            if network
            else ()
        ),
        *(
            f"**Cloud: {inert(row.pack)} {inert(row.message)}.**"
            for row in status.findings
            if row.id == "CLOUD_GRANTED"
        ),
        *(
            f"**Judge of {inert(row.pack)}: {inert(row.message)}.**"
            for row in status.findings
            if row.id == "JUDGE_PERMITTED"
        ),
        *(("", f"**{_UNSIGNED}**") if status.signing.signer == "none" else ()),
    ]


def reached(status: RunStatus) -> str:
    """Return the hosts that packs could reach, as one sentence; "" if none could."""
    rows = (
        (row.pack, "any public host" if "*" in row.network else ", ".join(row.network))
        for row in status.packs
    )
    return "; ".join(f"{pack} to {hosts}" for pack, hosts in rows if hosts)


def policy_words(status: RunStatus) -> str:
    """Return what the report says of the policy: its digest, what set it, what was granted."""
    policy = status.policy
    where = f"{policy.ref} at {policy.commit[:12]}" if policy.commit else "the work tree"
    rows = (
        ("repository" in policy.sources or policy.commit, f"factory.toml of {where}"),
        ("judged" in policy.sources, "what factory.toml of the work tree tightens"),
        ("user" in policy.sources, "the user's own file"),
        ("environment" in policy.sources, "FACTORY_ variables"),
        ("flag" in policy.sources, "flags"),
    )
    origin = ", ".join(text for due, text in rows if due) or "defaults"
    granted = [f"{row.kind} {row.thing} to {row.pack or 'any pack'}" for row in policy.grants]
    most = [*granted[:8], *([f"{len(granted) - 8} more"] if len(granted) > 8 else [])]
    return f"{policy.sha256[:12]}, set by {origin}; granted: {', '.join(most) or 'nothing'}"


def _first_plain(status: RunStatus, changed: FilesChanged | None) -> list[str]:
    tree = f"tree {status.merged_tree[:12]}" if status.merged_tree else "nothing merged"
    what = f"{_counted(len(status.packs), 'pack')}, {_files(changed)} {_lines(changed)}"
    return [
        f"{status.status}  {status.run_id}",
        f"{what}, {tree} on base {status.base_commit[:12]}",
        f"Policy: {eyes(policy_words(status))}",
        f"Enforced: {', '.join(status.properties_given) or 'nothing'}",
        f"Accepted weaker: {', '.join(status.properties_accepted) or 'nothing'}",
        *((f"Network: {reached(status)}",) if reached(status) else ()),
        *(
            f"Cloud: {row.pack} {row.message}"
            for row in status.findings
            if row.id == "CLOUD_GRANTED"
        ),
        *(
            f"Judge of {eyes(row.pack)}: {eyes(row.message)}"
            for row in status.findings
            if row.id == "JUDGE_PERMITTED"
        ),
        _signing(status),
    ]


def _signing(status: RunStatus) -> str:
    """Return the sentence about signing in both forms."""
    who = {
        "optional": "a signature is optional",
        "required": "a signature by a key pinned in factory.keys/ is required",
        "required-from": (
            f"a signature by one of {', '.join(status.signing.keys) or 'no key'} is required"
        ),
    }[status.signing.policy]
    signed = "A key was at hand; who signed is in attestations/checkpoint."
    return f"Signing policy: {who}. {_UNSIGNED if status.signing.signer == 'none' else signed}"


def _claims(status: RunStatus) -> Iterable[str]:
    """Yield starts of lines that the report must contain."""
    for line in status.packs:
        artifacts = f", {_counted(len(line.artifacts), 'artifact')}" if line.artifacts else ""
        change = f"{_counted(line.files_changed, 'file')} +{line.lines_added} −{line.lines_removed}"
        recorded = f"{change if line.files_changed else 'no change'}{artifacts}"
        title = f"{inert(line.pack)} {inert(line.title)}"
        checks = f"{line.checks_ok} of {line.checks} ok"
        yield (
            f"| {title} | {inert(line.domain)} | {line.status} | {recorded} | {checks} |"
            f" {inert(line.why)} |"
        )
        for asked in line.asked:
            words = f"{asked.after} | {asked.before} | {asked.old_judge}"
            yield f"| {inert(line.pack)} | {inert(asked.label)} | {words} |"
        origin = f", made by {line.came_from}" if line.came_from else ""
        digest = f"`{line.bundle_sha256}`" if line.bundle_sha256 else "none"
        again = _REPRODUCIBLE if line.reproducible else ""
        yield f"- {inert(line.pack)}: bundle manifest sha256 {digest}{origin}{again}"
    for row in status.findings:
        owner = f"{inert(row.pack)}: " if row.pack else ""
        yield f"- **{row.id}** ({row.severity}) {owner}{inert(row.message)}"
        last = row.facts.get("last", "") if "label" in row.facts else ""
        if last and isinstance(last, str):
            yield f'  Its log ends with "{inert(last)}".'
    for line in status.packs:
        for path in line.artifacts[:100]:
            yield f"| {inert(line.pack)} | {_code(path)} |"
    for check in status.rechecks:
        words = f"{check.outcome} | {check.old_judge}"
        yield f"| {inert(check.pack)} | {inert(check.label)} | {words} |"
    for reused in status.reused:
        where = " on the merged tree" if not reused.attempt else ""
        where = f" of attempt {reused.attempt}" if reused.attempt > 1 else where
        yield f"- {inert(reused.pack)} {inert(reused.label)}{where}: reused from {reused.from_run}"
    yield from _by_git(status)
    yield _signing(status)


def _code(path: str) -> str:
    """Return a path as inline code in a cell of a table."""
    shown = eyes(path).replace("|", "\\|")
    longest = max((len(run) for run in re.findall("`+", shown)), default=0)
    apart = " " if longest or shown[:1] == shown[-1:] == " " or not shown else ""
    return f"{'`' * (longest + 1)}{apart}{shown}{apart}{'`' * (longest + 1)}"


def _by_git(status: RunStatus) -> Iterable[str]:
    """Yield the lines about Git: none may name a file that does not exist."""
    if status.merged_tree:
        yield "`git bundle verify Z_integrator/CHANGES.bundle` and `git fetch` from it "
        yield f"and `git rev-parse FETCH_HEAD^{{tree}}` must print `{status.merged_tree}`."
    elif any(line.bundle_sha256 for line in status.packs):
        yield (
            "nothing was merged; `git fetch` from a pack's `CHANGES.bundle` inside a clone gives"
            " its own result."
        )
    else:
        yield "nothing was merged, and no pack left a bundle."


def _compare(
    results: Results, path: str, lines: list[str], starts: list[str], claims: tuple[str, ...]
) -> None:
    for number, (due, found) in enumerate(zip(starts, lines, strict=False), 1):
        if due != found:
            results.wrong(
                "VERIFY_REPORT", path, f"line {number}: expected {due!r}, found {found[:200]!r}"
            )
    left = list(lines)
    for claim in claims:
        line = next((line for line in left if line.startswith(claim)), None)
        if line is None:
            results.wrong(
                "VERIFY_REPORT", path, f"expected a line that starts {claim[:200]!r}, found none"
            )
        else:
            left.remove(line)


def _nothing_more(results: Results, lines: list[str], status: RunStatus) -> None:
    """Report findings and bundles beyond those of the verdict."""
    for start, due in (("- **", len(status.findings)), ("- ", None)):
        found = [
            line
            for line in lines
            if line.startswith(start) and (due is not None or ": bundle manifest" in line)
        ]
        expected = due if due is not None else len(status.packs)
        if len(found) != expected:
            results.wrong(
                "VERIFY_REPORT", _MD, f"expected {expected} lines {start!r}, found {len(found)}"
            )
    if not status.merged_tree and any(line.startswith("`git bundle verify") for line in lines):
        results.wrong(
            "VERIFY_REPORT",
            _MD,
            "expected no merged bundle where nothing was merged, found it named",
        )
    due, called = (
        sum(row.reproducible for row in status.packs),
        sum(_REPRODUCIBLE in line for line in lines),
    )
    if due != called:
        results.wrong(
            "VERIFY_REPORT", _MD, f"expected {due} packs called reproducible, found {called}"
        )


def _files(changed: FilesChanged | None) -> str:
    return _counted(len(changed.files) if changed is not None else 0, "file")


def _lines(changed: FilesChanged | None) -> str:
    files = changed.files if changed is not None else ()
    added, removed = (
        sum(row.lines_added or 0 for row in files),
        sum(row.lines_removed or 0 for row in files),
    )
    return f"+{added} −{removed}"


def _counted(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
