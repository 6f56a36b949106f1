"""Render `junit.xml`: packs as suites; commands, re-checks and other findings as test cases.

A function of a `RunView`. A command that did not end with 0 and any blocking finding is a failure;
a defect of the orchestrator is an error. Contains no times: they would differ from run to run. Does
not know who reads it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from factory.model.evidence import CheckRecord, FindingRecord, RecheckRecord
from factory.report.markup import Markup, joined, lines_of, tag, text_of
from factory.report.run_view import RunView, good
from factory.report.text import place_of

_ERRORS = frozenset({"CRASH"})


@dataclass(frozen=True, slots=True)
class _Case:
    """Describe one test case: its class name, its name, the findings against it, the end of its
    log.
    """

    place: str
    name: str
    against: tuple[FindingRecord, ...] = ()
    log: str = ""

    @property
    def fault(self) -> str:
        """Return `error` (an orchestrator defect), `failure`, or "" if no finding is against the
        case.
        """
        if not self.against:
            return ""
        return "error" if any(row.id in _ERRORS for row in self.against) else "failure"


def junit_xml(run: RunView) -> bytes:
    """Return the whole document in UTF-8; owners without cases and findings have no suite."""
    suites = [
        (owner or run.status.run_id, _cases(run, owner), run.findings_of(owner))
        for owner in ("", *run.owners)
    ]
    suites = [suite for suite in suites if suite[1] or suite[2]]
    shown = (_suite(name, cases, findings) for name, cases, findings in suites)
    every = [case for _, cases, _ in suites for case in cases]
    text = tag("testsuites", *shown, Markup("\n"), name=run.status.run_id, **_counts(every)).text
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{text}\n'.encode()


def _counts(cases: Sequence[_Case]) -> dict[str, str]:
    failures, errors = (
        sum(case.fault == fault for case in cases) for fault in ("failure", "error")
    )
    return {"tests": str(len(cases)), "failures": str(failures), "errors": str(errors)}


def _suite(name: str, cases: Sequence[_Case], findings: Iterable[FindingRecord]) -> Markup:
    output = _lines(
        f"{row.severity} {row.id}: {row.message}" for row in findings if row.severity != "error"
    )
    with_output = joined(Markup("\n"), tag("system-out", output)) if output.text else ""
    return joined(
        Markup("\n"),
        tag(
            "testsuite", *map(_case, cases), with_output, Markup("\n"), name=name, **_counts(cases)
        ),
    )


def _case(case: _Case) -> Markup:
    inside: list[Markup] = []
    if case.fault:
        first = case.against[0]
        body = _lines(line for row in case.against for line in _row_lines(row))
        if case.log:
            body = joined(body, Markup("\n\n"), lines_of(case.log))
        inside = [tag(case.fault, body, type=first.id, message=first.message)]
    return joined(Markup("\n"), tag("testcase", *inside, classname=case.place, name=case.name))


def _lines(lines: Iterable[str]) -> Markup:
    return Markup("\n".join(map(text_of, lines)))


def _row_lines(row: FindingRecord) -> Iterable[str]:
    yield f"{row.id}  {row.message}"
    if row.file:
        yield place_of(row)
    if row.hint:
        yield row.hint


def _cases(run: RunView, owner: str) -> tuple[_Case, ...]:
    """Return the cases of one pack (or of the run, for ""): commands, re-checks, remaining
    findings.
    """
    left = [row for row in run.findings_of(owner) if row.severity == "error"]
    cases = [
        _of_command(run, owner, check, _taken(left, check.label, False))
        for check in run.checks_of(owner)
    ]
    cases += [
        _of_recheck(record, _taken(left, record.label, True))
        for record in run.status.rechecks
        if record.pack == owner
    ]
    place = owner or run.status.run_id
    return (
        *cases,
        *(_Case(f"{place}.findings", f"{row.id} {row.message}"[:200], (row,)) for row in left),
    )


def _taken(left: list[FindingRecord], label: str, merged: bool) -> tuple[FindingRecord, ...]:
    """Remove from `left` the findings about the command `label`, and return them."""
    found = [
        row
        for row in left
        if row.facts.get("label") == label and (row.facts.get("tree") == "merged") is merged
    ]
    left[:] = [row for row in left if row not in found]
    return tuple(found)


def _of_command(
    run: RunView, pack: str, check: CheckRecord, against: tuple[FindingRecord, ...]
) -> _Case:
    fine = check.rc == 0 and check.ended == "exited"
    if not fine and not against:
        against = (
            _made_up(
                "STEP_FAILED" if check.kind == "step" else "CHECK_FAILED",
                f"{check.ended} {check.rc}",
            ),
        )
    return _Case(
        pack, f"{check.label} {check.run}", against, run.bundles[pack].excerpts.get(check.label, "")
    )


def _of_recheck(record: RecheckRecord, against: tuple[FindingRecord, ...]) -> _Case:
    if not good(record.outcome) and not against:
        against = (_made_up("MERGE_BROKEN", record.outcome),)
    return _Case(f"{record.pack}.merged-tree", f"{record.label} {record.run}", against)


def _made_up(kind: str, message: str) -> FindingRecord:
    return FindingRecord(id=kind, severity="error", message=message)
