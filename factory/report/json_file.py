"""The JSON document of a command as a file: whole or not at all. Does not know what it says."""

from __future__ import annotations

import os
from pathlib import Path

from factory.files.fs_guard import disk_errors, write_atomic
from factory.report.veil import veiled


def write_document(file: Path, document: str) -> None:
    """Write `document` to `file`; into what is no plain file (a terminal, a pipe) it is written as
    it stands.

    Raises Refusal DISK_UNWRITABLE.
    """
    target = Path(os.path.realpath(file))
    content = f"{veiled(document)}\n".encode("ascii")
    if target.exists() and not target.is_file():
        with disk_errors(target):
            target.write_bytes(content)
        return
    write_atomic(target, content)
