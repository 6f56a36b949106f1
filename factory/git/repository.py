"""Find the user's repository, and report what a person should know about it before a run.

Rule: only questions that change nothing, not even the index (GIT_OPTIONAL_LOCKS=0), asked with
every configured program off. Each refusal says what was expected, what was found and the remedy.
Does not read the base's content.
"""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from pathlib import Path

from factory.git.checkout import changed_paths, git_of, own_configuration
from factory.git.git import Answer, Git, find_git, version
from factory.git.ports import Repository
from factory.model.errors import Refusal
from factory.model.finding import Finding, Location
from factory.model.findings.entry import Facts
from factory.model.layout import STATE_FOLDER
from factory.model.tree import MODE_SUBMODULE, Tree

_SHOWN = 3  # paths that one sentence names
_ODD_REF = re.compile(r"^-|[\x00-\x1f\x7f]|^$")


def discover(start: Path, base_ref: str) -> Repository:
    """Return the repository that contains `start`, with `base_ref` resolved to a commit.

    Works from a subfolder, in a linked worktree, and through symbolic links. Raise Refusal
    GIT_TOO_OLD, REPO_NOT_FOUND, REPO_BARE, REPO_NO_COMMITS, REPO_BASE_UNKNOWN or REPO_UNREADABLE.
    """
    git, place = _asked(start)
    hash_name, shallow, paths = _facts(git, place)
    git_dir, common_dir, root = (Path(os.fsdecode(path)) for path in paths)
    git = replace(git, cwd=root, git_dir=git_dir, work_tree=root)
    branch = git.run("symbolic-ref", "--quiet", "HEAD", ok=(0, 1)).out
    return Repository(
        root=root,
        git_dir=git_dir,
        common_dir=common_dir,
        hash_name=hash_name,
        base_ref=base_ref,
        commit=_commit(git, base_ref),
        branch=os.fsdecode(branch.removesuffix(b"\n")).removeprefix("refs/heads/"),
        shallow=shallow,
    )


def root_of(start: Path) -> Path:
    """Return the work tree that contains `start`, also without a commit. Raise as `discover`
    does.
    """
    git, place = _asked(start)
    return Path(os.fsdecode(_facts(git, place)[2][2]))


def _asked(start: Path) -> tuple[Git, Answer]:
    if not start.is_dir():
        raise _refusal("REPO_NOT_FOUND", {"case": "folder", "place": str(start)})
    if not os.access(start, os.R_OK | os.X_OK):
        raise _refusal("REPO_UNREADABLE", {"case": "forbidden", "place": str(start)})
    # all: a bare repository is found, and refused by its own finding
    git = Git(find_git(start.absolute()), start, settings=("safe.bareRepository=all",))
    version(git)
    place = _place(git)
    if _DUBIOUS in place.err:
        git = replace(git, settings=(*git.settings, *_trusted_folders(git)))
        place = _place(git)
    return git, place


_DUBIOUS = "dubious ownership"
_FACTS = ("--is-bare-repository", "--show-object-format", "--is-shallow-repository")
_PATHS = ("--absolute-git-dir", "--git-common-dir", "--show-toplevel")


def _place(git: Git) -> Answer:
    return git.run("rev-parse", *_FACTS, "--path-format=absolute", *_PATHS, ok=(0, 128))


def _trusted_folders(git: Git) -> tuple[str, ...]:
    """Return `safe.directory` settings of system and user: the only setting taken from them.

    Git honours this setting from there and from the command line only, never from a repository.
    """
    found: list[str] = []
    for scope in ("--system", "--global"):
        # 1: not set; 128: that configuration cannot be read, so it grants nothing
        answer = git.run(
            "config",
            scope,
            "-z",
            "--get-all",
            "safe.directory",
            ok=(0, 1, 128),
            variables=own_configuration(),
        )
        found += [f"safe.directory={os.fsdecode(value)}" for value in answer.out.split(b"\0")[:-1]]
    return tuple(found)


def _facts(git: Git, place: Answer) -> tuple[str, bool, tuple[bytes, ...]]:
    """Return (object format, shallow, the three paths).

    If a path contains a line feed, each is asked for alone.
    """
    rows = place.out.removesuffix(b"\n").split(b"\n")
    if place.rc != 0:
        raise _no_repository(git.cwd, place, bare=rows[0] == b"true")
    if rows[0] == b"true":
        raise _bare(git.cwd)
    paths = tuple(rows[len(_FACTS) :])
    if len(paths) != len(_PATHS):
        alone = [git.run("rev-parse", "--path-format=absolute", path).out for path in _PATHS]
        paths = tuple(path.removesuffix(b"\n") for path in alone)
    return rows[1].decode("ascii"), rows[2] == b"true", paths


