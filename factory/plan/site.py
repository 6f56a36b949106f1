"""What every phase is given: the ports of one repository, and the session of one process.

A `Site` is built once by wiring. A `Session` mints at most one run, and only when
something executes; it is the only mutable thing phases share, guarded by one lock.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from factory.files.inventory_port import Inventory
from factory.files.ports import Clock, Integrator, Ledger, Locks, Store, Tools, WorkTree
from factory.git.ports import Objects, Refs, Repository
from factory.log.signer import Keys
from factory.model.config import Config
from factory.plan.cloud import UserCloud
from factory.plan.stages import PackSandbox
from factory.redact.redaction import Redactor


@dataclass(frozen=True, slots=True)
class Site:
    """Contain one repository with everything that acts on it.

    `environment` is the host's, for declared names only; `redactor` cuts credentials from whatever
    a pack printed, before anything else reads it; `cloud` is what the user grants of clouds; `tidy`
    drops caches that nobody used for days; `inventory` makes the inventory of run folders by
    content.
    """

    repository: Repository
    config: Config
    objects: Objects
    refs: Refs
    sandbox: PackSandbox
    store: Store
    ledger: Ledger
    clock: Clock
    locks: Locks
    work_tree: WorkTree
    tools: Tools
    integrator: Integrator
    keys: Keys
    environment: Mapping[str, str]
    redactor: Redactor
    cloud: UserCloud
    tidy: Callable[[], None]
    inventory: Callable[[], Inventory]
    run_id: str = ""
