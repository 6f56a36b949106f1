"""Print lines to a stream, whatever its encoding is and even if its reader has gone.

Rule: imports nothing slow; takes only inert lines (`model.inert`, `report.terminal`) or literals of
this program's source.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import TYPE_CHECKING, TextIO

if TYPE_CHECKING:
    from factory.model.inert import Shown, WorkflowCommand


def tolerate(stream: TextIO) -> None:
    """Make the stream replace characters that its encoding lacks, instead of raising."""
    reconfigure = getattr(stream, "reconfigure", None)
    if reconfigure is not None:
        reconfigure(errors="replace")


def write_lines(stream: TextIO, lines: Iterable[Shown]) -> bool:
    """Print lines at once, without credentials and CI runner commands. Return False if that failed.

    A closed pipe must not change an exit code, so nothing is raised. After another error (a full
    disk) the text stays in the buffer, and `unwritten` reports it at the end.
    """
    from factory.report.veil import veiled

    text = veiled("".join(f"{line}\n" for line in lines))
    if "::" in text or "##" in text:
        from factory.model.inert import Shown, no_command

        text = no_command(Shown(text))
    return _written(stream, text)


def write_own(stream: TextIO, text: str) -> bool:
    """Print a literal of this program's source and a line feed; return False if that failed.

    Such a text contains nothing of a pack or the environment, so the redactor need not be loaded.
    """
    return _written(stream, f"{text}\n")


def write_commands(stream: TextIO, commands: Iterable[WorkflowCommand]) -> bool:
    """Print commands to a CI runner, and nothing else; return False if that failed."""
    from factory.report.veil import veiled

    return _written(stream, veiled("".join(f"{command}\n" for command in commands)))


def _written(stream: TextIO, text: str) -> bool:
    try:
        stream.write(text)
        stream.flush()
    except (BrokenPipeError, ValueError):
        _turn_away(stream)
        return False
    except OSError:
        return False
    return True


def still_read(stream: TextIO, seconds: float) -> bool:
    """Wait `seconds`. Return False at once if the reader of the pipe has gone.

    On a stream that cannot be polled, only wait and return True.
    """
    import select
    import time

    try:
        poll = select.poll()
        poll.register(stream.fileno(), 0)  # POLLERR is always reported, also with an empty mask
    except (AttributeError, OSError, ValueError):
        time.sleep(seconds)
        return True
    return not poll.poll(seconds * 1000)


def unwritten(stream: TextIO) -> str:
    """Flush at the end of the process. Return why output was lost; "" if all is written or nobody
    reads.
    """
    try:
        stream.flush()
    except (BrokenPipeError, ValueError):
        _turn_away(stream)
    except OSError as error:
        _turn_away(stream)
        return error.strerror or "it cannot be written"
    return ""


def lost(why: str) -> str:
    """Return the line for standard error after `unwritten` gave a reason."""
    return (
        f"expected to write to standard output, found: {why}; evidence that was made is whole:"
        " factory print-report"
    )


def _turn_away(stream: TextIO) -> None:
    """Redirect the stream to /dev/null; else the interpreter's own flush would fail and exit with
    120.
    """
    try:
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, stream.fileno())
        os.close(nowhere)
    except (OSError, ValueError):
        return  # a stream without a descriptor has nothing left to lose
