"""`run_cards`, the command line's way into the same graph, and `factory.dodo` where no pipeline can
be made.
"""

from __future__ import annotations

import io
import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from factory.engine.driver import Driver
from factory.engine.oneshot import run_cards
from factory.model.card import Closing
from factory.model.errors import Interrupted, Refusal, UsageError
from factory.model.verdict import Status
from factory.report.progress import PlainProgress
from factory.report.terminal import Palette
from tests.integration.engine_project import PATIENCE, Project
from tests.integration.filing_pipeline import FilingPipeline

SCRIPT = """\
import io, sys, time
from pathlib import Path
from factory.engine.driver import Driver
from factory.engine.oneshot import run_cards
from factory.report.progress import PlainProgress
from factory.report.terminal import Palette
from factory.model.errors import FactoryError
from tests.integration.filing_pipeline import FilingPipeline

root = Path.cwd()
display = PlainProgress(sys.stdout, Palette(False), time.monotonic)
database = root / ".factory" / "state" / "doit.sqlite3"
try:
    closing = run_cards(Driver(lambda: FilingPipeline(root)), sys.argv[2:], int(sys.argv[1]), display, database)
except FactoryError as error:
    print(error)
    sys.exit(error.exit_code)
sys.exit(closing.status.exit_code)
"""

# A plug-in for doit's `run`, as a hostile repository would name it in its own configuration.
PLUGIN = "import pathlib\npathlib.Path('pwned').write_text('x')\nfrom doit.cmd_run import Run\n"


def run_here(here: Project, *names: str, workers: int = 1) -> Closing:
    display = PlainProgress(io.StringIO(), Palette(False), lambda: 0.0)
    return run_cards(
        Driver(lambda: FilingPipeline(here.root)), names, workers, display, here.database
    )


@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize(
    ("first", "second", "status"),
    [
        ("PASS", "PASS", Status.PASS),
        ("PASS", "BLOCKED", Status.BLOCKED),
        ("CRASH", "BLOCKED", Status.FAIL),
    ],
)
def test_the_last_word_is_given_back(
    tmp_path: Path, workers: int, first: str, second: str, status: Status
) -> None:
    here = Project(tmp_path, **{"A-1": first, "B-2": second})
    assert run_here(here, workers=workers).status is status
    assert len(here.told("closed")) == 1


def test_doit_and_the_command_line_share_one_memory(tmp_path: Path) -> None:
    here = Project(tmp_path, **{"A-1": "PASS", "B-2": "PASS"})
    closing = run_here(here, "launch")
    assert closing == Closing(Status.PASS, ("PASS  3 executed of 3",))
    assert here.run("launch") == (0, [])
    here.write("A-1", "PASS again")
    assert here.run("launch") == (0, ["launch:A-1"])
    assert run_here(here, "launch").lines == ("PASS  0 executed of 3",)


def test_an_unknown_name_is_a_usage_error_with_the_nearest(tmp_path: Path) -> None:
    here = Project(tmp_path, **{"A-1": "PASS"})
    with pytest.raises(
        UsageError, match=r"^expected the name of a task, found 'lanch'; did you mean launch\?$"
    ):
        run_here(here, "lanch")
    with pytest.raises(UsageError, match="found 'x=y'; `doit list --all` shows every name"):
        run_here(here, "x=y")
    assert not here.told("begun")


def test_a_lock_that_is_held_is_a_refusal_before_anything_runs(tmp_path: Path) -> None:
    here = Project(tmp_path, **{"A-1": "PASS"})
    holder = FilingPipeline(tmp_path)
    holder.begin(PlainProgress(io.StringIO(), Palette(False), lambda: 0.0))
    try:
        with pytest.raises(Refusal, match="has the run lock") as caught:
            run_here(here)
    finally:
        holder.abandon("test over")
    assert caught.value.findings[0].id == "LOCKED"
    assert not here.told("executed")


def test_an_interrupt_is_told_as_such(tmp_path: Path) -> None:
    here = Project(tmp_path, **{"A-1": "INTERRUPT"})
    with pytest.raises(Interrupted) as caught:
        run_here(here)
    assert caught.value.exit_code == 130
    assert here.told("abandoned") == ["interrupted"]


def test_signals_are_as_before_afterwards(tmp_path: Path) -> None:
    before = dispositions()
    run_here(Project(tmp_path, **{"A-1": "PASS"}))
    assert dispositions() == before
    assert signal.set_wakeup_fd(-1) == -1


def dispositions() -> dict[int, object]:
    return {number: signal.getsignal(number) for number in signal.valid_signals()}


