"""The real pipeline of a World in this process, with one of its doors replaced: what doit cannot be
told to break.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import replace
from typing import Any

import pytest

from factory.bundle.make import Files, manifest_of
from factory.egress.reach import Outside
from factory.engine import wiring
from factory.engine.pipeline import RepositoryPipeline
from factory.model.card import Card, CardResult
from factory.model.evidence_text import format_document
from factory.model.verdict import Status
from factory.plan.planner import Planner
from factory.plan.site import Site
from tests import measured_once
from tests.sample import WHOLE
from tests.world import World, environment


def site(world: World, outside: Outside | None = None, **doors: Any) -> Site:
    """Everything that acts on the repository, some doors replaced. Whoever asks closes `sandbox`
    and `objects`.
    """
    with pytest.MonkeyPatch.context() as patched:
        for name in list(os.environ):
            patched.delenv(name)
        for (
            name,
            value,
        ) in environment(
            **world.granted
        ).items():  # nothing of whoever runs the tests: no keys, no configuration
            patched.setenv(name, value)
        built = wiring.site(world.root, {}, outside=outside)
    return replace(built, **{name: make(getattr(built, name)) for name, make in doors.items()})


def _known() -> AbstractContextManager[None]:
    """What is known of the sandbox is taken, but where all is tried."""
    return nullcontext() if WHOLE else measured_once.installed()


def close(built: Site) -> None:
    """Close a site's sandbox and objects; that a store of objects is closed is no business of its
    port.
    """
    built.sandbox.close()
    close_objects(built)


def close_objects(built: Site) -> None:
    objects: Any = built.objects
    objects.close()


@contextmanager
def planner(world: World):
    """A site and the planner over what the repository declares now."""
    built = site(world)
    pipeline = RepositoryPipeline(built, wiring.Silent(), lambda: ())
    try:
        with _known():
            yield built, Planner(built, pipeline.run.catalogue)
    finally:
        close(built)


def oneshot(
    world: World,
    outside: Outside | None = None,
    after: Callable[[Card], None] = lambda _card: None,
    **doors: Callable[[Any], object],
) -> tuple[Status, Mapping[str, CardResult]]:
    """Run every card, and call `after` with each that ended; return the run's verdict, and how each
    card ended.
    """
    built = site(world, outside, **doors)
    pipeline = RepositoryPipeline(built, wiring.Silent(), lambda: ())
    with _known():
        pipeline.begin(wiring.Silent())
        results = {}
        for card in pipeline.cards():
            results[card.name] = pipeline.execute(card)
            after(card)
        closing = pipeline.close(
            {name: result.status for name, result in results.items()}, frozenset(results)
        )
    close_objects(built)
    return closing.status, results


def sealed(files: Files, subject: str) -> Files:
    """The same files under a manifest that names them: what someone who alters a bundle would
    write.
    """
    rest = {path: content for path, content in files.items() if path != "manifest.json"}
    return {**rest, "manifest.json": format_document(manifest_of(subject, rest))}


def alter(world: World, pack: str, change: Callable[[Files], None], place: str = "bundles") -> None:
    """Change the files of a bundle by hand, and its manifest so that it fits."""
    folder = world.state / place / pack
    files = {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }
    change(files)
    for path in folder.rglob("*"):
        if path.is_file():
            path.unlink()
    for name, content in sealed(files, pack).items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
