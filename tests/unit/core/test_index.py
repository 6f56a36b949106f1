"""The index: what a file is, what the ledger says, one form, and questions."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from factory.evidence.index import (
    UNRECORDED,
    Filter,
    FoundArtifact,
    RunFacts,
    choose_artifacts,
    choose_runs,
    find_artifacts,
    format_index,
    join_rows,
    pack_of,
    parse_index,
    run_facts,
    run_row,
    states_version,
    type_of,
    version_in,
)
from factory.log.chain import Head
from factory.model.event import Entry
from factory.model.evidence_text import EvidenceError
from tests.ledger_lines import link

NAMES = st.text(st.characters(exclude_characters="/\0"), min_size=1, max_size=8).filter(
    lambda name: name not in (".", "..")
)
PATHS = st.lists(NAMES, min_size=1, max_size=3).map("/".join) | st.binary(
    min_size=1, max_size=8
).map(lambda raw: raw.replace(b"\0", b"x").decode("utf-8", "surrogateescape"))
FILES = st.lists(
    st.builds(
        FoundArtifact, PATHS, st.integers(0, 2**40), st.sampled_from(["", "a" * 64]), st.none() | st.integers(0, 9)
    ),
    max_size=5, unique_by=lambda found: found.path,
)  # fmt: skip
FACTS = st.sampled_from(
    [UNRECORDED, RunFacts("finished", "PASS", "b" * 40, "2026-01-01", "2026-01-02")]
)


@given(
    st.dictionaries(
        st.from_regex(r"r[0-9]{1,3}", fullmatch=True), st.tuples(FACTS, FILES), max_size=3
    )
)
def test_rows_are_what_is_parsed_and_printed(
    runs: dict[str, tuple[RunFacts, list[FoundArtifact]]],
) -> None:
    written = join_rows(run_row(name, *runs[name]) for name in sorted(runs))
    index = parse_index(written)
    assert format_index(index) == written
    assert [run.run_id for run in index.runs] == sorted(runs)
    for run in index.runs:
        facts, files = runs[run.run_id]
        assert (run.state, run.status, run.base_commit) == (
            facts.state,
            facts.status,
            facts.base_commit,
        )
        assert [(a.bytes, a.sha256, a.schema_version) for a in run.artifacts] == [
            (found.bytes, found.sha256, found.schema_version)
            for found in sorted(files, key=lambda found: found.path)
        ]
    assert written == join_rows(
        run_row(name, runs[name][0], reversed(runs[name][1])) for name in sorted(runs)
    )


@pytest.mark.parametrize(
    "content",
    [b"", b"{}", b"[]", b'{"runs":[],"schema_version":1}\n', b'{"runs":[\n\n],"schema_version":2}\n',
     b'{"runs":[\n\n],"runs":[\n\n],"schema_version":1}\n', b'{"runs":[\n\n],"schema_version":1}\n '],
)  # fmt: skip
def test_anything_else_is_refused(content: bytes) -> None:
    with pytest.raises(EvidenceError):
        parse_index(content)


@pytest.mark.parametrize(
    ("path", "kind", "pack"),
    [
        ("RUN_MANIFEST.json", "run-manifest", ""),
        ("PLAN.json", "plan", ""),
        ("T-1/manifest.json", "bundle-manifest", "T-1"),
        ("T-1/STATUS.json", "bundle-status", "T-1"),
        ("Z_integrator/STATUS.json", "run-status", ""),
        ("T-1/LOGS/INDEX.json", "log-index", "T-1"),
        ("T-1/LOGS/check-1.log", "log", "T-1"),
        ("Z_integrator/LOGS/T-1.log", "log", ""),
        ("T-1/ARTIFACTS/STATUS.json", "artifact", "T-1"),
        ("T-1/DIFF.patch", "patch", "T-1"),
        ("Z_integrator/CHANGES.bundle", "git-bundle", ""),
        ("Z_integrator/report.html", "report", ""),
        ("T-1/report.html", "other", "T-1"),
        ("attestations/ledger.jsonl", "ledger-events", ""),
        ("attestations/ledger.sha256", "digest-list", ""),
        ("attestations/checkpoint", "checkpoint", ""),
        ("attestations/attestations.intoto.jsonl", "attestation", ""),
        ("raw/T-1/attempt-1/step-1.log", "raw", "T-1"),
        ("raw/loose.log", "raw", ""),
        ("raw/crash-summary.txt", "raw", ""),
        ("locks/started.txt", "lock", ""),
        ("surprise", "other", ""),
    ],
)
def test_what_a_file_is(path: str, kind: str, pack: str) -> None:
    assert (type_of(path), pack_of(path)) == (kind, pack)


@pytest.mark.parametrize(
    ("content", "version"),
    [
        (b'{\n  "files": [],\n  "schema_version": 1\n}\n', 1),
        (b'{\n  "format": 1,\n  "pack": "T-1"\n}\n', 1),
        (b'{"actor":"pipeline","schema_version":1,"seq":1}\n', 1),
        (b'{\n  "a": {\n    "schema_version": 7\n  }\n}\n', None),
        (b'{\n  "a": "  \\"schema_version\\": 7"\n}\n', None),
        (b"\x00\xff", None),
    ],
)
def test_version_is_that_of_the_top_level(content: bytes, version: int | None) -> None:
    assert version_in(content) == version


def test_facts_follow_the_ledger() -> None:
    head, events = Head(), []
    for entry in (
        Entry("run.started", "r1", hashes={"base_commit": "b" * 40}),
        Entry("integrate.prepared", "r1", rc=2),
        Entry("integrate.finished", "r1", rc=2),
        Entry("run.started", "r2", hashes={"base_commit": "c" * 40}),
    ):
        event = link(head, entry, f"2026-01-0{head.seq + 1}T00:00:00.000Z")
        events.append(event)
        head = Head(event.seq, event.event_id)
    facts = run_facts(events)
    assert facts["r1"] == RunFacts(
        "finished", "BLOCKED", "b" * 40, "2026-01-01T00:00:00.000Z", "2026-01-03T00:00:00.000Z"
    )
    assert (facts["r2"].state, facts["r2"].status, facts["r2"].ended) == ("open", "", "")
    assert run_facts(events[:2])["r1"].state == "prepared"


def test_other_events_tell_nothing_of_a_run() -> None:
    event = link(Head(), Entry("pack.finished", "r1"), "2026-01-01T00:00:00.000Z")
    assert run_facts([event]) == {}


@pytest.mark.parametrize(
    ("path", "stated"),
    [
        ("RUN_MANIFEST.json", True),
        ("T-1/manifest.json", True),
        ("T-1/LOGS/check-1.log", False),
        ("T-1/any.bin", False),
    ],
)
def test_which_files_state_the_version_of_their_schema(path: str, stated: bool) -> None:
    assert states_version(path) is stated


def test_questions() -> None:
    files = (
        FoundArtifact("T-1/DIFF.patch", 3, "1" * 64),
        FoundArtifact("T-2/LOGS/a.log", 4, "2" * 64),
        FoundArtifact("RUN_MANIFEST.json", 5, "3" * 64, 1),
    )
    facts = RunFacts("finished", "PASS", "b" * 40, "2026-02-01T00:00:00.000Z", "2026-02-02")
    index = parse_index(
        join_rows((run_row("r1", facts, files), run_row("r2", UNRECORDED, files[:1])))
    )

    def paths(**wanted: str) -> list[str]:
        return [
            f"{run}/{artifact.path}" for run, artifact in choose_artifacts(index, Filter(**wanted))
        ]

    assert [run.run_id for run in choose_runs(index, Filter(state="unrecorded"))] == ["r2"]
    assert [run.run_id for run in choose_runs(index, Filter(since="2026-02-01"))] == ["r1"]
    assert choose_runs(index, Filter(since="2026-02-02")) == ()
    assert paths(type="patch") == ["r1/T-1/DIFF.patch", "r2/T-1/DIFF.patch"]
    assert paths(pack="T-2") == ["r1/T-2/LOGS/a.log"]
    assert paths(path="*/LOGS/**") == ["r1/T-2/LOGS/a.log"]
    assert paths(run_id="r2", status="PASS") == []
    assert [run for run, _ in find_artifacts(index, "1" * 8)] == ["r1", "r2"]
    assert [run for run, _ in find_artifacts(index, "r2/T-1/DIFF.patch")] == ["r2"]
    assert find_artifacts(index, "r1/nothing") == ()
    assert json.loads(format_index(index))["schema_version"] == 1
