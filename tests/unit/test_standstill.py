"""What is remembered of a start that found nothing to do: of no use as soon as anything is not as
it was.

The files are made by hand: only what the file system and Git say of them counts. Each change is
made as far behind the memory's back as a user of the machine can.
"""

from __future__ import annotations

import json
import os
import shutil
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from factory.engine import standstill
from factory.engine.standstill import Around, Asked, Beginning, Rest
from factory.files.state_store import StateStore
from factory.git import repository
from factory.model.card import Card, Closing
from factory.model.layout import STANDSTILL, shown
from factory.model.verdict import Status
from factory.plan.tools import find_tool
from tests.git_world import git

pytestmark = pytest.mark.linux

ASKED = Asked("HEAD", "taskpacks", "", ("git",), ("GIVEN",))
ENVIRONMENT = {"GIVEN": "value", "OTHER": "value"}
LATER = 3_600 * 1_000_000_000  # long after everything here was written
FILES = {
    "taskpacks/A-1/task.yml": "id: A-1\n",
    "taskpacks/A-1/deep/more.txt": "more\n",
    "taskpacks/A-1/it.ignored": "not of the pack\n",
    ".gitignore": "*.ignored\n/.factory/\n",
    ".factory/ledger.jsonl": "{}\n",
    ".factory/bundles/A-1/manifest.json": "{}\n",
    ".factory/bundles/A-1/LOGS/step-1.log": "said\n",
    ".factory/state/launch/A-1.json": "{}\n",
    ".factory/state/integrate.json": "{}\n",
    ".factory/runs/run_1/RUN_MANIFEST.json": "{}\n",
    ".factory/runs/run_1/attestations/checkpoint": "head\n",
    ".factory/runs/run_2/RUN_MANIFEST.json": "{}\n",
    ".factory/runs/run_2/Z_integrator/STATUS.json": "{}\n",
}


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("still") / "template"
    root.mkdir()
    git(root, "init", "-q", "-b", "main")
    for path, text in FILES.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(text, encoding="utf-8")
    git(root, "add", "-A")
    git(root, "commit", "-qm", "one")
    return root


def rest_at(root: Path) -> Rest:
    marker = str(root / ".factory/state/launch/A-1.json")
    cards = (
        Card(
            "launch:A-1",
            "launch",
            "A-1",
            "do it",
            (str(root / "taskpacks/A-1/task.yml"),),
            (marker,),
        ),
        Card(
            "integrate",
            "integrate",
            "",
            "merge",
            (marker,),
            (str(root / ".factory/state/integrate.json"),),
        ),
    )
    kept = {"verdict": "PASS", "key": "k"}
    records = {card.name: {**kept, "targets": dict.fromkeys(card.targets, "0")} for card in cards}
    pack = {str(root / "taskpacks/A-1/task.yml"): "1"}
    tools = {"git": standstill._content_of(find_tool("git"))}
    ignored = frozenset({"taskpacks/A-1/it.ignored"})
    return Rest(
        cards,
        records,
        Closing(Status.PASS, ("still",), "run_2"),
        ("run_2",),
        pack,
        ignored,
        tools,
        ("GIVEN",),
    )


def remember(root: Path, rest: Rest, first: Beginning, ground: str = "ground") -> None:
    standstill.store(root, ground, ENVIRONMENT, rest, first, StateStore(root / ".factory").write)


def beginning(root: Path, rest: Rest) -> Beginning:
    around = Around(repository.discover(root, "HEAD"), rest.ignored, rest.tools)
    return Beginning(time.time_ns() + LATER, "ground", ASKED, around)


