"""Read what test runners print at their end: how many tests ran, and if any of them failed.

Rule: a log is written by whoever is judged, so every function takes linear time whatever the log
contains, and an unreasonable number counts against the log. It can only lower a verdict. Does not
know what exit codes, findings or packs mean. Sources: the closing lines of each runner of `RUNNERS`
as its version of 2025 prints them.
"""

from __future__ import annotations

import enum
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import AnyStr, Generic

from factory.model.command_kind import Trait
from factory.model.pack import Command

_PYTEST_NO_TESTS = 5  # pytest.ExitCode.NO_TESTS_COLLECTED
_MOST_DIGITS = 9  # no suite has so many tests
_BEYOND = 10**_MOST_DIGITS
_COLOUR = re.compile(rb"\x1b\[[0-9;]*m")


class RunnerSays(enum.Enum):
    """Say whether a test runner ran a test: some, none, or nothing says it."""

    SOME = "some"
    NONE = "none"
    UNKNOWN = "unknown"


class Expression(Generic[AnyStr]):
    """Represent a regular expression that is compiled when it is first used: a run has commands of
    a few runners, and every start loads the table of all.
    """

    def __init__(self, source: AnyStr, flags: re.RegexFlag = re.NOFLAG) -> None:
        self._source: AnyStr = source
        self._flags = flags

    @cached_property
    def compiled(self) -> re.Pattern[AnyStr]:
        """Return the compiled expression."""
        return re.compile(self._source, self._flags)

    @property
    def groupindex(self) -> Mapping[str, int]:
        """Return the numbers of the named groups."""
        return self.compiled.groupindex

    def search(self, text: AnyStr) -> re.Match[AnyStr] | None:
        """Return the first place that it matches; None for none."""
        return self.compiled.search(text)

    def finditer(self, text: AnyStr) -> Iterator[re.Match[AnyStr]]:
        """Yield every place that it matches."""
        return self.compiled.finditer(text)


@dataclass(frozen=True, slots=True)
class Runner:
    """Describe a test runner: how a command line calls it, and its closing lines.

    Each form of `closing` matches a line and may have the groups `total`, `passed`, `skipped` and
    `failed`; without a number a group counts as one. A test that prints the closing line of a run
    of its own comes before the runner's: of lines of one form the last counts, unless `adds` says
    that the runner prints several. `nothing` matches a line that says that no test ran, `idle` the
    options with which none runs. `speaks`: without an option it always prints a closing line.
    """

    name: str
    call: Expression[str]
    closing: tuple[Expression[bytes], ...]
    nothing: Expression[bytes] | None = None
    idle: Expression[str] | None = None
    adds: bool = False
    speaks: bool = False


def _called(words: str) -> Expression[str]:
    """Return what finds a program in a command line: alone, below a path, or after npx and such."""
    return Expression(rf"(?:^|[\s/;&|(])(?:{words})(?:\s|$|[;&|)])")


def _lines(*forms: str) -> tuple[Expression[bytes], ...]:
    number = r"(?P<\1>\\d+)"
    return tuple(
        Expression(re.sub(r"(?<!\?P)<(\w+)>", number, form).encode("utf-8"), re.MULTILINE)
        for form in forms
    )


def _line(form: str) -> Expression[bytes]:
    return Expression(form.encode("utf-8"), re.MULTILINE)


# Counts of pytest and vitest come in any order: two searches instead of one expression, which would
# try each count with each end of a line.
_PYTEST_COUNT = re.compile(rb"\b\d+ (?:passed|failed|errors?|skipped|xfailed|xpassed|deselected)\b")
_PYTEST_TOOK = re.compile(rb" in \d")
_PYTEST_RAN = re.compile(rb"\b[1-9]\d* (?:passed|xfailed|xpassed)\b")
_PYTEST_FAILED = re.compile(rb"\b[1-9]\d* (?:failed|errors?)\b")
# With -q twice pytest prints its letters alone.
_PYTEST_LETTERS = re.compile(
    rb"^(?:\S+\.py )?([.sSxXFEfER]+)[ \t]*(?:\[[ \t]*\d+(?:%|/\d+)\])?[ \t]*\r?$", re.MULTILINE
)

