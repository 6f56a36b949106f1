"""Compare `report.html`, `junit.xml` and `results.sarif` with the verdict, read as others read
them.

None is rendered again: its digest is bound by lists and statements. What it says of verdict, packs,
findings, checks and files must be the evidence's, with nothing in it that acts. Does not know how
any is laid out.
"""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping
from datetime import datetime
from typing import Any

from factory.strict import json as strict_json
from factory.verify import paths
from factory.verify.bundle import Bundle
from factory.verify.documents import Event, FilesChanged, FindingRow, PackLine, RunStatus
from factory.verify.events import read_line
from factory.verify.folder import EvidenceFolder
from factory.verify.form import FormError
from factory.verify.html_page import Page, read_page
from factory.verify.names import eyes
from factory.verify.report import policy_words, reached
from factory.verify.results import Results
from factory.verify.verdict import GOOD_OUTCOMES

_XML_ELEMENTS = frozenset({"testsuites", "testsuite", "testcase", "failure", "error", "system-out"})
_XML_START = b'<?xml version="1.0" encoding="UTF-8"?>\n<testsuites '
_IN_SARIF = str.maketrans({"\\": "\\\\", "[": "\\[", "]": "\\]", "{": "{{", "}": "}}"})

Bundles = Mapping[str, Bundle]


def check_renderings(
    results: Results,
    run: EvidenceFolder,
    status: RunStatus,
    changed: FilesChanged | None,
    bundles: Bundles,
) -> None:
    """Compare each with the verdict; commands only if every bundle was derived again."""
    known = (
        bundles
        if all(line.pack in bundles for line in status.packs if line.bundle_sha256)
        else None
    )
    checks: Mapping[str, Callable[[bytes], Iterable[str]]] = {
        paths.REPORT_PAGE: lambda content: _page(
            read_page(content), run, status, changed, known, results.spoilt
        ),
        paths.JUNIT: lambda content: _junit(content, status, known),
        paths.SARIF: lambda content: _sarif(content, status),
    }
    for path, problems in checks.items():
        if path in results.spoilt:
            continue
        content = run.read(path)
        if content is None:
            results.wrong(
                "VERIFY_MISSING", path, "expected this rendering of the report, found none"
            )
            continue
        for problem in problems(content):
            results.wrong("VERIFY_REPORT", path, problem)


def _same(what: str, due: object, found: object) -> Iterable[str]:
    if due != found:
        yield f"{what}: expected {str(due)[:200]}, found {str(found)[:200]}"


def _words(*texts: str) -> str:
    return " ".join(" ".join(map(eyes, texts)).split())


# ── HTML ─────────────────────────────────────────────────────────────────────


def _page(
    page: Page,
    run: EvidenceFolder,
    status: RunStatus,
    changed: FilesChanged | None,
    bundles: Bundles | None,
    spoilt: Collection[str],
) -> Iterable[str]:
    if page.problem:
        yield page.problem
        return
    files = changed.files if changed is not None else ()
    yield from _same("its title", f"{status.status} · {status.run_id}", page.title)
    yield from _same("its verdict", status.status, page.verdict)
    yield from _same("its first lines", _head(status, files), page.head)
    events = tuple(_events(run))
    yield from _same("its facts", _facts(run, status, events, page), page.facts)
    lines = sorted(status.packs, key=lambda line: line.status == "PASS")
    yield from _same("its packs", [_pack_row(line) for line in lines], page.rows.get("packs", []))
    yield from _same("tables of other kinds", [], sorted(page.rows.keys() - _TABLES))
    spans = set(_spans(events))
    odd = [row for row in page.rows.get("timeline", []) if row[:3] not in spans]
    yield from _same("parts of its timeline that no event records", [], odd)
    for number, line in enumerate(lines, 1):
        if f"{line.pack}/{paths.PATCH}" in spoilt:
            continue  # it was reported, and says nothing of the page
        shown = page.diffs.get(f"pack-{number}", [])
        patch = run.read(f"{line.pack}/{paths.PATCH}") or b"" if shown else b""
        yield from _diff(f"the diff of {line.pack}", patch, shown)
    found = Counter(item[0] for item in page.items)
    due = Counter(_words(row.severity, row.id, row.message) for row in status.findings)
    yield from _same("its findings", sorted(due.elements()), sorted(found.elements()))
    rows = [(_words(row.path), row.kind, _lines_of(row)) for row in files]
    yield from _same("its files", rows, page.rows.get("files", []))
    if bundles is not None:
        ran = (*page.rows.get("checks", []), *page.rows.get("rechecks", []))
        ended = [cells[:1] + cells[2:-1] for cells in ran]
        yield from _same("its checks", _ended(status, lines, bundles), ended)
    evidence = page.words.get("evidence", "")
    digests = (row.bundle_sha256 for row in status.packs)
    for name in (status.base_commit, status.base_tree, status.merged_tree, *digests):
        if name not in evidence:
            yield f"expected {name} among its evidence, found none"


