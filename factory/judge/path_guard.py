"""Judge changed paths, for every layer: preflight, bundle, validation, integration.

It looks at names and tree entries only; never at patch text, never at a pack's claims, never at a
file system. What may not exist anywhere (unsafe, unportable, protected) is refused whatever a scope
says. Does not know scopes: that is `judge.scope` through `judge_change`.
"""

from __future__ import annotations

import os
import re
import unicodedata
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from itertools import pairwise

from factory.judge.scope import Patterns, compile_patterns
from factory.model.inert import BLANK, visible
from factory.model.layout import STATE_FOLDER
from factory.model.tree import Tree

# What runs, or lets something run, once a change is merged, checked out or opened: by subject.
RUN_BY_THEMSELVES: Mapping[str, tuple[str, ...]] = {
    "services that build on a push": (
        ".github/workflows/",
        ".github/actions/",
        ".gitlab-ci.yml",
        ".circleci/",
        "Jenkinsfile",
        "azure-pipelines.yml",
        ".azure-pipelines/",
        "bitbucket-pipelines.yml",
        ".buildkite/",
        ".travis.yml",
        ".drone.yml",
        ".woodpecker.yml",
        ".woodpecker/",
        ".cirrus.yml",
        "appveyor.yml",
        ".appveyor.yml",
        ".forgejo/workflows/",
        ".gitea/workflows/",
        ".tekton/",
        ".build.yml",
        ".builds/",
        "buildspec.yml",
        "cloudbuild.yaml",
    ),
    "who must agree to a change": (
        "CODEOWNERS",
        ".github/CODEOWNERS",
        ".gitlab/CODEOWNERS",
        "docs/CODEOWNERS",
    ),
    "Git and its hooks": (
        ".gitmodules",
        "**/.husky/",
        ".githooks/",
        ".pre-commit-config.yaml",
        ".pre-commit-hooks.yaml",
        "lefthook.yml",
        ".lefthook.yml",
        ".lefthook/",
        ".overcommit.yml",
    ),
    "editors and development containers": (
        "**/.vscode/",
        "**/*.code-workspace",
        "**/.idea/",
        "**/.zed/",
        "**/.fleet/",
        "**/.dir-locals.el",
        "**/.exrc",
        "**/.nvimrc",
        "**/.nvim.lua",
        "**/.devcontainer/",
        "**/.devcontainer.json",
        ".gitpod.yml",
        "**/mise.toml",
        "**/.mise.toml",
    ),
    "agents and the programs that they start": (
        "**/.claude/",
        "**/.mcp.json",
        "**/.cursor/",
        "**/.codex/",
        "**/.gemini/",
        "**/.windsurf/",
        "**/.continue/",
        "**/.kiro/",
        "**/.opencode/",
        "**/opencode.json",
    ),
}

PROTECTED = (
    ".git",
    ".git/",
    "**/.git",
    "**/.git/",
    ".env*",
    "**/.env*",
    ".env*/",
    "**/.env*/",
    # doit imports its file by the name `dodo`: a package, an extension or a cached .pyc of it would
    # come first.
    "dodo.py",
    "dodo.*",
    "dodo",
    "dodo/",
    "noxfile.py",
    "__pycache__/dodo.*",
    "__pycache__/noxfile.*",
    "doit.cfg",
    "factory.toml",
    "factory.keys/",
    f"{STATE_FOLDER}/",
    # A link by the name of a folder would bring in another one.
    *("factory.keys", ".github", ".gitlab", ".forgejo", ".gitea"),
    *(
        form
        for patterns in RUN_BY_THEMSELVES.values()
        for pattern in patterns
        for form in dict.fromkeys((pattern, pattern.rstrip("/")))
    ),
)

