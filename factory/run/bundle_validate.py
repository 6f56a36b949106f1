"""Validate a bundle: derive everything it says again, and compare it with the contract.

Nothing is believed because launch wrote it: trees are walked, the patch is applied by Git
to the base, the judge is asked again, the status is evaluated again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import partial

from factory.bundle import check as bundle_check
from factory.bundle.check import OpenedBundle
from factory.files.ports import Store
from factory.git.narrowing import apply_differences, between, hidden_paths, narrow
from factory.git.ports import Objects
from factory.judge.acceptance import (
    artifact_name_problem,
    judge_artifacts,
    judge_attempts,
    judge_docs,
    judge_expectation,
)
from factory.judge.effort import Measured, effort_of, judge_bytes, judge_effort, judge_overdue
from factory.judge.judge import judge_change, judge_lines, read_contents
from factory.judge.path_guard import display
from factory.judge.scope import compile_patterns
from factory.model.errors import Overdue, Refusal
from factory.model.evidence_text import sha256
from factory.model.finding import Finding
from factory.model.findings.entry import Facts
from factory.model.layout import BUNDLES, IN_BUNDLE, BundleFolder, Folder
from factory.model.pack import TaskPack
from factory.model.tree import MODE_SUBMODULE, Difference, Tree
from factory.plan.plan import Plan, PlannedPack
from factory.run.comparing import MOST_SECONDS, LineCounts, line_counts
from factory.run.doit_table import judge_configuration
from factory.run.reading import stacked_base


def bundle_digests(store: Store, folder: str) -> dict[str, str]:
    """SHA-256 of every file below a bundle's folder, its manifest excluded."""
    return {
        path: digest for path, digest in store.digests(folder).items() if path != IN_BUNDLE.manifest
    }


def bundle_intact(store: Store, pack_id: str, folder: Folder = BUNDLES) -> tuple[Finding, ...]:
    """Return findings where a bundle's files are not those that its manifest names."""
    place = BundleFolder(folder.at(pack_id))
    return bundle_check.judge_manifest(
        pack_id, place, store.read(place.manifest), bundle_digests(store, place)
    )


@dataclass(frozen=True, slots=True)
class DerivedTrees:
    """Name the trees that objects and patch of a bundle yield: what it was made on, its result, and
    what its patch makes of the first. `manifest` is the SHA-256 of its manifest.
    """

    manifest: str
    before: str
    after: str
    patched: str


def validate(
    store: Store, objects: Objects, plan: Plan, pack_id: str, folder: Folder = BUNDLES
) -> tuple[tuple[Finding, ...], DerivedTrees | None]:
    """Return findings over one bundle; none means that it agrees with its manifest, itself and its
    contract. With it its trees, None where they cannot be derived. Each file is read and hashed
    once.

    Raise Refusal DISK_UNWRITABLE.
    """
    place = BundleFolder(folder.at(pack_id))
    there = {path: store.read(place.at(path)) for path in store.files(place)}
    files = {path: content for path, content in there.items() if content is not None}
    digests = dict.fromkeys(there, "") | {path: sha256(files[path]) for path in files}
    manifest = files.get(IN_BUNDLE.manifest)
    named = digests.pop(IN_BUNDLE.manifest, "")
    found = bundle_check.judge_manifest(pack_id, place, manifest, digests)
    if found:
        return found, None
    bundle, found = bundle_check.open_bundle(pack_id, place, files)
    if bundle is None:
        return found, None
    planned = plan.planned(pack_id)
    commands = (*planned.pack.steps, *planned.pack.acceptance) if planned.pack.acceptance else ()
    found = (
        *bundle_check.judge_documents(
            pack_id, bundle, files, commands, planned.key, planned.lock, digests
        ),
        *bundle_check.judge_status(pack_id, bundle),
    )
    try:
        derived = _derived(objects, bundle, files, digests, named)
    except Refusal as refusal:
        if refusal.of_the_disk:
            raise
        return (*found, *(_disagreeing(pack_id, finding) for finding in refusal.findings)), None
    stacked = partial(stacked_base, store, objects, plan, planned)
    return (*found, *_judge_trees(objects, stacked, planned, bundle, files, derived)), derived


def _derived(
    objects: Objects,
    bundle: OpenedBundle,
    files: Mapping[str, bytes],
    digests: Mapping[str, str],
    manifest: str,
) -> DerivedTrees:
    """Raise Refusal where objects are missing, or the patch does not apply."""
    objects.take_in(files[IN_BUNDLE.objects], digests[IN_BUNDLE.objects])
    before = objects.tree_of(bundle.status.base_tree)
    after = objects.tree_of(bundle.status.result_tree)
    patch = files[IN_BUNDLE.patch]
    patched = (
        objects.apply_patch(before.oid, patch, digests[IN_BUNDLE.patch]) if patch else before.oid
    )
    return DerivedTrees(manifest, before.oid, after.oid, patched)


