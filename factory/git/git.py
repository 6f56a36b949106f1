"""Run Git: plumbing commands only, an environment from an allow-list, every exit code checked.

Rule: nothing that a user, a repository or a pack configured may make Git execute something.
Configuration of the system and the user is off, hooks, fsmonitor and attribute files point nowhere,
lazy fetching and replacement are off, and output is always NUL-separated. Does not know what the
answers mean. Source: THREATS §4; `git help git`.
"""

from __future__ import annotations

import math
import os
import re
import secrets
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import IO, Any, BinaryIO, cast

from factory.model.errors import InternalError, Overdue, Refusal
from factory.model.finding import Finding

OLDEST = (2, 38)  # merge-tree --write-tree, cat-file --batch-command
TIMEOUT = 300.0  # seconds; a hanging Git must not hang a run
_LONG_INPUT = 1 << 16  # bytes
_PIPE = 1 << 18  # bytes that a pipe of a conversation may contain, and that are read at once

# SYSTEMROOT: no process starts on Windows without it. SUDO_UID: Git run by sudo compares it with
# the owner of the repository (safe.directory).
_KEPT = ("TMPDIR", "TEMP", "TMP", "SYSTEMROOT", "SUDO_UID")
_FIXED = {
    "GIT_CONFIG_NOSYSTEM": "1",  # no /etc/gitconfig
    "GIT_CONFIG_GLOBAL": os.devnull,  # Git 2.32; before, HOME=/dev/null does it
    "GIT_CONFIG_SYSTEM": os.devnull,
    "GIT_ATTR_NOSYSTEM": "1",  # no /etc/gitattributes: an attribute can name a filter program
    "GIT_NO_REPLACE_OBJECTS": "1",  # refs/replace would yield other content for an id
    "GIT_NO_LAZY_FETCH": "1",  # Git 2.45; before, GIT_ALLOW_PROTOCOL keeps a partial clone off
    "GIT_OPTIONAL_LOCKS": "0",  # `git status` would refresh the user's index
    "GIT_TERMINAL_PROMPT": "0",  # fail instead of waiting for a password
    "GIT_LITERAL_PATHSPECS": "1",  # a file may be named ":(top)" or "*"
    "GIT_ALLOW_PROTOCOL": "none",  # no transport; overrides protocol.* of the repository
    "GIT_PAGER": "cat",
    "GIT_EDITOR": "false",
    "LC_ALL": "C",  # `git.repository` compares messages, which are translated otherwise
    "TZ": "UTC",
}
_SWITCHED_OFF = (
    f"core.hooksPath={os.devnull}",  # no hook of the repository
    "core.fsmonitor=false",  # its value can be a program, which `git status` starts
    f"core.attributesFile={os.devnull}",  # attributes can name filter and diff programs
    f"core.excludesFile={os.devnull}",  # ignore rules of one user must not change a result
    "core.untrackedCache=false",  # `git status` must look at the disk, not at a cache in the index
    "core.pager=cat",
    "core.sshCommand=false",  # this and the next three can each name a program
    "core.askPass=false",
    "credential.helper=",
    "diff.external=",
    f"diff.orderFile={os.devnull}",  # it would reorder the files of a patch
    "protocol.allow=never",
    "fetch.fsckObjects=true",
    "safe.bareRepository=explicit",  # Git 2.38: do not discover a bare repository in a work tree
    "gc.auto=0",  # this and the next: start no background process that rewrites packs
    "maintenance.auto=false",
    "advice.detachedHead=false",
)


class GitError(InternalError):
    """Report that Git ended with an unexpected code; `said` is the first line of its message."""

    def __init__(self, words: tuple[str, ...], rc: int, stderr: str) -> None:
        first = stderr.strip().split("\n", 1)[0] or "no message"
        super().__init__(f"expected git {' '.join(words[:2])} to end with 0, found {rc}: {first}")
        self.rc = rc
        self.said = first.removeprefix("fatal: ").removeprefix("error: ")


@dataclass(frozen=True, slots=True)
class Answer:
    """Contain the exit code and output of a finished Git process."""

    rc: int
    out: bytes
    err: str


