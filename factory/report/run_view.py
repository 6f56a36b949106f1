"""Gather the values that a finished run's renderings show: status, bundles, logs, ends of logs.

Each rendering (HTML, JUnit, SARIF) is a function of one `RunView`, so that all of them say the
same. Does not know where a run is stored.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from factory.model.events import (
    IntegratePrepared,
    MergeFinished,
    PackFinished,
    PreflightFinished,
    RunStarted,
)
from factory.model.evidence import (
    CheckRecord,
    EventDocument,
    FilesChanged,
    FindingRecord,
    LogIndex,
    PackLine,
    RunStatus,
    StatusDocument,
)
from factory.model.inert import without_colours

EXCERPT_LINES = 20  # enough for the end of a traceback; the report links the whole log
EXCERPT_CHARACTERS = 4000  # a log may be one long line


@dataclass(frozen=True, slots=True)
class BundleView:
    """Describe one pack's bundle. `excerpts` maps the label of each failed command to its log's
    end; `patch` are the first lines of its DIFF.patch, `more` how many are left out.
    """

    status: StatusDocument
    excerpts: Mapping[str, str] = field(default_factory=dict)
    patch: tuple[str, ...] = ()
    more: int = 0


@dataclass(frozen=True, slots=True)
class Span:
    """Describe when a part of a run ran, in milliseconds from the run's beginning."""

    what: str
    began: int
    took: int


@dataclass(frozen=True, slots=True)
class WhenAndWhere:
    """Describe where and when a run was made, as its events and raw/enforcement.tsv record it.

    `started` is UTC, as the ledger writes it; "" for what is not recorded.
    """

    origin: str = ""
    started: str = ""
    duration: int = 0
    host: str = ""
    spans: tuple[Span, ...] = ()


@dataclass(frozen=True, slots=True)
class RunView:
    """Describe a finished run. `bundles` has only those whose files have the digests that the
    status names; `logs` indexes the re-checks' logs. Only `facts` differs between two runs of the
    same work.
    """

    status: RunStatus
    changed: FilesChanged | None = None
    bundles: Mapping[str, BundleView] = field(default_factory=dict)
    logs: LogIndex = field(default_factory=lambda: LogIndex(logs=()))
    facts: WhenAndWhere = WhenAndWhere()

    def checks_of(self, pack: str) -> tuple[CheckRecord, ...]:
        """Return a pack's commands in order; empty if the pack has no valid bundle."""
        bundle = self.bundles.get(pack)
        return bundle.status.checks if bundle is not None else ()

    def findings_of(self, pack: str) -> tuple[FindingRecord, ...]:
        """Return the findings about one pack; "" means those about the run itself."""
        return tuple(finding for finding in self.status.findings if finding.pack == pack)

    @property
    def lines(self) -> tuple[PackLine, ...]:
        """Return the packs as they are shown: those that did not PASS first."""
        return tuple(sorted(self.status.packs, key=lambda line: line.status == "PASS"))

    @property
    def owners(self) -> tuple[str, ...]:
        """Return packs in the order of the status, then other packs that only a finding names."""
        named = (line.pack for line in self.status.packs)
        return tuple(
            dict.fromkeys((*named, *(row.pack for row in self.status.findings if row.pack)))
        )


_SPANS = {PreflightFinished.event_type: "preflight", MergeFinished.event_type: "merge"}


def facts_of(events: Iterable[EventDocument], enforcement: bytes) -> WhenAndWhere:
    """Return the facts of a run from its events, up to the one that prepared its end, and the
    content of its raw/enforcement.tsv.
    """
    events = tuple(events)
    own = {event.event_type: event for event in events}
    started, prepared = own.get(RunStarted.event_type), own.get(IntegratePrepared.event_type)
    ended = [
        (_SPANS.get(event.event_type) or event.details.get("pack", ""), event)
        for event in events
        if event.event_type in (*_SPANS, PackFinished.event_type)
    ]
    begins = [_milliseconds(event.ts_utc) - event.duration_ms for _, event in ended]
    zero = min((*begins, *([_milliseconds(started.ts_utc)] if started else [])), default=0)
    spans = (
        Span(what, began - zero, event.duration_ms)
        for (what, event), began in zip(ended, begins, strict=True)
    )
    rows = [line.split("\t") for line in enforcement.decode("utf-8", "replace").splitlines()]
    known = {row[1]: row[2] for row in rows if row[0] == "fact" and len(row) == 3}
    backend = next((row[1] for row in rows if row[0] == "backend" and len(row) > 1), "")
    host = [known.get("machine", ""), known.get("kernel", ""), f"sandbox {backend or 'none'}"]
    return WhenAndWhere(
        origin=started.details.get("origin", "") if started is not None else "",
        started=started.ts_utc if started is not None else "",
        duration=prepared.duration_ms if prepared is not None else 0,
        host=" · ".join(filter(None, host)) if rows else "",
        spans=tuple(sorted(spans, key=lambda span: (span.began, span.what))),
    )


def _milliseconds(ts_utc: str) -> int:
    """Return a time of the ledger in milliseconds since 1970."""
    return round(datetime.fromisoformat(ts_utc).timestamp() * 1000)


MOST_DIFF_LINES = 300  # lines of a patch in the report, which links the whole of it
MOST_DIFF_BYTES = 1 << 20  # a larger patch is only linked


def patch_lines(patch: bytes) -> tuple[tuple[str, ...], int]:
    """Return the first MOST_DIFF_LINES lines of a patch, and how many more it has."""
    lines = patch.decode("utf-8", "backslashreplace").removesuffix("\n").split("\n")
    return tuple(lines[:MOST_DIFF_LINES]), max(0, len(lines) - MOST_DIFF_LINES)


def excerpt(log: bytes) -> str:
    """Return the end of a log: at most EXCERPT_LINES lines and EXCERPT_CHARACTERS characters."""
    text = log.decode("utf-8", "backslashreplace").rstrip("\n")
    lines = text.split("\n")[-EXCERPT_LINES:]
    shown = "\n".join(lines)[-EXCERPT_CHARACTERS:]
    return f"…\n{shown}" if len(shown) < len(text) else shown


LAST_LINES = 6  # on a terminal, where the place of the whole log is named below
_LINE_CHARACTERS = 300


def last_lines(log: bytes) -> tuple[str, ...]:
    """Return the last LAST_LINES lines of a log that are not blank, without colours, each cut."""
    tail = log[-(LAST_LINES * 4 * _LINE_CHARACTERS) :].decode("utf-8", "replace")
    lines = (without_colours(line).rstrip() for line in tail.replace("\r", "\n").split("\n"))
    kept = [line.expandtabs(4) for line in lines if line.strip()][-LAST_LINES:]
    return tuple(
        line if len(line) <= _LINE_CHARACTERS else f"{line[: _LINE_CHARACTERS - 1]}…"
        for line in kept
    )


def good(outcome: str) -> bool:
    """Return True for the outcomes ok and as-accepted of a re-check."""
    return outcome in ("ok", "as-accepted")
