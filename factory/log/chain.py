"""Chain canonical JSON lines by hashes: each has a number, the id of the line before, and its own.

    >>> one, head = written(Head(), {"what": "begun"})
    >>> two, head = written(head, {"what": "ended"})
    >>> import json
    >>> (head.seq, json.loads(two)["prev"] == json.loads(one)["event_id"])
    (2, True)
    >>> check(json.loads(two), two)
    >>> check({**json.loads(two), "what": "never begun"}, two.replace(b"ended", b"never begun"))
    Traceback (most recent call last):
        ...
    factory.log.chain.ChainError: event 2 does not have the id of its content

`event_id` is the SHA-256 of the canonical JSON (RFC 8785) of the line without it, `prev` the id
before, 64 zeros at the start. Order is by `seq` alone. Does not know what a line says, nor files.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

from factory.strict import canonical

GENESIS = "0" * 64
_ID = "event_id"  # "prev" and "seq" come after it


class ChainError(ValueError):
    """Report a line that does not have its form, or does not follow: one clause."""


@dataclass(frozen=True, slots=True)
class Head:
    """Describe the end of a chain: the number of events and the last one's id."""

    seq: int = 0
    event_id: str = GENESIS


class Link(Protocol):
    """Name the members of a line that the chain needs; a reader may give more."""

    @property
    def seq(self) -> int: ...

    @property
    def prev(self) -> str: ...

    @property
    def event_id(self) -> str: ...


AnyLink = TypeVar("AnyLink", bound=Link)


def written(head: Head, members: Mapping[str, object]) -> tuple[bytes, Head]:
    """Return the line of these members that follows `head`, without a line feed, and the head after
    it.

    The id is set between what is hashed before and after it, so that all is encoded once. Raise
    NotCanonical for what has no canonical JSON.
    """
    body = {**members, "seq": head.seq + 1, "prev": head.event_id}
    before = canonical.encode({name: body[name] for name in body if name < _ID})[:-1]
    after = canonical.encode({name: body[name] for name in body if name > _ID})[1:]
    before += b"," if len(before) > 1 else b""
    event_id = hashlib.sha256(before + after).hexdigest()
    line = b'%b"%b":"%b",%b' % (before, _ID.encode("ascii"), event_id.encode("ascii"), after)
    return line, Head(head.seq + 1, event_id)


def check(members: Mapping[str, Any], line: bytes) -> None:
    """Raise ChainError unless `line` is the canonical form of `members`, and their id is right."""
    if canonical.encode(members) != line:
        raise ChainError("is not in canonical form")
    body = {name: value for name, value in members.items() if name != "event_id"}
    if canonical.digest(body) != members["event_id"]:
        raise ChainError(f"event {members['seq']} does not have the id of its content")


def followed(head: Head, links: Iterable[AnyLink]) -> Iterator[AnyLink]:
    """Yield each link once it is shown to follow the one before. Raise ChainError for the first
    that does not.
    """
    seq, before = head.seq, head.event_id
    for link in links:
        if link.seq != seq + 1 or link.prev != before:
            raise ChainError(
                f"event {link.seq} follows {link.prev[:12]}…, expected seq {seq + 1} after"
                f" {before[:12]}…"
            )
        yield link
        seq, before = link.seq, link.event_id
