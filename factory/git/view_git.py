"""Write the throw-away `.git` inside a view, for tools that call Git there.

Rule: it contains one commit without parent, made of constants and the visible tree, so a pack
learns nothing of the history; the host never reads it back. Git inside finds every file clean
without opening one. A layer's `.git` contains only what differs from its base's. Does not know the
user's repository.
"""

from __future__ import annotations

import os
from collections.abc import Mapping

from factory.git import bundle_file, loose
from factory.git import index as git_index
from factory.git.index import EPOCH, IndexEntry
from factory.git.ports import Objects
from factory.git.view_files import ViewFiles
from factory.model.tree import MODE_SUBMODULE, Difference, Leaf, Tree, object_id, unshared

_AUTHOR = "Codex Orchestrator <orchestrator@localhost> 315532800 +0000"
_NEWER = EPOCH + 2  # if an index is as old as a file, Git must read the file ("racy git")
# Up to so many objects and bytes, a pack is written here: a process of Git for it takes 5 ms.
_FEW, _LITTLE = 512, 1 << 20
_HEAD = b"ref: refs/heads/main\n"
_CONFIG = """\
[core]
\trepositoryformatversion = {version}
\tfilemode = true
\tbare = false
\tlogallrefupdates = false
\tcheckStat = minimal
\ttrustctime = false
[user]
\tname = Pack
\temail = pack@localhost
[gc]
\tauto = 0
[maintenance]
\tauto = false
"""
_SHA256 = "[extensions]\n\tobjectFormat = sha256\n"


def lay_repository(
    tree: Tree, sizes: Mapping[str, int], objects: Objects, files: ViewFiles
) -> None:
    """Write `.git` for a whole checkout of `tree`: a pack of its objects, one commit, an index."""
    for folder in ("info", "objects/info", "objects/pack", "refs/heads", "refs/tags"):
        files.folder(f".git/{folder}")
    config = _CONFIG.format(version=int(tree.hash_name == "sha256"))
    files.file(".git/config", (config + (_SHA256 if tree.hash_name == "sha256" else "")).encode())
    files.file(".git/HEAD", _HEAD)
    files.file(".git/info/exclude", b"")
    _pack(tree, sizes, objects, files)
    _commit(tree, files)
    entries = (IndexEntry(path, leaf, sizes[path]) for path, leaf in tree.leaves())
    index = git_index.format_index(entries, tree.hash_name)
    files.file(".git/index", index, seconds=_NEWER)
    # the same file under the name by which a layer's split index finds it
    files.same(f".git/sharedindex.{git_index.digest_of(index, tree.hash_name)}", ".git/index")


def _pack(tree: Tree, sizes: Mapping[str, int], objects: Objects, files: ViewFiles) -> None:
    trees = {below.oid: ("tree", below.payload) for below in tree.trees()}
    blobs = {leaf.oid for _, leaf in tree.leaves() if leaf.mode != MODE_SUBMODULE}
    if len(trees) + len(blobs) <= _FEW and sum(sizes.values()) <= _LITTLE:
        contents = objects.read(blobs)
        everything = trees | {oid: ("blob", content) for oid, content in contents.items()}
        pack = bundle_file.format_pack(everything, tree.hash_name)
        name = f".git/objects/pack/pack-{git_index.digest_of(pack, tree.hash_name)}"
        files.file(f"{name}.pack", pack)
        files.file(f"{name}.idx", bundle_file.format_index(everything, pack, tree.hash_name))
        return
    folder = files.root / ".git/objects/pack"
    objects.pack(sorted(trees.keys() | blobs), folder)
    for name in sorted(os.listdir(folder)):
        files.take(f".git/objects/pack/{name}")


def _commit(tree: Tree, files: ViewFiles) -> None:
    payload = (
        f"tree {tree.oid}\nauthor {_AUTHOR}\ncommitter {_AUTHOR}\n\nthe visible tree\n".encode()
    )
    oid = _loose("commit", payload, tree.hash_name, files)
    files.file(".git/refs/heads/main", oid.encode() + b"\n")


def lay_difference(
    base: Tree,
    tree: Tree,
    found: tuple[Difference, ...],
    sizes: Mapping[str, int],
    index: bytes,
    objects: Objects,
    files: ViewFiles,
) -> None:
    """Write what makes the `.git` of `base` describe `tree`: commit, new objects, a split index.

    `found` are the differing leaves, `sizes` the sizes of their `after`, `index` the base's index.
    """
    trees, blobs = unshared(tree, base)
    for new in trees.values():
        _loose("tree", new.payload, tree.hash_name, files)
    for oid, content in objects.read(sorted(blobs)).items():
        _loose("blob", content, tree.hash_name, files, oid)
    files.folder(".git/refs/heads")
    _commit(tree, files)
    split = _split_index(base, found, sizes, git_index.digest_of(index, tree.hash_name))
    files.file(".git/index", split, seconds=_NEWER)


def _split_index(
    base: Tree, found: tuple[Difference, ...], sizes: Mapping[str, int], shared: str
) -> bytes:
    """Return the layer's index as a difference to the base's index, whose digest is `shared`."""
    removed: list[int] = []
    replaced: list[tuple[int, IndexEntry]] = []
    added: list[IndexEntry] = []
    for one in found:
        entry = IndexEntry(one.path, one.after, sizes[one.path]) if one.after is not None else None
        if one.before is None:
            added += [entry] if entry is not None else []
        elif entry is None:
            removed.append(position_of(base, one.path))
        else:
            replaced.append((position_of(base, one.path), entry))
    return git_index.format_split_index(shared, sorted(removed), replaced, added, base.hash_name)


def position_of(tree: Tree, path: str) -> int:
    """Return the number of leaves of `tree` before the leaf at `path`, in Git's order.

    Raise KeyError or ValueError if there is no such leaf.
    """
    before = 0
    here: Leaf | Tree | None = tree
    for name in path.split("/"):
        if not isinstance(here, Tree):
            raise KeyError(path)
        names = here.ordered
        at = names.index(name)
        before += sum(_count(here.entries[earlier]) for earlier in names[:at])
        here = here.entries[name]
    return before


def _count(entry: Leaf | Tree) -> int:
    return entry.count if isinstance(entry, Tree) else 1


def _loose(kind: str, payload: bytes, hash_name: str, files: ViewFiles, oid: str = "") -> str:
    """Write a loose object into the view's `.git`; return its id, which is `oid` where that is
    known.
    """
    oid = oid or object_id(kind, payload, hash_name)
    path = f".git/objects/{oid[:2]}/{oid[2:]}"
    files.folder(f".git/objects/{oid[:2]}")
    files.file(path, b"".join(loose.packed(kind, payload)))
    return oid
