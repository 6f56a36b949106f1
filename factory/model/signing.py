"""Name what this product adds to keys and logs: who has to sign, and where keys are looked for."""

from __future__ import annotations

import enum
from dataclasses import dataclass

from factory.log.key import PublicKey

PINS_FOLDER = "factory.keys"
PRIVATE_VARIABLES = frozenset({"FACTORY_SIGNING_KEY", "FACTORY_SIGNING_KEY_FILE"})
"""Variables that contain or name a private key: never printed, never passed on to what runs."""

ORIGIN_STEM = "codex-orchestrator/ledger/"


class SigningPolicy(enum.Enum):
    """Say what a run's evidence must carry, weakest first."""

    OPTIONAL = "optional"
    REQUIRED = "required"
    REQUIRED_FROM = "required-from"


@dataclass(frozen=True, slots=True)
class OwnKey:
    """Describe a key of this user: where its private half is, and whether it is the one in use."""

    key: PublicKey
    source: str
    in_use: bool


def origin_of(first_event_id: str) -> str:
    """Return the name of a ledger, from the id of its first event: no two ledgers share it, no copy
    loses it.
    """
    return f"{ORIGIN_STEM}{first_event_id[:32]}"
