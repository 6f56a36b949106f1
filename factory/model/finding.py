"""Findings: what a guard has to say, with a stable id, a place and a way out.

The catalogue below is the whole vocabulary. An id never changes its meaning and is
never reused; a new refusal gets a new id. Does not know who raises which finding.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass


class Severity(enum.Enum):
    """How a finding weighs: only ERROR turns a verdict away from PASS."""

    ERROR = "error"
    WARNING = "warning"
    NOTE = "note"


@dataclass(frozen=True, slots=True)
class Location:
    """A place in a repository file: POSIX path from the root, 1-based line and column (0 = whole
    file).
    """

    file: str
    line: int = 0
    column: int = 0

    def __str__(self) -> str:
        parts = [self.file]
        if self.line:
            parts.append(str(self.line))
            if self.column:
                parts.append(str(self.column))
        return ":".join(parts)


@dataclass(frozen=True, slots=True)
class Finding:
    """One observation of a guard.

    `message` is one sentence with what was expected and what was found; `hint` says
    what to do; `pack` is the id of the task pack it concerns, empty for the run.
    """

    id: str
    message: str
    hint: str = ""
    location: Location | None = None
    pack: str = ""

    def __post_init__(self) -> None:
        if self.id not in CATALOGUE:
            raise ValueError(f"finding id {self.id!r} is not in the catalogue")

    @property
    def severity(self) -> Severity:
        return CATALOGUE[self.id].severity

    @property
    def blocks(self) -> bool:
        return self.severity is Severity.ERROR


@dataclass(frozen=True, slots=True)
class FindingKind:
    """What an id means, for documentation and for `factory why`."""

    severity: Severity
    meaning: str


def _error(meaning: str) -> FindingKind:
    return FindingKind(Severity.ERROR, meaning)


def _warning(meaning: str) -> FindingKind:
    return FindingKind(Severity.WARNING, meaning)


def _note(meaning: str) -> FindingKind:
    return FindingKind(Severity.NOTE, meaning)


CATALOGUE: dict[str, FindingKind] = {
    # repository
    "REPO_NOT_FOUND": _error("there is no Git repository here"),
    "REPO_BARE": _error("the repository has no work tree to read task packs from"),
    "REPO_NO_COMMITS": _error("the repository has no commit to start from"),
    "REPO_BASE_UNKNOWN": _error("the base ref does not name a commit"),
    "REPO_UNREADABLE": _error("Git refused to read the repository or lacks an object"),
    "REPO_DIRTY": _warning("local changes outside the task packs exist and never enter a sandbox"),
    "REPO_PACKS_UNCOMMITTED": _warning("a task pack differs from the base commit"),
    "REPO_DETACHED": _warning("HEAD is detached"),
    "REPO_SHALLOW": _warning("the repository is a shallow clone"),
    "REPO_SUBMODULE": _warning("a submodule is seen as an empty folder"),
    "REPO_LFS_POINTER": _warning("Git LFS pointers are seen as pointers, not as content"),
    # contracts
    "CONFIG_INVALID": _error("factory.toml does not hold its schema"),
    "CONFIG_WEAKENED": _error(
        "the repository's configuration asks for less safety than the user's"
    ),
    "PACK_NONE": _error("the repository declares no task pack"),
    "PACK_INVALID": _error("a file of a task pack does not hold its schema"),
    "PACK_FILE_MISSING": _error("a task pack lacks one of its five files"),
    "PACK_DUPLICATE_ID": _error("two task packs carry the same id"),
    "PACK_FOLDER_MISMATCH": _error("a task pack's folder does not start with its id"),
    "PACK_NO_ACCEPTANCE": _error("a task pack has nothing to accept by"),
    "PACK_UNSAFE_FILE": _error(
        "a task pack holds what can be no part of it: no plain file, too large, or badly named"
    ),
    "DEPENDS_UNKNOWN": _error("depends_on names a pack that does not exist"),
    "DEPENDS_CYCLE": _error("task packs depend on one another in a circle"),
    "DEPENDS_NOT_PASS": _error("a pack that this one depends on did not PASS"),
    "SCHEMA_STALE": _error("a file in schemas/ differs from the model it is generated from"),
    # what a contract asks for and this version cannot give
    "PLUGIN_UNAVAILABLE": _error("the pack uses a plugin, which is not available"),
    "WORKSPACE_UNAVAILABLE": _error("the pack targets another workspace, which is not available"),
    "NETWORK_UNAVAILABLE": _error(
        "the pack declares network, and no egress proxy can be enforced on this host"
    ),
    "NETWORK_NOT_IN_POLICY": _error("the pack declares network that the policy does not allow"),
    "NETWORK_NEEDS_CONSENT": _error(
        "the pack asks for any public host, and the user has not consented"
    ),
    "CLOUD_WITHOUT_NETWORK": _error("cloud mutations are declared without the network they need"),
    "CLOUD_GRANTED": _warning(
        "the user lets a pack change what a cloud holds; it never sees the credential"
    ),
    "CLOUD_NOT_GRANTED": _error(
        "cloud mutations are declared that the user's configuration does not grant"
    ),
    "CLOUD_UNAVAILABLE": _error(
        "a granted credential cannot be read, or what injects it is not installed"
    ),
    "SECRETS_NEVER": _error("allow_secrets may only be false"),
    "SECRET_IN_CHANGE": _error("a change carries a credential; it is not kept"),
    "SECRET_IN_CONTRACT": _error("a contract, or configuration, carries a credential"),
    "SECRET_WITHHELD": _error("evidence would have carried a credential; it was not written"),
    "SECRET_IN_ARTIFACT": _error("an artifact carries a credential; it is not kept"),
    # host
    "TOOL_MISSING": _error("a command that the pack declares does not exist on this host"),
    "GIT_TOO_OLD": _error("Git is missing or older than what the orchestrator needs"),
    "PROPERTY_MISSING": _error("a required property cannot be enforced on this host"),
    "PROPERTY_ACCEPTED": _warning("the user accepted that a property is not enforced"),
    "PROBE_ESCAPED": _error("something that the sandbox must deny was possible inside it"),
    "DISK_UNWRITABLE": _error("the orchestrator cannot write where it keeps its state"),
    "DISK_LOW": _warning("little free space is left"),
    "LOCKED": _error("another run or worker holds the lock"),
    "STALE_WORKTREE": _warning("a worktree of an earlier run was left behind"),
    # guards over what a pack did
    "SCOPE_OUTSIDE_ALLOWED": _error("a path outside the declared scope was changed"),
    "SCOPE_DENIED": _error("a path that the scope denies was changed"),
    "PATH_PROTECTED": _error("a protected path was changed"),
    "PATH_UNSAFE": _error("a changed path is absolute, leaves the workspace or names a device"),
    "PATH_NOT_PORTABLE": _error("a changed name cannot exist on every platform"),
    "PATH_COLLISION": _error("two names are one when case or Unicode form is ignored"),
    "PATH_GIT_NAME": _error("a changed name reads as .git on some platform"),
    "FILE_SPECIAL": _error("a device, socket or FIFO was left in the workspace"),
    "FILE_SETID": _error("a file carries a set-user-id, set-group-id or sticky bit"),
    "LINK_ESCAPES": _error("a symbolic link leaves the workspace"),
    "SUBMODULE_CHANGED": _error("a submodule was added, moved or removed"),
    "INPUT_HIDDEN_CHANGED": _error("a path that exists but was not among the inputs was changed"),
    "TREE_TOO_DEEP": _error("folders are nested deeper than the limit"),
    "TREE_TOO_LARGE": _error("more files were written than the limit allows"),
    "EGRESS_REFUSED": _note(
        "the egress proxy refused a connection; what that means to a pack, its commands say"
    ),
    # limits
    "LIMIT_TIME": _error("a command ran longer than allowed"),
    "LIMIT_MEMORY": _error("a command used more memory than allowed"),
    "LIMIT_OUTPUT": _error("a command printed more than allowed"),
    "LIMIT_DISK": _error("a command wrote more than allowed"),
    "LIMIT_CHANGED_LINES": _error("the change is larger than declared"),
    "CHANGE_TOO_LARGE": _error("a change is too large to be compared line by line; it is not kept"),
    # acceptance
    "STEP_FAILED": _error("a step did not end with 0"),
    "CHECK_FAILED": _error("an acceptance command did not end with 0"),
    "CHECK_RAN_NO_TEST": _error("a test runner ran no test"),
    "FLAKY": _error("acceptance failed and then passed on an identical tree"),
    "ARTIFACT_MISSING": _error("a required artifact was not produced"),
    "ARTIFACT_UNSAFE": _error("an artifact is not a plain file"),
    "ARTIFACT_NOT_NORMALIZED": _warning(
        "an artifact was to be normalised and is collected as it was made"
    ),
    "DOCS_MISSING": _error("a file under docs.required does not exist"),
    # bundle and integration
    "BUNDLE_MISSING": _error("a bundle that the plan needs does not exist"),
    "BUNDLE_MANIFEST": _error("a bundle does not agree with its manifest"),
    "BUNDLE_SCHEMA": _error("a file of a bundle does not hold its schema"),
    "BUNDLE_STALE": _error("a bundle was made by another action than the plan's"),
    "BUNDLE_DISAGREES": _error("FILES_CHANGED, DIFF.patch and the tree do not agree"),
    "BUNDLE_STATUS": _error("the status in a bundle is not what its evidence yields"),
    "HIDDEN_CHANGE": _error("the patch changes a path that FILES_CHANGED does not name"),
    "OVERLAP": _error("two packs change the same path, or names that are one on some platform"),
    "HIDDEN_OVERLAP": _error("two packs overlap in a path that only their patches show"),
    "MERGE_CONFLICT": _error("a three-way merge of two packs is not clean"),
    "MERGE_BROKEN": _error("a check that passed alone fails on the merged tree"),
    "MERGE_BROKEN_TOGETHER": _error("two packs that merge cleanly break each other"),
    "MERGE_PRE_EXISTING": _error("a check fails on the merged tree and on the base alike"),
    "MERGE_DIFFERS": _error("the merged tree is not the one re-derived from base and bundles"),
    "INTEGRATOR_FAILED": _error("the integrator ended without a result"),
    "REF_MOVED": _error("the result branch is not where it was expected to be"),
    # signing
    "SIGNING_KEY_MISSING": _error("a signature is required, and there is no key to make it with"),
    "SIGNING_KEY_UNSAFE": _error("a signing key is there that must not be used as it is"),
    "SIGNING_KEY_UNTRUSTED": _error(
        "the key in use is not one that the policy takes signatures from"
    ),
    "SIGNING_PIN_INVALID": _error("a file in factory.keys/ is not a public key"),
    "SIGNING_KEY_UNKNOWN": _error("there is no key of that id"),
    # history
    "LEDGER_ROLLED_BACK": _error("the ledger is shorter than a checkpoint of it says"),
    "LEDGER_REWRITTEN": _error("lines of the ledger are not those that a checkpoint was made over"),
    "LEDGER_FORKED": _error("two checkpoints of one ledger cannot both be true"),
    "LEDGER_OTHER": _error("a checkpoint belongs to another ledger"),
    "LEDGER_LACKS_RUN": _error("a run is here that the ledger does not tell of"),
    "LEDGER_NO_CHECKPOINT": _error("there is no checkpoint to prove against"),
    "CHECKPOINT_INVALID": _error("a checkpoint does not hold its form"),
    # recovery and evidence
    "RUN_ABANDONED": _warning("an earlier run ended without finishing"),
    "BRANCH_ABANDONED": _warning("a branch that an earlier process began was not made"),
    "LEDGER_TORN": _warning("a torn last line of the ledger was set aside"),
    "LEDGER_BROKEN": _error("the ledger's chain does not hold"),
    "LEDGER_ORDER": _error("an event of the ledger cannot follow what came before it"),
    "LEDGER_DISAGREES": _error("what the ledger tells of a run is not what its folder says"),
    "EVIDENCE_UNREADABLE": _error("a file of a run cannot be read"),
    "EVIDENCE_UNKNOWN": _error("the evidence index has no such artifact"),
    "INDEX_MISSING": _error("there is no evidence index"),
    "INDEX_BROKEN": _error("the evidence index does not hold its form"),
    "INDEX_STALE": _error("the evidence index is not what the runs on disk yield"),
    "RUN_DAMAGED": _error("a finished run's files are not those that its manifest names"),
    "RUN_REPLACED": _warning("a finished run is not as it was written, so it no longer holds"),
    "RUN_GONE": _warning(
        "a finished run is not on the disk, and no record says that it was removed"
    ),
    "STATE_EXPOSED": _error("Git would commit files of the state folder, or has committed some"),
    "WORKFLOW_UNREADABLE": _error(
        "a workflow cannot be read strictly, so nothing can be said of it"
    ),
    "WORKFLOW_UNPINNED": _error("a workflow uses an action that is not named by a full digest"),
    "WORKFLOW_PERMISSIONS": _error(
        "a workflow does not state its permissions, or grants all jobs more than reading"
    ),
    "GC_KEPT": _note("something old was kept, since nothing proves that it is elsewhere"),
    "RUN_UNKNOWN": _error("there is no such run"),
    "RUN_EXISTS": _error("a run of that id exists already"),
    # verification
    "VERIFY_MISSING": _error("the evidence lacks a file that it needs or names"),
    "VERIFY_EXTRA": _error("the evidence holds a file that nothing names"),
    "VERIFY_DIGEST": _error("a file is not the one whose digest is on record"),
    "VERIFY_UNSAFE_FILE": _error(
        "the evidence holds a link, a special file, or names that are one on some platform"
    ),
    "VERIFY_FORM": _error("a document of the evidence does not hold its strict form"),
    "VERIFY_MANIFEST": _error("a manifest is not what the files yield"),
    "VERIFY_OBJECTS": _error(
        "the Git objects of the evidence are not sound or not those that belong there"
    ),
    "VERIFY_CHANGE": _error("FILES_CHANGED, the patch and the trees do not tell one change"),
    "VERIFY_HIDDEN_CHANGE": _error("the patch holds a change that FILES_CHANGED does not name"),
    "VERIFY_ACTION": _error("the action, its key or the pack's files do not agree"),
    "VERIFY_SCOPE": _error(
        "a change is outside what the contract allows, or the contract is told otherwise"
    ),
    "VERIFY_STATUS": _error("a status is not what its evidence yields"),
    "VERIFY_LOGS": _error("logs are not those that were recorded"),
    "VERIFY_ARTIFACTS": _error("artifacts are not those that were declared and recorded"),
    "VERIFY_BASE": _error("a pack did not start from what the base and its dependencies yield"),
    "VERIFY_MERGE": _error("the merged result is not what base and bundles yield"),
    "VERIFY_REPORT": _error("the report says otherwise than the evidence"),
    "VERIFY_LEDGER": _error("the ledger or a run's copy of it does not hold"),
    "VERIFY_ROLLBACK": _error("the ledger does not contain what a checkpoint was made over"),
    "VERIFY_ATTESTATION": _error("a digest list or statement is not what the evidence yields"),
    "VERIFY_SIGNATURE": _error(
        "a signature does not fit, or is missing where the evidence or the policy needs one"
    ),
    "VERIFY_EGRESS": _error(
        "what a pack did over the network is not what was recorded, declared or allowed"
    ),
    "VERIFY_REBUILD": _error("a bundle that was made again differs from the one on record"),
    # determinism
    "NOT_DETERMINISTIC": _error("a pack left other bytes in another environment"),
    "DETERMINISM_UNSHOWN": _error("a pack could not be run twice to compare what it leaves"),
    "CRASH": _error("the orchestrator met an error of its own"),
}
