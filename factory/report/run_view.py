"""What renderings of a finished run are made of, beside its status: bundles, their logs, and how a
log ends.

Values only; each rendering (HTML, JUnit, SARIF) is a function of one `RunView`, so that all of them
say the same. Does not know where a run is stored.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from factory.model.evidence import (
    CheckRecord,
    FilesChanged,
    FindingRecord,
    LogIndex,
    RunStatus,
    StatusDocument,
)

EXCERPT_LINES = 20
EXCERPT_CHARACTERS = 4000


@dataclass(frozen=True, slots=True)
class BundleView:
    """One pack's bundle: its status, and by label how the log of each command that did not end with
    0 ends.
    """

    status: StatusDocument
    excerpts: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class RunView:
    """A run at its end. `bundles` holds those whose files are what the status says; `logs` the
    re-checks' logs.
    """

    status: RunStatus
    changed: FilesChanged | None = None
    bundles: Mapping[str, BundleView] = field(default_factory=dict)
    logs: LogIndex = field(default_factory=lambda: LogIndex(logs=()))

    def checks_of(self, pack: str) -> tuple[CheckRecord, ...]:
        """Every command of a pack, in order; none where there is no bundle to believe."""
        bundle = self.bundles.get(pack)
        return bundle.status.checks if bundle is not None else ()

    def findings_of(self, pack: str) -> tuple[FindingRecord, ...]:
        """What the run found of a pack; "" names the run itself."""
        return tuple(finding for finding in self.status.findings if finding.pack == pack)

    @property
    def owners(self) -> tuple[str, ...]:
        """Packs in the order of the status, then whatever else a finding names but the run
        itself.
        """
        named = (line.pack for line in self.status.packs)
        return tuple(
            dict.fromkeys((*named, *(row.pack for row in self.status.findings if row.pack)))
        )


def excerpt(log: bytes) -> str:
    """The end of a log, for a report: its last lines, and of them no more than a page."""
    text = log.decode("utf-8", "backslashreplace").rstrip("\n")
    lines = text.split("\n")[-EXCERPT_LINES:]
    shown = "\n".join(lines)[-EXCERPT_CHARACTERS:]
    return f"…\n{shown}" if len(shown) < len(text) else shown


def good(outcome: str) -> bool:
    """Whether a re-check's outcome speaks for the merged tree."""
    return outcome in ("ok", "as-accepted")
