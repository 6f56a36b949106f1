"""Read what keys are for, from `keys.json` in their folder, and say whether one counts for a run.

Rule: a document that cannot be read makes every key of its folder untrusted. The time of a run
is said by its signer, so a date keeps honest signers to their terms; against a stolen key, revoke
it from before the theft, and keep checkpoints on another machine.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Annotated, Literal

from factory.verify.form import AtLeast, FormError, Like, build, value_of

FILE = "keys.json"
RUN = "run"
Purpose = Literal["run"]
KeyId = Annotated[str, Like(r"ed25519:[0-9a-f]{16}")]
Moment = Annotated[
    str, Like(r"(?:[0-9]{4}-[01][0-9]-[0-3][0-9]T[0-2][0-9]:[0-5][0-9]:[0-6][0-9]Z)?")
]


@dataclass(frozen=True, slots=True)
class Terms:
    """Define one key's terms; "" means no such moment."""

    key: KeyId
    purposes: tuple[Purpose, ...]
    since: Moment
    until: Moment
    revoked: Moment

    def refusal(self, ended: str, what: str) -> str:
        """Return why the key does not count for a run that ended then, one clause; "" if it
        does. `what` are the words before that time.
        """
        if RUN not in self.purposes:
            return "it is not for runs"
        if self.since and ended < self.since:
            return f"it counts since {self.since}, and {what} {ended}"
        if self.until and ended >= self.until:
            return f"it counted until {self.until}, and {what} {ended}"
        if self.revoked and ended >= self.revoked:
            return f"it is revoked from {self.revoked} on, and {what} {ended}"
        return ""


@dataclass(frozen=True, slots=True)
class Threshold:
    """Define how many of these keys must have signed for a purpose."""

    purpose: Purpose
    need: Annotated[int, AtLeast(1)]
    of: tuple[KeyId, ...]

    def missing(self, signers: Iterable[str]) -> bool:
        """Return True unless enough of its keys are among the signers."""
        return len(set(self.of) & set(signers)) < self.need


@dataclass(frozen=True, slots=True)
class Pins:
    """Define `keys.json` in a folder of public keys."""

    schema_version: Literal[1]
    keys: tuple[Terms, ...]
    thresholds: tuple[Threshold, ...]

    def terms_of(self, key_id: str) -> Terms | None:
        """Return a key's terms; None if it is for runs, without an end."""
        return next((one for one in self.keys if one.key == key_id), None)

    def for_runs(self) -> tuple[Threshold, ...]:
        """Return the thresholds that a run must meet."""
        return tuple(one for one in self.thresholds if one.purpose == RUN)


NO_PINS = Pins(1, (), ())


def read_pins(content: bytes) -> Pins:
    """Return the document. Raise FormError, also where a key is named twice or a threshold can
    never be met.
    """
    pins = build(Pins, value_of(content))
    ids = [one.key for one in pins.keys]
    if len(set(ids)) != len(ids):
        raise FormError("expected each key once, found one twice")
    for one in pins.thresholds:
        if one.need > len(set(one.of)):
            what = f"expected at least {one.need} keys to choose from, found {len(one.of)}"
            raise FormError(what)
    return pins
