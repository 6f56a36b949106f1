"""Define the documents over all runs: the evidence index (version 1), the review report (version
2).

Both are functions of what is on disk: they contain no time of their own, no absolute path and no
host, so the same runs give the same bytes. Does not know who makes them.
"""

from typing import Literal

from factory.model.evidence import FindingRecord, StatusName
from factory.strict.document import Document, Field

RunState = Literal["open", "prepared", "finished", "abandoned", "unrecorded"]
ArtifactType = Literal[
    "run-manifest",
    "plan",
    "bundle-manifest",
    "bundle-status",
    "action",
    "scope-lock",
    "files-changed",
    "patch",
    "git-bundle",
    "log-index",
    "log",
    "summary",
    "artifact",
    "run-status",
    "merge",
    "merge-plan",
    "report",
    "ledger-events",
    "checkpoint",
    "digest-list",
    "attestation",
    "policy",
    "raw",
    "lock",
    "irregular",
    "other",
]


class IndexedArtifact(Document):
    """Record one file of a run. `path` is relative to the run's folder, in the displayed form of
    `judge.path_guard`.

    `pack` is empty if the file belongs to the run as a whole. `schema_version` is what the document
    itself states, None if it states none. What is no plain file is `irregular`: no bytes, no
    digest.
    """

    path: str
    type: ArtifactType
    pack: str
    bytes: int
    sha256: str
    schema_version: int | None


class IndexedRun(Document):
    """Record one run folder. `state`, `status` and the two times come from the ledger ("" if it
    does not say).
    """

    run_id: str
    state: RunState
    status: StatusName | Literal[""]
    base_commit: str
    started: str
    ended: str
    artifacts: tuple[IndexedArtifact, ...]


class EvidenceIndex(Document):
    """Define `.factory/evidence-index.json`: every run folder by name, every file in it by path."""

    schema_version: Literal[1] = 1
    runs: tuple[IndexedRun, ...]


class ReviewCheck(Document):
    """Record one objective check of the whole repository. `judged` counts what it looked at.

    `not-applicable` means that there was nothing to look at.
    """

    id: str
    title: str
    outcome: Literal["ok", "findings", "not-applicable"]
    judged: int
    findings: tuple[FindingRecord, ...]


class ReviewReport(Document):
    """Define the result of `factory review`. `status` follows from `mode`: only `strict` turns an
    error into BLOCKED.
    """

    schema_version: Literal[2] = 2
    mode: Literal["advisory", "strict"]
    status: StatusName
    commit: str = Field(description="id of the base commit, empty where the repository has none")
    checks: tuple[ReviewCheck, ...]
    errors: int
    warnings: int


OVERVIEWS: tuple[tuple[str, type[Document]], ...] = (
    ("evidence_index", EvidenceIndex),
    ("review_report", ReviewReport),
)
