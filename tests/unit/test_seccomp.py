"""The filter, judged by a small interpreter of classic BPF, for machines that this one is not as
well.
"""

from __future__ import annotations

import errno
import struct

import pytest

from factory.sandbox import seccomp

KILL, ALLOW = 0x80000000, 0x7FFF0000
AUDIT = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
NUMBERS = {
    "x86_64": {
        "read": 0,
        "clone": 56,
        "socket": 41,
        "ioctl": 16,
        "mknodat": 259,
        "mount": 165,
        "shmget": 29,
        "semget": 64,
        "msgget": 68,
    },
    "aarch64": {
        "read": 63,
        "clone": 220,
        "socket": 198,
        "ioctl": 29,
        "mknodat": 33,
        "mount": 40,
        "shmget": 194,
        "semget": 190,
        "msgget": 186,
    },
}
MACHINES = tuple(AUDIT)


def answer(program: bytes, number: int, audit: int, *words: int) -> int:
    """What the filter returns for one system call."""
    told = struct.pack("=IIQ6Q", number, audit, 0, *words, *[0] * (6 - len(words)))
    code = list(struct.iter_unpack("=HBBI", program))
    at = accumulator = 0
    while True:
        operation, true, false, value = code[at]
        at += 1
        match operation:
            case 0x20:
                accumulator = struct.unpack_from("=I", told, value)[0]
            case 0x54:
                accumulator &= value
            case 0x05:
                at += value
            case 0x15:
                at += true if accumulator == value else false
            case 0x25:
                at += true if accumulator > value else false
            case 0x35:
                at += true if accumulator >= value else false
            case 0x06:
                return value
            case _:
                raise AssertionError(f"unknown operation {operation:#x}")


def ask(machine: str, name: str, *words: int) -> int:
    return answer(seccomp.program(machine), NUMBERS[machine][name], AUDIT[machine], *words)


@pytest.mark.parametrize("machine", MACHINES)
def test_ordinary_calls_pass_and_mount_does_not(machine: str) -> None:
    assert ask(machine, "read") == ALLOW
    assert ask(machine, "mount") == seccomp.DENIED


@pytest.mark.parametrize("machine", MACHINES)
def test_threads_and_forks_pass_and_namespaces_do_not(machine: str) -> None:
    assert ask(machine, "clone", 0x003D0F00) == ALLOW
    assert ask(machine, "clone", 17) == ALLOW
    for flag in (
        0x80,
        0x20000,
        0x2000000,
        0x4000000,
        0x8000000,
        0x10000000,
        0x20000000,
        0x40000000,
    ):
        assert ask(machine, "clone", flag | 17) == seccomp.DENIED


@pytest.mark.parametrize("machine", MACHINES)
def test_only_named_socket_families_pass(machine: str) -> None:
    passing = {family for family in range(64) if ask(machine, "socket", family, 1, 0) == ALLOW}
    assert passing == {1, 2, 10, 16}
    assert ask(machine, "socket", 16, 3, 12) == seccomp.DENIED


@pytest.mark.parametrize("machine", MACHINES)
def test_terminal_injection_is_denied_however_the_upper_half_is_set(machine: str) -> None:
    for command in (0x5412, 0x541C):
        assert ask(machine, "ioctl", 0, command) == seccomp.DENIED
        assert ask(machine, "ioctl", 0, command | 1 << 32) == seccomp.DENIED
    assert ask(machine, "ioctl", 0, 0x5401) == ALLOW


@pytest.mark.parametrize("machine", MACHINES)
def test_devices_are_not_made_and_other_nodes_are(machine: str) -> None:
    assert ask(machine, "mknodat", 0, 0, 0o020644, 0) == seccomp.DENIED
    assert ask(machine, "mknodat", 0, 0, 0o060644, 0) == seccomp.DENIED
    assert ask(machine, "mknodat", 0, 0, 0o010644, 0) == ALLOW
    assert ask(machine, "mknodat", 0, 0, 0o100644, 0) == ALLOW


@pytest.mark.parametrize("machine", MACHINES)
def test_shared_segments_are_small(machine: str) -> None:
    too_large = 0x00050000 | errno.ENOMEM
    assert ask(machine, "shmget", 0, 4096) == ALLOW
    assert ask(machine, "shmget", 0, 4097) == too_large
    assert ask(machine, "shmget", 0, 1 << 32) == too_large


@pytest.mark.parametrize("machine", MACHINES)
def test_queues_and_semaphores_of_the_kernels_do_not_exist(machine: str) -> None:
    assert ask(machine, "semget", 0, 1, 0o1600) == seccomp.ABSENT
    assert ask(machine, "msgget", 0, 0o1600) == seccomp.ABSENT


@pytest.mark.parametrize("machine", MACHINES)
def test_another_architecture_kills(machine: str) -> None:
    foreign = next(audit for name, audit in AUDIT.items() if name != machine)
    assert answer(seccomp.program(machine), NUMBERS[machine]["read"], foreign) == KILL


def test_the_x32_interface_kills() -> None:
    assert answer(seccomp.program("x86_64"), 0x40000000, AUDIT["x86_64"]) == KILL


@pytest.mark.parametrize("machine", MACHINES)
def test_what_is_named_absent_answers_that_it_does_not_exist(machine: str) -> None:
    for number in (435, 425, 426, 427):
        assert answer(seccomp.program(machine), number, AUDIT[machine]) == seccomp.ABSENT


def test_a_machine_without_table_gets_no_filter_and_programs_fit_the_kernels_bound() -> None:
    assert seccomp.program("m68k") == b""
    assert all(len(seccomp.program(machine)) // 8 < 4096 for machine in MACHINES)


@pytest.mark.parametrize(
    ("machine", "connect", "send_to"), [("x86_64", 42, 44), ("aarch64", 203, 206)]
)
def test_the_filter_that_observes_asks_about_addresses_and_refuses_nothing(
    machine: str, connect: int, send_to: int
) -> None:
    def observe(number: int, *words: int) -> int:
        return answer(seccomp.observing(machine), number, AUDIT[machine], *words)

    asked = 0x7FC00000
    assert observe(connect, 3, 0x7F00, 16) == asked
    assert observe(send_to, 3, 0x7F00, 1, 0, 0x7F80, 16) == asked
    assert observe(send_to, 3, 0x7F00, 1, 0, 0, 0) == ALLOW
    assert observe(send_to, 3, 0x7F00, 1, 0, 0x7F80, 12) == ALLOW
    assert {observe(number) for number in range(470) if number != connect} == {ALLOW}
    assert answer(seccomp.observing(machine), connect, 0x40000003) == ALLOW
    assert seccomp.observing("riscv64") == b""
