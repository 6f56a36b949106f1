"""The same hostile commands for an ordinary user, when the suite itself runs as root."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from tests import sandbox_kit
from tests.sample import sample

pytestmark = pytest.mark.linux

FILES = (
    *(
        "test_sandbox_hostile.py",
        "test_sandbox_session.py",
        "test_sandbox_stage.py",
        "test_sandbox_network.py",
    ),
    *("test_denied.py", "test_sandbox_ladder.py", "test_sandbox_calls.py"),
)


@pytest.mark.parametrize("name", sample(FILES[:1], FILES[1:]))
def test_the_sandbox_holds_for_an_ordinary_user(name: str) -> None:
    if os.geteuid() != 0:
        assert os.geteuid() != 0  # then the files themselves ran as one
        return
    root = Path(__file__).parents[2]
    with tempfile.TemporaryDirectory(prefix="user-") as folder:
        os.chown(folder, sandbox_kit.ORDINARY_ID, sandbox_kit.ORDINARY_ID)
        words = [
            "-q",
            "-p",
            "no:cacheprovider",
            f"--basetemp={folder}/tmp",
            f"tests/integration/{name}",
        ]
        ended = subprocess.run(
            [sys.executable, "-m", "tests.sandbox_kit", folder, *words],
            cwd=root,
            capture_output=True,
            text=True,
            check=False,
        )
    assert ended.returncode == 0, ended.stdout[-5000:] + ended.stderr[-2000:]
    assert " passed" in ended.stdout
