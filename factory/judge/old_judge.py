"""Decide about the judge of a result: which of its files were changed, by whose leave, and what
follows from checks that were run again under the judge as it was before the work.

    >>> judge_set = JudgePatterns().compiled
    >>> leaf = Leaf(0o100644, "1" * 40)
    >>> changes = (Difference("tests/test_a.py", leaf, None), Difference("src/a.py", None, leaf))
    >>> [(each.path, each.permitted) for each in touched(judge_set, Permits(), changes)]
    [('tests/test_a.py', False)]

Rule: a check that passes only with the pack's own changes of the judge does not pass, and under
permission nothing gets weaker unseen. Pure: trees and logs in, findings out. Does not run anything,
and does not know what of a half-code file differs (`judge.half_code`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from factory.judge.judge_set import JudgePatterns, JudgeSet, Role
from factory.judge.path_guard import display
from factory.judge.scope import compile_patterns
from factory.model.command_kind import CommandKind
from factory.model.finding import Finding, Location
from factory.model.findings.entry import Facts
from factory.model.judged import JudgeLock
from factory.model.pack import Command, TaskPack
from factory.model.tree import Difference, Leaf, Tree

ANY_TEST = "*"
SUBJECT_TO = (CommandKind.FORMAT, CommandKind.LINT)
"""Kinds of checks that judge tests, too: for these only configuration is the judge."""
_FIRST = 3  # paths or tests that a finding names
_MOST_SINGLE = 8  # paths that a remedy lists one by one

__all__ = ["JudgePatterns"]  # for the example above


@dataclass(frozen=True, slots=True)
class Permits:
    """Say what of the judge may change: by the contract, within every bound of policy."""

    may_change: tuple[str, ...] = ()
    retires: tuple[str, ...] = ()
    bounds: tuple[tuple[str, ...], ...] = ()

    def change(self, path: str) -> bool:
        """Return whether the file at `path` may be changed, added or removed."""
        return compile_patterns(self.may_change).matches(path) and self.bounded(path)

    def bounded(self, path: str) -> bool:
        """Return whether policy lets a contract permit `path`."""
        return all(compile_patterns(bound).matches(path) for bound in self.bounds)

    def retire(self, test: str) -> bool:
        """Return whether a test may go. Under a bound, only one whose id begins with a path in
        it.
        """
        named = ANY_TEST in self.retires or test in self.retires
        return named and self.bounded(test.partition("::")[0])


def permits_of(locks: Iterable[JudgeLock], bounds: tuple[tuple[str, ...], ...]) -> Permits:
    """Return what the contracts of one or several packs permit together."""
    every = tuple(locks)
    return Permits(
        tuple(dict.fromkeys(pattern for lock in every for pattern in lock.may_change)),
        tuple(dict.fromkeys(test for lock in every for test in lock.retires)),
        bounds,
    )


@dataclass(frozen=True, slots=True)
class Touched:
    """Describe a changed file of the judge set. `old` is what the old judge has in its place, None
    for nothing: the file before the work or, of half code, the new file with the old tables.
    `half`: only a part of it belongs to the judge.
    """

    difference: Difference
    role: Role
    permitted: bool
    old: Leaf | None
    half: bool = False

    @property
    def path(self) -> str:
        return self.difference.path


def touched(
    judge_set: JudgeSet, permits: Permits, changes: Iterable[Difference]
) -> tuple[Touched, ...]:
    """Return the changed files of the judge set, half-code files as a whole."""
    found = []
    for change in changes:
        role = judge_set.role(change.path, new=change.before is None)
        if role is not None:
            permitted = permits.change(change.path)
            half = judge_set.is_half(change.path)
            found.append(Touched(change, role, permitted, change.before, half))
    return tuple(found)


def under_old_judge(result: Tree, files: Iterable[Touched], kind: CommandKind) -> Tree:
    """Return `result` as a check of `kind` sees it under the old judge: what was changed without
    permission is as it was, what is new is gone.
    """
    back = {
        each.path: each.old
        for each in files
        if not each.permitted and (each.role is Role.CONFIGURATION or kind not in SUBJECT_TO)
    }
    gone = result.changed({path: None for path, leaf in back.items() if leaf is None})
    return gone.changed({path: leaf for path, leaf in back.items() if leaf is not None})


def place_of(pack: TaskPack) -> Location:
    """Return the place of what acceptance.yml says of the judge."""
    return Location(f"{pack.folder}/acceptance.yml")


def judge_changed(
    pack: TaskPack, permits: Permits, files: Iterable[Touched], command: Command, tree: str = "own"
) -> Finding:
    """Return JUDGE_CHANGED about a check that passes only with changes of the judge. `tree` is
    "own", or "merged" where it is about the merged tree.
    """
    paths = [
        each.path
        for each in files
        if not each.permitted
        and (each.role is Role.CONFIGURATION or command.kind not in SUBJECT_TO)
    ]
    bounded = all(permits.bounded(path) for path in paths)
    facts: Facts = {
        "case": ("" if bounded else "bound-") + tree,
        "label": command.label,
        "run": command.run,
        "count": len(paths),
        "first": tuple(display(path) for path in paths[:_FIRST]),
    }
    if bounded:
        facts = {**facts, "allow": (*permits.may_change, *_patterns(paths))}
    return Finding("JUDGE_CHANGED", facts, pack=pack.id, location=command.location)


def judge_weakened(
    pack: TaskPack, command: Command, lost: tuple[str, ...], permits: Permits
) -> Finding:
    """Return JUDGE_WEAKENED about tests that ran on the base and no longer do."""
    facts: Facts = {
        "case": "tests",
        "label": command.label,
        "run": command.run,
        "count": len(lost),
        "first": tuple(display(test) for test in lost[:_FIRST]),
        "allow": (*permits.retires, *(display(test) for test in lost)),
    }
    return Finding("JUDGE_WEAKENED", facts, pack=pack.id, location=command.location)


def judge_fewer(pack: TaskPack, command: Command, before: int, after: int) -> Finding:
    """Return JUDGE_WEAKENED about a check that counted more tests on the base; `after` is -1 where
    nothing can be counted any more.
    """
    facts: Facts = {
        "case": "fewer" if after >= 0 else "uncounted",
        "label": command.label,
        "run": command.run,
        "before": before,
    }
    if after >= 0:
        facts = {**facts, "after": after}
    return Finding("JUDGE_WEAKENED", facts, pack=pack.id, location=command.location)


def _patterns(paths: list[str]) -> tuple[str, ...]:
    """Return patterns that cover the paths: each by itself, or their folders if they are many."""
    if len(paths) <= _MOST_SINGLE:
        return tuple(display(path) for path in paths)
    folders = dict.fromkeys(path.rpartition("/")[0] for path in paths)
    return tuple(display(f"{folder}/" if folder else "*") for folder in folders)


# Suffixes of files with tests inside code, and what such a test begins with.
INLINE_TESTS: Mapping[str, tuple[bytes, ...]] = {
    "py": (b">>> ",),
    "pyi": (b">>> ",),
    "rst": (b">>> ",),
    "md": (b">>> ", b"```rust", b"```python"),
    "rs": (b"#[test]", b"#[tokio::test", b"#[cfg(test)]", b"/// ```", b"//! ```"),
    "ex": (b"iex>",),
    "d": (b"unittest",),
    "zig": (b'test "',),
    "ts": (b"import.meta.vitest",),
    "js": (b"import.meta.vitest",),
    "tsx": (b"import.meta.vitest",),
    "jsx": (b"import.meta.vitest",),
}


def may_have_inline_tests(path: str) -> bool:
    """Return whether a file of this name may have tests inside code."""
    return path.rpartition(".")[2].lower() in INLINE_TESTS


def has_inline_tests(path: str, content: bytes) -> bool:
    """Return whether a file has tests inside code."""
    return any(mark in content for mark in INLINE_TESTS.get(path.rpartition(".")[2].lower(), ()))
