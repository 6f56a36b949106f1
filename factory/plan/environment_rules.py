"""Judge the environments that a pack names: that they are declared, and what their outputs cover.

An output is shown over the pack's view, and what lies below it is no change. So it must be a place
that nothing else has: not of the base, of a pack, of the protected list, of the judge, nor of
another output. Pure.
"""

from __future__ import annotations

from collections.abc import Iterator

from factory.contract.environments import judge_names
from factory.git.narrowing import Visible, narrow
from factory.judge.judge_set import DEPENDENCY_FOLDERS, JudgeSet
from factory.judge.path_guard import is_protected
from factory.judge.scope import Patterns, compile_patterns
from factory.model.config import Config
from factory.model.finding import Finding
from factory.model.findings.entry import Facts
from factory.model.pack import TaskPack
from factory.model.tree import Leaf, Tree


def judge_environments(
    pack: TaskPack, config: Config, base: Tree, protected: Patterns, judge: JudgeSet
) -> tuple[Finding, ...]:
    """Return ENVIRONMENT_UNKNOWN for names that are not declared, ENVIRONMENT_OVERLAPS for outputs
    that are not a place of their own.
    """
    found = list(judge_names(pack, config))
    named = map(config.environment, pack.environments)
    declared = [environment for environment in named if environment is not None]
    before: list[tuple[str, str]] = []
    for environment in declared:
        for output in environment.outputs:
            covers = next(
                _overlaps(output, base, config.packs_folder, protected, judge, before), None
            )
            if covers is not None:
                facts = {"name": environment.name, "output": output, **covers}
                where = environment.place("outputs")
                found.append(Finding("ENVIRONMENT_OVERLAPS", facts, pack=pack.id, location=where))
            before.append((environment.name, output))
    return tuple(found)


def _overlaps(
    output: str,
    base: Tree,
    packs_folder: str,
    protected: Patterns,
    judge: JudgeSet,
    before: list[tuple[str, str]],
) -> Iterator[Facts]:
    """Yield what an output covers or lies in, best known first."""
    patterns, own = compile_patterns((output,)), output.rstrip("/")
    if patterns.may_match_below(packs_folder) or _below(own, packs_folder):
        yield {"case": "packs", "path": packs_folder}
    inside = next(narrow(base, Visible(patterns, "", frozenset())).leaves(), None)
    if inside is not None:
        yield {"case": "base", "path": inside[0]}
    parts = own.split("/")
    for depth in range(1, len(parts) + 1):
        above = "/".join(parts[:depth])
        if isinstance(base.get(above), Leaf):
            yield {"case": "base", "path": above}
    if is_protected(own, protected) or protected.matches_all_below(own):
        yield {"case": "protected", "path": own}
    named = (*judge.tests.sources, *judge.configuration.sources)
    of_judge = compile_patterns(tuple(one for one in named if one not in DEPENDENCY_FOLDERS))
    if of_judge.matches(own) or of_judge.matches_all_below(own) or judge.is_shadow(own):
        yield {"case": "judge", "path": own}
    for name, other in before:
        first = other.rstrip("/")
        if first == own or patterns.may_match_below(first) or _below(own, first):
            yield {"case": "output", "path": other, "other": name}


def _below(path: str, folder: str) -> bool:
    return path == folder or path.startswith(f"{folder}/")