RUNNERS: tuple[Runner, ...] = (
    Runner(
        "pytest",
        Expression(r"(?:^|[\s/;&|(])(?:pytest|py\.test)(?:\s|$)|-m\s+pytest\b"),
        (),
        _line(r"^(?:=* ?no tests ran in .*|collected 0 items.*|=* ?\d+ tests? collected in .*)$"),
        Expression(r"\s--(?:co|collect-only|version|fixtures|markers|help)\b"),
    ),
    Runner(
        "unittest",
        Expression(r"-m\s+unittest\b"),
        _lines(r"^Ran <total> tests? in ", r"^OK \([^\n]*?\bskipped=<skipped>"),
        adds=True,
        speaks=True,
    ),
    Runner(
        "node",
        Expression(r"(?:^|[\s/;&|(])node(?:js)?\s(?:[^;&|\n]*\s)?--test(?:\s|$|=)"),
        _lines(
            r"^(?:#|ℹ|[ \t]*<!--) pass <passed>\b",
            r"^(?:#|ℹ|[ \t]*<!--) fail <failed>\b",
            # a file without a test is counted as one, by its own path
            r"^(?:ok \d+ - |✔ |[ \t]*<testcase name=\")(?P<skipped>/\S+\.(?:[cm]?[jt]s))\b",
        ),
        adds=True,
    ),
    Runner(
        "jest",
        _called(r"jest(?:\.js)?"),
        _lines(
            r"^Tests:(?=[^\n]* total)(?:[^\n]*?\b<passed> passed)?",
            r"^Tests:[^\n]*?\b<failed> failed",
            r'"numPassedTests":\s?<passed>\b',
            r'"numFailedTests":\s?<failed>\b',
        ),
        _line(r"^No tests found"),
        Expression(r"\s--(?:listTests|showConfig|version|help)\b"),
    ),
    Runner(
        "vitest",
        _called(r"vitest"),
        _lines(
            r"^[ \t]*Tests  (?=[^\n]*\(\d+\))(?:[^\n]*?\b<passed> passed)?",
            r"^[ \t]*Tests  [^\n]*?\b<failed> failed",
            r'"numPassedTests":\s?<passed>\b',
            r'"numFailedTests":\s?<failed>\b',
        ),
        _line(r"^[ \t]*No test (?:files|suite) found"),
        Expression(r"\svitest\s+list\b|\s--(?:version|help)\b"),
    ),
    Runner(
        "mocha",
        _called(r"_?mocha(?:\.js)?"),
        _lines(
            r"^[ \t]*<passed> passing\b",
            r"^[ \t]*<failed> failing\b",
            r'^[ \t]*"passes": <passed>\b',
            r'^[ \t]*"failures": <failed>\b',
            r"^# pass <passed>\b",
            r"^# fail <failed>\b",
        ),
        idle=Expression(r"\s--(?:dry-run|version|help)\b"),
    ),
    Runner(
        "cargo",
        Expression(r"(?:^|[\s/;&|(])cargo\s+(?:\+\S+\s+)?(?:test|t|nextest|llvm-cov)\b"),
        _lines(
            r"^test result: \w+\. <passed> passed; <failed> failed",
            r"^[ \t]*Summary \[[^\]\n]*\] +\d+(?:/\d+)? tests? run: <passed> passed",
        ),
        _line(r"^error: no tests to run"),
        Expression(r"\s--(?:no-run|list|version|help)\b"),
        adds=True,
    ),
    Runner(
        "go",
        Expression(r"(?:^|[\s/;&|(])go\s+test\b"),
        _lines(
            r"^(?P<passed>ok)[ \t]+\S+[ \t]+(?:\(cached\)|[\d.]+s)(?![^\n]*\[no tests to run\])",
            r"^(?P<failed>FAIL)[ \t]+\S+",
        ),
        _line(
            r"^(?:\?[ \t]+\S+[ \t]+\[no test files\]|testing: warning: no tests to run"
            r"|ok[ \t].*\[no tests to run\])$"
        ),
        Expression(r"\s--?(?:list|c|n)\b"),
        adds=True,
    ),
    Runner(
        "ctest",
        _called(r"ctest"),
        _lines(
            r"^\d+% tests passed, <failed> tests? failed out of <total>",
            r"^[ \t]+\d+ - \S+ \((?P<skipped>Skipped|Disabled|Not Run)\)",
        ),
        _line(r"^No tests were found!!!"),
        Expression(r"\s(?:-N|--show-only\S*|--version|--help)\b"),
        adds=True,
    ),
    Runner(
        "prove",
        _called(r"prove"),
        _lines(r"^Files=\d+, Tests=<total>,"),
        _line(r"^Result: NOTESTS$"),
        speaks=True,
    ),
    Runner(
        "bats",
        _called(r"bats"),
        _lines(r"^<total> tests?, <failed> failures?", r"^\d+ tests?, [^\n]*?\b<skipped> skipped"),
    ),
    Runner(
        "maven",
        _called(r"mvnw?|mvnd"),
        _lines(
            r"^\[\w+\] Tests run: <total>, Failures: <failed>, Errors: \d+, Skipped: <skipped>"
            r"[ \t\r]*$"
        ),
        _line(r"^\[INFO\] (?:No tests to run\.|Tests are skipped\.)[ \t\r]*$"),
    ),
    Runner("gradle", _called(r"gradlew?"), (), _line(r"^> Task \S*:test (?:NO-SOURCE|SKIPPED)$")),
    Runner(
        "phpunit",
        _called(r"phpunit"),
        _lines(
            r"^OK \(<total> tests?,",
            r"^Tests: <total>, [^\n]*",
            r"^Tests: [^\n]*?\bSkipped: <skipped>",
        ),
        _line(r"^No tests executed!"),
    ),
    Runner(
        "rspec",
        _called(r"rspec"),
        _lines(
            r"^<total> examples?, <failed> failures?",
            r"^\d+ examples?, [^\n]*?\b<skipped> pending",
        ),
    ),
    Runner(
        "dotnet",
        Expression(r"(?:^|[\s/;&|(])dotnet\s+test\b"),
        _lines(r"^(?:Passed|Failed|Skipped)![ \t]+- Failed:[ \t]+<failed>, Passed:[ \t]+<passed>,"),
        _line(r"^No test is available"),
        adds=True,
    ),
    Runner(
        "deno",
        Expression(r"(?:^|[\s/;&|(])deno\s+(?:test|task)\b"),
        _lines(r"^(?:ok|FAILED) \| <passed> passed[^|\n]*\| <failed> failed"),
    ),
    Runner(
        "bun",
        Expression(r"(?:^|[\s/;&|(])bun\s+test\b"),
        _lines(r"^ ?<passed> pass$", r"^ ?<failed> fail$"),
    ),
    Runner(
        "googletest",
        Expression(r"$^"),
        _lines(r"^\[==========\] <total> tests? from [^\n]* ran\.", r"^\[  SKIPPED \] <skipped> "),
    ),
)
_TAP_PLAN = re.compile(rb"^1\.\.(\d{1,9})\b", re.MULTILINE)
_TAP_POINT = re.compile(
    rb"^[ \t]*(not )?ok\b(?! \|)(?=[ \t]+(?:\d|-)|[ \t]*$)([^\n]*)$", re.MULTILINE
)
_TAP_EXCUSED = re.compile(rb"# ?(?:skip|todo)\b", re.IGNORECASE)
_TAP_CALL = _called(r"tap|tape|tap-\w+|ava")


