"""What holds between packs."""

from __future__ import annotations

from factory.contract.pack_set import judge_packs
from factory.model.pack import Scope, TaskPack
from tests.contract_corpus import sentences


def pack(identity: str, *needs: str, folder: str = "") -> TaskPack:
    return TaskPack(
        id=identity,
        folder=folder or f"taskpacks/{identity}-x",
        title="T",
        domain="web",
        why="",
        scope=Scope(()),
        acceptance=(),
        files=(),
        depends_on=needs,
        places=(("/depends_on", 5, 1), ("/depends_on/0", 5, 14), ("/id", 1, 5)),
    )


def test_a_sound_set_has_no_findings() -> None:
    assert judge_packs([pack("T-3", "T-1", "T-2"), pack("T-1"), pack("T-2", "T-1")]) == ()
    assert judge_packs([]) == ()


def test_one_id_twice() -> None:
    found = judge_packs([pack("T-1", folder="p/T-1-b"), pack("T-1", folder="p/T-1-a")])
    assert sentences(found) == [
        (
            'PACK_DUPLICATE_ID  p/T-1-b/task.yml:1:5  id: expected one pack with the id "T-1", found'
            " p/T-1-a with it too; give one of them another id"
        )
    ]


def test_an_unknown_dependency() -> None:
    found = judge_packs([pack("T-11", "T-21"), pack("T-22")])
    assert sentences(found) == [
        (
            "DEPENDS_UNKNOWN  taskpacks/T-11-x/task.yml:5:14  depends_on: expected the id of a pack,"
            ' found "T-21", which no pack has; did you mean "T-22"?'
        )
    ]
    found = judge_packs([pack("T-11", "XY-9")])
    assert found[0].hint == "add that pack, or remove the dependency"


def test_a_pack_that_could_not_be_read_is_not_unknown() -> None:
    assert judge_packs([pack("T-1", "T-2")], unread=["T-2"]) == ()


def test_a_circle_is_named_once_from_its_smallest_id() -> None:
    place = "taskpacks/T-1-x/task.yml:5:1"
    found = judge_packs(
        [pack("T-3", "T-1"), pack("T-1", "T-2"), pack("T-2", "T-3"), pack("T-4", "T-1")]
    )
    assert sentences(found) == [
        (
            f"DEPENDS_CYCLE  {place}  depends_on: expected no circle, found T-1 -> T-2 -> T-3 -> T-1;"
            " remove one of these"
        )
    ]


def test_itself_and_several_circles() -> None:
    found = judge_packs([pack("T-1", "T-1"), pack("T-2", "T-3"), pack("T-3", "T-2")])
    assert sorted(finding.message for finding in found) == [
        "depends_on: expected no circle, found T-1 -> T-1",
        "depends_on: expected no circle, found T-2 -> T-3 -> T-2",
    ]


def test_a_long_chain_is_no_trouble() -> None:
    chain = [pack(f"T-{number:05}", f"T-{number + 1:05}") for number in range(5000)]
    assert judge_packs([*chain, pack("T-05000")]) == ()
    assert [finding.id for finding in judge_packs([*chain, pack("T-05000", "T-00000")])] == [
        "DEPENDS_CYCLE"
    ]
