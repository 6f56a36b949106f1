"""Make the statements again from the evidence, to compare them with those in the envelopes.

Rule: nothing is taken from a statement but what the evidence does not contain: the tool's version,
and, if the events of an earlier run are not available, what it says of that run's execution.
Sources: in-toto Statement v1, SLSA Provenance v1, Test Result v0.1, SLSA Verification Summary v1.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from factory.verify import paths
from factory.verify.bundle import Bundle
from factory.verify.documents import Event, RunStatus
from factory.verify.form import canonical, plain

TYPE = "https://in-toto.io/Statement/v1"
PROVENANCE = "https://slsa.dev/provenance/v1"
TEST_RESULT = "https://in-toto.io/attestation/test-result/v0.1"
SUMMARY = "https://slsa.dev/verification_summary/v1"
_OWN = "urn:codex-orchestrator:"
_HOST, _KERNEL, _WORKER = "host-observed", "kernel-enforced", "worker-claimed"
_BUILD = "buildDefinition"
_OBSERVED = {
    f"{_BUILD}/externalParameters": _HOST,
    f"{_BUILD}/internalParameters/actionKey": _HOST,
    f"{_BUILD}/internalParameters/propertiesInForce": _KERNEL,
    f"{_BUILD}/internalParameters/propertiesRequired": _HOST,
    f"{_BUILD}/resolvedDependencies": _HOST,
    f"{_BUILD}/resolvedDependencies/tool/annotations/version": _WORKER,
    "runDetails/builder": _HOST,
    f"runDetails/byproducts/{paths.LOGS[:-1]}": _WORKER,
    f"runDetails/byproducts/{paths.STATUS}": _HOST,
    "runDetails/metadata": _HOST,
    f"subject/{paths.ARTIFACTS[:-1]}": _WORKER,
    f"subject/{paths.BUNDLE_MANIFEST}": _HOST,
}
_KINDS = {PROVENANCE: "provenance", TEST_RESULT: "test-result"}
_BUILDER = re.compile(re.escape(f"{_OWN}builder:1:") + "([a-z:-]+)")
_UNTOLD = ("startedOn", "finishedOn")


@dataclass(frozen=True, slots=True)
class Execution:
    """Describe how a bundle was made: the run, and its start and events about the pack (None:
    unavailable).
    """

    run_id: str
    events: tuple[Event, ...] | None


def provenance(
    bundle: Bundle,
    execution: Execution,
    manifests: Mapping[str, str],
    seen: Callable[[str], str],
    recorded: Any,
    reproducible: bool,
    artifacts: Iterable[str],
) -> Any:
    """Return the provenance of a bundle; `seen` gives digests of files, `recorded` is the found
    statement, `artifacts` may name files of other packs too.
    """
    made = _execution(bundle.pack, execution, recorded)
    prefix = f"{bundle.pack}/{paths.ARTIFACTS}"
    artifacts = sorted(name for name in artifacts if name.startswith(prefix))
    internal = {
        "actionKey": bundle.status.action_key,
        "propertiesRequired": list(bundle.action.properties),
        "propertiesInForce": made.properties,
        "reproducible": True if reproducible else None,
        "observed": _OBSERVED,
    }
    return {
        "_type": TYPE,
        "subject": [*_subject(bundle), *files({name: seen(name) for name in artifacts})],
        "predicateType": PROVENANCE,
        "predicate": {
            "buildDefinition": {
                "buildType": f"{_OWN}build-type:task-pack:1",
                "externalParameters": {
                    "scopeLock": plain(bundle.lock),
                    "packFiles": plain(bundle.action.files),
                    "environmentDigests": dict(bundle.action.environment),
                },
                "internalParameters": {
                    name: value for name, value in internal.items() if value is not None
                },
                "resolvedDependencies": [
                    *_base(made),
                    *_dependencies(bundle, manifests),
                    *made.sandbox,
                ],
            },
            "runDetails": {
                "builder": {
                    "id": f"{_OWN}builder:1:{made.builder}",
                    "version": _version(recorded, "runDetails", "builder"),
                },
                "metadata": made.metadata,
                "byproducts": [
                    {
                        "name": f"{bundle.pack}/{path}",
                        "digest": {"sha256": seen(f"{bundle.pack}/{path}")},
                    }
                    for path in (paths.LOG_INDEX, paths.STATUS)
                ],
            },
        },
    }


@dataclass(slots=True)
class _Made:
    """Contain what events record of how a bundle was made."""

    metadata: dict[str, Any]
    builder: str = "unknown"
    commit: str = ""
    origin: str = ""
    properties: list[str] | None = None
    sandbox: tuple[Any, ...] = ()


def _execution(pack: str, execution: Execution, recorded: Any) -> _Made:
    """Return how a bundle was made, by its events; where they are not at hand, as the statement
    says.
    """
    made = _Made({"invocationId": f"{_OWN}run:{execution.run_id}"})
    if execution.events is None:
        _as_recorded(made, recorded)
        return made
    for event in execution.events:
        if event.event_type == "run.started":
            made.commit = event.hashes.get("base_commit", "")
            made.origin = event.details.get("origin", "")
        elif event.details.get("pack") != pack:
            continue
        elif event.event_type == "pack.started":
            said = event.details
            made.metadata["startedOn"] = event.ts_utc
            made.properties = said["properties"].split() if "properties" in said else None
            made.sandbox = tuple(_sandbox(event))
            if said.get("sandbox") and said.get("host"):
                made.builder = f"{said['sandbox']}:{said['host']}"
        elif event.event_type == "pack.finished":
            made.metadata["finishedOn"] = event.ts_utc
    return made


def _as_recorded(made: _Made, recorded: Any) -> None:
    """Take from a statement what only events of another run could show."""
    kept = _at(recorded, "predicate", "runDetails", "metadata")
    made.metadata |= {name: kept[name] for name in _UNTOLD if isinstance(kept.get(name), str)}
    builder = str(_at(recorded, "predicate", "runDetails", "builder").get("id", ""))
    found = _BUILDER.fullmatch(builder)
    made.builder = found[1] if found is not None else "unknown"
    rows = _at(recorded, "predicate", "buildDefinition").get("resolvedDependencies")
    rows = [row for row in rows if isinstance(row, dict)] if isinstance(rows, list) else []
    made.sandbox = tuple(row for row in rows if _kind(row) in ("orchestrator", "sandbox"))
    first = rows[0] if rows else {}
    if first.get("name") == "base-commit":
        made.commit = _at(first, "digest").get("gitCommit", "")
        made.origin = str(first.get("uri", "")).removeprefix("git+")
    kept = _at(recorded, "predicate", "buildDefinition", "internalParameters")
    made.properties = kept.get("propertiesInForce")


def _kind(row: Any) -> str:
    return str(row.get("name")).partition(":")[0]


def _sandbox(event: Event) -> Iterable[Any]:
    """Yield what an event records of the builder: its own code, the sandbox's program, the filter
    of system calls.
    """
    names = {"backend": "sandbox", "version": "sandbox_version", "kernel": "kernel"}
    notes = {note: event.details.get(name, "") for note, name in names.items()}
    version = {"version": event.details.get("orchestrator_version", "")}
    for name, member, more in (
        ("orchestrator", "orchestrator", version),
        ("sandbox", "sandbox", notes),
        ("sandbox:syscall-filter", "syscall_filter", None),
    ):
        digest = event.hashes.get(member)
        if digest:
            row = {"name": name, "digest": {"sha256": digest}}
            yield {**row, "annotations": more} if more is not None else row


def _base(made: _Made) -> Iterable[Any]:
    if made.commit:
        row = {"name": "base-commit", "digest": {"gitCommit": made.commit}}
        yield {**row, "uri": f"git+{made.origin}"} if made.origin else row


def _dependencies(bundle: Bundle, manifests: Mapping[str, str]) -> Iterable[Any]:
    yield {"name": "inputs", "digest": {"gitTree": bundle.action.inputs}}
    yield {"name": "base-tree", "digest": {"gitTree": bundle.status.base_tree}}
    for need in bundle.action.depends_on:
        row = {
            "name": f"{need.pack}/{paths.BUNDLE_MANIFEST}",
            "annotations": {"actionKey": need.key},
        }
        yield {**row, "digest": {"sha256": manifests[need.pack]}} if need.pack in manifests else row
    for tool in bundle.action.tools:
        yield {
            "name": f"tool:{tool.name}",
            "digest": {"sha256": tool.sha256},
            "annotations": {"version": tool.version},
        }
    for name, digest in bundle.action.environments:
        yield {"name": f"environment:{name}", "digest": {"sha256": digest}}


def test_result(bundle: Bundle, status: str) -> Any:
    """Return the test result of a bundle; `status` is the digest of its STATUS.json."""
    judged = {"name": f"{bundle.pack}/{paths.STATUS}", "digest": {"sha256": status}}
    codes = {check.label: check.rc for check in bundle.status.checks}
    labels = sorted({*bundle.status.required, *codes})
    passed = [label for label in labels if codes.get(label) == 0]
    failed = [label for label in labels if codes.get(label) != 0]
    good = bundle.status.status == "PASS" and passed and not failed
    return {
        "_type": TYPE,
        "subject": _subject(bundle),
        "predicateType": TEST_RESULT,
        "predicate": {
            "result": "PASSED" if good else "FAILED",
            "configuration": [
                {"name": row.path, "digest": {"sha256": row.sha256}}
                for row in bundle.action.files
                if row.path.rpartition("/")[2] in ("task.yml", "acceptance.yml")
            ]
            + [{**judged, "annotations": _judge(bundle)}],
            "passedTests": passed,
            "failedTests": failed,
        },
    }


def _judge(bundle: Bundle) -> dict[str, str]:
    judged = bundle.status.judged
    permitted = sum(row.permitted for row in judged.files)
    notes = {"changed": str(len(judged.files)), "permitted": str(permitted)}
    for row in judged.checks:
        notes |= {f"{row.label}.before": row.before, f"{row.label}.oldJudge": row.old_judge}
    return notes


def files(about: Mapping[str, str]) -> list[Any]:
    """Return files as subjects, by path; `about` maps them to digests."""
    return [{"name": path, "digest": {"sha256": about[path]}} for path in sorted(about)]


def git_objects(bundles: Iterable[Bundle], merged_tree: str, commit: str) -> list[Any]:
    """Return Git objects as subjects: results of packs, the merged tree, the result's commit."""
    rows = [(f"{one.pack}/result-tree", "gitTree", one.status.result_tree) for one in bundles]
    rows += [("merged-tree", "gitTree", merged_tree), ("result-commit", "gitCommit", commit)]
    return [{"name": name, "digest": {kind: oid}} for name, kind, oid in rows if oid]