def _events(run: EvidenceFolder) -> Iterable[Event]:
    """Yield the run's events as far as they can be read; whether they are whole is checked where
    the ledger is.
    """
    for line in (run.read(paths.EVENTS) or b"").splitlines():
        try:
            event = read_line(line)
            datetime.fromisoformat(event.ts_utc)
        except (FormError, ValueError):
            return
        yield event


_TABLES = {"checks", "files", "matrix", "packs", "rechecks", "timeline"}
_TIMED = {"preflight.finished": "preflight", "merge.finished": "merge", "pack.finished": ""}


def _facts(
    run: EvidenceFolder, status: RunStatus, events: tuple[Event, ...], page: Page
) -> dict[str, str]:
    """Return the facts that the head must have; `raw/` may be gone, and then any host is right."""
    by_type = {event.event_type: event for event in events}
    started, prepared = by_type.get("run.started"), by_type.get("integrate.prepared")
    when = started.ts_utc[:19].replace("T", " ") if started is not None else ""
    measured = run.read(paths.ENFORCEMENT)
    host = page.facts.get("host", "") if measured is None else _host(measured)
    number, accepted = len(status.properties_given), status.properties_accepted
    weaker = "not all that was required" if accepted else "nothing was accepted weaker"
    unsigned = status.signing.signer == "none"
    facts = {
        "repository": started.details.get("origin", "") if started is not None else "",
        "branch": status.base_ref,
        "date": f"{when} UTC" if when else "",
        "duration": _time(prepared.duration_ms if prepared is not None else 0) if when else "",
        "host": host,
        "signed by": "nobody" if unsigned else f"see {paths.CHECKPOINT}",
        "enforced": f"{number} {'property' if number == 1 else 'properties'}; {weaker}",
        "policy": policy_words(status),
        "run": status.run_id,
    }
    return {name: _words(text) for name, text in facts.items() if text}


def _host(measured: bytes) -> str:
    """Return the machine, its kernel and the sandbox of raw/enforcement.tsv."""
    rows = [line.split("\t") for line in measured.decode("utf-8", "replace").splitlines()]
    facts = {row[1]: row[2] for row in rows if row[0] == "fact" and len(row) == 3}
    backend = next((row[1] for row in rows if row[0] == "backend" and len(row) > 1), "")
    words = (facts.get("machine"), facts.get("kernel"), f"sandbox {backend or 'none'}")
    return " · ".join(word for word in words if word) if rows else ""


def _spans(events: tuple[Event, ...]) -> Iterable[tuple[str, ...]]:
    """Yield (what, began after, took) of each part of the run, as its events record it."""
    ended = [event for event in events if event.event_type in _TIMED]
    begins = [_at(event) - event.duration_ms for event in ended]
    starts = [_at(event) for event in events if event.event_type == "run.started"]
    zero = min((*begins, *starts), default=0)
    for event, began in zip(ended, begins, strict=True):
        what = _TIMED[event.event_type] or event.details.get("pack", "")
        yield _words(what), _time(began - zero), _time(event.duration_ms)


def _at(event: Event) -> int:
    return round(datetime.fromisoformat(event.ts_utc).timestamp() * 1000)


