"""Contracts under policy_ref: what a pull request lets its own pack change of the judge is asked
for, and what it changes of acceptance, scope or `require` is named, or refused.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.world import World

pytestmark = pytest.mark.linux

REF = "refs/remotes/origin/main"
TASK = "scope: {allowed_paths: [a.txt, tests/]}\nsteps: ['echo two > a.txt; rm tests/one.sh']\n"
ACCEPT = "tests: ['for file in tests/*.sh; do sh $file || exit 1; done']\n"
PERMITS = ACCEPT + "may_change: [tests/one.sh]\n"


def of_pull_request(
    root: Path, there: str, here: str, task: str = TASK, policy: str = "version = 1\n"
) -> World:
    """Return a repository whose pack has another contract than at policy_ref."""
    world = World(root)
    world.write("factory.toml", policy)
    world.write("a.txt", "one\n")
    world.write("tests/one.sh", "grep -q one a.txt\n")
    world.write("tests/two.sh", "true\n")
    world.pack("TASK-0001-alpha", TASK, there)
    world.commit()
    world.git("update-ref", REF, "HEAD")
    world.pack("TASK-0001-alpha", task, here)
    world.write("README.md", "# Another\n")
    world.commit("a pull request")
    return world


def found(world: World) -> dict[str, str]:
    """Return the sentences of one run's findings by id."""
    world.factory("oneshot", FACTORY_POLICY_REF=REF)
    return {one["id"]: one["message"] for one in world.status()["findings"]}


def test_a_new_permission_is_a_request(tmp_path: Path) -> None:
    world = of_pull_request(tmp_path / "repository", ACCEPT, PERMITS)
    assert "GRANT_MISSING" in found(world)
    said = world.factory("grant", FACTORY_POLICY_REF=REF).text
    assert "may_change=tests/one.sh" in said
    assert "change these files of its own judge: tests/one.sh" in said
    world.grant("judge may_change=tests/one.sh TASK-0001")
    ended = world.factory("oneshot", FACTORY_POLICY_REF=REF)
    assert ended.rc == 0, ended.text
    assert "GRANT_MISSING" not in ended.text


def test_what_policy_ref_has_needs_no_grant(tmp_path: Path) -> None:
    world = of_pull_request(tmp_path / "repository", PERMITS, PERMITS)
    seen = found(world)
    assert not {"GRANT_MISSING", "CONTRACT_CHANGED", "CONTRACT_PINNED"} & set(seen)


def test_editing_steps_asks_nothing(tmp_path: Path) -> None:
    world = of_pull_request(
        tmp_path / "repository", ACCEPT, ACCEPT, TASK.replace("; rm tests/one.sh", "; true")
    )
    assert not {"GRANT_MISSING", "CONTRACT_CHANGED"} & set(found(world))


def test_another_acceptance_and_scope_are_named(tmp_path: Path) -> None:
    task = TASK.replace("tests/]", "tests/, docs/]")
    world = of_pull_request(tmp_path / "repository", ACCEPT, "tests: ['true']\n", task)
    assert found(world)["CONTRACT_CHANGED"] == (
        f"acceptance and scope of its contract differ from those at {REF}"
    )


def test_policy_may_pin_them(tmp_path: Path) -> None:
    policy = 'version = 1\n[judge]\ncontracts = "pinned"\n'
    world = of_pull_request(
        tmp_path / "repository", ACCEPT, ACCEPT + "require: [change]\n", policy=policy
    )
    assert found(world)["CONTRACT_PINNED"] == (
        f"require of its contract differ from those at {REF}; policy says contracts = pinned"
    )
    assert world.status()["status"] == "BLOCKED"
