"""Start the command line: `factory …` and `python -m factory …`.

Rule: `--version` and `--help` are answered before anything else is imported. Does not know any
command: the face does.
"""

import os
import sys


def open_standard_streams() -> None:
    """Open each of standard input, output and error that is closed, on the null device.

    Python sets such a stream to None; and the next file that is opened would get its descriptor, so
    that a child's output, or ours, went into a file of evidence.
    """
    for descriptor, name in enumerate(("stdin", "stdout", "stderr")):
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # the lowest number that is free: this one
            os.set_inheritable(descriptor, True)
        if getattr(sys, name) is None:
            mode = "r" if name == "stdin" else "w"
            stream = open(descriptor, mode, encoding="utf-8", closefd=False)  # noqa: SIM115
            setattr(sys, name, stream)


def main() -> int:
    """Run the command line of this process; return its exit code."""
    open_standard_streams()
    if sys.argv[1:] == ["--version"]:
        from factory.version import __version__

        print(f"factory {__version__}")
        return 0
    if sys.argv[1:] in (["--help"], ["-h"]):
        from factory.commands.command_table import overview
        from factory.report.streams import tolerate, write_own

        tolerate(sys.stdout)
        write_own(sys.stdout, overview())
        return 0
    import gc

    # What a start makes stays; looking through it every 700 objects, as Python does by default,
    # takes a twentieth of the time of a small run.
    gc.set_threshold(100_000, 50, 50)
    from factory.commands.cli import main as run_command_line

    return run_command_line(sys.argv[1:])


if __name__ == "__main__":
    if not sys.flags.safe_path:
        # `-m` puts the current folder first; a repository's own `yaml.py` must not replace the
        # one installed.
        sys.path.append(sys.path.pop(0))
    raise SystemExit(main())
