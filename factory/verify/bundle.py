"""Derive one bundle again: its objects, its change, the contract in its own folder, and its status.

Everything here needs the bundle alone. What needs the base (that the pack saw what it should have)
is `stack`'s. Does not know runs.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass

from factory.verify import paths
from factory.verify.bundle_documents import BundleDocuments, check_documents, load_documents
from factory.verify.change import DerivedChange, check_change
from factory.verify.contract import Contract, read_contract
from factory.verify.documents import Action, BundleStatus, FilesChanged, ScopeLock
from factory.verify.folder import EvidenceFolder
from factory.verify.form import FormError
from factory.verify.manifests import FileDigests, check_manifest
from factory.verify.names import spell
from factory.verify.objects import (
    Carried,
    Commit,
    ObjectError,
    commit_payload,
    object_id,
    read_bundle,
    unreached,
)
from factory.verify.patterns import matches
from factory.verify.repository import RepositoryObjects
from factory.verify.results import Results
from factory.verify.rules import breaches
from factory.verify.status import check_status
from factory.verify.trees import (
    FOLDER,
    SUBMODULE,
    Clash,
    TreeEntry,
    Trees,
    Unknown,
    joined,
    parse_tree,
    parts,
)

# What SCOPE_LOCK.json repeats of the contract, under the same names.
_LOCKED = (
    *("allowed", "denied", "inputs", "docs_required", "artifacts_required", "artifacts_optional"),
    *("artifacts_normalized", "expect", "outside", "discard"),
    *("network", "network_any", "cloud", "cloud_any", "learn"),
)

# What its part `judge` repeats of acceptance.yml, and the key there.
_JUDGE_KEYS = {
    "patterns": "judge",
    "may_change": "may_change",
    "retires": "retires",
    "fixed": "fixed",
}


@dataclass(frozen=True, slots=True)
class Bundle:
    """Describe a bundle whose change was derived again. `folder` is the pack's own; `tree` its
    entry in the base.

    `left_out` counts new files that are no part of the change, by why.
    """

    pack: str
    folder: str
    status: BundleStatus
    action: Action
    lock: ScopeLock
    contract: Contract
    change: DerivedChange
    trees: Trees
    tree: TreeEntry
    spec: bytes
    manifest: str
    left_out: Mapping[str, int]

    def quotes(self, why: str) -> bool:
        """Return True if `why` is empty or a displayed line of the pack's spec.md."""
        lines = self.spec.decode("utf-8", "replace").splitlines()
        shown = (
            "".join(char if char.isprintable() else " " for char in line.strip()).strip()
            for line in lines
        )
        return not why or any(line[: len(why)] == why for line in shown)

    @property
    def needs(self) -> tuple[str, ...]:
        """Return every pack it builds on."""
        return tuple(need.pack for need in self.action.depends_on)


