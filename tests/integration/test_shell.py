"""`factory shell` at a real terminal: what reaches the sandbox, what reaches the person, and what
is left.
"""

from __future__ import annotations

import fcntl
import json
import os
import pty
import re
import select
import signal
import struct
import sys
import termios
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.world import World, environment

pytestmark = pytest.mark.linux

PATIENCE = 120.0  # seconds for the next thing to show, on a machine that is busy
TASK = """
scope: {allowed_paths: ["docs/**"]}
steps: [{name: one, run: "mkdir -p docs; echo made >docs/made.md"}]
limits: {processes: 32, disk: 16MiB}
"""


CALLS = (
    r"printf '\033]0;t\007\033[31mred\033[m\n'; tty; "
    "python3 -I -S -c 'import socket; socket.socket().connect_ex((\"203.0.113.9\", 80))'; exit 3"
)

ASK = """
import os, socket, urllib.parse
way_out = urllib.parse.urlsplit(os.environ["HTTPS_PROXY"])
with socket.create_connection((way_out.hostname, way_out.port)) as link:
    link.sendall(b"CONNECT other.example.org:443 HTTP/1.1\\r\\nHost: other.example.org:443\\r\\n\\r\\n")
    print(link.recv(200).decode())
"""


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    made = World(tmp_path_factory.mktemp("shell") / "w")
    made.pack("TASK-0301-look", TASK)
    made.commit()
    return made


class Seat:
    """A person at a terminal of 41 rows, with `factory shell` running in it."""

    def __init__(self, pid: int, terminal: int) -> None:
        self.pid = pid
        self.terminal = terminal
        self.seen = b""

    def type(self, text: str) -> None:
        os.write(self.terminal, text.encode())

    def wait_for(self, pattern: str) -> re.Match[bytes]:
        """Read until the pattern shows in what was not matched yet."""
        deadline = time.monotonic() + PATIENCE
        while (found := re.search(pattern.encode(), self.seen)) is None:
            assert self._more(deadline), f"expected {pattern!r} to show, found {self.seen!r}"
        self.seen = self.seen[found.end() :]
        return found

    def ask(self, line: str) -> str:
        """What a line typed into the inner shell prints."""
        self.type(f"echo BE''GIN; {line}; echo END''ED\n")
        self.wait_for(r"BEGIN\r\n")
        found = self.wait_for(r"(?s)^(.*?)ENDED\r\n")
        return found[1].decode().replace("\r\n", "\n")

    def resize(self, rows: int, columns: int) -> None:
        fcntl.ioctl(self.terminal, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def modes(self) -> list:
        return termios.tcgetattr(self.terminal)

    def wait_until_raw(self, raw: list) -> None:
        """What is typed before that is discarded."""
        deadline = time.monotonic() + PATIENCE
        while self.modes() != raw:
            assert time.monotonic() < deadline, "expected the terminal to be raw again"
            time.sleep(0.02)

    def end(self) -> int:
        """Wait for the end of the process; its exit code."""
        while self._more(time.monotonic() + PATIENCE):
            pass
        return os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])

    def _more(self, deadline: float) -> bool:
        ready, _, _ = select.select([self.terminal], [], [], max(0.0, deadline - time.monotonic()))
        assert ready, f"nothing more came; until here: {self.seen!r}"
        try:
            chunk = os.read(self.terminal, 1 << 16)
        except OSError:
            return False
        self.seen += chunk
        return bool(chunk)


@contextmanager
def seat(world: World, *words: str) -> Iterator[Seat]:
    pid, terminal = pty.fork()
    if pid == 0:
        try:
            fcntl.ioctl(0, termios.TIOCSWINSZ, struct.pack("HHHH", 41, 132, 0, 0))
            os.chdir(world.root)
            argv = [sys.executable, "-m", "factory", "shell", *words]
            os.execve(sys.executable, argv, environment(TERM="xterm-256color"))
        finally:
            os._exit(99)
    try:
        yield Seat(pid, terminal)
    finally:
        try:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
        except (ProcessLookupError, ChildProcessError):
            assert pid  # it has ended, as it should
        os.close(terminal)


def closed(world: World) -> dict:
    return world.events()[-1]


