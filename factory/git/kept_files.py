"""Keep small files in a repository's refs and notes, and read them back: checkpoints to be
pushed to another place.

A ref points at the file's blob; a note is that blob, under `refs/notes/factory/checkpoint`. No
hook, filter or configuration of the repository takes part. Does not know what a checkpoint says.
"""

from __future__ import annotations

import re

from factory.git.git import Git, GitError
from factory.git.ports import Repository
from factory.model.errors import UsageError

NOTES = "refs/notes/factory/checkpoint"
_REF = re.compile(r"refs/[A-Za-z0-9][\w.+-]*(?:/[\w.+-]+)+", re.ASCII)
# What people and tools read as commits.
_COMMITS = ("refs/heads/", "refs/tags/", "refs/remotes/", "refs/notes/")
_IDENTITY: dict[str, str | None] = {
    f"GIT_{role}_{what}": value
    for role in ("AUTHOR", "COMMITTER")
    for what, value in (("NAME", "codex-orchestrator"), ("EMAIL", "orchestrator@localhost"))
}


def put_ref(program: str, repository: Repository, ref: str, content: bytes) -> None:
    """Let a ref point at this content. Raise UsageError for a ref that is not for files."""
    git = _git(program, repository)
    name = _checked(ref)
    try:
        git.run("update-ref", "--no-deref", name, _stored(git, content))
    except GitError as error:
        raise UsageError(f"expected a ref that can be set, {ref}: {error.said}") from error


def put_note(program: str, repository: Repository, commit: str, content: bytes) -> None:
    """Let the note of a commit be this content. Raise UsageError for what is no commit."""
    git = _git(program, repository)
    words = ("notes", f"--ref={NOTES}", "add", "-f", "-C", _stored(git, content))
    try:
        git.run(*words, _commit(git, commit), variables=_IDENTITY)
    except GitError as error:
        raise UsageError(f"expected a commit to annotate, {commit}: {error.said}") from error


def read_ref(program: str, repository: Repository, ref: str) -> bytes:
    """Return the content that a ref points at. Raise UsageError."""
    try:
        return _git(program, repository).run("cat-file", "blob", _checked(ref)).out
    except GitError as error:
        raise UsageError(f"expected a ref to a checkpoint, {ref}: {error.said}") from error


def read_note(program: str, repository: Repository, commit: str) -> bytes:
    """Return the note of a commit. Raise UsageError."""
    git = _git(program, repository)
    try:
        listed = git.run("notes", f"--ref={NOTES}", "list", _commit(git, commit)).out
        return git.run("cat-file", "blob", listed.decode("ascii").strip()).out
    except GitError as error:
        raise UsageError(f"expected a commit with a checkpoint, {commit}: {error.said}") from error


def _git(program: str, repository: Repository) -> Git:
    settings = ("core.logAllRefUpdates=false", "core.notesRef=", "notes.rewriteRef=")
    return Git(program, repository.common_dir, repository.common_dir, settings=settings)


def _stored(git: Git, content: bytes) -> str:
    answer = git.run("hash-object", "-w", "--no-filters", "--stdin", stdin=content)
    return answer.out.decode("ascii").strip()


def _commit(git: Git, word: str) -> str:
    """Return the id of a commit; a word that begins like an option names none."""
    answer = git.run("rev-parse", "--verify", "--end-of-options", f"{word}^{{commit}}")
    return answer.out.decode("ascii").strip()


def _checked(ref: str) -> str:
    if _REF.fullmatch(ref) is None or ref.startswith(_COMMITS) or ".." in ref:
        raise UsageError(
            f"expected a full ref of its own, found {ref!r}", "as in: refs/factory/checkpoint"
        )
    return ref
