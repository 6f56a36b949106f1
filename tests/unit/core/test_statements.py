"""Statements: what they say of evidence, what they leave out, and that only times make them
differ.
"""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from factory.contract.policy import policy_of
from factory.evidence.statements import (
    BundleBuild,
    BundleEvidence,
    bundle_builds,
    encode,
    file_subjects,
    git_subjects,
    provenance,
    summary,
    test_result,
)
from factory.log.chain import Head
from factory.model.action import (
    ActionDocument,
    DependencyRecord,
    LimitsRecord,
    PackFileRecord,
    ToolRecord,
)
from factory.model.config import Config
from factory.model.event import Entry
from factory.model.evidence import (
    CheckRecord,
    EventDocument,
    PolicyRecord,
    RunStatus,
    ScopeLock,
    StatusDocument,
)
from factory.model.evidence_text import EvidenceError
from factory.model.judged import JudgedCheckRecord, JudgedRecord, JudgeFileRecord
from factory.model.signing import SigningPolicy
from factory.model.statement import Statement
from factory.sandbox.properties import Property
from factory.strict import canonical
from tests.ledger_lines import link
from tests.timeless import timeless

judge_tests = test_result
del test_result  # a function of ours; pytest would take it for a test

LIMITS = LimitsRecord(
    timeout=1,
    memory=2,
    processes=3,
    disk=4,
    output=5,
    changed_lines=6,
    attempts=1,
    idle=7,
    connections=8,
    upload=9,
    download=10,
)
LOCK = ScopeLock(
    pack="T-1",
    allowed=("docs/**",),
    denied=(),
    protected=(),
    inputs=None,
    network=(),
    network_any=False,
    cloud=(),
    cloud_any=False,
    limits=LIMITS,
    required_properties=("net_isolated",),
    artifacts_required=(),
    artifacts_optional=(),
    expect="any",
    outside="block",
    discard=(),
    docs_required=(),
)
ACTION = ActionDocument(
    pack="T-1",
    files=(
        PackFileRecord(path="taskpacks/T-1/acceptance.yml", mode="100644", sha256="a" * 64),
        PackFileRecord(path="taskpacks/T-1/spec.md", mode="100644", sha256="b" * 64),
        PackFileRecord(path="taskpacks/T-1/task.yml", mode="100644", sha256="c" * 64),
    ),
    inputs="1" * 40,
    depends_on=(DependencyRecord(pack="T-0", key="d" * 64),),
    properties=("net_isolated",),
    limits=LIMITS,
    protected=(),
    environment=(("MODE", "e" * 64),),
    tools=(ToolRecord(name="git", version="2", sha256="f" * 64),),
)
MADE = BundleBuild(
    "run_001", "2026-01-31T10:00:00.000Z", "2026-01-31T10:00:01.000Z", "2" * 40, ("net_isolated",)
)


def check(label: str, rc: int) -> CheckRecord:
    kind: Any = label.partition("-")[0]
    return CheckRecord(label=label, kind=kind, name="", run="x", rc=rc, ended="exited")


def bundle(
    status: str = "PASS", required: tuple[str, ...] = ("check-1",), *checks: CheckRecord
) -> BundleEvidence:
    said = StatusDocument(
        pack="T-1",
        status=status,  # type: ignore[arg-type]
        action_key="9" * 64,
        base_tree="3" * 40,
        result_tree="4" * 40,
        required=required,
        checks=checks,
        findings=(),
        attempts=(),
        artifacts=(),
        files_changed=0,
        lines_added=0,
        lines_removed=0,
    )
    return BundleEvidence(
        "8" * 64, {"LOGS/INDEX.json": "7" * 64, "STATUS.json": "6" * 64}, said, ACTION, LOCK, MADE
    )


GOOD = bundle("PASS", ("step-1", "check-1"), check("step-1", 0), check("check-1", 0))


