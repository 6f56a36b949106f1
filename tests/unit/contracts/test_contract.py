"""Task packs, from their files to what a run acts on: the corpora, and rules that need more than
one file.
"""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from factory.contract.contract import first_line, id_of_folder, read_pack
from factory.model.command_kind import ACCEPTANCE_KINDS, CommandKind, Trait
from factory.model.finding import Location
from factory.model.pack import Command, Limits, PackFile
from factory.verify.contract import read_contract
from tests.contract_corpus import FOLDER, PackCase, pack_cases, sentences

VALID = [*pack_cases("valid"), *pack_cases("older")]
INVALID = pack_cases("invalid")
BASE = next(case for case in VALID if case.name == "no-version").files


def by_name(cases: list[PackCase]) -> dict[str, Any]:
    return {"argvalues": cases, "ids": [case.name for case in cases]}


def shown(value: object) -> object:
    """A part of a pack as means.json writes it."""
    if isinstance(value, Command):
        return f"{value.label}|{value.run}|{value.cwd}"
    if isinstance(value, tuple):
        return [shown(item) for item in value]
    return value


def at(pack: object, path: str) -> object:
    for name in path.split("."):
        pack = getattr(pack, name)
    return pack


@pytest.mark.parametrize("case", **by_name(VALID))
def test_a_sound_pack_means_what_its_case_says(case: PackCase) -> None:
    pack, findings = case.read()
    assert sentences(findings) == []
    meant = json.loads((case.path / "means.json").read_bytes())
    assert {path: shown(at(pack, path)) for path in meant} == meant


@pytest.mark.parametrize("case", **by_name(INVALID))
def test_a_broken_pack_gives_exactly_its_sentences(case: PackCase) -> None:
    pack, findings = case.read()
    assert pack is None
    expected = (case.path / "expected.txt").read_text(encoding="utf-8").splitlines()
    assert sentences(findings, case.folder + "/") == expected
    assert all(finding.hint and finding.location for finding in findings)


def test_the_corpora_are_not_empty() -> None:
    assert len(VALID) >= 40
    assert len(INVALID) >= 45


def test_paths_may_come_from_the_root_or_from_the_folder() -> None:
    rooted = {f"{FOLDER}/{name}": content for name, content in BASE.items()}
    assert read_pack(FOLDER, rooted) == read_pack(FOLDER, BASE)
    modes = {f"{FOLDER}/runbook.md": 0o100755}
    pack, _ = read_pack(FOLDER, rooted, modes)
    assert pack is not None
    assert [(file.path, file.mode) for file in pack.files if file.mode != 0o100644] == [
        (f"{FOLDER}/runbook.md", 0o100755)
    ]


def test_every_file_of_the_folder_is_named_with_its_digest() -> None:
    pack, _ = read_pack(FOLDER, {**BASE, "more/x.bin": b"\xff"})
    assert pack is not None
    digest = "a8100ae6aa1940d0b663bb31cd466142ebbdbd5187131b92d93818987832eb89"
    assert PackFile(f"{FOLDER}/more/x.bin", 0o100644, digest, 1) in pack.files
    assert len(pack.files) == 6


def test_a_link_in_a_pack_is_refused() -> None:
    pack, findings = read_pack(FOLDER, BASE, {"spec.md": 0o120000})
    assert pack is None
    assert [(finding.id, finding.pack) for finding in findings] == [
        ("PACK_UNSAFE_FILE", "TASK-0105")
    ]


def test_findings_of_all_files_come_together_and_carry_the_pack() -> None:
    files = {**BASE, "task.yml": b"titel: x\n", "acceptance.yml": b"lint: 1\n", "spec.md": b"\xff"}
    del files["risk.md"]
    _, findings = read_pack(FOLDER, files)
    assert [str(finding.location).rpartition("/")[2] for finding in findings] == [
        "risk.md",
        "task.yml:1:1",
        "acceptance.yml:1:7",
        "spec.md:1:1",
    ]
    assert {finding.pack for finding in findings} == {"TASK-0105"}


def test_ceilings_lower_what_is_not_declared() -> None:
    ceilings = Limits(
        timeout=60,
        memory=1024,
        processes=8,
        disk=10**12,
        output=10**12,
        changed_lines=10**6,
        attempts=9,
    )
    pack, findings = read_pack(FOLDER, BASE, ceilings=ceilings)
    assert pack is not None
    assert not findings
    assert pack.limits == Limits(timeout=60, memory=1024, processes=8)
    declaring = {
        **BASE,
        "task.yml": BASE["task.yml"] + b"limits: {memory: 2K}\nexecution: {timeout_minutes: 2}\n",
    }
    pack, findings = read_pack(FOLDER, declaring, ceilings=ceilings)
    assert not findings  # what is over a ceiling is a request of the user: trust.requests
    assert pack is not None
    assert (pack.limits.memory, pack.limits.timeout) == (2048, 120)