def _disagreeing(pack: str, finding: Finding) -> Finding:
    facts: Facts = {"case": "objects", "problem": finding.message}
    return Finding("BUNDLE_DISAGREES", facts, pack=pack, location=finding.location)


def _judge_trees(
    objects: Objects,
    base: Callable[[], Tree],
    planned: PlannedPack,
    bundle: OpenedBundle,
    files: Mapping[str, bytes],
    derived: DerivedTrees,
) -> tuple[Finding, ...]:
    pack = planned.pack
    before, after = objects.tree_of(derived.before), objects.tree_of(derived.after)
    by_tree = objects.raw_differences(before.oid, after.oid)
    oids = _blobs(by_tree)
    large = judge_bytes(planned.rules, objects.sizes(oids).values())
    if large:
        return large
    blobs = objects.measured(oids)
    lines, refused = _lines(objects, planned, before, after, by_tree, blobs)
    if refused:
        return refused
    by_patch = between(before, objects.tree_of(derived.patched))
    found = [*bundle_check.judge_agreement(pack.id, bundle.changed, by_tree, by_patch)]
    stacked = base()
    found += _judge_base(planned, stacked, before)
    shown = {display(path): counts for path, counts in lines.items()}
    contents = {oid: one.sha256 for oid, one in blobs.items()}
    found += bundle_check.judge_numbers(pack.id, bundle, shown, contents)
    if bundle.status.status == "PASS":
        found += _judge_again(objects, planned, stacked, before, by_tree, lines, tuple(files))
        most, retry = planned.limits.attempts, planned.judge.retry
        tried = judge_attempts(pack, bundle.status.attempts, most, retry)
        found += [finding for finding in tried if finding.blocks]
    return tuple(found)


def _judge_base(planned: PlannedPack, stacked: Tree, before: Tree) -> list[Finding]:
    """Return BUNDLE_STALE where the base that the bundle names is not what the pack sees of plan
    and bundles below it.
    """
    due = narrow(stacked, planned.shows)
    if before.oid == due.oid:
        return []
    facts = {"case": "base", "expected": due.oid, "found": before.oid}
    return [Finding("BUNDLE_STALE", facts, pack=planned.pack.id)]


def _blobs(changes: tuple[Difference, ...]) -> frozenset[str]:
    """Return the ids of the blobs of a change, before and after."""
    leaves = (
        leaf for change in changes for leaf in (change.before, change.after) if leaf is not None
    )
    return frozenset(leaf.oid for leaf in leaves if leaf.mode != MODE_SUBMODULE)


def _lines(
    objects: Objects,
    planned: PlannedPack,
    before: Tree,
    after: Tree,
    changes: tuple[Difference, ...],
    blobs: Mapping[str, Measured],
) -> tuple[LineCounts, tuple[Finding, ...]]:
    """Git's count of the lines of a change, or why it is not made; launch keeps no change that it
    is not made of.
    """
    effort = effort_of(changes, blobs)
    refused = judge_effort(planned.rules, effort)
    if refused or not changes:
        return {}, refused
    try:
        return line_counts(objects, effort, before.oid, after.oid), ()
    except Overdue:
        return {}, judge_overdue(planned.rules, MOST_SECONDS)


def _judge_again(
    objects: Objects,
    planned: PlannedPack,
    stacked: Tree,
    before: Tree,
    by_tree: tuple[Difference, ...],
    lines: LineCounts,
    files: tuple[str, ...],
) -> list[Finding]:
    """Ask the judge that launch asked, over the whole tree that base and change yield here."""
    whole = apply_differences(stacked, by_tree)
    changes = between(stacked, whole)
    contents = read_contents(planned.rules, changes, objects.read)
    counted = [counts for counts in lines.values() if counts is not None]
    below = f"{IN_BUNDLE.artifacts}/"
    artifacts = [path.removeprefix(below) for path in files if path.startswith(below)]
    return [
        *judge_change(planned.rules, changes, whole, contents, hidden_paths(changes, before)),
        *judge_configuration(objects, planned.pack.id, stacked, whole),
        *judge_lines(planned.rules, sum(c[0] for c in counted), sum(c[1] for c in counted)),
        *judge_docs(planned.pack, whole),
        *judge_expectation(planned.pack, bool(changes)),
        *judge_artifacts(planned.pack, artifacts, _undeclared(planned.pack, artifacts)),
    ]


def _undeclared(pack: TaskPack, artifacts: Iterable[str]) -> list[tuple[str, str]]:
    """Carried files that the contract does not ask for, or whose names cannot be carried."""
    declared = compile_patterns((*pack.artifacts.required, *pack.artifacts.optional))
    odd = "matches no pattern of the contract"
    judged = (
        (path, artifact_name_problem(path) or ("" if declared.matches(path) else odd))
        for path in artifacts
    )
    return [(path, problem) for path, problem in judged if problem]
