"""Environments as declared: what they ask of the user, and where their outputs may be."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from factory.contract.check import judge_contracts
from factory.contract.configuration import config_digest, read
from factory.contract.environments import KEYS
from factory.contract.scaffold import new_pack
from factory.contract.settings import Direction
from factory.contract.work_tree import UserWorkTree
from factory.files.added_files import AddedFiles
from factory.files.templates import read_templates
from factory.judge.judge_set import BUILT_IN
from factory.judge.path_guard import protected_patterns
from factory.model.config import Config, Grant, GrantKind
from factory.model.pack import TaskPack
from factory.model.tree import Leaf, tree_from_leaves
from factory.model.verdict import Status
from factory.plan.environment_rules import judge_environments
from factory.trust.requests import granted_by_policy, missing, requests_of_environment
from tests.contract_corpus import pack_cases

PY = b"""
[environments.py]
prepare = ["python -m venv .venv", ".venv/bin/pip install -r requirements.txt"]
inputs = ["requirements.txt"]
outputs = [".venv/"]
allow_network = ["index.example.org"]
"""
RUST = b'[environments.rust]\nhost = "~/.cargo"\nalso = ["~/.rustup"]\npath = [".cargo/bin"]\n'
BASE = tree_from_leaves(
    [("src/a.py", Leaf(0o100644, "1" * 40)), ("lib/x/y.py", Leaf(0o100644, "2" * 40))], "sha1"
)
REFERENCE = Path(__file__).parents[3] / "docs/factory"


def config_of(repository: bytes, user: bytes | None = None) -> Config:
    config, findings = read(user, repository, {}, {})
    assert findings == ()
    return config


def a_pack(*names: str) -> TaskPack:
    (case,) = [case for case in pack_cases("valid") if case.name == "smallest"]
    pack, _ = case.read()
    assert pack is not None
    return replace(pack, environments=names)


def judged(pack: TaskPack, config: Config) -> list[tuple[str, str, str]]:
    protected = protected_patterns("taskpacks")
    found = judge_environments(pack, config, BASE, protected, BUILT_IN.compiled)
    return [(one.id, str(one.facts.get("case", "")), str(one.location)) for one in found]


def test_each_key_has_a_direction_and_is_in_the_reference() -> None:
    text = (REFERENCE / "CONFIG.md").read_text("utf-8")
    for key in KEYS:
        assert f"`{key.key}`" in text, key.key
    assert {each.key for each in KEYS if each.direction is Direction.REQUEST} == {
        "allow_network",
        "host",
        "also",
    }


def test_a_line_that_moves_changes_no_digest() -> None:
    assert config_digest(config_of(PY)) == config_digest(config_of(b"\n\n# more\n" + PY))
    other = PY.replace(b"requirements.txt", b"r.txt")
    assert config_digest(config_of(PY)) != config_digest(config_of(other))


def test_an_environment_asks_for_its_hosts_by_its_commands() -> None:
    config = config_of(PY)
    (asked,) = missing(a_pack("py"), config)
    assert (asked.kind, asked.thing) == (GrantKind.HOST, "index.example.org")
    assert asked.pack.startswith("environment:py@")
    assert str(asked.place) == "factory.toml:6:1"
    assert "pip install" in asked.command
    granted = replace(config, grants=(Grant(asked.kind, asked.thing, asked.pack),))
    assert missing(a_pack("py"), granted) == ()
    assert missing(a_pack(), config) == ()
    # New inputs do not ask again; other commands do.
    for more, asks in ((b"requirements.txt", 0), (b"pip install", 1)):
        changed = config_of(PY.replace(more, b"other", 1 if asks else -1))
        if not asks:
            changed = config_of(PY.replace(b'inputs = ["', b'inputs = ["uv.lock", "'))
        assert len(missing(a_pack("py"), replace(changed, grants=granted.grants))) == asks


def test_folders_of_the_user_are_requests_unless_they_name_them() -> None:
    asked = requests_of_environment(config_of(RUST).environments[0], Config())
    assert [(one.kind, one.thing) for one in asked] == [
        (GrantKind.FOLDER, "~/.cargo"),
        (GrantKind.FOLDER, "~/.rustup"),
    ]
    assert requests_of_environment(config_of(b"", RUST).environments[0], Config()) == ()


def test_what_only_the_judged_tree_declares_is_a_request_as_a_whole() -> None:
    for policy, kinds in ((PY, ["host"]), (b"", ["host", "environment"])):
        config, _ = read(None, PY, {}, {}, policy=policy, policy_file="factory.toml of x")
        asked = requests_of_environment(config.environments[0], config)
        assert [one.kind.value for one in asked] == kinds
        followed = granted_by_policy([a_pack("py")], config)
        assert len(followed) == (1 if policy else 0)


@pytest.mark.parametrize(
    ("output", "case"),
    [
        (".venv/", ""),
        ("node_modules/", ""),
        ("lib/x/node_modules/", ""),
        ("lib/", "base"),
        ("lib/*/", "base"),
        ("src/a.py/more/", "base"),
        ("src/a.py", "base"),
        ("taskpacks/x/", "packs"),
        ("t*/x/", "packs"),
        ("taskpacks", "packs"),
        (".env/", "protected"),
        (".github/workflows/", "protected"),
        ("tests/", "judge"),
        ("pytest.py", "judge"),
        ("unittest/", "judge"),
    ],
)
def test_an_output_is_a_place_of_its_own(output: str, case: str) -> None:
    text = PY.replace(b'".venv/"', f'"{output}"'.encode())
    found = [row for row in judged(a_pack("py"), config_of(text)) if "OVERLAPS" in row[0]]
    assert found == ([("ENVIRONMENT_OVERLAPS", case, "factory.toml:5:1")] if case else [])


def test_two_outputs_of_one_pack_are_apart() -> None:
    two = PY + PY.replace(b"[environments.py]", b"[environments.b]").replace(
        b'".venv/"', b'".venv/lib/"'
    )
    config = config_of(two)
    assert [row[:2] for row in judged(a_pack("py", "b"), config) if "OVER" in row[0]] == [
        ("ENVIRONMENT_OVERLAPS", "output")
    ]
    assert [row for row in judged(a_pack("b"), config) if "OVER" in row[0]] == []


def test_a_name_that_is_not_declared_is_refused_with_a_guess() -> None:
    protected = protected_patterns("taskpacks")
    pack, config = a_pack("pyt", "rust"), config_of(PY)
    found = judge_environments(pack, config, BASE, protected, BUILT_IN.compiled)
    assert [(one.id, one.hint) for one in found] == [
        ("ENVIRONMENT_UNKNOWN", 'Did you mean "py"?'),
        ("ENVIRONMENT_UNKNOWN", "Declare it under [environments.rust] in factory.toml."),
    ]


def test_contract_says_of_an_unknown_environment_what_a_run_would_say(tmp_path: Path) -> None:
    new_pack(AddedFiles(tmp_path), read_templates("pack"), "taskpacks", "TASK-0001-one", "web")
    (tmp_path / "taskpacks/TASK-0001-one/spec.md").write_text("# One\n\nOne is needed.\n")
    task = tmp_path / "taskpacks/TASK-0001-one/task.yml"
    valid, config = task.read_text(), config_of(PY)
    task.write_text(f"{valid}environment: [py]\n")
    assert judge_contracts(UserWorkTree(tmp_path), config, ()).broken == ()
    task.write_text(f"{valid}environment: [pyy]\n")
    judged = judge_contracts(UserWorkTree(tmp_path), config, (), ("TASK-0001",))
    assert (judged.status, judged.broken) == (Status.BLOCKED, ("TASK-0001",))
    (found,) = judged.findings
    assert (found.id, found.hint) == ("ENVIRONMENT_UNKNOWN", 'Did you mean "py"?')
    assert str(found.location).startswith("taskpacks/TASK-0001-one/task.yml:")
