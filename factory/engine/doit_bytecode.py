"""Leave no `__pycache__` in a repository that does not ignore it: importing a `dodo.py` makes one,
before any code of ours runs.

A repository's own modules are compiled anew there on each start; where it ignores them (the
`.gitignore` that `factory init` writes does) they are cached as ever. Does not know doit.
"""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator

_NAMED = (b"__pycache__", b".pyc", b".py[c")  # as rules that ignore bytecode are written


def leave_none(dodo: str) -> None:
    """Remove what was compiled of a repository's own modules, those from the folder of the file
    `dodo`, and compile no more; only where no rule names bytecode. Where a rule of another form
    ignores it, that costs compiling a file again.
    """
    root = os.path.dirname(os.path.abspath(dodo))
    top = root
    while not os.path.exists(os.path.join(top, ".git")):
        top, below = os.path.dirname(top), top
        if top == below:
            return  # no repository
    if any(_names_bytecode(rules) for rules in _rules(root, top)):
        return
    sys.dont_write_bytecode = True
    for path in sorted(_cached_below(f"{root}{os.sep}")):
        with contextlib.suppress(OSError):  # not ours to change: it stays
            os.unlink(path)
            os.rmdir(os.path.dirname(path))  # where it is empty


def _rules(folder: str, top: str) -> Iterator[str]:
    """Yield the files where people write what is ignored: of the folders up to `top`, of the
    clone, of the user.
    """
    while True:
        yield os.path.join(folder, ".gitignore")
        if folder == top:
            break
        folder = os.path.dirname(folder)
    yield os.path.join(top, ".git", "info", "exclude")
    own = os.environ.get("XDG_CONFIG_HOME") or os.path.expanduser("~/.config")
    yield os.path.join(own, "git", "ignore")
    yield from map(os.path.expanduser, ("~/.gitignore", "~/.gitignore_global"))


def _names_bytecode(rules: str) -> bool:
    try:
        with open(rules, "rb") as stream:
            content = stream.read()
    except OSError:
        return False
    return any(name in content for name in _NAMED)


def _cached_below(root: str) -> Iterator[str]:
    """Yield what the interpreter wrote of modules that were imported from `root`, but for those of
    an environment inside.
    """
    environment = f"{sys.prefix}{os.sep}"
    for module in list(sys.modules.values()):
        spec = getattr(module, "__spec__", None)
        origin = getattr(spec, "origin", None)
        if isinstance(origin, str) and origin.startswith(root):
            cached = getattr(spec, "cached", None)
            if isinstance(cached, str) and not origin.startswith(environment):
                yield cached