def ran_tests(command: Command, rc: int, log: bytes) -> RunnerSays:
    """Return whether a command that counts tests ran one; SOME for any other, and for one that
    failed.
    """
    if rc == _PYTEST_NO_TESTS and RUNNERS[0].call.search(command.run):
        return RunnerSays.NONE
    if rc != 0 or not command.kind.traits & Trait.COUNTS_TESTS:
        return RunnerSays.SOME
    return counted(command, log)


def counted(command: Command, log: bytes) -> RunnerSays:
    """Return whether a log says that a test ran; SOME where it does not say it and the command
    calls no known runner.
    """
    plain = _COLOUR.sub(b"", log)
    called = [runner for runner in RUNNERS if runner.call.search(command.run)]
    if any(runner.idle is not None and runner.idle.search(command.run) for runner in called):
        return RunnerSays.NONE
    said = {_of(runner, plain) for runner in called}
    if _TAP_CALL.search(command.run):
        said.add(_by_tap(plain))
    if not said:
        return _by_anybody(plain)
    return next(
        each for each in (RunnerSays.NONE, RunnerSays.UNKNOWN, RunnerSays.SOME) if each in said
    )


def _by_anybody(plain: bytes) -> RunnerSays:
    """Return what the closing lines of any runner say, where a command calls one by another name
    (`make test`, `npm test`): NONE if one ran no test and no other ran one.
    """
    said = {_counted(runner, plain) for runner in RUNNERS} | {_by_tap(plain)}
    return (
        RunnerSays.NONE
        if RunnerSays.NONE in said and RunnerSays.SOME not in said
        else RunnerSays.SOME
    )