def summary(
    status: RunStatus,
    subject: list[Any],
    policy: str,
    inputs: Iterable[Any],
    time: str,
    recorded: Any,
) -> Any:
    """Return the summary of a run about `subject`; `time` is that of its last event."""
    passed = status.status == "PASS"
    changed = any(line.judge_changed for line in status.packs)
    return {
        "_type": TYPE,
        "subject": subject,
        "predicateType": SUMMARY,
        "predicate": {
            "verifier": {"id": f"{_OWN}verifier:1", "version": _version(recorded, "verifier")},
            "timeVerified": time,
            "resourceUri": f"{_OWN}run:{status.run_id}",
            "policy": {"uri": f"{_OWN}policy:1", "digest": {"sha256": policy}},
            "inputAttestations": [
                {
                    "uri": f"{_OWN}statement:{_name(statement)}",
                    "digest": {"sha256": hashlib.sha256(canonical(statement)).hexdigest()},
                }
                for statement in inputs
            ],
            "verificationResult": "PASSED" if passed else "FAILED",
            "verifiedLevels": [
                "SLSA_BUILD_LEVEL_UNEVALUATED" if passed else "FAILED",
                f"CODEX_ORCHESTRATOR_{status.status}",
                f"CODEX_ORCHESTRATOR_JUDGE_{'CHANGED' if changed else 'UNCHANGED'}",
            ],
            "slsaVersion": "1.2",
        },
    }