@dataclass(frozen=True, slots=True)
class Git:
    """Describe how to call Git: the executable, the place, and further settings (`key=value`)."""

    program: str
    cwd: Path
    git_dir: Path | None = None
    work_tree: Path | None = None
    settings: tuple[str, ...] = ()

    def run(
        self,
        *words: str,
        stdin: bytes = b"",
        ok: tuple[int, ...] = (0,),
        variables: Mapping[str, str | None] | None = None,
        timeout: float = TIMEOUT,
    ) -> Answer:
        """Run one command to its end and return its output.

        Raise GitError for a code outside `ok` or after `timeout` seconds, Refusal GIT_TOO_OLD if
        the executable is missing.
        """
        try:
            with _given(stdin) as given:
                ended = subprocess.run(
                    self.argv(words),
                    **given,
                    capture_output=True,
                    cwd=self.cwd,
                    env=self.environment(variables or {}),
                    timeout=timeout,
                    check=False,
                )
        except subprocess.TimeoutExpired as error:
            raise GitError(words, -1, f"no end after {timeout:.0f} s") from error
        except OSError as error:
            if error.filename == self.program:
                raise _missing(self.program) from error
            raise GitError(words, -1, f"{error.filename}: {error.strerror}") from error
        said = ended.stderr.decode("utf-8", "replace")
        if ended.returncode not in ok:
            raise GitError(words, ended.returncode, said)
        return Answer(ended.returncode, ended.stdout, said)

    def argv(self, words: Iterable[str]) -> list[str]:
        """Return the whole command line."""
        line = [self.program]
        if self.git_dir is not None:
            line.append(f"--git-dir={self.git_dir}")
        if self.work_tree is not None:
            line.append(f"--work-tree={self.work_tree}")
        for setting in (*_SWITCHED_OFF, *self.settings):
            line += ["-c", setting]
        return [*line, *words]

    def environment(self, variables: Mapping[str, str | None]) -> dict[str, str]:
        """Return the whole environment: `_KEPT` of the caller's, `_FIXED`, and `variables` (None
        removes one).
        """
        kept = {name: os.environ[name] for name in _KEPT if name in os.environ}
        path = search_path(self.work_tree or self.cwd)
        whole = {**kept, "PATH": path, "HOME": os.devnull, **_FIXED, **variables}
        return {name: value for name, value in whole.items() if value is not None}


def _widen(pipe: IO[bytes] | None) -> None:
    """Let a pipe contain more, where the platform can and the user may: each exchange of 64 KiB
    costs two switches between processes.
    """
    if sys.platform != "linux" or pipe is None:
        return
    import fcntl

    with suppress(OSError):  # beyond a user's pipe-user-pages-soft it stays as it is
        fcntl.fcntl(pipe.fileno(), fcntl.F_SETPIPE_SZ, _PIPE)


@contextmanager
def _given(stdin: bytes) -> Iterator[dict[str, Any]]:
    """Yield the arguments that give a process its input: through a file where it is long, since
    `subprocess` fills a pipe 4 KiB at a time (CPython, `_PIPE_BUF`), 0.3 s for 15 MB.
    """
    if len(stdin) < _LONG_INPUT:
        yield {"input": stdin}
        return
    with _unnamed_file() as file:
        file.write(stdin)
        file.seek(0)
        yield {"stdin": file}


def _unnamed_file() -> BinaryIO:
    """Return a file of no name: in memory where the platform can, since finding
    it blocks on a disk takes several times as long (15 MB: 35 ms of processor time, 6 in memory).
    """
    if hasattr(os, "memfd_create"):
        return os.fdopen(os.memfd_create("input"), "w+b")
    return tempfile.TemporaryFile()


def search_path(start: Path) -> str:
    """Return PATH without what a repository could fill: relative entries, and those in the work
    trees that contain `start` and the current folder.
    """
    try:
        here = Path.cwd()
    except OSError:  # it was removed
        here = start
    return _searched(os.environ.get("PATH", os.defpath), start, here)


