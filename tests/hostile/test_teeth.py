"""Every program has teeth: where its protection is taken away, or a naive tool stands in its place,
it gets out.

Which are shown in this run, `extent` says.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.hostile import naive, weak
from tests.hostile.canaries import Canaries, laid
from tests.hostile.declared import LIBRARY, Program, program
from tests.hostile.extent import toothed
from tests.hostile.scene import BASE
from tests.sandbox_kit import own
from tests.world import World, environment

pytestmark = pytest.mark.linux


@dataclass
class Bench:
    """What all teeth of one worker share: bait, weakened stages, a repository to copy."""

    place: Path
    canaries: Canaries
    weak: weak.Weak
    template: Path
    tools: Path


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    place = tmp_path_factory.mktemp("teeth")
    with laid(place / "host") as canaries:
        world = World(place / "template")
        for path, text in {**BASE, "canaries.json": json.dumps(canaries.facts)}.items():
            world.write(path, text)
        world.write("hostile.py", LIBRARY.read_bytes())
        world.commit()
        profiles = weak.Weak(place / "weak")
        yield Bench(place, canaries, profiles, world.root, naive.tools_folder(place))
        profiles.close()


@pytest.mark.parametrize("name", toothed())
def test_it_escapes_where_its_protection_is_missing(
    name: str, bench: Bench, tmp_path: Path
) -> None:
    one = program(name)
    said = (
        _weakened(one, bench, tmp_path)
        if one.weaken in weak.PROFILES
        else _naive(one, bench, tmp_path)
    )
    assert "ESCAPED" in said, said[-3000:]


def _weakened(one: Program, bench: Bench, place: Path) -> str:
    workspace = naive.fresh(bench.template, place / "workspace")
    _lay(one, workspace)
    weak.lay_beside(workspace)
    own(workspace)
    return bench.weak.run(one.weaken, workspace, one.lines(), {})


def _naive(one: Program, bench: Bench, place: Path) -> str:
    workspace = naive.fresh(bench.template, place / "workspace")
    _lay(one, workspace)
    home, temporary = bench.canaries.place / "home", place / "tmp"
    temporary.mkdir()
    (temporary / "left by another").touch()
    path = f"{home}/.local/bin:{bench.tools}:/usr/bin:/bin"
    known = environment(
        **{**bench.canaries.environment, "PATH": path, "TMPDIR": str(temporary), "HOME": str(home)}
    )
    known |= {"PYTHONDONTWRITEBYTECODE": "1"}
    there = naive.Place(
        workspace, known, bench.canaries.place, bench.canaries.mark, bench.canaries.leaked
    )
    there.git("add", "-A")
    there.git("commit", "-qm", "the pack")
    try:
        return naive.TOOLS[one.weaken](there, one)
    finally:
        shutil.rmtree(home / ".local", ignore_errors=True)
        bench.canaries.restore()


def _lay(one: Program, workspace: Path) -> None:
    folder = workspace / one.folder
    folder.mkdir(parents=True)
    shutil.copy(one.file, folder)
    for name in ("task.yml", "acceptance.yml", "spec.md", "risk.md", "runbook.md"):
        (folder / name).write_text("as it is\n")
    other = workspace / "taskpacks" / "ANOTHER-1"
    other.mkdir(parents=True)
    (other / "acceptance.yml").write_text("as it is\n")
    assert os.path.exists(folder / one.file.name)
