"""Define a resolved task pack: what its five files declare, with every default filled in.

The orchestrator acts on these values. The keys as written (older spellings, defaults) are in
`contract.task` and `contract.acceptance`; `contract.contract` turns one into the other. Sizes are
bytes, times are seconds, paths are POSIX and relative to the repository root.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from factory.model.command_kind import CommandKind
from factory.model.finding import Location
from factory.sandbox.values import StageLimits

MIB = 1024 * 1024

Expectation = Literal["change", "no_change", "any"]
"""What the steps promise of the repository."""

Outside = Literal["block", "drop"]
"""What becomes of new files outside the scope."""


@dataclass(frozen=True, slots=True)
class Command:
    """Describe one shell command of a pack.

    `label` is unique in its pack and names the log (`tests-2`); `name` is what the author called
    it; `cwd` is relative to the workspace root, empty for the root itself; `timeout` None means
    that only the pack's own limit applies. `transcript` is the artifact that its output becomes, ""
    for none.
    """

    label: str
    kind: CommandKind
    name: str
    run: str
    cwd: str = ""
    env: tuple[tuple[str, str], ...] = ()
    timeout: int | None = None
    location: Location | None = None
    transcript: str = ""


@dataclass(frozen=True, slots=True)
class Limits(StageLimits):
    """Bound one attempt: seconds for all its commands together, bytes, counts, changed lines; and
    the network of one stage: seconds of silence, connections, bytes each way.
    """

    timeout: int = 900
    memory: int = 2048 * MIB
    processes: int = 256
    disk: int = 1024 * MIB
    output: int = 16 * MIB
    changed_lines: int = 800
    attempts: int = 1
    idle: int = 120
    connections: int = 512
    upload: int = 256 * MIB
    download: int = 4096 * MIB


@dataclass(frozen=True, slots=True)
class Network:
    """Declare a pack's network: nothing, any public host, or hosts (`*.` before one: any below
    it).
    """

    any_host: bool = False
    hosts: tuple[str, ...] = ()

    @property
    def declared(self) -> bool:
        return self.any_host or bool(self.hosts)

    @property
    def shown(self) -> tuple[str, ...]:
        """Return the hosts as a list; `*` alone is any public host."""
        return ("*",) if self.any_host else self.hosts


@dataclass(frozen=True, slots=True)
class Constraints:
    """Declare the rights a pack asks for. Absent means denied; secret reads cannot be asked for."""

    network: Network = Network()
    cloud: Network = Network()


@dataclass(frozen=True, slots=True)
class Scope:
    """Declare what a pack may change by patterns; `denied` wins over `allowed`.

    New files outside are refused, or left out of the change where `outside` is drop.
    """

    allowed: tuple[str, ...]
    denied: tuple[str, ...] = ()
    outside: Outside = "block"


@dataclass(frozen=True, slots=True)
class Artifacts:
    """Declare patterns of files to collect, from the workspace root (folder-relative ones already
    joined).

    Files that `normalized` matches are collected in a form without times, users and hosts.
    """

    required: tuple[str, ...] = ()
    optional: tuple[str, ...] = ()
    normalized: tuple[str, ...] = ()


Requirement = Literal["judge", "change", "fixed", "every-hunk"]
"""What a PASS must have shown: the frozen judge accepts it, it changed something, it repaired
something, and each hunk of it is needed."""


@dataclass(frozen=True, slots=True)
class JudgeContract:
    """Declare what judges a pack in addition to its commands.

    `patterns` are more files of the judge, `may_change` those of the judge that the pack is meant
    to change, `retires` ids of tests that may go, `fixed` labels of checks that may show that
    something was repaired.
    """

    patterns: tuple[str, ...] = ()
    may_change: tuple[str, ...] = ()
    retires: tuple[str, ...] = ()
    require: tuple[Requirement, ...] = ()
    fixed: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class PackFile:
    """Describe one file of a pack's folder as read from the work tree: path, Git mode, SHA-256 of
    its bytes, size in bytes.
    """

    path: str
    mode: int
    sha256: str
    size: int


@dataclass(frozen=True, slots=True)
class TaskPack:
    """Describe one declared unit of work.

    `inputs` None means the whole repository is visible. `places` maps a JSON pointer into task.yml
    to its (line, column), for findings. `information` is canonical JSON of every key that has no
    effect (owner, priority, notes, …), kept for the manifest. `acceptance_network` and
    `acceptance_cloud` say whether acceptance has what `constraints` declares of either; `learn`
    whether a later attempt can read why the last one failed.
    """

    id: str
    folder: str
    title: str
    domain: str
    why: str
    scope: Scope
    acceptance: tuple[Command, ...]
    files: tuple[PackFile, ...]
    steps: tuple[Command, ...] = ()
    constraints: Constraints = Constraints()
    inputs: tuple[str, ...] | None = None
    artifacts: Artifacts = Artifacts()
    limits: Limits = Limits()
    depends_on: tuple[str, ...] = ()
    env_passed: tuple[str, ...] = ()
    env_fixed: tuple[tuple[str, str], ...] = ()
    tools: tuple[str, ...] = ()
    environments: tuple[str, ...] = ()
    plugin: str = ""
    workspace: str = ""
    docs_required: tuple[str, ...] = ()
    expect: Expectation = "any"
    discard: tuple[str, ...] = ()
    judge: JudgeContract = JudgeContract()
    acceptance_network: bool = False
    acceptance_cloud: bool = False
    learn: bool = False
    must_prose: tuple[str, ...] = ()
    information: str = "{}"
    places: tuple[tuple[str, int, int], ...] = ()

    def place(self, pointer: str) -> Location:
        """Return the location of `pointer` in task.yml, or of its nearest parent that is written
        there.
        """
        known = {known: (line, column) for known, line, column in self.places}
        while pointer and pointer not in known:
            pointer = pointer.rpartition("/")[0]
        line, column = known.get(pointer, (1, 1))
        return Location(f"{self.folder}/task.yml", line, column)