def run_status(status: Any = "PASS", merged_tree: str = "d" * 40) -> RunStatus:
    return RunStatus(
        run_id="run_001",
        status=status,
        base_ref="HEAD",
        base_commit="2" * 40,
        base_tree="3" * 40,
        merged_tree=merged_tree,
        packs_committed=True,
        packs=(),
        findings=(),
        rechecks=(),
        overlaps=(),
        largest_set=(),
        smallest_conflict=(),
        exact=True,
        properties_given=(),
        properties_accepted=(),
        policy=PolicyRecord(sha256="9" * 64),
    )


def said(statement: Statement) -> Any:
    return json.loads(encode(statement))


def test_the_bytes_of_a_statement_are_canonical() -> None:
    for statement in (provenance(GOOD, {}), judge_tests(GOOD)):
        assert encode(statement) == canonical.encode(said(statement))
        assert encode(type(statement).model_validate_json(encode(statement))) == encode(statement)


def test_what_is_absent_is_left_out_but_a_contract_stands_whole() -> None:
    statement = said(provenance(replace(GOOD, made=BundleBuild("run_001")), {}))
    predicate = statement["predicate"]
    assert predicate["runDetails"]["metadata"] == {
        "invocationId": "urn:codex-orchestrator:run:run_001"
    }
    assert "propertiesInForce" not in predicate["buildDefinition"]["internalParameters"]
    assert predicate["buildDefinition"]["resolvedDependencies"][0]["name"] == "inputs"
    assert predicate["buildDefinition"]["externalParameters"]["scopeLock"] == LOCK.model_dump(
        mode="json"
    )


def test_that_nothing_was_in_force_is_not_left_out() -> None:
    statement = said(provenance(replace(GOOD, made=replace(MADE, properties=())), {}))
    assert (
        statement["predicate"]["buildDefinition"]["internalParameters"]["propertiesInForce"] == []
    )


def test_dependencies_are_named_by_digest() -> None:
    found = said(provenance(GOOD, {"T-0": "5" * 64}))["predicate"]["buildDefinition"][
        "resolvedDependencies"
    ]
    assert found == [
        {"name": "base-commit", "digest": {"gitCommit": "2" * 40}},
        {"name": "inputs", "digest": {"gitTree": "1" * 40}},
        {"name": "base-tree", "digest": {"gitTree": "3" * 40}},
        {
            "name": "T-0/manifest.json",
            "digest": {"sha256": "5" * 64},
            "annotations": {"actionKey": "d" * 64},
        },
        {"name": "tool:git", "digest": {"sha256": "f" * 64}, "annotations": {"version": "2"}},
    ]
    alone = said(provenance(GOOD, {}))["predicate"]["buildDefinition"]["resolvedDependencies"][3]
    assert alone == {"name": "T-0/manifest.json", "annotations": {"actionKey": "d" * 64}}


@pytest.mark.parametrize(
    ("evidence", "result", "passed", "failed"),
    [
        (GOOD, "PASSED", ["check-1", "step-1"], []),
        (bundle("BLOCKED", ("check-1",), check("check-1", 0)), "FAILED", ["check-1"], []),
        (
            bundle("PASS", ("check-1", "check-2"), check("check-1", 0)),
            "FAILED",
            ["check-1"],
            ["check-2"],
        ),
        (bundle("PASS", ("check-1",), check("check-1", 1)), "FAILED", [], ["check-1"]),
        (
            bundle("PASS", (), check("check-1", 0), check("check-9", 3)),
            "FAILED",
            ["check-1"],
            ["check-9"],
        ),
        (bundle("PASS", ()), "FAILED", [], []),
    ],
)
def test_a_test_result_passes_only_with_everything(
    evidence: BundleEvidence, result: str, passed: list[str], failed: list[str]
) -> None:
    predicate = said(judge_tests(evidence))["predicate"]
    assert (predicate["result"], predicate["passedTests"], predicate["failedTests"]) == (
        result,
        passed,
        failed,
    )
    assert [one["name"] for one in predicate["configuration"]] == [
        "taskpacks/T-1/acceptance.yml",
        "taskpacks/T-1/task.yml",
        "T-1/STATUS.json",
    ]


