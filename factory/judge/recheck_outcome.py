"""Name the outcome of a check on the merged tree, and return the finding that follows from it.

A check that is asked again passed alone. On the merged tree it is `ok`, `broken` by the
others, `pre-existing` where it fails exactly as it does on the base, or `flaky` where it
does not fail twice. Does not run anything.
"""

from __future__ import annotations

from typing import Literal

from factory.model.evidence import RecheckRecord
from factory.model.finding import Finding
from factory.model.findings.entry import Fact
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
    """Return the finding over one outcome; none for ok and as-accepted. `above`: its culprit builds
    on this pack.
    """

    def broken(finding: str, **facts: Fact) -> tuple[Finding, ...]:
        known = {"label": record.label, "run": record.run, "tree": "merged", **facts}
        return (Finding(finding, known, pack=record.pack, location=command.location),)

    log = f"{record.pack}.{record.label}"  # that of the merged tree; the pack's own one passed
    match record.outcome:
        case "broken" if record.culprits:
            return broken(
                "MERGE_BROKEN_TOGETHER",
                case="above" if above else "apart",
                packs=(record.pack, *record.culprits),
                others=record.culprits,
                log=log,
            )
        case "broken":
            return broken("MERGE_BROKEN", log=log)
        case "pre-existing":
            return broken("MERGE_PRE_EXISTING")
        case "flaky":
            return broken("FLAKY", case="merged")
        case "ran-no-test":
            return broken("CHECK_RAN_NO_TEST", case="merged")
        case _:
            return ()