def test_a_session_from_its_first_line_to_its_last(world: World) -> None:
    with seat(world, "TASK-0301") as person:
        before = person.modes()
        told = person.wait_for(r"(?s)^.*TASK-0301\$ ")[0].decode()
        assert "net_isolated" in told
        assert "Ctrl-] three times" in told
        assert person.modes() != before, "the terminal is raw while somebody works in the sandbox"

        # The terminal is one of the sandbox's own.
        assert person.ask("tty; stty size; echo $TERM").split("\n")[:3] == [
            "/dev/pts/0",
            "41 132",
            "xterm-256color",
        ]
        person.resize(20, 70)
        os.kill(person.pid, signal.SIGWINCH)
        assert (
            person.ask("while [ \"$(stty size)\" != '20 70' ]; do sleep 0.02; done; stty size")
            == "20 70\n"
        )
        inject = (
            "python3 -c \"import fcntl, termios; fcntl.ioctl(0, termios.TIOCSTI, b'x')\" 2>&1 |"
            " tail -1"
        )
        assert "Operation not permitted" in person.ask(inject)
        assert person.ask("ls -1 /dev/pts; id -un; wc -l </proc/net/dev") == "0\nptmx\npack\n3\n"

        # Of what it prints, colours arrive, and nothing that writes a clipboard, or makes the
        # terminal answer.
        printed = person.ask(
            r"printf"
            r" 'a\033]52;c;aGk=\007\033[6n\033[c\033P$qm\033\\\005\033[31mb\033[m\033[?1003hc'"
        )
        assert printed == "a\x1b[31mb\x1b[mc"

        # Ctrl-C is for the program inside.
        person.type("sh -c \"echo the''re; exec sleep 1000\"; echo $?\n")
        person.wait_for(
            r"there\r\n"
        )  # a shell that is still between fork and exec swallows the signal
        person.type("\x03")
        person.wait_for("130\r\n|TASK")
        person.ask("true")

        person.ask("mkdir -p docs; echo >docs/new.md; echo more >>README.md")
        person.type("exit 7\n")
        assert person.end() == 0
        last = person.seen.decode()
        assert "ended      with 7" in last
        assert "changed    README.md  (outside the scope)" in last
        assert "added      docs/new.md\r\n" in last
        assert "SCOPE_OUTSIDE_ALLOWED" in last
        assert person.modes() == before
    events = [event["event_type"] for event in world.events()[-2:]]
    assert events == ["shell.opened", "shell.closed"]
    assert (closed(world)["rc"], closed(world)["details"]) == (
        7,
        {"pack": "TASK-0301", "ended": "exited"},
    )
    assert (world.root / "README.md").read_text() == "# A repository\n"
    assert world.runs() == []
    assert [path.name for path in world.state.iterdir() if path.name.startswith("shell-")] == []
    assert not list((world.state / "bundles").glob("*"))


def test_ctrl_d_leaves_and_what_was_switched_on_is_switched_off(world: World) -> None:
    with seat(world, "TASK-0301", "--after-steps") as person:
        before = person.modes()
        person.wait_for(r"TASK-0301\$ ")
        assert person.ask("cat docs/made.md") == "made\n"
        person.ask(r"printf '\033[?1049h\033[?25l'")

        # Stopped from elsewhere, the terminal is as it was; going on, it is raw again.
        raw = person.modes()
        os.kill(person.pid, signal.SIGTSTP)
        assert os.WIFSTOPPED(os.waitpid(person.pid, os.WUNTRACED)[1])
        assert person.modes() == before
        os.kill(person.pid, signal.SIGCONT)
        person.wait_until_raw(raw)
        person.ask("true")
        person.ask(r"printf '\033[?1049h\033[?25l'")
        person.wait_for(
            r"TASK-0301\$ "
        )  # before its prompt the shell's own terminal would take it for another's
        person.type("\x04")
        assert person.end() == 0
        assert re.search(rb"\x1b\[\?1049l.*\x1b\[\?25h", person.seen, re.DOTALL)
        assert b"added      docs/made.md" in person.seen


def test_the_terminal_is_given_back_when_the_inner_shell_is_killed(world: World) -> None:
    with seat(world, "TASK-0301") as person:
        before = person.modes()
        person.wait_for(r"TASK-0301\$ ")
        person.type("kill -9 $$\n")
        assert person.end() == 0
        assert person.modes() == before
        assert b"by signalled, with 137" in person.seen


