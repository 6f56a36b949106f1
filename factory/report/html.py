"""Render `report.html`: one file that needs no other, runs no script and fetches nothing.

The verdict comes first. A function of a `RunView`: no clock, no host. Its Content-Security-Policy
allows its own style sheet by digest and nothing else. Its links lead to places in it and to logs
next to it. Text of packs enters only through `report.markup`, which escapes it.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable, Sequence

from factory.model.evidence import CheckRecord, FileRecord, FindingRecord, PackLine, RecheckRecord
from factory.model.findings.catalogue import CATALOGUE
from factory.model.layout import ATTESTATIONS, IN_BUNDLE, IN_RUN, INTEGRATOR
from factory.model.wording import counted
from factory.report.markup import Child, Markup, joined, lines_of, relative_uri, tag
from factory.report.run_view import RunView, good
from factory.report.style import STYLE
from factory.report.text import (
    UNSIGNED,
    change_text,
    network_text,
    place_of,
    policy_text,
    signing_text,
)

_STYLE_DIGEST = base64.b64encode(hashlib.sha256(STYLE.encode("utf-8")).digest()).decode("ascii")
_POLICY = (
    f"default-src 'none'; style-src 'sha256-{_STYLE_DIGEST}'; base-uri 'none'; form-action 'none'"
)
_EMPTY = Markup("")


def report_html(run: RunView) -> bytes:
    """Return the whole document in UTF-8; sections without content are left out."""
    status = run.status
    parts = (
        ("packs", "Packs", _packs(run)),
        ("findings", "Findings", _findings(run)),
        ("conflicts", "Conflicts", _conflicts(run)),
        ("files", "Files", _files(run)),
        ("checks", "Checks", _checks(run)),
        ("evidence", "Evidence", _evidence(run)),
        ("verify", "How to verify this", _how(run)),
    )
    shown = [(name, title, body) for name, title, body in parts if body != _EMPTY]
    links = (tag("li", tag("a", title, href=f"#{name}")) for name, title, _ in shown)
    head = joined(
        tag("meta", charset="utf-8"),
        tag("meta", http_equiv="Content-Security-Policy", content=_POLICY),
        tag("meta", name="referrer", content="no-referrer"),
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        tag("meta", name="color-scheme", content="light dark"),
        tag("title", f"{status.status} · {status.run_id}"),
        tag("style", Markup(STYLE)),
    )
    body = joined(
        tag("a", "Skip to the findings", class_="skip", href="#findings"),
        _verdict(run),
        tag("nav", tag("ul", *links), aria_label="Sections"),
        tag(
            "main",
            *(tag("section", tag("h2", title), inner, id=name) for name, title, inner in shown),
        ),
    )
    text = tag("html", tag("head", head), tag("body", body), lang="en").text
    return f"<!DOCTYPE html>\n{text}\n".encode()


def _verdict(run: RunView) -> Markup:
    status, files = run.status, run.changed.files if run.changed is not None else ()
    added, removed = (
        sum(row.lines_added or 0 for row in files),
        sum(row.lines_removed or 0 for row in files),
    )
    tree = (
        joined("tree ", tag("code", status.merged_tree[:12]), " on base ")
        if status.merged_tree
        else "nothing merged, base "
    )
    what = (
        f"{counted(len(status.packs), 'pack')} · {counted(len(files), 'file')}, +{added}"
        f" −{removed} · "
    )
    notices = []
    weaker = "nothing was accepted weaker."
    if status.properties_accepted:
        weaker = "not all that was required."
        accepted = f"Accepted weaker by the user: {', '.join(status.properties_accepted)}."
        notices.append(tag("p", accepted, class_="notice error"))
    reached = network_text(status.packs)
    if reached:
        notices.append(tag("p", f"Network: {reached}.", class_="notice warning"))
    if status.signing.signer == "none":
        notices.append(tag("p", UNSIGNED, class_="notice warning"))
    if not status.packs_committed:
        words = "Task packs differ from the base commit, so this run cannot be published."
        notices.append(tag("p", words, class_="notice warning"))
    base = joined(tag("code", status.base_commit[:12]), f" ({status.base_ref})")
    return tag(
        "header",
        tag("h1", status.status),
        tag("p", what, tree, base),
        tag(
            "p",
            f"{counted(len(status.properties_given), 'property', 'properties')} enforced; ",
            weaker,
        ),
        tag("p", f"Policy: {policy_text(status.policy)}."),
        tag("p", "Run ", tag("code", status.run_id), class_="soft"),
        *notices,
        class_=status.status,
    )


def _table(caption: str, heads: Sequence[str], rows: Iterable[Markup], class_: str = "") -> Markup:
    """Return a table with a caption, in a box of its own that scrolls if the table is too wide."""
    first = tag(
        "tr",
        *(tag("th", head, scope="col", class_="num" if head == "lines" else "") for head in heads),
    )
    table = tag(
        "table", tag("caption", caption), tag("thead", first), tag("tbody", *rows), class_=class_
    )
    return tag("div", table, class_="wide", role="region", aria_label=caption, tabindex="0")


def _packs(run: RunView) -> Markup:
    heads = ("pack", "domain", "status", "change", "checks", "why it matters")
    return _table("The result of each task pack", heads, map(_pack, run.status.packs), "packs")


def _pack(line: PackLine) -> Markup:
    change = change_text(
        line.files_changed, line.lines_added, line.lines_removed, len(line.artifacts)
    )
    name = (
        joined(tag("code", line.pack), tag("br"), line.title)
        if line.title
        else tag("code", line.pack)
    )
    return tag(
        "tr",
        tag("th", name, scope="row"),
        tag("td", line.domain),
        tag("td", _badge(line.status, line.status)),
        tag("td", change, class_="short"),
        tag("td", f"{line.checks_ok} of {line.checks} ok", class_="short"),
        tag("td", line.why),
    )


def _badge(text: str, tone: str) -> Markup:
    return tag("span", text, class_=f"badge {tone}")


def _findings(run: RunView) -> Markup:
    if not run.status.findings:
        return tag("p", "No finding.")
    groups = []
    for owner in ("", *run.owners):
        found = run.findings_of(owner)
        if found:
            groups += [
                tag("h3", owner or "The run"),
                tag("ul", *map(_finding, found), class_="findings"),
            ]
    return joined(*groups)


def _finding(row: FindingRecord) -> Markup:
    known = CATALOGUE.get(row.id)
    return tag(
        "li",
        tag(
            "p",
            _badge(row.severity, row.severity),
            " ",
            tag("strong", row.id),
            " ",
            tag("span", row.message),
        ),
        tag("p", tag("code", place_of(row))) if row.file else "",
        tag("p", row.hint) if row.hint else "",
        (
            tag("p", f"{known.meaning[:1].upper()}{known.meaning[1:]}.", class_="soft")
            if known is not None
            else ""
        ),
        class_=row.severity,
    )


def _conflicts(run: RunView) -> Markup:
    status = run.status
    if not status.overlaps and not status.smallest_conflict:
        return _EMPTY
    parts: list[Markup] = []
    if status.overlaps:
        names = sorted({name for row in status.overlaps for name in (row.first, row.second)})
        met = {(row.first, row.second): row for row in status.overlaps}
        met |= {(row.second, row.first): row for row in status.overlaps}
        rows = []
        for name in names:
            found = [met.get((name, other)) for other in names]
            cells = (
                tag("td", tag("code", row.path) if row else "·" if other == name else "—")
                for row, other in zip(found, names, strict=True)
            )
            rows.append(tag("tr", tag("th", name, scope="row"), *cells))
        parts.append(_table("Where two packs meet", ("", *names), rows, "matrix"))
        settled = (
            tag("li", f"{row.first} and {row.second}: {row.resolved}.")
            for row in status.overlaps
            if row.resolved
        )
        parts.append(tag("ul", *settled))
    label = "" if status.exact else " (greedy, not exact)"
    count = f"{len(status.largest_set)} of {len(status.packs)}"
    parts.append(
        tag(
            "p",
            f"Largest set that integrates{label}: {', '.join(status.largest_set) or 'none'}"
            f" ({count}).",
        )
    )
    if status.smallest_conflict:
        parts.append(
            tag("p", f"Smallest set that does not: {', '.join(status.smallest_conflict)}.")
        )
    return joined(*parts)


def _files(run: RunView) -> Markup:
    if run.changed is None or not run.changed.files:
        return _EMPTY
    return _table(
        "What the merged tree changes", ("file", "change", "lines"), map(_file, run.changed.files)
    )


def _file(row: FileRecord) -> Markup:
    lines = "binary" if row.lines_added is None else f"+{row.lines_added} −{row.lines_removed}"
    name = tag("th", tag("code", row.path), scope="row")
    return tag("tr", name, tag("td", row.kind), tag("td", lines, class_="num"))


def _checks(run: RunView) -> Markup:
    groups: list[Markup] = []
    for line in run.status.packs:
        checks = run.checks_of(line.pack)
        if checks:
            rows = (_check(run, line.pack, check) for check in checks)
            groups += [
                tag("h3", line.pack),
                _table(f"Commands of {line.pack}", _COMMAND_HEADS, rows),
            ]
    if run.status.rechecks:
        rows = (_recheck(run, record) for record in run.status.rechecks)
        heads = ("check", "command", "outcome", "old judge", "log")
        groups += [
            tag("h3", "On the merged tree"),
            _table("Checks on the merged tree", heads, rows),
        ]
    return joined(*groups)


_COMMAND_HEADS = ("check", "command", "ended", "before", "old judge", "log")


def _check(run: RunView, pack: str, check: CheckRecord) -> Markup:
    fine = check.rc == 0 and check.ended == "exited"
    word = f"ended with {check.rc}" if check.ended == "exited" else check.ended
    excerpt = run.bundles[pack].excerpts.get(check.label, "")
    cells = [
        tag("td", tag("code", check.run)),
        tag("td", _badge("ok" if fine else word, "ok" if fine else "not")),
    ]
    if excerpt and not fine:
        ending = tag(
            "details", tag("summary", "how its log ends"), tag("pre", lines_of(excerpt)), open=True
        )
        cells[0] = tag("td", tag("code", check.run), ending)
    return tag(
        "tr",
        tag("th", check.label, scope="row"),
        *cells,
        *(tag("td", word) for word in _asked(run, pack, check.label)),
        tag("td", _log(f"../{relative_uri(pack)}/", check.label)),
    )


def _asked(run: RunView, pack: str, label: str) -> tuple[str, str]:
    """Return what a check says before the work and under the old judge; "" for a step."""
    rows = (row for line in run.status.packs if line.pack == pack for row in line.asked)
    return next(((row.before, row.old_judge) for row in rows if row.label == label), ("", ""))


def _recheck(run: RunView, record: RecheckRecord) -> Markup:
    label = f"{record.pack}.{record.label}"
    kept = any(log.label == label for log in run.logs.logs)
    log = (
        _log("", label)
        if kept
        else "of the pack's own run"
        if record.outcome == "as-accepted"
        else "none"
    )
    culprits = f" with {', '.join(record.culprits)}" if record.culprits else ""
    return tag(
        "tr",
        tag("th", record.pack, tag("br"), record.label, scope="row"),
        tag("td", tag("code", record.run)),
        tag("td", _badge(record.outcome, "ok" if good(record.outcome) else "not"), culprits),
        tag("td", record.old_judge),
        tag("td", log),
    )


def _log(above: str, label: str) -> Markup:
    """Return a link to a log; a "/" in its label is escaped, so that the label stays one path
    segment.
    """
    return tag("a", "log", href=above + IN_BUNDLE.log(relative_uri(label).replace("/", "%2F")))


def _evidence(run: RunView) -> Markup:
    status = run.status
    rows: list[Child] = []
    for line in status.packs:
        digest = tag("code", line.bundle_sha256) if line.bundle_sha256 else "no bundle"
        origin = f", made by {line.came_from}" if line.came_from else ""
        again = (
            ", reproducible: made twice in two environments, byte for byte"
            if line.reproducible
            else ""
        )
        rows += [tag("dt", line.pack), tag("dd", digest, origin, again)]
    merged: list[Child] = []
    if status.merged_tree:
        merged = [tag("dt", "merged tree"), tag("dd", tag("code", status.merged_tree))]
    merged += [tag("dt", "base commit"), tag("dd", tag("code", status.base_commit))]
    merged += [tag("dt", "base tree"), tag("dd", tag("code", status.base_tree))]
    given = tag("ul", *(tag("li", name) for name in status.properties_given), class_="chips")
    return joined(
        tag("h3", "Bundles, by the SHA-256 of their manifest"),
        tag("dl", *rows),
        tag("h3", "Trees and commits"),
        tag("dl", *merged),
        tag("h3", "Enforced"),
        given if status.properties_given else tag("p", "Nothing."),
        tag("p", signing_text(status.signing)),
    )


def _how(run: RunView) -> Markup:
    status = run.status
    tool = joined("With this tool: ", tag("code", f"factory verify {status.run_id}"), ".")
    steps = [
        tag(
            "li",
            "The digest of every file of this run is in ",
            tag("code", IN_RUN.manifest),
            ".",
        ),
        tag(
            "li",
            "In the run's folder: ",
            tag("code", f"sha256sum --check {ATTESTATIONS.files_list}"),
            ".",
        ),
    ]
    if status.merged_tree:
        fetch = tag("code", f"git fetch {INTEGRATOR.objects} refs/codex/result")
        steps.append(
            tag(
                "li",
                "Inside a clone, ",
                fetch,
                " gives the result; ",
                tag("code", "git rev-parse FETCH_HEAD^{tree}"),
                " must print ",
                tag("code", status.merged_tree),
                ".",
            )
        )
    return joined(tag("p", tool), tag("p", "Without it:"), tag("ol", *steps))
