"""List findings about the Git repository that a run starts from."""

from __future__ import annotations

from collections.abc import Mapping

from factory.model.findings.entry import CatalogueEntry, error, warning

_FSCK = "look at it with: git fsck"
# Without --no-filter a partial clone's own filter applies to a refetch too.
_OBJECTS = (
    f"{_FSCK}; a partial clone needs its missing objects first: git fetch --refetch --no-filter"
)
_PLACE = "/srv/project"

REPOSITORY: Mapping[str, CatalogueEntry] = {
    "REPO_NOT_FOUND": error(
        "there is no Git repository here",
        sentence={
            "folder": "expected a folder at {place!r}, found none",
            "gone": "expected to be in a folder, found that the current one is gone",
            "repository": "expected a Git repository at {place!r} or above, found none",
        },
        hint={
            "folder": "name one that exists",
            "gone": "change to one that exists",
            "repository": "run it inside one, or start one with: git init",
        },
        remedy="no change of the contract is needed: run it inside a Git repository",
        examples=(
            {"case": "folder", "place": _PLACE},
            {"case": "gone"},
            {"case": "repository", "place": _PLACE},
        ),
    ),
    "REPO_BARE": error(
        "the repository has no work tree to read task packs from",
        sentence={
            "bare": "expected a repository with a work tree at {place!r}, found a bare one",
            "inside": "expected a work tree at {place!r}, found the inside of a Git folder",
        },
        hint={
            "bare": "clone it, or add a work tree with: git worktree add ../worktree",
            "inside": "change to the repository's work tree",
        },
        remedy="no change of the contract is needed: run it in a work tree of the repository",
        examples=({"case": "bare", "place": _PLACE}, {"case": "inside", "place": _PLACE}),
    ),
    "REPO_NO_COMMITS": error(
        "the repository has no commit to start from",
        sentence="expected a commit to start from in {place!r}, found none",
        hint='make one with: git commit --allow-empty -m "first"',
        remedy="no change of the contract is needed: make a first commit",
        examples=({"place": _PLACE},),
    ),
    "REPO_BASE_UNKNOWN": error(
        "the base ref does not name a commit",
        sentence="expected base ref {base_ref!r} to name a commit, found {found}",
        hint="name a branch, a tag or a commit id; git branch --all lists branches",
        remedy="no change of the contract is needed: name an existing commit with --base-ref",
        examples=({"base_ref": "mian", "found": "no such ref"},),
    ),
    "REPO_UNREADABLE": error(
        "Git refused to read the repository or lacks an object",
        sentence={
            "forbidden": "expected to read {place!r}, found that it is forbidden",
            "owner": "expected a repository of this user at {place!r}, found that another user"
            " owns it",
            "git": "expected a readable repository at {place!r}, found: {found}",
            "status": "expected git status of {place!r}, found: {found}",
            "missing": "expected the object {object} that {base_ref!r} names, found that it is"
            " missing",
            "object": "expected {expected}, found {found} (repository {place!r})",
            "command": "{problem} (repository {place!r})",
        },
        hint={
            "forbidden": "chmod u+rx {place:sh}, or run as its owner",
            "owner": "if you trust it: git config --global --add safe.directory {place:sh}",
            "git": _FSCK,
            "status": _FSCK,
            "missing": _OBJECTS,
            "object": _OBJECTS,
            "command": _OBJECTS,
        },
        remedy="no change of the contract is needed: make the repository readable",
        examples=(
            {"case": "forbidden", "place": _PLACE},
            {"case": "owner", "place": _PLACE},
            {"case": "git", "place": _PLACE, "found": "bad config line 1"},
            {"case": "status", "place": _PLACE, "found": "index file corrupt"},
            {"case": "missing", "object": "4b825dc642cb", "base_ref": "v1"},
            {
                "case": "object",
                "place": _PLACE,
                "expected": "a blob at 4b825dc642cb",
                "found": "a tree",
            },
            {
                "case": "command",
                "place": _PLACE,
                "problem": "expected git bundle create to end with 0, found 128: no space",
            },
        ),
    ),
    "REPO_DIRTY": warning(
        "local changes outside the task packs exist and never enter a sandbox",
        sentence="expected no local change outside the task packs, found {count}: {paths!r}",
        hint="packs see the base commit only; commit what they should see",
        examples=({"count": 2, "paths": ("README.md", "src/a.py")},),
    ),
    "STATE_TRACKED": error(
        "the state folder is part of a commit",
        sentence="expected .factory not to be tracked by Git, found it in commit {commit:short}:"
        " what a commit brings is no memory of this user",
        hint="git rm -r -q --cached .factory && git commit -m 'stop tracking .factory'",
        remedy="no change of the contract is needed: git rm -r -q --cached .factory, and commit",
        examples=({"commit": "4b825dc642cb6eb9a060e54bf8d69288fbee4904"},),
    ),
    "STATE_NOT_SEALED": warning(
        "what the state folder remembers was not written by this user at this place",
        sentence={
            "markers": "expected what .factory remembers to be sealed by this user at this place,"
            " found {count:marker|markers} without such a seal: restored, copied or committed",
            "checks": "expected what .factory remembers to be sealed by this user at this place,"
            " found {count:check|checks} without such a seal: restored, copied or committed",
        },
        hint="nothing of it was believed, so it was done again",
        examples=({"case": "markers", "count": 3}, {"case": "checks", "count": 1}),
    ),
    "SEAL_NOT_KEPT": warning(
        "there is no private folder for the secret that seals what is remembered",
        sentence="expected a private folder for the secret that seals what .factory remembers,"
        " found none: {why}",
        hint="every start does everything again; to end that, set XDG_STATE_HOME to a folder of"
        " your own",
        examples=({"why": "/nonexistent: no folder on the way to it exists"},),
    ),
    "REPO_PACKS_UNCOMMITTED": warning(
        "a task pack differs from the base commit",
        sentence="task packs differ from the base commit; this run cannot be published",
        hint="Commit them to publish a run.",
    ),
    "REPO_DETACHED": warning(
        "HEAD is detached",
        sentence="expected HEAD on a branch, found it detached; the base is {commit:short}",
        hint="this is fine for a run; a result branch starts from that commit",
        examples=({"commit": "4b825dc642cb6eb9a060e54bf8d69288fbee4904"},),
    ),
    "REPO_SHALLOW": warning(
        "the repository is a shallow clone",
        sentence="expected the whole history, found a shallow clone",
        hint="this is fine for a run; to have all of it: git fetch --unshallow",
    ),
    "REPO_SUBMODULE": warning(
        "a submodule is seen as an empty folder",
        sentence="expected plain files only, found {count:submodule|submodules}: {paths}",
        hint="a pack sees an empty folder there and must not need its content",
        examples=({"count": 1, "paths": ("vendor/lib",)},),
    ),
    "REPO_LFS_POINTER": warning(
        "Git LFS pointers are seen as pointers, not as content",
        sentence="expected content in every file, found Git LFS declared in {file!r}",
        hint="a pack sees the pointer files; give it what it needs in its own folder",
        examples=({"file": ".gitattributes"},),
    ),
}