def _subject(bundle: Bundle) -> list[Any]:
    return [
        {"name": f"{bundle.pack}/{paths.BUNDLE_MANIFEST}", "digest": {"sha256": bundle.manifest}},
    ]


def _name(statement: Any) -> str:
    """Return the name of a statement: its kind, and the pack that it is about, if any."""
    if statement["predicateType"] == SUMMARY:
        return "git-summary"
    pack = statement["subject"][0]["name"].partition("/")[0]
    return f"{_KINDS[statement['predicateType']]}:{pack}"


def _version(recorded: Any, *names: str) -> Any:
    """Return the tool's version from a statement; no other evidence contains it."""
    found = _at(recorded, "predicate", *names, "version").get("codex-orchestrator", "")
    return {"codex-orchestrator": found if isinstance(found, str) else ""}


def _at(value: Any, *names: str) -> Mapping[str, Any]:
    for name in names:
        value = value.get(name) if isinstance(value, dict) else None
    return value if isinstance(value, dict) else {}


def first_difference(due: Any, found: Any, where: str = "") -> tuple[str, Any, Any] | None:
    """Return (place, due, found) where two JSON values first differ; None if they are equal."""
    if isinstance(due, dict) and isinstance(found, dict):
        for name in sorted(due.keys() | found.keys()):
            inner = first_difference(due.get(name), found.get(name), f"{where}/{name}")
            if inner is not None:
                return inner
        return None
    if isinstance(due, list) and isinstance(found, list) and len(due) == len(found):
        pairs = enumerate(zip(due, found, strict=True))
        return next(
            filter(None, (first_difference(a, b, f"{where}/{at}") for at, (a, b) in pairs)), None
        )
    return None if type(due) is type(found) and due == found else (where or "/", due, found)