@pytest.fixture
def root(template: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of it, remembered; `state` below it is as real as its folders are."""
    monkeypatch.setattr(standstill, "keeps_change_times", lambda _folder: True)
    place = Path(shutil.copytree(template, tmp_path / "repository"))
    rest = rest_at(place)
    remember(place, rest, beginning(place, rest))
    return place


def stands(root: Path, ground: str = "ground", **environment: str) -> bool:
    known = standstill.load(root, ground, {**ENVIRONMENT, **environment})
    return known is not None and standstill.state_stands(root, known)


def test_what_was_remembered_is_given_back_while_nothing_changed(root: Path) -> None:
    known = standstill.load(root, "ground", {**ENVIRONMENT, "OTHER": "changed"})
    rest = rest_at(root)
    assert known is not None
    assert (known.cards, known.records, known.closing) == (rest.cards, rest.records, rest.closing)
    assert known.digests == {
        **rest.digests,
        str(root / ".factory/state/launch/A-1.json"): "0",
        str(root / ".factory/state/integrate.json"): "0",
    }
    assert stands(root)


def rewrite(path: Path, times: bool = True) -> None:
    """Other bytes of the same length; the times that were there before."""
    before, content = path.stat(), path.read_bytes()
    path.write_bytes(bytes([content[0] ^ 1]) + content[1:])
    if times:
        os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


def renamed(path: Path) -> None:
    """Another file of the same size and time in its place, made by a rename."""
    other = path.with_name("other")
    shutil.copy2(path, other)
    rewrite(other)
    os.replace(other, path)


def relinked(path: Path) -> None:
    """A link in its place that leads to the same bytes."""
    moved = path.with_name(f"{path.name}.moved")
    path.rename(moved)
    path.symlink_to(moved.name)


def there_and_back(path: Path) -> None:
    """The bytes that were there, after others: who looked in between saw those."""
    rewrite(path)
    rewrite(path)


PLACES = [path for path in FILES if path != ".gitignore"]
WAYS: dict[str, Callable[[Path], object]] = {
    "rewritten": rewrite,
    "replaced by a rename": renamed,
    "a link instead": relinked,
    "written twice": there_and_back,
    "another mode": lambda path: path.chmod(0o755),
    "gone": lambda path: path.unlink(),
}


@pytest.mark.parametrize("way", WAYS)
def test_no_file_that_was_looked_at_changes_unnoticed(
    root: Path, way: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert stands(root)
    rest = rest_at(root)
    first = beginning(root, rest)
    monkeypatch.setattr(
        standstill, "_around", lambda _root, _asked: first.around
    )  # the same throughout
    for path in PLACES:
        place = root / path
        WAYS[way](place)
        assert not stands(root), path
        for left in (place, place.with_name(f"{place.name}.moved")):
            left.unlink(missing_ok=True)
        place.write_text(FILES[path], encoding="utf-8")
        remember(root, rest, first)
        assert stands(root), path


CHANGES: dict[str, Callable[[Path], object]] = {
    "a file more in a pack": lambda root: (root / "taskpacks/A-1/deep/new").write_text(""),
    "a folder more in a pack": lambda root: (root / "taskpacks/A-1/deep/new").mkdir(),
    "a pack more": lambda root: (root / "taskpacks/B-2").mkdir(),
    "a file more in a bundle": lambda root: (root / ".factory/bundles/A-1/LOGS/new").write_text(""),
    "a bundle more": lambda root: (root / ".factory/bundles/B-2").mkdir(),
    "a file more in the run": lambda root: (
        root / ".factory/runs/run_2/Z_integrator/new"
    ).write_text(""),
    "a run more": lambda root: (root / ".factory/runs/run_3").mkdir(),
    "a file more among the markers": lambda root: (root / ".factory/state/launch/new").write_text(
        ""
    ),
    "something in the trash": lambda root: (root / ".factory/trash").mkdir(),
    "the state folder elsewhere": lambda root: relinked(root / ".factory"),
    "the runs elsewhere": lambda root: relinked(root / ".factory/runs"),
    "the cache elsewhere": lambda root: relinked(root / ".factory/cache"),
    "the packs elsewhere": lambda root: relinked(root / "taskpacks"),
    "another ignore rule": lambda root: (root / ".gitignore").write_text("/.factory/\n"),
    "another rule deep below": lambda root: (root / "taskpacks/.gitignore").write_text("deep\n"),
    "another commit": lambda root: git(root, "commit", "-q", "--allow-empty", "-m", "two"),
    "no repository": lambda root: shutil.rmtree(root / ".git"),
    "nothing remembered": standstill.forget,
}


@pytest.mark.parametrize("change", CHANGES)
def test_nothing_around_them_changes_unnoticed(root: Path, change: str) -> None:
    assert stands(root)
    CHANGES[change](root)
    assert not stands(root)


def test_another_ground_environment_or_code_is_another_standstill(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert not stands(root, ground="another")
    assert not stands(root, GIVEN="another")
    monkeypatch.setattr(standstill, "_CODE", root / "taskpacks")
    assert not stands(root)


def test_another_tool_of_the_same_name_is_noticed(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = tmp_path / "git"
    other.write_text("#!/bin/sh\n")
    monkeypatch.setattr(standstill, "find_tool", lambda _name, _python: other)
    assert not stands(root)


def test_what_changed_while_it_was_looked_at_is_not_remembered(root: Path) -> None:
    """Also within one tick of the clock: then a later write could bear the very same time."""
    rest = rest_at(root)
    first = beginning(root, rest)
    for place in ("taskpacks/A-1/task.yml", ".factory/bundles/A-1", ".factory/ledger.jsonl"):
        standstill.forget(root)
        (root / place).chmod((root / place).stat().st_mode ^ 0o010)
        changed = (root / place).lstat().st_ctime_ns
        remember(root, rest, replace(first, began=changed + 10_000_000))
        assert not (root / shown(STANDSTILL)).exists(), place
    remember(root, rest, first)
    assert stands(root)


AROUND: dict[str, Callable[[Around], Around]] = {
    "commit": lambda around: replace(
        around, repository=replace(around.repository, commit="0" * 40)
    ),
    "ignored": lambda around: replace(around, ignored=frozenset()),
    "tools": lambda around: replace(around, tools={"git": "0" * 64}),
}


@pytest.mark.parametrize("part", AROUND)
def test_what_was_another_at_the_beginning_is_not_remembered(root: Path, part: str) -> None:
    standstill.forget(root)
    rest = rest_at(root)
    first = beginning(root, rest)
    remember(root, rest, replace(first, around=AROUND[part](first.around)))
    remember(root, rest, first, "another")
    assert not (root / shown(STANDSTILL)).exists()


def test_a_disk_whose_times_say_nothing_is_not_believed(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    standstill.forget(root)
    monkeypatch.setattr(standstill, "keeps_change_times", lambda folder: folder.name != "taskpacks")
    rest = rest_at(root)
    remember(root, rest, beginning(root, rest))
    assert not (root / shown(STANDSTILL)).exists()


def test_a_folder_that_takes_nothing_costs_no_answer(root: Path) -> None:
    shutil.rmtree(root / ".factory/cache")
    (root / ".factory/cache").write_text("a file in the way")
    rest = rest_at(root)
    remember(root, rest, beginning(root, rest))
    assert not stands(root)


def test_a_copy_cut_anywhere_or_with_one_bit_turned_counts_as_none(root: Path) -> None:
    place = root / shown(STANDSTILL)
    whole = place.read_bytes()
    for at in {*range(0, len(whole), 61), len(whole) - 1}:
        for content in (whole[:at], whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :]):
            place.write_bytes(content)
            assert standstill.load(root, "ground", ENVIRONMENT) is None, at


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("form", "standstill 0"),
        ("cards", [[1]]),
        ("cards", 5),
        ("closing", ["GREAT", [], ""]),
        ("places", [[10_000, "0"], [0, "0"]]),
        ("places", {}),
        ("asked", []),
    ],
)
def test_a_sound_digest_over_what_is_no_standstill_counts_as_none(
    root: Path, name: str, value: object
) -> None:
    from hashlib import sha256

    place = root / shown(STANDSTILL)
    _, line, paths = place.read_bytes().split(b"\n", 2)
    rest = json.dumps({**json.loads(line), name: value}).encode() + b"\n" + paths
    place.write_bytes(sha256(rest).hexdigest().encode() + b"\n" + rest)
    assert standstill.load(root, "ground", ENVIRONMENT) is None
