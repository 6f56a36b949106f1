"""Counts what a process does to the disk, and breaks it at one operation: a kill, or an error of
the disk.

Rule: loaded into the real orchestrator by `tests.faults.zygote`, never imported by it. Counted are
writes to plain files, syncs, renames, links, unlinks, folders made and removed, files created and
cut, and starts of processes; the integrator's process counts on in the same row, and so do worker
processes. Not seen: what
SQLite and Git write by themselves.
"""

from __future__ import annotations

import errno
import io
import mmap
import multiprocessing
import os
import signal
import stat
import struct
import subprocess
import sys
import threading
import time
from contextlib import AbstractContextManager

NONE, KILL, ONCE, LASTING = range(4)
_HEAD = struct.Struct("qqii")  # operations so far; which one breaks; how; the error
_ROWS, _ROW = 4096, 160
SIZE = _ROWS + 16_000 * _ROW
INTEGRATOR = "factory.merge.z_process"
_BOOT = "import runpy,sys; runpy.run_path(sys.argv[1])['integrate'](sys.argv[1:])"


def new_board(at: int = 0, how: int = NONE, error: int = 0) -> int:
    """The descriptor of shared memory that says where to break, and on which operations are
    counted.
    """
    board = os.memfd_create("operations")
    os.truncate(board, SIZE)
    os.pwrite(board, _HEAD.pack(0, at, how, error), 0)
    return board


def operations(board: int) -> list[str]:
    """What was counted, in order: a verb and the path."""
    count = _HEAD.unpack(os.pread(board, _HEAD.size, 0))[0]
    rows = os.pread(board, _ROW * count, _ROWS)
    return [
        rows[at : at + _ROW].rstrip(b"\0").decode("utf-8", "replace")
        for at in range(0, len(rows), _ROW)
    ]


