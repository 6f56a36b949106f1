"""What every sandbox promises to those who open stages in it, the fake of tests/fakes included.

Each clause runs over the fake and over real backends, so that a test which uses the fake proves
something about the product. What a command cannot do is no clause here: test_sandbox_hostile.
"""

from __future__ import annotations

import doctest
import os
import shutil
import signal
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeAlias

import pytest

from factory.git.derive import apply_layer
from factory.model.errors import InternalError
from factory.model.pack import Limits
from factory.model.tree import MODE_EXECUTABLE, MODE_FILE, MODE_LINK, Leaf, Tree, object_id
from factory.model.verdict import Status
from factory.plan.stages import PackSandbox, PackStage, PackView
from factory.sandbox import host_sandbox
from factory.sandbox.backends import IsolationMode
from factory.sandbox.properties import Property
from factory.sandbox.values import CommandSpec, Ended, StageLimits
from tests.fakes.stage import FakeSandbox, Play, playing
from tests.in_process import oneshot
from tests.sample import sample
from tests.sandbox_kit import MIB, SMALL, TEXTS, Folder, own, packed, sandbox
from tests.world import World

pytestmark = pytest.mark.linux

EDIT = (
    "echo new >new.txt; echo more >>a.txt; rm -r sub; mkdir sub; echo z >sub/z; chmod +x a.txt;"
    " ln -s a.txt link; rm tool.sh; mkdir tool.sh; echo z >tool.sh/z"
)
HOLES = "for n in 1 2 3; do truncate -s 7M hole$n; done"
SCRIPT: dict[str, Play] = {
    HOLES: Play(writes={f"hole{n}": bytes(7 * MIB) for n in (1, 2, 3)}),
    EDIT: Play(
        writes={
            "new.txt": "new\n",
            "a.txt": "hello\nmore\n",
            "sub": None,
            "sub/z": "z\n",
            "tool.sh": None,
            "tool.sh/z": "z\n",
        },
        links={"link": "a.txt"},
        executable=("a.txt",),
    ),
    "echo out; echo err >&2; exit 3": Play(b"out\nerr\n", 3),
    "kill -SEGV $$": Play(rc=128 + signal.SIGSEGV, ended=Ended.SIGNALLED),
    "echo begun; sleep 60": Play(b"begun\n", ended=Ended.TIMEOUT),
    "trap 'exit 0' TERM; sleep 60 & wait": Play(ended=Ended.TIMEOUT),
    "yes": Play(b"y\n" * 100_000),
    "echo one >one": Play(writes={"one": "one\n"}),
    "cat one": Play(b"one\n"),
    "rm -rf a.txt sub tool.sh": Play(writes={"a.txt": None, "sub": None, "tool.sh": None}),
    "ls": Play(b"a.txt\nsub\ntool.sh\n"),
    "echo $GREETING; pwd": Play(b"hello\n/workspace/sub\n"),
}
AFTER: dict[str, tuple[int, bytes]] = {
    "a.txt": (MODE_EXECUTABLE, b"hello\nmore\n"),
    "link": (MODE_LINK, b"a.txt"),
    "new.txt": (MODE_FILE, b"new\n"),
    "sub/z": (MODE_FILE, b"z\n"),
    "tool.sh/z": (MODE_FILE, b"z\n"),
}
Made: TypeAlias = Callable[[Path], Any]


@contextmanager
def fake(root: Path) -> Iterator[tuple[PackSandbox, Folder]]:
    views = Folder(root)
    made = packed(FakeSandbox(SCRIPT), views)
    try:
        yield made, views
    finally:
        made.close()


KINDS: Mapping[str, Made] = {
    "fake": fake,
    "overlay": lambda root: sandbox(root, IsolationMode.OVERLAY),
    "worktree": lambda root: sandbox(root, IsolationMode.WORKTREE),
}


@pytest.fixture(scope="module", params=sample(("fake", "overlay"), ("worktree",)))
def made(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[PackSandbox, Folder]]:
    with KINDS[request.param](tmp_path_factory.mktemp("contract")) as both:
        yield both


BASE = Tree({}).changed(
    {
        path: Leaf(
            MODE_EXECUTABLE if text.startswith("#!") else MODE_FILE,
            object_id("blob", text.encode(), "sha1"),
        )
        for path, text in TEXTS.items()
    }
)


