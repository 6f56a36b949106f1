"""What the outcome of a check on the merged tree is called, and what follows from it.

A check that is asked again passed alone. On the merged tree it is `ok`, `broken` by the
others, `pre-existing` where it fails exactly as it does on the base, or `flaky` where it
does not fail twice. Does not run anything.
"""

from __future__ import annotations

from typing import Literal

from factory.model.evidence import RecheckRecord
from factory.model.finding import Finding
from factory.model.pack import Command

Outcome = Literal["ok", "broken", "pre-existing", "flaky", "ran-no-test", "as-accepted"]


def classify(
    merged: tuple[int, str],
    again: tuple[int, str] | None,
    base: tuple[int, str] | None,
    ran_nothing: bool,
) -> Outcome:
    """Name an outcome. Each argument is (rc, failure signature): on the merged tree, there again,
    on the base.
    """
    if merged[0] == 0:
        return "ok"
    if again is not None and again[0] == 0:
        return "flaky"
    if ran_nothing:
        return "ran-no-test"
    if base is not None and base == merged:
        return "pre-existing"
    return "broken"


def judge_recheck(
    record: RecheckRecord, command: Command, above: bool = False
) -> tuple[Finding, ...]:
    """The finding over one outcome; none for ok and as-accepted. `above`: its culprit builds on
    this pack.
    """
    where = f"{record.label} `{record.run}` of {record.pack}"
    place = command.location
    log = (  # the pack's own one tells how it passed
        f"Its log: factory print-report --log {record.pack}.{record.label}"
    )
    if record.outcome == "broken" and record.culprits:
        others = " and ".join(record.culprits)
        message = f"{where} passes alone and fails on the merged tree together with {others}"
        hint = (
            f"Declare depends_on: [{record.culprits[0]}] in {record.pack} and adapt it, or change"
            " one of the two."
        )
        if above:
            hint = (
                f"{record.culprits[0]} builds on {record.pack} and takes back what it checks;"
                " change one of the two."
            )
        return (Finding("MERGE_BROKEN_TOGETHER", message, f"{hint} {log}", place, record.pack),)
    if record.outcome == "broken":
        message = f"{where} passes alone and fails on the merged tree"
        hint = (
            "No pair within recheck_budget explains it; look at the merged tree, or raise the"
            " budget."
        )
        return (Finding("MERGE_BROKEN", message, f"{hint} {log}", place, record.pack),)
    if record.outcome == "pre-existing":
        message = f"{where} fails on the merged tree exactly as it does on the base"
        return (
            Finding(
                "MERGE_PRE_EXISTING",
                message,
                "Another pack undoes what it fixed.",
                place,
                record.pack,
            ),
        )
    if record.outcome == "flaky":
        message = f"{where} failed and then passed on the merged tree; a retry proves nothing"
        return (Finding("FLAKY", message, "Make the check deterministic.", place, record.pack),)
    if record.outcome == "ran-no-test":
        return (
            Finding(
                "CHECK_RAN_NO_TEST",
                f"{where} ran no test on the merged tree",
                "Point it at tests that exist.",
                place,
                record.pack,
            ),
        )
    return ()
