"""Define the documents of a bundle and of a run, as written to disk.

A bundle document contains no time, duration, host name, process id, absolute path or observed
enforcement: same action, same behaviour, same bytes. Paths of changed files are in the displayed
form of `judge.path_guard.display`. JSON, sorted keys, two spaces, one newline.
"""

from collections.abc import Collection
from dataclasses import asdict
from typing import Annotated, Any, Literal

from factory.model.action import ActionDocument, Digest, LimitsRecord
from factory.model.command_kind import KindName
from factory.model.judged import (
    AskedRecord,
    JudgedRecord,
    JudgeLock,
    JudgePolicy,
    MergedJudgeRecord,
    OutcomeName,
    PlannedJudge,
)
from factory.model.pack import Expectation, Outside
from factory.strict.document import Document, Field
from factory.strict.values import LARGEST_INTEGER

StatusName = Literal["PASS", "BLOCKED", "FAIL"]
TIME_PATTERN = "^[0-9]{4}-[01][0-9]-[0-3][0-9]T[0-2][0-9]:[0-5][0-9]:[0-6][0-9]\\.[0-9]{3}Z$"


class FindingRecord(Document):
    """Record a finding: its facts, and the sentence and hint that the catalogue rendered from them.

    `file` is empty if the finding has no place.
    """

    id: str
    severity: Literal["error", "warning", "note"]
    message: str
    hint: str = ""
    facts: dict[str, str | int | tuple[str, ...]] = Field(default={})
    file: str = ""
    line: int = 0
    column: int = 0
    pack: str = ""


class CheckRecord(Document):
    """Record one executed command: its label (also its log's name), what it ran and how it
    ended.
    """

    label: str
    kind: KindName
    name: str
    run: str
    rc: int
    ended: Literal["exited", "signalled", "timeout", "memory", "output", "cancelled"]


class AttemptRecord(Document):
    """Record one attempt: its verdict, the tree it left, `failure`, the SHA-256 signature of its
    first failure ("" if none), and `learned`, the digest of what its steps could read of the last
    attempt ("" for nothing).
    """

    number: int
    status: StatusName
    result_tree: str
    failure: str = ""
    learned: Digest | Literal[""] = ""


class StatusDocument(Document):
    """Define STATUS.json of a bundle.

    `base_tree` and `result_tree` are the trees that the pack could see, before and after: a bundle
    is a function of its action, whatever commit it was made on. Acceptance ran over exactly
    `result_tree`.
    """

    schema_version: Literal[4] = 4
    pack: str
    status: StatusName
    action_key: Digest
    base_tree: str
    result_tree: str
    required: tuple[str, ...]
    checks: tuple[CheckRecord, ...]
    findings: tuple[FindingRecord, ...]
    attempts: tuple[AttemptRecord, ...]
    artifacts: tuple[str, ...]
    files_changed: int
    lines_added: int
    lines_removed: int
    judged: JudgedRecord = JudgedRecord()


class FileRecord(Document):
    """Record one changed path. Modes are octal Git modes ("" if absent), digests SHA-256 of the
    content.

    `lines_*` are None for binary content.
    """

    path: str
    kind: Literal["added", "modified", "removed", "mode", "type"]
    mode_before: str
    mode_after: str
    oid_before: str
    oid_after: str
    sha256_before: str
    sha256_after: str
    lines_added: int | None
    lines_removed: int | None


class FilesChanged(Document):
    """Define FILES_CHANGED.json: every differing leaf between two trees, in Git's order.

    New files that were left out are counted: by `ignored_dropped` those that ignore rules name, by
    `discarded` those that `discard` names, by `outside_dropped` others outside the scope.
    """

    schema_version: Literal[2] = 2
    base_tree: str
    result_tree: str
    files: tuple[FileRecord, ...]
    ignored_dropped: int = 0
    discarded: int = 0
    outside_dropped: int = 0


