"""Define the phases, in their order: what cards each has, what decides whether a card is executed
again, and when a stored PASS stays valid.

    >>> [phase.name for phase in PHASES]
    ['preflight', 'environment', 'launch', 'bundle-validate', 'integrate', 'summary']
    >>> phase_named("launch").help
    'run each task pack in its sandbox'

To add a phase, write a class and put it into `PHASES`: cards, keys, doit's tasks and the verdict
follow. A phase that is not there is an error, never a default. What a phase executes is in a
module of its own, imported only then: `doit list` reads this one for names.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, ClassVar

from factory.model import layout
from factory.model.card import Card
from factory.model.errors import InternalError

if TYPE_CHECKING:
    from factory.contract.catalogue import Catalogue, PackEntry
    from factory.engine.run import CardOutcome, Run
    from factory.plan.markers import Marker


class Graph:
    """Contain the cards made so far, and what a phase needs to make its own."""

    def __init__(self, catalogue: Catalogue, root: Path, state: Path) -> None:
        """Take the work tree `root` and the state folder `state`, both absolute."""
        self.cards: list[Card] = []
        self._root, self._state = root, state
        self._known = catalogue.by_id()
        self._waits = _waits_of(self._known)
        self.entries = _ordered(catalogue.entries, self._waits)

    def of_phase(self, phase: str) -> tuple[Card, ...]:
        """Return the cards of an earlier phase."""
        return tuple(card for card in self.cards if card.phase == phase)

    def files_of(self, entry: PackEntry) -> tuple[str, ...]:
        """Return the absolute paths of a pack's files."""
        return tuple(
            str(self._root / PurePosixPath(file.path)) for file in entry.files if not file.problem
        )

    def needs_of(self, entry: PackEntry) -> tuple[str, ...]:
        """Return the names of the packs' folders that must have run before `entry` does."""
        waits = self._waits[entry.id] if entry is self._known[entry.id] else ()
        return tuple(self._known[need].name for need in waits)

    def card(
        self,
        phase: Phase,
        files: Iterable[str],
        after: Iterable[Card | str],
        entry: PackEntry | None = None,
        text: str = "",
        name: str = "",
        products: Iterable[str] = (),
    ) -> Card:
        """Return a card of `phase`, of one pack where `entry` is given; its target is a marker.
        `products` are paths of the state folder.
        """
        name = entry.name if entry is not None else name
        return Card(
            name=f"{phase.name}:{name}" if name else phase.name,
            phase=phase.name,
            pack=entry.id if entry is not None else "",
            help=text or phase.help,
            file_dep=tuple(files),
            targets=(str(self._state / layout.marker(phase.name, name)),),
            after=tuple(one if isinstance(one, str) else one.name for one in after),
            products=tuple(str(self._state / path) for path in products),
        )


class Phase(ABC):
    """Define one step of a run. Nothing has a default: what a phase does not say, it must not be
    asked.
    """

    name: ClassVar[str]
    help: ClassVar[str]  # the line of `doit list`, for the group and for cards without one

    @abstractmethod
    def cards(self, graph: Graph) -> Iterable[Card]:
        """Return this phase's cards, given those of earlier phases. Never raises."""

    @abstractmethod
    def inputs(self, card: Card, run: Run) -> object:
        """Return everything that decides the result of `card`, as JSON values: no time, no path of
        this host, nothing observed. Raise KeyError or Refusal for a pack that cannot be planned.
        """

    @abstractmethod
    def execute(self, card: Card, run: Run) -> CardOutcome:
        """Do the work of `card`. Raise Refusal where it cannot be done."""

    @abstractmethod
    def stays_valid(self, card: Card, marker: Marker, run: Run) -> bool:
        """Return whether the stored PASS `marker` of unchanged inputs needs no new execution."""