class Faults:
    """One process under watch."""

    def __init__(self, board: int, kill: int, below: str) -> None:
        """`board` as `new_board` made it; `kill` a pipe that ends everything; paths are told
        relative to `below`.
        """
        self.board, self.kill, self.below = board, kill, below
        self.memory = mmap.mmap(board, SIZE)
        self.pid = os.getpid()
        self.lock: AbstractContextManager[object] = threading.Lock()
        self.source = os.path.abspath(__file__)

    def meets(self, verb: str, path: object) -> bool:
        """Count one operation; whether it breaks."""
        if os.getpid() != self.pid:
            return False
        with self.lock:
            count, at, how, error = _HEAD.unpack_from(self.memory)
            row = (
                f"{verb} {os.fspath(path) if isinstance(path, (str, bytes, os.PathLike)) else path}"
            )
            text = row.replace(f"{self.below}/", "").encode("utf-8", "replace")[:_ROW]
            self.memory[_ROWS + count * _ROW : _ROWS + (count + 1) * _ROW] = text.ljust(_ROW, b"\0")
            count += 1
            _HEAD.pack_into(self.memory, 0, count, at, how, error)
        return how != NONE and (count == at or (how == LASTING and count > at > 0))

    def breaks(self, verb: str) -> None:
        """End everything, or raise the error of the disk; returns where this operation cannot have
        that error.
        """
        _, _, how, error = _HEAD.unpack_from(self.memory)
        if how == KILL:
            self.end()
        if verb == "start" or (error == errno.ENOSPC and verb in ("unlink", "rmdir", "truncate")):
            return  # freeing space never lacks it
        raise OSError(error, os.strerror(error))

    def end(self) -> None:
        """SIGKILL for the whole process group; the integrator, in a namespace of its own, asks for
        it.
        """
        if self.kill >= 0:
            os.write(self.kill, b"k")
            time.sleep(600)
        os.killpg(0, signal.SIGKILL)
        time.sleep(600)

    def install(self) -> None:
        """Put a counting door before every function that changes the disk."""
        for verb, names in (
            ("sync", ("fsync", "fdatasync")),
            ("rename", ("rename", "replace")),
            ("link", ("link", "symlink")),
            ("unlink", ("unlink", "remove")),
            ("mkdir", ("mkdir",)),
            ("rmdir", ("rmdir",)),
            ("truncate", ("truncate", "ftruncate")),
        ):
            for name in names:
                self._wrap(name, verb)
        self._wrap_sync()
        self._wrap_write()
        self._wrap_open()
        self._wrap_files()
        self._wrap_processes()

    def follow(self) -> None:
        """Count in forked workers too; where semaphores can be made, as not in a sandbox."""
        self.lock = multiprocessing.get_context("fork").Lock()
        os.register_at_fork(after_in_child=self._forked)

    def _forked(self) -> None:
        self.pid = os.getpid()

    def _replace(self, name: str, real, counted) -> None:
        counted.__name__ = name
        for known in (os.supports_dir_fd, os.supports_fd, os.supports_follow_symlinks):
            if real in known:
                known.add(counted)
        setattr(os, name, counted)

    def _wrap(self, name: str, verb: str) -> None:
        real = getattr(os, name)

        def counted(*given, **named):
            if self.meets(verb, self._told(given)):
                self.breaks(verb)
            return real(*given, **named)

        self._replace(name, real, counted)

    def _wrap_sync(self) -> None:
        """The one sync that is no function of `os`."""
        from factory.files import fs_guard

        real = fs_guard.sync_file_system

        def counted(fd: int) -> bool:
            if self.meets("sync", self._told((fd,))):
                self.breaks("sync")
            return real(fd)

        fs_guard.sync_file_system = counted

    def _told(self, given: tuple) -> str:
        first = given[0] if given else ""
        if isinstance(first, int):
            return os.readlink(f"/proc/self/fd/{first}")
        second = (
            f" {os.fspath(given[1])}"
            if len(given) > 1 and isinstance(given[1], (str, os.PathLike))
            else ""
        )
        return f"{os.fspath(first)}{second}"

    def _wrap_write(self) -> None:
        real = os.write

        def write(fd, content):
            plain = os.getpid() == self.pid and stat.S_ISREG(os.fstat(fd).st_mode)
            if plain and self.meets("write", self._told((fd,))):
                real(fd, memoryview(content)[: len(content) // 2])  # a disk takes what it still can
                self.breaks("write")
            return real(fd, content)

        self._replace("write", real, write)

    def _wrap_open(self) -> None:
        real = os.open

        def opened(path, flags, *given, **named):
            if flags & os.O_CREAT and self.meets("create", path):
                self.breaks("create")
            return real(path, flags, *given, **named)

        self._replace("open", real, opened)

    def _wrap_files(self) -> None:
        faults, real = self, io.open

        class Counted(io.FileIO):
            def write(self, content) -> int:
                view = memoryview(content)
                if faults.meets("write", self.name):
                    super().write(view[: len(view) // 2])
                    faults.breaks("write")
                return super().write(view) or 0

            def truncate(self, size: int | None = None) -> int:
                if faults.meets("truncate", self.name):
                    faults.breaks("truncate")
                return super().truncate(size)

        def opened(
            file,
            mode="r",
            buffering=-1,
            encoding=None,
            errors=None,
            newline=None,
            closefd=True,
            opener=None,
        ):
            plain = not isinstance(file, int) or stat.S_ISREG(os.fstat(file).st_mode)
            if os.getpid() != faults.pid or not plain or not set(mode) & set("wax+"):
                return real(file, mode, buffering, encoding, errors, newline, closefd, opener)
            if not isinstance(file, int) and opener is None and faults.meets("create", file):
                faults.breaks("create")
            raw = Counted(file, mode.replace("b", "").replace("t", ""), closefd, opener)
            if buffering == 0:
                return raw
            buffered = io.BufferedRandom(raw) if "+" in mode else io.BufferedWriter(raw)
            return (
                buffered if "b" in mode else io.TextIOWrapper(buffered, encoding, errors, newline)
            )

        import builtins

        io.open = builtins.open = opened

    def _wrap_processes(self) -> None:
        faults = self

        class Popen(subprocess.Popen):
            def __init__(self, args, *given, **named) -> None:
                words = [str(word) for word in args]
                told = [word for word in words if not word.startswith("-") and "=" not in word]
                if faults.meets("start", " ".join(told[-4:])[:100]):
                    faults.breaks("start")
                if INTEGRATOR in words:
                    words, named = faults.with_integrator(words, named)
                super().__init__(words, *given, **named)

        subprocess.Popen = Popen  # type: ignore[misc]

    def with_integrator(self, words: list[str], named: dict) -> tuple[list[str], dict]:
        """The integrator's process started so that it counts on where this one is."""
        ours, theirs = os.pipe()
        threading.Thread(target=self._wait_for_kill, args=(ours,), daemon=True).start()
        at = words.index("-m")
        passed = (*named.pop("pass_fds", ()), self.board, theirs)
        boot = ["-c", _BOOT, self.source, str(self.board), str(theirs), self.below]
        return [*words[:at], *boot, *words[at + 2 :]], {**named, "pass_fds": passed}

    def _wait_for_kill(self, pipe: int) -> None:
        if os.read(pipe, 1) == b"k":
            os.killpg(0, signal.SIGKILL)


def integrate(words: list[str]) -> None:
    """What the integrator's process does in place of `python -m factory.merge.z_process WORDS`."""
    _, board, kill, below, request = words
    Faults(int(board), int(kill), below).install()
    sys.argv = [INTEGRATOR, request]
    from factory.merge.z_process import main

    sys.exit(main())
