"""The judge of a change: tree entries in, findings out. The same for every layer that asks.

Called by preflight (on what a contract could allow), by launch (on what a pack did), by
validation and by the integrator. Never sees patch text, a file system, or a pack's word.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from factory.judge import path_guard
from factory.judge.path_guard import display
from factory.judge.scope import Patterns, compile_patterns
from factory.model.finding import Finding, Location
from factory.model.pack import TaskPack
from factory.model.scanned import Oddity
from factory.model.tree import MODE_LINK, MODE_SUBMODULE, Difference, Tree
from factory.model.wording import counted


@dataclass(frozen=True, slots=True)
class Rules:
    """What a change is held against: compiled once per pack."""

    pack: str
    allowed: Patterns
    denied: Patterns
    protected: Patterns
    changed_lines: int
    allowed_at: Location
    denied_at: Location
    limit_at: Location


def rules_of(pack: TaskPack, protected: Patterns) -> Rules:
    """The rules that `pack` declares, with the places they were declared at."""
    return Rules(
        pack.id,
        compile_patterns(pack.scope.allowed),
        compile_patterns(pack.scope.denied),
        protected,
        pack.limits.changed_lines,
        pack.place("/scope/allowed_paths"),
        pack.place("/scope/denied_paths"),
        pack.place("/limits/changed_lines"),
    )


def judge_change(
    rules: Rules,
    changes: Iterable[Difference],
    result: Tree,
    links: Mapping[str, str],
    hidden: frozenset[str] = frozenset(),
) -> tuple[Finding, ...]:
    """Findings over every changed path.

    `result` is the whole tree after the change; `links` maps each changed symbolic link to
    its target; `hidden` are changed paths that exist in the base but were not visible.
    """
    listed = tuple(changes)
    found: list[Finding] = []
    for change in listed:
        finding = (
            _judge_name(rules, change)
            or _judge_kind(rules, change, links)
            or _judge_scope(rules, change)
        )
        if finding is not None:
            found.append(finding)
        if change.path in hidden:
            found.append(_hidden(rules, change.path))
    kept = (change.path for change in listed if change.after is not None)
    told: set[str] = set()
    for path, other in path_guard.collisions(result, kept).items():
        told.add(path)
        if other in told:
            continue  # both names are new: one sentence tells of both
        found.append(
            Finding(
                "PATH_COLLISION",
                f"{display(path)} and {display(other)} are one name where case or Unicode form is"
                " ignored",
                "Rename one of them.",
                pack=rules.pack,
            )
        )
    return tuple(found)


def _judge_name(rules: Rules, change: Difference) -> Finding | None:
    path = change.path
    problem = path_guard.unsafe(path)
    if problem:
        return Finding(
            "PATH_UNSAFE", f"changed path {display(path)} {problem}", _NEVER, pack=rules.pack
        )
    segment = path_guard.git_name(path)
    if segment:
        return Finding(
            "PATH_GIT_NAME",
            f"changed path {display(path)} holds a name that reads as .git",
            _NEVER,
            pack=rules.pack,
        )
    if path_guard.is_protected(path, rules.protected):
        return Finding(
            "PATH_PROTECTED",
            f"{display(path)} was changed; it is protected from every pack",
            "Nothing in a contract can allow it; change it by hand, outside a pack.",
            pack=rules.pack,
        )
    if change.after is None:
        return None  # removing a badly named file makes the repository more portable, not less
    problem = path_guard.unportable(path)
    if problem:
        return Finding(
            "PATH_NOT_PORTABLE",
            f"changed path {display(path)} {problem}",
            "Rename it.",
            pack=rules.pack,
        )
    return None


def _judge_kind(rules: Rules, change: Difference, links: Mapping[str, str]) -> Finding | None:
    modes = {leaf.mode for leaf in (change.before, change.after) if leaf is not None}
    if MODE_SUBMODULE in modes:
        return Finding(
            "SUBMODULE_CHANGED",
            f"{display(change.path)} is a submodule and was changed",
            _NEVER,
            pack=rules.pack,
        )
    if change.after is not None and change.after.mode == MODE_LINK:
        target = links.get(change.path, "")
        if path_guard.link_escapes(change.path, target):
            return Finding(
                "LINK_ESCAPES",
                f"symbolic link {display(change.path)} points at {display(target) or 'nothing'}, "
                "which can lead outside the workspace",
                "Link to a path inside the workspace, relative to the link, with every .. at its"
                " start.",
                pack=rules.pack,
            )
    return None


def _judge_scope(rules: Rules, change: Difference) -> Finding | None:
    path = change.path
    if rules.denied.matches(path):
        return Finding(
            "SCOPE_DENIED",
            f"{display(path)} was changed; scope.denied_paths denies it",
            "Take the pattern out of scope.denied_paths if this is intended.",
            rules.denied_at,
            rules.pack,
        )
    if not rules.allowed.matches(path):
        return Finding(
            "SCOPE_OUTSIDE_ALLOWED",
            f"{display(path)} was changed; scope allows"
            f" {', '.join(rules.allowed.sources) or 'nothing'}",
            f'If this is intended, add "{display(path)}" to scope.allowed_paths.',
            rules.allowed_at,
            rules.pack,
        )
    return None


def _hidden(rules: Rules, path: str) -> Finding:
    return Finding(
        "INPUT_HIDDEN_CHANGED",
        f"{display(path)} was written without being visible: it exists in the base and is not among"
        " the inputs",
        f'Add "{display(path)}" to inputs, so that the pack sees what it replaces.',
        pack=rules.pack,
    )


def judge_lines(rules: Rules, added: int, removed: int) -> tuple[Finding, ...]:
    """Whether the change is within `limits.changed_lines`."""
    if added + removed <= rules.changed_lines:
        return ()
    lines = counted(added + removed, "line was", "lines were")
    return (
        Finding(
            "LIMIT_CHANGED_LINES",
            f"{lines} changed; limits.changed_lines allows {rules.changed_lines}",
            f"Split the work, or raise limits.changed_lines to {added + removed}.",
            rules.limit_at,
            rules.pack,
        ),
    )


def judge_oddities(pack: str, oddities: Iterable[Oddity]) -> tuple[Finding, ...]:
    """Findings for what a scanner met that can be part of no change."""
    return tuple(
        Finding(oddity.finding, f"{display(oddity.path)} {oddity.what}", _REMOVE, pack=pack)
        for oddity in oddities
    )


def split_artifacts(
    rules: Rules, artifacts: Patterns, changes: Iterable[Difference]
) -> tuple[tuple[Difference, ...], tuple[str, ...]]:
    """Changes proper, and the paths of new files that are artifacts only.

    A match permits collection, not change: a new file outside the scope that an artifact
    pattern names is collected and leaves the change; one that replaces something stays in it.
    """
    proper: list[Difference] = []
    only: list[str] = []
    for change in changes:
        outside = not rules.allowed.matches(change.path) or rules.denied.matches(change.path)
        fresh = change.before is None and not path_guard.is_protected(change.path, rules.protected)
        if fresh and outside and artifacts.matches(change.path):
            only.append(change.path)
        else:
            proper.append(change)
    return tuple(proper), tuple(only)


_NEVER = "Nothing in a contract can allow it."
_REMOVE = "Remove it before the last step ends."