def _of(runner: Runner, plain: bytes) -> RunnerSays:
    found = _counted(runner, plain)
    if found is not RunnerSays.UNKNOWN:
        return found
    return RunnerSays.NONE if runner.speaks else _by_tap(plain)


def _counted(runner: Runner, plain: bytes) -> RunnerSays:
    if runner.name == "pytest":
        return _pytest_counted(runner, plain)
    counts = _counts(runner, plain)
    if "passed" in counts or "total" in counts:
        ran = counts.get("passed", counts.get("total", 0)) - counts.get("skipped", 0)
        return RunnerSays.SOME if 0 < ran < _BEYOND else RunnerSays.NONE
    silent = runner.nothing is None or runner.nothing.search(plain) is None
    return RunnerSays.UNKNOWN if silent else RunnerSays.NONE


def _counts(runner: Runner, plain: bytes) -> dict[str, int]:
    """Return the sum of each group over the forms of a runner's closing lines."""
    counts: dict[str, int] = {}
    for form in runner.closing:
        of_form: dict[str, int] = {}
        for found in form.finditer(plain):
            if not runner.adds:
                of_form.clear()
            for name, text in found.groupdict().items():
                number = _number(text) if text is not None else 0
                of_form[name] = of_form.get(name, 0) + number
        for name, number in of_form.items():
            counts[name] = counts.get(name, 0) + number
    return counts


def _number(text: bytes) -> int:
    """Return a number of tests; one for a word, beyond all for more digits than Python would read
    in linear time.
    """
    if not text.isdigit():
        return 1
    return int(text) if len(text) <= _MOST_DIGITS else _BEYOND


def _pytest_counted(runner: Runner, plain: bytes) -> RunnerSays:
    closing = _pytest_closing(plain)
    if closing:
        return RunnerSays.SOME if _PYTEST_RAN.search(closing) else RunnerSays.NONE
    if runner.nothing is not None and runner.nothing.search(plain):
        return RunnerSays.NONE
    letters = {letter for found in _PYTEST_LETTERS.finditer(plain) for letter in set(found[1])}
    if not letters:
        return RunnerSays.UNKNOWN
    return RunnerSays.NONE if letters <= set(b"sS") else RunnerSays.SOME


