"""A start by way of a process that forks shows what a start by the interpreter shows."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from factory.sandbox import probe
from factory.sandbox.backend import Probed
from factory.sandbox.properties import Enforcement, Property, PropertyProof
from factory.sandbox.supervised import Supervised
from tests import measured_once
from tests.sandbox_kit import sandbox
from tests.warm import BIN, Done, Forker, is_plain
from tests.world import World, environment

pytestmark = pytest.mark.linux

FACTORY = [sys.executable, "-m", "factory"]
DOIT = [str(BIN / "doit")]
TELLING = """\
import os, signal, sys, time
def task_tell():
    told = [sys.argv, sys.path[0], os.getcwd(), sorted(os.environ.items()), time.tzname, sys.stdout.encoding,
            sys.stdout.errors, sys.stderr.errors, sys.stdout.line_buffering, sorted(os.listdir("/proc/self/fd")),
            [str(signal.getsignal(number)) for number in signal.valid_signals()],
            sys.stdin.read(), os.getpgid(0) == os.getpgid(os.getppid())]
    return {"actions": [lambda: print(told)], "verbosity": 2}
def task_stop():
    return {"actions": [lambda: os.kill(os.getpid(), 9)]}
def task_long():
    return {"actions": [lambda: time.sleep(60)]}
"""
KNOWING = """\
import sys
def task_known():
    known = sys.modules["measured_once"].KNOWN
    return {"actions": [lambda: print([key[0] for key in known])], "verbosity": 2}
"""


@pytest.fixture(scope="module")
def forker() -> Iterator[Forker]:
    made = Forker()
    yield made
    made.close()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "dodo.py").write_text(TELLING)
    return tmp_path


def cold(argv: list[str], cwd: Path, variables: dict[str, str]) -> Done:
    done = subprocess.run(
        argv, cwd=cwd, env=variables, capture_output=True, stdin=subprocess.DEVNULL
    )
    return Done(done.returncode, done.stdout, done.stderr)


@pytest.mark.parametrize(
    "argv",
    [
        [*FACTORY, "--version"],
        [*FACTORY, "no-such-command"],
        [*FACTORY, "oneshot"],
        [*DOIT, "tell"],
        [*DOIT, "stop"],
        [*DOIT, "--no-such-option"],
        [sys.executable, "-m", "doit", "tell"],
    ],
    ids=lambda argv: " ".join([Path(argv[0]).name, *argv[1:]]),
)
def test_it_is_the_same(forker: Forker, folder: Path, argv: list[str]) -> None:
    variables = environment(TZ="Asia/Tokyo", GIT_CEILING_DIRECTORIES=str(folder.parent))
    assert forker.run(argv, folder, variables, 60) == cold(argv, folder, variables)


def test_what_takes_too_long_is_ended_and_the_next_one_starts(folder: Path) -> None:
    forker = Forker()
    with pytest.raises(subprocess.TimeoutExpired):
        forker.run([*DOIT, "long"], folder, environment(), 3)
    done = forker.run([*FACTORY, "--version"], folder, environment(), 60)
    assert done is not None
    assert done.rc == 0
    forker.close()


def test_what_could_make_a_difference_is_started_the_long_way(
    forker: Forker, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tests.warm.KINDS", 1)
    plain = [*FACTORY, "--version"]
    assert is_plain(plain, folder, {})
    assert not is_plain(["git", "--version"], folder, {})
    assert not is_plain([sys.executable, "-m", "pytest"], folder, {})
    assert not is_plain([sys.executable, "-I", "-m", "factory"], folder, {})
    assert not is_plain(plain, folder, {"PYTHONHASHSEED": "1"})
    assert not is_plain(plain, folder / "gone", {})
    assert forker.run(plain, folder, environment(), 60) is not None
    assert forker.run(plain, folder, environment(LC_ALL="C"), 60) is None
    (folder / "yaml.py").write_text("raise SystemExit('taken')\n")
    assert not is_plain(plain, folder, {})


class Counted:
    """A measurement that is made up, and how often it was made."""

    def __init__(self, *escaped: str) -> None:
        self.count = 0
        self._escaped = escaped

    def probe(self, launcher: object, used: Supervised, parent: Path) -> Probed:
        self.count += 1
        proofs = tuple(PropertyProof(each, True, "made up") for each in Property)
        return Probed(True, "", Enforcement("full", proofs, self._escaped))


@pytest.mark.parametrize(("escaped", "times"), [((), 1), (("tcp",), 2)])
def test_the_sandbox_is_measured_once_and_what_escaped_each_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, escaped: tuple[str, ...], times: int
) -> None:
    monkeypatch.setattr(measured_once, "KNOWN", {})
    made_up = Counted(*escaped)
    monkeypatch.setattr(probe, "probe", made_up.probe)
    with measured_once.installed():
        for number in range(2):
            with sandbox(tmp_path / str(number) / ".factory") as (made, _):
                assert made.measure().escaped == escaped
    assert made_up.count == times
    assert probe.probe == made_up.probe


def test_what_a_forked_process_measured_the_next_one_knows(
    forker: Forker, folder: Path, tmp_path: Path
) -> None:
    world = World(tmp_path / "repository")
    world.commit()
    (folder / "dodo.py").write_text(KNOWING)
    known = []
    for _ in range(2):
        doctor = forker.run([*FACTORY, "doctor"], world.root, environment(), 60)
        assert doctor is not None
        assert b"escaped" not in doctor.out
        ended = forker.run([*DOIT, "known"], folder, environment(), 60)
        assert ended is not None
        known.append(ended.out.splitlines()[-1])
    assert known == [b"['probe', 'probe_network']"] * 2
