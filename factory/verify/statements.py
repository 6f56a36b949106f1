"""Make the statements again from the evidence, to compare them with those in the envelopes.

Rule: nothing is taken from a statement but what the evidence does not contain: the tool's version,
and, if the events of an earlier run are not available, what it says of that run's execution.
Sources: in-toto Statement v1, SLSA Provenance v1, Test Result v0.1, SLSA Verification Summary v1.
"""

from __future__ import annotations

import hashlib
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
    f"runDetails/byproducts/{paths.LOGS[:-1]}": _WORKER,
    f"runDetails/byproducts/{paths.STATUS}": _HOST,
    "runDetails/metadata": _HOST,
    f"subject/{paths.ARTIFACTS[:-1]}": _WORKER,
    "subject/result-tree": _HOST,
}
_KINDS = {PROVENANCE: "provenance", TEST_RESULT: "test-result"}
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
) -> Any:
    """Return the provenance of a bundle; `seen` gives digests of files, `recorded` is the found
    statement.
    """
    metadata, commit, properties, sandbox = _execution(bundle.pack, execution, recorded)
    internal = {
        "actionKey": bundle.status.action_key,
        "propertiesRequired": list(bundle.action.properties),
        "propertiesInForce": properties,
        "reproducible": True if reproducible else None,
        "observed": _OBSERVED,
    }
    return {
        "_type": TYPE,
        "subject": _subject(bundle),
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
                "resolvedDependencies": [*_dependencies(bundle, commit, manifests), *sandbox],
            },
            "runDetails": {
                "builder": {
                    "id": f"{_OWN}builder:1",
                    "version": _version(recorded, "runDetails", "builder"),
                },
                "metadata": metadata,
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


def _execution(
    pack: str, execution: Execution, recorded: Any
) -> tuple[dict[str, Any], str, list[str] | None, list[Any]]:
    """Return (metadata, base commit, properties in force, the sandbox's own rows)."""
    metadata: dict[str, Any] = {"invocationId": f"{_OWN}run:{execution.run_id}"}
    commit, properties, sandbox = "", None, []
    if execution.events is None:
        kept = _at(recorded, "predicate", "runDetails", "metadata")
        metadata |= {name: kept[name] for name in _UNTOLD if isinstance(kept.get(name), str)}
        rows = _at(recorded, "predicate", "buildDefinition").get("resolvedDependencies")
        rows = [row for row in rows if isinstance(row, dict)] if isinstance(rows, list) else []
        first = rows[0] if rows else {}
        sandbox = [row for row in rows if str(row.get("name")).partition(":")[0] == "sandbox"]
        commit = (
            _at(first, "digest").get("gitCommit", "") if first.get("name") == "base-commit" else ""
        )
        kept = _at(recorded, "predicate", "buildDefinition", "internalParameters")
        return metadata, commit, kept.get("propertiesInForce"), sandbox
    for event in execution.events:
        if event.event_type == "run.started":
            commit = event.hashes.get("base_commit", "")
        elif event.details.get("pack") != pack:
            continue
        elif event.event_type == "pack.started":
            metadata["startedOn"] = event.ts_utc
            properties = (
                event.details["properties"].split() if "properties" in event.details else None
            )
            sandbox = list(_sandbox(event))
        elif event.event_type == "pack.finished":
            metadata["finishedOn"] = event.ts_utc
    return metadata, commit, properties, sandbox


def _sandbox(event: Event) -> Iterable[Any]:
    """Yield the sandbox as an event records it: its program, and the filter of system calls."""
    names = {"backend": "sandbox", "version": "sandbox_version", "kernel": "kernel"}
    notes = {note: event.details.get(name, "") for note, name in names.items()}
    if event.hashes.get("sandbox"):
        yield {
            "name": "sandbox",
            "digest": {"sha256": event.hashes["sandbox"]},
            "annotations": notes,
        }
    if event.hashes.get("syscall_filter"):
        yield {
            "name": "sandbox:syscall-filter",
            "digest": {"sha256": event.hashes["syscall_filter"]},
        }


def _dependencies(bundle: Bundle, commit: str, manifests: Mapping[str, str]) -> Iterable[Any]:
    if commit:
        yield {"name": "base-commit", "digest": {"gitCommit": commit}}
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


def test_result(bundle: Bundle) -> Any:
    """Return the test result of a bundle."""
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
            ],
            "passedTests": passed,
            "failedTests": failed,
        },
    }


def summary(
    status: RunStatus,
    about: Mapping[str, str],
    policy: str,
    inputs: Iterable[Any],
    time: str,
    recorded: Any,
) -> Any:
    """Return the summary of a run: `about` maps files to digests, `time` is that of its last
    event.
    """
    tree = (
        [{"name": "merged-tree", "digest": {"gitTree": status.merged_tree}}]
        if status.merged_tree
        else []
    )
    passed = status.status == "PASS"
    return {
        "_type": TYPE,
        "subject": [
            *tree,
            *({"name": path, "digest": {"sha256": about[path]}} for path in sorted(about)),
        ],
        "predicateType": SUMMARY,
        "predicate": {
            "verifier": {"id": f"{_OWN}verifier:1", "version": _version(recorded, "verifier")},
            "timeVerified": time,
            "resourceUri": f"{_OWN}run:{status.run_id}",
            "policy": {"uri": f"{_OWN}policy:1", "digest": {"sha256": policy}},
            "inputAttestations": [
                {
                    "uri": f"{_OWN}statement:{_KINDS[statement['predicateType']]}"
                    f":{statement['subject'][0]['name'].partition('/')[0]}",
                    "digest": {"sha256": hashlib.sha256(canonical(statement)).hexdigest()},
                }
                for statement in inputs
            ],
            "verificationResult": "PASSED" if passed else "FAILED",
            "verifiedLevels": [
                "SLSA_BUILD_LEVEL_UNEVALUATED" if passed else "FAILED",
                f"CODEX_ORCHESTRATOR_{status.status}",
            ],
            "slsaVersion": "1.0",
        },
    }


def _subject(bundle: Bundle) -> list[Any]:
    return [
        {"name": f"{bundle.pack}/{paths.BUNDLE_MANIFEST}", "digest": {"sha256": bundle.manifest}},
        {"name": f"{bundle.pack}/result-tree", "digest": {"gitTree": bundle.status.result_tree}},
    ]


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
