"""Start role Z: `python -I -m factory.merge.z_process WORDS`, with PLAN.json in the run folder.

Started by `merge.integrator` inside its confinement; not meant for people. Imports only
what Z needs, since a run waits for its start.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from pathlib import Path

from factory.files.state_store import StateStore
from factory.git.objects import GitObjects
from factory.git.ports import Repository
from factory.merge import role_z
from factory.model.errors import FactoryError
from factory.model.evidence import PlanDocument, with_packs
from factory.model.evidence_text import parse_document
from factory.model.layout import IN_RUN
from factory.strict.values import DocumentError


def main() -> int:
    """Merge what is named of the plan. Return 0 if MERGE.json was written, else print one line and
    return 1.
    """
    try:
        run_integrator(json.loads(sys.argv[1]))
    except (FactoryError, DocumentError) as error:
        sys.stdout.write(f"{error}\n")
        return 1
    return 0


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
    whole = parse_document(PlanDocument, store.read(IN_RUN.plan) or b"")
    plan = with_packs(whole, words["packs"].split(" "))
    objects = GitObjects(found, Path(words["scratch"]) / "objects")
    try:
        role_z.integrate(plan, store, objects)
    finally:
        objects.close()


if __name__ == "__main__":
    sys.exit(main())
