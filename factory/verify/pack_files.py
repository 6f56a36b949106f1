"""Judge changed files of task packs' folders again: none may be one that acceptance depends on.

A new file may be in the pack's own folder only. One that was there may have changed only where the
contract names it as an artifact, and where it is no program and no configuration, before and after.
Has a table of suffixes of its own.
"""

from __future__ import annotations

from factory.verify.change import DerivedChange
from factory.verify.documents import ScopeLock
from factory.verify.names import folded
from factory.verify.patterns import matches
from factory.verify.trees import FILE, TreeEntry

# What interpreters, compilers, linkers and tools read, by its last suffix in folded form.
_READ_BY_TOOLS = frozenset(
    """
    awk bash bat bats cmd coffee csh ejs fish groovy js jsx cjs cts mjs ksh lua mts php pl pm ps1
    psm1 py pyc pyi pyw r rb scm sed sh sql tcl ts tsx vbs zsh
    c cc class clj cljs cpp cs cxx d dart erl ex exe exs fs go h hpp hs java jl kt kts lisp m ml nim
    nu pyx rkt rs scala swift zig
    dll dylib jar pyd so wasm
    cfg cmake conf gradle ini mak mk properties toml yaml yml
    """.split()
)


def breach(
    lock: ScopeLock,
    folder: str,
    path: str,
    sides: tuple[TreeEntry | None, TreeEntry | None],
    seen: DerivedChange,
) -> str:
    """Return what is wrong with the change of one path, as a clause; "" for nothing. `folder` is
    that of the pack, next to those of all others.
    """
    packs = folder.rpartition("/")[0]
    below = path[len(packs) + 1 :]
    if not path.startswith(f"{packs}/") or "/" not in below:
        return ""
    if sides[0] is None:
        own = path.startswith(f"{folder}/")
        return "" if own else "expected no new file in another task pack's folder, found one"
    outputs = (*lock.artifacts_required, *lock.artifacts_optional)
    named = path.startswith(f"{folder}/") and matches(outputs, path)
    if named and not _read_by_tools(path) and all(_is_text(entry, seen) for entry in sides):
        return ""
    return "expected no change of an existing file of a task pack, found one"


def _read_by_tools(path: str) -> bool:
    parts = folded(path.rpartition("/")[2]).split(".")
    return len(parts) < 2 or not any(parts[:-1]) or parts[-1] in _READ_BY_TOOLS


def _is_text(entry: TreeEntry | None, seen: DerivedChange) -> bool:
    """Return whether an entry is a plain file without executable bit that begins with no `#!`."""
    if entry is None or entry.mode != FILE:
        return False
    content = seen.contents.get(entry.oid)
    return content is not None and not content.startswith(b"#!")
