"""`python in_another_place.py YEARS WORD…`: the command line, as another person at another time.

As root it becomes an ordinary user, to whom the current repository is given; for anybody else the
user stays. The clock that the orchestrator reads is YEARS ahead.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

from tests.sandbox_kit import ORDINARY_ID, become_ordinary_user


def shift_clock(seconds: float) -> None:
    real, formatted = time.time, "%Y-%m-%dT%H:%M:%S.000Z"
    time.time = lambda: real() + seconds
    from factory.files.clock import SystemClock

    SystemClock.utc = lambda self: time.strftime(formatted, time.gmtime(time.time()))  # type: ignore[method-assign]


def become_another(repository: Path) -> None:
    home = Path(os.environ["HOME"])
    os.environ["XDG_STATE_HOME"] = str(home)
    for folder in (repository, home):
        subprocess.run(["chown", "-R", f"{ORDINARY_ID}:{ORDINARY_ID}", str(folder)], check=True)
    mask = os.umask(0o022)  # for the folders that lead to what is needed
    become_ordinary_user(
        Path(sys.base_prefix), Path(sys.prefix), Path(__file__).parents[1], repository, home
    )
    os.umask(mask)
    os.chdir(repository)


def main() -> int:
    years, *words = sys.argv[1:]
    if os.geteuid() == 0:
        become_another(Path.cwd())
    shift_clock(int(years) * 365.25 * 86_400)
    from factory.commands.cli import main as command_line

    return command_line(words)


if __name__ == "__main__":
    sys.exit(main())
