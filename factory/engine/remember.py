"""Keep what a process leaves to the next start, so that it need not look at everything again.

Rule: what is remembered was looked at, and did not change since. What was there before this process
began was read by it; what it wrote itself is read once more, a tick later, so that no write in
between can bear the same time. Where anything else is young, nothing is remembered. See decision
25. Does not know when the memory is believed.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Mapping
from pathlib import Path, PurePosixPath

from factory.engine import memory
from factory.engine.memory import Around, Asked, Memory, UpToDate
from factory.engine.run import Run
from factory.evidence.run_intact import Intact
from factory.files.fs_guard import make_folder
from factory.files.local_disk import keeps_change_times
from factory.model import layout
from factory.model.card import Closing
from factory.model.errors import FactoryError
from factory.model.evidence_text import sha256
from factory.model.verdict import Status
from factory.plan.markers import marker_path

TICK = 60_000_000  # nanoseconds; after that a later write cannot bear the same change time


def remember_cards(run: Run, settings: str, began: int) -> None:
    """Leave the cards of a process that looked at the packs since `began` (nanoseconds), for `doit
    list`.
    """
    root, folder = run.site.repository.root, run.site.config.packs_folder
    with contextlib.suppress(OSError, FactoryError, ValueError):
        make_folder(run.site.store.root / layout.CACHE)
        # The digest first: packs that change in between are then other packs, never the same ones
        # with other cards.
        content = memory.packs_digest(root, folder)
        packs = memory.packs_places(root, folder, began)
        made = Memory(root, settings, folder, run.cards, packs, content)
        memory.store(made, run.site.store.write, run.site.seal)


def remember_up_to_date(
    run: Run,
    closing: Closing,
    executed: frozenset[str],
    settings: str,
    began: int,
    environment: Mapping[str, str],
) -> None:
    """Leave what the next start needs to say `closing` without a look, where every card passed.
    `executed` names the cards that ran in this process, which began at `began` (nanoseconds). A
    disk that takes nothing, or whose change times say nothing, costs time later, no more.
    """
    site, root = run.site, run.site.repository.root
    folder = site.config.packs_folder
    if run.shows_host or site.tools.counts_packages:
        return  # what is in a folder of the user's is looked at in every start
    with contextlib.suppress(OSError, FactoryError, ValueError):
        if not keeps_change_times(site.store.root):
            return
        # Which folders there are is compared too, and the file will need this one.
        make_folder(site.store.root / layout.CACHE)
        packs = memory.packs_places(root, folder, began)
        records = _records(run)
        if not packs.digest or len(records) != len(run.cards):
            return
        paths = memory.state_paths(root, run.cards, (closing.run_id,))
        again = _waited(root, paths, executed)
        if again is None or not _looked_again(run, closing.run_id, executed, records, paths):
            return
        own = _Own(run, closing.run_id, executed)
        state = memory.places(root, paths, lambda path: again if again and path in own else began)
        if not state.digest:
            return
        asked = _asked(run)
        around = Around(site.repository, site.work_tree.ignored, run.planner.tools())
        known = UpToDate(
            asked=asked,
            around=memory.digest_around(around, asked, environment),
            records=records,
            closing=closing,
            digests={**_pack_digests(run), **_marker_digests(records)},
            state=state,
        )
        made = Memory(root, settings, folder, run.cards, packs, up_to_date=known)
        memory.store(made, site.store.write, site.seal)


def _records(run: Run) -> dict[str, Mapping[str, object]]:
    """Return by card what doit has stored of it; only of cards whose marker says PASS."""
    found: dict[str, Mapping[str, object]] = {}
    for card in run.cards:
        marker = run.marker(card)
        if marker is not None and marker.status is Status.PASS and marker.key:
            targets = dict.fromkeys(card.targets, run.site.store.sha256(marker_path(card)))
            found[card.name] = {"verdict": "PASS", "key": marker.key, "targets": targets}
    return found


def _waited(root: Path, paths: tuple[bytes, ...], executed: frozenset[str]) -> int | None:
    """Wait until what this process wrote is older than a tick; return the time then (nanoseconds),
    0 where it wrote nothing, None where a tick is not enough: its clock is not that of the disk.
    """
    if not executed:
        return 0
    age = time.time_ns() - memory.latest_change(root, paths)
    if not age >= 0:
        return None
    if age < TICK:
        time.sleep((TICK - age) / 1e9)
    return time.time_ns()


def _looked_again(
    run: Run,
    run_id: str,
    executed: frozenset[str],
    records: Mapping[str, Mapping[str, object]],
    paths: tuple[bytes, ...],
) -> bool:
    """Return whether what this process wrote is what it wrote, read once more, and the bundle of
    every pack is there.
    """
    if not executed:
        return True
    present = frozenset(paths)
    packs = {card.pack for card in run.cards if card.pack}
    bundles = (layout.BundleFolder.of(pack).manifest for pack in packs)
    if not all(_path(manifest) in present for manifest in bundles):
        return False
    ran = {card.pack for card in run.cards if card.pack and card.name in executed}
    if not all(run.bundle_is_intact(pack) for pack in sorted(ran)):
        return False
    run.site.ledger.state()
    return Intact(run.site).whole(run_id) and _records(run) == records


class _Own:
    """List what this process may have written: bundles and markers of the cards that it executed,
    its run, the ledger, and the folders that contain them.
    """

    def __init__(self, run: Run, run_id: str, executed: frozenset[str]) -> None:
        ran = [card for card in run.cards if card.name in executed]
        trees = [
            layout.RunFolder.of(run_id),
            *(layout.BundleFolder.of(card.pack) for card in ran if card.pack),
        ]
        single = [
            *(layout.LEDGER, layout.TRASH, layout.BUNDLES, layout.RUNS),
            *(marker_path(card) for card in ran),
            *(str(PurePosixPath(marker_path(card)).parent) for card in ran),
        ]
        self._last = _path(layout.LAST)
        self._trees = frozenset(map(_path, trees))
        self._single = frozenset(map(_path, single))

    def __contains__(self, path: bytes) -> bool:
        # a bundle and a run are both three names deep
        names = path.split(b"/")
        in_tree = b"/".join(names[:3]) in self._trees or b"/".join(names[:2]) == self._last
        return path in self._single or in_tree


def _path(name: str) -> bytes:
    return os.fsencode(f"{layout.STATE_FOLDER}/{name}")


def _asked(run: Run) -> Asked:
    config = run.site.config
    packs = (entry.pack for entry in run.catalogue.entries if entry.pack is not None)
    variables = tuple(sorted({name for pack in packs for name in pack.env_passed}))
    return Asked(config.base_ref, config.python, tuple(run.planner.tools()), variables)


def _pack_digests(run: Run) -> dict[str, str]:
    root = run.site.repository.root
    files = (file for entry in run.catalogue.entries for file in entry.files if not file.problem)
    return {str(root / PurePosixPath(file.path)): sha256(file.content) for file in files}


def _marker_digests(records: Mapping[str, Mapping[str, object]]) -> dict[str, str]:
    targets = (record["targets"] for record in records.values())
    return {
        str(path): str(digest)
        for each in targets
        if isinstance(each, dict)
        for path, digest in each.items()
    }