class BundleCheck:
    """Check the bundle in `pack`/ of a run's folder."""

    def __init__(
        self,
        results: Results,
        run: EvidenceFolder,
        seen: FileDigests,
        pack: str,
        repository: RepositoryObjects | None = None,
    ) -> None:
        self.results = results
        self.run = run
        self.seen = seen
        self.pack = pack
        self.place = f"{pack}/"
        self.repository = repository

    def check(self) -> Bundle | None:
        """Return the bundle, derived again; None, with findings, if that is impossible."""
        check_manifest(
            self.results,
            self.run,
            self.seen,
            f"{self.place}{paths.BUNDLE_MANIFEST}",
            self.pack,
            self.pack,
        )
        docs = load_documents(self.results, self.run, self.pack)
        if docs is None:
            return None
        check_documents(self.results, self.run, self.seen, self.pack, docs)
        try:
            return self._rederived(docs)
        except Unknown as unknown:
            self._wrong(
                "VERIFY_OBJECTS",
                paths.OBJECTS,
                f"expected the tree {unknown}, found that it is missing",
            )
        except (Clash, ObjectError) as error:
            self._wrong("VERIFY_OBJECTS", paths.OBJECTS, spell(str(error)))
        return None

    def _wrong(self, kind: str, file: str, what: str) -> None:
        self.results.wrong(kind, self.place + file, what, self.pack)

    def _rederived(self, docs: BundleDocuments) -> Bundle | None:
        """Return the bundle from its documents and objects. Raise Unknown, ObjectError."""
        carried = read_bundle(self.run.read(f"{self.place}{paths.OBJECTS}") or b"")
        due = ("", f"refs/codex/{self.pack}")
        if (carried.prerequisite, carried.ref) != due:
            self._wrong(
                "VERIFY_OBJECTS",
                paths.OBJECTS,
                f"expected the ref {due[1]} on nothing, found another",
            )
        blobs = {oid: payload for oid, (kind, payload) in carried.objects.items() if kind == "blob"}
        trees = Trees(carried.hash_name, carried_trees(carried))
        change = self._change(docs.changed, trees, {**blobs, **self._fetched(docs.changed, blobs)})
        found = self._contract(docs, trees, blobs)
        if found is None:
            return None
        folder, tree, contract = found
        self._tip(docs.status, carried, contract)
        check_status(self.results, self.place, docs.status, contract, docs.lock, self._log)
        if change is None:
            return None
        bundle = Bundle(
            *(
                self.pack,
                folder,
                docs.status,
                docs.action,
                docs.lock,
                contract,
                change,
                trees,
                tree,
            ),
            _text(trees, tree, b"spec.md", blobs),
            self.seen(f"{self.place}{paths.BUNDLE_MANIFEST}"),
            {
                "ignored": docs.changed.ignored_dropped,
                "discarded": docs.changed.discarded,
                "outside": docs.changed.outside_dropped,
            },
        )
        self._left_out(bundle)
        self._complete(bundle, carried)
        if docs.status.status == "PASS":
            self._rules(bundle)
        return bundle

    def _log(self, label: str) -> bytes:
        return self.run.read(f"{self.place}{paths.LOGS}{label}.log") or b""

    def _change(
        self, changed: FilesChanged, trees: Trees, blobs: Mapping[str, bytes]
    ) -> DerivedChange | None:
        patch = self.run.read(f"{self.place}{paths.PATCH}")
        if patch is None:
            self._wrong("VERIFY_MISSING", paths.PATCH, "expected this file, found none")
            return None
        return check_change(self.results, self.place, self.pack, trees, blobs, changed, patch)

    def _fetched(self, changed: FilesChanged, blobs: Mapping[str, bytes]) -> dict[str, bytes]:
        """Return contents whose mode alone changed, from the repository if it is available.

        A bundle does not carry them.
        """
        repository = self.repository
        if repository is None:
            return {}
        wanted = {row.oid_after for row in changed.files if row.kind == "mode"} - blobs.keys()
        found = ((oid, repository.blob(oid)) for oid in sorted(wanted))
        return {oid: blob for oid, blob in found if blob is not None}

    def _contract(
        self, docs: BundleDocuments, trees: Trees, blobs: Mapping[str, bytes]
    ) -> tuple[str, TreeEntry, Contract] | None:
        """Return the pack's folder, its entry in the base, and the contract in it; None, with
        findings.

        The files that ACTION.json names must be those of the base.
        """
        named = {row.path: (row.mode, row.sha256) for row in docs.action.files}
        folder = next(
            (path.rpartition("/")[0] for path in sorted(named) if path.endswith("/task.yml")), ""
        )
        tree = trees.at(docs.status.base_tree, parts(folder)) if folder else None
        if tree is None or tree.mode != FOLDER:
            self._wrong(
                "VERIFY_ACTION",
                paths.ACTION,
                "expected the pack's own folder in the base tree, found none",
            )
            return None
        leaves = {joined((*parts(folder), *path)): entry for path, entry in trees.leaves(tree.oid)}
        texts = {
            path: blobs.get(entry.oid, b"")
            for path, entry in leaves.items()
            if entry.mode != SUBMODULE
        }
        found = {
            path: (f"{leaves[path].mode:06o}", hashlib.sha256(text).hexdigest())
            for path, text in texts.items()
        }
        if named != found:
            odd = min(
                path for path in named.keys() | found.keys() if named.get(path) != found.get(path)
            )
            self._wrong(
                "VERIFY_ACTION",
                paths.ACTION,
                f"{spell(odd)}: expected it as the base has it, found otherwise",
            )
            return None
        try:
            contract = read_contract(
                folder, texts[f"{folder}/task.yml"], texts.get(f"{folder}/acceptance.yml", b"")
            )
        except FormError as error:
            self._wrong("VERIFY_ACTION", paths.ACTION, f"{folder}/{spell(str(error))}")
            return None
        self._lock(docs.lock, contract)
        return folder, tree, contract

    def _lock(self, lock: ScopeLock, contract: Contract) -> None:
        """Compare SCOPE_LOCK with the contract's own text."""
        file = f"{self.place}{paths.SCOPE_LOCK}"
        for name in _LOCKED:
            expected, found = getattr(contract, name), getattr(lock, name)
            self.results.differs(
                "VERIFY_SCOPE", file, f"{name} of task.yml", expected, found, self.pack
            )
        for name in ("acceptance_network", "acceptance_cloud"):
            due, found = getattr(contract, name), getattr(lock, name)
            what = f"{name} by acceptance.yml"
            self.results.differs("VERIFY_SCOPE", file, what, due, found, self.pack)
        for name, key in _JUDGE_KEYS.items():
            due, found = getattr(contract, key), getattr(lock.judge, name)
            what = f"{key} of acceptance.yml"
            self.results.differs("VERIFY_SCOPE", file, what, due, found, self.pack)
        without = [name for name in ("judge", *contract.require) if name not in lock.judge.require]
        self.results.differs("VERIFY_SCOPE", file, "what it requires", [], without, self.pack)
        most, recorded = contract.changed_lines, lock.limits.changed_lines
        if recorded > most:
            self._wrong(
                "VERIFY_SCOPE",
                paths.SCOPE_LOCK,
                f"changed_lines: expected at most {most}, found {recorded}",
            )

    def _tip(self, status: BundleStatus, carried: Carried, contract: Contract) -> None:
        """Make the two commits of a bundle again; report objects that they do not lead to."""
        start = commit_payload(Commit(status.base_tree, (), f"what {self.pack} could see"))
        first = object_id("commit", start, carried.hash_name)
        tip = commit_payload(Commit(status.result_tree, (first,), f"{self.pack}: {contract.title}"))
        due = object_id("commit", tip, carried.hash_name)
        self.results.differs(
            "VERIFY_OBJECTS", f"{self.place}{paths.OBJECTS}", "its tip", due, carried.tip, self.pack
        )
        if first not in carried.objects or due not in carried.objects:
            self._wrong(
                "VERIFY_OBJECTS",
                paths.OBJECTS,
                "expected the commits of base and result, found others",
            )
            return
        links = {first: (status.base_tree,), due: (status.result_tree, first)}
        inside = tree_links(carried)
        for oid in unreached(carried, {**links, **inside}):
            self._wrong(
                "VERIFY_OBJECTS",
                paths.OBJECTS,
                f"expected only what its tip leads to, found {oid} too",
            )

    def _complete(self, bundle: Bundle, carried: Carried) -> None:
        """Report objects that the bundle lacks for somebody who has only the base."""
        status, trees = bundle.status, bundle.trees
        if bundle.needs:
            # What it was measured against is in no bundle: that much must be there, whatever that
            # was.
            due = trees.unshared(status.result_tree, status.base_tree) | trees.unshared(
                bundle.tree.oid, trees.empty
            )
            due |= {status.base_tree}
        else:
            known = trees.placed(status.base_tree, parts(bundle.folder), None)
            due = trees.unshared(status.base_tree, known) | trees.unshared(
                status.result_tree, known
            )
        if bundle.lock.inputs is not None:
            due |= trees.folders(status.base_tree) | trees.folders(status.result_tree)
        for oid in sorted(due - carried.objects.keys()):
            self._wrong(
                "VERIFY_OBJECTS",
                paths.OBJECTS,
                f"expected the object {oid}, found that it is missing",
            )

    def _left_out(self, bundle: Bundle) -> None:
        """Report new files that were left out although the contract names none of their kind."""
        lock = bundle.lock
        for kind, named in (("discarded", bool(lock.discard)), ("outside", lock.outside == "drop")):
            found = bundle.left_out[kind]
            if found and not named:
                self._wrong(
                    "VERIFY_SCOPE",
                    paths.FILES_CHANGED,
                    f"expected no file left out as {kind} under this contract, found {found}",
                )

    def _rules(self, bundle: Bundle) -> None:
        """Judge again what a PASS may not have."""
        status, lock = bundle.status, bundle.lock
        for path, clause in breaches(
            lock, bundle.folder, bundle.trees, status.result_tree, bundle.change
        ):
            self._wrong(
                "VERIFY_SCOPE",
                paths.FILES_CHANGED,
                f"{path}: {clause}, in a bundle that says PASS",
            )
        lines, most = status.lines_added + status.lines_removed, lock.limits.changed_lines
        if lines > most:
            self._wrong(
                "VERIFY_SCOPE",
                paths.STATUS,
                f"expected at most {most} changed lines in a PASS, found {lines}",
            )
        changed = bool(bundle.change.edits)
        if lock.expect == ("no_change" if changed else "change"):
            self._wrong(
                "VERIFY_SCOPE",
                paths.FILES_CHANGED,
                f"expected {lock.expect} in a PASS, found {'a' if changed else 'no'} change",
            )
        patterns = (*lock.artifacts_required, *lock.artifacts_optional)
        for path in status.artifacts:
            if not matches(patterns, path):
                self._wrong(
                    "VERIFY_ARTIFACTS",
                    f"{paths.ARTIFACTS}{path}",
                    "expected a declared artifact, found another file",
                )
        for pattern in lock.artifacts_required:
            if not any(matches((pattern,), path) for path in status.artifacts):
                self._wrong(
                    "VERIFY_ARTIFACTS",
                    paths.STATUS,
                    f"expected an artifact {pattern} in a PASS, found none",
                )
        for path in lock.docs_required:
            self._document_exists(bundle, path)

    def _document_exists(self, bundle: Bundle, path: str) -> None:
        part = f"docs.required of {self.pack}: {path}"
        try:
            found = bundle.trees.at(bundle.status.result_tree, parts(path))
        except Unknown:
            self.results.gap(part, "that part of the base is not at hand")
            return
        if found is None and bundle.lock.inputs is not None:
            self.results.gap(part, "the pack saw only a part of the base")
        elif found is None:
            self._wrong(
                "VERIFY_STATUS",
                paths.STATUS,
                f"expected the document {path} in a PASS, found none",
            )


def _text(trees: Trees, folder: TreeEntry, name: bytes, blobs: Mapping[str, bytes]) -> bytes:
    entry = trees.entries(folder.oid).get(name)
    return blobs.get(entry.oid, b"") if entry is not None else b""


def carried_trees(carried: Carried) -> dict[str, bytes]:
    """Return the trees of a bundle, by id."""
    return {oid: payload for oid, (kind, payload) in carried.objects.items() if kind == "tree"}


def tree_links(carried: Carried) -> dict[str, tuple[str, ...]]:
    """Return the ids in each carried tree. Raise ObjectError."""
    width = len(carried.tip) // 2
    trees = carried_trees(carried).items()
    return {
        oid: tuple(entry.oid for entry in parse_tree(payload, width).values())
        for oid, payload in trees
    }