def test_places_lead_back_to_the_file() -> None:
    task = BASE["task.yml"] + b"scope:\n  allowed_paths:\n    - docs/**\nsteps: [make]\n"
    pack, _ = read_pack(FOLDER, {**BASE, "task.yml": task})
    assert pack is not None
    assert pack.place("/scope") == Location(f"{FOLDER}/task.yml", 4, 1)
    assert pack.place("/scope/allowed_paths/0") == Location(f"{FOLDER}/task.yml", 6, 7)
    assert pack.place("/scope/denied_paths/3") == Location(f"{FOLDER}/task.yml", 4, 1)
    assert pack.steps[0].location == Location(f"{FOLDER}/task.yml", 7, 9)
    assert pack.acceptance[0].location == Location(f"{FOLDER}/acceptance.yml", 3, 7)


def test_prose_may_hold_what_contracts_may_not() -> None:
    pack, findings = read_pack(FOLDER, {**BASE, "spec.md": "Why\u202e, at length.\f\n".encode()})
    assert findings == ()
    assert pack is not None
    assert pack.why == "Why , at length."


def test_a_pack_is_a_value() -> None:
    pack, _ = next(case for case in VALID if case.name == "everything").read()
    again, _ = next(case for case in VALID if case.name == "everything").read()
    assert pack == again
    assert hash(pack) == hash(again)


@pytest.mark.parametrize(
    ("folder", "identity"),
    [
        ("taskpacks/TASK-0105-links", "TASK-0105"),
        ("TASK-0105", "TASK-0105"),
        ("x/links", ""),
        ("x/task-5", ""),
    ],
)
def test_a_folder_names_its_pack(folder: str, identity: str) -> None:
    assert id_of_folder(folder) == identity


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("# Title\n\nWhy it matters.\nMore.\n", "Why it matters."),
        ("Title\n=====\n\nWhy.\n", "Why."),
        ("Title\n---\nWhy.\n", "Why."),
        ("<!-- note\nof two lines -->\n## A\n\n***\nWhy.\n", "Why."),
        ("\n- one reason\n", "- one reason"),
        ("Why\x1b[31m.\n", "Why [31m."),
        ("# Only a title\n", ""),
        ("", ""),
        ("x" * 400, "x" * 300),
    ],
)
def test_why_is_the_first_line_of_prose(text: str, line: str) -> None:
    assert first_line(text) == line


KEYS = [
    "id",
    "title",
    "type",
    "scope",
    "steps",
    "limits",
    "constraints",
    "env",
    "inputs",
    "acceptance",
    "execution",
]
SCRAPS = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-5, 5)
    | st.floats(allow_nan=False)
    | st.sampled_from(["x", "../x", "", "10m", "a b"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["run", "allowed_paths", "timeout", "description", "memory", "a"]),
            inner,
            max_size=3,
        )
    ),
    max_leaves=6,
)


@given(
    st.dictionaries(st.sampled_from(KEYS), SCRAPS, max_size=5),
    st.dictionaries(st.sampled_from(["tests", "must", "checks", "deps"]), SCRAPS, max_size=3),
)
def test_any_tree_gives_a_pack_or_findings(
    task: dict[str, object], acceptance: dict[str, object]
) -> None:
    files = {
        **BASE,
        "task.yml": json.dumps(task).encode(),
        "acceptance.yml": json.dumps(acceptance).encode(),
    }
    pack, findings = read_pack(FOLDER, files)
    assert (pack is None) == any(finding.blocks for finding in findings)
    assert all(finding.message and finding.hint for finding in findings)


@given(st.binary(max_size=120), st.binary(max_size=120), st.binary(max_size=40))
def test_any_bytes_give_findings_never_exceptions(
    task: bytes, acceptance: bytes, spec: bytes
) -> None:
    pack, findings = read_pack(
        FOLDER, {**BASE, "task.yml": task, "acceptance.yml": acceptance, "spec.md": spec}
    )
    assert pack is None
    assert findings


@pytest.mark.parametrize("kind", ACCEPTANCE_KINDS, ids=lambda kind: kind.value)
def test_every_kind_of_acceptance_is_read_alike_by_the_checker(kind: CommandKind) -> None:
    """The table of kinds is followed by the parser; `verify` reads the same with its own."""
    acceptance = f"{kind.key}:\n  - run: make it\n    name: it\n  - 'true'\n".encode()
    pack, findings = read_pack(FOLDER, {**BASE, "acceptance.yml": acceptance})
    assert not findings
    assert pack is not None
    commands = [(each.label, each.kind.value, each.name, each.run) for each in pack.acceptance]
    assert commands == [
        (f"{kind.value}-1", kind.value, "it", "make it"),
        (f"{kind.value}-2", kind.value, f"{kind.value}-2", "true"),
    ]
    in_folder = bool(kind.traits & Trait.IN_PACK_FOLDER)
    assert {each.cwd for each in pack.acceptance} == {FOLDER if in_folder else ""}
    again = read_contract(FOLDER, BASE["task.yml"], acceptance).acceptance
    assert [(each.label, each.kind, each.name, each.run) for each in again] == commands