def test_the_terminal_is_given_back_when_the_session_is_ended_from_elsewhere(world: World) -> None:
    with seat(world, "TASK-0301") as person:
        before = person.modes()
        person.wait_for(r"TASK-0301\$ ")
        person.type("trap '' TERM HUP; echo rea''dy; sleep 1000\n")
        person.wait_for(r"ready\r\n")
        os.kill(person.pid, signal.SIGTERM)
        assert person.end() == 130
        assert person.modes() == before
        assert b"SIGTERM" in person.seen
    assert closed(world)["details"]["ended"] == "interrupted"
    assert [path.name for path in world.state.iterdir() if path.name.startswith("shell-")] == []


def test_from_outside_one_leaves_whatever_runs_inside(world: World) -> None:
    with seat(world, "TASK-0301") as person:
        person.wait_for(r"TASK-0301\$ ")
        person.type("stty raw -echo; trap '' INT TERM HUP; echo rea''dy; sleep 1000\n")
        person.wait_for("ready")
        person.type("\x1d\x1d")
        person.type("x\x1d")
        person.type("\x1d\x1d")
        assert person.end() == 0
        assert b"by cancelled" in person.seen


def test_a_limit_ends_a_session(world: World) -> None:
    with seat(world, "TASK-0301", "--timeout", "1") as person:
        before = person.modes()
        assert person.end() == 2
        assert person.modes() == before
        assert b"by timeout" in person.seen
        assert b", 1 s" in person.seen


def test_without_a_terminal_there_is_no_shell(world: World) -> None:
    ended = world.factory("shell", "TASK-0301")
    assert (ended.rc, ended.out) == (64, "")
    assert (
        ended.err
        == "factory: shell: expected a terminal to work at, found none; give one command with"
        " --command LINE\n"
    )


def test_one_command_needs_no_terminal(world: World) -> None:
    ended = world.factory("shell", "TASK-0301", "--command", CALLS)
    assert ended.rc == 2, "a command that fails is no success"
    assert ended.out.startswith("red\nnot a tty\nended      with 3\n")
    assert "denied     connect 203.0.113.9:80  (constraints.allow_network is false)\n" in ended.out
    frozen = world.factory(
        "shell", "TASK-0301", "--frozen", "--command", "cat docs/made.md; echo >z", "--json"
    )
    told = json.loads(frozen.out)
    assert (frozen.rc, told["output"], told["rc"]) == (0, "made\n", 0)
    assert told["denied"] == []
    assert told["changed"] == [{"path": "z", "kind": "written", "verdict": "thrown away"}]


def test_what_keeps_a_pack_from_running_keeps_a_person_out(tmp_path: Path) -> None:
    world = World(tmp_path / "w")
    world.pack("TASK-0302-broken", "colour: blue\n")
    world.commit()
    ended = world.factory("shell", "TASK-0302", "--command", "true")
    assert ended.rc == 2
    assert "unknown key" in ended.err
    assert world.events() == []


def test_declared_hosts_are_reached_through_a_proxy_of_the_visits_own(tmp_path: Path) -> None:
    world = World(tmp_path / "w")
    world.pack("TASK-0303-net", f'constraints: {{allow_network: ["pypi.example.org"]}}\n{TASK}')
    world.write("ask.py", ASK)
    world.commit()
    command = ("shell", "TASK-0303", "--command", "python -I -S ask.py")
    kept_out = world.factory(*command)
    assert kept_out.rc == 2
    assert "GRANT_MISSING" in kept_out.text
    world.write("factory.toml", "[network]\nhosts = ['other.example.org']\n")
    world.grant("host pypi.example.org TASK-0303")
    kept_out = world.factory(*command)
    assert kept_out.rc == 2
    assert "NETWORK_NOT_IN_POLICY" in kept_out.text
    (world.root / "factory.toml").unlink()
    ended = world.factory(*command)
    assert ended.rc == 0, ended.text
    assert "network    pypi.example.org, through the egress proxy\n" in ended.err
    assert "HTTP/1.1 403" in ended.out, "a host that the pack does not declare"
    told = [event for event in world.events() if event["event_type"].startswith("shell.")]
    assert [event["event_type"] for event in told] == [
        "shell.opened",
        "shell.connected",
        "shell.closed",
    ]
    assert {"host": "other.example.org", "verdict": "refused"}.items() <= told[1]["details"].items()
    assert world.factory("ledger-replay").rc == 0
