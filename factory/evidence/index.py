"""Define the evidence index: the type of each file of a run, the ledger's facts of a run, and one
textual form.

One row a line, so that two indexes can be compared by eye, and canonical in itself (sorted keys, no
spaces). `format_index` and `parse_index` are each other's inverse. Does not know files or clocks.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from factory.judge.path_guard import display
from factory.judge.scope import compile_patterns
from factory.model.events import IntegrateFinished, IntegratePrepared, RunAbandoned, RunStarted
from factory.model.evidence import EventDocument
from factory.model.evidence_text import MAX_DOCUMENT, EvidenceError
from factory.model.index import ArtifactType, EvidenceIndex, IndexedArtifact, IndexedRun, RunState
from factory.model.layout import ATTESTATIONS, IN_BUNDLE, IN_RUN, INTEGRATOR, NOT_PACKS
from factory.model.verdict import Status
from factory.strict import json as strict_json
from factory.strict.document import with_tuples

_OF_RUN: Mapping[str, ArtifactType] = {
    IN_RUN.manifest: "run-manifest",
    IN_RUN.plan: "plan",
    ATTESTATIONS.ledger: "ledger-events",
    INTEGRATOR.status: "run-status",
    INTEGRATOR.merge: "merge",
    INTEGRATOR.merge_plan: "merge-plan",
    **dict.fromkeys(INTEGRATOR.renderings, "report"),
}
_OF_FOLDER: Mapping[str, ArtifactType] = {
    IN_BUNDLE.manifest: "bundle-manifest",
    IN_BUNDLE.status: "bundle-status",
    IN_BUNDLE.action: "action",
    IN_BUNDLE.scope_lock: "scope-lock",
    IN_BUNDLE.files_changed: "files-changed",
    IN_BUNDLE.patch: "patch",
    IN_BUNDLE.objects: "git-bundle",
    IN_BUNDLE.log_index: "log-index",
    IN_BUNDLE.summary: "summary",
}
_RAW, _LOCKS = IN_RUN.raw, IN_RUN.locks
_LOGS, _ARTIFACTS = f"{IN_BUNDLE.logs}/", f"{IN_BUNDLE.artifacts}/"
_VERSIONED = frozenset(
    {
        *(
            "run-manifest",
            "plan",
            "bundle-manifest",
            "bundle-status",
            "action",
            "scope-lock",
            "files-changed",
            "log-index",
        ),
        *("run-status", "merge", "ledger-events", "policy"),
    }
)
# The documents of a run have one form: a key of the top level comes after two spaces, or in a
# line of the ledger.
_VERSION = re.compile(
    rb'^(?:  "(?:schema_version|format)": |\{.*?"schema_version":)([0-9]{1,9})\b', re.MULTILINE
)


@dataclass(frozen=True, slots=True)
class FoundArtifact:
    """Describe one file on disk.

    `path` is relative to the run's folder; `sha256` is "" for no plain file.
    """

    path: str
    bytes: int
    sha256: str
    schema_version: int | None = None


def type_of(path: str) -> ArtifactType:
    """Return the type of a file of a run, by its path."""
    if path in _OF_RUN:
        return _OF_RUN[path]
    folder, _, below = path.partition("/")
    if folder in (_RAW, _LOCKS):
        return "raw" if folder == _RAW else "lock"
    if folder == ATTESTATIONS:
        return _attested(path)
    if below in _OF_FOLDER:
        return _OF_FOLDER[below]
    if below.startswith(_LOGS):
        return "log"
    return "artifact" if below.startswith(_ARTIFACTS) else "other"


def _attested(path: str) -> ArtifactType:
    if path.endswith(".sha256"):
        return "digest-list"
    if path == ATTESTATIONS.proof or path.startswith(ATTESTATIONS.checkpoint):
        return "checkpoint"
    return "policy" if path == ATTESTATIONS.policy else "attestation"


def pack_of(path: str) -> str:
    """Return the pack whose bundle or raw log a file belongs to; "" where it belongs to the whole
    run.
    """
    parts = path.split("/")
    if parts[0] == _RAW:
        return parts[1] if len(parts) > 2 else ""
    return "" if len(parts) == 1 or parts[0] in NOT_PACKS else parts[0]


def states_version(path: str) -> bool:
    """Return whether a file at this path is a document that states its schema version."""
    return type_of(path) in _VERSIONED


def version_in(content: bytes) -> int | None:
    """Return the schema version that a document in this tool's form states; None for
    anything else.
    """
    found = _VERSION.search(content)
    return int(found[1]) if found is not None else None


@dataclass(frozen=True, slots=True)
class RunFacts:
    """List what the ledger says of one run; times are RFC 3339, "" until known."""

    state: RunState
    status: str
    base_commit: str
    started: str
    ended: str


UNRECORDED = RunFacts("unrecorded", "", "", "", "")
_STATES: Mapping[str, RunState] = {
    RunStarted.event_type: "open",
    IntegratePrepared.event_type: "prepared",
    IntegrateFinished.event_type: "finished",
    RunAbandoned.event_type: "abandoned",
}
_STATUS_OF = {status.exit_code: status.value for status in Status}


def run_facts(events: Iterable[EventDocument]) -> Mapping[str, RunFacts]:
    """Return the ledger's facts by run id, in the order in which runs started."""
    found: dict[str, RunFacts] = {}
    for event in events:
        state = _STATES.get(event.event_type)
        if state is None:
            continue
        known = found.get(event.run_id, UNRECORDED)
        if state == "open":
            found[event.run_id] = RunFacts(
                state, "", event.hashes.get("base_commit", ""), event.ts_utc, ""
            )
            continue
        ended = "" if state == "prepared" else event.ts_utc
        status = _STATUS_OF.get(event.rc, "") if state == "finished" else ""
        found[event.run_id] = RunFacts(state, status, known.base_commit, known.started, ended)
    return found


