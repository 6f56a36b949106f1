"""Wire role Z's own process: only what Z needs, since a run waits for its start.

Knows no other part of the pipeline.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from factory.files.state_store import StateStore
from factory.git.objects import GitObjects
from factory.git.ports import Repository
from factory.merge import role_z
from factory.model.evidence import PlanDocument
from factory.model.evidence_text import parse_document
from factory.model.layout import IN_RUN


def run_integrator(words: Mapping[str, str]) -> None:
    """Do all work of role Z, inside its confinement; `words` are the JSON that its parent wrote."""
    run_folder = Path(words["run_folder"])
    found = Repository(
        root=Path(words["root"]),
        git_dir=Path(words["git_dir"]),
        common_dir=Path(words["common_dir"]),
        hash_name=words["hash_name"],
        base_ref=words["base_ref"],
        commit=words["commit"],
        branch=words["branch"],
        shallow=bool(words["shallow"]),
    )
    store = StateStore(run_folder)
    plan = parse_document(PlanDocument, store.read(IN_RUN.plan) or b"")
    objects = GitObjects(found, Path(words["scratch"]) / "objects")
    try:
        role_z.integrate(plan, store, objects)
    finally:
        objects.close()
