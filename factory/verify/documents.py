"""Define the documents of a bundle and of a run as this checker understands them.

They are written apart from the writers' models on purpose; a test compares them with `schemas/`.
Does not know how a document is read.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Literal

from factory.verify.contract import KINDS
from factory.verify.form import AtLeast, Like
from factory.verify.judge_rows import (
    AskedRow,
    JudgedRow,
    JudgeRow,
    JudgeRules,
    MergedJudgeRow,
    OutcomeName,
    PlannedJudge,
)
from factory.verify.pins import Pins

PolicyName = Literal["optional", "required", "required-from"]
StatusName = Literal["PASS", "BLOCKED", "FAIL"]
Sha256 = Annotated[str, Like(r"[0-9a-f]{64}")]
MaybeSha256 = Annotated[str, Like(r"(?:[0-9a-f]{64})?")]
Oid = Annotated[str, Like(r"[0-9a-f]{40}(?:[0-9a-f]{24})?")]
MaybeOid = Annotated[str, Like(r"(?:[0-9a-f]{40}(?:[0-9a-f]{24})?)?")]
Mode = Annotated[str, Like(r"(?:[01][0-7]{5})?")]
Label = Annotated[str, Like(rf"(?:{'|'.join(KINDS)})-[1-9][0-9]*")]
Count = Annotated[int, AtLeast(0)]
Texts = tuple[str, ...]


if TYPE_CHECKING:
    KindName = str
else:
    KindName = Literal[KINDS]


@dataclass(frozen=True, slots=True)
class FindingRow:
    """Record a finding."""

    id: str
    severity: Literal["error", "warning", "note"]
    message: str
    hint: str
    facts: Mapping[str, str | int | Texts]
    file: str
    line: Count
    column: Count
    pack: str


@dataclass(frozen=True, slots=True)
class CheckRow:
    """Record one executed command."""

    label: Label
    kind: KindName
    name: str
    run: str
    rc: int
    ended: Literal["exited", "signalled", "timeout", "memory", "output", "cancelled"]


@dataclass(frozen=True, slots=True)
class AttemptRow:
    """Record one attempt."""

    number: Annotated[int, AtLeast(1)]
    status: StatusName
    result_tree: Oid
    failure: MaybeSha256
    learned: MaybeSha256


@dataclass(frozen=True, slots=True)
class BundleStatus:
    """Define STATUS.json of a bundle."""

    schema_version: Literal[4]
    pack: str
    status: StatusName
    action_key: Sha256
    base_tree: Oid
    result_tree: Oid
    required: Texts
    checks: tuple[CheckRow, ...]
    findings: tuple[FindingRow, ...]
    attempts: tuple[AttemptRow, ...]
    artifacts: Texts
    files_changed: Count
    lines_added: Count
    lines_removed: Count
    judged: JudgedRow


@dataclass(frozen=True, slots=True)
class FileRow:
    """Record one changed path, before and after."""

    path: str
    kind: Literal["added", "modified", "removed", "mode", "type"]
    mode_before: Mode
    mode_after: Mode
    oid_before: MaybeOid
    oid_after: MaybeOid
    sha256_before: MaybeSha256
    sha256_after: MaybeSha256
    lines_added: Count | None
    lines_removed: Count | None


@dataclass(frozen=True, slots=True)
class FilesChanged:
    """Define FILES_CHANGED.json."""

    schema_version: Literal[2]
    base_tree: Oid
    result_tree: Oid
    files: tuple[FileRow, ...]
    ignored_dropped: Count
    discarded: Count
    outside_dropped: Count


@dataclass(frozen=True, slots=True)
class LimitsRow:
    """Record the limits in force."""

    timeout: Count
    memory: Count
    processes: Count
    disk: Count
    output: Count
    changed_lines: Count
    attempts: Count
    idle: Count
    connections: Count
    upload: Count
    download: Count


@dataclass(frozen=True, slots=True)
class ScopeLock:
    """Define SCOPE_LOCK.json: the contract as resolved."""

    schema_version: Literal[4]
    pack: str
    allowed: Texts
    denied: Texts
    outside: Literal["block", "drop"]
    discard: Texts
    protected: Texts
    inputs: Texts | None
    network: Texts
    network_any: bool
    cloud: Texts
    cloud_any: bool
    acceptance_network: bool
    acceptance_cloud: bool
    learn: bool
    limits: LimitsRow
    required_properties: Texts
    artifacts_required: Texts
    artifacts_optional: Texts
    artifacts_normalized: Texts
    docs_required: Texts
    expect: Literal["change", "no_change", "any"]
    judge: JudgeRow


@dataclass(frozen=True, slots=True)
class PackFileRow:
    """Record a file of the pack's folder."""

    path: str
    mode: Mode
    sha256: Sha256


