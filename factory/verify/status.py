"""Evaluate a bundle's status again: what had to run, what ran, every attempt, and their verdict."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable

from factory.verify import paths
from factory.verify.contract import Contract, Wanted
from factory.verify.documents import BundleStatus, CheckRow, FindingRow, ScopeLock
from factory.verify.results import Results
from factory.verify.verdict import status_of_pack, weight_of

_WITHHELD = frozenset({"SECRET_IN_CHANGE", "CHANGE_TOO_LARGE"})
"""Findings about a change that is not kept."""
_OUT_OF_SCOPE = frozenset(
    """
    INPUT_HIDDEN_CHANGED LINK_ESCAPES PACK_FILE_CHANGED PATH_COLLISION PATH_GIT_NAME
    PATH_NOT_PORTABLE PATH_PROTECTED PATH_UNSAFE SCOPE_DENIED SCOPE_OUTSIDE_ALLOWED
    SUBMODULE_CHANGED
    """.split()
)
"""Findings about a change that the pack may not make, which is refused before acceptance."""


def check_status(
    results: Results,
    place: str,
    status: BundleStatus,
    contract: Contract,
    lock: ScopeLock,
    log: Callable[[str], bytes],
) -> None:
    """Compare STATUS.json with the contract, its own records and its logs."""
    file = f"{place}{paths.STATUS}"

    def differs(what: str, expected: object, found: object) -> bool:
        return results.differs("VERIFY_STATUS", file, what, expected, found, status.pack)

    wanted = (*contract.steps, *contract.acceptance) if contract.acceptance else ()
    differs(
        "the commands that must end with 0", tuple(each.label for each in wanted), status.required
    )
    ran = [(check.label, check.kind, check.name, check.run) for check in status.checks]
    due = [
        (each.label, each.kind, each.name, each.run) for each in expected_to_run(contract, status)
    ]
    if ran != due:
        odd = next((row for row in ran if row not in due), None) or next(
            (row for row in due if row not in ran), ran[:1]
        )
        results.wrong(
            "VERIFY_STATUS",
            file,
            f"expected the commands of the contract, found otherwise: {odd}",
            status.pack,
        )
    for check in status.checks:
        if check.ended != "exited" and check.rc == 0:
            differs(f"the code of {check.label}, which {check.ended}", "another than 0", check.rc)
    check_findings(results, file, status.findings, status.pack)
    differs("the status that its evidence yields", _due(status), status.status)
    _attempts(differs, status, lock, log)


def expected_to_run(contract: Contract, status: BundleStatus) -> tuple[Wanted, ...]:
    """Return steps up to the first that failed; if none did, acceptance too, unless the change was
    withheld or is out of scope.
    """
    codes = {check.label: check.rc for check in status.checks}
    done = []
    for step in contract.steps:
        done.append(step)
        if codes.get(step.label) != 0:
            return tuple(done)
    if any(row.id in _WITHHELD for row in status.findings):
        return tuple(done)  # nothing was there to accept
    if any(row.id in _OUT_OF_SCOPE and row.severity == "error" for row in status.findings):
        return tuple(done)
    return (*done, *contract.acceptance)


def check_findings(
    results: Results, file: str, findings: Iterable[FindingRow], pack: str = ""
) -> None:
    """Report findings whose severity is not the catalogue's."""
    for row in findings:
        if weight_of(row.id) != row.severity:
            what = f"the weight of {row.id}"
            results.differs("VERIFY_STATUS", file, what, weight_of(row.id), row.severity, pack)


def _due(status: BundleStatus) -> str:
    return status_of_pack(status.required, status.checks, status.findings)


def _attempts(
    differs: Callable[[str, object, object], bool],
    status: BundleStatus,
    lock: ScopeLock,
    log: Callable[[str], bytes],
) -> None:
    attempts = status.attempts
    for before, one in zip((None, *attempts), attempts, strict=False):
        if one.learned and (before is None or not lock.learn):
            differs(f"attempt {one.number}: what it could read of the last one", "", one.learned)
    numbers = [attempt.number for attempt in attempts]
    if differs("its attempts, counted", list(range(1, len(numbers) + 1)) or [1], numbers):
        return
    differs("attempts within their limit", True, len(numbers) <= lock.limits.attempts)
    last = attempts[-1]
    differs("the tree of the last attempt", status.result_tree, last.result_tree)
    without = [row for row in status.findings if row.id not in ("FLAKY", "RETRY_BLOCKED")]
    differs(
        "the status of the last attempt",
        status_of_pack(status.required, status.checks, without),
        last.status,
    )
    differs("the failure of the last attempt", _failure(status.checks, log), last.failure)
    differs(
        "attempts that passed before the last",
        [],
        [a.number for a in attempts[:-1] if a.status == "PASS"],
    )
    by_tree: dict[str, set[str]] = {}
    for attempt in attempts:
        by_tree.setdefault(attempt.result_tree, set()).add(attempt.status)
    flaky = any(len(statuses) > 1 for statuses in by_tree.values())
    differs("whether it is called flaky", flaky, any(row.id == "FLAKY" for row in status.findings))


def _failure(checks: Iterable[CheckRow], log: Callable[[str], bytes]) -> str:
    """Return the signature of the first failure: SHA-256 over label, code and log; "" if none
    failed.
    """
    for check in checks:
        if check.rc != 0:
            parts = (check.label.encode(), str(check.rc).encode(), log(check.label))
            return hashlib.sha256(b"\0".join(parts)).hexdigest()
    return ""