_DRIVE = re.compile(r"[A-Za-z]:")
_DEVICES = frozenset(
    {"con", "prn", "aux", "nul", "conin$", "conout$", "clock$"}
    | {f"{port}{digit}" for port in ("com", "lpt") for digit in "0123456789¹²³"}
)
_RESERVED = frozenset('<>:"|?*')
# Code points that HFS+ ignores when it compares names; ".g\u200cit" is ".git" there (Git's own
# utf8.c list).
_IGNORABLE = frozenset(
    "\u200c\u200d\u200e\u200f\u202a\u202b\u202c\u202d\u202e"
    "\u206a\u206b\u206c\u206d\u206e\u206f\ufeff"
)
_SHORT_GIT = re.compile(r"git~[0-9]+")
# NTFS gives a file a second, short name: NOXFIL~1.PY opens noxfile.py there.
_SHORT_NAME = re.compile(r"[^.~]{1,6}~[0-9]{1,6}(?:\.[^.]{0,3})?")


def display(path: str) -> str:
    """Return `path` with an escape for each character that could harm a terminal, report or JSON.
    Injective.
    """
    if path.isascii() and path.isprintable() and "\\" not in path:  # nearly always
        return path
    return "".join("\\\\" if char == "\\" else visible(char) for char in path)


def fold(name: str) -> str:
    """Return the form under which some platform equates names: NFC, case-folded, without
    ignorables.
    """
    if name.isascii():  # nearly always; then only the case is folded
        return name.lower()
    kept = "".join(char for char in name if char not in _IGNORABLE)
    return unicodedata.normalize(
        "NFC", unicodedata.normalize("NFD", unicodedata.normalize("NFC", kept)).casefold()
    )


def fold_all(names: Sequence[str]) -> list[str]:
    """Return `fold` of each name, in order; many ASCII names are folded at once."""
    joined = "\n".join(names)
    if joined.isascii() and joined.count("\n") + 1 == len(names):
        return joined.lower().split("\n")
    return [fold(name) for name in names]


def reads_as_git(name: str) -> bool:
    """Return True if some platform opens `name`, or a part of it, as `.git`.

    Case, HFS ignorables, NTFS short names, streams and trailing dots are ignored; a backslash
    counts as a slash.
    """
    return any(map(_is_git, fold(name).split("\\")))


def _is_git(folded: str) -> bool:
    plain = folded.split(":", 1)[0].rstrip(". ")
    return plain == ".git" or _SHORT_GIT.fullmatch(plain) is not None


def unsafe(path: str) -> str:
    """Return why `path` could lead outside a workspace, one clause; "" if it cannot."""
    if not path:
        return "is empty"
    if path.startswith("/"):
        return "is absolute"
    if path.startswith("\\\\"):
        return "is a UNC path"
    if _DRIVE.match(path):
        return "starts with a drive"
    segments = path.split("/")
    if ".." in segments:
        return "leaves the workspace"
    if "" in segments or "." in segments:
        return "is not in its shortest form"
    return ""


def unportable(path: str) -> str:
    """Return why `path` cannot exist on every platform, one clause; "" if it can."""
    for name in path.split("/"):
        problem = _unportable_name(name)
        if problem:
            return problem
    if len(os.fsencode(path)) > 1024:
        return "is longer than 1024 bytes"
    return ""


@lru_cache(maxsize=4096)  # packs have files of the same few names
def _unportable_name(name: str) -> str:
    if any(unicodedata.category(char) == "Cs" for char in name):
        return "is not valid UTF-8"
    if any(unicodedata.category(char) == "Cc" for char in name):
        return "contains a control character"
    if any(char in BLANK or unicodedata.category(char) in ("Cf", "Zl", "Zp") for char in name):
        return "contains an invisible or direction-changing character"
    if "\\" in name:
        return "contains a backslash"
    if any(char in _RESERVED for char in name):
        return "contains a character that Windows reserves"
    if name.endswith((".", " ")) or name.startswith(" "):
        return "starts with a space or ends with a dot or space"
    if fold(name).split(".", 1)[0].rstrip(" ") in _DEVICES:
        return "is a Windows device name"
    if _SHORT_NAME.fullmatch(fold(name)):
        return "reads as the short name of another file on Windows"
    if len(os.fsencode(name)) > 255:
        return "has a name longer than 255 bytes"
    return ""


