"""What each test runner prints when it ran tests, skipped them all, found none, or saw one fail."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from factory.judge.runner_words import (
    RunnerSays,
    by_reports,
    failed_by_its_word,
    ran_tests,
    report_paths,
)
from factory.model.command_kind import CommandKind
from factory.model.finding import Location
from factory.model.pack import Command


def command(run: str, cwd: str = "") -> Command:
    return Command("tests-1", CommandKind.TESTS, "", run, cwd, (), None, Location("acceptance.yml"))


SOME, NONE, UNKNOWN = RunnerSays.SOME, RunnerSays.NONE, RunnerSays.UNKNOWN
NODE_EMPTY = """\
TAP version 13
1..0
# tests 0
# suites 0
# pass 0
# fail 0
# skipped 0
"""
NODE_FILE = """\
# Subtest: /workspace/spec/helper.js
ok 1 - /workspace/spec/helper.js
  ---
  duration_ms: 36.1
  ...
1..1
# tests 1
# pass 1
# fail 0
"""
JEST = """\
Test Suites: 1 passed, 1 total
Tests:       {0}, 3 total
Snapshots:   0 total
Time:        0.3 s
"""
VITEST = """\
 Test Files  1 passed (1)
      Tests  {0} (3)
   Start at  10:00:00
   Duration  300ms
"""
CARGO = """\
running {0} tests

test result: ok. {0} passed; 0 failed; {1} ignored; 0 measured; 0 filtered out; finished in 0.00s
"""
GO_NONE = "?   \texample.org/a\t[no test files]\nok  \texample.org/b\t0.002s [no tests to run]\n"
CTEST = """\
1/2 Test #1: a ...................   Passed    0.01 sec
2/2 Test #2: b ...................***Skipped   0.01 sec

100% tests passed, 0 tests failed out of {0}

