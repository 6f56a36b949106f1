"""Start a process on a repository: from memory where nothing changed, else by opening it.

Loads nothing of what opening needs before it is needed: `doit list` and a start that has nothing to
execute go through here.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from factory.engine import memory
from factory.engine.driver import Driver
from factory.engine.unseen import unseen
from factory.files.seals import user_seal
from factory.files.user_places import user_config_file, user_state_folder
from factory.model.layout import STATE_FOLDER

if TYPE_CHECKING:
    from factory.engine.memory import Memory
    from factory.engine.pipeline import RepositoryPipeline


def is_listing(words: Sequence[str]) -> bool:
    """Return whether these words after `doit` can only mean `doit list`: its name comes first,
    after variables.
    """
    return next((word for word in words if word.startswith("-") or "=" not in word), "") == "list"


def driver_at(root: Path, flags: Mapping[str, str], listing: bool = False) -> Driver:
    """Return what drives the tasks of the repository at `root`; `listing` where only their names
    are asked for. Never raises: whatever is wrong becomes a card that says so.
    """
    settings = memory.settings_digest(root, user_config_file(), flags, os.environ)
    known = _remembered(root, settings)
    if listing:
        if known is not None and known.lists():
            return Driver(partial(_open, root, flags), known._replace(up_to_date=None))
        return Driver(partial(_open_to_list, root, flags, settings))
    return _unchanged(root, flags, known) or Driver(partial(_open, root, flags))


def unchanged(root: Path, flags: Mapping[str, str]) -> Driver | None:
    """Return what answers for the repository at `root` without opening it; None where something
    changed since a start that had nothing to execute. Never raises.
    """
    settings = memory.settings_digest(root, user_config_file(), flags, os.environ)
    return _unchanged(root, flags, _remembered(root, settings))


def _remembered(root: Path, settings: str) -> Memory | None:
    """Return what an earlier start left here, under this user's seal."""
    return memory.load(root, settings, user_seal(user_state_folder(), root / STATE_FOLDER))


def _unchanged(root: Path, flags: Mapping[str, str], known: Memory | None) -> Driver | None:
    around = known.around_unchanged(os.environ) if known is not None else None
    if known is None or around is None:
        return None
    from factory.files.clock import SystemClock
    from factory.files.locks import FileLocks

    locks = FileLocks(root / STATE_FOLDER, SystemClock())
    return Driver(
        partial(_open, root, flags),
        known,
        partial(locks.take, "run"),
        partial(unseen, around.repository, known.packs_folder),
    )


def _open(root: Path, flags: Mapping[str, str]) -> RepositoryPipeline:
    from factory.engine.wiring import pipeline

    return pipeline(root, flags)


def _open_to_list(root: Path, flags: Mapping[str, str], settings: str) -> RepositoryPipeline:
    """Open the repository and leave its cards to the next listing."""
    import time

    began, opened = time.time_ns(), _open(root, flags)
    if opened.site.repository.root == root:
        from factory.engine.remember import remember_cards

        remember_cards(opened.run, settings, began)
    return opened
