"""Compute keys and trees of every pack, once per process from the base commit and the work tree's
packs, until they are frozen into the plan of a run.

The only code that turns identities into an action. What executes packs has a `Plan`, and never
this. Nothing here executes anything of a pack.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from typing import get_args

from factory.contract.catalogue import Catalogue, PackEntry, folder_tree
from factory.contract.policy import policy_of
from factory.git.narrowing import Visible, narrow, overlay_folder, visible_part
from factory.judge.judge_set import PATTERNS, SHADOWED, TESTS, JudgePatterns
from factory.judge.path_guard import display, protected_patterns
from factory.judge.scope import compile_patterns
from factory.model.action import (
    ToolRecord,
    action_of,
    environment_of,
    limits_record,
)
from factory.model.config import Config
from factory.model.environment import DeclaredEnvironment
from factory.model.errors import Refusal
from factory.model.evidence import (
    PlanDocument,
    PlannedEntry,
    PlannedEnvironment,
    PlannedPackRecord,
    PlannedPolicy,
    ScopeLock,
)
from factory.model.evidence_text import format_document, sha256
from factory.model.finding import Finding
from factory.model.findings.entry import Facts
from factory.model.judged import JudgeLock, PlannedJudge
from factory.model.pack import Requirement, TaskPack
from factory.model.tree import MODE_TREE, Tree
from factory.plan.environment_rules import judge_environments
from factory.plan.environments import Prepared, environment_key, host_key, programs_of
from factory.plan.host_folders import FolderNotShown
from factory.plan.order import all_needs, canonical_order
from factory.plan.plan import Plan, PlannedPack, commands_of, planned_pack
from factory.plan.site import Site
from factory.strict import canonical
from factory.trust.requests import (
    granted_variables,
    grants_used,
    is_granted,
    limits_in_force,
    requests_of_environment,
)

_NONE: frozenset[str] = frozenset()
_FAILED: Facts = {"case": "failed"}


class Planner:
    """Plan packs for one process; each pack is planned once."""

    def __init__(self, site: Site, catalogue: Catalogue) -> None:
        self._site = site
        self.catalogue = catalogue
        self._guard = threading.RLock()
        self._planned: dict[str, PlannedPack] = {}
        self._folders: dict[str, Tree] = {}
        self._tools: dict[str, ToolRecord | None] = {}
        self._environments: dict[str, tuple[DeclaredEnvironment, str, Tree]] = {}
        self._failed: dict[str, Facts] = {}
        self._base: Tree | None = None
        self.judge = planned_judge(site.config)
        self.protected = protected_patterns(site.config.packs_folder, site.config.protected)
        self._judge_digest = canonical.digest(self.judge.model_dump(mode="json"))
        self._entries = {entry.id: entry for entry in catalogue.entries if entry.pack is not None}
        self._needs = all_needs(
            {name: entry.pack.depends_on for name, entry in self._entries.items() if entry.pack}
        )

    @property
    def base(self) -> Tree:
        """Return the base commit's whole tree."""
        with self._guard:
            if self._base is None:
                self._base = self._site.objects.tree_of(self._site.repository.commit)
            return self._base

    def planned(self, pack_id: str) -> PlannedPack:
        """Return the plan of one pack with a valid contract.

        Raise KeyError for any other, Refusal DEPENDS_NOT_PASS.
        """
        with self._guard:
            if pack_id not in self._planned:
                self._planned[pack_id] = self._plan(self._entries[pack_id])
            return self._planned[pack_id]

    def why_unplannable(self, pack_id: str) -> tuple[Finding, ...]:
        """Return DEPENDS_NOT_PASS for a pack that needs one which cannot run, and
        ENVIRONMENT_NOT_PREPARED for one whose environment is not there; else nothing.
        """
        entry = self._entries.get(pack_id)
        pack = entry.pack if entry is not None else None
        if pack is None:
            return ()
        unprepared = self._unprepared(pack)
        unusable = self._unusable_needs(pack)
        if unprepared or not unusable:
            return unprepared
        facts = {"case": "unusable", "need": unusable[0]}
        place = pack.place("/depends_on")
        return (Finding("DEPENDS_NOT_PASS", facts, pack=pack.id, location=place),)

    def _plan(self, entry: PackEntry) -> PlannedPack:
        pack = entry.pack
        if pack is None:
            raise KeyError(entry.id)
        why = self.why_unplannable(entry.id)
        if why:
            raise Refusal(*why)
        needs = canonical_order({name: self._depends(name) for name in self._needs[pack.id]})
        own = self._overlay_folder(self.base, entry)
        needed = (self._entries[need].folder for need in needs)
        shows = visible_part(pack.inputs, pack.folder, needed)
        visible = narrow(own, shows)
        environment = self._environment(pack)
        environments = tuple(self._prepared(name) for name in sorted(pack.environments))
        action = action_of(
            pack,
            self._site.config,
            visible_tree=visible.oid,
            dependencies=[(need, self.planned(need).key) for need in needs],
            protected=self.protected.sources,
            environment=environment,
            tools=self._identities(pack),
            limits=limits_in_force(pack, self._site.config),
            environments=((each.name, each.sha256) for each in environments),
            judge=(self._judge_digest, *pack.judge.patterns),
            require=required_of(pack, self._site.config),
            grants=grants_used(pack, self._site.config),
        )
        lock = scope_lock(pack, self._site.config, self.protected.sources)
        return planned_pack(
            *(pack, action, lock, self.judge, self.base, own, shows, visible, needs),
            *(environment, environments),
        )

    def _environment(self, pack: TaskPack) -> tuple[tuple[str, str], ...]:
        site = self._site
        return environment_of(pack, granted_variables(pack, site.config.grants, site.environment))

    def _unusable_needs(self, pack: TaskPack) -> tuple[str, ...]:
        """Return those of a pack's needs that have no valid contract, or are part of a circle; the
        pack itself where it is.
        """
        below = self._needs[pack.id]
        wanted = {need for name in (pack.id, *below) for need in self._depends(name)}
        return tuple(
            need
            for need in sorted(wanted)
            if need not in self._entries
            or not self._entries[need].usable
            or need in self._needs[need]
            or self._unprepared(self._entries[need].pack)
        )

    # ── environments ─────────────────────────────────────────────────────────

    def environment(self, name: str) -> tuple[DeclaredEnvironment, str, Tree] | None:
        """Return the declared environment with this name, its key, and the files that it is made
        from; None where none is declared.
        """
        declared = self._site.config.environment(name)
        if declared is None:
            return None
        with self._guard:
            if name not in self._environments and declared.host:
                self._environments[name] = (declared, self._host_key(declared), Tree({}))
            if name not in self._environments:
                inputs = narrow(self.base, Visible(compile_patterns(declared.inputs), "", _NONE))
                tools = [self._identify(program) for program in programs_of(declared)]
                known = (tool for tool in tools if tool is not None)
                key = environment_key(declared, inputs.oid, known)
                self._environments[name] = (declared, key, inputs)
            return self._environments[name]

    def _host_key(self, declared: DeclaredEnvironment) -> str:
        """Return the key of folders of the user's as they are; "" where they cannot be read, or
        were not granted: then they are not looked at.
        """
        store = self._site.sandbox.environments
        if store is None or not self.may_read(declared):
            return ""
        try:
            return host_key(declared, store.host(declared).sha256)
        except FolderNotShown as error:
            self.failed(declared.name, str(error))
            return ""

    def may_read(self, declared: DeclaredEnvironment) -> bool:
        """Return whether the user granted all that an environment asks for."""
        config = self._site.config
        asked = requests_of_environment(declared, config)
        return all(is_granted(one, config.grants) for one in asked)

    def why_failed(self, name: str) -> str:
        """Return why an environment could not be prepared, one clause; "" where none is known."""
        return str(self._failed[name]["why"]) if name in self._failed else ""

    def prepared(self, name: str) -> Prepared | None:
        """Return what was prepared of an environment for its inputs as they are; None for nothing.
        Prepare nothing.
        """
        found, store = self.environment(name), self._site.sandbox.environments
        return store.known(name, found[1]) if found is not None and store is not None else None

    def failed(self, name: str, why: str, facts: Facts = _FAILED) -> None:
        """Note why an environment could not be prepared, one clause, and what its finding says
        of the remedy.
        """
        self._failed[name] = {"name": name, "why": why, **facts}

    def _unprepared(self, pack: TaskPack | None) -> tuple[Finding, ...]:
        found = []
        for name in pack.environments if pack is not None else ():
            if pack is None or self.prepared(name) is not None:
                continue
            declared = self._site.config.environment(name)
            place = pack.place("/environment") if declared is None else declared.place()
            known = self._failed.get(name) or self._absent(name, declared)
            found.append(Finding("ENVIRONMENT_NOT_PREPARED", known, pack=pack.id, location=place))
        return tuple(found)

    def _absent(self, name: str, declared: DeclaredEnvironment | None) -> Facts:
        """Return the facts of an environment that nothing tried to prepare yet."""
        if declared is not None and not self.may_read(declared):
            why = "it asks for what you have not granted"
            return {"case": "grant", "name": name, "why": why}
        why = "nothing was prepared for its inputs as they are"
        return {"case": "absent", "name": name, "why": why}

    def _prepared(self, name: str) -> PlannedEnvironment:
        found, declared = self.prepared(name), self._site.config.environment(name)
        if found is None or declared is None:
            raise KeyError(name)
        return PlannedEnvironment(
            name=name,
            kind="host" if declared.host else "prepare",
            sha256=found.sha256,
            inputs=declared.inputs,
            outputs=found.outputs,
            path=declared.path,
        )

    def _depends(self, name: str) -> tuple[str, ...]:
        pack = self._entries[name].pack
        return pack.depends_on if pack is not None else ()

    def _overlay_folder(self, tree: Tree, entry: PackEntry) -> Tree:
        if entry.id not in self._folders:
            content, blobs = folder_tree(entry, tree.hash_name)
            committed = tree.get(entry.folder)
            if not isinstance(committed, Tree) or committed.oid != content.oid:
                for blob in blobs.values():
                    self._site.objects.write_blob(blob)
                self._site.objects.write_tree(content)
            self._folders[entry.id] = content
        content = self._folders[entry.id]
        present = tree.get(entry.folder)
        if isinstance(present, Tree) and present.oid == content.oid:
            return tree
        return overlay_folder(tree, entry.folder, content)

    def committed(self) -> bool:
        """Return whether every pack folder is in the base commit exactly as it was read."""
        return all(
            self._overlay_folder(self.base, entry) is self.base for entry in self._entries.values()
        )

    def _identities(self, pack: TaskPack) -> list[ToolRecord]:
        found = [self._identify(name) for name in ("python", "git", *pack.tools)]
        return list({tool.name: tool for tool in found if tool is not None}.values())

    def _identify(self, name: str) -> ToolRecord | None:
        if name not in self._tools:
            self._tools[name] = self._site.tools.identify(name)
        return self._tools[name]

    def tools(self) -> Mapping[str, str]:
        """Return the digest of every tool that was looked up so far; "" for one that this host does
        not have.
        """
        return {
            name: record.sha256 if record is not None else ""
            for name, record in self._tools.items()
        }

    def missing_tools(self, pack: TaskPack) -> tuple[str, ...]:
        """Return the declared tools that this host does not have."""
        return tuple(name for name in pack.tools if self._identify(name) is None)

    def judge_environments(self, pack: TaskPack) -> tuple[Finding, ...]:
        """Return findings over the environments that a pack names."""
        if not pack.environments:
            return ()
        judge = self.judge
        lists = JudgePatterns(judge.patterns, judge.tests, judge.shadowed, pack.judge.patterns)
        return judge_environments(
            pack, self._site.config, self.base, self.protected, lists.compiled
        )

    def passed_secrets(self, pack: TaskPack) -> tuple[Finding, ...]:
        """Return findings for variables that a pack passes through and whose value contains a
        credential: evidence would show it.
        """
        found = []
        for name, value in self._environment(pack):
            kinds = self._site.redactor.redact(value.encode("utf-8", "surrogateescape")).kinds
            if kinds:
                facts: Facts = {"case": "variable", "name": name, "kinds": tuple(kinds)}
                place = pack.place("/env")
                found.append(Finding("SECRET_IN_CONTRACT", facts, pack=pack.id, location=place))
        return tuple(found)

    def freeze(self) -> Plan:
        """Return the plan of all packs with valid contracts; store those of their folders that are
        in no commit.
        """
        usable = [
            entry
            for entry in self.catalogue.by_id().values()
            if entry.usable and entry.pack is not None
        ]
        sound = {
            entry.id: entry.pack.depends_on
            for entry in usable
            if entry.pack is not None
            and not self._unusable_needs(entry.pack)
            and not self._unprepared(entry.pack)
        }
        packs = [self.planned(name) for name in canonical_order(sound)]
        config, repository = self._site.config, self._site.repository
        rules = policy_of(config)
        document = PlanDocument(
            base_ref=config.base_ref,
            base_commit=repository.commit,
            base_tree=self.base.oid,
            hash_name="sha256" if repository.hash_name == "sha256" else "sha1",
            packs_folder=config.packs_folder,
            packs_committed=self.committed(),
            packs_entries=self._packs_entries(),
            recheck_budget=config.recheck_budget,
            environments=tuple({e.name: e for each in packs for e in each.environments}.values()),
            judge=self.judge,
            policy=PlannedPolicy(
                sha256=sha256(format_document(rules)),
                rules=rules,
                commit=config.policy_commit,
                grants=tuple(sorted({used for each in packs for used in each.action.grants})),
            ),
            packs=tuple(self._record(planned) for planned in packs),
        )
        resolved = {planned.pack.id: planned.pack for planned in packs}
        return Plan(format_document(document), self._site.objects, self._site.environment, resolved)

    def _packs_entries(self) -> tuple[PlannedEntry, ...]:
        """Return what the packs folder of the base commit has."""
        folder = self.base.get(self._site.config.packs_folder)
        entries = folder.entries if isinstance(folder, Tree) else {}
        return tuple(
            PlannedEntry(
                name=display(name),
                mode=f"{MODE_TREE if isinstance(entry, Tree) else entry.mode:06o}",
                oid=entry.oid,
            )
            for name, entry in sorted(entries.items())
        )

    def _record(self, planned: PlannedPack) -> PlannedPackRecord:
        return PlannedPackRecord(
            pack=planned.pack.id,
            folder=planned.pack.folder,
            title=planned.pack.title,
            depends_on=planned.pack.depends_on,
            needs=planned.needs,
            action_key=planned.key,
            action=planned.action,
            scope=planned.lock,
            commands=commands_of(planned.pack),
            folder_tree=self._folders[planned.pack.id].oid,
            own_tree=planned.own.oid,
        )


