"""`factory apply`: the result of a PASS on a clean work tree and index, or nothing at all."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from factory.engine import apply
from factory.engine.apply import apply_result
from tests.in_process import close, site
from tests.world import World

pytestmark = pytest.mark.linux

STEPS = """
set -e
printf 'new\\n' > docs/a.md
rm docs/gone.md
chmod +x docs/tool.sh
printf '\\0\\377binary' > docs/data.bin
ln -s a.md docs/link
rm docs/file && mkdir docs/file && echo in > docs/file/inside.md
rm -r docs/folder && echo now > docs/folder
mkdir docs/deep && echo x > docs/deep/x.md
rm docs/was-link && echo plain > docs/was-link
"""


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> World:
    world = World(tmp_path_factory.mktemp("apply") / "r")
    for name in ("a.md", "gone.md", "tool.sh", "file", "folder/one.md", "folder/two.md"):
        world.write(f"docs/{name}", f"{name}\n")
    os.symlink("a.md", world.root / "docs/was-link")
    world.write(".gitattributes", "docs/*.md filter=evil\n")
    world.write("step.sh", STEPS)
    world.pack(
        "TASK-0101-x", "scope: {allowed_paths: [docs/]}\nsteps: ['sh step.sh']\nlimits: {}\n"
    )
    world.commit()
    ended = world.factory("oneshot", PYTHONHASHSEED="0")
    assert ended.rc == 0, ended.text
    canary = f"touch {world.root.parent}/canary; cat"
    world.git("config", "filter.evil.clean", canary)
    world.git("config", "filter.evil.smudge", canary)
    hook = world.root / ".git/hooks/post-index-change"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text(f"#!/bin/sh\ntouch {world.root.parent}/canary\n")
    hook.chmod(0o755)
    return world


@pytest.fixture
def world(made: World) -> Iterator[World]:
    yield made
    made.git("-c", "core.hooksPath=/dev/null", "reset", "-q", "--hard")
    made.git("clean", "-fdxq", "-e", ".factory")
    canary(made).unlink(missing_ok=True)


def canary(world: World) -> Path:
    return world.root.parent / "canary"


def merged(world: World) -> str:
    return str(world.status()["merged_tree"])


def is_applied(world: World) -> None:
    """The index has the result's tree, and the work tree has its files."""
    assert not canary(world).exists()
    assert world.git("write-tree").strip() == merged(world)
    docs = world.root / "docs"
    assert (docs / "a.md").read_bytes() == b"new\n"
    assert not (docs / "gone.md").exists()
    assert (docs / "tool.sh").stat().st_mode & stat.S_IXUSR
    assert (docs / "data.bin").read_bytes() == b"\0\377binary"
    assert (docs / "link").readlink() == Path("a.md")
    assert (docs / "file/inside.md").read_bytes() == b"in\n"
    assert (docs / "folder").read_bytes() == b"now\n"
    assert not (docs / "was-link").is_symlink()
    assert world.git("diff", "--name-only") == ""
    assert world.git("status", "--porcelain", "--untracked-files=all").count("??") == 0


def test_a_pass_is_applied_once_and_runs_no_program_of_the_repository(world: World) -> None:
    head = world.git("rev-parse", "HEAD")
    ended = world.factory("apply", cwd=world.root / "docs")
    assert ended.rc == 0, ended.text
    assert "applied 12 files of " in ended.out
    is_applied(world)
    canary(world).unlink(missing_ok=True)
    again = world.factory("apply")
    assert (again.rc, "have the result of" in again.out) == (0, True), again.text
    is_applied(world)
    assert world.git("rev-parse", "HEAD") == head


@pytest.mark.parametrize(
    ("path", "says"),
    [
        ("README.md", "expected a clean work tree, found changes in README.md"),
        ("docs/a.md", "expected docs/a.md as the base or the result has it"),
        ("docs/folder/more.ignored", "expected docs/folder as the base or the result has it"),
        ("docs/stranger.md", "expected a clean work tree, found changes in docs/stranger.md"),
    ],
)
def test_other_work_stays(world: World, path: str, says: str) -> None:
    world.write(path, "mine\n")
    before = world.git("write-tree")
    ended = world.factory("apply")
    assert ended.rc == 2
    assert f"APPLY_REFUSED  {says}" in ended.err
    assert (world.root / path).read_bytes() == b"mine\n"
    assert (world.root / "docs/gone.md").exists()
    assert world.git("write-tree") == before


def test_what_is_staged_and_is_of_neither_stays(world: World) -> None:
    world.write("docs/a.md", "staged\n")
    world.git("add", "docs/a.md")
    world.write("docs/a.md", "new\n")
    assert world.factory("apply").rc == 2
    assert world.git("show", ":docs/a.md") == "staged\n"


@pytest.mark.parametrize("cut", [0, 1, 4, 7, -1])
def test_cut_off_and_run_again_it_ends_in_the_same_state(
    world: World, cut: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, put, count = apply._WorkTree, apply._WorkTree._put, []

    def cut_off(*words: object) -> None:
        count.append(1)
        if len(count) > cut >= 0:
            (Path(words[-1])).write_bytes(b"half")  # type: ignore[arg-type]
            raise KeyboardInterrupt
        put(*words)  # type: ignore[arg-type]

    def no_index(_self: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(real, "_put", cut_off)
        patched.setattr(real, "write_index", no_index)
        built = site(world)
        with pytest.raises(KeyboardInterrupt):
            apply_result(built, built.refs, world.ordered()[-1])
        close(built)
    assert (world.root / "docs/gone.md").exists() is False
    assert world.factory("apply").rc == 0
    is_applied(world)


def test_another_base_and_a_run_that_is_no_pass_are_refused(world: World) -> None:
    base = world.git("rev-parse", "HEAD").strip()
    world.git("commit", "-q", "--allow-empty", "-m", "later")
    ended = world.factory("apply")
    assert ended.rc == 2
    assert f"APPLY_REFUSED  expected HEAD at {base[:12]}" in ended.err
    world.pack("TASK-0102-y", "", 'checks: [{name: no, run: "false"}]\n')
    world.commit()
    assert world.factory("oneshot").rc == 2
    ended = world.factory("apply")
    assert ended.rc == 2
    assert "expected a PASS, whose result can be taken" in ended.err