@lru_cache(maxsize=64)
def _searched(path: str, start: Path, here: Path) -> str:
    places = dict.fromkeys((start, *start.parents, here, *here.parents))
    trees = [place.resolve() for place in places if (place / ".git").exists()]
    kept = []
    for entry in path.split(os.pathsep):
        if os.path.isabs(entry):
            real = Path(entry).resolve()
            if not any(real.is_relative_to(tree) for tree in trees):
                kept.append(entry)
    return os.pathsep.join(kept)


def find_git(start: Path) -> str:
    """Return the Git executable on PATH, as `search_path` of `start` leaves it. Raise Refusal
    GIT_TOO_OLD if there is none.
    """
    found = shutil.which("git", path=search_path(start))
    if found is None:
        raise _missing("git")
    return found


def version(git: Git) -> tuple[int, int]:
    """Return (major, minor) version. Raise Refusal GIT_TOO_OLD below `OLDEST`."""
    said = git.run("version").out.decode("ascii", "replace").strip()
    matched = re.search(r"(\d+)\.(\d+)", said)
    found = (int(matched[1]), int(matched[2])) if matched else (0, 0)
    if found < OLDEST:
        facts = {"case": "old", "oldest": _OLDEST, "found": said, "program": git.program}
        raise Refusal(Finding("GIT_TOO_OLD", facts))
    return found


def _missing(program: str) -> Refusal:
    facts = {"case": "missing", "oldest": _OLDEST, "program": program}
    return Refusal(Finding("GIT_TOO_OLD", facts))


_OLDEST = f"{OLDEST[0]}.{OLDEST[1]}"


class _Alarm:
    """Call `ring` where a turn takes longer than its seconds. One thread for all turns: one for
    each question costs more than most answers.
    """

    def __init__(self, ring: Callable[[], None]) -> None:
        self._ring = ring
        self._changed = threading.Condition()
        self._due = self._wakes = math.inf
        self._over = False
        threading.Thread(target=self._watch, name="git alarm", daemon=True).start()

    def start(self, seconds: float) -> None:
        """Begin a turn."""
        with self._changed:
            self._due = time.monotonic() + seconds
            if self._due < self._wakes:  # else it looks early enough by itself
                self._changed.notify()

    def stop(self) -> None:
        """End a turn."""
        with self._changed:
            self._due = math.inf

    def end(self) -> None:
        """End the thread."""
        with self._changed:
            self._over = True
            self._changed.notify()

    def _watch(self) -> None:
        with self._changed:
            while not self._over:
                now = time.monotonic()
                if self._due <= now:
                    self._due = math.inf
                    self._ring()
                self._wakes = min(self._due, now + TIMEOUT)
                self._changed.wait(self._wakes - now)


