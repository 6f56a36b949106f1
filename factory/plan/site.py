"""Define what every phase is given: one repository with all that acts on it, built once by
wiring.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from factory.contract.work_tree import UserWorkTree
from factory.files.clock import SystemClock
from factory.files.key_files import UserKeys
from factory.files.locks import FileLocks
from factory.files.ports import Ledger, Store
from factory.files.seals import UserSeal
from factory.git.objects import GitObjects
from factory.git.ports import Objects, Repository
from factory.model.config import Config
from factory.model.finding import Finding
from factory.plan.cloud import UserCloud
from factory.plan.markers import Markers
from factory.plan.stages import PackSandbox
from factory.plan.tools import HostTools
from factory.redact.redaction import Redactor


@dataclass(frozen=True, slots=True)
class Site:
    """Contain one repository with everything that acts on it.

    `environment` is the host's, for declared names only; `redactor` cuts credentials from whatever
    a pack printed, before anything else reads it; `cloud` is what the user grants of clouds; `tidy`
    drops caches that nobody used for days; `integrator` runs Z on the plan in a run folder and
    returns its MERGE.json. `origin` is the network address that the repository came from ("": none
    is known). `remarks` are findings about the configuration that block nothing.
    """

    repository: Repository
    config: Config
    objects: Objects
    refs: GitObjects
    sandbox: PackSandbox
    store: Store
    ledger: Ledger
    markers: Markers
    seal: UserSeal
    clock: SystemClock
    locks: FileLocks
    work_tree: UserWorkTree
    tools: HostTools
    integrator: Callable[[Path, tuple[str, ...]], bytes]
    keys: UserKeys
    environment: Mapping[str, str]
    redactor: Redactor
    cloud: UserCloud
    tidy: Callable[[], None]
    origin: str = ""
    remarks: tuple[Finding, ...] = ()
    run_id: str = ""
