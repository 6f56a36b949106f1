"""A process of its own that makes one name a file, a link, a FIFO and a folder in turn, until it is
ended.

    python tests/racing_writer.py FOLDER SECRET

A thread of the reader would not race: the two would take turns. Prints a line when the first round
is over.
"""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path


def main() -> None:
    folder, secret = Path(sys.argv[1]), Path(sys.argv[2])
    spare, name = folder.parent / "spare", folder / "name"
    told = False
    while True:
        for make in (
            lambda: spare.write_bytes(b"1" * 5000),
            lambda: spare.symlink_to(secret),
            lambda: os.mkfifo(spare),
            lambda: spare.write_bytes(b"2" * 9000),
        ):
            make()
            os.replace(spare, name)
        name.unlink()
        name.mkdir()
        spare.write_bytes(b"inside\n")
        os.replace(
            spare, name / "in"
        )  # never empty, as a file is between its making and its first byte
        shutil.rmtree(name)
        if not told:
            told = True
            sys.stdout.write("racing\n")
            sys.stdout.flush()


if __name__ == "__main__":
    main()
