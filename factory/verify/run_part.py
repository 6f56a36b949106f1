"""Define what the checks of one run have in common."""

from __future__ import annotations

from dataclasses import dataclass

from factory.verify.context import Context
from factory.verify.documents import RunStatus
from factory.verify.folder import EvidenceFolder
from factory.verify.manifests import FileDigests
from factory.verify.results import Results


@dataclass(eq=False)
class RunPart:
    """Contain the run that a check is about: its folder, digests that are known, and verdict."""

    results: Results
    run: EvidenceFolder
    seen: FileDigests
    context: Context
    status: RunStatus