def _no_repository(start: Path, place: Answer, bare: bool) -> Refusal:
    said = _first(place.err)
    if bare:
        return _bare(start)
    if _DUBIOUS in place.err:  # the setting must name what Git names, not a folder below it
        named = re.search(r"repository at '(.+)'$", said)
        owned = named[1] if named else str(start)
        return _refusal("REPO_UNREADABLE", {"case": "owner", "place": owned})
    if "must be run in a work tree" in place.err:
        return _refusal("REPO_BARE", {"case": "inside", "place": str(start)})
    if "not a git repository" in place.err.lower():
        return _refusal("REPO_NOT_FOUND", {"case": "repository", "place": str(start)})
    return _refusal("REPO_UNREADABLE", {"case": "git", "place": str(start), "found": said})


def _bare(start: Path) -> Refusal:
    return _refusal("REPO_BARE", {"case": "bare", "place": str(start)})


def _commit(git: Git, base_ref: str) -> str:
    """Return the full id of the commit that `base_ref` names.

    Raise Refusal REPO_BASE_UNKNOWN, REPO_NO_COMMITS or REPO_UNREADABLE.
    """
    if _ODD_REF.search(base_ref):
        raise _unknown(base_ref, "a word that no ref can be")
    peeled = git.run("rev-parse", "--verify", "--quiet", f"{base_ref}^{{commit}}", ok=(0, 1, 128))
    if peeled.rc == 0:
        return peeled.out.decode("ascii").strip()
    if git.run(
        "rev-parse", "--verify", "--quiet", "HEAD", ok=(0, 1, 128)
    ).rc != 0 and _has_no_commit(git, base_ref):
        raise _refusal("REPO_NO_COMMITS", {"place": str(git.cwd)})
    named = (
        git.run("rev-parse", "--verify", "--quiet", base_ref, ok=(0, 1, 128))
        .out.decode("ascii", "replace")
        .strip()
    )
    if not named:
        raise _unknown(base_ref, "no such ref")
    kind = git.run("cat-file", "-t", named, ok=(0, 1, 128))
    if kind.rc != 0:
        raise _refusal(
            "REPO_UNREADABLE", {"case": "missing", "object": named, "base_ref": base_ref}
        )
    raise _unknown(base_ref, f"a {kind.out.decode('ascii', 'replace').strip()}")


def _has_no_commit(git: Git, base_ref: str) -> bool:
    return (
        base_ref == "HEAD" or not git.run("for-each-ref", "--count=1", "--format=%(objectname)").out
    )


def _unknown(base_ref: str, found: str) -> Refusal:
    return _refusal("REPO_BASE_UNKNOWN", {"base_ref": base_ref, "found": found})


def policy_at(root: Path, ref: str, name: str) -> tuple[str, bytes | None]:
    """Return the commit that a full ref or a commit id names, and the content of its file `name` at
    the top (None: it has none).

    No short name is looked up: a tag could take its place. Raise Refusal POLICY_REF_MISSING where
    it is not here, CONFIG_UNREADABLE where the file is a link or a folder.
    """
    git, _ = _asked(root)

    def missing(found: str, fetch: str = "") -> Refusal:
        facts = {"ref": ref, "found": found, "fetch": fetch or _fetching(ref)}
        return _refusal("POLICY_REF_MISSING", facts)

    named = ref
    if ref.startswith("refs/"):
        shown = git.run("show-ref", "--verify", "--hash", ref, ok=(0, 1, 128))
        named = shown.out.decode("ascii", "replace").strip()
        if shown.rc != 0 or not named:
            raise missing("no such ref")
    peeled = git.run("rev-parse", "--verify", "--quiet", f"{named}^{{commit}}", ok=(0, 1, 128))
    commit = peeled.out.decode("ascii", "replace").strip()
    if peeled.rc != 0 or (commit != named and not ref.startswith("refs/")):
        raise missing("no such commit")
    listed = git.run("ls-tree", "-z", "--full-tree", commit, "--", name, ok=(0, 128))
    if listed.rc != 0:
        raise missing("its files are not here", _ALL)
    if not listed.out:
        return commit, None
    mode, kind, oid = listed.out.split(b"\t")[0].decode("ascii").split()
    if kind != "blob" or mode == "120000":
        found = "a symbolic link" if mode == "120000" else "a folder"
        raise _refusal("CONFIG_UNREADABLE", {"file": f"{name} of {ref}", "found": found})
    content = git.run("cat-file", "blob", oid, ok=(0, 128))
    if content.rc != 0:
        raise missing("its files are not here", _ALL)
    return commit, content.out


