"""Order and keys: a key changes exactly when a part of the action does, and shows no value of the
environment.
"""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from factory.model.action import (
    PARTS,
    ActionDocument,
    ToolRecord,
    action_key,
    action_of,
    environment_of,
    why_changed,
)
from factory.model.config import CEILINGS, Config, Grant, GrantKind, OverlapPolicy
from factory.model.evidence_text import format_document
from factory.model.pack import Limits, PackFile, TaskPack
from factory.plan.order import all_needs, canonical_order
from factory.sandbox.properties import Property
from factory.trust.requests import granted_variables, grants_used, limits_in_force
from tests.pack_values import pack

NAMES = tuple("abcdefg")
EDGES = st.sets(st.tuples(st.sampled_from(NAMES), st.sampled_from(NAMES)), max_size=10)


def graph(edges: set[tuple[str, str]], sound: bool) -> dict[str, tuple[str, ...]]:
    """Name to what it needs; without circles where `sound`."""
    kept = {(one, other) for one, other in edges if not sound or one > other}
    return {name: tuple(sorted(other for one, other in kept if one == name)) for name in NAMES}


@given(EDGES, st.randoms())
def test_every_pack_comes_after_what_it_needs_and_else_by_id(
    edges: set[tuple[str, str]], random
) -> None:
    depends = graph(edges, sound=True)
    order = canonical_order(depends)
    assert sorted(order) == list(NAMES)
    for name, needs in depends.items():
        assert all(order.index(need) < order.index(name) for need in needs)
    shuffled = random.sample(NAMES, len(NAMES))
    assert canonical_order({name: depends[name] for name in shuffled}) == order


@given(EDGES)
def test_circles_end_and_come_last(edges: set[tuple[str, str]]) -> None:
    depends = graph(edges, sound=False)
    order = canonical_order(depends)
    needs = all_needs(depends)
    assert sorted(order) == list(NAMES)
    stuck = {name for name in NAMES if any(other in needs[other] for other in (name, *needs[name]))}
    assert set(order[len(order) - len(stuck) :]) == stuck


def test_unknown_dependencies_are_left_to_others() -> None:
    assert canonical_order({"b": ("x",), "a": ("b",)}) == ("b", "a")
    assert all_needs({"a": ("b", "x"), "b": ("c",), "c": ("b",)}) == {
        "a": frozenset("bc"),
        "b": frozenset("bc"),
        "c": frozenset("bc"),
    }


def test_a_limit_is_lowered_to_its_ceiling_and_never_raised() -> None:
    low = Config(ceilings=replace(CEILINGS, timeout=5, memory=7))
    asked = pack(limits=Limits(timeout=9, memory=6))
    assert limits_in_force(asked, Config()) == asked.limits
    assert limits_in_force(asked, low) == replace(asked.limits, timeout=5)
    for kind, thing, whose, expected in (
        (GrantKind.BOUND, "timeout=9", asked.id, 9),
        (GrantKind.BOUND, "timeout=10", "", 9),
        (GrantKind.BOUND, "timeout=8", "", 5),
        (GrantKind.BOUND, "memory=9", "", 5),
        (GrantKind.BOUND, "timeout=9", "TASK-OTHER", 5),
        (GrantKind.HOST, "timeout=9", "", 5),
    ):
        granted = replace(low, grants=(Grant(kind, thing, whose),))
        assert limits_in_force(asked, granted).timeout == expected


def test_only_declared_variables_are_passed_and_fixed_ones_win() -> None:
    asked = pack(env_passed=("A", "B", "C"), env_fixed=(("B", "fixed"), ("Z", "z")))
    host = {"A": "a", "B": "host", "SECRET": "s"}
    granted = Config(
        grants=(
            Grant(GrantKind.VARIABLE, "A", ""),
            Grant(GrantKind.VARIABLE, "B", asked.id),
            Grant(GrantKind.VARIABLE, "C", ""),
            Grant(GrantKind.VARIABLE, "SECRET", ""),
        )
    )
    assert granted_variables(asked, (), host) == {}
    assert granted_variables(asked, granted.grants, host) == {"A": "a", "B": "host"}
    assert environment_of(asked, granted_variables(asked, granted.grants, host)) == (
        ("A", "a"),
        ("B", "fixed"),
        ("Z", "z"),
    )


TOOL = ToolRecord(name="jq", version="1.7", sha256="1" * 64)


