"""Disjoint changes united entry by entry, against stock Git merging them one after another."""

from __future__ import annotations

from pathlib import Path
from random import Random

import pytest

from factory.git.narrowing import between
from factory.git.objects import GitObjects
from factory.merge.merging import Candidate, merge_candidates
from factory.merge.three_way import three_way_of
from factory.model.config import OverlapPolicy
from factory.model.tree import MODE_EXECUTABLE, MODE_FILE, Leaf, Tree
from tests.git_world import World, git

NAMES = ("a", "b", "c", "d/a", "d/b", "d/e/f", "d/e/g", "x/y/z", "ü", "sp ace")


def changed(random: Random, base: Tree, mine: list[str], objects: GitObjects, owner: int) -> Tree:
    """The base with this pack's own paths added, edited, made executable or removed."""
    changes: dict[str, Leaf | Tree | None] = {}
    for path in mine:
        known = base.get(path)
        fresh = Leaf(MODE_FILE, objects.write_blob(f"{owner} {path} {random.random()}\n".encode()))
        kind = random.choice(["write", "write", "remove", "mode", "new"])
        if kind == "remove":
            changes[path] = None
        elif kind == "mode" and isinstance(known, Leaf):
            changes[path] = Leaf(MODE_EXECUTABLE, known.oid)
        elif kind == "new":
            changes[f"{path}.{owner}"] = fresh
        else:
            changes[path] = fresh
    return base.changed(changes)


def merged_by_git(world: World, objects: GitObjects, base: str, trees: list[str]) -> str:
    """`git merge-tree` of each in turn, as anybody would do it by hand."""
    variables = {"GIT_ALTERNATE_OBJECT_DIRECTORIES": str(objects.folder)}
    identity = {f"GIT_{who}_DATE": "@1 +0000" for who in ("AUTHOR", "COMMITTER")}

    def commit(tree: str, *parents: str) -> str:
        words = [word for parent in parents for word in ("-p", parent)]
        answer = git(
            world.root, "commit-tree", tree, *words, "-m", "x", variables=variables | identity
        )
        return answer.decode().strip()

    root = commit(base)
    so_far = root
    for tree in trees:
        answer = git(
            world.root,
            "merge-tree",
            "--write-tree",
            so_far,
            commit(tree, root),
            variables=variables,
        )
        so_far = commit(answer.decode().split("\n")[0], so_far, root)
    return git(world.root, "rev-parse", f"{so_far}^{{tree}}", variables=variables).decode().strip()


@pytest.mark.parametrize("hash_name", ["sha1", "sha256"])
def test_the_union_of_disjoint_packs_is_what_git_makes_of_them(
    tmp_path: Path, hash_name: str
) -> None:
    world = World(tmp_path, hash_name)
    world.commit({name: f"{name}\n" * 9 for name in NAMES})
    with world.objects() as objects:
        base = objects.tree_of(world.head())
        for seed in range(4):
            random = Random(seed)
            names = random.sample(NAMES, len(NAMES))
            parts = [names[:3], names[3:5], names[5:9]]
            trees = [
                changed(random, base, part, objects, owner) for owner, part in enumerate(parts)
            ]
            for tree in trees:
                objects.write_tree(tree)
            candidates = [
                Candidate(f"T-{number}", (), base, between(base, tree), between(base, tree))
                for number, tree in enumerate(trees)
            ]
            random.shuffle(candidates)
            merged = merge_candidates(base, candidates, OverlapPolicy.BLOCK, three_way_of(objects))
            assert merged.findings == ()
            assert merged.tree is not None
            assert merged.tree.oid == merged_by_git(
                world, objects, base.oid, [tree.oid for tree in trees]
            )


def test_a_three_way_merge_is_gits_and_its_conflicts_are_told(tmp_path: Path) -> None:
    world = World(tmp_path)
    text = "".join(f"{number}\n" for number in range(20))
    world.commit({"text": text, "other": "o\n"})
    with world.objects() as objects:
        base = objects.tree_of(world.head())

        def candidate(name: str, content: str) -> Candidate:
            tree = base.changed({"text": Leaf(MODE_FILE, objects.write_blob(content.encode()))})
            return Candidate(name, (), base, between(base, tree), between(base, tree))

        one, other = (
            candidate("T-1", text.replace("2\n", "two\n", 1)),
            candidate("T-2", text.replace("9\n", "nine\n", 1)),
        )
        merged = merge_candidates(base, [other, one], OverlapPolicy.MERGE, three_way_of(objects))
        assert merged.tree is not None
        (leaf,) = [leaf for path, leaf in merged.tree.leaves() if path == "text"]
        expected = text.replace("2\n", "two\n", 1).replace("9\n", "nine\n", 1)
        assert objects.read([leaf.oid])[leaf.oid] == expected.encode()
        clash = candidate("T-3", text.replace("2\n", "zwei\n", 1))
        merged = merge_candidates(base, [clash, one], OverlapPolicy.MERGE, three_way_of(objects))
        assert (merged.tree, [finding.id for finding in merged.findings]) == (
            None,
            ["MERGE_CONFLICT"],
        )