def git_name(path: str) -> str:
    """Return the segment of `path` that reads as .git on some platform; "" if there is none."""
    return next((name for name in path.split("/") if reads_as_git(name)), "")


def misnamed(path: str) -> str:
    """Return why a file cannot be stored under `path`, whatever a contract says; "" if it can."""
    return (
        unsafe(path)
        or ("contains a name that reads as .git" if git_name(path) else "")
        or unportable(path)
    )


def protected_patterns(packs_folder: str, extra: Iterable[str] = ()) -> Patterns:
    """Return the protected list: built in, contract files of every pack, and `extra`; each also
    folded.
    """
    contract = tuple(
        f"{packs_folder}/*/{name}"
        for name in ("task.yml", "acceptance.yml", "spec.md", "risk.md", "runbook.md")
    )
    listed = (*PROTECTED, *contract, *extra)
    return compile_patterns(tuple(dict.fromkeys((*listed, *(fold(pattern) for pattern in listed)))))


def is_protected(path: str, protected: Patterns) -> bool:
    """Return True if `path`, or its folded form, is protected."""
    return protected.matches(path) or protected.matches(fold(path))


def link_escapes(path: str, target: str) -> bool:
    """Return True if a symbolic link at `path` with `target` leads, or could lead, outside the
    workspace.

    Only the folders above the link are known to be folders. Going up after a name is refused: that
    name may be another link, and two of them that each look harmless reach anywhere. What reads as
    .git is outside too: nothing of a workspace is behind it.
    """
    if not target or target.startswith(("/", "\\")) or _DRIVE.match(target):
        return True
    segments = [
        segment for segment in target.replace("\\", "/").split("/") if segment not in ("", ".")
    ]
    if any(reads_as_git(segment) for segment in segments):
        return True
    named = next(
        (position for position, segment in enumerate(segments) if segment != ".."), len(segments)
    )
    return named > path.count("/") or ".." in segments[named:]


def collisions(tree: Tree, paths: Iterable[str], before: Tree) -> Mapping[str, str]:
    """Return those of `paths` in `tree` that fold like a sibling, or whose parent does: path to
    sibling. Two names that were both in the tree `before` are none.
    """
    found: dict[str, str] = {}
    folded: dict[str, dict[str, list[str]]] = {}
    for path in paths:
        segments = path.split("/")
        for depth in range(len(segments)):
            parent = "/".join(segments[:depth])
            if parent not in folded:
                folded[parent] = _folded_names(tree.get(parent) if parent else tree)
            alike = folded[parent].get(fold(segments[depth]), ())
            others = [name for name in alike if name != segments[depth]]
            if others:
                old = before.get(parent) if parent else before
                was = old.entries.keys() if isinstance(old, Tree) else ()
                others = [name for name in others if name not in was or segments[depth] not in was]
            if others:
                found[path] = f"{parent}/{others[0]}" if parent else others[0]
                break
    return found


def new_collisions(base: Tree, tree: Tree) -> Iterator[tuple[str, str]]:
    """Yield pairs of paths of `tree`, siblings that fold alike, unless `base` already has both.

    Folders that both trees share unchanged are not read.
    """
    waiting: list[tuple[str, Tree | None, Tree]] = [("", base, tree)]
    while waiting:
        above, old, new = waiting.pop()
        if old == new:
            continue
        before = old.entries if old is not None else {}
        if len(set(fold_all(list(new.entries)))) < len(new.entries):
            for alike in _folded_names(new).values():
                for one, other in pairwise(alike):
                    if one not in before or other not in before:
                        yield above + one, above + other
        for name, entry in new.entries.items():
            if isinstance(entry, Tree):
                below = before.get(name)
                waiting.append(
                    (f"{above}{name}/", below if isinstance(below, Tree) else None, entry)
                )


def _folded_names(folder: object) -> dict[str, list[str]]:
    names: dict[str, list[str]] = {}
    if isinstance(folder, Tree):
        for name in sorted(folder.entries):
            names.setdefault(fold(name), []).append(name)
    return names