@dataclass(frozen=True, slots=True)
class NeedRow:
    """Record a pack that is depended on, by its action key."""

    pack: str
    key: Sha256


@dataclass(frozen=True, slots=True)
class ToolRow:
    """Record a command whose identity is part of the action key."""

    name: str
    version: str
    sha256: str


@dataclass(frozen=True, slots=True)
class Action:
    """Define ACTION.json: everything that the action key covers."""

    format: Literal[2]
    pack: str
    files: tuple[PackFileRow, ...]
    inputs: Oid
    depends_on: tuple[NeedRow, ...]
    properties: Texts
    limits: LimitsRow
    protected: Texts
    environment: tuple[tuple[str, str], ...]
    tools: tuple[ToolRow, ...]
    environments: tuple[tuple[str, Sha256], ...]
    judge: Texts
    require: Texts
    grants: tuple[Sha256, ...]


@dataclass(frozen=True, slots=True)
class LogRow:
    """Record one log."""

    label: str
    path: str
    sha256: Sha256
    bytes: Count
    truncated: bool
    rc: int


@dataclass(frozen=True, slots=True)
class LogIndex:
    """Define LOGS/INDEX.json."""

    schema_version: Literal[1]
    logs: tuple[LogRow, ...]


@dataclass(frozen=True, slots=True)
class ManifestRow:
    """Record one file by digest and size."""

    path: str
    sha256: Sha256
    bytes: Count


@dataclass(frozen=True, slots=True)
class Manifest:
    """Define manifest.json and RUN_MANIFEST.json."""

    schema_version: Literal[1]
    subject: str
    files: tuple[ManifestRow, ...]


@dataclass(frozen=True, slots=True)
class RecheckRow:
    """Record one acceptance command on the merged tree."""

    pack: str
    label: str
    run: str
    outcome: Literal["ok", "broken", "pre-existing", "flaky", "ran-no-test", "as-accepted"]
    rc: int
    culprits: Texts
    old_judge: OutcomeName


@dataclass(frozen=True, slots=True)
class OverlapRow:
    """Record a pair of packs that change one path."""

    first: str
    second: str
    path: str
    other_path: str
    hidden: bool
    resolved: str


@dataclass(frozen=True, slots=True)
class Merge:
    """Define MERGE.json."""

    schema_version: Literal[2]
    base_commit: Oid
    base_tree: Oid
    merged_tree: MaybeOid
    order: Texts
    bundles: tuple[ManifestRow, ...]
    overlaps: tuple[OverlapRow, ...]
    largest_set: Texts
    smallest_conflict: Texts
    exact: bool
    findings: tuple[FindingRow, ...]


@dataclass(frozen=True, slots=True)
class PackLine:
    """Record one pack's row of the run's verdict."""

    pack: str
    title: str
    domain: str
    why: str
    status: StatusName
    files_changed: Count
    lines_added: Count
    lines_removed: Count
    checks_ok: Count
    checks: Count
    asked: tuple[AskedRow, ...]
    judge_changed: Count
    judge_permitted: Count
    artifacts: Texts
    bundle_sha256: MaybeSha256
    came_from: str
    network: Texts
    reproducible: bool


@dataclass(frozen=True, slots=True)
class ReusedRow:
    """Record one command that did not run, since an earlier run has it; attempt 0 is the merged
    tree.
    """

    pack: str
    attempt: Count
    label: str
    from_run: str


@dataclass(frozen=True, slots=True)
class SigningRow:
    """Record the signing policy in force, and if a key was available."""

    policy: PolicyName
    keys: Texts
    signer: Literal["at-hand", "none"]


@dataclass(frozen=True, slots=True)
class GrantRow:
    """Record what the user granted; `pack` empty: to any pack of the repository."""

    kind: Literal[
        "host", "any-host", "variable", "bound", "judge", "folder", "environment", "interpreter"
    ]
    thing: str
    pack: str