class Preflight(Phase):
    """Repository, configuration, contracts and host are looked at before anything runs."""

    name = "preflight"
    help = "check repository, configuration, packs and host"

    def cards(self, graph: Graph) -> Iterable[Card]:
        files = (path for entry in graph.entries for path in graph.files_of(entry))
        return (graph.card(self, files, ()),)

    def inputs(self, card: Card, run: Run) -> object:  # noqa: ARG002  there is one card
        from factory.contract.configuration import config_digest
        from factory.model.evidence_text import sha256

        files = [
            [file.path, sha256(file.content), file.problem]
            for entry in run.catalogue.entries
            for file in entry.files
        ]
        said = [[one.id, str(one.location)] for one in run.catalogue.findings]
        return [run.site.repository.commit, config_digest(run.site.config), files, said]

    def stays_valid(self, card: Card, marker: Marker, run: Run) -> bool:  # noqa: ARG002
        return not run.leftovers  # what an earlier run left behind is reported once

    def execute(self, card: Card, run: Run) -> CardOutcome:  # noqa: ARG002
        from factory.engine.checking import check_repository

        return check_repository(run)


class Environments(Phase):
    """Environments that packs name are prepared, before the plan is frozen."""

    name = "environment"
    help = "prepare what packs need, once for all of them"

    def cards(self, graph: Graph) -> Iterable[Card]:
        packs = (entry.pack for entry in graph.entries if entry.pack is not None)
        names = sorted({name for pack in packs for name in pack.environments})
        return tuple(graph.card(self, (), (Preflight.name,), name=name) for name in names)

    def inputs(self, card: Card, run: Run) -> object:
        found = run.planner.environment(card.name.partition(":")[2])
        return "" if found is None else found[1]

    def stays_valid(self, card: Card, marker: Marker, run: Run) -> bool:  # noqa: ARG002
        return run.planner.prepared(card.name.partition(":")[2]) is not None

    def execute(self, card: Card, run: Run) -> CardOutcome:
        from factory.engine.preparing import prepare_card

        return prepare_card(card, run)


class Launch(Phase):
    """Each pack runs in its sandbox and leaves a bundle."""

    name = "launch"
    help = "run each task pack in its sandbox"

    def cards(self, graph: Graph) -> Iterable[Card]:
        return tuple(
            graph.card(
                self,
                graph.files_of(entry),
                (
                    Preflight.name,
                    # All of them: the first pack that runs freezes the plan, and forks workers.
                    *graph.of_phase(Environments.name),
                    *(f"{self.name}:{need}" for need in graph.needs_of(entry)),
                ),
                entry,
                _help(entry),
            )
            for entry in graph.entries
        )

    def inputs(self, card: Card, run: Run) -> object:
        planned = run.planner.planned(card.pack)
        return [planned.key, [[need, run.manifest_of(need)] for need in planned.needs]]

    def stays_valid(self, card: Card, marker: Marker, run: Run) -> bool:
        same = marker.bundle == run.manifest_of(card.pack)
        return same and run.bundle_is_intact(card.pack)

    def execute(self, card: Card, run: Run) -> CardOutcome:
        from factory.engine.launching import launch_card

        return launch_card(card, run, lambda: card_key(card, run))


class Validate(Phase):
    """Each bundle is derived again and compared with its contract."""

    name = "bundle-validate"
    help = "re-derive every bundle and compare it with its contract"

    def cards(self, graph: Graph) -> Iterable[Card]:
        text = "re-derive the bundle and compare it with its contract"
        return tuple(
            graph.card(self, launch.targets, (launch,), entry, text)
            for entry, launch in zip(graph.entries, graph.of_phase(Launch.name), strict=True)
        )

    def inputs(self, card: Card, run: Run) -> object:
        commit = run.site.repository.commit
        return [run.planner.planned(card.pack).key, commit, run.manifest_of(card.pack)]

    def stays_valid(self, card: Card, marker: Marker, run: Run) -> bool:  # noqa: ARG002
        # A pack that ran in this run is validated again even if its bundle did not change.
        return card.after[0] not in run.results

    def execute(self, card: Card, run: Run) -> CardOutcome:
        from factory.engine.checking import check_bundle

        return check_bundle(card, run)


