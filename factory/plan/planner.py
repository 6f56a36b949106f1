"""Keys and trees of every pack, computed once per process from the base commit and the work tree's
packs.

The only phase code that turns identities into an action. Workers get a `PlannedPack` and
never plan. Nothing here executes anything of a pack.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass

from factory.contract.catalogue import Catalogue, PackEntry, folder_tree
from factory.git.narrowing import lay_over, narrow, visible_patterns
from factory.judge.judge import Rules, rules_of
from factory.judge.path_guard import protected_patterns
from factory.judge.scope import Patterns
from factory.model.config import Overlap
from factory.model.errors import Refusal
from factory.model.evidence import ActionDocument, PlanDocument, ScopeLock, ToolRecord
from factory.model.finding import Finding
from factory.model.pack import Limits, TaskPack
from factory.model.tree import Tree
from factory.plan.action_key import (
    action_key,
    action_of,
    all_needs,
    bounded_limits,
    canonical_order,
    environment_of,
    plan_of,
    scope_lock,
)
from factory.plan.site import Site


@dataclass(frozen=True, slots=True)
class PlannedPack:
    """One pack, ready to be executed.

    `own` is the base commit's tree with the pack's folder laid over; `visible` is what of it
    the pack sees; `needs` are all packs it builds on, in canonical order. `limits` are in force:
    what the contract asks for, below the ceilings. `lock` is the contract as resolved.
    """

    pack: TaskPack
    action: ActionDocument
    key: str
    own: Tree
    visible_patterns: Patterns | None
    visible: Tree
    shared: Tree
    needs: tuple[str, ...]
    rules: Rules
    environment: tuple[tuple[str, str], ...]
    limits: Limits
    lock: ScopeLock


class Planner:
    """Plans of one process; each pack is planned once."""

    def __init__(self, site: Site, catalogue: Catalogue) -> None:
        self._site = site
        self._catalogue = catalogue
        self._guard = threading.RLock()
        self._planned: dict[str, PlannedPack] = {}
        self._folders: dict[str, Tree] = {}
        self._tools: dict[str, ToolRecord | None] = {}
        self._base: Tree | None = None
        self.protected = protected_patterns(site.config.packs_folder, site.config.protected)
        self._entries = {entry.id: entry for entry in catalogue.entries if entry.pack is not None}
        self._needs = all_needs(
            {name: entry.pack.depends_on for name, entry in self._entries.items() if entry.pack}
        )

    @property
    def base(self) -> Tree:
        """The base commit's whole tree."""
        with self._guard:
            if self._base is None:
                self._base = self._site.objects.tree_of(self._site.repository.commit)
            return self._base

    @property
    def overlap(self) -> Overlap:
        """What becomes of two packs that change one path."""
        return self._site.config.overlap

    def planned(self, pack_id: str) -> PlannedPack:
        """The plan of one pack whose contract holds. Raises KeyError for any other, Refusal
        DEPENDS_NOT_PASS.
        """
        with self._guard:
            if pack_id not in self._planned:
                self._planned[pack_id] = self._plan(self._entries[pack_id])
            return self._planned[pack_id]

    def _plan(self, entry: PackEntry) -> PlannedPack:
        pack = entry.pack
        if pack is None:
            raise KeyError(entry.id)
        lame = self._lame_needs(pack)
        if lame:
            message = f"{pack.id} depends on {lame[0]}, which cannot run itself"
            place = pack.place("/depends_on")
            raise Refusal(
                Finding("DEPENDS_NOT_PASS", message, f"Mend {lame[0]} first.", place, pack.id)
            )
        needs = canonical_order({name: self._depends(name) for name in self._needs[pack.id]})
        own = self._lay_over(self.base, entry)
        patterns = visible_patterns(pack.inputs, pack.folder)
        visible = narrow(own, patterns)
        environment = environment_of(pack, self._site.environment)
        action = action_of(
            pack,
            self._site.config,
            visible_tree=visible.oid,
            dependencies=[(need, self.planned(need).key) for need in needs],
            protected=self.protected.sources,
            environment=environment,
            tools=self._identities(pack),
        )
        return PlannedPack(
            pack=pack,
            action=action,
            key=action_key(action),
            own=own,
            visible_patterns=patterns,
            visible=visible,
            shared=narrow(self.base, patterns),
            needs=needs,
            rules=rules_of(pack, self.protected),
            environment=environment,
            limits=bounded_limits(pack.limits, self._site.config.ceilings),
            lock=scope_lock(pack, self._site.config, self.protected.sources),
        )

    def _lame_needs(self, pack: TaskPack) -> tuple[str, ...]:
        """What of a pack's needs has no sound contract, or is part of a circle; the pack itself
        where it is.
        """
        below = self._needs[pack.id]
        wanted = {need for name in (pack.id, *below) for need in self._depends(name)}
        return tuple(
            need
            for need in sorted(wanted)
            if need not in self._entries
            or not self._entries[need].usable
            or need in self._needs[need]
        )

    def _depends(self, name: str) -> tuple[str, ...]:
        pack = self._entries[name].pack
        return pack.depends_on if pack is not None else ()

    def lay_over(self, tree: Tree, pack_id: str) -> Tree:
        """`tree` with a pack's folder, as it is in the work tree, laid over."""
        return self._lay_over(tree, self._entries[pack_id])

    def _lay_over(self, tree: Tree, entry: PackEntry) -> Tree:
        if entry.id not in self._folders:
            content, blobs = folder_tree(entry, tree.hash_name)
            committed = tree.get(entry.folder)
            if not isinstance(committed, Tree) or committed.oid != content.oid:
                for blob in blobs.values():
                    self._site.objects.write_blob(blob)
            self._folders[entry.id] = content
        content = self._folders[entry.id]
        present = tree.get(entry.folder)
        if isinstance(present, Tree) and present.oid == content.oid:
            return tree
        return lay_over(tree, entry.folder, content)

    def committed(self) -> bool:
        """Whether every pack folder is in the base commit exactly as it was read."""
        return all(
            self._lay_over(self.base, entry) is self.base for entry in self._entries.values()
        )

    def _identities(self, pack: TaskPack) -> list[ToolRecord]:
        found = [self._identify(name) for name in ("python", "git", *pack.tools)]
        return list({tool.name: tool for tool in found if tool is not None}.values())

    def _identify(self, name: str) -> ToolRecord | None:
        if name not in self._tools:
            self._tools[name] = self._site.tools.identify(name)
        return self._tools[name]

    def tools(self) -> Mapping[str, str]:
        """The digest of every tool that was asked for so far; "" for one that this host does not
        have.
        """
        return {
            name: record.sha256 if record is not None else ""
            for name, record in self._tools.items()
        }

    def missing_tools(self, pack: TaskPack) -> tuple[str, ...]:
        """Declared tools that this host does not have."""
        return tuple(name for name in pack.tools if self._identify(name) is None)

    def passed_secrets(self, pack: TaskPack) -> tuple[Finding, ...]:
        """Variables that a pack passes through, and whose value carries a credential: evidence
        tells both.
        """
        found = []
        for name, value in environment_of(pack, self._site.environment):
            kinds = self._site.redactor.redact(value.encode("utf-8", "surrogateescape")).kinds
            if kinds:
                message = (
                    f"{pack.id} passes {name} through, and its value carries a credential"
                    f" ({', '.join(kinds)})"
                )
                hint = (
                    "Take it out of env: what is passed through is told in evidence, and grants no"
                    " secret."
                )
                found.append(
                    Finding("SECRET_IN_CONTRACT", message, hint, pack.place("/env"), pack.id)
                )
        return tuple(found)

    def freeze(self) -> PlanDocument:
        """The plan of all packs whose contracts hold."""
        usable = [
            entry.pack
            for entry in self._catalogue.by_id().values()
            if entry.usable and entry.pack is not None
        ]
        sound = [pack for pack in usable if not self._lame_needs(pack)]
        keys: Mapping[str, str] = {pack.id: self.planned(pack.id).key for pack in sound}
        return plan_of(
            sound,
            keys,
            self._site.config,
            base_commit=self._site.repository.commit,
            base_tree=self.base.oid,
            hash_name=self._site.repository.hash_name,
            committed=self.committed(),
        )
