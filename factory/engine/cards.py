"""The graph: which cards there are for a catalogue, what files each reads and writes, what comes
before.

Every phase has one marker file as its target; the next phase depends on that file. Making
cards never raises and computes no key.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path, PurePosixPath

from factory.contract.catalogue import Catalogue, PackEntry
from factory.plan.action_key import all_needs, canonical_order
from factory.plan.cards_port import Card
from factory.plan.markers import marker_path


def make_cards(catalogue: Catalogue, root: Path, state: Path) -> tuple[Card, ...]:
    """Every card, in an order that respects `after`. `root` is the work tree, `state` the state
    folder.
    """
    maker = _Maker(root, state, catalogue)
    entries = maker.ordered()
    everything = tuple(path for entry in entries for path in maker.files_of(entry))
    preflight = maker.card(
        "preflight", "", "check repository, configuration, packs and host", everything, ()
    )
    launches = [maker.launch(entry) for entry in entries]
    text = "re-derive the bundle and hold it against its contract"
    validations = [
        maker.card("bundle-validate", entry.name, text, launch.targets, (launch.name,), entry.id)
        for entry, launch in zip(entries, launches, strict=True)
    ]
    before = validations or [preflight]
    markers = tuple(target for card in before for target in card.targets)
    names = tuple(card.name for card in before)
    integrate = maker.card(
        "integrate", "", "merge validated bundles and check the merged tree", markers, names
    )
    text = "print the verdict and where the evidence is"
    summary = maker.card("summary", "", text, integrate.targets, ("integrate",))
    return (preflight, *launches, *validations, integrate, summary)


class _Maker:
    def __init__(self, root: Path, state: Path, catalogue: Catalogue) -> None:
        self._root = root
        self._state = state
        self._entries = catalogue.entries
        self._known = catalogue.by_id()
        self._waits = _waits_of(self._known)

    def files_of(self, entry: PackEntry) -> tuple[str, ...]:
        return tuple(
            str(self._root / PurePosixPath(file.path)) for file in entry.files if not file.problem
        )

    def ordered(self) -> tuple[PackEntry, ...]:
        """Entries so that each comes after those it waits for; otherwise by id and folder."""
        rank = {name: place for place, name in enumerate(canonical_order(self._waits))}
        return tuple(sorted(self._entries, key=lambda entry: (rank[entry.id], entry.folder)))

    def launch(self, entry: PackEntry) -> Card:
        waits = self._waits[entry.id] if entry is self._known[entry.id] else ()
        known = tuple(f"launch:{self._known[need].name}" for need in waits)
        return self.card(
            "launch",
            entry.name,
            _help(entry),
            self.files_of(entry),
            ("preflight", *known),
            entry.id,
        )

    def card(
        self,
        phase: str,
        name: str,
        text: str,
        file_dep: tuple[str, ...],
        after: tuple[str, ...],
        pack: str = "",
    ) -> Card:
        full = f"{phase}:{name}" if name else phase
        bare = Card(full, phase, pack, text, (), (), after)
        return Card(
            full, phase, pack, text, file_dep, (str(self._state / marker_path(bare)),), after
        )


def _waits_of(known: Mapping[str, PackEntry]) -> Mapping[str, tuple[str, ...]]:
    """Known packs that each one depends on; none for a member of a circle, which can never run."""
    needs = {
        name: entry.pack.depends_on if entry.pack is not None else ()
        for name, entry in known.items()
    }
    below = all_needs(needs)
    return {
        name: () if name in below[name] else tuple(need for need in wanted if need in known)
        for name, wanted in needs.items()
    }


def _help(entry: PackEntry) -> str:
    if entry.pack is None:
        return "does not hold its contract"
    if entry.pack.steps and entry.pack.scope.allowed:
        return f"{entry.pack.domain} · changes {', '.join(entry.pack.scope.allowed)}"
    artifacts = entry.pack.artifacts.required or entry.pack.artifacts.optional
    return f"{entry.pack.domain} · {'artifacts only' if artifacts else 'checks only'}"