class Conversation:
    """Run one Git process for many questions, one at a time, from any thread.

    The process starts with the first question, and again after it died. Each answer is read up to
    an end that the caller recognises; a wrong or missing end is GitError, never a short answer.
    """

    def __init__(self, git: Git, *words: str) -> None:
        self.git = git
        self.words = words
        self.lock = threading.RLock()
        self.seconds = TIMEOUT
        self.overdue = False
        self.process: subprocess.Popen[bytes] | None = None
        self.errors: BinaryIO | None = None
        self._alarm: _Alarm | None = None

    def ask_until_marker(self, question: bytes) -> bytes:
        """Write `question` and a marker line; return all bytes up to the marker's echo.

        `diff-tree --stdin` echoes and flushes a line that is no object id. The marker is random, so
        no content can forge it. Raise GitError if the answer breaks off.
        """
        marker = b"#END-" + secrets.token_hex(16).encode("ascii") + b"\n"
        with self._turn():
            stdout = self._send(question + marker)
            collected = bytearray()
            while not collected.endswith(marker):
                part = os.read(stdout.fileno(), _PIPE)
                if not part:
                    raise self._died()
                collected += part
            with memoryview(collected) as view:
                return bytes(view[: -len(marker)])

    def ask_aside(self, question: bytes, seconds: float) -> bytes:
        """Ask as `ask_until_marker` in a process of its own, without blocking other threads.

        Raise Overdue after `seconds`.
        """
        other = Conversation(self.git, *self.words)
        other.seconds = seconds
        try:
            return other.ask_until_marker(question)
        except GitError as error:
            if other.overdue:
                raise Overdue(
                    f"expected git {self.words[0]} to end within {seconds:.0f} s, found no end"
                ) from error
            raise
        finally:
            other.close()

    def ask_objects(self, oids: list[str]) -> list[tuple[str, bytes] | None]:
        """Return (type, content) of each object, None if it is missing.

        For `cat-file --batch-command --buffer`. Raise GitError if the answer breaks off.
        """
        with self._turn():
            stdout = self._send(
                b"".join(b"contents %s\n" % oid.encode("ascii") for oid in oids) + b"flush\n"
            )
            return [self._object(stdout, oid) for oid in oids]

    def ask_sizes(self, oids: list[str]) -> dict[str, int]:
        """Return the size in bytes of each object that is there. For `cat-file --batch-command
        --buffer`.
        """
        with self._turn():
            stdout = self._send(
                b"".join(b"info %s\n" % oid.encode("ascii") for oid in oids) + b"flush\n"
            )
            rows = [stdout.readline().split() for _ in oids]
        for oid, row in zip(oids, rows, strict=True):
            if len(row) < 2 or row[0] != oid.encode("ascii"):
                raise self._died()
        return {row[0].decode("ascii"): int(row[2]) for row in rows if len(row) == 3}

    @contextmanager
    def _turn(self) -> Iterator[None]:
        """Take the lock and bound the time.

        Whatever interrupts an answer (Ctrl-C too) ends the process, so that no later answer is
        shifted.
        """
        with self.lock:
            self.overdue = False
            alarm = self._alarm = self._alarm or _Alarm(self._kill)
            alarm.start(self.seconds)
            try:
                yield
            except BaseException:
                self._end(kill=True)
                raise
            finally:
                alarm.stop()

    def _kill(self) -> None:
        self.overdue = True
        process = self.process
        if process is not None:
            process.kill()

    def _object(self, stdout: BinaryIO, oid: str) -> tuple[str, bytes] | None:
        header = stdout.readline()
        words = header.split()
        if len(words) == 2 and words[1] == b"missing":
            return None
        if len(words) != 3 or words[0] != oid.encode("ascii"):
            raise self._died()
        size = int(words[2])
        content = stdout.read(size)
        if len(content) != size or stdout.read(1) != b"\n":
            raise self._died()
        return words[1].decode("ascii"), content

    def _send(self, question: bytes) -> BinaryIO:
        if self.process is None:
            self.errors = tempfile.TemporaryFile()  # noqa: SIM115  (closed with the process)
            self.process = subprocess.Popen(
                self.git.argv(self.words),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=self.errors,
                cwd=self.git.cwd,
                env=self.git.environment({}),
                bufsize=1 << 16 if "--buffer" in self.words else 0,
            )
            _widen(self.process.stdout)
        if self.overdue:  # the time ended before there was a process to kill
            raise self._died()
        stdin, stdout = self.process.stdin, self.process.stdout
        if stdin is None or stdout is None:  # both were asked for as pipes
            raise self._died()
        try:
            stdin.write(question)
            stdin.flush()
        except BrokenPipeError as error:
            raise self._died() from error
        return cast("BinaryIO", stdout)

    def _died(self) -> GitError:
        """Return the error for an answer that broke off; the next question starts a new process."""
        said = ""
        if self.errors is not None:
            self.errors.seek(0)
            said = self.errors.read().decode("utf-8", "replace")
        rc = self._end(kill=True)
        return GitError(self.words, rc, said or "the answer broke off")

    def _end(self, kill: bool) -> int:
        process, errors = self.process, self.errors
        self.process = self.errors = None
        if self._alarm is not None:
            self._alarm.end()
            self._alarm = None
        if errors is not None:
            errors.close()
        if process is None:
            return 0
        if kill:
            process.kill()
        if process.stdin is not None:
            try:
                process.stdin.close()
            except BrokenPipeError:
                process.kill()
        try:
            rc = process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            rc = process.wait()
        if process.stdout is not None:
            process.stdout.close()
        return rc

    def close(self) -> None:
        """End the process; a later question starts a new one."""
        with self.lock:
            self._end(kill=False)
