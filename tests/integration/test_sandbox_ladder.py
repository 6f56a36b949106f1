"""The backends below the full one: what each holds, what it lacks, and that nothing claims more
than it gives.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from factory.files.fs_guard import remove_tree
from factory.model.errors import InternalError
from factory.model.pack import Limits
from factory.plan.stages import PackSandbox, PackStage
from factory.sandbox import give_up, host, landlock, own_user, watch
from factory.sandbox.backend import Offer, SandboxSetting
from factory.sandbox.backend_landlock import LandlockBackend
from factory.sandbox.backends import IsolationMode
from factory.sandbox.link import StageUnavailable
from factory.sandbox.properties import Property
from factory.sandbox.values import CommandSpec, Ended
from tests.integration.test_sandbox_hostile import processes_that_say, python
from tests.sandbox_kit import MIB, NOTHING, SMALL, folders, in_use, run, sandbox, stage, supervised

pytestmark = pytest.mark.linux

LOWER = ("bubblewrap", "landlock")
AUTO = IsolationMode.AUTO
ALWAYS_LACKING = {
    "bubblewrap": {Property.DISK_BOUNDED},
    "landlock": {Property.DISK_BOUNDED, Property.FS_READ_SCOPED},
}
FOR_ITS_OWN_USER = {Property.FS_WRITE_SCOPED, Property.PIDS_BOUNDED}


@pytest.fixture(scope="module", params=LOWER)
def made(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[PackSandbox]:
    with sandbox(tmp_path_factory.mktemp("ladder"), AUTO, backend=request.param) as (built, _):
        yield built


@pytest.fixture
def opened(made: PackSandbox) -> Iterator[PackStage]:
    with stage(made) as each:
        yield each


def lacking(backend: str) -> set[Property]:
    as_user = backend == "landlock" and not host.acts_as_root()
    return ALWAYS_LACKING[backend] | (FOR_ITS_OWN_USER if as_user else set())


def test_it_gives_what_it_promises_and_says_why_it_lacks_the_rest(made: PackSandbox) -> None:
    enforcement = made.measure()
    backend = enforcement.backend
    assert enforcement.escaped == ()
    assert set(Property) - enforcement.given == lacking(backend)
    assert all(enforcement.why_not(each) for each in Property)
    assert enforcement.facts["isolation"] == "worktree"
    assert len(enforcement.facts["seccomp_sha256"]) == 64
    assert int(enforcement.facts["landlock_abi"]) == landlock.abi()
    assert ("bwrap_sha256" in enforcement.facts) is (backend == "bubblewrap")


def test_a_command_sees_its_tree_and_what_it_leaves_is_found(opened: PackStage) -> None:
    seen = run(
        opened,
        "cat a.txt; ./tool.sh; pwd; echo $HOME; echo new >new.txt; rm sub/x; echo e >/dev/stderr;"
        " exit 7",
    )
    assert (seen.ended, seen.rc, seen.log) == (
        Ended.EXITED,
        7,
        b"hello\ntool\n/workspace\n/home/pack\ne\n",
    )
    assert {"new.txt", "a.txt"} <= {file.path for file in opened.freeze().files}
    assert "sub/x" not in {file.path for file in opened.freeze().files}


def test_commands_share_the_workspace_and_nothing_else(opened: PackStage) -> None:
    assert (
        run(
            opened, "echo kept >kept; echo lost >$TMPDIR/lost; echo lost >~/lost; ls -d $TMPDIR"
        ).log
        == b"/tmp\n"
    )
    assert run(opened, "cat kept $TMPDIR/* ~/* 2>/dev/null").log == b"kept\n"


def test_the_orchestrators_python_and_its_tools_run(opened: PackStage) -> None:
    version = "{}.{}.{}".format(*sys.version_info[:3]).encode()
    assert version in run(opened, "python -V").log
    assert run(opened, "pytest --version").log.startswith(b"pytest ")


def test_the_environment_and_descriptors_of_the_host_stay_there(
    opened: PackStage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "canary")
    script = (
        "import os; print([n for n in range(3, 500) if not os.system(f'true <&{n} 2>/dev/null')])"
    )
    assert run(opened, "env; cat /proc/*/environ 2>/dev/null; " + python(script)).log.endswith(
        b"[]\n"
    )
    assert b"canary" not in run(opened, "env; cat /proc/*/environ 2>/dev/null").log


def test_no_terminal_is_reachable(opened: PackStage) -> None:
    assert run(opened, "tty; : </dev/tty").log.splitlines()[0] == b"not a tty"
    assert run(opened, ": </dev/tty").rc != 0


def test_no_socket_leads_to_the_host(opened: PackStage, tmp_path: Path) -> None:
    with (
        socket.create_server(("127.0.0.1", 0)) as listener,
        socket.socket(socket.AF_UNIX) as by_path,
    ):
        port = listener.getsockname()[1]
        folder = os.open(tmp_path, os.O_RDONLY)
        by_path.bind(f"/proc/self/fd/{folder}/socket")
        os.close(folder)
        by_path.listen()
        tries = (
            f"socket.create_connection(('127.0.0.1', {port}), 2)",
            f"socket.socket(socket.AF_UNIX).connect('{tmp_path}/socket')",
            f"socket.socket(2, 2).sendto(b'x', ('127.0.0.1', {port}))[99]",
            "socket.socket(16, 3, 0).bind((0, 0))[99]",
        )
        for attempt in tries:
            assert run(opened, python(f"import socket; {attempt}")).rc != 0


def test_files_of_the_host_are_neither_read_nor_written(opened: PackStage) -> None:
    with tempfile.TemporaryDirectory(prefix="open-", dir="/tmp") as folder:
        os.chmod(folder, 0o777)  # what only the sandbox keeps a pack from
        canary = Path(folder, "canary")
        canary.write_text("secret")
        canary.chmod(0o666)
        line = (
            f"cat {canary} /etc/shadow; echo x >{canary}; ln {canary} own; mv {canary} own; ls"
            f" {folder} /root"
        )
        said = run(opened, line).log
        assert b"secret" not in said
        assert b"canary\n" not in said
        assert canary.read_text() == "secret"
    assert run(opened, "touch /usr/x || touch /etc/x || touch /dev/x || touch /x").rc != 0


@pytest.mark.parametrize(
    "line",
    [
        *(
            "unshare -U true",
            "mount -t tmpfs none /tmp",
            "mknod n c 1 3",
            "chroot / true",
            "nsenter -t 1 -m true",
        ),
        *(
            "echo x >/proc/sys/kernel/core_pattern",
            "su -c id root </dev/null",
            "chown 0 a.txt",
            "kill -0 1",
        ),
    ],
)
def test_what_would_change_the_host_is_refused(opened: PackStage, line: str) -> None:
    if line == "kill -0 1" and supervised(opened)._ask("", "", ())["arguments"][0].startswith("--"):
        line = "kill -9 1; sleep 0.1; false"  # its own namespace's: it takes no signal from inside
    assert run(opened, line).rc != 0


def test_a_daemon_is_dead_when_its_command_has_ended(opened: PackStage) -> None:
    mark = f"daemon-{os.getpid()}-{time.monotonic_ns()}"
    seen = run(
        opened,
        f"setsid sh -c 'trap \"\" TERM HUP; while :; do sleep 1; done' {mark} & sleep 0.1; echo"
        " left",
    )
    assert (seen.ended, seen.log) == (Ended.EXITED, b"left\n")
    assert processes_that_say(mark) == []


def test_what_forks_without_end_ends_with_its_command(opened: PackStage) -> None:
    """Two chains in which each process starts its successor and dies, so that none is there for
    long.
    """
    mark = f"chain-{os.getpid()}-{time.monotonic_ns()}"
    chain = (
        "import os\nfor _ in range(2):\n    if os.fork() == 0:\n        while True: os.fork() and"
        " os._exit(0)\n"
    )
    seen = run(opened, f"cat >c.py <<'E'\n{chain}E\nexec python -I -S c.py {mark}", timeout=10)
    assert (seen.ended, seen.rc) == (Ended.EXITED, 0)
    assert processes_that_say(mark) == []


def test_bounds_on_time_memory_and_output_hold(made: PackSandbox) -> None:
    with stage(made, Limits(timeout=30, memory=64 * MIB, processes=32, disk=16 * MIB)) as opened:
        hog = run(opened, python("b = bytearray(400 << 20); import time; time.sleep(20)"))
        assert (hog.ended, hog.rc != 0) == (Ended.MEMORY, True)
        assert (
            run(opened, "trap '' TERM; while :; do sleep 0.1; done", timeout=0.2).ended
            is Ended.TIMEOUT
        )
        asked = run(opened, "trap 'echo asked; exit 0' TERM; sleep 1000 & wait", timeout=0.3)
        assert (asked.ended, asked.log) == (Ended.TIMEOUT, b"asked\n")
        assert opened.run(CommandSpec("yes", "", (), 20, 10_000)).ended is Ended.OUTPUT
        assert run(opened, "head -c 32m /dev/zero >big").rc in {1, 128 + signal.SIGXFSZ}
        assert run(opened, "kill -SEGV $$").rc == 128 + signal.SIGSEGV


def test_a_fork_bomb_meets_its_bound(made: PackSandbox) -> None:
    with stage(made, Limits(timeout=30, processes=20, disk=16 * MIB)) as opened:
        run(opened, "b() { b | b & }; b; sleep 0.5", timeout=10)
        assert run(opened, "echo next").log == b"next\n"


def test_paths_of_the_host_are_told_as_constant_ones_wherever_output_is_cut(
    opened: PackStage,
) -> None:
    chunks: list[bytes] = []
    cut = 'p=$(pwd -P); a=${p%??????}; for n in 1 2 3; do printf %s "$a"; sleep 0.05; '
    line = cut + """printf '%s\\n' "${p#"$a"}"; done"""
    seen = opened.run(CommandSpec(line, "", (), 20, MIB), chunks.append)
    assert seen.log == b"/workspace\n" * 3 == b"".join(chunks)


def test_nothing_stays_behind(made: PackSandbox, tmp_path: Path) -> None:
    before = Path("/proc/self/mounts").read_bytes()
    with stage(made) as opened:
        run(opened, "mkdir -p $TMPDIR/d; chmod 0 $TMPDIR/d; echo x >x")
        assert (in_use(made).work / "stage" / "x").read_text() == "x\n"
    assert list(in_use(made).work.iterdir()) == []
    assert Path("/proc/self/mounts").read_bytes() == before


# --- stages among each other


def test_a_stage_reaches_neither_the_processes_nor_the_files_of_another(made: PackSandbox) -> None:
    mark = f"other-{os.getpid()}-{time.monotonic_ns()}"
    other = made.open(NOTHING, SMALL, "other")
    theirs = in_use(made).work / "other"
    waiting = f"sh -c 'while [ ! -e stop ]; do sleep 0.05; done' {mark}; echo whole"
    with stage(made) as mine, ThreadPoolExecutor(1) as pool:
        ended = pool.submit(run, other, waiting)
        try:
            while not processes_that_say(mark):
                assert not ended.done(), ended.result().log
                time.sleep(0.02)
            pids = set(map(int, processes_that_say(mark)))
            pids |= {watch.parent_of(pid) for pid in pids}
            tries = "".join(
                f"kill -9 {pid} && echo killed; cat /proc/{pid}/environ && echo read; readlink"
                f" /proc/{pid}/cwd;ls /proc/{pid}/fd && echo seen;"
                for pid in pids
            )
            attributes = (
                f"chmod 777 {theirs}/a.txt && echo changed; touch -d @1 {theirs}/a.txt && echo"
                " dated;"
            )
            if Property.FS_WRITE_SCOPED in made.measure().given:
                tries += attributes
            said = run(
                mine,
                f"exec 2>/dev/null; {tries} cat {theirs}/a.txt; echo x >{theirs}/a.txt; echo end",
            ).log
            assert said == b"end\n"
        finally:
            (theirs / "stop").touch()
        assert (ended.result().ended, ended.result().log) == (Ended.EXITED, b"whole\n")
    other.close()


def test_with_landlock_alone_each_stage_of_root_has_a_user_of_its_own(
    made: PackSandbox, opened: PackStage
) -> None:
    other = made.open(NOTHING, SMALL, "other")
    users = {run(each, "id -u; id -g").log for each in (opened, other)}
    other.close()
    parted = made.measure().backend == "landlock" and host.acts_as_root()
    assert len(users) == (2 if parted else 1)
    shared = str(host.sandbox_owner()[0]).encode()
    assert not (parted and any(shared in each for each in users))


def test_a_user_is_free_when_nobody_holds_it_and_no_process_runs_as_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    first, second = own_user.take(), own_user.take()
    assert first.uid != second.uid
    still = os.dup(first.lock.fileno())
    first.close()
    assert (
        own_user._lock(first.uid) is None
    )  # as where the orchestrator has died and the supervisor has not
    os.close(still)
    second.close()
    monkeypatch.setattr(own_user, "FIRST", os.getuid())
    monkeypatch.setattr(own_user, "COUNT", 1)
    with pytest.raises(StageUnavailable, match="is free for a stage"):
        own_user.take()


def test_a_number_that_went_to_another_process_is_not_below() -> None:
    with subprocess.Popen(["sleep", "60"]) as child:
        assert watch.is_below(os.getpid(), child.pid)
        child.kill()
    assert not watch.is_below(os.getpid(), child.pid)
    assert not watch.is_below(os.getpid(), os.getppid())


def test_a_supervisor_that_cannot_go_on_says_why(made: PackSandbox, opened: PackStage) -> None:
    if made.measure().backend == "landlock":
        remove_tree(in_use(made).work / ".scratch-stage")
        with pytest.raises(InternalError, match=r"could not go on with a command: .*No such file"):
            run(opened, "true")
    else:
        assert not (in_use(made).work / ".scratch-stage").exists()


# --- which one is used


def test_the_best_that_works_is_used_and_a_chosen_one_is_never_replaced(tmp_path: Path) -> None:
    with sandbox(tmp_path / "a", AUTO, backend="auto") as (made, _):
        assert made.measure().backend == "full"
    with sandbox(tmp_path / "b", AUTO, "/bin/false", backend="bubblewrap") as (made, _):
        assert (made.measure().backend, made.measure().given) == ("none", frozenset())
    with sandbox(tmp_path / "c", AUTO, "/bin/false", backend="auto") as (made, _):
        assert made.measure().backend == "landlock"
    with sandbox(tmp_path / "d", IsolationMode.OVERLAY, "/bin/false", backend="auto") as (
        made,
        _,
    ):
        assert made.measure().backend == "none"
    with sandbox(tmp_path / "e", AUTO, backend="none") as (made, _):
        assert (
            made.measure().why_not(Property.NET_ISOLATED)
            == "the user's configuration chose the backend none"
        )


def test_a_script_that_packs_could_write_is_not_used_alone(tmp_path: Path) -> None:
    own = tmp_path / "bwrap"
    own.write_bytes(b"#!/bin/sh\n")
    own.chmod(0o755)
    os.chown(own, *host.sandbox_owner())
    with sandbox(tmp_path, AUTO, str(own), backend="bubblewrap") as (made, _):
        enforcement = made.measure()
        # A shell is not given the copy: it opens its script by a name that is gone by then.
        assert enforcement.given == frozenset()
        assert enforcement.why_not(Property.NET_ISOLATED)


@pytest.mark.parametrize(
    ("version", "lost"),
    [
        (7, set()),
        (
            5,
            {
                Property.NO_SURVIVORS,
                Property.MEMORY_BOUNDED,
                Property.TIME_BOUNDED,
                Property.OUTPUT_BOUNDED,
            },
        ),
        (2, {Property.FS_WRITE_SCOPED}),
    ],
)
def test_an_older_kernel_promises_less(tmp_path: Path, version: int, lost: set[Property]) -> None:
    lacks = LandlockBackend(Offer(SandboxSetting(*folders(tmp_path))), version).lacks()
    assert lost <= {each for each, why in lacks.items() if why}


def test_a_promise_that_is_broken_is_an_escape(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from factory.sandbox import seccomp

    plain = seccomp.program
    monkeypatch.setattr(seccomp, "program", lambda machine, alone=False: plain(machine))
    monkeypatch.setattr(landlock, "abi", lambda: 3)
    with sandbox(tmp_path, AUTO, backend="landlock") as (made, _):
        enforcement = made.measure()
    assert enforcement.backend == "landlock", enforcement.why_not(Property.NET_ISOLATED)
    assert {"tcp", "udp", "abstract socket"} <= set(enforcement.escaped)
    assert not enforcement.given & {Property.NET_ISOLATED, Property.AUTHORITY_SOCKETS_HIDDEN}


def test_the_integrators_inner_wall_holds_alone(tmp_path: Path) -> None:
    run_folder, foreign = tmp_path / "run", tmp_path / "foreign"
    run_folder.mkdir()
    foreign.write_text("kept")
    line = (
        f"echo x >done; echo x >{foreign}; chmod 777 {foreign}; touch {foreign}; rm {foreign};"
        f" mkdir {foreign}.d"
    )
    words = ["/bin/sh", "-c", line]
    pid = os.posix_spawn(
        sys.executable,
        [sys.executable, "-I", "-S", give_up.__file__, str(run_folder), give_up.ALONE, *words],
        {"PATH": os.defpath},
    )
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) != 0
    assert (foreign.read_text(), foreign.stat().st_mode & 0o777) == ("kept", 0o644)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["foreign", "run"]
    assert (run_folder / "done").read_text() == "x\n"
