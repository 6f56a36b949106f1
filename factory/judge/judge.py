"""Judge a change: tree entries in, findings out; the same rules for every layer that calls.

    >>> from factory.model.pack import Scope
    >>> from factory.model.tree import MODE_FILE, Leaf, differences, tree_from_leaves
    >>> pack = TaskPack("TASK-1", "taskpacks/TASK-1", "Docs", "web", "", Scope(("docs/",)), (), ())
    >>> old, new = Leaf(MODE_FILE, "1" * 40), Leaf(MODE_FILE, "2" * 40)
    >>> before = tree_from_leaves([("docs/a.md", old)], "sha1")
    >>> after = tree_from_leaves([("docs/a.md", new), ("dodo.py", new), ("x.md", new)], "sha1")
    >>> rules = rules_of(pack, compile_patterns(("dodo.py",)))
    >>> changes = tuple(differences(before, after))
    >>> found = judge_change(rules, changes, after, Contents({}, frozenset()))
    >>> [(finding.id, finding.facts["path"]) for finding in found]
    [('PATH_PROTECTED', 'dodo.py'), ('SCOPE_OUTSIDE_ALLOWED', 'x.md')]

Called by preflight (on what a contract could allow), by launch (on what a pack did), by validation
and by the integrator. Never sees patch text, a file system, or a pack's claims.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from itertools import takewhile

from factory.judge import path_guard
from factory.judge.caches import cache_pattern, ignores_itself
from factory.judge.judge_set import BUILT_IN, JudgePatterns
from factory.judge.pack_files import is_output, is_pack_file
from factory.judge.path_guard import display
from factory.judge.scope import Patterns, compile_patterns
from factory.model.finding import Finding, Location
from factory.model.findings.entry import Fact, Facts
from factory.model.pack import TaskPack
from factory.model.scanned import Oddity
from factory.model.tree import (
    MODE_EXECUTABLE,
    MODE_FILE,
    MODE_LINK,
    MODE_SUBMODULE,
    Difference,
    Tree,
)


@dataclass(frozen=True, slots=True)
class Rules:
    """Contain the rules that a change is judged by, compiled once per pack. `environments` are
    those that the pack sees, each with the files that it was made from.
    """

    pack: str
    allowed: Patterns
    denied: Patterns
    drop_outside: bool
    discard: Patterns
    protected: Patterns
    inputs: tuple[str, ...]
    changed_lines: int
    folder: str
    outputs: Patterns
    judge: JudgePatterns
    allowed_at: Location
    denied_at: Location
    limit_at: Location
    environments: tuple[tuple[str, Patterns], ...] = ()


def rules_of(pack: TaskPack, protected: Patterns, judge: JudgePatterns = BUILT_IN) -> Rules:
    """Return the rules that `pack` declares, with the places where it declares them."""
    return Rules(
        pack.id,
        compile_patterns(pack.scope.allowed),
        compile_patterns(pack.scope.denied),
        pack.scope.outside == "drop",
        compile_patterns(pack.discard),
        protected,
        pack.inputs or (),
        pack.limits.changed_lines,
        pack.folder,
        compile_patterns((*pack.artifacts.required, *pack.artifacts.optional)),
        judge,
        pack.place("/scope/allowed_paths"),
        pack.place("/scope/denied_paths"),
        pack.place("/limits/changed_lines"),
    )


def judge_change(
    rules: Rules,
    changes: Iterable[Difference],
    result: Tree,
    contents: Contents,
    hidden: frozenset[str] = frozenset(),
) -> tuple[Finding, ...]:
    """Return the findings about changed paths. If many paths break one rule, each folder has one.

    `result` is the whole tree after the change; `contents` is what `read_contents` returns for it;
    `hidden` are changed paths that exist in the base but were not visible.
    """
    listed = tuple(changes)
    caches = _untracked(contents.ignoring, listed, result)
    found: list[_Broken] = []
    for change in listed:
        broken = (
            _judge_name(rules, change)
            or _judge_kind(change, contents.links)
            or _judge_scope(rules, change, caches)
            or _judge_pack_file(rules, change, contents.scripts)
        )
        found += [broken] if broken is not None else []
        if change.path in hidden:
            found.append(_Broken("INPUT_HIDDEN_CHANGED", change.path))
    return (
        *_findings(rules, found),
        *judge_inputs(rules, listed),
        *_collisions(rules, result, listed),
    )


def judge_inputs(rules: Rules, changes: Iterable[Difference]) -> tuple[Finding, ...]:
    """Return ENVIRONMENT_CHANGED for each environment of a pack whose inputs were changed: what it
    sees was made from others.
    """
    paths = [change.path for change in changes] if rules.environments else []
    found = []
    for name, inputs in rules.environments:
        path = next((path for path in paths if inputs.matches(path)), None)
        if path is not None:
            facts = {"name": name, "path": display(path)}
            found.append(Finding("ENVIRONMENT_CHANGED", facts, pack=rules.pack))
    return tuple(found)


OUT_OF_SCOPE = frozenset(
    """
    ENVIRONMENT_CHANGED INPUT_HIDDEN_CHANGED LINK_ESCAPES PACK_FILE_CHANGED PATH_COLLISION
    PATH_GIT_NAME PATH_NOT_PORTABLE PATH_PROTECTED PATH_UNSAFE SCOPE_DENIED SCOPE_OUTSIDE_ALLOWED
    SUBMODULE_CHANGED
    """.split()
)
"""Findings about a change that this pack may not make. Acceptance does not run over such a one."""


def is_out_of_scope(findings: Iterable[Finding]) -> bool:
    """Return whether findings refuse a change for the paths that it changes."""
    return any(finding.blocks and finding.id in OUT_OF_SCOPE for finding in findings)


@dataclass(frozen=True, slots=True)
class Contents:
    """Contain what judging needs of contents: `links` maps each changed symbolic link to its
    target, `scripts` are changed files of packs' folders that begin with `#!` before or after;
    `ignoring` are folders that a new .gitignore in them ignores, as caches do.
    """

    links: Mapping[str, str]
    scripts: frozenset[str]
    ignoring: frozenset[str] = frozenset()


def read_contents(
    rules: Rules,
    changes: Iterable[Difference],
    read: Callable[[Iterable[str]], Mapping[str, bytes]],
) -> Contents:
    """Return what `judge_change` needs of the contents of `changes`; `read` returns blobs by id."""
    links: dict[str, str] = {}
    files: list[tuple[str, str]] = []
    ignores: dict[str, str] = {}
    for change in changes:
        new = change.after if change.before is None else None
        if new is not None and new.mode in _FILES and change.path.endswith("/.gitignore"):
            ignores[change.path.removesuffix(".gitignore")] = new.oid
        if change.after is not None and change.after.mode == MODE_LINK:
            links[change.path] = change.after.oid
        if change.before is not None and is_pack_file(change.path, _packs_folder(rules)):
            sides = (change.before, change.after)
            files += [(change.path, leaf.oid) for leaf in sides if leaf and leaf.mode in _FILES]
    wanted = {*links.values(), *ignores.values(), *(oid for _, oid in files)}
    content = read(sorted(wanted)) if wanted else {}
    targets = {path: content[oid].decode("utf-8", "surrogateescape") for path, oid in links.items()}
    scripts = frozenset(path for path, oid in files if content[oid][:2] == b"#!")
    ignoring = frozenset(at for at, oid in ignores.items() if ignores_itself(content[oid]))
    return Contents(targets, scripts, ignoring)


@dataclass(frozen=True, slots=True)
class _Broken:
    """Name a rule that a changed path breaks: the finding's id, and facts besides the path."""

    finding: str
    path: str
    facts: tuple[tuple[str, Fact], ...] = ()