class ScopeLock(Document):
    """Define SCOPE_LOCK.json: the contract as resolved before anything ran.

    `acceptance_network` and `acceptance_cloud` say whether acceptance had what steps had of either,
    `learn` whether a later attempt could read why the last one failed.
    """

    schema_version: Literal[4] = 4
    pack: str
    allowed: tuple[str, ...]
    denied: tuple[str, ...]
    outside: Outside
    discard: tuple[str, ...]
    protected: tuple[str, ...]
    inputs: tuple[str, ...] | None
    network: tuple[str, ...]
    network_any: bool
    cloud: tuple[str, ...]
    cloud_any: bool
    acceptance_network: bool = False
    acceptance_cloud: bool = False
    learn: bool = False
    limits: LimitsRecord
    required_properties: tuple[str, ...]
    artifacts_required: tuple[str, ...]
    artifacts_optional: tuple[str, ...]
    artifacts_normalized: tuple[str, ...] = ()
    docs_required: tuple[str, ...]
    expect: Expectation
    judge: JudgeLock = JudgeLock()


class LogRecord(Document):
    """Record one log: label of its command, path below the bundle, digest and size of the
    normalised text.
    """

    label: str
    path: str
    sha256: str
    bytes: int
    truncated: bool
    rc: int


class LogIndex(Document):
    """Define LOGS/INDEX.json."""

    schema_version: Literal[1] = 1
    logs: tuple[LogRecord, ...]


class ManifestEntry(Document):
    """Record one file below the manifest's folder."""

    path: str
    sha256: str
    bytes: int


class Manifest(Document):
    """Define manifest.json of a bundle and RUN_MANIFEST.json of a run: every other file below its
    folder.
    """

    schema_version: Literal[1] = 1
    subject: str
    files: tuple[ManifestEntry, ...]


class GrantRecord(Document):
    """Record what the user granted; `pack` empty: to any pack of the repository."""

    kind: Literal[
        "host", "any-host", "variable", "bound", "judge", "folder", "environment", "interpreter"
    ]
    thing: str
    pack: str


class PolicyDocument(Document):
    """Define attestations/policy.json: the configuration under which a verdict was reached; it
    contains nothing of any host.

    `network_private` are hosts that may be at private addresses, `network_authorities` is the
    digest of the certificates that packs trust as well, `network_upstream` the proxy that reaches
    the outside; "" for none.
    """

    schema_version: Literal[4] = 4
    properties_required: tuple[str, ...]
    properties_accepted: tuple[str, ...]
    protected: tuple[str, ...]
    ceilings: LimitsRecord
    network_hosts: tuple[str, ...]
    network_within: tuple[str, ...] | None = None
    network_allow_any: bool = False
    network_private: tuple[str, ...] = ()
    network_authorities: Digest | Literal[""] = ""
    network_upstream: str = ""
    overlap: Literal["block", "merge"]
    signing: Literal["optional", "required", "required-from"]
    signing_keys: tuple[str, ...]
    judge: JudgePolicy = JudgePolicy()
    grants: tuple[GrantRecord, ...] = ()


SourceName = Literal["environment", "flag", "judged", "repository", "user"]
"""A source of settings other than the defaults, by its value in `model.config.Source`."""


class PolicyRecord(Document):
    """Record which policy a verdict was reached under, and from where it is.

    `sha256` is that of attestations/policy.json. `ref` and `commit` name the commit that the user's
    policy_ref chose; empty: the checked-out tree. `sources` are those that set something beyond
    the defaults, `grants` what the user granted.
    """

    sha256: Digest
    ref: str = ""
    commit: str = ""
    sources: tuple[SourceName, ...] = ()
    grants: tuple[GrantRecord, ...] = ()


class PlannedCommand(Document):
    """Record one command that a pack will run: a step, or an acceptance command."""

    label: str
    kind: KindName
    name: str
    run: str


class PlannedPackRecord(Document):
    """Record one pack of a frozen plan.

    `needs` are all packs that it builds on, in canonical order. `folder_tree` is the tree of the
    pack's folder as it was read, `own_tree` that of the base commit with this folder replaced; the
    part that the pack sees is `action.inputs`. `scope` is what SCOPE_LOCK.json will say.
    """

    pack: str
    folder: str
    title: str
    depends_on: tuple[str, ...]
    needs: tuple[str, ...]
    action_key: Digest
    action: ActionDocument
    scope: ScopeLock
    commands: tuple[PlannedCommand, ...]
    folder_tree: str
    own_tree: str


class PlannedEntry(Document):
    """Record one entry of the packs folder, as Git's tree has it: its name, octal mode and id."""

    name: str
    mode: str
    oid: str


