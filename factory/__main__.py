"""Start the command line: `factory …` and `python -m factory …`.

Rule: `--version` and `--help` are answered before anything else is imported. Does not know any
command: the face does.
"""

import sys


def main() -> int:
    """Run the command line of this process; return its exit code."""
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