_FILES = (MODE_FILE, MODE_EXECUTABLE)
MOST_SINGLE = 5
"""Paths that break one rule and get a finding each; more are grouped by folder."""
_FIRST = 3
"""Paths that a grouped finding names; FILES_CHANGED.json lists all."""


def _findings(rules: Rules, broken: Iterable[_Broken]) -> list[Finding]:
    """Return a finding for each path, or for each folder if many paths break one rule."""
    alike: dict[tuple[str, tuple[tuple[str, Fact], ...]], list[str]] = {}
    for each in broken:
        alike.setdefault((each.finding, each.facts), []).append(each.path)
    places: list[tuple[str, Facts, str]] = []
    for (finding, facts), paths in alike.items():
        if any(name == "discard" for name, _ in facts):
            folder = display(_common_folder(paths)) or "the root"
            first = tuple(display(path) for path in paths[:_FIRST])
            cache: Facts = {"case": "cache", "count": len(paths), "folder": folder, "first": first}
            places.append((finding, {**cache, **dict(facts)}, ""))
            continue
        for folder, members in _grouped(paths):
            place: Facts = {"case": "file", "path": display(members[0])}
            if len(members) > 1:
                place = {
                    "case": "files",
                    "count": len(members),
                    "folder": display(folder) or "the root",
                    "first": tuple(display(path) for path in members[:_FIRST]),
                }
            pattern = display(_pattern(folder, members))
            places.append((finding, {**place, **dict(facts)}, pattern))
    patterns = {
        finding: tuple(pattern for name, _, pattern in places if name == finding and pattern)
        for finding in ("SCOPE_OUTSIDE_ALLOWED", "INPUT_HIDDEN_CHANGED")
    }
    return [_finding(rules, name, facts, pattern, patterns) for name, facts, pattern in places]


