"""Render `report.html`: one file that needs no other, runs no script and fetches nothing.

The verdict comes first, then packs that did not PASS. A function of a `RunView`: it asks no clock
and no host. Its Content-Security-Policy allows its own style sheet by digest and nothing else. Its
links lead to places in it, and next to it to logs, patches and artifacts that no browser runs. Text
of packs enters only through `report.markup`, which escapes it.
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections import Counter
from collections.abc import Iterable, Sequence

from factory.model.evidence import CheckRecord, FileRecord, FindingRecord, PackLine, RecheckRecord
from factory.model.layout import ATTESTATIONS, IN_BUNDLE, IN_RUN, INTEGRATOR
from factory.model.wording import counted
from factory.report.diff import DiffLine, numbered
from factory.report.markup import Child, Markup, joined, lines_of, relative_uri, tag, text_of
from factory.report.run_view import RunView, good
from factory.report.style import STEPS, STYLE
from factory.report.text import (
    MOST_ARTIFACTS,
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
        ("findings", "Other findings", _other_findings(run)),
        ("conflicts", "Conflicts", _conflicts(run)),
        ("files", "Files", _files(run)),
        ("checks", "Checks on the merged tree", _rechecks(run)),
        ("timeline", "Timeline", _timeline(run)),
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
        tag("a", "Skip to the packs", class_="skip", href="#packs"),
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
    base = joined(tag("code", status.base_commit[:12]), f" ({status.base_ref})")
    counts = Counter(line.status for line in run.lines)
    badges = (tag("li", _badge(f"{counts[name]} {name}", name)) for name in counts)
    return tag(
        "header",
        tag("h1", status.status),
        tag("ul", *badges, class_="counts", aria_label="Packs by verdict") if counts else "",
        tag("p", what, tree, base),
        tag("dl", *_facts(run), class_="facts"),
        *_notices(run),
        class_=status.status,
    )


def _facts(run: RunView) -> Iterable[Markup]:
    """Yield what a reader wants to know of a run before its packs: where, when, by whom, under
    what policy.
    """
    status, facts = run.status, run.facts
    when = facts.started[:19].replace("T", " ")
    number = len(status.properties_given)
    weaker = (
        "not all that was required" if status.properties_accepted else "nothing was accepted weaker"
    )
    signed = "nobody" if status.signing.signer == "none" else f"see {ATTESTATIONS.checkpoint}"
    rows = (
        ("repository", facts.origin),
        ("branch", status.base_ref),
        ("date", f"{when} UTC" if when else ""),
        ("duration", time_text(facts.duration) if when else ""),
        ("host", facts.host),
        ("signed by", signed),
        ("enforced", f"{counted(number, 'property', 'properties')}; {weaker}"),
        ("policy", policy_text(status.policy)),
        ("run", status.run_id),
    )
    for name, text in rows:
        if text:
            yield tag("div", tag("dt", name), tag("dd", text))


def _notices(run: RunView) -> Iterable[Markup]:
    status, reached = run.status, network_text(run.status.packs)
    if status.properties_accepted:
        accepted = f"Accepted weaker by the user: {', '.join(status.properties_accepted)}."
        yield tag("p", accepted, class_="notice error")
    if reached:
        yield tag("p", f"Network: {reached}.", class_="notice warning")
    if status.signing.signer == "none":
        yield tag("p", UNSIGNED, class_="notice warning")
    if not status.packs_committed:
        words = "Task packs differ from the base commit, so this run cannot be published."
        yield tag("p", words, class_="notice warning")


def time_text(milliseconds: int) -> str:
    """Return a duration in words: 0.4 s, 3 min 5.0 s."""
    minutes, rest = divmod(milliseconds, 60_000)
    return f"{minutes} min {rest / 1000:.1f} s" if minutes else f"{rest / 1000:.1f} s"


_NUMBERS = ("lines", "began after", "took")


def _table(caption: str, heads: Sequence[str], rows: Iterable[Markup], class_: str) -> Markup:
    """Return a table with a caption, in a box of its own that scrolls if the table is too wide.
    The checker finds its rows by `class_`.
    """
    first = tag(
        "tr",
        *(tag("th", head, scope="col", class_="num" if head in _NUMBERS else "") for head in heads),
    )
    table = tag(
        "table", tag("caption", caption), tag("thead", first), tag("tbody", *rows), class_=class_
    )
    return tag("div", table, class_="wide", role="region", aria_label=caption, tabindex="0")


# ── packs ────────────────────────────────────────────────────────────────────


def _packs(run: RunView) -> Markup:
    if not run.lines:
        return tag("p", "No pack.")
    heads = ("pack", "domain", "status", "change", "checks", "why it matters")
    rows = (_pack(line, number) for number, line in enumerate(run.lines, 1))
    parts = [_pack_part(run, line, number) for number, line in enumerate(run.lines, 1)]
    broken = sum(line.status != "PASS" for line in run.lines)
    table = _table("The result of each task pack", heads, rows, "packs")
    return joined(*parts[:broken], table, *parts[broken:])


def _pack(line: PackLine, number: int) -> Markup:
    name = tag("a", tag("code", line.pack), href=f"#pack-{number}")
    return tag(
        "tr",
        tag("th", joined(name, tag("br"), line.title) if line.title else name, scope="row"),
        tag("td", line.domain, class_="domain"),
        tag("td", _badge(line.status, line.status)),
        tag("td", _change(line), class_="short"),
        tag("td", f"{line.checks_ok} of {line.checks} ok", class_="short"),
        tag("td", line.why, class_="why"),
    )


def _change(line: PackLine) -> str:
    return change_text(
        line.files_changed, line.lines_added, line.lines_removed, len(line.artifacts)
    )


def _pack_part(run: RunView, line: PackLine, number: int) -> Markup:
    """Return all of one pack, folded if it passed: why it did not, its checks, diff, artifacts."""
    heading = tag("h3", tag("code", line.pack), f" {line.title}" if line.title else "")
    summary = tag("summary", _badge(line.status, line.status), heading)
    found = run.findings_of(line.pack)
    body: tuple[Child, ...] = (
        tag("p", line.why, class_="soft") if line.why else "",
        tag("ul", *map(_finding, found), class_="findings") if found else "",
        _pack_checks(run, line),
        _diff(run, line),
        _artifacts(line),
    )
    nothing = "" if any(body) else tag("p", "It left nothing.")
    inner = tag("details", summary, *body, nothing, open=line.status != "PASS")
    return tag("section", inner, id=f"pack-{number}", class_=f"pack {line.status}")


def _pack_checks(run: RunView, line: PackLine) -> Child:
    checks = run.checks_of(line.pack)
    if not checks:
        return ""
    heads = ("check", "command", "ended", "before", "old judge", "log")
    rows = (_check(run, line.pack, check) for check in checks)
    return _table(f"Commands of {line.pack}", heads, rows, "checks")


def _diff(run: RunView, line: PackLine) -> Child:
    """Return the patch of a pack, folded, with line numbers; the whole of it is linked."""
    bundle = run.bundles.get(line.pack)
    if bundle is None or not line.files_changed:
        return ""
    link = tag("a", IN_BUNDLE.patch, href=f"../{relative_uri(line.pack)}/{IN_BUNDLE.patch}")
    if not bundle.patch:
        return tag("p", "Its diff: ", link)
    more = tag("p", f"{counted(bundle.more, 'more line')} in ", link) if bundle.more else ""
    lines = (_diff_line(each) for each in numbered(bundle.patch))
    words = f"diff: {change_text(line.files_changed, line.lines_added, line.lines_removed, 0)}"
    text = tag("pre", *lines, class_="diff", tabindex="0", role="region", aria_label=words)
    return tag("details", tag("summary", words), text, more or tag("p", "The same in ", link))


_MOST_COLUMNS = 400  # characters of one line of a diff


def _diff_line(line: DiffLine) -> Markup:
    text = line.text if len(line.text) <= _MOST_COLUMNS else f"{line.text[:_MOST_COLUMNS]}…"
    numbers = f"{line.old or '':>5} {line.new or '':>5} "
    content = Markup(f"{text_of(text.expandtabs(4))}\n")
    return tag("span", tag("span", numbers, class_="n"), content, class_=line.kind)


# Files that no browser runs anything of; a link to another one could act when it is followed. No
# part of a path begins with a dot.
_LINKED = re.compile(
    r"(?:[\w~%-][\w.~%-]*/)*[\w~%-][\w.~%-]*\.(?:txt|log|json|csv|tsv|md|png|jpe?g|gif|webp)",
    re.IGNORECASE | re.ASCII,
)


def _artifacts(line: PackLine) -> Child:
    if not line.artifacts:
        return ""
    shown = (tag("li", _artifact(line.pack, path)) for path in line.artifacts[:MOST_ARTIFACTS])
    more = len(line.artifacts) - MOST_ARTIFACTS
    rest = tag("li", f"and {more} more in {IN_BUNDLE.artifacts}") if more > 0 else ""
    words = counted(len(line.artifacts), "artifact")
    return joined(tag("h4", words), tag("ul", *shown, rest, class_="artifacts"))


def _artifact(pack: str, path: str) -> Markup:
    name, uri = tag("code", path), relative_uri(path)
    if "\\" in path or _LINKED.fullmatch(uri) is None:
        return name
    return tag("a", name, href=f"../{relative_uri(pack)}/{IN_BUNDLE.artifacts}/{uri}")


def _badge(text: str, tone: str) -> Markup:
    return tag("span", text, class_=f"badge {tone}")


def _other_findings(run: RunView) -> Markup:
    """Return the findings about the run, and about packs that it does not have."""
    own = {line.pack for line in run.status.packs}
    groups = []
    for owner in ("", *run.owners):
        found = run.findings_of(owner)
        if found and owner not in own:
            groups += [
                tag("h3", owner or "The run"),
                tag("ul", *map(_finding, found), class_="findings"),
            ]
    if not run.status.findings:
        return tag("p", "No finding.")
    return joined(*groups)


def _finding(row: FindingRecord) -> Markup:
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
        "What the merged tree changes",
        ("file", "change", "lines"),
        map(_file, run.changed.files),
        "files",
    )


def _file(row: FileRecord) -> Markup:
    lines = "binary" if row.lines_added is None else f"+{row.lines_added} −{row.lines_removed}"
    name = tag("th", tag("code", row.path), scope="row")
    return tag("tr", name, tag("td", row.kind), tag("td", lines, class_="num"))


def _rechecks(run: RunView) -> Markup:
    if not run.status.rechecks:
        return _EMPTY
    rows = (_recheck(run, record) for record in run.status.rechecks)
    heads = ("check", "command", "outcome", "old judge", "log")
    return _table("Checks on the merged tree", heads, rows, "rechecks")


_MOST_SPANS = 60


def _timeline(run: RunView) -> Markup:
    """Return when each part ran: the longest ones of many, in order of their beginning."""
    longest = sorted(run.facts.spans, key=lambda span: -span.took)[:_MOST_SPANS]
    spans = [span for span in run.facts.spans if span in longest]
    whole = max((span.began + span.took for span in spans), default=0)
    rows = []
    for span in spans:
        at = min(STEPS - 1, max(0, span.began * STEPS // max(whole, 1)))
        long = max(1, min(STEPS - at, -(-span.took * STEPS // max(whole, 1))))
        rows.append(
            tag(
                "tr",
                tag("th", span.what, scope="row"),
                tag("td", time_text(span.began), class_="num"),
                tag("td", time_text(span.took), class_="num"),
                tag("td", tag("span", class_=f"bar a{at} b{long}"), class_="track"),
            )
        )
    heads = ("part", "began after", "took", "when")
    return _table("When each part of the run ran", heads, rows, "timeline") if rows else _EMPTY


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
    for line in run.lines:
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
