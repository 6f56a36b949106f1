"""Hostile commands in the real sandbox. Runs as whoever runs the suite; see test_sandbox_as_user
for the other.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from factory.model.errors import InternalError
from factory.model.pack import Limits
from factory.plan.stages import PackSandbox, PackStage
from factory.sandbox.backends import IsolationMode
from factory.sandbox.values import CommandSpec, Ended
from tests.sandbox_kit import BUBBLEWRAPS, MIB, run, sandbox, stage, supervised

pytestmark = pytest.mark.linux


@pytest.fixture(scope="module", params=BUBBLEWRAPS)
def made(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[PackSandbox]:
    with sandbox(tmp_path_factory.mktemp("sandbox"), IsolationMode.OVERLAY, request.param) as (
        built,
        _,
    ):
        yield built


@pytest.fixture
def opened(made: PackSandbox) -> Iterator[PackStage]:
    with stage(made) as each:
        yield each


def python(line: str) -> str:
    return f'python -I -S -c "{line}"'


def processes_that_say(mark: str) -> list[str]:
    found = []
    for name in os.listdir("/proc"):
        try:
            words = Path(f"/proc/{name}/cmdline").read_bytes()
        except OSError:
            continue
        if mark.encode() in words:
            found.append(name)
    return found


def test_a_plain_command_sees_the_tree_and_its_exit_code_comes_back(opened: PackStage) -> None:
    seen = run(opened, "cat a.txt; ./tool.sh; exit 7")
    assert (seen.ended, seen.rc, seen.log) == (Ended.EXITED, 7, b"hello\ntool\n")


def test_the_world_inside_is_constant(opened: PackStage) -> None:
    seen = run(opened, "id -u; id -g; id -un; hostname; pwd; umask; echo $HOME $TZ $LANG; date +%Z")
    assert seen.log.decode().split("\n") == [
        *(
            "1000",
            "1000",
            "pack",
            "factory",
            "/workspace",
            "0022",
            "/home/pack UTC C.UTF-8",
            "UTC",
            "",
        )
    ]


def test_the_environment_of_the_host_is_not_inherited(
    opened: PackStage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "canary")
    assert b"canary" not in run(opened, "env; cat /proc/*/environ").log


def test_no_descriptor_is_inherited(opened: PackStage) -> None:
    seen = run(opened, python("import os; print(sorted(os.listdir('/proc/self/fd')))"))
    assert seen.log == b"['0', '1', '2', '3']\n"  # the last one lists the folder


def test_no_signal_is_ignored_from_the_start(opened: PackStage) -> None:
    masks = run(opened, "grep -E 'SigIgn|SigBlk' /proc/self/status | cut -f2").log.split()
    assert [int(mask, 16) & 0x7FFFFFFF for mask in masks] == [
        0,
        0,
    ]  # beyond are the C library's own
    assert run(opened, "yes | head -n 1").log == b"y\n"


def test_what_the_orchestrator_ignores_or_blocks_reaches_a_pack(made: PackSandbox) -> None:
    before = signal.signal(
        signal.SIGQUIT, signal.SIG_IGN
    )  # as a shell does for what runs in its background
    signal.pthread_sigmask(signal.SIG_BLOCK, (signal.SIGUSR1,))
    try:
        with stage(made) as each:
            masks = run(each, "grep -E 'SigIgn|SigBlk' /proc/self/status | cut -f2").log.split()
    finally:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, (signal.SIGUSR1,))
        signal.signal(signal.SIGQUIT, before)
    assert [int(mask, 16) & 0x7FFFFFFF for mask in masks] == [0, 0]


def test_the_hosts_loopback_is_another(opened: PackStage) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        attempt = python(f"import socket; socket.create_connection(('127.0.0.1', {port}), 2)")
        assert run(opened, attempt).rc != 0


def test_no_name_is_resolved_and_no_address_reached(opened: PackStage) -> None:
    assert run(opened, python("import socket; socket.getaddrinfo('example.com', 80)")).rc != 0
    metadata = python("import socket; socket.create_connection(('169.254.169.254', 80), 2)")
    assert run(opened, metadata).rc != 0
    datagram = python("import socket; socket.socket(2, 2).sendto(b'x', ('192.0.2.1', 53))")
    assert b"unreachable" in run(opened, datagram).log


@pytest.mark.parametrize("family", [17, 38, 40])  # packet, the kernel's crypto, the hypervisor
def test_odd_socket_families_are_refused(opened: PackStage, family: int) -> None:
    seen = run(opened, python(f"import socket; socket.socket({family}, 3)"))
    assert b"PermissionError" in seen.log


def test_files_of_the_host_do_not_exist(opened: PackStage, tmp_path: Path) -> None:
    canary = tmp_path / "canary"
    canary.write_text("secret")
    assert b"secret" not in run(opened, f"cat {canary} /etc/shadow /proc/1/root{canary}").log
    assert (
        run(opened, "ls /root /sys /run/* /var/* 2>/dev/null")
        .log.replace(b"/var/tmp:", b"")
        .strip()
        == b""
    )


@pytest.mark.parametrize(
    "line",
    [
        *(
            "touch /x",
            "touch /usr/x",
            "touch /etc/x",
            "echo x >/etc/passwd",
            "touch /dev/x",
            "touch /opt/x",
        ),
        *(
            "echo x >/proc/sys/kernel/core_pattern",
            "echo x >/proc/sysrq-trigger",
            "echo x >/proc/1/oom_score_adj",
        ),
        *(
            "mount -t tmpfs none /tmp",
            "mount -o remount,rw,bind /usr",
            "umount /usr",
            "chroot / true",
        ),
        *(
            "mknod /tmp/n c 1 3",
            "mknod /tmp/n b 8 0",
            "mknod n c 0 0",
            "unshare -U true",
            "unshare -r true",
        ),
        *(
            "nsenter -t 1 -m true",
            "touch /opt/venv/bin/x",
            "chmod 777 /usr",
            "chown 0 a.txt",
            "date -s 2001-01-01",
        ),
    ],
)
def test_what_would_change_the_host_is_refused(opened: PackStage, line: str) -> None:
    assert run(opened, line).rc != 0


def test_set_user_id_programs_give_nothing(opened: PackStage) -> None:
    seen = run(
        opened,
        "grep -E 'NoNewPrivs|Seccomp:|Cap' /proc/self/status; su -c id root </dev/null; ls"
        " /usr/bin/su",
    )
    told = dict(line.split(":\t") for line in seen.log.decode().splitlines() if ":\t" in line)
    assert told["NoNewPrivs"] == "1"
    assert told["Seccomp"] == "2"
    assert {int(value, 16) for name, value in told.items() if name.startswith("Cap")} == {0}
    assert b"uid=0" not in seen.log


def test_calls_that_other_programs_never_need_are_refused(opened: PackStage) -> None:
    script = (
        "import ctypes, os\ncall = ctypes.CDLL(None, use_errno=True).syscall\nx86 ="
        " os.uname().machine == 'x86_64'\nfor name, number in (('ptrace', 101 if x86 else 117),"
        " ('keyctl', 250 if x86 else 219),\n                     ('bpf', 321 if x86 else 280),"
        " ('perf', 298 if x86 else 241), ('uring', 425),\n                     ('clone3', 435),"
        " ('fsopen', 430), ('memfd', 319 if x86 else 279)):\n    result = call(number, 0, 0, 0, 0,"
        " 0)\n    print(name, ctypes.get_errno() if result == -1 else 'worked')\nflags = 0x10000000"
        " | 17\nprint('clone', call(56 if x86 else 220, flags, 0, 0, 0, 0), ctypes.get_errno())\n"
    )
    seen = run(opened, f"cat >t.py <<'E'\n{script}E\npython -I -S t.py")
    answers = dict(line.split(maxsplit=1) for line in seen.log.decode().splitlines())
    assert answers == {
        **dict.fromkeys(("ptrace", "keyctl", "bpf", "perf", "fsopen"), "1"),
        **dict.fromkeys(("uring", "clone3", "memfd"), "38"),
        "clone": "-1 1",
    }


def test_a_large_shared_segment_is_refused_and_a_small_one_is_not(opened: PackStage) -> None:
    script = "import ctypes; c = ctypes.CDLL(None); print(c.shmget(0, {size}, 0o1600) != -1)"
    assert run(opened, python(script.format(size=4096))).log == b"True\n"
    assert run(opened, python(script.format(size=256 * MIB))).log == b"False\n"


def test_a_fork_bomb_meets_its_bound_and_ends_with_its_command(opened: PackStage) -> None:
    seen = run(opened, "b() { b | b & }; b; sleep 0.5; echo still here", timeout=10)
    assert seen.ended in {Ended.EXITED, Ended.SIGNALLED, Ended.TIMEOUT}
    assert run(opened, "echo next").log == b"next\n"


def test_the_process_bound_is_one_stages_own(made: PackSandbox) -> None:
    count = (
        "import os, time\nn = 0\ntry:\n    while n < 100:\n        if os.fork() == 0:"
        " time.sleep(20); os._exit(0)\n        n += 1\nexcept OSError: pass\nprint(n)\n"
    )
    limits = Limits(timeout=30, processes=20, disk=16 * MIB)
    with stage(made, limits) as first, stage(made, limits) as second:
        answers = [
            run(each, f"cat >c.py <<'E'\n{count}E\nexec python -I -S c.py")
            for each in (first, second)
        ]
    assert [15 <= int(answer.log) < 20 for answer in answers] == [True, True]


def test_a_daemon_is_dead_when_its_command_has_ended(opened: PackStage) -> None:
    mark = f"daemon-{os.getpid()}-{time.monotonic_ns()}"
    seen = run(
        opened,
        f"setsid sh -c 'trap \"\" TERM HUP; while :; do sleep 1; done' {mark} & sleep 0.1; echo"
        " left",
    )
    assert (seen.ended, seen.log) == (Ended.EXITED, b"left\n")
    assert processes_that_say(mark) == []


def test_a_child_that_holds_the_output_open_does_not_hold_the_command(opened: PackStage) -> None:
    seen = run(opened, "sleep 1000 & echo done", timeout=120)
    assert (seen.ended, seen.rc, seen.log) == (Ended.EXITED, 0, b"done\n")


def test_a_memory_hog_is_ended(made: PackSandbox) -> None:
    with stage(made, Limits(timeout=30, memory=64 * MIB, processes=32, disk=16 * MIB)) as opened:
        seen = run(opened, python("b = bytearray(400 << 20); import time; time.sleep(20)"))
        assert seen.ended is Ended.MEMORY
        assert seen.rc != 0
        assert seen.peak_memory > 64 * MIB


def test_memory_is_counted_over_all_processes(made: PackSandbox) -> None:
    hog = python("b = bytearray(30 << 20); import time; time.sleep(20)")
    with stage(made, Limits(timeout=30, memory=100 * MIB, processes=32, disk=16 * MIB)) as opened:
        assert run(opened, " & ".join([hog] * 6) + " & wait").ended is Ended.MEMORY


def test_a_flood_of_output_is_cut_and_ended(opened: PackStage) -> None:
    chunks: list[bytes] = []
    seen = opened.run(CommandSpec("yes", "", (), 20, 10_000), chunks.append)
    assert seen.ended is Ended.OUTPUT
    assert seen.rc != 0
    assert len(seen.log) == 10_000
    assert seen.output_bytes > 10_000
    assert b"".join(chunks) == seen.log


def test_output_of_exactly_the_bound_is_fine(opened: PackStage) -> None:
    seen = run(opened, "head -c 5000 /dev/zero", output=5000)
    assert (seen.ended, seen.rc, seen.output_bytes) == (Ended.EXITED, 0, 5000)


@pytest.mark.parametrize("place", ["/workspace", "/tmp", "/home/pack", "/dev/shm"])
def test_a_disk_flood_meets_the_quota(opened: PackStage, place: str) -> None:
    seen = run(opened, f"head -c 64m /dev/zero >{place}/flood")
    assert seen.rc != 0
    assert seen.disk_full or seen.rc == 128 + signal.SIGXFSZ


def test_many_files_meet_the_quota_too(made: PackSandbox) -> None:
    many = "import itertools\nfor n in itertools.count(): open(str(n), 'w').close()\n"
    with stage(made, Limits(timeout=60, processes=32, disk=4 * MIB)) as opened:
        seen = run(opened, f"cat >m.py <<'E'\n{many}E\npython -I -S m.py")
        assert b"No space left" in seen.log
        assert seen.disk_full


def test_a_slow_command_is_asked_to_end_and_may_answer(opened: PackStage) -> None:
    for bound in (0.3, 3, 30):  # whoever was not there yet could not be asked
        seen = run(
            opened, "trap 'echo asked; exit 0' TERM; echo here; sleep 1000 & wait", timeout=bound
        )
        if seen.log:
            break
    assert (seen.ended, seen.log) == (Ended.TIMEOUT, b"here\nasked\n")
    assert seen.rc != 0


def test_a_command_that_ignores_sigterm_is_killed(opened: PackStage) -> None:
    seen = run(opened, "trap '' TERM; while :; do sleep 0.1; done", timeout=0.2)
    assert (seen.ended, seen.rc) == (Ended.TIMEOUT, 128 + signal.SIGKILL)


def test_a_signal_is_told_from_an_exit(opened: PackStage) -> None:
    seen = run(opened, "kill -SEGV $$")
    assert (seen.ended, seen.rc) == (Ended.SIGNALLED, 128 + signal.SIGSEGV)


def test_a_command_may_start_in_a_folder_below(opened: PackStage) -> None:
    assert run(opened, "pwd; cat x", cwd="sub").log == b"/workspace/sub\nx\n"
    assert run(opened, "echo never", cwd="absent").rc not in {0, None}


def test_odd_words_arrive_as_they_are(opened: PackStage) -> None:
    assert (
        run(opened, "printf '%s' 'a\"b $c `d` \\ \u00e9 \n'").log == 'a"b $c `d` \\ é \n'.encode()
    )


def test_commands_share_the_layer_and_nothing_else(opened: PackStage) -> None:
    run(
        opened, "echo kept >kept; echo lost >/tmp/lost; echo lost >~/lost; echo lost >/dev/shm/lost"
    )
    assert run(opened, "cat kept /tmp/* ~/* /dev/shm/* 2>/dev/null").log == b"kept\n"


def test_stages_do_not_see_one_another(made: PackSandbox) -> None:
    with stage(made) as first, stage(made) as second:
        run(first, "echo trace >trace")
        assert run(second, "cat trace").rc != 0


def test_many_stages_at_once_get_each_their_own(made: PackSandbox) -> None:
    def one(number: int) -> bytes:
        with stage(made) as opened:
            run(opened, f"echo {number} >mine")
            return run(opened, "cat mine").log

    with ThreadPoolExecutor(6) as pool:
        assert list(pool.map(one, range(18))) == [b"%d\n" % number for number in range(18)]


def test_a_frozen_stage_runs_nothing_more(opened: PackStage) -> None:
    opened.freeze()
    with pytest.raises(InternalError, match="frozen"):
        run(opened, "true")


def test_nothing_stays_mounted_and_no_process_stays(made: PackSandbox) -> None:
    before = Path("/proc/self/mounts").read_bytes()
    with stage(made) as opened:
        run(opened, "echo x >x")
        assert Path("/proc/self/mounts").read_bytes() == before
    assert Path("/proc/self/mounts").read_bytes() == before


def test_closing_from_another_thread_ends_a_running_command(tmp_path: Path) -> None:
    with sandbox(tmp_path) as (made, _):
        with stage(made) as opened:
            ticker = threading.Timer(0.3, supervised(opened).cancel)
            ticker.start()
            seen = run(opened, "sleep 1000")
            ticker.join()
        assert seen.ended is Ended.CANCELLED
        assert seen.rc != 0


def test_everything_dies_with_the_orchestrator(tmp_path: Path) -> None:
    mark = f"orphan-{os.getpid()}-{time.monotonic_ns()}"
    line = f"trap '' TERM; echo up; while :; do sleep 0.1; done; : {mark}"
    program = f"""
import sys
from pathlib import Path
from factory.sandbox.values import CommandSpec
from tests.sandbox_kit import sandbox, stage
with sandbox(Path(sys.argv[1])) as (made, _), stage(made) as opened:
    opened.run(CommandSpec({line!r}, "", (), 60, 1000), lambda chunk: print(1, flush=True))
"""
    with subprocess.Popen(
        [sys.executable, "-c", program, str(tmp_path)], stdout=subprocess.PIPE
    ) as orchestrator:
        assert orchestrator.stdout is not None
        assert orchestrator.stdout.readline() == b"1\n"
        assert len(processes_that_say(mark)) > 1
        orchestrator.kill()
    deadline = time.monotonic() + 120
    while processes_that_say(mark) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert processes_that_say(mark) == []