def _grouped(paths: list[str]) -> list[tuple[str, list[str]]]:
    """Split paths by their first folder; return (longest common folder, paths) pairs.

    The common folder is "" for the root. Up to MOST_SINGLE paths stay alone. If there are more
    first folders than that, all paths are one group.
    """
    if len(paths) <= MOST_SINGLE:
        return [("", [path]) for path in paths]
    by_top: dict[str, list[str]] = {}
    for path in paths:
        top, slash, _ = path.partition("/")
        by_top.setdefault(top if slash else "", []).append(path)
    groups = list(by_top.values()) if len(by_top) <= MOST_SINGLE else [paths]
    return [(_common_folder(group), group) for group in groups]


def _pattern(folder: str, paths: list[str]) -> str:
    """Return the scope pattern that covers a group."""
    if len(paths) == 1:
        return paths[0]
    return folder or ("**" if any("/" in path for path in paths) else "*")


def _common_folder(paths: list[str]) -> str:
    """Return the longest folder that contains all paths, with a slash at its end; "" for the
    root.
    """
    low, high = min(paths).split("/")[:-1], max(paths).split("/")[:-1]
    same = takewhile(lambda pair: pair[0] == pair[1], zip(low, high, strict=False))
    return "".join(f"{name}/" for name, _ in same)


def _finding(
    rules: Rules, name: str, facts: Facts, pattern: str, patterns: Mapping[str, tuple[str, ...]]
) -> Finding:
    """Return the finding about one place; `patterns` would allow all places of its kind."""
    add: Facts = {"add": pattern}
    if facts.get("case") == "cache":
        return Finding(name, facts, pack=rules.pack, location=rules.allowed_at)
    if name == "SCOPE_OUTSIDE_ALLOWED":
        allowed = rules.allowed.sources
        more: Facts = {**add, "allowed": allowed, "allow": (*allowed, *patterns[name])}
        return Finding(name, {**facts, **more}, pack=rules.pack, location=rules.allowed_at)
    if name == "INPUT_HIDDEN_CHANGED":
        more = {**add, "allow": (*rules.inputs, *patterns[name])}
        return Finding(name, {**facts, **more}, pack=rules.pack)
    place = rules.denied_at if name == "SCOPE_DENIED" else None
    return Finding(name, facts, pack=rules.pack, location=place)


