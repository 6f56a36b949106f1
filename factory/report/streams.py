"""Lines out of this process: whatever the stream's encoding is, and whether or not anybody still
reads.

Rule: imports nothing that costs; takes only lines that were made inert (`model.inert`,
`report.terminal`), or that stand in our own source.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import TYPE_CHECKING, TextIO

if TYPE_CHECKING:
    from factory.model.inert import Shown, WorkflowCommand


def tolerate(stream: TextIO) -> None:
    """Let the stream replace what its encoding lacks, instead of raising in the middle of a
    report.
    """
    reconfigure = getattr(stream, "reconfigure", None)
    if reconfigure is not None:
        reconfigure(errors="replace")


def write_lines(stream: TextIO, lines: Iterable[Shown]) -> bool:
    """Print lines at once; False where they did not get through. None is a command to a CI runner.

    Nobody reads any more (a closed pipe): that must not change an exit code. Anything else (a full
    disk) stays in the buffer, and `unwritten` says so at the end. No credential gets through.
    """
    from factory.report.veil import veiled

    text = veiled("".join(f"{line}\n" for line in lines))
    if "::" in text or "##" in text:
        from factory.model.inert import Shown, no_command

        text = no_command(Shown(text))
    return _written(stream, text)


def write_own(stream: TextIO, text: str) -> bool:
    """Print a text that stands in this program's source: no pack and no environment has a part in
    it. Loads nothing.
    """
    return _written(stream, f"{text}\n")


def write_commands(stream: TextIO, commands: Iterable[WorkflowCommand]) -> bool:
    """Print commands to a CI runner, and nothing else; as `write_lines`."""
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
    """Wait; False, at once, when the reader of a pipe has gone. Where that cannot be asked, the
    wait is all.
    """
    import select
    import time

    try:
        poll = select.poll()
        poll.register(stream.fileno(), 0)  # an error is told without being asked for
    except (AttributeError, OSError, ValueError):
        time.sleep(seconds)
        return True
    return not poll.poll(seconds * 1000)


def unwritten(stream: TextIO) -> str:
    """Why something that was printed cannot be written, at the end of a process; "" where all is,
    or nobody reads.
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
    """What to say on standard error where `unwritten` gave a reason."""
    return (
        f"expected to write to standard output, found: {why}; evidence that was made is whole:"
        " factory print-report"
    )


def _turn_away(stream: TextIO) -> None:
    """Send what is still buffered nowhere: at its exit the interpreter would complain, and end with
    120.
    """
    try:
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, stream.fileno())
        os.close(nowhere)
    except (OSError, ValueError):
        return  # a stream without a descriptor has nothing left to lose