def _by_tap(plain: bytes) -> RunnerSays:
    """Return what a log in the Test Anything Protocol says."""
    plans = [int(found[1]) for found in _TAP_PLAN.finditer(plain)]
    if not plans:
        return RunnerSays.UNKNOWN
    points = _TAP_POINT.finditer(plain)
    return (
        RunnerSays.SOME
        if any(not _TAP_EXCUSED.search(one[2]) for one in points)
        else RunnerSays.NONE
    )


def report_paths(command: Command) -> tuple[str, ...]:
    """Return patterns, from the root, of the JUnit files that a command writes: those that it
    names, and those of Maven and Gradle.
    """
    names = [name for name in _REPORT.findall(command.run) if ".." not in name]
    for runner, patterns in _REPORTS_OF.items():
        if any(each.name == runner and each.call.search(command.run) for each in RUNNERS):
            names += patterns
    below = f"{command.cwd}/" if command.cwd not in ("", ".") else ""
    return tuple(dict.fromkeys(f"{below}{name}" for name in names))


_REPORT = re.compile(r"(?:^|[\s=\"'])(?:\./)?((?:[\w.-]+/)*[\w.-]+\.xml)\b")
_REPORTS_OF = {
    "maven": ("**/target/surefire-reports/TEST-*.xml", "**/target/failsafe-reports/TEST-*.xml"),
    "gradle": ("**/build/test-results/**/TEST-*.xml",),
}


def by_reports(reports: Iterable[bytes]) -> RunnerSays:
    """Return what files in JUnit's form say: each `testcase`, and whether it was skipped."""
    known = RunnerSays.UNKNOWN
    for content in reports:
        if b"<testsuite" not in content:
            continue
        known = RunnerSays.NONE
        for case in content.split(b"<testcase")[1:]:
            if b"<skipped" not in case and b"<disabled" not in case and b'"notrun"' not in case:
                return RunnerSays.SOME
    return known


def failed_by_its_word(command: Command, rc: int, log: bytes) -> bytes:
    """Return the closing line of a test runner that ended with 0 but reports failed tests; else
    empty.
    """
    if rc != 0 or not command.kind.traits & Trait.COUNTS_TESTS:
        return b""
    plain = _COLOUR.sub(b"", log)
    for runner in RUNNERS:
        if runner.call.search(command.run) is None:
            continue
        if runner.name == "pytest":
            closing = _pytest_closing(plain)
            line = closing if _PYTEST_FAILED.search(closing) is not None else b""
        elif runner.name == "unittest":
            closing = _unittest_closing(plain)
            line = closing if closing.startswith(b"FAILED") else b""
        else:
            line = _failed_line(runner, plain)
        if line:
            return line
    return b""


def _failed_line(runner: Runner, plain: bytes) -> bytes:
    """Return the last closing line with a failed test, or any one where a runner prints several."""
    line = b""
    last = -1  # where the last closing line without a failed test begins
    for form in sorted(runner.closing, key=lambda form: "failed" in form.groupindex):
        for found in form.finditer(plain):
            failed = found.groupdict().get("failed")
            if failed is None or _number(failed) == 0:
                last = max(last, found.start())
                line = b"" if "failed" in form.groupindex and not runner.adds else line
            elif runner.adds or found.start() >= last:
                line = _line_at(plain, found.start())
    return line


def _line_at(plain: bytes, place: int) -> bytes:
    end = plain.find(b"\n", place)
    return plain[plain.rfind(b"\n", 0, place) + 1 : len(plain) if end < 0 else end].strip()


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


_UNITTEST_CLOSING = re.compile(rb"^(?:OK\b|FAILED \().*$", re.MULTILINE)


def _unittest_closing(log: bytes) -> bytes:
    closing = b""
    for found in _UNITTEST_CLOSING.finditer(log):
        closing = found[0]
    return closing
