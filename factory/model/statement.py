"""Define statements about a run, in the words of in-toto and SLSA, and the envelope around them.

Sources: in-toto Statement v1 and ResourceDescriptor v1, SLSA Provenance v1, in-toto Test Result
v0.1, SLSA Verification Summary v1, DSSE v1. Members are named as those specifications name them.
What is absent is None and is not written. Does not know how a statement is signed.
"""

from typing import Literal

from factory.model.action import PackFileRecord
from factory.model.evidence import ScopeLock
from factory.model.layout import IN_BUNDLE
from factory.strict.document import Document, Field

STATEMENT_TYPE: Literal["https://in-toto.io/Statement/v1"] = "https://in-toto.io/Statement/v1"
PAYLOAD_TYPE: Literal["application/vnd.in-toto+json"] = "application/vnd.in-toto+json"
PROVENANCE: Literal["https://slsa.dev/provenance/v1"] = "https://slsa.dev/provenance/v1"
TEST_RESULT: Literal["https://in-toto.io/attestation/test-result/v0.1"] = (
    "https://in-toto.io/attestation/test-result/v0.1"
)
VERIFICATION_SUMMARY: Literal["https://slsa.dev/verification_summary/v1"] = (
    "https://slsa.dev/verification_summary/v1"
)

# Documented in docs/factory/ATTESTATIONS.md, the build type in BUILD-TYPE.md there.
BUILD_TYPE: Literal["urn:codex-orchestrator:build-type:task-pack:1"] = (
    "urn:codex-orchestrator:build-type:task-pack:1"
)
BUILDER_ID = "urn:codex-orchestrator:builder:1"  # :<backend>:<class of host>, see BUILDERS.md
VERIFIER_ID: Literal["urn:codex-orchestrator:verifier:1"] = "urn:codex-orchestrator:verifier:1"
COSIGNATURE = "urn:codex-orchestrator:cosignature:1"
STATEMENT_URI = "urn:codex-orchestrator:statement:"
POLICY_URI: Literal["urn:codex-orchestrator:policy:1"] = "urn:codex-orchestrator:policy:1"


# How each part of a provenance is known: the host saw it, the kernel enforced it, or the worker
# claimed it. Nothing of a worker decides a verdict.
OBSERVED = {
    "buildDefinition/externalParameters": "host-observed",
    "buildDefinition/internalParameters/actionKey": "host-observed",
    "buildDefinition/internalParameters/propertiesInForce": "kernel-enforced",
    "buildDefinition/internalParameters/propertiesRequired": "host-observed",
    "buildDefinition/resolvedDependencies": "host-observed",
    "buildDefinition/resolvedDependencies/tool/annotations/version": "worker-claimed",
    "runDetails/builder": "host-observed",
    f"runDetails/byproducts/{IN_BUNDLE.logs}": "worker-claimed",
    f"runDetails/byproducts/{IN_BUNDLE.status}": "host-observed",
    "runDetails/metadata": "host-observed",
    f"subject/{IN_BUNDLE.artifacts}": "worker-claimed",
    f"subject/{IN_BUNDLE.manifest}": "host-observed",
}


def _camel(name: str) -> str:
    first, *rest = name.split("_")
    return first + "".join(map(str.capitalize, rest))


class StatementPart(Document, alias=_camel):
    """Define a part of a statement, its members in camel case."""


class ResourceDescriptor(StatementPart):
    """Name a thing by its digests: `sha256` of bytes, `gitCommit` and `gitTree` of Git objects."""

    name: str | None = None
    uri: str | None = None
    digest: dict[str, str] | None = None
    annotations: dict[str, str] | None = None


class ExternalParameters(StatementPart):
    """List external parameters: what the pack asked for, as resolved, and the files that say so."""

    scope_lock: ScopeLock
    pack_files: tuple[PackFileRecord, ...]
    environment_digests: dict[str, str]


class Enforced(StatementPart):
    """List internal parameters: the action key, and the sandbox properties required and in force.

    `properties_in_force` is None if the ledger of the run that made the bundle is gone.
    `reproducible` is present only if this very bundle was made twice, in two environments, byte for
    byte. `observed` says of each part of the provenance how it is known (`OBSERVED`).
    """

    action_key: str
    properties_required: tuple[str, ...]
    properties_in_force: tuple[str, ...] | None = None
    reproducible: Literal[True] | None = None
    observed: dict[str, str]


class BuildDefinition(StatementPart):
    """Describe what was built, and from what."""

    build_type: Literal["urn:codex-orchestrator:build-type:task-pack:1"] = BUILD_TYPE
    external_parameters: ExternalParameters
    internal_parameters: Enforced
    resolved_dependencies: tuple[ResourceDescriptor, ...]


class Party(StatementPart):
    """Name who ran or who judged, and in which version."""

    id: str
    version: dict[str, str]


class BuildMetadata(StatementPart):
    """Name the run that made the bundle, and when; times are those of its ledger events."""

    invocation_id: str
    started_on: str | None = None
    finished_on: str | None = None


class RunDetails(StatementPart):
    """Describe one build: its builder, its metadata, its byproducts."""

    builder: Party
    metadata: BuildMetadata
    byproducts: tuple[ResourceDescriptor, ...]


class Provenance(StatementPart):
    """Define SLSA Provenance v1 of one bundle."""

    build_definition: BuildDefinition
    run_details: RunDetails


class TestResult(StatementPart):
    """Define Test Result v0.1: the commands of one pack, by their labels."""

    __test__ = False

    result: Literal["PASSED", "FAILED"]
    configuration: tuple[ResourceDescriptor, ...]
    passed_tests: tuple[str, ...]
    failed_tests: tuple[str, ...]


class VerificationSummary(StatementPart):
    """Define Verification Summary v1 of a run: the verdict, and the policy that it was reached
    under. Its input attestations have `uri` and `digest` and no other member, as the specification
    says.
    """

    verifier: Party
    time_verified: str
    resource_uri: str
    policy: ResourceDescriptor
    input_attestations: tuple[ResourceDescriptor, ...]
    verification_result: Literal["PASSED", "FAILED"]
    verified_levels: tuple[str, ...]
    slsa_version: Literal["1.2"] = "1.2"


class ProvenanceStatement(StatementPart):
    """Define a statement whose predicate is provenance."""

    type: Literal["https://in-toto.io/Statement/v1"] = Field(default=STATEMENT_TYPE, alias="_type")
    subject: tuple[ResourceDescriptor, ...]
    predicate_type: Literal["https://slsa.dev/provenance/v1"] = PROVENANCE
    predicate: Provenance


class TestResultStatement(StatementPart):
    """Define a statement whose predicate is a test result."""

    __test__ = False

    type: Literal["https://in-toto.io/Statement/v1"] = Field(default=STATEMENT_TYPE, alias="_type")
    subject: tuple[ResourceDescriptor, ...]
    predicate_type: Literal["https://in-toto.io/attestation/test-result/v0.1"] = TEST_RESULT
    predicate: TestResult


class SummaryStatement(StatementPart):
    """Define a statement whose predicate is a verification summary."""

    type: Literal["https://in-toto.io/Statement/v1"] = Field(default=STATEMENT_TYPE, alias="_type")
    subject: tuple[ResourceDescriptor, ...]
    predicate_type: Literal["https://slsa.dev/verification_summary/v1"] = VERIFICATION_SUMMARY
    predicate: VerificationSummary


Statement = ProvenanceStatement | TestResultStatement | SummaryStatement