@pytest.mark.parametrize("workers", ["1", "2"])
def test_a_polite_stop_reaches_the_command_line_too(tmp_path: Path, workers: str) -> None:
    here = Project(tmp_path, **{"A-1": "SLEEP"})
    (tmp_path / "drive.py").write_text(SCRIPT, encoding="utf-8")
    process = subprocess.Popen(
        [sys.executable, "drive.py", workers],
        cwd=tmp_path,
        env=here.env(),
        stdout=subprocess.PIPE,
        encoding="utf-8",
    )
    here.wait_for("sleeping")
    process.terminate()
    out, _err = process.communicate(timeout=PATIENCE)
    assert process.returncode == 130
    assert out.endswith("interrupted: what is finished is kept; run it again to go on\n")
    assert here.told("abandoned") == ["interrupted"]


@pytest.mark.linux
def test_a_stop_that_comes_just_before_a_wait_is_heard(tmp_path: Path) -> None:
    here = Project(tmp_path, **{"A-1": "STOP"})
    (tmp_path / "drive.py").write_text(SCRIPT, encoding="utf-8")
    ended = here.python("drive.py", "2")
    assert (ended.returncode, ended.stderr) == (130, "")
    assert ended.stdout.endswith("interrupted: what is finished is kept; run it again to go on\n")
    assert here.doit("-n", "2", "oneshot").returncode == 130
    assert here.told("abandoned") == ["interrupted", "interrupted"]


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("pyproject.toml", '[tool.doit.plugins.command]\nrun = "pwn:Run"\n'),
        (
            "doit.cfg",
            (
                "[COMMAND]\nrun = pwn:Run\n[BACKEND]\nfactory-durable ="
                " codex_orchestrator_doit:DurableSqliteDB\n"
            ),
        ),
    ],
)
def test_configuration_in_the_current_folder_is_never_executed(
    tmp_path: Path, name: str, text: str
) -> None:
    here = Project(tmp_path, **{"A-1": "PASS"})
    (tmp_path / "drive.py").write_text(SCRIPT, encoding="utf-8")
    (tmp_path / "pwn.py").write_text(PLUGIN, encoding="utf-8")
    (tmp_path / name).write_text(text, encoding="utf-8")
    ended = here.python("drive.py", "2", "oneshot")
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert not (tmp_path / "pwned").exists()
    here.doit("oneshot")
    assert (tmp_path / "pwned").exists(), (
        "the trap must work on stock doit, or this test shows nothing"
    )


REFUSING = """\
import sys, types

import factory.engine

def pipeline(start, flags):
    {body}

factory.engine.wiring = sys.modules["factory.engine.wiring"] = types.ModuleType("factory.engine.wiring")
factory.engine.wiring.pipeline = pipeline

from factory.dodo import DOIT_CONFIG, task_factory
"""


def refusing(root: Path, body: str) -> Project:
    here = Project(root)
    (root / "dodo.py").write_text(REFUSING.format(body=body), encoding="utf-8")
    return here


def test_without_a_pipeline_there_is_one_task_that_says_why(tmp_path: Path) -> None:
    body = (
        "from factory.model.errors import Refusal; from factory.model.finding import Finding; raise"
        " Refusal(Finding('REPO_NOT_FOUND', {'case': 'gone'}))"
    )
    here = refusing(tmp_path, body)
    listed = here.doit("list", "--all")
    assert (listed.returncode, len(listed.stdout.splitlines())) == (0, 10)
    assert not (tmp_path / ".factory").exists()
    for words in (("oneshot",), (), ("launch",), ("-n", "2", "integrate")):
        ended = here.doit(*words)
        assert ended.returncode == 2
        assert (
            "REPO_NOT_FOUND  expected to be in a folder, found that the current one is gone; change to"
            " one that exists" in ended.stdout
        )
        assert "Traceback" not in ended.stdout + ended.stderr
    assert not (tmp_path / ".factory").exists()


def test_a_usage_error_of_the_wiring_is_blocked(tmp_path: Path) -> None:
    body = (
        "from factory.model.errors import UsageError; raise UsageError('expected a ref, found"
        " nothing')"
    )
    ended = refusing(tmp_path, body).doit("oneshot")
    assert ended.returncode == 2
    assert "CONFIG_INVALID  expected a ref, found nothing" in ended.stdout


def test_a_defect_of_the_wiring_is_fail(tmp_path: Path) -> None:
    here = refusing(tmp_path, "raise ValueError('a defect')")
    assert here.doit("list").returncode == 0
    ended = here.doit("oneshot")
    assert ended.returncode == 1
    assert "CRASH  expected the tasks to be made, found ValueError: a defect (" in ended.stdout
    assert "Traceback" not in ended.stdout + ended.stderr


@pytest.mark.parametrize(
    ("words", "flags"), [((), {}), (("base_ref=main",), {"base_ref": "main"}), (("other=1",), {})]
)
def test_the_base_ref_is_a_variable_of_doit(
    tmp_path: Path, words: tuple[str, ...], flags: dict[str, str]
) -> None:
    body = (
        "import json, pathlib; pathlib.Path('flags').write_text(json.dumps([str(start), flags]));"
        " raise ValueError"
    )
    refusing(tmp_path, body).doit(*words, "preflight")
    assert json.loads((tmp_path / "flags").read_text(encoding="utf-8")) == [str(tmp_path), flags]