def test_a_test_result_says_what_judged_it() -> None:
    files = tuple(
        JudgeFileRecord(path=path, role="test", change="modified", permitted=leave)
        for path, leave in (("tests/test_a.py", True), ("tests/test_b.py", False))
    )
    checks = (JudgedCheckRecord(label="check-1", before="fixed", old_judge="ok"),)
    status = GOOD.status.model_copy(update={"judged": JudgedRecord(files=files, checks=checks)})
    predicate = said(judge_tests(replace(GOOD, status=status)))["predicate"]
    assert predicate["configuration"][-1] == {
        "name": "T-1/STATUS.json",
        "digest": {"sha256": "6" * 64},
        "annotations": {
            "changed": "2",
            "permitted": "1",
            "check-1.before": "fixed",
            "check-1.oldJudge": "ok",
        },
    }


def summed(
    status: RunStatus, verified: str = "2026-01-31T10:00:02.000Z", files: str = "0" * 64
) -> bytes:
    digests = {"Z_integrator/STATUS.json": "6" * 64, "attestations/files.sha256": files}
    return encode(
        summary(status, file_subjects(digests), "a" * 64, (provenance(GOOD, {}),), verified)
    )


@pytest.mark.parametrize(
    ("verdict", "result"), [("PASS", "PASSED"), ("BLOCKED", "FAILED"), ("FAIL", "FAILED")]
)
def test_the_summary_says_the_verdict(verdict: str, result: str) -> None:
    predicate = json.loads(summed(run_status(status=verdict)))["predicate"]
    assert predicate["verificationResult"] == result
    assert predicate["verifiedLevels"][1] == f"CODEX_ORCHESTRATOR_{verdict}"
    assert (predicate["verifiedLevels"][0] == "FAILED") == (result == "FAILED")


def test_git_objects_have_a_statement_of_their_own() -> None:
    """sigstore refuses each statement that has a subject without SHA-256."""
    files = json.loads(summed(run_status()))["subject"]
    assert [one["name"] for one in files] == [
        "Z_integrator/STATUS.json",
        "attestations/files.sha256",
    ]
    assert all(
        one["digest"].keys() == {"sha256"}
        for one in (*files, *said(provenance(GOOD, {}))["subject"])
    )
    found = git_subjects((GOOD,), "d" * 40, "e" * 40)
    assert [(one.name, one.digest) for one in found] == [
        ("T-1/result-tree", {"gitTree": GOOD.status.result_tree}),
        ("merged-tree", {"gitTree": "d" * 40}),
        ("result-commit", {"gitCommit": "e" * 40}),
    ]
    assert [one.name for one in git_subjects((GOOD,), "", "")] == ["T-1/result-tree"]


def test_the_builder_is_named_by_backend_and_class_of_host() -> None:
    def builder(**details: str) -> str:
        entry = Entry("pack.started", "r1", details={"pack": "T-1", **details})
        event = link(Head(), entry, "2026-01-31T10:00:01.000Z")
        return bundle_builds([event], {"T-1": "r1"})["T-1"].builder

    assert builder(sandbox="full", host="ci") == "urn:codex-orchestrator:builder:1:full:ci"
    assert builder(sandbox="full") == builder() == "urn:codex-orchestrator:builder:1:unknown"


def test_the_base_names_the_address_of_its_repository() -> None:
    made = replace(GOOD, made=replace(MADE, origin="https://git.example/a/b.git"))
    first = said(provenance(made, {}))["predicate"]["buildDefinition"]["resolvedDependencies"][0]
    assert first["uri"] == "git+https://git.example/a/b.git"


def test_artifacts_are_subjects() -> None:
    files = {"ARTIFACTS/b.txt": "b" * 64, "ARTIFACTS/a.txt": "a" * 64, "LOGS/x.log": "c" * 64}
    subjects = said(provenance(replace(GOOD, files=files), {}))["subject"]
    assert [one["name"] for one in subjects] == [
        "T-1/manifest.json",
        "T-1/ARTIFACTS/a.txt",
        "T-1/ARTIFACTS/b.txt",
    ]


def test_only_times_may_differ() -> None:
    later = replace(MADE, started="2027-01-01T00:00:00.000Z", finished="2027-01-01T00:00:09.000Z")
    first, second = (encode(provenance(replace(GOOD, made=made), {})) for made in (MADE, later))
    assert first != second
    assert timeless(first) == timeless(second)
    other = encode(provenance(replace(GOOD, made=replace(MADE, base_commit="0" * 40)), {}))
    assert timeless(first) != timeless(other)


