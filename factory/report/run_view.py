"""Gather the values that a finished run's renderings show: status, bundles, logs, ends of logs.

Each rendering (HTML, JUnit, SARIF) is a function of one `RunView`, so that all of them say the
same. Does not know where a run is stored.
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

EXCERPT_LINES = 20  # enough for the end of a traceback; the report links the whole log
EXCERPT_CHARACTERS = 4000  # a log may be one long line


@dataclass(frozen=True, slots=True)
class BundleView:
    """Describe one pack's bundle. `excerpts` maps the label of each failed command to its log's
    end.
    """

    status: StatusDocument
    excerpts: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class RunView:
    """Describe a finished run. `bundles` has only those whose files have the digests that the
    status names; `logs` indexes the re-checks' logs.
    """

    status: RunStatus
    changed: FilesChanged | None = None
    bundles: Mapping[str, BundleView] = field(default_factory=dict)
    logs: LogIndex = field(default_factory=lambda: LogIndex(logs=()))

    def checks_of(self, pack: str) -> tuple[CheckRecord, ...]:
        """Return a pack's commands in order; empty if the pack has no valid bundle."""
        bundle = self.bundles.get(pack)
        return bundle.status.checks if bundle is not None else ()

    def findings_of(self, pack: str) -> tuple[FindingRecord, ...]:
        """Return the findings about one pack; "" means those about the run itself."""
        return tuple(finding for finding in self.status.findings if finding.pack == pack)

    @property
    def owners(self) -> tuple[str, ...]:
        """Return packs in the order of the status, then other packs that only a finding names."""
        named = (line.pack for line in self.status.packs)
        return tuple(
            dict.fromkeys((*named, *(row.pack for row in self.status.findings if row.pack)))
        )


def excerpt(log: bytes) -> str:
    """Return the end of a log: at most EXCERPT_LINES lines and EXCERPT_CHARACTERS characters."""
    text = log.decode("utf-8", "backslashreplace").rstrip("\n")
    lines = text.split("\n")[-EXCERPT_LINES:]
    shown = "\n".join(lines)[-EXCERPT_CHARACTERS:]
    return f"…\n{shown}" if len(shown) < len(text) else shown


def good(outcome: str) -> bool:
    """Return True for the outcomes ok and as-accepted of a re-check."""
    return outcome in ("ok", "as-accepted")
