"""Every refused system call, made in the real sandbox of each backend, as whoever runs the
suite.
"""

from __future__ import annotations

import errno
import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from factory.plan.stages import PackSandbox
from factory.sandbox import seccomp
from factory.sandbox.backends import IsolationMode
from tests.sandbox_kit import run, sandbox, stage

pytestmark = pytest.mark.linux

BACKENDS = ("full", "bubblewrap", "landlock")
MACHINE = os.uname().machine
X86 = MACHINE == "x86_64"

# Calls with nothing but zeros do no harm where they work.
ASK = """
import ctypes, json, sys
call = ctypes.CDLL(None, use_errno=True).syscall
def ask(number, *words):
    ctypes.set_errno(0)
    result = call(ctypes.c_long(number), *(ctypes.c_long(word) for word in words))
    return ctypes.get_errno() if result == -1 else 0
print(json.dumps({name: ask(*words) for name, words in json.loads(sys.argv[1]).items()}))
"""


@pytest.fixture(scope="module", params=BACKENDS)
def made(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[PackSandbox]:
    with sandbox(tmp_path_factory.mktemp("calls"), IsolationMode.AUTO, backend=request.param) as (
        built,
        _,
    ):
        assert built.measure().backend == request.param
        yield built


def ask(made: PackSandbox, calls: dict[str, tuple[int, ...]]) -> dict[str, int]:
    with stage(made) as opened:
        seen = run(
            opened, f"cat >ask.py <<'E'\n{ASK}E\nexec python -I -S ask.py '{json.dumps(calls)}'"
        )
    answers: dict[str, int] = json.loads(seen.log)
    return answers


def test_every_refused_call_is_refused(made: PackSandbox) -> None:
    refused = seccomp.refused(MACHINE, made.measure().backend == "landlock")
    answers = ask(made, {name: (number, 0, 0, 0, 0, 0, 0) for name, (number, _) in refused.items()})
    assert answers == {name: code for name, (_, code) in refused.items()}
    assert len(refused) > 60


def test_calls_are_judged_by_their_arguments(made: PackSandbox) -> None:
    socket, pair, ioctl = (41, 53, 16) if X86 else (198, 199, 29)
    filtering, personality, clone = (317, 135, 56) if X86 else (277, 92, 220)
    upper = 1 << 32
    refused = {
        **{
            f"family {family}": (socket, family, 3, 0)
            for family in (3, 4, 9, 17, 29, 31, 38, 40, 44, 45)
        },
        "netlink of the audit": (socket, 16, 3, 9),
        "raw": (socket, 2, 3, 255),
        "sctp": (socket, 2, 1, 132),
        "mptcp": (socket, 10, 1, 262),
        "family with high bits": (socket, 38 + upper, 5, 0),
        "pair of another family": (pair, 16, 3, 0, 0),
        "TIOCSTI": (ioctl, 0, 0x5412, 0),
        "TIOCSTI with high bits": (ioctl, 0, 0x5412 + upper, 0),
        "TIOCLINUX": (ioctl, 0, 0x541C, 0),
        "TIOCSETD": (ioctl, 0, 0x5423, 0),
        "listening to calls": (filtering, 1, 8, 0),
        "odd personality": (personality, 0x0400000),
        "namespace by clone": (clone, 0x10000000 | 17, 0, 0, 0, 0),
    }
    answers = ask(made, refused)
    assert answers == dict.fromkeys(refused, errno.EPERM)
    newer: dict[str, tuple[int, ...]] = {
        f"call {number}": (number, 0, 0, 0) for number in (470, 471, 500, 547, 1000, 0x3FFFFFFF)
    }
    assert ask(made, newer) == dict.fromkeys(newer, errno.ENOSYS)
    assert ask(made, {"asking": (personality, 0xFFFFFFFF), "plain": (personality, 0)}) == {
        "asking": 0,
        "plain": 0,
    }


def test_a_pack_acts_on_no_process_but_its_own(made: PackSandbox) -> None:
    prlimit, priority, affinity = (302, 141, 203) if X86 else (261, 140, 122)
    other = os.getpid()
    acts = {
        "prlimit": (prlimit, other, 7, 0, 0),
        "priority": (priority, 0, other, 5),
        "all": (affinity, other, 0, 0),
    }
    assert 0 not in ask(made, acts).values()
    assert ask(made, {"own limit": (prlimit, 0, 7, 0, 0)}) == {"own limit": 0}


def test_the_same_calls_work_where_no_filter_refuses_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Teeth: what the tests above see refused is refused by the filter alone."""
    monkeypatch.setattr(seccomp, "program", lambda machine, alone=False: seccomp.observing("none"))
    with sandbox(tmp_path) as (made, _):
        unshare, personality = (272, 135) if X86 else (97, 92)
        calls = {
            "unshare": (unshare, 0),
            "personality": (personality, 0x0400000),
            "netlink": (41 if X86 else 198, 16, 3, 9),
        }
        assert ask(made, calls) == dict.fromkeys(calls, 0)
