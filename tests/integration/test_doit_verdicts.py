"""Real `doit` processes end with the verdict: 0, 2, 1 or 130, whichever way the cards end and are
run.
"""

from __future__ import annotations

import signal
from pathlib import Path

import pytest

from tests.integration.engine_project import DODO, PATIENCE, Project

ALL = [
    "bundle-validate:A-1",
    "bundle-validate:B-2",
    "integrate",
    "launch:A-1",
    "launch:B-2",
    "preflight",
    "summary",
]


def project(root: Path, first: str = "PASS", second: str = "PASS") -> Project:
    return Project(root, **{"A-1": first, "B-2": second})


@pytest.mark.parametrize(
    "words", [("oneshot",), (), ("-n", "2", "oneshot"), ("-a",), ("-n", "2", "-v", "2")]
)
@pytest.mark.parametrize(
    ("first", "second", "code"),
    [
        ("PASS", "PASS", 0),
        ("PASS", "BLOCKED", 2),
        ("FAIL", "BLOCKED", 1),
        ("CRASH", "REFUSE", 1),
        ("EXIT", "PASS", 1),
    ],
)
def test_the_exit_code_is_the_verdict(
    tmp_path: Path, words: tuple[str, ...], first: str, second: str, code: int
) -> None:
    here = project(tmp_path, first, second)
    assert here.run(*words) == (code, ALL)
    assert len(here.told("begun")) == len(here.told("closed")) == 1
    assert not here.told("abandoned")


@pytest.mark.parametrize(
    ("word", "code"), [("PASS", 0), ("REFUSE", 2), ("BLOCKED", 2), ("FAIL", 1), ("CRASH", 1)]
)
@pytest.mark.parametrize("workers", [(), ("-n", "2")])
def test_one_selected_card_ends_with_its_own_verdict(
    tmp_path: Path, word: str, code: int, workers: tuple[str, ...]
) -> None:
    here = project(tmp_path, word, "FAIL")
    assert here.run(*workers, "launch:A-1") == (code, ["launch:A-1", "preflight"])
    assert list(here.last_closing()["selected"]) == ["preflight", "launch:A-1"]


def test_a_crash_is_told_in_one_line_and_the_report_is_still_made(tmp_path: Path) -> None:
    here = project(tmp_path, "CRASH", "REFUSE")
    ended = here.doit("oneshot")
    lines = ended.stdout.splitlines()
    crash = [line for line in lines if line.startswith("CRASH  ")]
    assert len(crash) == 1
    assert "launch:A-1" in crash[0]
    assert "ValueError: a pipeline's defect in two lines (" in crash[0]
    assert "filing_pipeline.py:" in crash[0]
    assert any(line.startswith("TOOL_MISSING  ") and "gcc" in line for line in lines)
    assert "summary" in here.last_closing()["executed"]


def test_a_result_that_json_cannot_hold_spoils_nothing(tmp_path: Path) -> None:
    here = project(tmp_path, "ODD", "PASS")
    assert here.run("oneshot")[0] == 0
    # Its key never matches; the others' state was kept.
    assert here.run("oneshot") == (0, ["bundle-validate:A-1", "launch:A-1"])


def test_a_card_that_writes_no_target_is_never_up_to_date(tmp_path: Path) -> None:
    here = project(tmp_path, "NOWRITE")
    assert here.run("launch:A-1") == (0, ["launch:A-1", "preflight"])
    assert here.run("launch:A-1") == (0, ["launch:A-1"])


def test_blocked_is_never_up_to_date_and_pass_stays(tmp_path: Path) -> None:
    here = project(tmp_path, "PASS", "BLOCKED")
    assert here.run("oneshot") == (2, ALL)
    assert here.run("-n", "2", "oneshot") == (2, ["integrate", "launch:B-2"])
    here.write("B-2", "PASS")
    assert here.run("oneshot") == (0, ["bundle-validate:B-2", "integrate", "launch:B-2", "summary"])
    assert here.run("oneshot") == (0, [])