class PlannedEnvironment(Document):
    """Record a prepared environment: its name, the digest of its sealed tree, where packs see it,
    and from which files of the base it was made. One of the kind `host` is shown as their home,
    with `path` below it on PATH.
    """

    name: str
    kind: Literal["prepare", "host"] = "prepare"
    sha256: Digest
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    path: tuple[str, ...] = ()


class PlannedPolicy(Document):
    """Record the policy in force: `sha256` is that of attestations/policy.json, which will say
    `rules`.

    `commit` names the commit it is from, empty for the repository as it was read; `grants` are
    digests of what the user granted.
    """

    sha256: Digest
    rules: PolicyDocument
    commit: str = ""
    grants: tuple[Digest, ...] = ()


class PlanDocument(Document):
    """Define PLAN.json: what a run does, on what base, in canonical order. Written before any pack
    runs; launch, validation, integration and re-check have no other input but objects.

    `recheck_budget` is how many more commands may run to name packs that break one another.
    `packs_entries` is what the packs folder of the base commit has, so that what each pack sees can
    be derived without the repository.
    """

    schema_version: Literal[4] = 4
    base_ref: str
    base_commit: str
    base_tree: str
    hash_name: Literal["sha1", "sha256"]
    packs_folder: str
    packs_committed: bool
    packs_entries: tuple[PlannedEntry, ...] = ()
    recheck_budget: int
    environments: tuple[PlannedEnvironment, ...] = ()
    judge: PlannedJudge = PlannedJudge()
    policy: PlannedPolicy
    packs: tuple[PlannedPackRecord, ...]


def with_packs(plan: PlanDocument, packs: Collection[str]) -> PlanDocument:
    """Return the plan of some of its packs, in its order."""
    chosen = tuple(planned for planned in plan.packs if planned.pack in packs)
    return plan.model_copy(update={"packs": chosen})


class RecheckRecord(Document):
    """Record one acceptance command on the merged tree, and the name of its outcome; `old_judge` is
    what it says there under the judge as it was before all packs.
    """

    pack: str
    label: str
    run: str
    outcome: Literal["ok", "broken", "pre-existing", "flaky", "ran-no-test", "as-accepted"]
    rc: int
    culprits: tuple[str, ...] = ()
    old_judge: OutcomeName = "not-asked"


class ReusedRecord(Document):
    """Record one acceptance command that did not run, since the run `from_run` has it under the
    same key. `attempt` 0 is the merged tree.
    """

    pack: str
    attempt: int
    label: str
    from_run: str


class OverlapRecord(Document):
    """Record a pair of packs that change one path, and that path."""

    first: str
    second: str
    path: str
    other_path: str
    hidden: bool
    resolved: str = ""


class MergeDocument(Document):
    """Define MERGE.json: the confined integrator's result. It is a pure function of the bundles."""

    schema_version: Literal[2] = 2
    base_commit: str
    base_tree: str
    merged_tree: str
    order: tuple[str, ...]
    bundles: tuple[ManifestEntry, ...]
    overlaps: tuple[OverlapRecord, ...]
    largest_set: tuple[str, ...]
    smallest_conflict: tuple[str, ...]
    exact: bool
    findings: tuple[FindingRecord, ...]


class PackLine(Document):
    """Record one pack's row of the report; `network` is what it could reach, `*` any public
    host. `checks` is the number of acceptance commands that it requires, `checks_ok` of those that
    ran and ended with 0; steps are no checks. `asked` are these checks, before and after; of
    `judge_changed` files of its judge the contract permits `judge_permitted`.
    """

    pack: str
    title: str
    domain: str
    why: str
    status: StatusName
    files_changed: int
    lines_added: int
    lines_removed: int
    checks_ok: int
    checks: int
    asked: tuple[AskedRecord, ...] = ()
    judge_changed: int = 0
    judge_permitted: int = 0
    artifacts: tuple[str, ...]
    bundle_sha256: str
    came_from: str = ""
    network: tuple[str, ...] = ()
    reproducible: bool = Field(
        default=False,
        description="this very bundle was made twice, byte for byte, by the same action",
    )