@contextmanager
def opened(made: tuple[PackSandbox, Folder], limits: Limits = SMALL) -> Iterator[PackStage]:
    stage = made[0].open(PackView(BASE, BASE), limits, "stage")
    try:
        yield stage
    finally:
        stage.close()


def spec(
    line: str, timeout: float = 30, output: int = MIB, cwd: str = "", **env: str
) -> CommandSpec:
    return CommandSpec(line, cwd, tuple(env.items()), timeout, output)


def test_a_command_gives_its_exit_code_and_all_it_wrote_in_order(
    made: tuple[PackSandbox, Folder],
) -> None:
    chunks: list[bytes] = []
    with opened(made) as stage:
        seen = stage.run(spec("echo out; echo err >&2; exit 3"), chunks.append)
    assert (seen.ended, seen.rc, seen.log) == (Ended.EXITED, 3, b"out\nerr\n")
    assert (seen.output_bytes, b"".join(chunks), seen.disk_full) == (8, seen.log, False)
    assert seen.duration_ms >= 0


def test_folder_and_variables_of_a_command_reach_it(made: tuple[PackSandbox, Folder]) -> None:
    with opened(made) as stage:
        seen = stage.run(spec("echo $GREETING; pwd", cwd="sub", GREETING="hello"))
    assert seen.log == b"hello\n/workspace/sub\n"


def test_a_signal_is_told_apart_from_an_exit(made: tuple[PackSandbox, Folder]) -> None:
    with opened(made) as stage:
        seen = stage.run(spec("kill -SEGV $$"))
    assert (seen.ended, seen.rc) == (Ended.SIGNALLED, 128 + signal.SIGSEGV)


@pytest.mark.parametrize(
    ("line", "log"),
    [("echo begun; sleep 60", b"begun\n"), ("trap 'exit 0' TERM; sleep 60 & wait", b"")],
)
def test_a_time_limit_ends_a_command_and_is_never_a_success(
    made: tuple[PackSandbox, Folder], line: str, log: bytes
) -> None:
    with opened(made) as stage:
        seen = stage.run(spec(line, timeout=0.3))
    assert (seen.ended, seen.log) == (Ended.TIMEOUT, log)
    assert seen.rc != 0


def test_output_is_cut_at_its_bound_and_counted_beyond(made: tuple[PackSandbox, Folder]) -> None:
    chunks: list[bytes] = []
    with opened(made) as stage:
        seen = stage.run(spec("yes", output=1000), chunks.append)
    assert (seen.ended, len(seen.log)) == (Ended.OUTPUT, 1000)
    assert seen.rc != 0
    assert seen.output_bytes > 1000
    assert b"".join(chunks) == seen.log


def test_commands_of_a_stage_share_its_files_and_stages_share_nothing(
    made: tuple[PackSandbox, Folder],
) -> None:
    with opened(made) as stage:
        stage.run(spec("echo one >one"))
        assert stage.run(spec("cat one")).log == b"one\n"
    with opened(made) as stage:
        assert stage.collect(["one"]) == ()


def test_the_layer_over_the_view_is_the_tree_that_the_commands_left(
    made: tuple[PackSandbox, Folder],
) -> None:
    with opened(made) as stage:
        assert stage.run(spec(EDIT)).rc == 0
        layer = stage.freeze()
    assert layer.oddities == ()
    tree = apply_layer(BASE, layer, frozenset()).tree
    blobs = made[1].blobs
    assert {path: (leaf.mode, blobs[leaf.oid]) for path, leaf in tree.leaves()} == AFTER


def test_nothing_done_leaves_the_view_as_it_was(made: tuple[PackSandbox, Folder]) -> None:
    with opened(made) as stage:
        stage.run(spec("true"))
        assert apply_layer(BASE, stage.freeze(), frozenset()).tree == BASE


def test_matching_files_are_collected_in_order_and_links_are_not_followed(
    made: tuple[PackSandbox, Folder],
) -> None:
    with opened(made) as stage:
        stage.run(spec(EDIT))
        found = stage.collect(["**"])
        narrow = stage.collect(["sub/", "*.txt"])
    assert [each.path for each in found] == sorted(AFTER)
    by_path = {each.path: each for each in found}
    assert "symbolic link" in by_path["link"].problem
    assert {path: each.content for path, each in by_path.items() if not each.problem} == {
        path: content for path, (mode, content) in AFTER.items() if mode != MODE_LINK
    }
    assert [each.path for each in found if each.executable] == ["a.txt"]
    assert [each.path for each in narrow] == ["a.txt", "new.txt", "sub/z"]


