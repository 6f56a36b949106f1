"""What the end of a command means, and that a log never raises a verdict."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from factory.judge.acceptance import (
    EndedName,
    artifact_name_problem,
    check_record,
    failure_signature,
    judge_artifacts,
    judge_attempts,
    judge_command,
    judge_docs,
    judge_normalized,
)
from factory.judge.runner_words import RunnerSays, ran_tests
from factory.model.command_kind import CommandKind
from factory.model.evidence import AttemptRecord
from factory.model.finding import Finding
from factory.model.pack import Artifacts, Command, Constraints, Limits, Network
from tests.pack_values import CHECK, STEP, pack, tree

ROOT = Path(__file__).parents[3]


def judge(
    command: Command, rc: int = 0, ended: EndedName = "exited", full: bool = False, log: bytes = b""
) -> tuple[Finding, ...]:
    return judge_command(pack(), command, rc, ended, full, log, Limits(timeout=9, disk=7))


def sentence(findings: tuple[Finding, ...]) -> str:
    assert len(findings) == 1
    return f"{findings[0].id} {findings[0].message} @ {findings[0].location} > {findings[0].hint}"


@pytest.mark.parametrize(
    ("log", "said"),
    [
        (b"curl: (6) Could not resolve host: a.example\n", "Could not resolve host"),
        (b"npm error code EAI_AGAIN\nnpm error more\n", "EAI_AGAIN"),
        (b"ERROR: No matching distribution found for ruff\n", "No matching distribution found"),
        (b"make: *** No rule\n", ""),
    ],
)
def test_a_failure_for_want_of_a_network_names_what_allows_it(log: bytes, said: str) -> None:
    (step,), (check,) = judge(STEP, rc=6, log=log), judge(CHECK, rc=6, log=log)
    for found in (step, check):
        assert found.facts["case"] == ("network" if said else "rc")
        assert found.facts.get("said", "") == said
        assert ("allow_network" in found.remedy and "DEPENDENCIES.md" in found.remedy) is bool(said)
    assert ("allow_network: true in acceptance.yml" in check.remedy) is bool(said)
    open_to = replace(pack(), constraints=Constraints(network=Network(hosts=("a.example",))))
    limits = Limits(timeout=9, disk=7)
    for command, case in ((STEP, "rc"), (CHECK, "network" if said else "rc")):
        (found,) = judge_command(open_to, command, 6, "exited", False, log, limits)
        assert found.facts["case"] == case


TASK, ACCEPTANCE = "taskpacks/T-1-x/task.yml:7", "taskpacks/T-1-x/acceptance.yml:2"
READ = "Read it with: factory print-report --pack T-1 --log"


@pytest.mark.parametrize(
    ("command", "how", "expected"),
    [
        (
            STEP,
            {"rc": 3},
            f"STEP_FAILED step-1 `make` ended with 3 @ {TASK} > {READ} step-1",
        ),
        (
            CHECK,
            {"rc": 1, "log": b"one\n two \n\n"},
            (f"CHECK_FAILED tests-1 `run` ended with 1 @ {ACCEPTANCE} > {READ} tests-1"),
        ),
        (
            CHECK,
            {"rc": 1, "log": b"\x1b[2J@x"},
            (f"CHECK_FAILED tests-1 `run` ended with 1 @ {ACCEPTANCE} > {READ} tests-1"),
        ),
        (
            STEP,
            {"rc": 137, "ended": "timeout"},
            (
                f"LIMIT_TIME step-1 `make` ran longer than allowed; expected at most 9 seconds (limits.timeout) @ {TASK}"
                " > Raise limits.timeout if that is what it needs."
            ),
        ),
        (
            replace(STEP, timeout=2),
            {"rc": 137, "ended": "timeout"},
            (
                "LIMIT_TIME step-1 `make` ran longer than allowed; expected at most 2 seconds (its"
                f" own timeout) @ {TASK} > Raise the timeout of step-1 if that is what it needs."
            ),
        ),
        (
            STEP,
            {"rc": 137, "ended": "memory"},
            (
                "LIMIT_MEMORY step-1 `make` used more memory than allowed; expected at most"
                f" {2 << 30} bytes (limits.memory) @ {TASK} > Raise limits.memory if that is what it needs."
            ),
        ),
        (
            STEP,
            {"rc": 137, "ended": "output"},
            (
                f"LIMIT_OUTPUT step-1 `make` printed more than allowed; expected at most {16 << 20} bytes (limits.output)"
                f" @ {TASK} > Raise limits.output if that is what it needs."
            ),
        ),
        (
            STEP,
            {"rc": 1, "full": True},
            (
                f"LIMIT_DISK step-1 `make` ran out of space; expected at most 7 bytes (limits.disk) @ {TASK} > "
                "Raise limits.disk if that is what it needs."
            ),
        ),
        (
            CHECK,
            {"log": b"Ran 0 tests in 0.000s\n\nOK\n"},
            (
                "CHECK_RAN_NO_TEST tests-1 `run` ran no test; a check that tests "
                f"nothing accepts nothing @ {ACCEPTANCE} "
                "> Point it at tests that exist."
            ),
        ),
    ],
)
def test_every_way_to_end_badly_has_its_sentence(
    command: Command, how: dict[str, object], expected: str
) -> None:
    assert sentence(judge(command, **how)) == expected  # type: ignore[arg-type]


def test_where_inputs_narrow_the_view_the_hint_says_that_they_may_hide_the_tests() -> None:
    narrow, log = replace(pack(), inputs=("src/**",)), b"Ran 0 tests in 0.000s\n\nOK\n"
    (finding,) = judge_command(narrow, CHECK, 0, "exited", False, log, Limits())
    assert finding.id == "CHECK_RAN_NO_TEST"
    assert finding.hint == "Point it at tests that exist; inputs in task.yml may hide them."


def test_a_long_command_is_shortened_in_its_sentence() -> None:
    (finding,) = judge(replace(STEP, run="echo " * 60), rc=1)
    assert (
        finding.message.startswith(f"step-1 `{'echo ' * 19}echo…` ended")
        or len(finding.message) < 130
    )


def test_success_says_nothing() -> None:
    assert judge(STEP) == ()
    assert judge(CHECK, log=b"3 passed in 0.1s") == ()
    assert judge(STEP, full=True) == ()  # the disk was filled and tidied up: nobody failed


NOTHING = [
    b"Ran 0 tests in 0.000s\n\nOK\n",
    b"x\n=========== no tests ran in 0.01s ===========\n",
    b"no tests ran in 0.01s",
    b"collected 0 items\n",
    b"No tests found, exiting with code 0\n",
    b"testing: warning: no tests to run\nPASS\n",
]


@pytest.mark.parametrize("log", NOTHING)
def test_a_runner_that_says_so_ran_nothing(log: bytes) -> None:
    assert ran_tests(CHECK, 0, log) is RunnerSays.NONE
    assert ran_tests(replace(CHECK, kind=CommandKind.LINT), 0, log) is RunnerSays.SOME
    assert ran_tests(CHECK, 1, log) is RunnerSays.SOME


@pytest.mark.parametrize(
    "log", [b"Ran 3 tests in 0.1s", b"said: no tests ran in x", b"collected 10 items", b""]
)
def test_other_words_are_no_sign(log: bytes) -> None:
    assert ran_tests(CHECK, 0, log) is RunnerSays.SOME


@pytest.mark.parametrize(
    ("run", "expected"),
    [
        ("pytest", True),
        ("cd x && pytest -q", True),
        ("python -m pytest tests", True),
        ("/usr/bin/py.test a", True),
        ("make pytest-thing", False),
        ("exit 5", False),
    ],
)
def test_pytests_own_code_for_nothing_is_known_wherever_pytest_runs(
    run: str, expected: bool
) -> None:
    for kind in CommandKind:
        found = ran_tests(replace(CHECK, run=run, kind=kind), 5, b"")
        assert (found is RunnerSays.NONE) is expected


@given(st.sampled_from(list(CommandKind)), st.integers(1, 255), st.binary(max_size=60))
def test_no_log_makes_a_failure_good(kind: CommandKind, rc: int, log: bytes) -> None:
    assert any(finding.blocks for finding in judge(replace(CHECK, kind=kind), rc=rc, log=log))


def test_documents_that_must_exist() -> None:
    asked = pack(docs_required=("docs/a.md", "docs"))
    assert judge_docs(asked, tree({"docs/a.md": "x"})) == ()
    assert [sentence((finding,)) for finding in judge_docs(asked, tree({}))] == [
        f"DOCS_MISSING docs.required names {path}; expected that file, found none @"
        " taskpacks/T-1-x/task.yml:8:5 > Write it, or remove it from docs.required."
        for path in ("docs/a.md", "docs")
    ]


def test_artifacts_that_are_missing_or_unsafe() -> None:
    asked = pack(artifacts=Artifacts(required=("out/*.js", "log"), optional=("more",)))
    assert judge_artifacts(asked, ["out/a.js", "log"], ()) == ()
    assert (
        sentence(judge_artifacts(asked, ["out/x/a.js", "log"], ()))
        == "ARTIFACT_MISSING expected the required artifact out/*.js, found none @"
        " taskpacks/T-1-x/task.yml:6:5 > Produce it in a step or a check; a pattern without a"
        " leading / is below the pack's folder."
    )
    assert (
        sentence(judge_artifacts(asked, ["out/a.js", "log"], [("b\n", "is not a plain file")]))
        == "ARTIFACT_UNSAFE artifact b\\u000a is not a plain file @ None > Write plain files."
    )


@pytest.mark.parametrize(
    ("path", "problem"),
    [
        ("out/a", ""),
        ("../a", "leaves the workspace"),
        ("out/.GIT/x", "contains a name that reads as .git"),
        ("out/a\n", "contains a control character"),
    ],
)
def test_an_artifact_is_carried_only_under_a_plain_name(path: str, problem: str) -> None:
    assert artifact_name_problem(path) == problem


def record(number: int, status: str, tree_id: str, failure: str = "") -> AttemptRecord:
    return AttemptRecord(number=number, status=status, result_tree=tree_id, failure=failure)  # type: ignore[arg-type]


def test_a_failure_is_named_by_label_code_and_log() -> None:
    bad = check_record(CHECK, 1, "exited")
    signatures = {
        failure_signature([(check_record(STEP, 0, "exited"), b""), (bad, b"x")]),
        failure_signature([(bad, b"y")]),
        failure_signature([(check_record(CHECK, 2, "exited"), b"x")]),
        failure_signature([(check_record(STEP, 1, "exited"), b"x")]),
    }
    assert len(signatures) == 4
    assert failure_signature([(bad, b"x")]) == failure_signature([(bad, b"x"), (bad, b"later")])
    assert failure_signature([(check_record(STEP, 0, "exited"), b"x")]) == ""


def test_flaky_is_a_failure_and_a_pass_on_one_tree() -> None:
    asked = pack()
    twice = [record(1, "BLOCKED", "t"), record(2, "BLOCKED", "t")]
    assert judge_attempts(asked, [record(1, "PASS", "t")], 3, "block") == ()
    assert judge_attempts(asked, twice, 3, "block") == ()
    found = judge_attempts(asked, [record(1, "BLOCKED", "t"), record(2, "PASS", "t")], 3, "allow")
    assert (
        sentence(found)
        == "FLAKY acceptance failed and then passed on an identical tree; a retry proves nothing @ "
        "taskpacks/T-1-x/task.yml:1:1 > Make the check deterministic."
    )


UNITTEST = replace(CHECK, run="python -m unittest discover -s tests")


@pytest.mark.parametrize(
    ("log", "expected"),
    [
        (b"Ran 3 tests in 0.01s\n\nOK\n", False),
        (b"Ran 0 tests in 0.000s\n\nOK\n", True),
        (b"Ran 2 tests in 0.000s\n\nOK (skipped=2)\n", True),
        (b"Ran 2 tests in 0.000s\n\nOK (skipped=1)\n", False),
        (b"Ran 2 tests in 0.000s\n\nOK (expected failures=1, skipped=1)\n", False),
        (b"\x1b[1mRan 1 test in 0.000s\x1b[0m\n\n\x1b[32mOK\x1b[0m\n", False),
        (
            b"Ran %b tests in 0.01s\n\nOK\n" % (b"9" * 5000),
            True,
        ),  # nobody has so many, and it is no number to Python
        (b"Ran 2 tests in 0.01s\n\nOK (skipped=%b)\n" % (b"0" * 5000), True),
        (b"", True),  # unittest always says what it ran
        (b"3 passed", True),
    ],
)
def test_unittest_must_say_that_it_ran_something(log: bytes, expected: bool) -> None:
    assert (ran_tests(UNITTEST, 0, log) is RunnerSays.NONE) is expected


def test_an_artifact_that_is_not_normal_is_a_warning_with_its_reason() -> None:
    finding, other = judge_normalized(
        pack(), [("out/a\x1b.zip", "it is no whole ZIP archive"), ("b", "it is damaged")]
    )
    assert (finding.id, finding.message, finding.pack) == (
        "ARTIFACT_NOT_NORMALIZED",
        "artifact out/a\\u001b.zip is collected as it was made: it is no whole ZIP archive",
        pack().id,
    )
    assert not finding.blocks
    assert other.message == "artifact b is collected as it was made: it is damaged"
    assert judge_normalized(pack(), ()) == ()


PYTEST = replace(CHECK, run="python -m pytest -q tests")


@pytest.mark.parametrize(
    ("log", "expected"),
    [
        (b"..\n2 passed in 0.01s\n", RunnerSays.SOME),
        (b"=== 1 passed, 1 skipped, 2 warnings in 61.20s (0:01:01) ===\n", RunnerSays.SOME),
        (b"\x1b[32m\x1b[1m1 passed\x1b[0m\x1b[32m in 0.00s\x1b[0m\n", RunnerSays.SOME),
        (b"x\n1 xfailed in 0.02s\n", RunnerSays.SOME),
        (b"tests/test_a.py: 1\n\n1 test collected in 0.00s\n", RunnerSays.NONE),
        (b"s\n3 skipped in 0.02s\n", RunnerSays.NONE),
        (b"0 passed in 0.02s\n", RunnerSays.NONE),
        (b"4 passed in 0.1s\n2 skipped in 0.1s\n", RunnerSays.NONE),
        # twice quiet: letters alone
        (b"..s                        [100%]\n", RunnerSays.SOME),
        (b"\x1b[32m.\x1b[0m\x1b[33ms\x1b[0m\x1b[32m   [100%]\x1b[0m\n", RunnerSays.SOME),
        (b"bringing up nodes...\nbringing up nodes...\n\n.s.   [100%]\n", RunnerSays.SOME),
        (b"x\n", RunnerSays.SOME),
        (b"..s [3/3]\n", RunnerSays.SOME),
        (b"ss   [100%]\n", RunnerSays.NONE),
        (b"sss\n", RunnerSays.NONE),
        (b"", RunnerSays.UNKNOWN),
        (b"1 passed\n", RunnerSays.UNKNOWN),
        (b"all is well\n", RunnerSays.UNKNOWN),
    ],
)
def test_pytest_says_that_it_ran_something_or_nothing_can_be_said(
    log: bytes, expected: RunnerSays
) -> None:
    assert ran_tests(PYTEST, 0, log) is expected


@pytest.mark.parametrize(
    ("run", "log", "said"),
    [
        (
            PYTEST.run,
            b"F\n=== 1 failed, 2 passed in 0.02s ===\n",
            "=== 1 failed, 2 passed in 0.02s ===",
        ),
        (PYTEST.run, b"1 passed, 1 error in 0.02s\n", "1 passed, 1 error in 0.02s"),
        (
            "python -m unittest -v | tee log",
            b"Ran 2 tests in 0.1s\n\nFAILED (failures=1)\n",
            "FAILED (failures=1)",
        ),
    ],
)
def test_a_runner_that_says_that_tests_failed_is_believed_whatever_its_code(
    run: str, log: bytes, said: str
) -> None:
    command = replace(CHECK, run=run)
    (finding,) = judge(command, log=log)
    assert (finding.id, finding.message) == (
        "CHECK_FAILED",
        f"tests-1 `{run}` ended with 0, and its runner says: {said}",
    )
    assert judge(replace(command, run="make"), log=log) == ()


@pytest.mark.parametrize(
    ("run", "log"),
    [
        (PYTEST.run, b"an inner run: 1 failed in 0.1s\n3 passed in 0.2s\n"),
        (PYTEST.run, b"0 failed, 3 passed in 0.2s\n"),
        ("python -m unittest", b"FAILED (errors=1)\nRan 3 tests in 0.2s\n\nOK\n"),
    ],
)
def test_the_last_closing_line_counts(run: str, log: bytes) -> None:
    assert judge(replace(CHECK, run=run), log=log) == ()


JUDGED_AT_ONCE = """
import resource
resource.setrlimit(resource.RLIMIT_CPU, (60, 60))
from dataclasses import replace
from factory.judge.acceptance import judge_command
from factory.model.pack import Limits
from tests.pack_values import CHECK, STEP, pack

