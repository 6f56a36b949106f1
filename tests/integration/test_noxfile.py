"""The sessions' exit codes are the verdicts': nothing that failed, or never ran, looks green."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


def run_nox(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """Run our noxfile over another folder, so that what its sessions start can be chosen."""
    shutil.copy(ROOT / "noxfile.py", folder / "noxfile.py")
    # A nox around this test must not lend its own settings to the one inside.
    environment = {
        name: value for name, value in os.environ.items() if not name.startswith(("NOX", "PYTEST"))
    }
    return subprocess.run(
        [sys.executable, "-m", "nox", "--no-color", *words],
        cwd=folder,
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
    )


def write_stand_in(folder: Path, text: str) -> None:
    """Put another `factory` where `python -m` looks first."""
    (folder / "factory").mkdir()
    (folder / "factory" / "__init__.py").touch()
    (folder / "factory" / "__main__.py").write_text(text, "utf-8")


@pytest.mark.parametrize(("verdict", "expected"), [("0", 0), ("1", 1), ("2", 2), ("64", 64)])
def test_contract_ends_with_exactly_the_verdicts_code(
    tmp_path: Path, verdict: str, expected: int
) -> None:
    write_stand_in(
        tmp_path, f"import sys\nassert sys.argv[1:] == ['contract']\nsys.exit({verdict})\n"
    )
    assert run_nox(tmp_path, "-s", "contract").returncode == expected


@pytest.mark.linux
def test_contract_that_was_killed_is_a_fail(tmp_path: Path) -> None:
    write_stand_in(tmp_path, "import os, signal\nos.kill(os.getpid(), signal.SIGKILL)\n")
    assert run_nox(tmp_path, "-s", "contract").returncode == 1


def test_no_test_at_all_is_a_failure(tmp_path: Path) -> None:
    done = run_nox(tmp_path, "-s", "tests", "--", "-n", "0")
    assert done.returncode == 1
    assert "exit code 5" in done.stdout + done.stderr


def test_unknown_session_is_a_failure(tmp_path: Path) -> None:
    assert run_nox(tmp_path, "-s", "no-such-session").returncode != 0
