"""Define the frozen plan of a run: PLAN.json, and packs as they are executed by it.

`content` are the bytes of PLAN.json of a run, `objects` those of its base commit and packs:

>>> plan = Plan(content, objects, {"GREETING": "hello"})
>>> [record.pack for record in plan.document.packs]
['TASK-0001']
>>> planned = plan.planned("TASK-0001")
>>> planned.key == plan.document.packs[0].action_key
True
>>> planned.lock.allowed, [command.label for command in planned.pack.steps]
(('docs/**',), ['step-1'])
>>> Plan(content, objects, {"GREETING": "bye"}).planned("TASK-0001")  # doctest: +ELLIPSIS
Traceback (most recent call last):
factory.model.errors.Refusal: TASK-0001: expected the variables that PLAN.json has, ...

`Planner.freeze` makes it before any pack runs. From then on nobody plans: launch, validation,
integration and re-check take a `Plan`, on this machine or another. It derives each pack again from
the document and objects alone, and refuses one that differs from what was planned.
"""

from __future__ import annotations

import copy
import threading
from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType

from factory.contract.contract import read_pack
from factory.git.narrowing import Visible, narrow, overlay_folder, shared_part, visible_part
from factory.git.ports import Objects
from factory.judge.judge import Rules, rules_of
from factory.judge.judge_set import JudgePatterns
from factory.judge.scope import compile_patterns
from factory.model.action import (
    ActionDocument,
    action_key,
    digests_of,
    environment_of,
    limits_of,
)
from factory.model.config import Grant, GrantKind, OverlapPolicy
from factory.model.errors import Refusal
from factory.model.evidence import (
    PlanDocument,
    PlannedCommand,
    PlannedEnvironment,
    PlannedPackRecord,
    ScopeLock,
)
from factory.model.evidence_text import parse_document, sha256
from factory.model.finding import Finding
from factory.model.judged import PlannedJudge
from factory.model.pack import Limits, TaskPack
from factory.model.tree import Tree
from factory.trust.requests import granted_variables


@dataclass(frozen=True, slots=True)
class PlannedPack:
    """Describe one pack, ready to be executed.

    `own` is the base commit's tree with the pack's folder replaced; `visible` is the part that the
    pack sees, `shared` the part of that which the base commit has; `needs` are all packs it builds
    on, in canonical order. `limits` are in force: what the contract asks for, below the ceilings.
    `lock` is the contract as resolved, `judge` what every pack is judged by. `environment` has
    values, not digests; `environments` are prepared ones that it sees.
    """

    pack: TaskPack
    action: ActionDocument
    key: str
    own: Tree
    shows: Visible
    visible: Tree
    shared: Tree
    needs: tuple[str, ...]
    rules: Rules
    environment: tuple[tuple[str, str], ...]
    limits: Limits
    lock: ScopeLock
    judge: PlannedJudge
    environments: tuple[PlannedEnvironment, ...] = ()


def planned_pack(
    pack: TaskPack,
    action: ActionDocument,
    lock: ScopeLock,
    judge: PlannedJudge,
    base: Tree,
    own: Tree,
    shows: Visible,
    visible: Tree,
    needs: tuple[str, ...],
    environment: tuple[tuple[str, str], ...],
    environments: tuple[PlannedEnvironment, ...],
) -> PlannedPack:
    """Return a pack with what follows from its action and its lock."""
    return PlannedPack(
        pack=pack,
        action=action,
        key=action_key(action),
        own=own,
        shows=shows,
        visible=visible,
        shared=shared_part(base, shows),
        needs=needs,
        rules=replace(
            rules_of(
                pack,
                compile_patterns(lock.protected),
                JudgePatterns(judge.patterns, judge.tests, judge.shadowed, lock.judge.patterns),
            ),
            environments=tuple((e.name, compile_patterns(e.inputs)) for e in environments),
        ),
        environment=environment,
        limits=limits_of(lock.limits),
        lock=lock,
        judge=judge,
        environments=environments,
    )


def commands_of(pack: TaskPack) -> tuple[PlannedCommand, ...]:
    """Return the commands of a pack as a plan has them: steps, then acceptance."""
    return tuple(
        PlannedCommand(
            label=command.label, kind=command.kind.value, name=command.name, run=command.run
        )
        for command in (*pack.steps, *pack.acceptance)
    )


