"""Find what stock doit reads of a tree's root, before and after a change, for its judge.

The same for launch, validation and integration: whole trees in, findings out. A file that is a
symbolic link in the base is followed within each tree, as opening it would. Decides nothing.
"""

from __future__ import annotations

from factory.git.ports import Objects
from factory.judge.doit_table import judge_doit_table, link_made, names_read
from factory.model.finding import Finding
from factory.model.tree import MODE_LINK, MODE_SUBMODULE, Leaf, Tree

_MOST_LINKS = 40


def judge_configuration(
    objects: Objects, pack: str, before: Tree, after: Tree
) -> tuple[Finding, ...]:
    """Return findings over every file at the root that doit would read on some platform. Every
    blob must be stored.
    """
    if before == after:
        return ()
    found: list[Finding] = []
    for name in sorted(names_read({*before.entries, *after.entries})):
        old, new = before.entries.get(name), after.entries.get(name)
        if new != old and isinstance(new, Leaf) and new.mode == MODE_LINK:
            found.append(link_made(pack, name))
        elif new != old or (isinstance(new, Leaf) and new.mode == MODE_LINK):
            found += judge_doit_table(
                pack, name, _opened(objects, before, name), _opened(objects, after, name)
            )
    return tuple(found)


def _opened(objects: Objects, tree: Tree, name: str) -> bytes | None:
    """Return the bytes that opening `name` at the root of `tree` yields; None where that is no file
    of the tree.
    """
    todo, folders = [name], [tree]
    for _ in range(_MOST_LINKS):
        entry = _walk(todo, folders)
        if entry is None or entry.mode == MODE_SUBMODULE:
            return None
        content = objects.read([entry.oid])[entry.oid]
        if entry.mode != MODE_LINK:
            return None if todo else content
        target = content.decode("utf-8", "surrogateescape")
        if target.startswith("/"):
            return None
        todo[:0] = target.split("/")
    return None


def _walk(todo: list[str], folders: list[Tree]) -> Leaf | None:
    """Go down (and up, where `..` says so) to the first leaf; takes what it went from `todo`."""
    while todo:
        name = todo.pop(0)
        if name == "..":
            if len(folders) == 1:
                return None
            folders.pop()
        elif name not in ("", "."):
            entry = folders[-1].entries.get(name)
            if not isinstance(entry, Tree):
                return entry
            folders.append(entry)
    return None
