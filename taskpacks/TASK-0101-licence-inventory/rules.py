"""What a lock may hold and what its packages may be licensed under: text in, an inventory or
problems out.

Rule: an inventory exists only where nothing is wrong. Does not know where files are, nor what is
installed.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

_CONTINUED = re.compile(r"[ \t]*\\\n[ \t]*")
_PIN = re.compile(
    r"(?P<name>[A-Za-z0-9][A-Za-z0-9._-]*)==(?P<version>[A-Za-z0-9][A-Za-z0-9.!+_-]*)(?:\s*;\s*(?P<marker>[^#]*\S))?"
)
_HASH = re.compile(r"--hash=(?P<kind>[a-z0-9]+):(?P<digest>[0-9a-f]+)")
_DIRECT = re.compile(r"\s*(?P<name>[A-Za-z0-9][A-Za-z0-9._-]*)")
_SHA256_DIGITS = 64
RUNTIME, DEV = "runtime", "dev"


@dataclass(frozen=True, slots=True)
class Pin:
    """One requirement of the lock: normal name, exact version, marker ("" for every platform),
    SHA-256 count.
    """

    name: str
    version: str
    marker: str
    hashes: int


@dataclass(frozen=True, slots=True)
class Reviewed:
    """What a person has read: SPDX expression and role of one package."""

    licence: str
    role: str


@dataclass(frozen=True, slots=True)
class Review:
    """The reviewed table: licences allowed for all, names accepted beyond them with a reason, the
    packages.
    """

    allowed: frozenset[str]
    accepted: Mapping[str, str]
    packages: Mapping[str, Reviewed]


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the inventory."""

    pin: Pin
    licence: str
    role: str


class Problems(Exception):
    """Why there is no inventory, one sentence each."""

    def __init__(self, sentences: Iterable[str]) -> None:
        self.sentences = tuple(sentences)
        super().__init__("\n".join(self.sentences))


def normal(name: str) -> str:
    """The one spelling of a package's name."""
    return re.sub(r"[-_.]+", "-", name).lower()


def parse_lock(text: str) -> tuple[tuple[Pin, ...], tuple[str, ...]]:
    """Every sound requirement, and a sentence for each that is not."""
    pins: list[Pin] = []
    problems: list[str] = []
    for line in _CONTINUED.sub(" ", text).splitlines():
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        words, *hashes = re.split(r"\s+(?=--hash=)", line.strip())
        found = _PIN.fullmatch(words)
        if found is None:
            problems.append(f"{_short(words)}: expected NAME==VERSION, found something else")
            continue
        kinds = [_HASH.fullmatch(one) for one in hashes]
        sound = [
            kind
            for kind in kinds
            if kind and kind["kind"] == "sha256" and len(kind["digest"]) == _SHA256_DIGITS
        ]
        pin = Pin(normal(found["name"]), found["version"], found["marker"] or "", len(sound))
        if not hashes:
            problems.append(f"{pin.name}: expected at least one --hash=sha256, found none")
        elif len(sound) != len(hashes):
            problems.append(
                f"{pin.name}: expected only SHA-256 hashes, found {_short(' '.join(hashes))}"
            )
        elif len({kind["digest"] for kind in sound}) != len(sound):
            problems.append(f"{pin.name}: expected different hashes, found one twice")
        pins.append(pin)
    problems += _duplicates(pins)
    return tuple(pins), tuple(problems)


def _duplicates(pins: Iterable[Pin]) -> Iterator[str]:
    seen: set[tuple[str, str]] = set()
    for pin in pins:
        if (pin.name, pin.marker) in seen:
            yield f"{pin.name}: expected once for one set of platforms, found twice"
        seen.add((pin.name, pin.marker))


def parse_review(document: Mapping[str, object]) -> Review:
    """The reviewed table from its parsed TOML. Raises Problems."""
    allowed, accepted, packages = (document.get(key) for key in ("allowed", "accepted", "packages"))
    if (
        not isinstance(allowed, list)
        or not isinstance(accepted, dict)
        or not isinstance(packages, dict)
    ):
        raise Problems(
            ["reviewed.toml: expected allowed, accepted and packages, found another shape"]
        )
    read = {normal(name): _reviewed(name, entry) for name, entry in packages.items()}
    return Review(
        frozenset(map(str, allowed)),
        {normal(name): str(why) for name, why in accepted.items()},
        read,
    )