def _time(milliseconds: int) -> str:
    minutes, rest = divmod(milliseconds, 60_000)
    return f"{minutes} min {rest / 1000:.1f} s" if minutes else f"{rest / 1000:.1f} s"


def _diff(what: str, patch: bytes, shown: list[str]) -> Iterable[str]:
    """Yield the first line of a diff that is not, in its place, one of the patch; content of binary
    files may be left out, and a long line cut.
    """
    lines = iter(patch.decode("utf-8", "backslashreplace").split("\n"))
    for found in shown:
        if not any(_shown_as(line, found) for line in lines):
            yield f"{what}: expected lines of DIFF.patch in their order, found {found[:150]}"
            return


def _shown_as(line: str, found: str) -> bool:
    text = line if len(line) <= 400 else f"{line[:400]}…"
    return eyes(text.expandtabs(4)) == found


def _head(status: RunStatus, files: tuple[Any, ...]) -> list[str]:
    added, removed = (
        sum(row.lines_added or 0 for row in files),
        sum(row.lines_removed or 0 for row in files),
    )
    tree = (
        f"tree {status.merged_tree[:12]} on base" if status.merged_tree else "nothing merged, base"
    )
    counts = (
        f"{_counted(len(status.packs), 'pack')} · {_counted(len(files), 'file')}, +{added}"
        f" −{removed}"
    )
    accepted = ", ".join(status.properties_accepted)
    lines = [_words(f"{counts} · {tree} {status.base_commit[:12]} ({status.base_ref})")]
    if accepted:
        lines.append(f"Accepted weaker by the user: {accepted}.")
    if reached(status):
        lines.append(_words(f"Network: {reached(status)}."))
    if status.signing.signer == "none":
        lines.append("No key was at hand, so nothing in this run is signed.")
    if not status.packs_committed:
        lines.append("Task packs differ from the base commit, so this run cannot be published.")
    return lines


def _pack_row(line: Any) -> tuple[str, ...]:
    count = f"{_counted(line.files_changed, 'file')} +{line.lines_added} −{line.lines_removed}"
    change = count if line.files_changed else "no change"
    change += f", {_counted(len(line.artifacts), 'artifact')}" if line.artifacts else ""
    checks = f"{line.checks_ok} of {line.checks} ok"
    return (
        _words(line.pack, line.title),
        _words(line.domain),
        line.status,
        change,
        checks,
        _words(line.why),
    )


def _lines_of(row: Any) -> str:
    return "binary" if row.lines_added is None else f"+{row.lines_added} −{row.lines_removed}"


def _ended(status: RunStatus, lines: list[Any], bundles: Bundles) -> list[tuple[str, ...]]:
    """Return label and outcome of every command, and what it says before and under the old judge,
    as the page's rows must have them.
    """
    due: list[tuple[str, ...]] = []
    for line in lines:
        for row in bundles[line.pack].status.checks if line.pack in bundles else ():
            word = (
                "ok"
                if _fine(row)
                else f"ended with {row.rc}"
                if row.ended == "exited"
                else row.ended
            )
            asked = [(a.before, a.old_judge) for a in line.asked if a.label == row.label]
            due.append((row.label, word, *(asked[0] if asked else ("", ""))))
    for record in status.rechecks:
        culprits = f"with {', '.join(record.culprits)}" if record.culprits else ""
        outcome = _words(record.outcome, culprits)
        due.append((_words(record.pack, record.label), outcome, record.old_judge))
    return due


def _fine(row: Any) -> bool:
    return bool(row.rc == 0 and row.ended == "exited")