_ALL = "git fetch --refetch --no-filter"


def _fetching(ref: str) -> str:
    """Return the command that brings a full ref, or a commit id, to where it is looked up: a plain
    fetch brings what the clone was made for, in CI often one branch.
    """
    _, kind, name = [*ref.split("/", 2), "", ""][:3]
    remote, _, branch = name.partition("/")
    if kind == "remotes" and branch:
        words = (remote, f"+refs/heads/{branch}:{ref}")
    else:
        words = ("origin", f"+{ref}:{ref}" if ref.startswith("refs/") else ref)
    return " ".join(("git fetch", *map(shlex.quote, words)))


def origin_of(repository: Repository) -> str:
    """Return the address that the repository was cloned from; "" if none is known."""
    answer = git_of(repository).run("config", "--get", "remote.origin.url", ok=(0, 1))
    return os.fsdecode(answer.out).strip()


def notes(repository: Repository, packs_folder: str) -> tuple[Finding, ...]:
    """Return warnings: REPO_DETACHED, REPO_SHALLOW, and REPO_DIRTY outside `packs_folder`."""
    found: list[Finding] = []
    if not repository.branch:
        found.append(Finding("REPO_DETACHED", {"commit": repository.commit}))
    if repository.shallow:
        found.append(Finding("REPO_SHALLOW"))
    outside = tuple(path for path in changed_paths(repository) if not _ours(path, packs_folder))
    if outside:
        found.append(_dirty(outside))
    return tuple(found)


def _dirty(paths: tuple[str, ...]) -> Finding:
    more = ("…",) if len(paths) > _SHOWN else ()
    facts: Facts = {"count": len(paths), "paths": (*paths[:_SHOWN], *more)}
    return Finding("REPO_DIRTY", facts, location=Location(paths[0].rstrip("/")))


def _ours(path: str, packs_folder: str) -> bool:
    bare = path.rstrip("/")
    if bare.rpartition("/")[2] == "__pycache__":
        return True  # made by loading dodo.py, not by the user
    folders = (STATE_FOLDER, packs_folder.strip("/"))
    return any(bare == folder or bare.startswith(f"{folder}/") for folder in folders)


def tree_notes(
    commit: str, tree: Tree, read: Callable[[Iterable[str]], Mapping[str, bytes]]
) -> tuple[Finding, ...]:
    """Return STATE_TRACKED, and warnings REPO_SUBMODULE and REPO_LFS_POINTER, about the tree of a
    base commit; `read` yields blobs by id.
    """
    found: list[Finding] = []
    if any(name.casefold() == STATE_FOLDER for name in tree.entries):
        found.append(Finding("STATE_TRACKED", {"commit": commit}, location=Location(STATE_FOLDER)))
    submodules, rules = _notable(tree, "")
    if submodules:
        facts: Facts = {"count": len(submodules), "paths": tuple(submodules[:_SHOWN])}
        found.append(Finding("REPO_SUBMODULE", facts, location=Location(submodules[0])))
    contents = read(rules.values())
    lfs = [
        path
        for path, oid in rules.items()
        if re.search(rb"^[^#\n]*\sfilter=lfs\b", contents[oid], re.MULTILINE)
    ]
    if lfs:
        found.append(Finding("REPO_LFS_POINTER", {"file": lfs[0]}, location=Location(lfs[0])))
    return tuple(found)


def _notable(tree: Tree, prefix: str) -> tuple[list[str], dict[str, str]]:
    """Return paths of submodules, and blob ids of .gitattributes files by path."""
    submodules: list[str] = []
    rules: dict[str, str] = {}
    for name, entry in tree.entries.items():
        if isinstance(entry, Tree):
            below, more = _notable(entry, f"{prefix}{name}/")
            submodules += below
            rules |= more
        elif entry.mode == MODE_SUBMODULE:
            submodules.append(prefix + name)
        elif name == ".gitattributes":
            rules[prefix + name] = entry.oid
    return sorted(submodules), rules


def _first(text: str) -> str:
    return text.strip().split("\n", 1)[0].removeprefix("fatal: ")


def _refusal(finding: str, facts: Facts) -> Refusal:
    return Refusal(Finding(finding, facts))
