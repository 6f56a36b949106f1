"""Ask Git about the user's work tree, as `git status` sees it: what is changed, what is ignored,
and what Git would store for a file that is unchanged.

Rule: only questions that change nothing, not even the index, and no program that anybody
configured is run. The user's own rules of ignoring and of line ends count here, since they say what
of a work tree is the user's work; they enter nothing that is made of a commit. Sources: git-status,
git-ls-files, gitattributes, racy-git.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import replace
from functools import cached_property

from factory.git.git import Git, GitError, find_git
from factory.git.ports import Repository
from factory.model.errors import Refusal
from factory.model.finding import Finding
from factory.model.tree import MODE_EXECUTABLE, MODE_FILE, object_id

# Of Emacs: locks, autosaved files, backups; of vim: swap files; locks of LibreOffice and kate.
_OF_EDITORS = (".#*", "#*#", "*~", ".*.sw[a-p]", ".sw[a-p]", ".~lock.*#", ".*.kate-swp")
_FILES = ("core.excludesfile", "core.attributesfile")  # named by a path; a program is no value
_VALUES = ("core.autocrlf", "core.eol", "core.filemode", "core.checkroundtripencoding")
_LARGEST_POINTER = 1024  # bytes; the specification of Git LFS
_POINTER = re.compile(
    rb"version https://git-lfs\.github\.com/spec/v1\n(?:.+\n)*?oid sha256:([0-9a-f]{64})\n"
    rb"size (\d{1,18})\n"
)
_STAT = re.compile(
    rb"  ctime: (\d+):(\d+)\n  mtime: (\d+):(\d+)\n  dev: \d+\tino: (\d+)\n"
    rb"  uid: \d+\tgid: \d+\n  size: (\d+)\tflags: [0-9a-f]+\n"
)


def git_of(repository: Repository) -> Git:
    """Return Git for this repository, trusted: `discover` has checked its owner."""
    root, git_dir = repository.root, repository.git_dir
    trust = (f"safe.directory={root}", f"safe.directory={git_dir}")
    return Git(find_git(root), root, git_dir, root, trust)


def own_configuration() -> dict[str, str | None]:
    """Return the variables with which Git finds the system's configuration and the user's."""
    names = ("HOME", "XDG_CONFIG_HOME", "GIT_CONFIG_GLOBAL", "GIT_CONFIG_SYSTEM")
    return {name: os.environ.get(name) for name in (*names, "GIT_CONFIG_NOSYSTEM")}


def changed_paths(repository: Repository, untracked: str = "normal") -> tuple[str, ...]:
    """Return paths that differ from HEAD or are untracked (a folder ends in "/", or with "all" each
    file in it), by `git status`.

    A file under a filter counts as unchanged where the index says so to the nanosecond, or where it
    is the content that a pointer of Git LFS names. Raise Refusal REPO_UNREADABLE.
    """
    git = _as_the_user_has_it(git_of(repository))
    words = (f"--untracked-files={untracked}", "--ignore-submodules=all")
    rows = _status(repository, git, words)
    modified = [path for state, path in rows if state == b" M"]
    clean = _unfiltered(git, modified) if modified else frozenset()
    return tuple(path for _, path in rows if path not in clean)


def ignored_below(repository: Repository, folder: str) -> frozenset[str]:
    """Return untracked files below `folder` that the repository's rules or the user's own ignore,
    and those that editors keep there while a file is open.
    """
    git = _as_the_user_has_it(git_of(repository))
    left = (word for pattern in _OF_EDITORS for word in ("--exclude", pattern))
    words = ("ls-files", "-z", "--others", "--ignored", "--exclude-standard", *left, "--", folder)
    return frozenset(os.fsdecode(row) for row in git.run(*words).out.split(b"\0")[:-1])


def not_ignored_below(repository: Repository, folder: str) -> tuple[str, ...]:
    """Return files below `folder` that Git tracks or would add, sorted."""
    git = _as_the_user_has_it(git_of(repository))
    words = ("ls-files", "-z", "--cached", "--others", "--exclude-standard", "--", folder)
    return tuple(sorted({os.fsdecode(row) for row in git.run(*words).out.split(b"\0")[:-1]}))


class StoredFiles:
    """Answer what Git has stored for files of a folder that are unchanged in the work tree.

    With `core.autocrlf`, the attributes `text`, `eol`, `ident`, `working-tree-encoding` or `filter`
    a clean checkout has other bytes on disk than the commit has.
    """

    def __init__(self, repository: Repository, folder: str) -> None:
        self._repository = repository
        self._folder = folder

    def __call__(self, files: Mapping[str, tuple[int, bytes]]) -> Mapping[str, tuple[int, bytes]]:
        """Return (mode, content) as stored of those of `files`, path to (mode, content on disk),
        that are unchanged and are stored otherwise. Raise Refusal REPO_UNREADABLE.
        """
        found = {}
        for path, (mode, content) in files.items():
            kept = self._indexed.get(path)
            if kept is None or kept == (mode, self._id_of(content)) or path in self._changed:
                continue
            blob = self._git.run("cat-file", "blob", kept[1]).out
            found[path] = (kept[0], blob)
        return found

    def _id_of(self, content: bytes) -> str:
        return object_id("blob", content, self._repository.hash_name)

    @cached_property
    def _git(self) -> Git:
        return git_of(self._repository)

    @cached_property
    def _indexed(self) -> Mapping[str, tuple[int, str]]:
        """Return (mode, blob id) of each plain file in the index below the folder, by path."""
        found = {}
        for row in self._git.run("ls-files", "-s", "-z", "--", self._folder).out.split(b"\0")[:-1]:
            head, _, path = row.partition(b"\t")
            mode, oid, stage = head.decode("ascii").split(" ")
            if stage == "0" and int(mode, 8) in (MODE_FILE, MODE_EXECUTABLE):
                found[os.fsdecode(path)] = (int(mode, 8), oid)
        return found

    @cached_property
    def _changed(self) -> frozenset[str]:
        """Return the tracked files below the folder that the work tree has otherwise."""
        git = _as_the_user_has_it(self._git)
        words = ("--untracked-files=no", "--ignore-submodules=all", "--", self._folder)
        rows = _status(self._repository, git, words)
        changed = {path: state for state, path in rows if state[1:] != b" "}
        modified = [path for path, state in changed.items() if state[1:] == b"M"]
        return frozenset(changed) - _unfiltered(git, modified)


def _status(repository: Repository, git: Git, words: Iterable[str]) -> list[tuple[bytes, str]]:
    try:
        rows = git.run(
            *("status", "--porcelain=v1", "-z", "--no-renames", *words),
            variables=_filters_off(git),
        ).out.split(b"\0")[:-1]
    except GitError as error:
        facts = {"case": "status", "place": str(repository.root), "found": error.said}
        raise Refusal(Finding("REPO_UNREADABLE", facts)) from error
    return [(row[:2], os.fsdecode(row[3:])) for row in rows]


def _as_the_user_has_it(git: Git) -> Git:
    """Return `git` with what the configuration of system, user and repository says of ignoring and
    of line ends. Of a file that it names only a plain one is taken.
    """
    words = "|".join(name.partition(".")[2] for name in (*_FILES, *_VALUES))
    answer = git.run(
        *("config", "-z", "--show-scope", "--get-regexp", rf"^core\.({words})$"),
        ok=(0, 1, 128),  # 1: nothing is set; 128: configuration that cannot be read says nothing
        variables=own_configuration(),
    )
    fields = answer.out.split(b"\0")[:-1]
    found: dict[str, str] = {}
    for scope, row in zip(fields[::2], fields[1::2], strict=True):
        name, given, value = os.fsdecode(row).partition("\n")
        if scope != b"command":
            found[name] = value if given else "true"
    for name, default in zip(_FILES, ("ignore", "attributes"), strict=True):
        place = os.path.expanduser(found.pop(name)) if name in found else _own_file(default)
        if os.path.isabs(place) and os.path.isfile(place):
            found[name] = place
    return replace(git, settings=(*git.settings, *(f"{k}={v}" for k, v in sorted(found.items()))))


def _own_file(name: str) -> str:
    """Return where Git looks for a file of the user's where no configuration names it."""
    home = os.environ.get("HOME", "")
    above = os.environ.get("XDG_CONFIG_HOME") or (f"{home}/.config" if home else "")
    return f"{above}/git/{name}" if above else ""


