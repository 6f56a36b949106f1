"""`python -I -S give_up.py RUN_FOLDER WALL WORD…`: give up everything but writing below RUN_FOLDER,
then become WORD….

The integrator's inner wall. With WALL `inner` bubblewrap's read-only mounts are the outer one, and
a kernel without Landlock is no reason to stop. With `alone` there is nothing else, so Landlock must
be there, and the filter refuses what it lets pass: sockets, and changing modes, owners, times and
extended attributes. Stdlib only. Does not know what it becomes.
"""

from __future__ import annotations

import os
import sys

if (
    __name__ == "__main__"
):  # isolated start: only the standard library is on the path, and comes first
    _here = os.path.abspath(__file__)
    sys.path.append(_here.removesuffix("/factory/sandbox/give_up.py"))

from factory.sandbox import kernel, landlock, seccomp

INNER, ALONE = "inner", "alone"
_READ_ALL = ("/", landlock.READ)
_NULL = ("/dev/null", landlock.USE_DEVICE)


def main() -> None:
    """Give up, then exec; an error ends it with a sentence and a code of its own."""
    folder, wall, *words = sys.argv[1:]
    version = landlock.abi()
    if wall == ALONE and not version:
        sys.exit("give_up: expected Landlock on this kernel, found none")
    if version:
        landlock.restrict((_READ_ALL, _NULL, (folder, landlock.WRITE)), version)
    if wall == ALONE:
        kernel.filter_calls(seccomp.program(os.uname().machine, alone=True, attributes=False))
    os.chdir(folder)
    os.execve(words[0], words, {**os.environ, "TMPDIR": folder})


if __name__ == "__main__":
    main()
