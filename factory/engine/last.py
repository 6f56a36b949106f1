"""Keep copies of the latest PASS, and the latest verdict, under names that no time is in:
`.factory/last/`.

For tasks of a project's own, which depend on files: each is replaced atomically, and only where its
content changes. Copies: nothing of ours reads them, no verdict depends on them, and what is missing
is made again from the run. Does not know who depends on them.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterable
from typing import TYPE_CHECKING

from factory.model.errors import Refusal
from factory.model.layout import LAST, BundleFolder, RunFolder

if TYPE_CHECKING:
    from factory.contract.catalogue import PackEntry
    from factory.files.ports import Store
    from factory.model.evidence import RunStatus
    from factory.plan.site import Site

_PATTERN = frozenset("*?[{")


def products_of(entries: Iterable[PackEntry]) -> tuple[str, ...]:
    """Return the paths of the state folder that are there after every PASS of these packs, each
    once.
    """
    found = [LAST.current, LAST.tree, LAST.status, LAST.patch, LAST.report]
    for entry in entries:
        if entry.pack is not None:
            folder = LAST.pack(entry.id)
            named = [path for path in entry.pack.artifacts.required if not _PATTERN & set(path)]
            found += [folder.status, folder.patch, *map(folder.artifacts.at, named)]
    return tuple(dict.fromkeys(found))


def keep_last(site: Site, run_id: str) -> None:
    """Make the folder what run `run_id` says: its verdict, and where a whole run is PASS, all else.
    What the disk does not take is made by a later start, which finds it missing.
    """
    from factory.model.evidence import RunStatus  # late: `doit list` only names the files
    from factory.model.evidence_text import parse_document

    with contextlib.suppress(Refusal):
        content = site.store.read(RunFolder.of(run_id).integrator.status)
        if content is None:
            return
        status = parse_document(RunStatus, content)
        if status.status == "PASS" and status.merged_tree:
            _keep_pass(site.store, RunFolder.of(run_id), status)
        _put(site.store, LAST.current, _verdict(status))


def _keep_pass(store: Store, run: RunFolder, status: RunStatus) -> None:
    kept = {LAST.current, LAST.tree, LAST.status, LAST.patch, LAST.report}
    for line in status.packs:
        kept |= _keep_pack(store, run.bundle(line.pack), LAST.pack(line.pack))
    _put(store, LAST.patch, store.read(run.integrator.patch) or b"")
    _put(store, LAST.report, store.read(run.integrator.report) or b"")
    _put(store, LAST.status, store.read(run.integrator.status) or b"")
    _put(store, LAST.tree, f"{status.merged_tree}\n".encode("ascii"))
    for path in store.files(LAST):
        if LAST.at(path) not in kept:
            store.remove(LAST.at(path))


def _keep_pack(store: Store, source: BundleFolder, copy: BundleFolder) -> set[str]:
    """Copy one pack's files; return the paths of the copies. One manifest means one content."""
    wanted = {copy.status: source.status, copy.patch: source.patch}
    for path in store.files(source.artifacts):
        wanted[copy.artifacts.at(path)] = source.artifacts.at(path)
    manifest = store.read(source.manifest) or b""
    same = store.read(copy.manifest) == manifest
    there = frozenset(copy.at(path) for path in store.files(copy)) if same else frozenset()
    for path, origin in wanted.items():
        if path not in there:
            _put(store, path, store.read(origin) or b"")
    _put(store, copy.manifest, manifest)
    return {*wanted, copy.manifest}


def _verdict(status: RunStatus) -> bytes:
    document = {
        "schema_version": 1,
        "run_id": status.run_id,
        "status": status.status,
        "base_commit": status.base_commit,
        "merged_tree": status.merged_tree,
        "packs": {line.pack: line.status for line in status.packs},
    }
    return (json.dumps(document, indent=2, sort_keys=True) + "\n").encode("ascii")


def _put(store: Store, path: str, content: bytes) -> None:
    if store.read(path) != content:
        store.write(path, content, durable=False)
