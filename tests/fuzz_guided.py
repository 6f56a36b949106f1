"""The targets of `tests.fuzz_targets` under atheris: libFuzzer, guided by the coverage of our
parsers.

    python -m tests.fuzz_guided SECONDS [TARGET …]    each for so long, one after the other; ends with 1 at a find
    python -m tests.fuzz_guided --one TARGET [OPTION …]    one target, with options of libFuzzer

Atheris is no dependency of the project: the session `fuzz` fetches it into a folder of its own.
"""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
from pathlib import Path

_SLOWEST = 20  # seconds that one input may take
_UNITS = re.compile(r"stat::number_of_executed_units: (\d+)")


def fuzz(name: str, options: list[str]) -> None:
    """One target until libFuzzer ends the process."""
    import atheris

    with atheris.instrument_imports(include=["factory"]):
        from tests.fuzz_targets import BY_NAME
    atheris.Setup(["fuzz", *options], BY_NAME[name])
    atheris.Fuzz()


def fuzz_each(seconds: int, chosen: list[str]) -> int:
    """Every target, or the chosen ones, in processes of their own; prints how often each was
    tried.
    """
    from tests.fuzz_targets import BY_NAME

    tried = 0
    for name in chosen or list(BY_NAME):
        with tempfile.TemporaryDirectory(prefix="fuzz-") as folder:
            for number, seed in enumerate(BY_NAME[name].seeds):
                (Path(folder) / f"seed-{number}").write_bytes(seed)
            bounds = (
                f"-max_total_time={seconds}",
                f"-timeout={_SLOWEST}",
                "-max_len=4096",
                "-print_final_stats=1",
            )
            words = (sys.executable, "-m", "tests.fuzz_guided", "--one", name, folder, *bounds)
            done = subprocess.run(
                [*words, f"-artifact_prefix={folder}/"], stderr=subprocess.PIPE, text=True
            )
        units = _UNITS.search(done.stderr)
        if done.returncode or units is None:
            print(done.stderr[-6000:])  # noqa: T201  the find: traceback and input
            print(f"{name}: an input was found that its parser does not hold")  # noqa: T201
            return 1
        tried += int(units[1])
        print(f"{name:<18} {int(units[1]):>9} executions", flush=True)  # noqa: T201  the figures of the session
    print(f"{tried} executions, nothing found")  # noqa: T201
    return 0


if __name__ == "__main__":
    if sys.argv[1] == "--one":
        fuzz(sys.argv[2], sys.argv[3:])
    else:
        sys.exit(fuzz_each(int(sys.argv[1]), sys.argv[2:]))