def key_parts() -> dict[str, dict[str, object]]:
    """One way to change each part of an action."""
    file = PackFile("taskpacks/T-1-x/task.yml", 0o100644, "0" * 64, 1)
    return {
        "nothing": {},
        "file content": {"of": pack(files=(replace(file, sha256="1" * 64),))},
        "file mode": {"of": pack(files=(replace(file, mode=0o100755),))},
        "file name": {"of": pack(files=(replace(file, path="taskpacks/T-1-x/other"),))},
        "one file more": {"of": pack(files=(file, replace(file, path="taskpacks/T-1-x/z")))},
        "inputs": {"visible_tree": "1" * 40},
        "dependency": {"dependencies": (("T-0", "2" * 64),)},
        "its key": {"dependencies": (("T-0", "3" * 64),)},
        "property": {"config": Config(required=frozenset({Property.NET_ISOLATED}))},
        "ceiling": {"config": Config(ceilings=replace(Limits(), timeout=1))},
        "limit": {"of": pack(limits=Limits(disk=1))},
        "protected": {"protected": ("dodo.py", "LICENCE")},
        "variable": {"environment": (("A", "top-secret"),)},
        "its value": {"environment": (("A", "other"),)},
        "its name": {"environment": (("B", "top-secret"),)},
        "tool": {"tools": (TOOL,)},
        "tool digest": {"tools": (TOOL.model_copy(update={"sha256": "2" * 64}),)},
        "tool version": {"tools": (TOOL.model_copy(update={"version": "1.8"}),)},
    }


def action(
    of: object = None,
    config: Config | None = None,
    visible_tree: str = "0" * 40,
    dependencies: tuple[tuple[str, str], ...] = (),
    protected: tuple[str, ...] = ("dodo.py",),
    environment: tuple[tuple[str, str], ...] = (),
    tools: tuple[ToolRecord, ...] = (),
) -> ActionDocument:
    asked: TaskPack = of or pack()  # type: ignore[assignment]
    config = config or Config()
    return action_of(
        asked,
        config,
        visible_tree=visible_tree,
        dependencies=dependencies,
        protected=protected,
        environment=environment,
        tools=tools,
        limits=limits_in_force(asked, config),
        grants=grants_used(asked, config),
    )


def test_every_part_changes_the_key_and_no_two_changes_give_one_key() -> None:
    keys = {name: action_key(action(**changed)) for name, changed in key_parts().items()}  # type: ignore[arg-type]
    assert len(set(keys.values())) == len(keys)


def test_what_is_no_part_does_not_change_the_key() -> None:
    other = pack(title="Another title", why="else", information='{"owner":"x"}', places=())
    config = Config(
        accepted_missing=frozenset(Property),
        overlap=OverlapPolicy.MERGE,
        workers=7,
        base_ref="main",
    )
    assert action_key(action(other, config)) == action_key(action())


def test_the_order_in_which_parts_are_given_does_not_matter() -> None:
    jq, yq = TOOL, TOOL.model_copy(update={"name": "yq"})
    needs = (("T-0", "0" * 64), ("T-2", "2" * 64))
    first = action(tools=(jq, yq), dependencies=needs)
    assert action_key(action(tools=(yq, jq), dependencies=needs[::-1])) == action_key(first)


def test_no_value_of_the_environment_stands_in_the_action() -> None:
    written = format_document(action(environment=(("TOKEN_URL", "hunter2-hunter2"),)))
    assert b"TOKEN_URL" in written
    assert b"hunter2" not in written


@pytest.mark.parametrize("before", key_parts().items(), ids=lambda part: part[0])
def test_why_names_the_parts_that_differ_and_no_other(
    before: tuple[str, dict[str, object]],
) -> None:
    part = {
        "file": "pack",
        "one": "pack",
        "inputs": "inputs",
        "dependency": "depends_on",
        "property": "sandbox",
        "ceiling": "limits",
        "limit": "limits",
        "protected": "protected",
        "variable": "environment",
        "tool": "tools",
    }
    name, changed = before
    found = why_changed(action(), action(**changed))  # type: ignore[arg-type]
    if name == "nothing":
        assert found == ()
    elif not name.startswith("its "):
        assert {change.part for change in found} == {part[name.split()[0]]}
        assert all(change.before != change.after for change in found)


def test_why_tells_both_values_of_what_differs() -> None:
    found = why_changed(
        action(tools=(TOOL,)), action(tools=(TOOL.model_copy(update={"version": "2"}),))
    )
    assert [(c.what, c.before, c.after) for c in found] == [
        ("jq", f"1.7 {'1' * 64}", f"2 {'1' * 64}")
    ]


def test_every_field_of_the_key_can_be_a_reason() -> None:
    """What is in the key and in no row would change the key without a reason shown."""
    assert set(PARTS) == set(ActionDocument.model_fields)


MORE = {
    "environments": (("py", "1" * 64),),
    "judge": ("tests/**",),
    "require": ("fixed",),
    "grants": ("2" * 64,),
}


@pytest.mark.parametrize("name", MORE)
def test_parts_that_later_versions_fill_are_part_of_the_key_and_reasons(name: str) -> None:
    before = action()
    after = before.model_copy(update={name: MORE[name]})
    assert action_key(before) != action_key(after)
    assert {change.part for change in why_changed(before, after)} == {name}