def _collisions(rules: Rules, result: Tree, changes: tuple[Difference, ...]) -> list[Finding]:
    found = []
    seen: set[str] = set()
    before = result.changed({change.path: change.before for change in changes})
    kept = (change.path for change in changes if change.after is not None)
    for path, other in path_guard.collisions(result, kept, before).items():
        seen.add(path)
        if other in seen:
            continue  # both names are new: one sentence names both
        names = {"path": display(path), "other": display(other)}
        found.append(Finding("PATH_COLLISION", names, pack=rules.pack))
    return found


def _judge_name(rules: Rules, change: Difference) -> _Broken | None:
    path = change.path
    problem = path_guard.unsafe(path)
    if problem:
        return _Broken("PATH_UNSAFE", path, (("problem", problem),))
    if path_guard.git_name(path):
        return _Broken("PATH_GIT_NAME", path)
    if path_guard.is_protected(path, rules.protected):
        return _Broken("PATH_PROTECTED", path)
    if change.after is None or change.before is not None:
        return None  # a change of a badly named file makes the repository no less portable
    problem = path_guard.unportable(path)
    return _Broken("PATH_NOT_PORTABLE", path, (("problem", problem),)) if problem else None


def _judge_kind(change: Difference, links: Mapping[str, str]) -> _Broken | None:
    modes = {leaf.mode for leaf in (change.before, change.after) if leaf is not None}
    if MODE_SUBMODULE in modes:
        return _Broken("SUBMODULE_CHANGED", change.path)
    if change.after is not None and change.after.mode == MODE_LINK:
        target = links.get(change.path, "")
        if path_guard.link_escapes(change.path, target):
            return _Broken("LINK_ESCAPES", change.path, (("target", display(target)),))
    return None


def _untracked(
    folders: frozenset[str], changes: tuple[Difference, ...], result: Tree
) -> frozenset[str]:
    """Return those folders, with a slash at the end, below which the base has no file."""
    if not folders:
        return folders
    base = result.changed({change.path: change.before for change in changes})
    return frozenset(folder for folder in folders if base.get(folder[:-1]) is None)


def _judge_scope(rules: Rules, change: Difference, ignoring: frozenset[str]) -> _Broken | None:
    path = change.path
    if rules.denied.matches(path):
        sources = rules.denied.sources
        denying = tuple(each for each in sources if compile_patterns((each,)).matches(path))
        keep = tuple(each for each in sources if each not in denying)
        return _Broken("SCOPE_DENIED", path, (("denied", denying), ("keep", keep)))
    if not rules.allowed.matches(path):
        cache = cache_pattern(path, ignoring) if change.before is None else ""
        return _Broken("SCOPE_OUTSIDE_ALLOWED", path, (("discard", (cache,)),) if cache else ())
    return None


def _judge_pack_file(rules: Rules, change: Difference, scripts: frozenset[str]) -> _Broken | None:
    if not is_pack_file(change.path, _packs_folder(rules)):
        return None
    own = change.path.startswith(f"{rules.folder}/")
    if own and change.before is None:
        return None
    if not own or not is_output(change, rules.outputs, scripts):
        return _Broken("PACK_FILE_CHANGED", change.path)
    judged = rules.judge.compiled.role(change.path, new=False) is not None
    return _Broken("PACK_FILE_CHANGED", change.path) if judged else None


def _packs_folder(rules: Rules) -> str:
    return rules.folder.rpartition("/")[0]


def judge_lines(rules: Rules, added: int, removed: int) -> tuple[Finding, ...]:
    """Return LIMIT_CHANGED_LINES if the change is larger than `limits.changed_lines`."""
    if added + removed <= rules.changed_lines:
        return ()
    facts = {"lines": added + removed, "limit": rules.changed_lines}
    return (Finding("LIMIT_CHANGED_LINES", facts, pack=rules.pack, location=rules.limit_at),)


