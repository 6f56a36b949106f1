"""Every layer that judges a path gives one answer, over a corpus of paths; and a sandbox keeps
every name as it is.

Asked are the judge (launch, validation and re-check), preflight's reader of pack files, the rule
for artifacts, the integrator's overlaps, and the checker that shares nothing with them.
"""

from __future__ import annotations

import json
import os
import unicodedata
from functools import cache
from pathlib import Path

import pytest

from factory.contract.work_tree import UserWorkTree
from factory.git.narrowing import apply_differences, between
from factory.judge import path_guard
from factory.judge.acceptance import artifact_name_problem
from factory.judge.judge import Contents, judge_change, rules_of
from factory.judge.scope import compile_patterns
from factory.merge.overlap import Touch, find_overlaps
from factory.model.names import PACK_FILES
from factory.model.pack import Limits, Scope
from factory.model.tree import Difference, Leaf, Tree, tree_from_leaves
from factory.sandbox.backends import IsolationMode
from factory.verify import names as checker
from factory.verify import patterns as checker_patterns
from factory.verify.overlaps import overlapping
from factory.verify.patch import Change, undo
from factory.verify.trees import Path as Segments
from factory.verify.trees import TreeEntry, parts
from tests.git_world import World
from tests.hostile.extent import PATHS
from tests.hostile.paths import corpus, twins
from tests.pack_values import pack
from tests.sandbox_kit import MIB, NOTHING, run, sandbox

pytestmark = pytest.mark.linux

COUNT = PATHS  # 100,000 where all is played
LAID = COUNT // 5
THROUGH_GIT = COUNT // 20
LEAF = Leaf(0o100644, "1" * 40)
EMPTY = Tree({})
PROTECTED = path_guard.protected_patterns("taskpacks", ("requirements.lock",))
SCOPE = ("src/", "docs/**/index*", "*/b.txt", "**/x?", "taskpacks/TASK-1/", "a", "**")
RULES = rules_of(pack(folder="taskpacks/TASK-1", scope=Scope(SCOPE)), PROTECTED)


@cache
def paths() -> tuple[str, ...]:
    return corpus(COUNT)


def judged(path: str) -> str:
    """The judge's answer: a finding's id, or nothing."""
    found = judge_change(RULES, (Difference(path, None, LEAF),), EMPTY, Contents({}, frozenset()))
    names = [one.id for one in found if one.id != "PACK_FILE_CHANGED"]  # no rule of names
    return names[0] if names else ""


def test_the_corpus_is_evil_enough_and_the_same_everywhere() -> None:
    answers = [judged(path) for path in paths()[: max(LAID, 4_000)]]
    seen = {answer: answers.count(answer) for answer in set(answers)}
    assert set(seen) == {"", "PATH_UNSAFE", "PATH_GIT_NAME", "PATH_PROTECTED", "PATH_NOT_PORTABLE"}
    assert min(seen.values()) > 100
    assert len(set(paths())) == COUNT
    assert paths()[:50] == corpus(50)


def test_judge_and_checker_and_artifacts_give_one_answer() -> None:
    for path in paths():
        answer = judged(path)
        unsafe, unportable = checker.why_unsafe(path), checker.why_unportable(path)
        protected = any(
            checker_patterns.matches(PROTECTED.sources, each)
            for each in {path, checker.folded(path)}
        )
        due = (
            *(["PATH_UNSAFE", "PATH_GIT_NAME"] if unsafe else []),
            *(["PATH_PROTECTED"] if not unsafe and protected else []),
            *(["PATH_NOT_PORTABLE"] if not unsafe and not protected and unportable else []),
        )
        assert (answer in due) if due else (answer == ""), (path, answer, due)
        refused = bool(artifact_name_problem(path))
        assert refused == bool(unsafe or unportable), (path, answer)


def test_both_spell_a_path_alike_and_back() -> None:
    for path in paths():
        shown = path_guard.display(path)
        assert shown == checker.spell(path), path
        assert checker.unspell(shown) == path
        assert shown.isprintable() or all(
            c == " " or unicodedata.category(c) not in ("Cc", "Cf", "Zl", "Zp") for c in shown
        )


def test_both_read_a_scope_alike() -> None:
    """The protected list is a scope too, and the first test asks it of every path."""
    compiled = compile_patterns(SCOPE[:-1])
    for path in paths():
        if not path_guard.unsafe(path):  # a scope is of plain relative paths
            assert compiled.matches(path) == checker_patterns.matches(SCOPE[:-1], path), path