@pytest.mark.linux
@pytest.mark.parametrize("workers", [(), ("-n", "2")])
@pytest.mark.parametrize("name", ["SIGTERM", "SIGINT", "SIGHUP"])
def test_a_polite_stop_saves_what_is_finished_and_abandons_the_run(
    tmp_path: Path, workers: tuple[str, ...], name: str
) -> None:
    here = project(tmp_path, "PASS", "SLEEP")
    process = here.start(*workers, "oneshot")
    here.wait_for("sleeping")
    here.wait_until_saved("launch:A-1")
    process.send_signal(getattr(signal, name))
    _out, err = process.communicate(timeout=PATIENCE)
    assert process.returncode == 130
    assert err == "interrupted: what is finished is kept; run it again to go on\n"
    assert here.told("abandoned") == ["interrupted"]
    assert not here.told("closed")
    here.write("B-2", "PASS")
    code, executed = here.run("oneshot")
    assert code == 0
    assert "preflight" not in executed
    assert "launch:A-1" not in executed


def test_an_interrupt_inside_a_card_passes(tmp_path: Path) -> None:
    here = project(tmp_path, "INTERRUPT")
    assert here.run("oneshot")[0] == 130
    assert here.told("abandoned") == ["interrupted"]
    assert here.run("-n", "2", "oneshot")[0] == 130


def test_finished_cards_outlive_sigkill(tmp_path: Path) -> None:
    here = project(tmp_path, "PASS", "SLEEP")
    process = here.start("oneshot")
    here.wait_for("sleeping")
    process.kill()
    process.communicate(timeout=PATIENCE)
    here.write("B-2", "PASS")
    assert here.run("oneshot") == (
        0,
        [name for name in ALL if name not in ("preflight", "launch:A-1")],
    )
    assert here.run("oneshot") == (0, [])


def test_a_second_run_is_refused_before_anything_runs(tmp_path: Path) -> None:
    here = project(tmp_path, "PASS", "SLEEP")
    first = here.start("oneshot")
    try:
        here.wait_for("sleeping")
        before = len(here.told("executed"))
        second = here.doit("-n", "2", "oneshot")
        assert second.returncode == 2
        assert second.stderr.startswith(
            "LOCKED  another run, which has executed nothing yet, has the"
        )
        assert second.stderr.count("\n") == 1
        assert second.stdout == ""
        assert here.executed_since(before) == []
    finally:
        first.terminate()
        first.communicate(timeout=PATIENCE)
    assert first.returncode == 130
    here.write("B-2", "PASS")
    code, executed = here.run("oneshot")
    assert code == 0
    assert "launch:A-1" not in executed


def test_a_pipeline_that_cannot_begin_is_fail_without_a_traceback(tmp_path: Path) -> None:
    here = project(tmp_path)
    (tmp_path / "dodo.py").write_text(
        DODO + "\n\ndef begin(self, progress):\n    raise OSError('no lock"
        " today')\n\nFilingPipeline.begin = begin\n",
        encoding="utf-8",
    )
    ended = here.doit("oneshot")
    assert ended.returncode == 1
    assert ended.stderr.startswith("expected the run to begin, found OSError: no lock today (")
    assert "Traceback" not in ended.stderr
    assert not here.told("executed")


def test_a_closing_that_crashes_is_fail_and_frees_the_lock(tmp_path: Path) -> None:
    here = project(tmp_path)
    (tmp_path / "dodo.py").write_text(
        DODO + "\n\ndef close(self, selected, executed):\n    raise OSError('disk gone')\n\n"
        "FilingPipeline.close = close\n",
        encoding="utf-8",
    )
    ended = here.doit("oneshot")
    assert ended.returncode == 1
    assert "CRASH  closing the run met OSError: disk gone (" in ended.stdout
    assert here.told("abandoned")[0].startswith("closing met OSError")