PARTS = [
    "1 passed ", "1 passed\\n", "1 passed in 1s ", "1 ", "1", " in 1", "= ", "=", "no tests ran in ", "Ran 1 test in ",
    "Ran 1 test in \\n", "OK (", "OK (a=1, ", "OK (\\n", "OK (skipped=1, ", "skipped=", "FAILED (", "\\n", "\\r",
    "\\x1b[0", "\\x1b[m", "\\\\", " ",
]
for part in PARTS:
    log = (part * ((1 << 18) // len(part))).encode()
    for run in ("python -m pytest", "python -m unittest", "make"):
        for rc in (0, 1):
            judge_command(pack(), replace(CHECK, run=run), rc, "exited", False, log, Limits())
print("judged")
"""


@pytest.mark.linux
def test_no_log_makes_its_judging_long() -> None:
    """Seconds of the processor where time grows with the log, hours where it grows with its
    square.
    """
    done = subprocess.run(
        [sys.executable, "-c", JUDGED_AT_ONCE], cwd=ROOT, capture_output=True, text=True
    )
    assert (done.returncode, done.stdout) == (0, "judged\n"), done.stderr[-2000:]


def test_a_last_line_of_any_length_is_told_short() -> None:
    (finding,) = judge(CHECK, rc=1, log=b"\\" * 500 + b"x" * 100_000)
    assert finding.facts["last"] == "\\" * 99 + "…"
    (finding,) = judge(CHECK, rc=1, log=b"y" * 100)
    assert finding.facts["last"] == "y" * 100


@pytest.mark.parametrize("blank", [0, 1, 1 << 14, 1 << 17])
@pytest.mark.parametrize("before", [b"", b"x\n", b"long " * 9000 + b"\n", b"a\x0bb\n"])
def test_the_last_line_of_a_long_log_is_found_from_its_end(before: bytes, blank: int) -> None:
    log = b"first\n" * 5000 + before + b" \n" * blank
    lines = [line.strip() for line in log.decode().splitlines() if line.strip()]
    (found,) = judge(STEP, rc=3, log=log)
    shown = lines[-1] if len(lines[-1]) <= 100 else lines[-1][:99] + "…"
    assert found.facts["last"] == shown


def test_a_pass_after_a_failed_attempt_is_remarked_or_blocked() -> None:
    tried = [record(1, "BLOCKED", "t"), record(2, "PASS", "u")]
    (remark,) = judge_attempts(pack(), tried, 3, "allow")
    assert (remark.id, remark.blocks) == ("RETRIED", False)
    assert remark.message == "attempts: 2 of 3: it passed after a failed attempt"
    (refusal,) = judge_attempts(pack(), tried, 3, "block")
    assert (refusal.id, refusal.blocks) == ("RETRY_BLOCKED", True)
    assert refusal.message == 'attempts: 2 of 3; policy says retry = "block"'
