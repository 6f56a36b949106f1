"""doit leaves no `__pycache__` where Git would add it, from the top and from a subfolder."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from tests.warm import BIN
from tests.world import World, run

DODO = "import own\nfrom factory.dodo import DOIT_CONFIG, task_factory\n"


def world_at(root: Path, rules: str | None) -> World:
    world = World(root)
    world.write("dodo.py", DODO)
    world.write("own.py", "")
    world.write("sub/file", "")
    if rules is not None:
        world.write(".gitignore", rules)
    world.commit()
    return world


def listed(world: World, folder: Path, *words: str) -> None:
    variables = dict.fromkeys(("PYTHONDONTWRITEBYTECODE", "PYTHONPYCACHEPREFIX"), "")
    argv = [sys.executable, str(BIN / "doit"), "list", *words]
    ended = run(argv, folder, **variables, PYTHONHASHSEED="0")
    assert (ended.rc, "launch" in ended.out, ended.err) == (0, True, ""), ended.text
    del world


def left(world: World) -> list[str]:
    return sorted(
        path.parent.name + os.sep + path.name.split(".")[0] for path in world.root.rglob("*.pyc")
    )


def test_none_is_left_where_git_would_add_it(tmp_path: Path) -> None:
    world = world_at(tmp_path / "r", None)
    listed(world, world.root)
    listed(world, world.root / "sub", "-f", "../dodo.py")
    assert left(world) == []
    assert world.git("status", "--porcelain", "--ignored", "--", "*__pycache__*") == ""


def test_what_is_ignored_is_cached_as_ever(tmp_path: Path) -> None:
    world = world_at(tmp_path / "r", "__pycache__/\n")
    listed(world, world.root / "sub", "-d", "..", "-f", "../dodo.py")
    assert left(world) == [f"__pycache__{os.sep}dodo", f"__pycache__{os.sep}own"]
