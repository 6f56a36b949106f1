"""Write the statements of a run: provenance and test result of each pack, and the summary of the
verdict.

Pure functions of evidence. Every time in a statement is the time of a ledger event. Without the few
members that depend on time, or on who signed (a test lists them), the same inputs under the same
run id give the same bytes anywhere. Does not know envelopes or keys.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from factory.model.action import ActionDocument
from factory.model.events import PackFinished, PackStarted, RunStarted
from factory.model.evidence import EventDocument, RunStatus, ScopeLock, StatusDocument
from factory.model.evidence_text import sha256
from factory.model.layout import IN_BUNDLE, IN_RUN
from factory.model.statement import (
    BUILDER_ID,
    OBSERVED,
    POLICY_URI,
    STATEMENT_URI,
    VERIFIER_ID,
    BuildDefinition,
    BuildMetadata,
    Enforced,
    ExternalParameters,
    Party,
    Provenance,
    ProvenanceStatement,
    ResourceDescriptor,
    RunDetails,
    Statement,
    StatementPart,
    SummaryStatement,
    TestResult,
    TestResultStatement,
    VerificationSummary,
)
from factory.model.verdict import Status
from factory.strict import canonical
from factory.strict.document import Document
from factory.version import __version__

RUN_URI = "urn:codex-orchestrator:run:"
CONTRACT_FILES = ("task.yml", "acceptance.yml")


@dataclass(frozen=True, slots=True)
class BundleBuild:
    """Describe how a bundle was built, by the ledger: run, times (RFC 3339), base commit,
    properties in force.

    Members are empty (None for properties) where the ledger has no such event any more.
    """

    run_id: str
    started: str = ""
    finished: str = ""
    base_commit: str = ""
    properties: tuple[str, ...] | None = None
    sandbox: tuple[ResourceDescriptor, ...] = ()
    builder: str = f"{BUILDER_ID}:unknown"
    origin: str = ""


@dataclass(frozen=True, slots=True)
class BundleEvidence:
    """Contain one bundle of a run: digest of its manifest, digests of its files by path, and its
    documents.
    """

    manifest: str
    files: Mapping[str, str]
    status: StatusDocument
    action: ActionDocument
    lock: ScopeLock
    made: BundleBuild
    reproducible: bool = False


def bundle_builds(
    events: Iterable[EventDocument], made_by: Mapping[str, str]
) -> dict[str, BundleBuild]:
    """Return by pack how its bundle was built; `made_by` maps packs to the runs that built them."""
    found = {pack: BundleBuild(run_id) for pack, run_id in made_by.items()}
    runs = frozenset(made_by.values())
    starts: dict[str, EventDocument] = {}
    for event in events:
        if event.run_id not in runs:
            continue
        pack = event.details.get("pack", "")
        if event.event_type == RunStarted.event_type:
            starts[event.run_id] = event
        elif made_by.get(pack) != event.run_id:
            continue
        elif event.event_type == PackStarted.event_type:
            listed = event.details.get("properties")
            given = tuple(listed.split()) if listed is not None else None
            found[pack] = replace(
                found[pack],
                started=event.ts_utc,
                properties=given,
                sandbox=_sandbox(event),
                builder=_builder(event),
            )
        elif event.event_type == PackFinished.event_type:
            found[pack] = replace(found[pack], finished=event.ts_utc)
    return {
        pack: replace(
            made,
            base_commit=starts[made.run_id].hashes.get("base_commit", ""),
            origin=starts[made.run_id].details.get("origin", ""),
        )
        if made.run_id in starts
        else made
        for pack, made in found.items()
    }


def _builder(event: EventDocument) -> str:
    backend, host = (event.details.get(name, "") for name in ("sandbox", "host"))
    return f"{BUILDER_ID}:{backend}:{host}" if backend and host else f"{BUILDER_ID}:unknown"


def _sandbox(event: EventDocument) -> tuple[ResourceDescriptor, ...]:
    """Return our own code, and, if the `pack.started` event has their digests, the program that
    made the sandbox and the filter in force.
    """
    said = event.details
    names = (("backend", "sandbox"), ("kernel", "kernel"), ("version", "sandbox_version"))
    rows: tuple[tuple[str, str, dict[str, str] | None], ...] = (
        (
            "orchestrator",
            event.hashes.get("orchestrator", ""),
            {"version": said.get("orchestrator_version", "")},
        ),
        (
            "sandbox",
            event.hashes.get("sandbox", ""),
            {note: said.get(name, "") for note, name in names},
        ),
        ("sandbox:syscall-filter", event.hashes.get("syscall_filter", ""), None),
    )
    return tuple(
        ResourceDescriptor(name=name, digest={"sha256": digest}, annotations=notes)
        for name, digest, notes in rows
        if digest
    )


def encode(statement: Statement) -> bytes:
    """Return the canonical bytes of a statement (RFC 8785), the payload of its envelope."""
    return canonical.encode(_plain(statement))


def _plain(value: object) -> object:
    """Return JSON values: a statement's own members without absent ones, our documents with all
    members.
    """
    if isinstance(value, StatementPart):
        members = (
            (field.alias or name, getattr(value, name))
            for name, field in type(value).model_fields.items()
        )
        return {alias: _plain(member) for alias, member in members if member is not None}
    if isinstance(value, Document):
        return value.model_dump(mode="json")
    return [_plain(item) for item in value] if isinstance(value, tuple) else value


def provenance(bundle: BundleEvidence, bundles: Mapping[str, str]) -> ProvenanceStatement:
    """Return the SLSA provenance of a bundle.

    `bundles` maps packs to the digests of the manifests in this run.
    """
    pack, action = bundle.status.pack, bundle.action
    return ProvenanceStatement(
        subject=(*_subject(bundle), *_artifacts(bundle)),
        predicate=Provenance(
            build_definition=BuildDefinition(
                external_parameters=ExternalParameters(
                    scope_lock=bundle.lock,
                    pack_files=action.files,
                    environment_digests=dict(action.environment),
                ),
                internal_parameters=Enforced(
                    action_key=bundle.status.action_key,
                    properties_required=action.properties,
                    properties_in_force=bundle.made.properties,
                    reproducible=bundle.reproducible or None,
                    observed=dict(OBSERVED),
                ),
                resolved_dependencies=tuple(_dependencies(bundle, bundles)),
            ),
            run_details=RunDetails(
                builder=Party(id=bundle.made.builder, version={"codex-orchestrator": __version__}),
                metadata=BuildMetadata(
                    invocation_id=f"{RUN_URI}{bundle.made.run_id}",
                    started_on=bundle.made.started or None,
                    finished_on=bundle.made.finished or None,
                ),
                byproducts=tuple(
                    ResourceDescriptor(name=f"{pack}/{path}", digest={"sha256": bundle.files[path]})
                    for path in (IN_BUNDLE.log_index, IN_BUNDLE.status)
                    if path in bundle.files
                ),
            ),
        ),
    )


def test_result(bundle: BundleEvidence) -> TestResultStatement:
    """Return the test result of a bundle, over its required commands and all that ran.

    PASSED only where the whole pack is PASS; a required command that never ran has failed.
    """
    ran = {check.label: check.rc for check in bundle.status.checks}
    labels = sorted({*bundle.status.required, *ran})
    passed = tuple(label for label in labels if ran.get(label) == 0)
    failed = tuple(label for label in labels if ran.get(label) != 0)
    good = bundle.status.status == Status.PASS.value and passed and not failed
    configuration = [
        ResourceDescriptor(name=file.path, digest={"sha256": file.sha256})
        for file in bundle.action.files
        if file.path.rpartition("/")[2] in CONTRACT_FILES
    ]
    configuration.append(_judge(bundle))
    return TestResultStatement(
        subject=_subject(bundle),
        predicate=TestResult(
            result="PASSED" if good else "FAILED",
            configuration=tuple(configuration),
            passed_tests=passed,
            failed_tests=failed,
        ),
    )


def _judge(bundle: BundleEvidence) -> ResourceDescriptor:
    """Return the bundle's STATUS.json with what it says of the judge: how many files of it changed,
    how many of them by permission, and each check on the base's code and under the judge as it was.
    """
    files, checks = bundle.status.judged.files, bundle.status.judged.checks
    notes = {"changed": str(len(files)), "permitted": str(sum(row.permitted for row in files))}
    notes |= {f"{row.label}.before": row.before for row in checks}
    notes |= {f"{row.label}.oldJudge": row.old_judge for row in checks}
    return ResourceDescriptor(
        name=f"{bundle.status.pack}/{IN_BUNDLE.status}",
        digest={"sha256": bundle.files[IN_BUNDLE.status]},
        annotations=notes,
    )


def file_subjects(digests: Mapping[str, str]) -> tuple[ResourceDescriptor, ...]:
    """Return the files of a run as subjects; `digests` are their SHA-256 by path."""
    return tuple(
        ResourceDescriptor(name=path, digest={"sha256": digests[path]}) for path in sorted(digests)
    )


def git_subjects(
    bundles: Iterable[BundleEvidence], merged_tree: str, commit: str
) -> tuple[ResourceDescriptor, ...]:
    """Return Git objects as subjects: the result of each pack, the merged tree, and the commit that
    a branch of the result is put on ("" where nothing was merged).
    """
    rows = [
        (f"{one.status.pack}/result-tree", "gitTree", one.status.result_tree) for one in bundles
    ]
    rows += [("merged-tree", "gitTree", merged_tree), ("result-commit", "gitCommit", commit)]
    return tuple(
        ResourceDescriptor(name=name, digest={kind: oid}) for name, kind, oid in rows if oid
    )


def summary(
    status: RunStatus,
    subject: tuple[ResourceDescriptor, ...],
    policy: str,
    inputs: Iterable[Statement],
    verified: str,
) -> SummaryStatement:
    """Return the verdict of a run as a statement about `subject`.

    `policy` is the SHA-256 of policy.json, `inputs` are the statements before it, `verified` is the
    time (RFC 3339) of the event that finished the run.
    """
    passed = status.status == Status.PASS.value
    changed = any(line.judge_changed for line in status.packs)
    return SummaryStatement(
        subject=subject,
        predicate=VerificationSummary(
            verifier=Party(id=VERIFIER_ID, version={"codex-orchestrator": __version__}),
            time_verified=verified,
            resource_uri=f"{RUN_URI}{status.run_id}",
            policy=ResourceDescriptor(uri=POLICY_URI, digest={"sha256": policy}),
            input_attestations=tuple(
                ResourceDescriptor(
                    uri=_uri_of(statement), digest={"sha256": sha256(encode(statement))}
                )
                for statement in inputs
            ),
            verification_result="PASSED" if passed else "FAILED",
            verified_levels=(
                "SLSA_BUILD_LEVEL_UNEVALUATED" if passed else "FAILED",
                f"CODEX_ORCHESTRATOR_{status.status}",
                f"CODEX_ORCHESTRATOR_JUDGE_{'CHANGED' if changed else 'UNCHANGED'}",
            ),
        ),
    )


def _uri_of(statement: Statement) -> str:
    """Return the name of a statement: its kind, and the id of the pack that it is about, if any."""
    if isinstance(statement, SummaryStatement):
        return f"{STATEMENT_URI}git-summary"
    kind = "provenance" if isinstance(statement, ProvenanceStatement) else "test-result"
    pack = (statement.subject[0].name or "").partition("/")[0]
    return f"{STATEMENT_URI}{kind}:{pack}"


def _subject(bundle: BundleEvidence) -> tuple[ResourceDescriptor, ...]:
    return (
        ResourceDescriptor(
            name=IN_RUN.bundle(bundle.status.pack).manifest, digest={"sha256": bundle.manifest}
        ),
    )


def _artifacts(bundle: BundleEvidence) -> tuple[ResourceDescriptor, ...]:
    prefix = f"{IN_BUNDLE.artifacts}/"
    return tuple(
        ResourceDescriptor(name=f"{bundle.status.pack}/{path}", digest={"sha256": digest})
        for path, digest in sorted(bundle.files.items())
        if path.startswith(prefix)
    )


def _dependencies(
    bundle: BundleEvidence, bundles: Mapping[str, str]
) -> Iterable[ResourceDescriptor]:
    if bundle.made.base_commit:
        address = f"git+{bundle.made.origin}" if bundle.made.origin else None
        commit = {"gitCommit": bundle.made.base_commit}
        yield ResourceDescriptor(name="base-commit", uri=address, digest=commit)
    yield ResourceDescriptor(name="inputs", digest={"gitTree": bundle.action.inputs})
    yield ResourceDescriptor(name="base-tree", digest={"gitTree": bundle.status.base_tree})
    for need in bundle.action.depends_on:
        digest = {"sha256": bundles[need.pack]} if need.pack in bundles else None
        notes = {"actionKey": need.key}
        yield ResourceDescriptor(
            name=IN_RUN.bundle(need.pack).manifest, digest=digest, annotations=notes
        )
    for tool in bundle.action.tools:
        notes = {"version": tool.version}
        yield ResourceDescriptor(
            name=f"tool:{tool.name}", digest={"sha256": tool.sha256}, annotations=notes
        )
    for name, prepared in bundle.action.environments:
        yield ResourceDescriptor(name=f"environment:{name}", digest={"sha256": prepared})
    yield from bundle.made.sandbox
