"""Read from the output of a test runner which tests ran, by the names that it prints.

    >>> seen = seen_in(b"tests/test_a.py::test_x PASSED [ 50%]\\n1 passed, 1 skipped in 0.1s\\n")
    >>> sorted(seen.ran), seen.counted
    (['tests/test_a.py::test_x'], 1)
    >>> seen_in(b"test_x (test_a.T.test_x) ... ok\\nRan 1 test in 0.1s\\n\\nOK\\n").ran
    frozenset({'test_a.T.test_x'})

Known are the verbose forms of pytest, unittest, go test, cargo test, node, jest, vitest, and the
Test Anything Protocol. Rule: a log is written by whoever is judged. What is read here is compared
between two runs and can only lower a verdict; each line is read once, in linear time.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

COUNTING: tuple[tuple[str, str], ...] = (("PYTEST_ADDOPTS", "-rA"), ("GOFLAGS", "-v"))
"""Variables, and what is added to each, with which runners name the tests that ran."""

_MOST_LINE = 4096  # bytes of one line that are looked at
_MOST_DIGITS = 9


@dataclass(frozen=True, slots=True)
class SeenTests:
    """Describe the tests of one run: the names of those that ran and were not skipped, and how many
    there were by the runner's own count, -1 if nothing counts them.
    """

    ran: frozenset[str]
    counted: int


_COLOUR = re.compile(rb"\x1b\[[0-9;]*m")
_TOOK = re.compile(rb"\s*(?:\([0-9.]+ ?m?s\)|[0-9.]+ ?ms|\[\s*[0-9]+%\])\s*$")
# Lines that say that one test ran and was not skipped; the group is its name.
_RAN = (
    re.compile(rb"(?:\[gw\d+\] \[\s*\d+%\] )?(?:PASSED|XPASS) (\S+::.+)"),
    re.compile(rb"(?:\[gw\d+\] \[\s*\d+%\] )?FAILED (\S+::.+?)(?: - .*)?"),
    re.compile(rb"(\S+::.+?) (?:PASSED|XPASS|FAILED)(?: .*)?"),
    re.compile(rb"\S+ \(([\w.]+)\) \.\.\. (?:ok|FAIL|ERROR)"),
    re.compile(rb"--- (?:PASS|FAIL): (\S+)"),
    re.compile(rb"test (.+) \.\.\. (?:ok|FAILED)"),
    re.compile(rb"(?:not )?ok \d+ (?:- )?(.+)"),
    re.compile("(?:✔|✓|√|✖|×) (.+)".encode()),
)
_SKIPPED = re.compile(rb"# ?(?:SKIP|TODO)\b", re.IGNORECASE)

# Closing lines that count: what all groups of the first add up to, without those of the second.
# The last such line counts, since a test may print one of its own.
_COUNTS: tuple[tuple[re.Pattern[bytes], re.Pattern[bytes] | None], ...] = (
    (re.compile(rb"\b(\d+) (?:passed|xpassed|failed)\b(?=[^\n]* in \d)"), None),
    (re.compile(rb"^Ran (\d+) tests? in "), re.compile(rb"\b(?:skipped|expected failures)=(\d+)")),
    (re.compile(rb"^test result: \w+\. (\d+) passed"), None),
    (
        re.compile("^(?:#|ℹ) tests (\\d+)$".encode()),
        re.compile("^(?:#|ℹ) (?:cancelled|skipped|todo) (\\d+)$".encode()),
    ),
    (re.compile(rb"^\s*Tests:?\s.*?\b(\d+) passed"), None),
)


def seen_in(log: bytes) -> SeenTests:
    """Return the tests that a log names, and how many it counts."""
    ran: set[str] = set()
    counts: dict[int, int] = {}
    for whole in _COLOUR.sub(b"", log).splitlines():
        line = whole[:_MOST_LINE]
        text = _TOOK.sub(b"", line.strip())
        for form in _RAN:
            found = form.fullmatch(text)
            if found is not None:
                if not _SKIPPED.search(text):
                    ran.add(_TOOK.sub(b"", found[1]).strip().decode("utf-8", "replace"))
                break
        for number, (plus, minus) in enumerate(_COUNTS):
            numbers = plus.findall(line)
            if numbers:
                counts[number] = sum(map(_number, numbers))
            if minus is not None and number in counts:
                counts[number] -= sum(map(_number, minus.findall(line)))
    return SeenTests(frozenset(ran), max(counts.values(), default=-1))


def _number(digits: bytes) -> int:
    return int(digits) if len(digits) <= _MOST_DIGITS else 0


def with_counting(environment: tuple[tuple[str, str], ...]) -> tuple[tuple[str, str], ...]:
    """Return variables under which runners name the tests that ran."""
    values = dict(environment)
    for name, more in COUNTING:
        values[name] = f"{values[name]} {more}" if values.get(name) else more
    return tuple(sorted(values.items()))