def _counted(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


# ── JUnit ────────────────────────────────────────────────────────────────────


def _junit(content: bytes, status: RunStatus, bundles: Bundles | None) -> Iterable[str]:
    if not content.startswith(_XML_START) or b"<!" in content:
        yield "does not begin as ours, or contains a declaration"
        return
    try:
        top = ET.fromstring(content)  # noqa: S314  no document type, so nothing to expand
    except ET.ParseError as error:
        yield f"is no XML: {error}"
        return
    odd = sorted({node.tag for node in top.iter()} - _XML_ELEMENTS)
    yield from _same("elements beyond those of test results", [], odd)
    yield from _same("its run", status.run_id, top.get("name"))
    for node in (top, *top.iter("testsuite")):
        yield from _same(
            "its counts",
            _counts(node),
            [node.get(name) for name in ("tests", "failures", "errors")],
        )
    cases = [(_name(case), bool(len(case))) for case in top.iter("testcase")]
    if bundles is not None:
        due = list(_cases(status, bundles))
        named = [name for name, _ in cases if not name[0].endswith(".findings")]
        yield from _same("its commands", sorted(name for name, _ in due), sorted(named))
        failed = {name for name, fails in cases if fails}
        for name, fine in due:
            if not fine and name not in failed:
                yield f"expected {' '.join(name)} to fail, found that it passes"
    lines = {
        line
        for fault in ("failure", "error")
        for node in top.iter(fault)
        for line in (node.text or "").split("\n")
    }
    errors = [
        f"{row.id}  {eyes(row.message)}" for row in status.findings if row.severity == "error"
    ]
    for line in errors:
        if line not in lines:
            yield f"expected a failure that says {line[:150]}, found none"
    if status.status == "PASS" and any(fails for _, fails in cases):
        yield "expected no failure in a run that passed, found one"


def _counts(node: ET.Element) -> list[str]:
    cases = list(node.iter("testcase"))
    faults = (sum(case.find(fault) is not None for case in cases) for fault in ("failure", "error"))
    return [str(number) for number in (len(cases), *faults)]


def _name(case: ET.Element) -> tuple[str, str]:
    """Return the class name of a case, and the label of its command."""
    return case.get("classname", ""), case.get("name", "").partition(" ")[0]


def _cases(status: RunStatus, bundles: Bundles) -> Iterable[tuple[tuple[str, str], bool]]:
    for pack, bundle in bundles.items():
        for row in bundle.status.checks:
            yield (eyes(pack), row.label), _fine(row)
    for record in status.rechecks:
        yield (f"{eyes(record.pack)}.merged-tree", record.label), record.outcome in GOOD_OUTCOMES


# ── SARIF ────────────────────────────────────────────────────────────────────


def _sarif(content: bytes, status: RunStatus) -> Iterable[str]:
    try:
        document: Any = strict_json.parse(content, max_bytes=1 << 28)
        (only,) = document["runs"]
        rules = [rule["id"] for rule in only["tool"]["driver"]["rules"]]
        recorded = [
            (row["ruleId"], rules[row["ruleIndex"]], row["level"], row["message"]["text"])
            for row in only["results"]
        ]
        state = only["properties"]["status"]
        policy = only["properties"]["policy"]
        ran = only["invocations"][0]["executionSuccessful"]
        asked = only["properties"]["packs"]
    except (ValueError, KeyError, TypeError, IndexError) as error:
        yield f"is no log of findings: {type(error).__name__} {error}"
        return
    yield from _same("its version", "2.1.0", document.get("version"))
    yield from _same("its verdict", status.status, state)
    due = eyes(policy_words(status)).translate(_IN_SARIF)
    yield from _same("its policy", due, policy)
    yield from _same("whether the run ended with a verdict", status.status != "FAIL", ran)
    yield from _same("what it says of packs", list(map(_asked, status.packs)), asked)
    yield from _same("its rules", sorted({row.id for row in status.findings}), rules)
    yield from _same(
        "its results",
        [(row.id, row.id, row.severity, _message(row)) for row in status.findings],
        recorded,
    )


def _asked(line: PackLine) -> dict[str, object]:
    names = {"label": "label", "after": "after", "before": "before", "old_judge": "oldJudge"}
    rows = [{name: getattr(row, own) for own, name in names.items()} for row in line.asked]
    judge = {"judgeChanged": line.judge_changed, "judgePermitted": line.judge_permitted}
    return {"pack": line.pack, "status": line.status, "checks": rows, **judge}


def _message(row: FindingRow) -> str:
    owner = f"{row.pack}:" if row.pack else ""
    return eyes(" ".join(f"{owner} {row.message} {row.hint}".split())).translate(_IN_SARIF)
