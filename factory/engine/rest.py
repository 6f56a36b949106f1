"""What a process had before it that found nothing to do: for the next one, which then need not look
at all of it again.

Does not know how it is remembered, nor when it may be believed.
"""

from __future__ import annotations

from pathlib import PurePosixPath

from factory.engine.pipeline import record_of
from factory.engine.run import Run
from factory.engine.standstill import Rest
from factory.model.card import Closing
from factory.model.evidence_text import sha256


def rest_of(run: Run, closing: Closing) -> Rest:
    """Return everything that the answers of this process depend on, apart from the commit and the
    settings.
    """
    root, entries = run.site.repository.root, run.catalogue.entries
    files = (file for entry in entries for file in entry.files if not file.problem)
    packs = (entry.pack for entry in entries if entry.pack is not None)
    return Rest(
        cards=run.cards,
        records={
            card.name: record_of(card, marker, run)
            for card in run.cards
            if (marker := run.marker(card)) is not None
        },
        closing=closing,
        runs=run.intact.asked,
        digests={str(root / PurePosixPath(file.path)): sha256(file.content) for file in files},
        ignored=run.site.work_tree.ignored,
        tools=run.planner.tools(),
        environment=tuple(sorted({name for pack in packs for name in pack.env_passed})),
    )
