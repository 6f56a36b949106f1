"""The examination's judgement: what blocks, what warns, what is only told."""

from __future__ import annotations

from dataclasses import replace

import pytest

from factory.commands.config import config_lines
from factory.commands.doctor import doctor_lines
from factory.model.config import Config
from factory.model.finding import Finding
from factory.model.verdict import Status
from factory.run.doctor import HostFacts, Mark, check_up, lacking, ladder
from factory.sandbox.properties import Enforcement, Property, PropertyProof

FACTS = HostFacts(
    platform="Linux", python="3.11.7", python_program="/usr/bin/python3", git="2.39.5", git_program="/usr/bin/git",
    doit="0.37.0", state="/r/.factory", free=50 * 1024**3, locked=(), worktrees=(), user_config="/c",
    user_config_exists=False,
)  # fmt: skip
FULL = Enforcement("x", tuple(PropertyProof(each, True, "tried") for each in Property))


def without(*missing: Property) -> Enforcement:
    return Enforcement(
        "x", tuple(PropertyProof(each, each not in missing, "tried") for each in Property)
    )


BY_NAME: list[Property] = sorted([*Property], key=lambda each: each.value)


def test_a_person_reads_tables_with_what_is_wrong_first() -> None:
    measured = replace(without(Property.NET_ISOLATED), facts={"kernel": "6.8"})
    lines = doctor_lines(check_up(FACTS, Config(), measured, "/r", ()))
    assert [line for line in lines if line and not line.startswith(" ")][:4] == [
        "Host",
        "Sandbox",
        "Enforced, as tried",
        "Here",
    ]
    at = lines.index("Enforced, as tried")
    assert lines[at + 1].split()[:2] == ["net_isolated", "missing"]
    assert [line.split() for line in lines if "kernel" in line] == [["kernel", "6.8"]]


def test_settings_are_shown_by_who_may_set_them_and_those_that_are_set_first() -> None:
    rows = [
        {"name": name, "value": value, "source": source, "direction": direction}
        for name, value, source, direction in (
            ("packs.folder", "taskpacks", "default", "neutral"),
            ("ceilings.timeout", "300", "repository: factory.toml", "tightens"),
            ("ceilings.memory", str(3 << 29), "default", "tightens"),
            ("ceilings.disk", str(8 << 30), "default", "tightens"),
            ("run.backend", "auto", "yours: /c", "user"),
        )
    ]
    assert [" ".join(line.split()) for line in config_lines(rows)] == [
        "Set, beyond the defaults",
        "a repository may only make it stricter",
        "ceilings.timeout 300 s (repository: factory.toml)",
        "yours alone",
        "run.backend auto (yours: /c)",
        "",
        "Defaults",
        "a repository may set it",
        "packs.folder taskpacks",
        "a repository may only make it stricter",
        "ceilings.memory 1536 MiB",
        "ceilings.disk 8 GiB",
    ]


def test_good_host_passes_and_every_property_has_a_row() -> None:
    checkup = check_up(FACTS, Config(), FULL, "/r", ())
    assert (checkup.status, checkup.findings) == (Status.PASS, ())
    assert {each.value for each in Property} <= {row.topic for row in checkup.rows}
    assert all(row.mark is Mark.GOOD for row in checkup.rows)


@pytest.mark.parametrize("missing", BY_NAME)
def test_each_missing_property_blocks_unless_accepted_by_name(missing: Property) -> None:
    checkup = check_up(FACTS, Config(), without(missing), "/r", ())
    assert checkup.status is Status.BLOCKED
    assert [finding.id for finding in checkup.findings] == ["PROPERTY_MISSING"]
    accepted = check_up(
        FACTS, Config(accepted_missing=frozenset({missing})), without(missing), "/r", ()
    )
    assert accepted.status is Status.PASS
    assert [finding.id for finding in accepted.findings] == ["PROPERTY_ACCEPTED"]
    other = check_up(
        FACTS, Config(accepted_missing=frozenset(Property) - {missing}), without(missing), "/r", ()
    )
    assert other.status is Status.BLOCKED


def test_nothing_measured_is_not_nothing_wrong() -> None:
    assert check_up(FACTS, Config(), None, "", ()).status is Status.BLOCKED
    no_git = Finding("GIT_TOO_OLD", {"case": "missing", "oldest": "2.38", "program": "git"})
    assert check_up(FACTS, Config(), None, "", (no_git,)).findings == (no_git,)


def test_being_outside_a_repository_is_told_and_does_not_block() -> None:
    checkup = check_up(FACTS, Config(), FULL, "", (Finding("REPO_NOT_FOUND", {"case": "gone"}),))
    assert checkup.status is Status.PASS
    assert [row.mark for row in checkup.rows if row.topic == "repository"] == [Mark.NOTE]


def test_escape_blocks() -> None:
    escaped = replace(FULL, escaped=("read the canary",))
    assert [each.id for each in check_up(FACTS, Config(), escaped, "/r", ()).findings] == [
        "PROBE_ESCAPED"
    ]


@pytest.mark.parametrize(
    ("facts", "finding", "status"),
    [
        (replace(FACTS, free=1), "DISK_LOW", Status.PASS),
        (replace(FACTS, doit=""), "TOOL_MISSING", Status.BLOCKED),
        (replace(FACTS, worktrees=("T-1",)), "STALE_WORKTREE", Status.PASS),
    ],
)
def test_facts_that_matter(facts: HostFacts, finding: str, status: Status) -> None:
    checkup = check_up(facts, Config(), FULL, "/r", ())
    assert ([each.id for each in checkup.findings], checkup.status) == ([finding], status)


def test_worktrees_of_a_run_that_goes_on_are_not_stale() -> None:
    facts = replace(FACTS, worktrees=("T-1",), locked=("another run holds the run lock",))
    assert check_up(facts, Config(), FULL, "/r", ()).findings == ()


def test_backends_are_shown_side_by_side_with_what_each_lacks() -> None:
    measured = (
        ("full", FULL),
        ("less", without(Property.DISK_BOUNDED)),
        ("none", without(*Property)),
    )
    rows = {row[0]: row[1:] for row in ladder(measured)}
    assert rows["property"] == ("full", "less", "none")
    assert rows["disk_bounded"] == ("given", "no", "no")
    assert rows["net_isolated"] == ("given", "given", "no")
    assert len(rows) == 1 + len(Property)
    assert lacking(measured) == ("less, disk_bounded: tried", "none: tried")