@dataclass(frozen=True, slots=True)
class Policy:
    """Define attestations/policy.json: the configuration that the verdict was reached under."""

    schema_version: Literal[4]
    properties_required: Texts
    properties_accepted: Texts
    protected: Texts
    ceilings: LimitsRow
    network_hosts: Texts
    network_within: Texts | None
    network_allow_any: bool
    network_private: Texts
    network_authorities: MaybeSha256
    network_upstream: str
    overlap: Literal["block", "merge"]
    signing: PolicyName
    signing_keys: Texts
    judge: JudgeRules
    grants: tuple[GrantRow, ...]


@dataclass(frozen=True, slots=True)
class PolicyRow:
    """Record which policy the verdict was reached under, and from where it is."""

    sha256: Sha256
    ref: str
    commit: MaybeOid
    sources: tuple[Literal["environment", "flag", "judged", "repository", "user"], ...]
    grants: tuple[GrantRow, ...]


@dataclass(frozen=True, slots=True)
class PlannedCommand:
    """Record one command that a plan has of a pack."""

    label: Label
    kind: KindName
    name: str
    run: str


@dataclass(frozen=True, slots=True)
class PlannedPack:
    """Record one pack of a plan."""

    pack: str
    folder: str
    title: str
    depends_on: Texts
    needs: Texts
    action_key: Sha256
    action: Action
    scope: ScopeLock
    commands: tuple[PlannedCommand, ...]
    folder_tree: Oid
    own_tree: Oid


@dataclass(frozen=True, slots=True)
class PlannedEntryRow:
    """Record one entry of the packs folder of the base commit."""

    name: str
    mode: Mode
    oid: Oid


@dataclass(frozen=True, slots=True)
class PlannedEnvironment:
    """Record a prepared environment."""

    name: str
    kind: Literal["prepare", "host"]
    sha256: Sha256
    inputs: Texts
    outputs: Texts
    path: Texts


@dataclass(frozen=True, slots=True)
class PlannedPolicy:
    """Record the policy in force; `sha256` is that of attestations/policy.json."""

    sha256: Sha256
    rules: Policy
    commit: MaybeOid
    grants: tuple[Sha256, ...]


@dataclass(frozen=True, slots=True)
class Plan:
    """Define PLAN.json."""

    schema_version: Literal[4]
    base_ref: str
    base_commit: Oid
    base_tree: Oid
    hash_name: Literal["sha1", "sha256"]
    packs_folder: str
    packs_committed: bool
    packs_entries: tuple[PlannedEntryRow, ...]
    recheck_budget: Count
    environments: tuple[PlannedEnvironment, ...]
    judge: PlannedJudge
    policy: PlannedPolicy
    packs: tuple[PlannedPack, ...]


@dataclass(frozen=True, slots=True)
class RunStatus:
    """Define STATUS.json of a run."""

    schema_version: Literal[4]
    run_id: str
    status: StatusName
    base_ref: str
    base_commit: Oid
    base_tree: Oid
    merged_tree: MaybeOid
    integrated: Texts
    packs_committed: bool
    packs: tuple[PackLine, ...]
    findings: tuple[FindingRow, ...]
    rechecks: tuple[RecheckRow, ...]
    judge_runs: tuple[MergedJudgeRow, ...]
    reused: tuple[ReusedRow, ...]
    overlaps: tuple[OverlapRow, ...]
    largest_set: Texts
    smallest_conflict: Texts
    exact: bool
    properties_given: Texts
    properties_accepted: Texts
    branch: str
    signing: SigningRow
    policy: PolicyRow


@dataclass(frozen=True, slots=True)
class Event:
    """Define one line of the ledger."""

    schema_version: Literal[1]
    seq: Annotated[int, AtLeast(1)]
    event_id: Sha256
    parent_event_id: MaybeSha256
    prev: Sha256
    ts_utc: Annotated[
        str, Like(r"[0-9]{4}-[01][0-9]-[0-3][0-9]T[0-2][0-9]:[0-5][0-9]:[0-6][0-9](?:\.[0-9]+)?Z")
    ]
    run_id: str
    event_type: str
    actor: str
    duration_ms: Count
    file_counts: Mapping[str, int]
    hashes: Mapping[str, str]
    rc: int
    details: Mapping[str, str]


BY_SCHEMA: tuple[tuple[str, type], ...] = (
    ("bundle_status", BundleStatus),
    ("files_changed", FilesChanged),
    ("scope_lock", ScopeLock),
    ("action", Action),
    ("log_index", LogIndex),
    ("manifest", Manifest),
    ("merge", Merge),
    ("run_status", RunStatus),
    ("policy", Policy),
    ("plan", Plan),
    ("run_ledger_event", Event),
    ("pins", Pins),
)