class Integrate(Phase):
    """Bundles are copied into the run, merged, and accepted again on the merged tree."""

    name = "integrate"
    help = "merge validated bundles and check the merged tree"

    def cards(self, graph: Graph) -> Iterable[Card]:
        before = graph.of_phase(Validate.name) or graph.of_phase(Preflight.name)
        return (graph.card(self, (path for one in before for path in one.targets), before),)

    def inputs(self, card: Card, run: Run) -> object:  # noqa: ARG002
        return _merged(run)

    def stays_valid(self, card: Card, marker: Marker, run: Run) -> bool:  # noqa: ARG002
        return run.is_whole(marker.run_id)

    def execute(self, card: Card, run: Run) -> CardOutcome:
        from factory.engine.integrate import integrate_card

        return integrate_card(card, run)


class Summary(Phase):
    """Give the run its verdict, report and attestations."""

    name = "summary"
    help = "print the verdict and where the evidence is"

    def cards(self, graph: Graph) -> Iterable[Card]:
        from factory.engine.last import products_of

        (integrate,) = graph.of_phase(Integrate.name)
        products = products_of(graph.entries)
        return (graph.card(self, integrate.targets, (integrate,), products=products),)

    def inputs(self, card: Card, run: Run) -> object:  # noqa: ARG002
        return _merged(run)

    def stays_valid(self, card: Card, marker: Marker, run: Run) -> bool:  # noqa: ARG002
        return run.is_whole(marker.run_id)

    def execute(self, card: Card, run: Run) -> CardOutcome:
        from factory.engine.summary import settle_card

        return settle_card(card, run)


PHASES: tuple[Phase, ...] = (
    Preflight(),
    Environments(),
    Launch(),
    Validate(),
    Integrate(),
    Summary(),
)


def phase_named(name: str) -> Phase:
    """Return the phase with this name. Raise InternalError where there is none."""
    for phase in PHASES:
        if phase.name == name:
            return phase
    raise InternalError(f"expected one of the phases, found {name!r}")


def make_cards(catalogue: Catalogue, root: Path, state: Path) -> tuple[Card, ...]:
    """Return every card, in an order that respects `after`. Compute no key; never raise."""
    graph = Graph(catalogue, root, state)
    for phase in PHASES:
        graph.cards += phase.cards(graph)
    return tuple(graph.cards)


def card_key(card: Card, run: Run) -> str:
    """Return what decides whether `card` must be executed again: SHA-256 in hex over its inputs as
    they are now. Raise KeyError or Refusal for a pack that cannot be planned, InternalError for a
    phase that there is not.
    """
    from factory.strict import canonical

    return canonical.digest(phase_named(card.phase).inputs(card, run))


def _merged(run: Run) -> object:
    """Return what decides the result of a whole run."""
    from factory.contract.configuration import config_digest

    bundles = [[entry.id, run.manifest_of(entry.id)] for entry in run.catalogue.entries]
    return [run.site.repository.commit, config_digest(run.site.config), bundles]


def _ordered(
    entries: tuple[PackEntry, ...], waits: Mapping[str, tuple[str, ...]]
) -> tuple[PackEntry, ...]:
    """Return entries so that each comes after those it waits for; otherwise by id and folder."""
    from factory.plan.order import canonical_order

    rank = {name: place for place, name in enumerate(canonical_order(waits))}
    return tuple(sorted(entries, key=lambda entry: (rank[entry.id], entry.folder)))


def _waits_of(known: Mapping[str, PackEntry]) -> Mapping[str, tuple[str, ...]]:
    """Return the known packs that each one depends on; none for a pack in a circle, which can never
    run.
    """
    from factory.plan.order import all_needs

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
    """Return the line of `doit list` for a pack: its domain, and what it may change."""
    if entry.pack is None:
        return "its contract is not valid"
    if entry.pack.steps and entry.pack.scope.allowed:
        return f"{entry.pack.domain} · changes {', '.join(entry.pack.scope.allowed)}"
    artifacts = entry.pack.artifacts.required or entry.pack.artifacts.optional
    return f"{entry.pack.domain} · {'artifacts only' if artifacts else 'checks only'}"