def scope_lock(pack: TaskPack, config: Config, protected: tuple[str, ...]) -> ScopeLock:
    """Return SCOPE_LOCK.json of a pack: its contract as resolved under `config`."""
    return ScopeLock(
        pack=pack.id,
        allowed=pack.scope.allowed,
        denied=pack.scope.denied,
        outside=pack.scope.outside,
        discard=pack.discard,
        protected=protected,
        inputs=pack.inputs,
        network=pack.constraints.network.hosts,
        network_any=pack.constraints.network.any_host,
        cloud=pack.constraints.cloud.hosts,
        cloud_any=pack.constraints.cloud.any_host,
        acceptance_network=pack.acceptance_network,
        acceptance_cloud=pack.acceptance_cloud,
        learn=pack.learn,
        limits=limits_record(limits_in_force(pack, config)),
        required_properties=tuple(sorted(wanted.value for wanted in config.required)),
        artifacts_required=pack.artifacts.required,
        artifacts_optional=pack.artifacts.optional,
        artifacts_normalized=pack.artifacts.normalized,
        docs_required=pack.docs_required,
        expect=pack.expect,
        judge=JudgeLock(
            patterns=pack.judge.patterns,
            may_change=pack.judge.may_change,
            retires=pack.judge.retires,
            require=required_of(pack, config),
            fixed=pack.judge.fixed,
        ),
    )


def required_of(pack: TaskPack, config: Config) -> tuple[Requirement, ...]:
    """Return what a PASS of the pack must have shown, in order: what policy requires, and what its
    contract adds.
    """
    asked = {"judge", *config.judge_require, *pack.judge.require}
    return tuple(name for name in get_args(Requirement) if name in asked)


def planned_judge(config: Config) -> PlannedJudge:
    """Return the judge in force for every pack."""
    return PlannedJudge(
        patterns=tuple(dict.fromkeys((*PATTERNS, *config.judge_patterns))),
        tests=TESTS,
        shadowed=SHADOWED,
        require=tuple(sorted(config.judge_require)),
        may_change=config.judge_may_change,
        retry=config.judge_retry.value,
        contracts=config.judge_contracts.value,
    )
