"""What decides a check: its key changes with each part, and packs whose checks are never reused."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pytest

from factory.files.seals import UserSeal
from factory.git.narrowing import visible_part
from factory.model.action import ToolRecord, limits_record
from factory.model.evidence import PlannedEnvironment
from factory.model.judged import PlannedJudge
from factory.model.layout import CHECKS
from factory.model.pack import Limits
from factory.plan.plan import PlannedPack, planned_pack
from factory.run import paid
from factory.run.paid import CheckMemory, KnownCheck, MadeCheck, remember
from factory.sandbox.properties import Enforcement, Property, PropertyProof
from tests import pack_values
from tests.fakes.store import MemoryStore

GIVEN = tuple(PropertyProof(each, True, "shown") for each in Property)
FULL = Enforcement("full", GIVEN, facts=MappingProxyType({"kernel": "6.1"}))
SEAL = UserSeal(bytes(32), "/a/.factory")
TREE = "1" * 40


def planned(**pack: Any) -> PlannedPack:
    of = pack_values.pack(**pack)
    tree = pack_values.tree({"README.md": "x"})
    lock = pack_values.bundle(of)[2]
    shows = visible_part(None, of.folder, ())
    made = (of, pack_values.action(of), lock, PlannedJudge())
    return planned_pack(*made, tree, tree, shows, tree, (), (), ())


def keys(
    of: PlannedPack | None = None, tree: str = TREE, under: Enforcement = FULL, code: str = "c"
) -> tuple[str, ...]:
    return CheckMemory(MemoryStore(), SEAL, code).keys(of or planned(), tree, under)


CHECK = pack_values.CHECK
OTHER = replace(CHECK, label="tests-2", run="run more")


def limited(of: PlannedPack) -> PlannedPack:
    limits = limits_record(Limits(memory=1 << 28))
    return replace(of, lock=of.lock.model_copy(update={"limits": limits}))


def with_tool(of: PlannedPack) -> PlannedPack:
    tools = (ToolRecord(name="node", version="22", sha256="2" * 64),)
    return replace(of, action=of.action.model_copy(update={"tools": tools}))


def with_environment(of: PlannedPack) -> PlannedPack:
    prepared = PlannedEnvironment(name="py", sha256="3" * 64, inputs=(), outputs=(".venv/",))
    return replace(of, environments=(prepared,))


def requiring(of: PlannedPack) -> PlannedPack:
    update = {"required_properties": ("net_isolated",)}
    return replace(of, lock=of.lock.model_copy(update=update))


def accepting(*commands: Any) -> Callable[[PlannedPack], PlannedPack]:
    return lambda of: replace(of, pack=replace(of.pack, acceptance=commands))


@pytest.mark.parametrize(
    "change",
    [
        limited,
        with_tool,
        with_environment,
        requiring,
        lambda of: replace(of, environment=(("A", "1"),)),
        lambda of: replace(of, pack=replace(of.pack, folder="taskpacks/T-1-y")),
        accepting(replace(CHECK, run="run ")),
        accepting(replace(CHECK, cwd="src")),
        accepting(replace(CHECK, timeout=5)),
        accepting(replace(CHECK, env=(("A", "1"),))),
        accepting(OTHER, CHECK),
    ],
)
def test_each_part_decides(change: Callable[[PlannedPack], PlannedPack]) -> None:
    assert keys(change(planned()))[-1] != keys()[-1]


def test_so_do_tree_host_and_our_own_code() -> None:
    less = Enforcement("full", GIVEN[:-1], facts=FULL.facts)
    others = (
        keys(tree="2" * 40),
        keys(under=less),
        keys(under=Enforcement("bubblewrap", GIVEN, facts=FULL.facts)),
        keys(under=Enforcement("full", GIVEN, facts=MappingProxyType({"kernel": "6.2"}))),
        keys(code="d"),
    )
    assert len({keys(), *others}) == 1 + len(others)


def test_labels_decide_nothing_and_an_order_is_one_of_its_own() -> None:
    one, two = keys(accepting(CHECK, OTHER)(planned()))
    assert keys(accepting(replace(CHECK, label="old.tests-1"))(planned())) == (one,) == keys()
    assert {*keys(accepting(OTHER, CHECK)(planned()))}.isdisjoint({one, two})


@pytest.fixture(autouse=True)
def a_database(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    """Give every host a database of packages."""
    (tmp_path / "status").write_text("")
    monkeypatch.setattr(paid, "_DATABASES", (str(tmp_path / "status"),))
    paid.system_fingerprint.cache_clear()
    yield
    paid.system_fingerprint.cache_clear()


@pytest.mark.parametrize(
    "more",
    [
        {"env_passed": ("TOKEN",)},
        {"plugin": "module:Class"},
        {"acceptance_network": True},
    ],
)
def test_some_packs_have_no_key(more: dict[str, Any]) -> None:
    assert keys(planned(**more)) == ()


def test_where_nothing_says_what_the_system_is_nothing_has_a_key(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(paid, "_DATABASES", (str(tmp_path / "none"),))
    paid.system_fingerprint.cache_clear()
    assert keys() == ()


def test_where_no_secret_is_kept_nothing_has_a_key() -> None:
    seal = replace(SEAL, lasting=False)
    assert CheckMemory(MemoryStore(), seal, "c").keys(planned(), TREE, FULL) == ()


def test_what_was_said_comes_back_only_under_this_seal_and_while_its_run_is_there() -> None:
    store = MemoryStore()
    (key,) = keys()
    known = KnownCheck("", b"log\n", True, ("out/*",))
    remember([MadeCheck(key, known)], "run_1", store, SEAL)
    assert CheckMemory(store, SEAL, "c").stage((key,)) == ()  # no such run
    store.write("runs/run_1/PLAN.json", b"{}")
    assert CheckMemory(store, SEAL, "c").stage((key,)) == (replace(known, run="run_1"),)
    assert CheckMemory(store, SEAL, "c", fresh=True).stage((key,)) == ()
    for other in (UserSeal(b"1" * 32, SEAL.place), UserSeal(SEAL.secret, "/b/.factory")):
        memory = CheckMemory(store, other, "c")
        assert (memory.stage((key,)), memory.foreign) == ((), {key})


def test_a_failure_is_never_written_over() -> None:
    store = MemoryStore({"runs/run_1/PLAN.json": b"{}"})
    (key,) = keys()
    passed = MadeCheck(key, KnownCheck("", b"log\n", True))
    remember([passed, MadeCheck(key, None), passed], "run_1", store, SEAL)
    assert CheckMemory(store, SEAL, "c").stage((key,)) == ()
    store.write(CHECKS.at(key), b"junk")  # not ours: what is said now counts
    remember([passed], "run_1", store, SEAL)
    assert CheckMemory(store, SEAL, "c").stage((key,)) != ()
