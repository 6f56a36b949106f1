"""Write a command's JSON document to a file, atomically. Does not know what the document says."""

from __future__ import annotations

import os
from pathlib import Path

from factory.files.fs_guard import disk_errors, write_atomic
from factory.report.veil import veiled


def write_document(file: Path, document: str) -> None:
    """Write `document` to `file` atomically, or straight into what is no plain file (terminal,
    pipe).

    Raise Refusal DISK_UNWRITABLE.
    """
    target = Path(os.path.realpath(file))
    content = f"{veiled(document)}\n".encode("ascii")
    if target.exists() and not target.is_file():
        with disk_errors(target):
            target.write_bytes(content)
        return
    write_atomic(target, content)
