"""Ask Git's plumbing single questions, and parse its NUL-separated answers.

Rule: an answer is parsed whole or refused; nothing is read out of patch text. Indexes and work
trees that Git needs for a question are made here, in a scratch folder, out of given bytes. Does not
know the object store. Sources: gitformat-tree, git-diff-tree, git-check-ignore.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path, PurePosixPath

from factory.files.fs_guard import make_folder, write_atomic
from factory.git.git import Git, GitError
from factory.git.index import IndexEntry, format_index, parse_index
from factory.model.errors import Refusal
from factory.model.finding import Finding
from factory.model.tree import MODE_TREE, Difference, Leaf, Tree, tree_from_leaves

_COMMITTER = re.compile(rb"^committer .*> ([0-9]{1,11}) [+-][0-9]{4}$", re.MULTILINE)


def parse_tree(content: bytes, width: int) -> dict[str, Leaf | str]:
    """Return the entries of a raw tree object whose ids have `width` bytes: leaves, and ids of
    trees.

    Raise ValueError for a malformed entry or a name that no file system can show.
    """
    rows: dict[str, Leaf | str] = {}
    at = 0
    while at < len(content):
        space = content.find(b" ", at)
        end = content.find(b"\0", space)
        after = end + 1 + width
        if space < 0 or end < 0 or after > len(content):
            raise ValueError(f"an entry at byte {at} that breaks off")
        name = os.fsdecode(content[space + 1 : end])
        if name in rows or name in ("", ".", "..") or "/" in name:
            raise ValueError(f"the entry {name!r}, which no file system can show")
        mode, entry = int(content[at:space], 8), content[end + 1 : after].hex()
        rows[name] = entry if mode == MODE_TREE else Leaf(mode, entry)
        at = after
    return rows


def parse_raw(answer: bytes) -> tuple[Difference, ...]:
    """Parse the output of `diff-tree -r -z --raw --no-abbrev --no-renames`."""
    fields = answer.split(b"\0")[:-1]
    found = []
    for meta, path in zip(fields[::2], fields[1::2], strict=True):
        old_mode, new_mode, old, new, _ = meta.removeprefix(b":").decode("ascii").split(" ")
        found.append(Difference(os.fsdecode(path), _leaf(old_mode, old), _leaf(new_mode, new)))
    return tuple(found)


def _leaf(mode: str, oid: str) -> Leaf | None:
    return None if int(mode, 8) == 0 else Leaf(int(mode, 8), oid)


def parse_numstat(answer: bytes) -> dict[str, tuple[int, int] | None]:
    """Parse the output of `diff-tree -r -z --numstat --no-renames`; None for binary."""
    counts: dict[str, tuple[int, int] | None] = {}
    for row in answer.split(b"\0")[:-1]:
        added, removed, path = row.split(b"\t", 2)
        counts[os.fsdecode(path)] = None if added == b"-" else (int(added), int(removed))
    return counts


AUTHOR = "Codex Orchestrator <orchestrator@localhost> 315532800 +0000"


def committed_at(commit: bytes) -> int:
    """Return when a commit was made, by its committer's clock, in seconds since 1970; 0 where it
    says none.
    """
    found = _COMMITTER.search(commit.partition(b"\n\n")[0])
    return int(found[1]) if found is not None else 0


def commit_payload(tree: str, parents: tuple[str, ...], message: str) -> bytes:
    """Return a commit object by the constant author at the constant time (1980-01-01 UTC)."""
    above = "".join(f"parent {parent}\n" for parent in parents)
    text = f"tree {tree}\n{above}author {AUTHOR}\ncommitter {AUTHOR}\n\n{message.rstrip()}\n"
    return text.encode("utf-8", "surrogateescape")


def rule_files(rules: Tree, paths: Iterable[str], name: str) -> dict[str, str]:
    """Return the files called `name` above any of `paths`: path to blob id. A link is none."""
    files: dict[str, str] = {}
    seen: set[str] = set()
    for path in paths:
        here: Leaf | Tree | None = rules
        prefix = ""
        for part in path.split("/"):
            if not isinstance(here, Tree):
                break
            rule = here.entries.get(name)
            if prefix not in seen and isinstance(rule, Leaf) and rule.mode & 0o170000 == 0o100000:
                files[f"{prefix}{name}"] = rule.oid
            seen.add(prefix)
            here = here.entries.get(part)
            prefix += part + "/"
    return files


def match_ignored(
    git: Git, scratch: Path, rules: Mapping[str, bytes], paths: Iterable[str]
) -> frozenset[str]:
    """Return those of `paths` that `rules` ignore; `rules` maps .gitignore paths to bytes.

    The rule files are written below `scratch`.
    """
    at_scratch = _lay_rules(git, scratch, rules)
    # "./" keeps a leading ":" from being read as pathspec magic, for which this command has no off
    # switch
    listed = b"".join(b"./" + os.fsencode(path) + b"\0" for path in paths)
    words = ("check-ignore", "--stdin", "-z", "--no-index")
    answer = at_scratch.run(
        *words, stdin=listed, ok=(0, 1), variables={"GIT_LITERAL_PATHSPECS": None}
    )
    return frozenset(os.fsdecode(path.removeprefix(b"./")) for path in answer.out.split(b"\0")[:-1])


def match_attributes(
    git: Git, scratch: Path, rules: Mapping[str, bytes], paths: Iterable[str], names: Iterable[str]
) -> dict[str, dict[str, str]]:
    """Return by path the values of the attributes `names` where `rules`, .gitattributes paths to
    bytes, specify one. The rule files are written below `scratch`.
    """
    # a Git folder of its own: info/attributes of our private one unsets every attribute
    for name in ("objects", "refs"):
        make_folder(scratch / ".git" / name)
    write_atomic(scratch / ".git/HEAD", b"ref: refs/heads/none\n", durable=False)
    at_scratch = replace(_lay_rules(git, scratch, rules), git_dir=scratch / ".git")
    listed = b"".join(os.fsencode(path) + b"\0" for path in paths)
    answer = at_scratch.run("check-attr", "--stdin", "-z", *names, stdin=listed)
    fields = [os.fsdecode(field) for field in answer.out.split(b"\0")[:-1]]
    found: dict[str, dict[str, str]] = {}
    for path, name, value in zip(fields[::3], fields[1::3], fields[2::3], strict=True):
        if value != "unspecified":
            found.setdefault(path, {})[name] = value
    return found


def _lay_rules(git: Git, scratch: Path, rules: Mapping[str, bytes]) -> Git:
    """Write rule files below `scratch`; return Git with that as its work tree."""
    for path, content in rules.items():
        make_folder((scratch / path).parent)
        write_atomic(scratch / path, content, durable=False)
    return Git(git.program, scratch, git.git_dir, scratch)


def apply_to_index(git: Git, index: Path, before: str, patch: bytes) -> str:
    """Return the tree that `patch` makes of the tree `before`, by means of the new index file
    `index`.

    Raise Refusal BUNDLE_DISAGREES if the patch does not apply.
    """
    variables = {"GIT_INDEX_FILE": str(index)}
    git.run("read-tree", before, variables=variables)
    _apply(git, index, before, patch)
    return git.run("write-tree", variables=variables).out.decode("ascii").strip()


# So many entries are written and read here in less time than two more processes of Git take.
MOST_ENTRIES = 1_000


def apply_to_entries(git: Git, index: Path, before: Tree, patch: bytes) -> Tree:
    """Return the tree that `patch` makes of a small tree, with one process of Git instead of three:
    the index is written and read here. Raise Refusal BUNDLE_DISAGREES if it does not apply.
    """
    entries = (IndexEntry(path, leaf, 0) for path, leaf in before.leaves())
    write_atomic(index, format_index(entries, before.hash_name), durable=False)
    _apply(git, index, before.oid, patch)
    return tree_from_leaves(parse_index(index.read_bytes(), before.hash_name), before.hash_name)


def _apply(git: Git, index: Path, before: str, patch: bytes) -> None:
    if not patch:
        return
    words = ("apply", "--cached", "--binary", "--whitespace=nowarn", "-")
    try:
        git.run(*words, stdin=patch, variables={"GIT_INDEX_FILE": str(index)})
    except GitError as error:
        facts = {"case": "patch", "tree": before, "found": error.said}
        raise Refusal(Finding("BUNDLE_DISAGREES", facts)) from error


def merge_commits(git: Git, ours: str, theirs: str) -> tuple[str, tuple[str, ...]]:
    """Merge two commits by `merge-tree`: return (tree id, conflicting paths in byte order)."""
    words = ("merge-tree", "--write-tree", "-z", "--name-only", "--no-messages", ours, theirs)
    tree, *paths = git.run(*words, ok=(0, 1)).out.split(b"\0")[:-1]
    return tree.decode("ascii").strip(), tuple(os.fsdecode(path) for path in sorted(set(paths)))


def move_ref(program: str, common: Path, ref: str, new: str, old: str) -> None:
    """Compare and swap one ref, without hook and reflog; `old` is "" if it must not exist.

    Raise Refusal REF_MOVED.
    """
    git = Git(program, common, common, settings=("core.logAllRefUpdates=false",))
    try:
        git.run("update-ref", "--no-deref", ref, new, old or "0" * len(new))
    except GitError as error:
        facts = {"case": "moved", "found": error.said, "which": "that branch"}
        if others := in_the_way(git, ref):
            which = others[0].removeprefix("refs/heads/")
            facts = {"case": "in-the-way", "found": others[0], "which": which}
        place = {"ref": ref, "expected": old or "no commit"}
        raise Refusal(Finding("REF_MOVED", {**facts, **place})) from error


def in_the_way(git: Git, ref: str) -> tuple[str, ...]:
    """Return the refs whose name is a folder of `ref`, or has `ref` as a folder: Git allows only
    one.
    """
    above = [str(folder) for folder in PurePosixPath(ref).parents][:-2]
    names = (
        git.run("for-each-ref", "--format=%(refname)", *above, ref)
        .out.decode("utf-8", "replace")
        .splitlines()
    )
    return tuple(name for name in names if name in above or name.startswith(f"{ref}/"))
