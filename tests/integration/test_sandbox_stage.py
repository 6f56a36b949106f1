"""What a stage shows, leaves and says: overlay and worktree, layers, the probe, the interpreter."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import venv
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from factory.egress.reach import Reach
from factory.model.errors import Refusal
from factory.model.pack import Limits
from factory.model.tree import Tree, object_id
from factory.model.verdict import Status
from factory.plan.stages import PackSandbox
from factory.sandbox import confine, host, probe
from factory.sandbox.backend import Probed, SandboxSetting
from factory.sandbox.backends import IsolationMode
from factory.sandbox.host_sandbox import HostSandbox
from factory.sandbox.link import Launcher, StageUnavailable
from factory.sandbox.properties import Property
from factory.sandbox.python_env import ANYWHERE
from factory.sandbox.supervised import Supervised
from factory.sandbox.values import CommandSpec, Ended
from tests import measured_once
from tests.in_process import oneshot
from tests.sandbox_kit import (
    BUBBLEWRAPS,
    MIB,
    MODES,
    NOTHING,
    SMALL,
    Folder,
    folders,
    in_use,
    own,
    packed,
    run,
    sandbox,
    stage,
)
from tests.world import World

pytestmark = pytest.mark.linux

PACK = "scope: {{allowed_paths: [docs/]}}\nsteps: [{{name: s, run: 'mkdir -p docs; echo x >docs/{}'}}]\n"
CHANGE = (
    "echo new >new.txt; echo more >>a.txt; rm sub/x; chmod +x sub/deep/y; ln -s a.txt link; "
    "mkdir -p out/d; echo r >out/d/report; rm tool.sh; mkdir tool.sh; echo z >tool.sh/z"
)


@pytest.fixture(scope="module", params=MODES, ids=lambda mode: mode.value)
def made(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[PackSandbox]:
    with sandbox(tmp_path_factory.mktemp("sandbox"), request.param) as (built, _):
        yield built


def test_the_layer_tells_exactly_what_was_changed(tmp_path: Path) -> None:
    with sandbox(tmp_path) as (made, views), stage(made) as opened:
        assert run(opened, CHANGE).rc == 0
        layer = opened.freeze()
    assert {file.path for file in layer.files} == {
        *("a.txt", "link", "new.txt", "out/d/report", "sub/deep/y", "tool.sh/z")
    }
    assert layer.removed == ("sub/x",)
    assert "tool.sh" in layer.folders
    assert layer.oddities == ()
    assert views.blobs[object_id("blob", b"hello\nmore\n", "sha1")] == b"hello\nmore\n"


def test_collect_reads_the_merged_view_in_every_mode(made: PackSandbox) -> None:
    with stage(made) as opened:
        run(opened, CHANGE + "; mkfifo out/fifo; ln -s /etc/passwd out/passwd")
        found = {each.path: each for each in opened.collect(["**"])}
        narrow = [each.path for each in opened.collect(["sub/", "out/*"])]
    assert {path: each.content for path, each in found.items() if not each.problem} == {
        "a.txt": b"hello\nmore\n",
        "new.txt": b"new\n",
        "out/d/report": b"r\n",
        "sub/deep/y": b"y\n",
        "tool.sh/z": b"z\n",
    }
    assert {path for path, each in found.items() if each.problem} == {
        "link",
        "out/fifo",
        "out/passwd",
    }
    assert found["sub/deep/y"].executable
    assert not found["a.txt"].executable
    assert narrow == ["out/fifo", "out/passwd", "sub/deep/y"]


def test_files_that_are_all_hole_fill_no_memory(made: PackSandbox) -> None:
    with stage(made) as opened:
        run(opened, "mkdir out; for n in 1 2 3; do truncate -s 7M out/$n; done")
        found = opened.collect(["out/*"])
    assert [(each.path, len(each.content)) for each in found] == [
        ("out/1", 7 << 20),
        ("out/2", 7 << 20),
        ("out/3", 0),
    ]
    assert found[2].problem == f"has {7 << 20} bytes, more than the {2 << 20} that are left for all"


@pytest.mark.parametrize("backend", ["full", "bubblewrap", "landlock"])
def test_a_layer_that_says_that_it_is_larger_than_its_quota_is_not_read(
    tmp_path: Path, backend: str
) -> None:
    with sandbox(tmp_path, IsolationMode.AUTO, backend=backend) as (made, _), stage(made) as opened:
        run(opened, "mkdir z; for n in 1 2 3; do truncate -s 7M z/$n; done")
        layer = opened.freeze()
    assert [(oddity.path, oddity.finding) for oddity in layer.oddities] == [
        ("z/3", "TREE_TOO_LARGE")
    ]


def test_what_a_worktree_was_given_does_not_count_against_its_quota(tmp_path: Path) -> None:
    texts = {"large": "x" * (SMALL.disk + MIB), "a.txt": ""}
    with sandbox(tmp_path, IsolationMode.WORKTREE, texts=texts) as (made, _), stage(made) as opened:
        run(opened, "echo more >b.txt")
        layer = opened.freeze()
    assert layer.oddities == ()
    assert [file.path for file in layer.files] == ["a.txt", "b.txt", "large"]


def test_a_folder_that_was_emptied_and_made_again_hides_the_base(made: PackSandbox) -> None:
    with stage(made) as opened:
        run(opened, "rm -r sub; mkdir sub; echo only >sub/only")
        assert [each.path for each in opened.collect(["sub/**"])] == ["sub/only"]


def test_a_lower_layer_lies_between_base_and_upper(tmp_path: Path) -> None:
    with sandbox(tmp_path) as (made, views):
        lower = tmp_path / "lower"
        (lower / "sub").mkdir(parents=True)
        (lower / "a.txt").write_text("from the layer\n")
        os.mknod(lower / "sub" / "x", 0o020600, 0)
        own(lower)
        views.lower = lower
        with stage(made) as opened:
            assert (
                run(opened, "cat a.txt; ls sub; echo up >sub/up").log == b"from the layer\ndeep\n"
            )
            assert [each.path for each in opened.collect(["sub/*", "a.txt"])] == ["a.txt", "sub/up"]
            assert [file.path for file in opened.freeze().files] == ["sub/up"]


def test_a_pack_cannot_forge_the_overlays_marks(tmp_path: Path) -> None:
    script = (
        "import os\n"
        "for name in ('trusted.overlay.opaque', 'user.overlay.opaque', 'user.overlay.whiteout'):\n"
        "    try: os.setxattr('sub', name, b'y')\n"
        "    except OSError: pass\n"
    )
    with sandbox(tmp_path) as (made, _), stage(made) as opened:
        run(opened, f"cat >/tmp/s.py <<'E'\n{script}E\npython -I -S /tmp/s.py")
        layer = opened.freeze()
        found = [each.path for each in opened.collect(["sub/**"])]
    assert (layer.opaque, layer.removed) == ((), ())
    assert found == ["sub/deep/y", "sub/x"]


def test_the_base_is_never_written(tmp_path: Path) -> None:
    with sandbox(tmp_path) as (made, _), stage(made) as opened:
        run(opened, "rm -rf * .[a-z]*; echo x >a.txt")
    assert (tmp_path / "base" / "a.txt").read_text() == "hello\n"
    assert (tmp_path / "base" / "sub" / "deep" / "y").is_file()


def test_a_worktree_is_gone_after_its_stage(tmp_path: Path) -> None:
    with sandbox(tmp_path, IsolationMode.WORKTREE) as (made, _), stage(made) as opened:
        run(opened, "mkdir -p d/e; touch d/e/f; chmod 000 d/e d")
        assert (tmp_path / "state" / "worktrees" / "stage").is_dir()
    assert not (tmp_path / "state" / "worktrees" / "stage").exists()


@pytest.mark.parametrize("program", BUBBLEWRAPS)
@pytest.mark.parametrize("mode", MODES, ids=lambda mode: mode.value)
def test_the_probe_proves_every_property(tmp_path: Path, mode: IsolationMode, program: str) -> None:
    with sandbox(tmp_path, mode, program) as (made, _):
        enforcement = made.measure()
        assert made.measure() is enforcement
    assert enforcement.escaped == ()
    missing = {Property.DISK_BOUNDED} if mode is IsolationMode.WORKTREE else set()
    assert {
        proof.property: proof.how for proof in enforcement.proofs if not proof.given
    }.keys() == missing
    assert {proof.property for proof in enforcement.proofs} == set(Property)
    assert len(enforcement.facts["bwrap_sha256"]) == len(enforcement.facts["seccomp_sha256"]) == 64
    assert enforcement.facts["isolation"] == mode.value
    assert list((tmp_path / "state" / "cache").glob("probe-*")) == []


def test_a_binary_that_does_not_confine_gives_nothing(tmp_path: Path) -> None:
    fake = tmp_path / "bwrap"
    fake.write_text("#!/bin/sh\nexit 1\n")
    fake.chmod(0o755)
    with sandbox(tmp_path, bubblewrap=str(fake)) as (made, _):
        enforcement = made.measure()
        assert enforcement.given == frozenset()
        assert enforcement.why_not(Property.NET_ISOLATED)
        with pytest.raises(Refusal, match="expected a sandbox on this host") as caught:
            made.open(NOTHING, Limits(), "x")
        assert caught.value.findings[0].id == "PROPERTY_MISSING"
        with pytest.raises(Refusal):
            made.integrator_argv(tmp_path, ["true"])


def test_a_leaky_sandbox_is_seen_through(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from factory.sandbox import bubblewrap

    leaky = (
        "--unshare-user",
        "--unshare-pid",
        "--uid",
        "1000",
        "--gid",
        "1000",
        "--die-with-parent",
    )
    monkeypatch.setattr(bubblewrap, "isolation_words", lambda: iter(leaky))
    with sandbox(tmp_path) as (made, _):
        enforcement = made.measure()
    assert {"tcp", "udp", "abstract socket"} <= set(enforcement.escaped)
    assert Property.NET_ISOLATED not in enforcement.given


def test_a_sandbox_without_filter_is_seen_through(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from factory.sandbox import seccomp

    monkeypatch.setattr(seccomp, "program", lambda machine, alone=False: b"")
    with sandbox(tmp_path) as (made, _):
        enforcement = made.measure()
    assert Property.SYSCALLS_FILTERED not in enforcement.given
    assert "no filter" in enforcement.why_not(Property.SYSCALLS_FILTERED)


def test_no_bubblewrap_at_all_gives_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(host, "candidates", lambda chosen="": ())
    with sandbox(tmp_path) as (made, _):
        assert made.measure().given == frozenset()
        assert "no bubblewrap was found" in made.measure().why_not(Property.TIME_BOUNDED)


def test_only_a_user_who_accepted_everything_runs_unconfined(tmp_path: Path) -> None:
    views = Folder(tmp_path)
    setting = SandboxSetting(*folders(tmp_path), backend="none")
    refused = packed(HostSandbox(setting), views)
    assert refused.measure().given == frozenset()
    with pytest.raises(Refusal):
        refused.open(NOTHING, Limits(), "x")
    with pytest.raises(Refusal):
        refused.integrator_argv(tmp_path, ["true"])
    accepted = packed(HostSandbox(replace(setting, unconfined=True)), views)
    assert accepted.integrator_argv(tmp_path, ["true"]) == ["true"]
    with pytest.raises(Refusal, match="this host enforces no egress proxy"):
        accepted.open(NOTHING, Limits(), "x", Reach(("*",)))
    opened = accepted.open(NOTHING, Limits(), "x")
    seen = opened.run(CommandSpec("cat a.txt; echo n >n; sleep 100 & exit 3", "", (), 20, MIB))
    assert (seen.ended, seen.rc, seen.log) == (Ended.EXITED, 3, b"hello\n")
    assert opened.run(CommandSpec("sleep 100", "", (), 0.1, MIB)).ended is Ended.TIMEOUT
    assert opened.run(CommandSpec("yes", "sub", (), 20, 100)).ended is Ended.OUTPUT
    assert "n" in {file.path for file in opened.freeze().files}
    opened.close()
    assert not (tmp_path / "state" / "worktrees" / "x").exists()


def test_what_the_kernel_refuses_is_told_in_a_clause_and_the_next_stage_opens(
    tmp_path: Path,
) -> None:
    with sandbox(tmp_path) as (made, views):
        views.lower = tmp_path / "absent"
        with pytest.raises(Refusal, match="absent"):
            made.open(NOTHING, Limits(), "x")
        views.lower = None
        with stage(made) as opened:
            assert run(opened, "true").rc == 0


def test_an_absent_source_of_every_stage_is_told_too(tmp_path: Path) -> None:
    owner = {"as_root": os.geteuid() == 0, "uid": os.geteuid(), "gid": os.getegid(), "epoch": 0}
    launcher = Launcher(
        {
            "inside": "factory.sandbox.inside_full",
            **owner,
            "binds": {"/x": str(tmp_path / "absent")},
            "folders": [],
            "links": [],
        }
    )
    try:
        with pytest.raises(StageUnavailable, match="absent"):
            launcher.open_stage(
                {"lowers": [], "writable": "", "size": MIB, "inodes": 100, "processes": 9}
            )
    finally:
        launcher.close()


def test_a_killed_launcher_is_replaced(tmp_path: Path) -> None:
    with sandbox(tmp_path) as (made, _):
        made.measure()
        launcher = in_use(made).launcher
        assert launcher._process is not None
        launcher._process.kill()
        launcher._process.wait()
        with pytest.raises(Refusal, match="launcher ended"):
            made.open(NOTHING, Limits(), "x")
        with stage(made) as opened:
            assert run(opened, "echo back").log == b"back\n"


# --- the interpreter inside


def test_python_and_its_scripts_are_the_orchestrators_at_constant_paths(made: PackSandbox) -> None:
    with stage(made) as opened:
        seen = run(
            opened,
            "python -c 'import sys, pytest; print(sys.executable, sys.version.split()[0])'; pytest"
            " --version",
        )
        assert seen.log.decode().split("\n")[0] == "/opt/venv/bin/python {}.{}.{}".format(
            *sys.version_info[:3]
        )
        assert seen.log.decode().split("\n")[1].startswith("pytest ")
        assert (
            str(Path(sys.prefix)).encode()
            not in run(opened, "python -c 'import sys; print(sys.path)'; env").log
        )


def test_another_interpreter_may_be_named(tmp_path: Path) -> None:
    venv.create(tmp_path / "own env", symlinks=True, with_pip=False)
    script = tmp_path / "own env" / "bin" / "greet"
    script.write_text(
        f"#!{tmp_path}/own env/bin/python\nimport sys; print('hi from', sys.prefix)\n"
    )
    script.chmod(0o755)
    python = str(tmp_path / "own env" / "bin" / "python")
    with (
        sandbox(tmp_path / "none", python=python) as (strict, _),
        pytest.raises(Refusal, match="which nobody allowed packs to see"),
    ):
        strict.measure()
    with (
        sandbox(tmp_path / "s", python=python, shown=ANYWHERE) as (made, _),
        stage(made) as opened,
    ):
        assert run(opened, "greet").log == b"hi from /opt/venv\n"
        assert run(opened, "python -c 'import pytest'").rc != 0


def test_an_interpreter_that_does_not_exist_is_named(tmp_path: Path) -> None:
    with (
        sandbox(tmp_path, python="/nowhere/python") as (made, _),
        pytest.raises(Refusal, match="/nowhere/python"),
    ):
        made.measure()


# --- the integrator


@pytest.mark.parametrize("program", BUBBLEWRAPS)
def test_the_integrator_writes_only_under_its_run_folder(tmp_path: Path, program: str) -> None:
    own_folder, foreign = tmp_path / "run", tmp_path / "foreign"
    own_folder.mkdir()
    foreign.write_text("kept")
    before = foreign.stat()
    tries = ("echo x >{0}", "chmod 777 {0}", "touch {0}", "rm -f {0}", "echo x >{0}.new")
    line = "; ".join(("echo x >done", *tries)).format(foreign)
    argv = confine.confined_argv(own_folder, ["/bin/sh", "-c", line], Path(program))
    assert subprocess.run(argv, capture_output=True, check=False).returncode != 0
    after = foreign.stat()
    assert (before.st_mode, before.st_mtime_ns, before.st_ino) == (
        after.st_mode,
        after.st_mtime_ns,
        after.st_ino,
    )
    assert sorted(path.name for path in tmp_path.iterdir()) == ["foreign", "run"]
    assert (own_folder / "done").read_text() == "x\n"


def test_trees_are_only_names_here() -> None:
    assert NOTHING.base == Tree({})


# --- measured once for a process tree


def test_a_forked_child_has_the_measurement_and_stages_of_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with sandbox(tmp_path) as (made, _), stage(made) as mine:
        run(mine, "echo mine >mine")
        before = made.measure()
        monkeypatch.setattr(probe, "probe", None)  # whoever measures again fails
        child = os.fork()
        if child == 0:
            try:
                theirs = made.open(NOTHING, SMALL, "theirs")
                seen = run(theirs, "ls; echo theirs >theirs").log
                same = made.measure() is before
                made.close()
                os._exit(0 if same and b"mine" not in seen and b"a.txt" in seen else 1)
            finally:
                os._exit(2)
        assert os.waitpid(child, 0)[1] == 0
        assert run(mine, "ls").log == b"a.txt\nmine\nsub\ntool.sh\n"


def test_a_run_measures_once_whatever_asks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    world = World(tmp_path)
    for name in ("a", "b"):
        world.pack(f"TASK-000{'ab'.index(name) + 1}-{name}", PACK.format(name))
    world.commit()
    count: list[object] = []
    real = probe.probe

    def counted(launcher: Launcher, used: Supervised, parent: Path) -> Probed:
        count.append(used)
        return real(launcher, used, parent)

    monkeypatch.setattr(probe, "probe", counted)
    monkeypatch.setattr(measured_once, "installed", contextlib.nullcontext)
    assert oneshot(world)[0] is Status.PASS
    assert len(count) == 1  # preflight, two packs, the integrator and the check of the merged tree