def judge_oddities(pack: str, oddities: Iterable[Oddity]) -> tuple[Finding, ...]:
    """Return findings about what a scanner met that cannot be part of a change."""
    return tuple(
        Finding(
            oddity.finding,
            {"case": "file", "path": display(oddity.path), "found": oddity.what},
            pack=pack,
        )
        for oddity in oddities
    )


def named_though_ignored(
    rules: Rules,
    ignored: frozenset[str],
    ask: Callable[[Iterable[str]], frozenset[str]],
) -> frozenset[str]:
    """Return those of `ignored` that the scope names all the same: by their very path, or by a
    pattern for a folder that is itself ignored. `ask` returns which of given paths are.
    """
    if not ignored:
        return ignored
    folders = {folder for folder in map(_folder_of, rules.allowed.sources) if folder}
    probes = {f"{folder}{_PROBE}": folder for folder in folders}
    hidden = tuple(probes[path] for path in (ask(probes) if probes else ()))
    named = {path for path in ignored if path.startswith(hidden)} if hidden else set()
    named |= ignored.intersection(rules.allowed.sources)
    return frozenset(path for path in named if not _is_outside(rules, path))


_PROBE = "any-file"


def _folder_of(pattern: str) -> str:
    """Return the folder that a scope pattern names before its first wildcard, with a slash at its
    end; "" for the root.
    """
    plain = re.split(r"[*?]", pattern, maxsplit=1)[0]
    return plain[: plain.rfind("/") + 1]


def judge_ignored(rules: Rules, artifacts: Patterns, ignored: Iterable[str]) -> tuple[Finding, ...]:
    """Return IGNORED_IN_SCOPE where ignored new files are in the scope and neither thrown away by
    `discard` nor collected.
    """
    lost = sorted(
        path
        for path in ignored
        if not (_is_outside(rules, path) or rules.discard.matches(path) or artifacts.matches(path))
    )
    if not lost:
        return ()
    more = ("…",) if len(lost) > _FIRST else ()
    facts: Facts = {"count": len(lost), "paths": (*map(display, lost[:_FIRST]), *more)}
    return (Finding("IGNORED_IN_SCOPE", facts, pack=rules.pack, location=rules.allowed_at),)


def new_files_dropped(
    rules: Rules, artifacts: Patterns, paths: Iterable[str]
) -> tuple[frozenset[str], frozenset[str]]:
    """Return (those that `discard` names, those that `outside: drop` leaves out) of new files.

    A protected path is never among them: writing one stays a refusal. Nor is an artifact outside
    the scope, which is collected.
    """
    discarded: set[str] = set()
    outside: set[str] = set()
    for path in paths:
        if rules.discard.matches(path):
            names = discarded
        elif rules.drop_outside and _is_outside(rules, path) and not artifacts.matches(path):
            names = outside
        else:
            continue
        if not path_guard.is_protected(path, rules.protected):
            names.add(path)
    return frozenset(discarded), frozenset(outside)


def _is_outside(rules: Rules, path: str) -> bool:
    return not rules.allowed.matches(path) or rules.denied.matches(path)


def split_artifacts(
    rules: Rules, artifacts: Patterns, changes: Iterable[Difference]
) -> tuple[tuple[Difference, ...], tuple[str, ...]]:
    """Return (changes proper, paths of new files that are artifacts only).

    A match permits collection, not change: a new file outside the scope that an artifact pattern
    names is collected and leaves the change; one that replaces something stays in it.
    """
    proper: list[Difference] = []
    only: list[str] = []
    for change in changes:
        outside = _is_outside(rules, change.path)
        fresh = change.before is None and not path_guard.is_protected(change.path, rules.protected)
        if fresh and outside and artifacts.matches(change.path):
            only.append(change.path)
        else:
            proper.append(change)
    return tuple(proper), tuple(only)
