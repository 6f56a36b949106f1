"""Say which changes of a task pack's folder could change what a pack is accepted by.

What lies in a pack's folder decides: scripts that acceptance calls, tables that they compare with.
So an existing file of any pack's folder is protected from every step, its own pack's included. An
output file may change: the contract names it among its artifacts, and neither before nor after is
it a program or a configuration.

    >>> is_pack_file("taskpacks/TASK-1-x/check.sh", "taskpacks")
    True
    >>> is_pack_file("taskpacks/README.md", "taskpacks")
    False
    >>> may_run("taskpacks/TASK-1-x/check.sh"), may_run("taskpacks/TASK-1-x/artifacts/index.json")
    (True, False)

A new file in the pack's own folder is a result like any other; in another pack's folder, what
accepts that pack could find it. Does not know contents: the caller names scripts, the files
that begin with `#!`.
"""

from __future__ import annotations

from factory.judge.path_guard import fold
from factory.judge.scope import Patterns
from factory.model.tree import MODE_FILE, Difference

# Suffixes, folded, of what an interpreter, a compiler, a linker or a tool reads as a program or as
# its configuration. JSON is not among them: it is what most generators write.
PROGRAMS = frozenset(
    "awk bash bat bats c cc cfg cjs class clj cljs cmake cmd coffee conf cpp cs csh cts cxx d"
    " dart dll dylib ejs erl ex exe exs fish fs go gradle groovy h hpp hs ini jar java jl js"
    " jsx ksh kt kts lisp lua m mak mjs mk ml mts nim nu php pl pm properties ps1 psm1 py pyc"
    " pyd pyi pyw pyx r rb rkt rs scala scm sed sh so sql swift tcl toml ts tsx vbs wasm yaml"
    " yml zig zsh".split()
)


def is_pack_file(path: str, packs_folder: str) -> bool:
    """Return True if `path` lies in the folder of a task pack below `packs_folder`."""
    below = path.removeprefix(f"{packs_folder}/")
    return below != path and "/" in below


def may_run(path: str) -> bool:
    """Return True if the name of a file says program or configuration, or says nothing."""
    name = fold(path.rpartition("/")[2])
    stem, dot, suffix = name.rpartition(".")
    return not dot or not stem or suffix in PROGRAMS


def is_output(change: Difference, outputs: Patterns, scripts: frozenset[str]) -> bool:
    """Return True if an existing file may be rewritten: `outputs` name it, and on both sides it is
    a plain file without executable bit that is no program. `scripts` are changed paths that begin
    with `#!` on a side.
    """
    sides = (change.before, change.after)
    plain = all(leaf is not None and leaf.mode == MODE_FILE for leaf in sides)
    path = change.path
    return plain and outputs.matches(path) and not may_run(path) and path not in scripts