class SigningRecord(Document):
    """Record the signing policy in force, the keys that it names, and if a key was available when
    the verdict was reached.

    It does not say who signed: a signature is checked, never believed.
    """

    policy: Literal["optional", "required", "required-from"] = "optional"
    keys: tuple[str, ...] = ()
    signer: Literal["at-hand", "none"] = "none"


class RunStatus(Document):
    """Define STATUS.json of a run: the whole verdict, from which every rendering of the report is
    made. `integrated` are the packs whose changes `merged_tree` has: all, or with `partial` those
    that passed. `judge_runs` are the commands that asked the judge about the merged tree, in order;
    `reused` are those that did not run, since an earlier run has them.
    """

    schema_version: Literal[4] = 4
    run_id: str
    status: StatusName
    base_ref: str
    base_commit: str
    base_tree: str
    merged_tree: str
    integrated: tuple[str, ...] = ()
    packs_committed: bool
    packs: tuple[PackLine, ...]
    findings: tuple[FindingRecord, ...]
    rechecks: tuple[RecheckRecord, ...]
    judge_runs: tuple[MergedJudgeRecord, ...] = ()
    reused: tuple[ReusedRecord, ...] = ()
    overlaps: tuple[OverlapRecord, ...]
    largest_set: tuple[str, ...]
    smallest_conflict: tuple[str, ...]
    exact: bool
    properties_given: tuple[str, ...]
    properties_accepted: tuple[str, ...]
    branch: str = ""
    signing: SigningRecord = SigningRecord()
    policy: PolicyRecord


_Sha256 = Annotated[str, Field(pattern="^[0-9a-f]{64}$")]
_Word = Annotated[str, Field(pattern="^[a-z]+(?:[.-][a-z]+)*$")]
_Whole = Annotated[int, Field(ge=0, le=LARGEST_INTEGER)]


def _by_type(schema: dict[str, Any]) -> None:
    """Say in the schema of a line which types of events there are, and the members of each."""
    from factory.model.events import EVENTS  # a schema is printed seldom; a line is read at once

    schema["properties"]["event_type"] = {"enum": sorted(EVENTS), "type": "string"}
    schema["allOf"] = [
        {
            "if": {"properties": {"event_type": {"const": name}}},
            "then": {
                "properties": {
                    part: {
                        "propertyNames": {"enum": [member for member, _ in own]},
                        "required": [member for member, always in own if always],
                    }
                    for part, own in asdict(kind.members()).items()
                }
            },
        }
        for name, kind in EVENTS.items()
    ]


class EventDocument(Document, schema=_by_type):
    """Define one line of the ledger; `event_id` is the SHA-256 of the canonical event without it.

    `parent_event_id` is the event that led to this one, in the same run, or empty. A hash is
    SHA-256, a Git id of either kind, or empty if there is nothing to name. Which types there are
    and what each says is the table of `model.events`; the schema has it too.
    """

    schema_version: Literal[1] = 1
    seq: Annotated[int, Field(ge=1, le=LARGEST_INTEGER)]
    event_id: _Sha256
    parent_event_id: Annotated[str, Field(pattern="^(?:[0-9a-f]{64})?$")]
    prev: _Sha256
    ts_utc: Annotated[str, Field(pattern=TIME_PATTERN)]
    run_id: Annotated[str, Field(pattern="^(?:[A-Za-z0-9][A-Za-z0-9._-]{0,127})?$")]
    event_type: _Word
    actor: _Word
    duration_ms: _Whole
    file_counts: dict[str, _Whole]
    hashes: dict[str, Annotated[str, Field(pattern="^(?:[0-9a-f]{40}|[0-9a-f]{64})?$")]]
    rc: Annotated[int, Field(ge=-LARGEST_INTEGER, le=LARGEST_INTEGER)]
    details: dict[str, str]


EVIDENCE: tuple[tuple[str, type[Document]], ...] = (
    ("bundle_status", StatusDocument),
    ("files_changed", FilesChanged),
    ("scope_lock", ScopeLock),
    ("action", ActionDocument),
    ("log_index", LogIndex),
    ("manifest", Manifest),
    ("plan", PlanDocument),
    ("merge", MergeDocument),
    ("run_status", RunStatus),
    ("policy", PolicyDocument),
    ("run_ledger_event", EventDocument),
)