class Plan:
    """Read a frozen plan. `content` is PLAN.json, `digest` its SHA-256, `document` the same
    parsed.
    """

    def __init__(
        self,
        content: bytes,
        objects: Objects,
        environment: Mapping[str, str],
        resolved: Mapping[str, TaskPack] = MappingProxyType({}),
    ) -> None:
        """Parse `content`. Raise EvidenceError for what is no plan.

        `environment` has the values of variables that packs are given where the plan has a grant.
        `resolved` are contracts that were read already.
        """
        self.content = content
        self.digest = sha256(content)
        self.document = parse_document(PlanDocument, content)
        self._objects = objects
        self._environment = environment
        self._resolved = resolved
        self._records = {record.pack: record for record in self.document.packs}
        self._guard = threading.RLock()
        self._planned: dict[str, PlannedPack] = {}
        self._folders: dict[str, Tree] = {}
        self._base: Tree | None = None

    def for_child(self, objects: Objects) -> Plan:
        """Return the same plan for a forked child, over its own `objects`: with a lock of its own,
        and all that was derived so far. No other thread of this process may run.
        """
        child = copy.copy(self)
        child._objects, child._guard = objects, threading.RLock()  # noqa: SLF001
        return child

    @property
    def base(self) -> Tree:
        """Return the base commit's whole tree."""
        with self._guard:
            if self._base is None:
                self._base = self._objects.tree_of(self.document.base_commit)
            return self._base

    @property
    def overlap(self) -> OverlapPolicy:
        """Return what to do with two packs that change one path."""
        return OverlapPolicy(self.document.policy.rules.overlap)

    def planned(self, pack_id: str) -> PlannedPack:
        """Return one pack of the plan.

        Raise KeyError for any other, Refusal PLAN_DISAGREES if it differs from what was planned.
        """
        with self._guard:
            if pack_id not in self._planned:
                self._planned[pack_id] = self._made(self._records[pack_id])
            return self._planned[pack_id]

    def overlay_folder(self, tree: Tree, pack_id: str) -> Tree:
        """Return `tree` with a pack's folder replaced by the planned one."""
        content = self._folder(self._records[pack_id])
        folder = self._records[pack_id].folder
        present = tree.get(folder)
        if isinstance(present, Tree) and present.oid == content.oid:
            return tree
        return overlay_folder(tree, folder, content)

    def _folder(self, record: PlannedPackRecord) -> Tree:
        with self._guard:
            if record.pack not in self._folders:
                present = self.base.get(record.folder)
                self._folders[record.pack] = (
                    present
                    if isinstance(present, Tree) and present.oid == record.folder_tree
                    else self._objects.tree_of(record.folder_tree)
                )
            return self._folders[record.pack]

    def _made(self, record: PlannedPackRecord) -> PlannedPack:
        pack = self._resolved.get(record.pack) or self._read(record)
        own = self.overlay_folder(self.base, record.pack)
        needed = (self._records[need].folder for need in record.needs)
        shows = visible_part(pack.inputs, pack.folder, needed)
        visible = narrow(own, shows)
        rules = self.document.policy.rules
        grants = tuple(Grant(GrantKind(row.kind), row.thing, row.pack) for row in rules.grants)
        environment = environment_of(pack, granted_variables(pack, grants, self._environment))
        named = {name for name, _ in record.action.environments}
        made = planned_pack(
            *(pack, record.action, record.scope, self.document.judge, self.base, own),
            *(shows, visible, record.needs, environment),
            tuple(each for each in self.document.environments if each.name in named),
        )
        for what, due, found in (
            ("commands", record.commands, commands_of(pack)),
            ("action key", record.action_key, made.key),
            ("own tree", record.own_tree, own.oid),
            ("visible tree", record.action.inputs, visible.oid),
            ("variables", record.action.environment, digests_of(environment)),
        ):
            if due != found:
                raise _disagrees(record.pack, case="other", what=what)
        return made

    def _read(self, record: PlannedPackRecord) -> TaskPack:
        """Read the contract in the pack's folder again from objects. Raise Refusal
        PLAN_DISAGREES.
        """
        leaves = {f"{record.folder}/{path}": leaf for path, leaf in self._folder(record).leaves()}
        contents = self._objects.read(leaf.oid for leaf in leaves.values())
        ceilings = self.document.policy.rules.ceilings
        pack, findings = read_pack(
            record.folder,
            {path: contents[leaf.oid] for path, leaf in leaves.items()},
            {path: leaf.mode for path, leaf in leaves.items()},
            limits_of(ceilings),
        )
        if pack is None:
            raise _disagrees(record.pack, case="contract", found=findings[0].message)
        return pack


def _disagrees(pack: str, **facts: str) -> Refusal:
    return Refusal(Finding("PLAN_DISAGREES", facts, pack=pack))