The following tests did not run:
\t  2 - b (Skipped)
"""


@pytest.mark.parametrize(
    ("run", "log", "ran"),
    [
        ("node --test spec/", NODE_EMPTY, NONE),
        ("node --test spec/helper.js", NODE_FILE, NONE),
        ("node --test", NODE_FILE.replace("pass 1", "pass 2"), SOME),
        ("node --experimental-x --test a", "\u2139 tests 2\n\u2139 pass 1\n\u2139 skipped 1\n", SOME),
        ("node --test a", "\u2139 tests 2\n\u2139 pass 0\n\u2139 fail 0\n\u2139 skipped 2\n", NONE),
        (
            "node --test --test-reporter=spec a",
            "\u2714 /w/a.mjs (2ms)\n\u2139 tests 1\n\u2139 pass 1\n",
            NONE,
        ),
        (
            "node --test --test-reporter junit a",
            '<testcase name="x"/>\n\t<!-- tests 1 -->\n\t<!-- pass 1 -->\n\t<!-- fail 0 -->\n',
            SOME,
        ),
        ("node --test --test-reporter=dot a", "..\n", UNKNOWN),
        ("node script.js", "# tests 0\n", SOME),
        ("npx jest", JEST.format("2 passed"), SOME),
        ("npx jest --ci", JEST.format("1 skipped, 2 passed"), SOME),
        ("jest", JEST.format("3 skipped"), NONE),
        ("yarn jest --passWithNoTests", "No tests found, exiting with code 0\n", NONE),
        ("node_modules/.bin/jest --json", '{"numFailedTests":0,"numPassedTests":2}', SOME),
        ("jest --json", '{"numFailedTests":0,"numPassedTests":0}', NONE),
        ("jest --listTests", "/w/a.test.js\n", NONE),
        ("jest --silent", "", UNKNOWN),
        ("npx vitest run", VITEST.format("3 passed"), SOME),
        ("vitest run", VITEST.format("1 passed | 2 skipped"), SOME),
        ("vitest run", VITEST.format("3 skipped"), NONE),
        ("vitest --run --passWithNoTests", "No test files found, exiting with code 0\n", NONE),
        ("npx mocha", "\n\n  3 passing (4ms)\n  1 pending\n", SOME),
        ("mocha spec", "\n\n  0 passing (2ms)\n", NONE),
        ("mocha", "\n\n  0 passing (2ms)\n  2 pending\n", NONE),
        ("mocha -R json", '  "stats": {\n    "tests": 1,\n    "passes": 1,\n    "failures": 0\n', SOME),
        ("mocha -R json", '  "stats": {\n    "tests": 0,\n    "passes": 0,\n', NONE),
        ("mocha -R tap", "1..1\nok 1 x\n# tests 1\n# pass 1\n# fail 0\n", SOME),
        ("mocha -R tap", "1..0\n# tests 0\n# pass 0\n# fail 0\n", NONE),
        ("mocha --dry-run", "  3 passing (4ms)\n", NONE),
        ("cargo test", CARGO.format(3, 0) + CARGO.format(0, 0), SOME),
        ("cargo +nightly test -q", CARGO.format(0, 0), NONE),
        ("cargo test --offline", CARGO.format(0, 2) * 2, NONE),
        ("cargo test --no-run", "  Executable unittests src/lib.rs\n", NONE),
        ("cargo t", "", UNKNOWN),
        (
            "cargo nextest run",
            "     Summary [   0.005s] 2 tests run: 2 passed, 1 skipped\n",
            SOME,
        ),
        ("cargo nextest run", "     Summary [   0.005s] 0 tests run: 0 passed, 3 skipped\n", NONE),
        ("cargo build", "", SOME),
        ("go test ./...", "ok  \texample.org/a\t0.010s\n" + GO_NONE, SOME),
        ("go test ./...", "ok  \texample.org/a\t(cached)\n", SOME),
        ("go test ./...", GO_NONE, NONE),
        ("go test .", "testing: warning: no tests to run\nPASS\nok  \tx\t0.1s [no tests to run]\n", NONE),
        ("ctest --test-dir b", CTEST.format(2), SOME),
        ("ctest", CTEST.format(1), NONE),
        ("ctest", "Test project /w\nNo tests were found!!!\n", NONE),
        ("ctest -N", "  Test #1: a\n\nTotal Tests: 1\n", NONE),
        ("ctest -Q", "", UNKNOWN),
        ("prove", "t/a.t .. ok\nAll tests successful.\nFiles=1, Tests=3,  0 wallclock\nResult: PASS\n", SOME),
        ("prove -q", "t/a.t .. skipped: no\nFiles=1, Tests=0,  0 wallclock\nResult: NOTESTS\n", NONE),
        ("bats t", "1..2\nok 1 a\nok 2 b # skip no\n", SOME),
        ("bats t", " \u2713 a\n\n2 tests, 0 failures, 1 skipped\n", SOME),
        ("bats t", "1..0\n", NONE),
        ("node x.js | tap", "TAP version 13\nok 1 works\n\n1..1\n# tests 1\n# pass  1\n", SOME),
        ("npx tape t/*.js", "TAP version 13\n\n1..0\n# tests 0\n# pass  0\n", NONE),
        ("mvn -q test", "", UNKNOWN),
        ("./mvnw test", "[INFO] Tests run: 3, Failures: 0, Errors: 0, Skipped: 1\n", SOME),
        ("mvn test", "[WARNING] Tests run: 2, Failures: 0, Errors: 0, Skipped: 2\n", NONE),
        ("mvn test", "[INFO] No tests to run.\n", NONE),
        ("./gradlew test", "> Task :app:test NO-SOURCE\n\nBUILD SUCCESSFUL in 1s\n", NONE),
        ("gradle test", "BUILD SUCCESSFUL in 1s\n", UNKNOWN),
        ("vendor/bin/phpunit", "OK (5 tests, 9 assertions)\n", SOME),
        ("phpunit", "No tests executed!\n", NONE),
        ("bundle exec rspec", "5 examples, 0 failures, 1 pending\n", SOME),
        ("rspec", "0 examples, 0 failures\n", NONE),
        ("rspec", "2 examples, 0 failures, 2 pending\n", NONE),
        ("dotnet test", "Passed!  - Failed:     0, Passed:     5, Skipped:     0, Total:     5\n", SOME),
        ("deno test", "ok | 5 passed | 0 failed (3ms)\n", SOME),
        ("deno test", "ok | 0 passed | 0 failed (3ms)\n", NONE),
        ("bun test", " 2 pass\n 0 fail\n", SOME),
        # called by another name: what any runner says
        ("npm test", "> x@1.0.0 test\n> jest\n\n" + JEST.format("2 passed"), SOME),
        ("npm test", "> node --test\n\n" + NODE_EMPTY, NONE),
        ("npm test", NODE_EMPTY + JEST.format("2 passed"), SOME),
        ("make test", CARGO.format(0, 0), NONE),
        ("make check", "[==========] 0 tests from 0 test suites ran. (0 ms total)\n", NONE),
        ("build/unit", "[==========] 2 tests from 1 test suite ran. (0 ms total)\n", SOME),
        ("tox -q", "  congratulations :)\n", SOME),
        ("sh run.sh", "", SOME),
        # several runners in one line: each has to have run something
        ("pytest -q && npx jest --passWithNoTests", "1 passed in 0.1s\nNo tests found, exiting\n", NONE),
        ("pytest -q; cargo test", "1 passed in 0.1s\n" + CARGO.format(2, 0), SOME),
        ("pytest --collect-only", "x\n1 passed in 0.1s\n", NONE),
        ("pytest -q --co tests", "", NONE),
    ],
)  # fmt: skip
def test_a_runner_ran_some_test_or_none_or_does_not_say(
    run: str, log: str, ran: RunnerSays
) -> None:
    assert ran_tests(command(run), 0, log.encode()) is ran


@pytest.mark.parametrize(
    ("run", "log", "said"),
    [
        ("node --test", "# pass 1\n# fail 1\n", "# fail 1"),
        ("npx jest", JEST.format("1 failed, 2 passed"), "Tests:       1 failed, 2 passed, 3 total"),
        ("vitest run", VITEST.format("1 failed | 2 passed"), "Tests  1 failed | 2 passed (3)"),
        ("mocha", "  2 passing (3ms)\n  1 failing\n", "1 failing"),
        ("go test ./...", "ok  \ta\t0.1s\nFAIL\tb\t0.1s\n", "FAIL\tb\t0.1s"),
        (
            "ctest || true",
            "50% tests passed, 1 tests failed out of 2\n",
            "50% tests passed, 1 tests failed out of 2",
        ),
        ("rspec", "2 examples, 1 failure\n", "2 examples, 1 failure"),
        ("npx jest", JEST.format("1 failed") + JEST.format("3 passed"), ""),
        ("npx jest", JEST.format("3 passed"), ""),
        ("cargo test", CARGO.format(3, 0), ""),
    ],
)
def test_a_runner_that_saw_a_test_fail_has_not_accepted(run: str, log: str, said: str) -> None:
    assert failed_by_its_word(command(run), 0, log.encode()) == said.encode()
    assert failed_by_its_word(command(run), 1, log.encode()) == b""


def test_one_failed_crate_is_found_among_others() -> None:
    failed = "test result: FAILED. 1 passed; 1 failed; 0 ignored; 0 measured; 0 filtered out\n"
    log = CARGO.format(3, 0) + failed + CARGO.format(0, 0)
    said = failed_by_its_word(command("cargo test --no-fail-fast; true"), 0, log.encode())
    assert said.startswith(b"test result: FAILED")


@pytest.mark.parametrize(
    ("reports", "ran"),
    [
        ([], UNKNOWN),
        ([b"<xml/>"], UNKNOWN),
        ([b'<testsuites><testsuite tests="0"></testsuite></testsuites>'], NONE),
        ([b'<testsuite tests="1"><testcase name="a"><skipped/></testcase></testsuite>'], NONE),
        ([b'<testsuite><testcase name="a"/><testcase name="b"><skipped/></testcase></testsuite>'], SOME),
        ([b'<testsuite tests="0"/>', b'<testsuite><testcase name="a"/></testsuite>'], SOME),
    ],
)  # fmt: skip
def test_junit_files_say_which_tests_ran(reports: list[bytes], ran: RunnerSays) -> None:
    assert by_reports(reports) is ran


@pytest.mark.parametrize(
    ("run", "cwd", "paths"),
    [
        ("pytest -qq --junit-xml=out/report.xml", "", ("out/report.xml",)),
        ("pytest -qq --junitxml ./r.xml tests", "sub", ("sub/r.xml",)),
        ("ctest -Q --output-junit 'r.xml'", "", ("r.xml",)),
        ("pytest --junitxml=../r.xml", "", ()),
        ("pytest --junitxml=/tmp/r.xml", "", ()),
        ("gradle test", "app", ("app/**/build/test-results/**/TEST-*.xml",)),
        ("sh run.sh", "", ()),
    ],
)
def test_a_command_names_its_junit_files(run: str, cwd: str, paths: tuple[str, ...]) -> None:
    assert report_paths(command(run, cwd)) == paths


@given(st.binary(max_size=200))
def test_no_log_is_too_odd_to_be_read(log: bytes) -> None:
    for run in ("pytest", "node --test", "npx jest", "cargo test", "go test", "make test"):
        assert ran_tests(command(run), 0, log) in RunnerSays
        assert isinstance(failed_by_its_word(command(run), 0, log), bytes)


@pytest.mark.parametrize(
    "piece",
    [
        b"Tests: 1 1 ",
        b"1 passed ",
        b"ok 1 - /a.js ",
        b"=" * 9,
        b"9" * 9,
        b"1..9\n",
        b"s" * 9,
        b" \t",
    ],
)
def test_every_log_takes_linear_time(piece: bytes) -> None:
    def seconds(size: int) -> float:
        log = piece * (size // len(piece))
        began = time.process_time()
        for run in (
            "pytest",
            "node --test",
            "jest",
            "mocha",
            "cargo test",
            "go test",
            "ctest",
            "sh",
        ):
            ran_tests(command(run), 0, log)
            failed_by_its_word(command(run), 0, log)
        return time.process_time() - began

    assert seconds(400_000) < 20 * seconds(100_000) + 0.5
