"""What a process had before it that found nothing to do: for the next one, which then need not look
at all of it again.

Does not know how it is remembered, nor when it may be believed.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import PurePosixPath
from typing import Protocol

from factory.contract.catalogue import Catalogue
from factory.engine.standstill import Rest
from factory.model.card import Card, Closing
from factory.model.evidence_text import sha256
from factory.plan.planner import Planner
from factory.plan.site import Site


class Resting(Protocol):
    """What is asked of the pipeline."""

    @property
    def site(self) -> Site: ...

    @property
    def catalogue(self) -> Catalogue: ...

    @property
    def planner(self) -> Planner: ...

    def cards(self) -> tuple[Card, ...]: ...


def rest_of(
    resting: Resting,
    records: Mapping[str, Mapping[str, object]],
    runs: tuple[str, ...],
    closing: Closing,
) -> Rest:
    """Everything that the answers of this process hang on, apart from the commit and the
    settings.
    """
    root, entries = resting.site.repository.root, resting.catalogue.entries
    files = (file for entry in entries for file in entry.files if not file.problem)
    packs = (entry.pack for entry in entries if entry.pack is not None)
    return Rest(
        cards=resting.cards(),
        records=dict(records),
        closing=closing,
        runs=runs,
        digests={str(root / PurePosixPath(file.path)): sha256(file.content) for file in files},
        ignored=resting.site.work_tree.ignored,
        tools=resting.planner.tools(),
        environment=tuple(sorted({name for pack in packs for name in pack.env_passed})),
    )
