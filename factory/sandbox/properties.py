"""Describe enforcement by properties rather than by the name of a backend.

A backend states which properties it gives and how that was shown; policy says which are required. A
property that is not stated is absent: "unknown" never means "given".
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType


class Property(enum.Enum):
    """Name what a host can promise about a pack's run. The values are stable: evidence contains
    them.
    """

    NET_ISOLATED = "net_isolated"
    FS_READ_SCOPED = "fs_read_scoped"
    FS_WRITE_SCOPED = "fs_write_scoped"
    ENV_SCOPED = "env_scoped"
    AUTHORITY_SOCKETS_HIDDEN = "authority_sockets_hidden"
    SYSCALLS_FILTERED = "syscalls_filtered"
    PIDS_BOUNDED = "pids_bounded"
    MEMORY_BOUNDED = "memory_bounded"
    DISK_BOUNDED = "disk_bounded"
    OUTPUT_BOUNDED = "output_bounded"
    TIME_BOUNDED = "time_bounded"
    NO_SURVIVORS = "no_survivors"
    INTEGRATOR_CONFINED = "integrator_confined"


@dataclass(frozen=True, slots=True)
class PropertyProof:
    """Record how one property was shown: `given` or not, and one short sentence for the
    evidence.
    """

    property: Property
    given: bool
    how: str


@dataclass(frozen=True, slots=True)
class Enforcement:
    """Describe what is in force on this host: one proof per property, and facts about the backend.

    `escaped` names what a probe could do inside the sandbox that it must not be able to do;
    anything in it is BLOCKED, whatever policy accepts. `facts` is evidence (binary path, digest,
    version, kernel, filter digest): strings only. `no_proxy` is why no pack can be given network
    here, empty if it can or was not asked.
    """

    backend: str
    proofs: tuple[PropertyProof, ...]
    escaped: tuple[str, ...] = ()
    facts: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    no_proxy: str = ""

    @property
    def given(self) -> frozenset[Property]:
        """Return the properties that are given."""
        return frozenset(proof.property for proof in self.proofs if proof.given)

    def also(self, proof: PropertyProof, escaped: tuple[str, ...]) -> Enforcement:
        """Return a copy with one more proof: its property is given only if both proofs say so.

        `escaped` adds to the probe's escapes.
        """
        known = next((each for each in self.proofs if each.property is proof.property), proof)
        both = PropertyProof(
            proof.property, known.given and proof.given, f"{known.how}; {proof.how}"
        )
        if known.given and not proof.given:
            both = proof
        others = tuple(each for each in self.proofs if each.property is not proof.property)
        return replace(
            self, proofs=(*others, both), escaped=tuple(dict.fromkeys((*self.escaped, *escaped)))
        )

    def why_not(self, wanted: Property) -> str:
        """Return why `wanted` is absent, one clause."""
        for proof in self.proofs:
            if proof.property is wanted:
                return proof.how
        return "this backend does not offer it"
