"""Read what test runners print at their end: how many tests ran, and if any of them failed.

Rule: a log is written by whoever is judged, so every function takes linear time whatever the log
contains, and an unreasonable number counts against the log. It can only lower a verdict. Does not
know what exit codes, findings or packs mean. Sources: the terminal reporter of pytest, the text
runner of unittest.
"""

from __future__ import annotations

import re

from factory.model.command_kind import Trait
from factory.model.pack import Command

_PYTEST = re.compile(r"(?:^|[\s/;&|])(?:pytest|py\.test)(?:\s|$)|-m\s+pytest\b")
_UNITTEST = re.compile(r"-m\s+unittest\b")
_PYTEST_NO_TESTS = 5  # pytest.ExitCode.NO_TESTS_COLLECTED

_COLOUR = re.compile(rb"\x1b\[[0-9;]*m")
# Closing lines of runners that found nothing to run, each anchored to a whole line.
_RAN_NOTHING = re.compile(
    rb"^(?:Ran 0 tests in .*|=* ?no tests ran in .*|collected 0 items.*|No tests found.*"
    rb"|testing: warning: no tests to run)$",
    re.MULTILINE,
)
_UNITTEST_RAN = re.compile(rb"^Ran (\d+) tests? in ", re.MULTILINE)
_UNITTEST_SKIPPED = re.compile(rb"^OK \([^\n]*?\bskipped=(\d+)", re.MULTILINE)
_UNITTEST_CLOSING = re.compile(rb"^(?:OK\b|FAILED \().*$", re.MULTILINE)
# Two searches instead of one expression, which would try each count with each end of a line.
_PYTEST_COUNT = re.compile(rb"\b\d+ (?:passed|failed|errors?|skipped|xfailed|xpassed|deselected)\b")
_PYTEST_TOOK = re.compile(rb" in \d")
_PYTEST_RAN = re.compile(rb"\b[1-9]\d* (?:passed|xfailed|xpassed)\b")
_PYTEST_FAILED = re.compile(rb"\b[1-9]\d* (?:failed|errors?)\b")

_MOST_DIGITS = 9  # no suite has so many tests
_BEYOND = 10**_MOST_DIGITS


def is_pytest(command: Command) -> bool:
    """Return True if a command line calls pytest."""
    return _PYTEST.search(command.run) is not None


def ran_no_test(command: Command, rc: int, log: bytes) -> bool:
    """Return True if a test runner ended without having run a test."""
    if rc == _PYTEST_NO_TESTS and is_pytest(command):
        return True
    if rc != 0 or not command.kind.traits & Trait.COUNTS_TESTS:
        return False
    plain = _COLOUR.sub(b"", log)
    if _UNITTEST.search(command.run) is not None and not _unittest_ran(plain):
        return True
    if is_pytest(command) and _PYTEST_RAN.search(_pytest_closing(plain)) is None:
        return True
    return _RAN_NOTHING.search(plain) is not None


def failed_by_its_word(command: Command, rc: int, log: bytes) -> bytes:
    """Return the closing line of a test runner that ended with 0 but reports failed tests; else
    empty.
    """
    if rc != 0 or not command.kind.traits & Trait.COUNTS_TESTS:
        return b""
    plain = _COLOUR.sub(b"", log)
    if is_pytest(command):
        closing = _pytest_closing(plain)
        return closing if _PYTEST_FAILED.search(closing) is not None else b""
    if _UNITTEST.search(command.run) is not None:
        closing = _unittest_closing(plain)
        return closing if closing.startswith(b"FAILED") else b""
    return b""


# The last closing line counts, since a test may print the closing line of a run of its own.


def _pytest_closing(log: bytes) -> bytes:
    """Return the last line that counts tests and then gives their duration; each line is read
    once.
    """
    closing, at = b"", 0
    while (count := _PYTEST_COUNT.search(log, at)) is not None:
        end = log.find(b"\n", count.end())
        end = len(log) if end < 0 else end
        if _PYTEST_TOOK.search(log, count.end(), end) is not None:
            closing = log[log.rfind(b"\n", 0, count.start()) + 1 : end]
        at = end
    return closing


def _unittest_closing(log: bytes) -> bytes:
    closing = b""
    for found in _UNITTEST_CLOSING.finditer(log):
        closing = found[0]
    return closing


def _unittest_ran(log: bytes) -> bool:
    """Return True if unittest reports a test that ran and was not skipped; False if it reports
    nothing.
    """
    ran = sum(_count(found[1], 0) for found in _UNITTEST_RAN.finditer(log))
    return ran > sum(_count(found[1], _BEYOND) for found in _UNITTEST_SKIPPED.finditer(log))


def _count(digits: bytes, beyond: int) -> int:
    """Return a number of tests, or `beyond` for more digits than Python would read in linear
    time.
    """
    return int(digits) if len(digits) <= _MOST_DIGITS else beyond
