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
from pathlib import Path

_NAMED = (b"__pycache__", b".pyc", b".py[c")  # as rules that ignore bytecode are written


def leave_none(dodo: str) -> None:
    """Remove what was compiled of a repository's own modules, those from the folder of the file
    `dodo`, and compile no more; only where Git would add it.
    """
    root = Path(os.path.abspath(dodo)).parent
    folders = (root, *root.parents)
    top = next((folder for folder in folders if (folder / ".git").exists()), None)
    if top is None:
        return
    if any(_says_so(folder / ".gitignore") for folder in folders[: folders.index(top) + 1]):
        return
    cached = sorted(_cached_below(root))
    if not cached or _ignores(root, cached[0]):
        return
    sys.dont_write_bytecode = True
    for path in cached:
        with contextlib.suppress(OSError):  # not ours to change: it stays
            path.unlink()
            path.parent.rmdir()  # where it is empty


def _says_so(rules: Path) -> bool:
    try:
        content = rules.read_bytes()
    except OSError:
        return False
    return any(name in content for name in _NAMED)


def _cached_below(root: Path) -> Iterator[Path]:
    """Yield what the interpreter wrote of modules that were imported from `root`, but for those of
    an environment inside.
    """
    for module in list(sys.modules.values()):
        spec = getattr(module, "__spec__", None)
        origin, cached = getattr(spec, "origin", None), getattr(spec, "cached", None)
        if not (isinstance(origin, str) and isinstance(cached, str)):
            continue
        path = Path(os.path.abspath(origin))
        if root in path.parents and Path(sys.prefix) not in path.parents:
            compiled = Path(os.path.abspath(cached))
            if compiled.is_file():
                yield compiled


def _ignores(root: Path, path: Path) -> bool:
    from factory.git.checkout import ignores  # late: hardly ever asked
    from factory.model.errors import FactoryError

    try:
        return ignores(root, path)
    except (OSError, FactoryError):
        return True
