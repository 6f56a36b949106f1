"""Find the user's repository, and report what a person should know about it before a run.

Rule: only questions that change nothing, not even the index (GIT_OPTIONAL_LOCKS=0), asked with
every configured program off. Each refusal says what was expected, what was found and the remedy.
Does not read the base's content.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from pathlib import Path

from factory.git.git import Answer, Git, GitError, find_git, version
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
    own: dict[str, str | None] = {
        name: os.environ.get(name)
        for name in ("HOME", "XDG_CONFIG_HOME", "GIT_CONFIG_GLOBAL", "GIT_CONFIG_SYSTEM")
    }
    own["GIT_CONFIG_NOSYSTEM"] = os.environ.get("GIT_CONFIG_NOSYSTEM")
    found: list[str] = []
    for scope in ("--system", "--global"):
        # 1: not set; 128: that configuration cannot be read, so it grants nothing
        answer = git.run(
            "config", scope, "-z", "--get-all", "safe.directory", ok=(0, 1, 128), variables=own
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
    if _DUBIOUS in place.err:
        return _refusal("REPO_UNREADABLE", {"case": "owner", "place": str(start)})
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

    def missing(found: str) -> Refusal:
        return _refusal("POLICY_REF_MISSING", {"ref": ref, "found": found})

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
        raise missing("its files are not here")
    if not listed.out:
        return commit, None
    mode, kind, oid = listed.out.split(b"\t")[0].decode("ascii").split()
    if kind != "blob" or mode == "120000":
        found = "a symbolic link" if mode == "120000" else "a folder"
        raise _refusal("CONFIG_UNREADABLE", {"file": f"{name} of {ref}", "found": found})
    content = git.run("cat-file", "blob", oid, ok=(0, 128))
    if content.rc != 0:
        raise missing("its files are not here")
    return commit, content.out


def origin_of(repository: Repository) -> str:
    """Return the address that the repository was cloned from; "" if none is known."""
    answer = _git_of(repository).run("config", "--get", "remote.origin.url", ok=(0, 1))
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


def changed_paths(repository: Repository) -> tuple[str, ...]:
    """Return paths that differ from HEAD or are untracked (a folder ends in "/"), by `git status`.

    It writes nothing. Filters that the repository configures are off, so it may name an unchanged
    large file of Git LFS. Raise Refusal REPO_UNREADABLE.
    """
    git = _git_of(repository)
    words = (
        "status",
        "--porcelain=v1",
        "-z",
        "--untracked-files=normal",
        "--ignore-submodules=all",
        "--no-renames",
    )
    try:
        rows = git.run(*words, variables=_filters_off(git)).out.split(b"\0")[:-1]
    except GitError as error:
        raise _refusal(
            "REPO_UNREADABLE",
            {"case": "status", "place": str(repository.root), "found": error.said},
        ) from error
    return tuple(os.fsdecode(row[3:]) for row in rows)


def ignored_below(repository: Repository, folder: str) -> frozenset[str]:
    """Return untracked files below `folder` that the repository's rules ignore."""
    git = _git_of(repository)
    words = ("ls-files", "-z", "--others", "--ignored", "--exclude-standard", "--", folder)
    return frozenset(os.fsdecode(row) for row in git.run(*words).out.split(b"\0")[:-1])


def _git_of(repository: Repository) -> Git:
    """Return Git for this repository, trusted: `discover` has checked its owner."""
    root, git_dir = repository.root, repository.git_dir
    trust = (f"safe.directory={root}", f"safe.directory={git_dir}")
    return Git(find_git(root), root, git_dir, root, trust)


def _filters_off(git: Git) -> dict[str, str]:
    """Return variables that remove the programs of every configured filter.

    Not by -c: it would take the name of a filter "a=b" for name and value, and leave its program.
    """
    answer = git.run(
        "config",
        "-z",
        "--name-only",
        "--get-regexp",
        r"^filter\..*\.(clean|process|required)$",
        ok=(0, 1),
    )
    names = sorted({os.fsdecode(name) for name in answer.out.split(b"\0")[:-1]})
    off = {"GIT_CONFIG_COUNT": str(len(names))}
    for number, name in enumerate(names):
        off[f"GIT_CONFIG_KEY_{number}"] = name
        off[f"GIT_CONFIG_VALUE_{number}"] = "false" if name.endswith(".required") else ""
    return off


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


def not_ignored_below(repository: Repository, folder: str) -> tuple[str, ...]:
    """Return files below `folder` that Git tracks or would add, sorted."""
    git = _git_of(repository)
    words = ("ls-files", "-z", "--cached", "--others", "--exclude-standard", "--", folder)
    return tuple(sorted({os.fsdecode(row) for row in git.run(*words).out.split(b"\0")[:-1]}))
