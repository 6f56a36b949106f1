"""Measure the ledger: verifying a long one, and a durable append, against the least possible work.

The floors are a bare parse with SHA-256, and the same write. The bytes are the very bytes that ours
writes.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from bench.measure import Row, Scale, row, timed
from factory.evidence.ledger_store import LedgerStore
from factory.files.clock import SystemClock
from factory.log.chain import Head
from factory.model.event import Entry
from factory.model.ledger_chain import chained
from factory.strict import canonical
from factory.verify.events import Chain


def verify(scale: Scale, root: Path) -> Iterator[Row]:
    """Yield the verifier's one pass: form, canonical bytes, ids, chain and Merkle tree."""
    del root
    lines = _lines(scale.of(200_000, 500))
    name = f"ledger verify, {len(lines):,} events : strict JSON + SHA-256"
    taken = [
        (timed(lambda: _verified(lines)), timed(lambda: _parsed(lines)))
        for _ in range(scale.turns(5))
    ]
    yield row(name, 1.5, taken)


def append(scale: Scale, root: Path) -> Iterator[Row]:
    """Yield one append under the lock, against `write` and `fdatasync` of the same bytes."""
    store = LedgerStore(root / "ours", SystemClock())
    store.append(_entry(0))
    plain = os.open(root / "plain", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    try:
        taken = []
        for number in range(scale.of(300, 10)):
            before = (root / "ours" / "ledger.jsonl").stat().st_size
            ours = timed(lambda number=number: store.append(_entry(number)))  # type: ignore[misc]
            size = (root / "ours" / "ledger.jsonl").stat().st_size - before
            taken.append((ours, timed(lambda size=size: _written(plain, b"x" * size))))  # type: ignore[misc]
    finally:
        os.close(plain)
    yield row("durable ledger append : write + fdatasync", 1.2, taken)


def _entry(number: int) -> Entry:
    return Entry(
        "pack.finished",
        run_id="factory_20260101_000000_00000000_001",
        duration_ms=number,
        hashes={"action_key": f"{number:064x}", "result_tree": f"{number:040x}"},
        file_counts={"changed": 1, "artifacts": 0},
        details={"pack": f"B-{number % 1000:05}", "status": "PASS"},
    )


def _lines(events: int) -> list[bytes]:
    """Return a chain of events: the first as the writer makes it, the others like it."""
    lines = [chained(Head(), (_entry(0),), "2026-01-01T00:00:00.000Z")[0][0]]
    event = json.loads(lines[0])
    for number in range(1, events):
        event |= {"seq": event["seq"] + 1, "prev": event.pop("event_id"), "duration_ms": number}
        event["event_id"] = canonical.digest(event)
        lines.append(canonical.encode(event))
    return lines


def _verified(lines: list[bytes]) -> None:
    chain = Chain((len(lines),))
    for line in lines:
        chain.take(line)
    if chain.problems or chain.size != len(lines):
        raise SystemExit(f"expected a ledger that holds, found {chain.problems[:1]}")


def _parsed(lines: list[bytes]) -> None:
    for line in lines:
        json.loads(line, object_pairs_hook=_strict, parse_constant=_refuse)
        hashlib.sha256(line).digest()


def _strict(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise ValueError("a key twice")
    return members


def _refuse(constant: str) -> None:
    raise ValueError(constant)


def _written(descriptor: int, content: bytes) -> None:
    os.write(descriptor, content)
    os.fdatasync(descriptor)