def run_row(run_id: str, facts: RunFacts, files: Iterable[FoundArtifact]) -> bytes:
    """Return one run in the index's own form, without a line feed at its end.

    Quick: indexes are long.
    """
    rows = ",\n".join(map(_artifact_row, sorted(files, key=lambda found: found.path)))
    head = ",".join(
        f'"{name}":{_text(value)}'
        for name, value in (
            ("base_commit", facts.base_commit),
            ("ended", facts.ended),
            ("run_id", run_id),
            ("started", facts.started),
            ("state", facts.state),
            ("status", facts.status),
        )
    )
    return f'{{"artifacts":[\n{rows}\n],{head}}}'.encode()


def join_rows(rows: Iterable[bytes]) -> bytes:
    """Return the whole index from the rows of its runs, which are in the order of their ids."""
    return b'{"runs":[\n' + b",\n".join(rows) + b'\n],"schema_version":1}\n'


def _artifact_row(found: FoundArtifact) -> str:
    kind = type_of(found.path) if found.sha256 else "irregular"
    version = "null" if found.schema_version is None else found.schema_version
    return (
        f'{{"bytes":{found.bytes},"pack":{_text(pack_of(found.path))},"path":{_text(found.path)},'
        f'"schema_version":{version},"sha256":"{found.sha256}","type":"{kind}"}}'
    )


_PLAIN = re.compile(r"[ !#-\[\]-~]*")


def _text(value: str) -> str:
    """Return a JSON string of the displayed form; for most paths that is the path itself, in
    quotes.
    """
    return (
        f'"{value}"' if _PLAIN.fullmatch(value) else json.dumps(display(value), ensure_ascii=False)
    )


def format_index(index: EvidenceIndex) -> bytes:
    """Return the one textual form of an index: UTF-8 JSON, sorted keys, one row a line."""
    return join_rows(map(_parsed_row, index.runs))


def _parsed_row(run: IndexedRun) -> bytes:
    rows = ",\n".join(
        json.dumps(
            artifact.model_dump(mode="json"),
            sort_keys=True,
            separators=(",", ":"),
            ensure_ascii=False,
        )
        for artifact in run.artifacts
    )
    head = run.model_dump(mode="json", exclude={"artifacts"})
    text = json.dumps(head, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return f'{{"artifacts":[\n{rows}\n],{text[1:]}'.encode()


def parse_index(content: bytes) -> EvidenceIndex:
    """Parse what `format_index` printed. Raise EvidenceError for anything else."""
    try:
        value = strict_json.parse(content, max_bytes=MAX_DOCUMENT)
        index = EvidenceIndex.model_validate(with_tuples(value))
    except ValueError as error:
        raise EvidenceError(str(error)) from error
    if format_index(index) != content:
        raise EvidenceError("is not in the form this tool writes (sorted keys, a row a line)")
    return index


@dataclass(frozen=True, slots=True)
class Filter:
    """Select rows of the index; an empty field matches all.

    `path` is a scope pattern, `since` the beginning of an RFC 3339 time.
    """

    run_id: str = ""
    status: str = ""
    state: str = ""
    since: str = ""
    type: str = ""
    pack: str = ""
    path: str = ""


def choose_runs(index: EvidenceIndex, wanted: Filter) -> tuple[IndexedRun, ...]:
    """Return the matching runs, in the order of the index."""
    return tuple(
        run
        for run in index.runs
        if wanted.run_id in ("", run.run_id)
        and wanted.status in ("", run.status)
        and wanted.state in ("", run.state)
        and (not wanted.since or run.started >= wanted.since)
    )


def choose_artifacts(
    index: EvidenceIndex, wanted: Filter
) -> tuple[tuple[str, IndexedArtifact], ...]:
    """Return (run id, artifact) for each match, in the index's order.

    Raise ValueError for an invalid pattern.
    """
    matches = _matcher(wanted.path)
    return tuple(
        (run.run_id, artifact)
        for run in choose_runs(index, wanted)
        for artifact in run.artifacts
        if wanted.type in ("", artifact.type)
        and wanted.pack in ("", artifact.pack)
        and matches(artifact.path)
    )


def _matcher(pattern: str) -> Callable[[str], bool]:
    return compile_patterns((pattern,)).matches if pattern else lambda _path: True


def find_artifacts(index: EvidenceIndex, name: str) -> tuple[tuple[str, IndexedArtifact], ...]:
    """Return artifacts by a digest (at least its first 8 digits) or by `RUN_ID/path`."""
    if re.fullmatch(r"[0-9a-f]{8,64}", name):
        return tuple(
            (run.run_id, a)
            for run in index.runs
            for a in run.artifacts
            if a.sha256.startswith(name)
        )
    run_id, _, path = name.partition("/")
    return tuple(
        (run.run_id, a)
        for run in index.runs
        if run.run_id == run_id
        for a in run.artifacts
        if a.path == path
    )