def test_overlaps_are_found_by_all_alike() -> None:
    tried = met = 0
    for one, other in twins(paths()[: COUNT // 10]):
        if path_guard.unsafe(one) or path_guard.unsafe(other) or one == other:
            continue
        tried += 1
        touches = {"A-1": (Touch(one, LEAF),), "B-1": (Touch(other, Leaf(0o100644, "2" * 40)),)}
        edits: dict[str, dict[Segments, TreeEntry | None]] = {
            "A-1": {parts(one): TreeEntry(0o100644, "1" * 40)},
            "B-1": {parts(other): TreeEntry(0o100644, "2" * 40)},
        }
        found = bool(find_overlaps(touches))
        assert found == bool(overlapping(edits, {"A-1": frozenset(), "B-1": frozenset()})), (
            one,
            other,
        )
        met += found
        if not (one.startswith(f"{other}/") or other.startswith(f"{one}/")):
            both = tree_from_leaves([(one, LEAF), (other, LEAF)], "sha1")
            collides = bool(path_guard.collisions(both, (one, other), EMPTY))
            assert collides == found, (one, other)
    assert tried > COUNT // 20
    assert COUNT // 200 < met < tried


def on_linux(path: str) -> bool:
    """Whether a file of that path can be laid down here."""
    names = path.split("/")
    plain = not ({"", ".", ".."} & set(names)) and all(
        len(os.fsencode(name)) <= 255 for name in names
    )
    return plain and len(os.fsencode(path)) < 2000


def apart(wanted: tuple[str, ...], most: int) -> tuple[str, ...]:
    """The first of them of which none is a folder of another, so that all can stand side by
    side.
    """
    files: set[str] = set()
    folders: set[str] = set()
    for path in wanted:
        above = {path[:place] for place, char in enumerate(path) if char == "/"}
        if len(files) < most and on_linux(path) and path not in folders and not above & files:
            files.add(path)
            folders |= above
    return tuple(sorted(files, key=os.fsencode))


@pytest.mark.parametrize("mode", [IsolationMode.OVERLAY, IsolationMode.WORKTREE])
def test_a_sandbox_keeps_every_name_byte_for_byte(tmp_path: Path, mode: IsolationMode) -> None:
    wanted = apart(paths()[: 3 * LAID], LAID)
    assert len(wanted) == LAID
    program = (
        "import json, os\n"
        "for name in json.load(open('/workspace/names.json')):\n"
        "    path = b'/workspace/laid/' + bytes.fromhex(name)\n"
        "    os.makedirs(os.path.dirname(path), exist_ok=True)\n"
        "    open(path, 'wb').close()\n"
    )
    limits = Limits(timeout=250, processes=32, disk=512 * MIB)
    with sandbox(tmp_path, mode) as (made, views):
        for name, text in (
            ("names.json", json.dumps([os.fsencode(path).hex() for path in wanted])),
            ("lay.py", program),
        ):
            (views.root / "base" / name).write_text(text, "ascii")
        opened = made.open(NOTHING, limits, "stage")
        try:
            done = run(opened, "python -I -S lay.py", timeout=250)
            assert done.rc == 0, done.log
            layer = opened.freeze()
        finally:
            opened.close()
    as_git = {path for path in wanted if path_guard.git_name(path)}
    found = {
        file.path.removeprefix("laid/") for file in layer.files if file.path.startswith("laid/")
    }
    assert found == set(wanted) - as_git
    told = {oddity.path.removeprefix("laid/") for oddity in layer.oddities}
    assert {oddity.finding for oddity in layer.oddities} == {"PATH_GIT_NAME"}
    assert told == {_up_to_git(path) for path in as_git}


def _up_to_git(path: str) -> str:
    """The path down to its first name that reads as .git, which is what the scanner tells."""
    names = path.split("/")
    first = next(place for place, name in enumerate(names) if path_guard.reads_as_git(name))
    return "/".join(names[: first + 1])


def test_preflight_reads_a_packs_folder_as_the_judge_would(tmp_path: Path) -> None:
    folder = "taskpacks/TASK-1"
    wanted = tuple(f"{folder}/{path}" for path in apart(paths()[: 3 * THROUGH_GIT], THROUGH_GIT))
    for path in wanted:
        place = os.fsencode(f"{tmp_path}/{path}")
        os.makedirs(os.path.dirname(place), exist_ok=True)
        os.close(os.open(place, os.O_CREAT | os.O_WRONLY, 0o644))
    # A folder in place of a contract's file is told, and not looked into.
    wanted = tuple(path for path in wanted if not set(PACK_FILES) & set(path.split("/")[:-1]))
    read = {file.path: file.problem for file in UserWorkTree(tmp_path).pack_files(folder)}
    assert set(wanted) <= set(read)
    for path in wanted:
        refused = bool(checker.why_unsafe(path) or checker.why_unportable(path))
        assert bool(read[path]) == refused, (path, read[path])


def test_bundle_validation_and_integration_tell_the_same_paths_through_real_git(
    tmp_path: Path,
) -> None:
    """What Git is shown as trees comes back from its raw difference, its patch and its index, byte
    for byte.
    """
    wanted = tuple(
        path for path in apart(paths()[: 3 * THROUGH_GIT], COUNT) if not path_guard.git_name(path)
    )[:THROUGH_GIT]
    assert len(wanted) == THROUGH_GIT
    world = World(tmp_path)
    world.commit({"zz": "what the corpus does not name"})
    with world.objects() as objects:
        leaf = Leaf(0o100644, objects.write_blob(b"content\n"))
        before = objects.tree_of(world.head())
        after = apply_differences(before, tuple(Difference(path, None, leaf) for path in wanted))
        objects.write_tree(after)
        by_tree = between(before, after)
        assert {change.path for change in by_tree} == set(wanted)
        assert objects.raw_differences(before.oid, after.oid) == by_tree
        patch = objects.patch(before.oid, after.oid)
        assert objects.apply_patch(before.oid, patch) == after.oid
        assert dict(objects.numstat(before.oid, after.oid)) == dict.fromkeys(wanted, (1, 0))
    sides = [Change(change.path, None, TreeEntry(0o100644, leaf.oid)) for change in by_tree]
    undone = undo(patch, sides, dict.fromkeys(wanted, b"content\n"))
    assert undone.keys() == set(wanted)