def test_the_summary_differs_by_times_and_what_holds_times() -> None:
    status = run_status()
    first = summed(status)
    assert timeless(first) == timeless(summed(status, "2027-01-01T00:00:00.000Z", "1" * 64))
    assert timeless(first) != timeless(summed(run_status(status="BLOCKED")))


def test_what_is_no_json_has_no_timeless_form() -> None:
    with pytest.raises(EvidenceError, match="this is not JSON"):
        timeless(b"{")


def at(time: str) -> str:
    """A time of the ledger by a short name."""
    return f"2026-01-01T00:00:0{time[1]}.000Z"


def chained(*entries: tuple[Entry, str]) -> list[EventDocument]:
    head, events = Head(), []
    for entry, time in entries:
        events.append(link(head, entry, at(time)))
        head = Head(events[-1].seq, events[-1].event_id)
    return events


EVENTS = chained(
    (Entry("run.started", "r1", hashes={"base_commit": "1" * 40}), "t1"),
    (Entry("pack.started", "r1", details={"pack": "A", "properties": "x y"}), "t2"),
    (Entry("pack.finished", "r1", details={"pack": "A"}), "t3"),
    (Entry("run.started", "r2", hashes={"base_commit": "2" * 40}), "t4"),
    (Entry("pack.started", "r2", details={"pack": "B", "properties": ""}), "t5"),
    (Entry("pack.started", "r2", details={"pack": "A"}), "t6"),
)


def test_a_bundle_was_made_in_its_own_run() -> None:
    found = bundle_builds(EVENTS, {"A": "r1", "B": "r2", "C": "r2", "D": "gone"})
    assert found == {
        "A": BundleBuild("r1", at("t2"), at("t3"), "1" * 40, ("x", "y")),
        "B": BundleBuild("r2", at("t5"), "", "2" * 40, ()),
        "C": BundleBuild("r2", base_commit="2" * 40),
        "D": BundleBuild("gone"),
    }


def test_properties_that_were_not_recorded_are_not_claimed() -> None:
    assert bundle_builds(EVENTS, {"A": "r2"})["A"] == BundleBuild(
        "r2", at("t6"), "", "2" * 40, None
    )


def test_the_policy_is_what_decides_and_nothing_of_a_host() -> None:
    config = Config(
        python="/opt/python",
        workers=7,
        accepted_missing=frozenset({Property.NET_ISOLATED}),
        signing_policy=SigningPolicy.REQUIRED_FROM,
        signing_key_ids=("ed25519:2", "ed25519:1"),
    )
    document = policy_of(config)
    assert document.properties_accepted == ("net_isolated",)
    assert (document.signing, document.signing_keys) == (
        "required-from",
        ("ed25519:1", "ed25519:2"),
    )
    assert document == policy_of(replace(config, python="", workers=0))
    assert document != policy_of(replace(config, signing_policy=SigningPolicy.OPTIONAL))


def test_only_the_beginning_and_the_end_of_a_pack_tell_of_its_making() -> None:
    def event(event_type: str, run: str, second: int, pack: str = "", **more: Any) -> EventDocument:
        entry = Entry(event_type, run, details={"pack": pack} if pack else {}, **more)
        return link(Head(), entry, f"2026-01-31T10:00:0{second}.000Z")

    events = [
        event("run.started", "run_001", 0, hashes={"base_commit": "2" * 40}),
        event("pack.started", "run_001", 1, "T-1"),
        event("pack.attempt", "run_001", 2, "T-1"),
        event("pack.finished", "run_001", 3, "T-1"),
        event("pack.finished", "run_001", 4, "T-2"),
        event("pack.finished", "run_009", 5, "T-1"),
    ]
    assert bundle_builds(events, {"T-1": "run_001"}) == {
        "T-1": BundleBuild(
            "run_001", "2026-01-31T10:00:01.000Z", "2026-01-31T10:00:03.000Z", "2" * 40
        )
    }