def test_an_ignored_card_is_blocked_until_it_is_forgotten(tmp_path: Path) -> None:
    here = project(tmp_path)
    here.run("oneshot")
    assert here.doit("ignore", "launch:A-1").returncode == 0
    ended = here.doit("oneshot")
    assert ended.returncode == 2
    assert (
        "not reached, so BLOCKED: launch:A-1, bundle-validate:A-1, integrate, summary; what `doit"
        " ignore`" in ended.stdout
    )
    here.doit("forget", "launch:A-1")
    assert here.run("oneshot") == (0, ["launch:A-1"])


def test_a_reader_that_leaves_does_not_change_the_verdict(tmp_path: Path) -> None:
    here = project(tmp_path, "BLOCKED")
    process = here.start("oneshot")
    assert process.stdout is not None
    process.stdout.close()
    assert process.wait(PATIENCE) == 2
    assert process.stderr is not None
    assert process.stderr.read() == ""
    process.stderr.close()


def test_threads_do_not_mix_up_the_streams(tmp_path: Path) -> None:
    here = project(tmp_path, "PRINT", "PRINT")
    ended = here.doit("-n", "2", "oneshot")
    printed = ended.stdout.splitlines()
    for pack in ("A-1", "B-2"):
        assert [
            line for line in printed if line.startswith(f"{pack} ") and line.split()[1].isdigit()
        ] == [f"{pack} {number}" for number in range(200)]
    assert printed[-1] == "PASS  7 executed of 7"


def test_own_tasks_of_a_project_live_beside_ours(tmp_path: Path) -> None:
    here = project(tmp_path)
    own = "\n\ndef task_mine():\n    return {'actions': [lambda: False]}\n"
    (tmp_path / "dodo.py").write_text(DODO + own, encoding="utf-8")
    alone = here.doit("mine")
    assert (alone.returncode, here.told("begun")) == (1, [])
    assert ".  mine\nTaskFailed - taskid:mine\nPython Task failed" in alone.stdout
    both = here.doit("mine", "oneshot")
    assert both.returncode == 1
    assert here.last_closing()["selected"].keys() == set(ALL)


def test_a_state_file_that_cannot_be_written_costs_only_time(tmp_path: Path) -> None:
    here = project(tmp_path)
    (tmp_path / "flat").write_text("a file where a folder is needed", encoding="utf-8")
    ended = here.doit("run", "--db-file", "flat/doit.sqlite3", "oneshot")
    assert ended.returncode == 0
    assert "note: flat/doit.sqlite3 could not be used (" in ended.stdout
    assert "Traceback" not in ended.stderr


def test_each_finished_card_is_on_disk_while_the_next_one_runs(tmp_path: Path) -> None:
    here = project(tmp_path, "PASS", "SLEEP")
    process = here.start("oneshot")
    try:
        here.wait_for("sleeping")
        here.wait_until_saved("launch:A-1")
        assert "launch:B-2" not in here.saved()
    finally:
        process.kill()
        process.communicate(timeout=PATIENCE)


def test_the_word_after_an_equals_sign_is_a_variable_not_a_task(tmp_path: Path) -> None:
    here = project(tmp_path)
    assert here.run("some=thing", "launch:A-1") == (0, ["launch:A-1", "preflight"])


def test_a_name_that_doit_refuses_becomes_a_fail_not_a_crash(tmp_path: Path) -> None:
    here = project(tmp_path)
    here.write("C=3", "PASS")
    code, executed = here.run("oneshot")
    assert (code, executed) == (1, [])
    assert "can't be the name of a task" in here.doit("launch").stdout
    assert here.doit("list").returncode == 0


def test_an_ascii_stream_is_no_reason_to_fail(tmp_path: Path) -> None:
    here = project(tmp_path)
    ended = here.doit("list", PYTHONIOENCODING="ascii")
    assert ended.returncode == 0
    assert "preflight ? launch" in ended.stdout
