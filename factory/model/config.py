"""Define the resolved configuration: defaults, user file, factory.toml, FACTORY_* variables, flags.

The repository may tighten safety; only the user may accept less. The values record their sources
(`Config.sources`). Does not know how a file is read.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass

from factory.model.environment import DeclaredEnvironment
from factory.model.pack import Limits, Requirement
from factory.model.signing import SigningPolicy
from factory.sandbox.backends import AUTO, IsolationMode
from factory.sandbox.properties import Property
from factory.strict.values import LARGEST_INTEGER


class Source(enum.Enum):
    """Name the source of a configuration value, weakest first."""

    DEFAULT = "default"
    USER = "user"
    REPOSITORY = "repository"
    JUDGED = "judged"  # the work tree's, where the repository's is that of policy_ref
    ENVIRONMENT = "environment"
    FLAG = "flag"


class OverlapPolicy(enum.Enum):
    """Choose what the integrator does if two packs change one path."""

    BLOCK = "block"
    MERGE = "merge"


class RetryPolicy(enum.Enum):
    """Choose what a pass after a failed attempt is, strictest last."""

    ALLOW = "allow"
    BLOCK = "block"


class ContractPolicy(enum.Enum):
    """Choose if a contract may differ from that of `policy_ref`, strictest last."""

    OPEN = "open"
    PINNED = "pinned"


class GrantKind(enum.Enum):
    """Name what a contract may ask of the user."""

    HOST = "host"
    ANY_HOST = "any-host"
    VARIABLE = "variable"
    BOUND = "bound"
    JUDGE = "judge"
    FOLDER = "folder"
    ENVIRONMENT = "environment"
    INTERPRETER = "interpreter"


@dataclass(frozen=True, slots=True)
class Grant:
    """Record what the user lets one pack have; `pack` "" is any pack of the repository. A pack
    that begins with `environment:` is an environment of it.
    """

    kind: GrantKind
    thing: str
    pack: str


@dataclass(frozen=True, slots=True)
class PolicyPack:
    """Record what the commit of policy_ref says of one pack: what it may change of its judge, and
    digests of acceptance, scope, `require` and `judge` by these names.
    """

    id: str
    permits: tuple[str, ...]
    digests: tuple[tuple[str, str], ...]


MIB = 1 << 20
CEILINGS = Limits(
    timeout=3600,
    memory=4096 * MIB,
    processes=1024,
    disk=8192 * MIB,
    output=64 * MIB,
    changed_lines=LARGEST_INTEGER,
    attempts=3,
    idle=3600,
    connections=4096,
    upload=1024 * MIB,
    download=16384 * MIB,
)
REQUIRED_BY_DEFAULT = frozenset(Property)


@dataclass(frozen=True, slots=True)
class Config:
    """Contain every configurable value.

    `policy_ref` is the ref that the user named for the policy in force, `policy_commit` the commit
    that it is; empty: the configuration of the work tree is. `policy_packs` are its sound packs.
    `protected` adds scope patterns to the built-in protected list; `ceilings` bounds what a pack
    may declare without a grant; `grants` are what the user granted; `accepted_missing` names
    properties whose absence the user accepts; `backend` is the user's choice of what confines
    packs; `python` is another interpreter for packs (empty: the orchestrator's own),
    `python_folders` are the folders outside /usr that one which the repository names is made of;
    `network_hosts` are those that the user lets every pack reach, `network_within` those that the
    repository narrows packs to (None: it does not), `network_allow_any` is the user's consent to
    any public host, `network_private` are hosts that may be at private addresses,
    `network_authorities` is the text of `network_ca_file`, `network_upstream_proxy` names the proxy
    that reaches the outside and the source of its login; `partial` merges the packs that
    passed where others did not; `recheck_budget` is how many extra acceptance runs may be spent on
    finding a culprit; `signing_key_ids` are the keys that `required-from` accepts;
    `evidence_checkpoints` are the places where a checkpoint must be kept that covers a run;
    `cloud_inject` names hosts, headers and where a credential is, never its value.
    `result_branch`, `result_message` and `result_author` are texts of the result's branch and its
    commit, `result_sign_off` adds the author's Signed-off-by, `result_sign` is the user's wish that
    Git signs it.
    `judge_patterns` add files to the judge, `judge_require` is what every PASS must have shown;
    each of `judge_may_change` is a list of patterns that bounds what contracts may let change.
    `environments` are declared by name, in order of names.
    """

    packs_folder: str = "taskpacks"
    base_ref: str = "HEAD"
    required: frozenset[Property] = REQUIRED_BY_DEFAULT
    accepted_missing: frozenset[Property] = frozenset()
    protected: tuple[str, ...] = ()
    policy_ref: str = ""
    policy_commit: str = ""
    policy_packs: tuple[PolicyPack, ...] = ()
    ceilings: Limits = CEILINGS
    overlap: OverlapPolicy = OverlapPolicy.BLOCK
    isolation: IsolationMode = IsolationMode.AUTO
    backend: str = AUTO
    python: str = ""
    python_folders: tuple[str, ...] = ()
    network_hosts: tuple[str, ...] = ()
    network_within: tuple[str, ...] | None = None
    network_allow_any: bool = False
    network_private: tuple[str, ...] = ()
    network_ca_file: str = ""
    network_authorities: str = ""
    network_upstream_proxy: str = ""
    cloud_inject: tuple[str, ...] = ()
    workers: int = 0
    fresh: bool = False
    recheck_budget: int = 24
    partial: bool = False
    result_branch: str = "codex/{run}"
    result_message: str = ""
    result_author: str = ""
    result_sign_off: bool = False
    result_sign: bool = False
    signing_policy: SigningPolicy = SigningPolicy.OPTIONAL
    signing_key_ids: tuple[str, ...] = ()
    evidence_checkpoints: tuple[str, ...] = ()
    judge_patterns: tuple[str, ...] = ()
    judge_require: tuple[Requirement, ...] = ()
    judge_may_change: tuple[tuple[str, ...], ...] = ()
    judge_retry: RetryPolicy = RetryPolicy.ALLOW
    judge_contracts: ContractPolicy = ContractPolicy.OPEN
    environments: tuple[DeclaredEnvironment, ...] = ()
    grants: tuple[Grant, ...] = ()
    sources: tuple[tuple[str, Source], ...] = ()

    def environment(self, name: str) -> DeclaredEnvironment | None:
        """Return the environment with this name; None if none is declared."""
        return next((each for each in self.environments if each.name == name), None)