def _filters_off(git: Git) -> dict[str, str]:
    """Return variables that remove the programs of every configured filter.

    Not by -c: it would take the name of a filter "a=b" for name and value, and leave its program.
    """
    words = ("config", "-z", "--name-only", "--get-regexp")
    answer = git.run(*words, r"^filter\..*\.(clean|process|required)$", ok=(0, 1))
    names = sorted({os.fsdecode(name) for name in answer.out.split(b"\0")[:-1]})
    off = {"GIT_CONFIG_COUNT": str(len(names))}
    for number, name in enumerate(names):
        off[f"GIT_CONFIG_KEY_{number}"] = name
        off[f"GIT_CONFIG_VALUE_{number}"] = "false" if name.endswith(".required") else ""
    return off


def _unfiltered(git: Git, modified: Iterable[str]) -> frozenset[str]:
    """Return those of `modified` under a filter that are unchanged all the same: Git reads a file
    that is as new as its index, and says "modified" where its filter is off.
    """
    asked = b"".join(os.fsencode(path) + b"\0" for path in modified)
    words = ("check-attr", "-z", "--stdin", "filter")
    fields = git.run(*words, stdin=asked).out.split(b"\0")[:-1] if asked else []
    rows = zip(fields[::3], fields[2::3], strict=True)
    filtered = [path for path, value in rows if value not in (b"unspecified", b"unset")]
    if not filtered:
        return frozenset()
    names = (os.fsdecode(path) for path in filtered)
    answer = git.run("ls-files", "-z", "--stage", "--debug", "--", *names).out
    clean = set()
    for row in re.finditer(rb"\d+ ([0-9a-f]+) 0\t([^\0]+)\0" + _STAT.pattern, answer):
        place = f"{git.cwd}/{os.fsdecode(row[2])}"
        if _is_as_indexed(place, *map(int, row.groups()[2:])) or _is_content_of(
            place, git, row[1].decode("ascii")
        ):
            clean.add(os.fsdecode(row[2]))
    return frozenset(clean)


def _is_as_indexed(
    place: str, changed: int, changed_ns: int, written: int, written_ns: int, ino: int, size: int
) -> bool:
    """Return whether a file's times, to the nanosecond, inode and size are those in the index."""
    try:
        seen = os.lstat(place)
    except OSError:
        return False
    times = (changed * 10**9 + changed_ns, written * 10**9 + written_ns)
    return (
        changed_ns != 0  # a Git that keeps whole seconds cannot say
        and (seen.st_ctime_ns, seen.st_mtime_ns) == times
        and (seen.st_ino & 0xFFFFFFFF, seen.st_size & 0xFFFFFFFF) == (ino, size)
    )


def _is_content_of(place: str, git: Git, oid: str) -> bool:
    """Return whether a file is what the blob `oid`, a pointer of Git LFS, points to."""
    if not os.path.isfile(place) or os.path.islink(place):
        return False
    size = int(git.run("cat-file", "-s", oid).out)
    pointer = (
        _POINTER.fullmatch(git.run("cat-file", "blob", oid).out)
        if size <= _LARGEST_POINTER
        else None
    )
    if pointer is None or os.path.getsize(place) != int(pointer[2]):
        return False
    with open(place, "rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest().encode() == pointer[1]
