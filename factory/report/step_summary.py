"""Append a run's report to the summary of a GitHub job, where the runner names a file for it.

The report is Markdown in which nothing of a pack acts (`model.inert`). A summary is for reading:
what goes wrong here is one clause for a warning, and never changes a verdict.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping

from factory.report.veil import veiled

VARIABLE = "GITHUB_STEP_SUMMARY"
MOST_BYTES = 1 << 20  # GitHub shows nothing of a step whose file is larger
# Without O_CREAT: the runner made the file. O_NONBLOCK: nobody may read a pipe of that name.
_FLAGS = os.O_WRONLY | os.O_APPEND | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_CLOEXEC", 0)
_CUT = "\n\n… the whole report is FINAL_REPORT.md of the run\n"


def append_summary(environ: Mapping[str, str], report: bytes) -> str:
    """Append `report` to the file that the runner names, cut at a line where it would have more
    than MOST_BYTES. Return "" if that was done or nobody asked for it, else why it failed.
    """
    name = environ.get(VARIABLE, "")
    if not name:
        return ""
    try:
        file = os.open(name, _FLAGS)
    except (OSError, ValueError) as error:
        return f"{VARIABLE} cannot be opened: {getattr(error, 'strerror', error)}"
    try:
        there = os.fstat(file)
        if not stat.S_ISREG(there.st_mode):
            return f"{VARIABLE} names no plain file"
        left = memoryview(within(veiled(report.decode("utf-8", "replace")), there.st_size))
        while left:
            left = left[os.write(file, left) :]
    except OSError as error:
        return f"{VARIABLE} cannot be written: {error.strerror}"
    finally:
        os.close(file)
    return ""


def within(text: str, taken: int) -> bytes:
    """Return the text, or its first lines, so that a file of `taken` bytes stays within MOST_BYTES;
    nothing where not even the note fits.
    """
    content, room = text.encode("utf-8"), MOST_BYTES - taken
    if len(content) <= room:
        return content
    cut = content[: max(0, room - len(_CUT.encode()))]
    whole = cut[: cut.rfind(b"\n") + 1].rstrip(b"\n")
    return whole + _CUT.encode() if whole else b""