def test_what_does_not_fit_the_quota_any_more_is_not_collected(
    made: tuple[PackSandbox, Folder],
) -> None:
    with opened(made) as stage:
        stage.run(spec(HOLES))
        found = stage.collect(["hole*"])
    assert [(each.path, len(each.content), bool(each.problem)) for each in found] == [
        ("hole1", 7 * MIB, False),
        ("hole2", 7 * MIB, False),
        ("hole3", 0, True),
    ]


def test_what_removes_everything_leaves_the_base_of_the_next_stage_whole(
    made: tuple[PackSandbox, Folder],
) -> None:
    with opened(made) as stage:
        stage.run(spec("rm -rf a.txt sub tool.sh"))
        tree = apply_layer(BASE, stage.freeze(), frozenset()).tree
    assert list(tree.leaves()) == []
    with opened(made) as stage:
        assert stage.run(spec("ls")).log == b"a.txt\nsub\ntool.sh\n"


@pytest.mark.parametrize("end", ["freeze", "collect"])
def test_no_command_runs_once_the_layer_was_read(
    made: tuple[PackSandbox, Folder], end: str
) -> None:
    with opened(made) as stage:
        stage.run(spec("true"))
        stage.freeze() if end == "freeze" else stage.collect(["*"])
        with pytest.raises(InternalError, match="frozen already"):
            stage.run(spec("true"))
        assert [each.path for each in stage.collect(["a.txt"])] == ["a.txt"]


def test_without_a_proxy_there_are_no_connections_and_closing_twice_is_once(
    made: tuple[PackSandbox, Folder],
) -> None:
    with opened(made) as stage:
        stage.run(spec("true"))
        assert stage.connections() == ()
        stage.close()


def test_each_property_is_stated_once_and_the_same_every_time(
    made: tuple[PackSandbox, Folder],
) -> None:
    enforcement = made[0].measure()
    assert sorted(proof.property.value for proof in enforcement.proofs) == sorted(
        each.value for each in Property
    )
    assert all(enforcement.why_not(each) for each in Property)
    assert enforcement.escaped == ()
    assert made[0].measure() == enforcement


# --- whole runs over the fake


@pytest.fixture
def world(tmp_path: Path) -> World:
    here = World(tmp_path)
    task = "scope: {allowed_paths: [docs/]}\nsteps: [{name: s, run: write it}]\n"
    here.pack("TASK-0001-a", task)
    here.commit()
    return here


@pytest.mark.parametrize(
    ("play", "status", "found"),
    [
        (Play(writes={"docs/a": "a\n"}), Status.PASS, []),
        (Play(writes={"src/a": "a\n"}), Status.BLOCKED, ["SCOPE_OUTSIDE_ALLOWED"]),
        (Play(b"no\n", 3), Status.BLOCKED, ["STEP_FAILED"]),
        (Play(ended=Ended.TIMEOUT), Status.BLOCKED, ["LIMIT_TIME"]),
    ],
)
def test_a_run_over_the_fake_comes_to_what_its_commands_came_to(
    world: World, play: Play, status: Status, found: list[str]
) -> None:
    assert oneshot(world, **playing({"write it": play}))[0] is status
    assert [row["id"] for row in world.status()["findings"] if row["severity"] == "error"] == found


def test_a_line_that_the_script_lacks_is_a_defect_of_the_test(world: World) -> None:
    assert oneshot(world, **playing({}))[0] is Status.FAIL


# --- the example of the sandbox's main module


class OneFolder:
    """A `PackView` over a folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    @property
    def files(self) -> tuple[tuple[str, str], ...]:
        return ()

    def folders(self) -> tuple[Path, ...]:
        return (self._folder,)

    def copy(self, destination: Path) -> None:
        shutil.copytree(self._folder, destination)
        own(destination)


def test_the_example_of_the_module_is_true(tmp_path: Path) -> None:
    (tmp_path / "base").mkdir()
    (tmp_path / "base" / "a.txt").write_text("hello\n")
    own(tmp_path / "base")
    names = {
        "view": OneFolder(tmp_path / "base"),
        "folder": tmp_path / "own",
        "os": os,
        "Property": Property,
        "CommandSpec": CommandSpec,
        "StageLimits": StageLimits,
    }
    found = doctest.testmod(host_sandbox, extraglobs=names)
    assert (found.attempted, found.failed) == (15, 0)