def _reviewed(name: str, entry: object) -> Reviewed:
    licence = entry.get("licence") if isinstance(entry, dict) else None
    role = entry.get("role") if isinstance(entry, dict) else None
    if not isinstance(licence, str) or not licence or role not in (RUNTIME, DEV):
        raise Problems(
            [f"reviewed.toml: {name}: expected a licence and the role {RUNTIME} or {DEV}"]
        )
    return Reviewed(licence, str(role))


def direct_names(dependencies: Iterable[object]) -> frozenset[str]:
    """Normal names of what a project asks for itself (PEP 508 texts)."""
    found = (_DIRECT.match(str(text)) for text in dependencies)
    return frozenset(normal(one["name"]) for one in found if one)


def licence_holds(expression: str, allowed: frozenset[str]) -> bool:
    """Whether an SPDX expression (OR, AND, no brackets) leaves a choice that is allowed.
    Unreadable: no.
    """
    if not re.fullmatch(r"[A-Za-z0-9.+-]+(?: (?:OR|AND|WITH) [A-Za-z0-9.+-]+)*", expression):
        return False
    return any(
        all(part in allowed for part in choice.split(" AND "))
        for choice in expression.split(" OR ")
    )


def take_inventory(lock: str, review: Review, direct: frozenset[str]) -> tuple[Row, ...]:
    """The inventory in name order. Raises Problems with everything that is wrong."""
    pins, problems = parse_lock(lock)
    every = [*problems, *_policy(pins, review, direct)]
    if not pins and not every:
        every.append("the lock: expected packages, found none")
    if every:
        raise Problems(every)
    ordered = sorted(pins, key=lambda pin: (pin.name, pin.marker))
    return tuple(
        Row(pin, review.packages[pin.name].licence, review.packages[pin.name].role)
        for pin in ordered
    )


def _policy(pins: Iterable[Pin], review: Review, direct: frozenset[str]) -> Iterator[str]:
    locked = {pin.name for pin in pins}
    for name in sorted(locked):
        entry = review.packages.get(name)
        if entry is None:
            yield f"{name}: expected a reviewed licence, found none; see runbook.md"
        elif not licence_holds(entry.licence, review.allowed) and name not in review.accepted:
            yield f"{name}: {entry.licence} is not allowed, and is not accepted for this package"
        elif name in direct and entry.role != RUNTIME:
            yield f"{name}: pyproject.toml asks for it at run time, reviewed.toml says {entry.role}"
    for name in sorted(direct - locked):
        yield f"{name}: pyproject.toml asks for it, and the lock does not hold it"
    for name in sorted((review.packages.keys() | review.accepted.keys()) - locked):
        yield f"{name}: reviewed, and not in the lock; take it out of reviewed.toml"
    for name in sorted(review.accepted.keys() & review.packages.keys()):
        if licence_holds(review.packages[name].licence, review.allowed):
            yield f"{name}: accepted as an exception, though its licence is allowed for all"


def format_json(rows: Iterable[Row]) -> str:
    """The inventory for programs."""
    packages = [
        {
            "name": row.pin.name,
            "version": row.pin.version,
            "licence": row.licence,
            "role": row.role,
            "marker": row.pin.marker,
            "hashes": row.pin.hashes,
        }
        for row in rows
    ]
    return (
        json.dumps({"schema_version": 1, "packages": packages}, indent=1, ensure_ascii=False) + "\n"
    )


def format_markdown(rows: tuple[Row, ...], review: Review) -> str:
    """The inventory for people."""
    runtime = sum(row.role == RUNTIME for row in rows)
    lines = [
        "# Dependencies and licences",
        "",
        (
            f"{len(rows)} locked packages: {runtime} for an installation (runtime),"
            f" {len(rows) - runtime} only for work"
        ),
        "on the project (dev). Written by TASK-0101 from `requirements.lock`; do not edit.",
        "",
        "| package | version | licence | role | only where | hashes |",
        "|---|---|---|---|---|---|",
    ]
    for row in rows:
        where = f"`{row.pin.marker}`" if row.pin.marker else "everywhere"
        lines.append(
            f"| {row.pin.name} | {row.pin.version} | {row.licence} | {row.role} | {where} |"
            f" {row.pin.hashes} |"
        )
    lines += ["", "## Accepted with a reason", ""]
    lines += [f"- **{name}**: {why}." for name, why in sorted(review.accepted.items())]
    return "\n".join(lines) + "\n"


def _short(text: str, most: int = 60) -> str:
    return text if len(text) <= most else text[: most - 1] + "…"
