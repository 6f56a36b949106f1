"""Run `python -I -S give_up.py RUN_FOLDER WALL WORD…`: give up everything but writing below
RUN_FOLDER, then become WORD….

The integrator's inner wall. With WALL `inner` bubblewrap's read-only mounts are the outer one, and
a kernel without Landlock is no reason to stop. With `alone` there is nothing else, so Landlock must
be there, and the filter refuses what it lets pass: sockets, and changing modes, owners, times and
extended attributes. Where WORD… run a module by this very interpreter, it is run in this process: a
second start would cost more than a small merge. Stdlib only. Does not know what it becomes.
"""

from __future__ import annotations

import importlib
import os
import site
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
    """Give up, then become the words; an error ends it with a sentence and a code of its own."""
    folder, wall, *words = sys.argv[1:]
    version = landlock.abi()
    if wall == ALONE and not version:
        sys.exit("give_up: expected Landlock on this kernel, found none")
    if version:
        landlock.restrict((_READ_ALL, _NULL, (folder, landlock.WRITE)), version)
    if wall == ALONE:
        kernel.filter_calls(seccomp.program(os.uname().machine, alone=True, attributes=False))
    os.chdir(folder)
    os.environ["TMPDIR"] = folder
    if words[:3] == [sys.executable, "-I", "-m"]:
        run_module(words[3], words[4:])
    os.execve(words[0], words, os.environ)


def run_module(name: str, words: list[str]) -> None:
    """End the process as `main` of a module does, as `python -I -m` would. What installed
    packages run at a start (`.pth` files) runs only now, confined.
    """
    site.main()
    sys.argv = [name, *words]
    sys.exit(importlib.import_module(name).main())


if __name__ == "__main__":
    main()
