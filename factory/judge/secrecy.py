"""Find credentials in bytes, and judge a change, an artifact or a contract that carries one.

Rule: a finding names a place, never the credential. Whatever a bundle would contain is searched:
the new bytes of a changed file, and the old ones too, since its patch shows them. Compressed data
is searched inside. Pure; does not know how a text is made safe.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from factory.judge.path_guard import display
from factory.model.errors import Refusal
from factory.model.finding import Finding, Location
from factory.model.findings.entry import Fact, Facts
from factory.model.pack import TaskPack
from factory.model.tree import MODE_SUBMODULE, Difference, Leaf
from factory.redact.redaction import Redactor
from factory.redact.unpacking import MOST_BYTES, MOST_LAYERS, MOST_MEMBERS, Bounds, layers


@dataclass(frozen=True, slots=True)
class FoundCredentials:
    """Describe the credentials in bytes: their kinds, and the first line with one (0: in compressed
    data).

    `prints` are digests: they distinguish credentials without containing any.
    """

    kinds: tuple[str, ...]
    line: int
    prints: frozenset[str]


NOTHING = FoundCredentials((), 0, frozenset())

# What was not searched may carry a credential.
_MOST = f"{MOST_LAYERS} layers, {MOST_MEMBERS} members or {MOST_BYTES >> 20} MiB"
_UNSEARCHED = f"or may: what it packs beyond {_MOST} is not searched"


def carried(redactor: Redactor, content: bytes, digest: bytes = b"") -> FoundCredentials:
    """Return the credentials in `content`, both in its own bytes and in data compressed in it.
    `digest` is the SHA-256 of it where that is known.

    Compressed data beyond the search limits counts as a credential: it may contain one.
    """
    kinds: dict[str, None] = {}
    prints: set[str] = set()
    line = 0
    bounds = Bounds()
    for depth, text in enumerate(layers(content, bounds)):
        for place in redactor.places(text, digest=b"" if depth else digest):
            kinds[place.kind] = None
            prints.add(hashlib.sha256(text[place.start : place.end]).hexdigest())
            if depth == 0 and not line:
                line = text.count(b"\n", 0, place.start) + 1
    if bounds.reached:
        kinds[_UNSEARCHED] = None
        prints.add(hashlib.sha256(content).hexdigest())
    return FoundCredentials(tuple(sorted(kinds)), line, frozenset(prints)) if kinds else NOTHING


def judge_secrets(
    pack: TaskPack,
    redactor: Redactor,
    differences: Iterable[Difference],
    blobs: Mapping[str, FoundCredentials],
) -> tuple[Finding, ...]:
    """Return SECRET_IN_CHANGE for each changed path with a credential in its name or bytes, old or
    new.

    `blobs` maps the ids of every blob before and after to the credentials in its bytes.
    """
    found = []
    differences = tuple(differences)
    named = _in_names(redactor, [difference.path for difference in differences])
    for difference in differences:
        before = _carried(difference.before, blobs)
        after = _carried(difference.after, blobs)
        if difference.before and difference.after and difference.before.oid == difference.after.oid:
            before = after = NOTHING  # neither patch nor objects contain its bytes
        if not (before.kinds or after.kinds or named):
            continue
        name = redactor.redact(difference.path.encode("utf-8", "surrogateescape"))
        where = display(name.content.decode("utf-8", "surrogateescape"))
        fresh = bool(after.prints - before.prints) or bool(name.kinds)
        kinds = sorted({*(after if fresh else before).kinds, *after.kinds, *name.kinds})
        if not kinds:
            continue
        line = after.line if fresh else before.line
        place = f"{where}{f':{line}' if line else ''}"
        facts: Facts = {
            "case": "new" if fresh else "old",
            "place": place,
            "kinds": tuple(kinds),
        }
        found.append(Finding("SECRET_IN_CHANGE", facts, pack=pack.id))
    return tuple(found)


def _in_names(redactor: Redactor, names: Iterable[str]) -> bool:
    """Return False if no name carries a credential: one search for all of them, parted by what
    no credential goes over (`reading_through`).
    """
    joined = b"\n\xff\n".join(name.encode("utf-8", "surrogateescape") for name in names)
    return bool(redactor.places(joined))


def _carried(leaf: Leaf | None, blobs: Mapping[str, FoundCredentials]) -> FoundCredentials:
    return NOTHING if leaf is None or leaf.mode == MODE_SUBMODULE else blobs[leaf.oid]


def judge_artifact_secrets(
    pack: TaskPack, redactor: Redactor, artifacts: Mapping[str, bytes]
) -> tuple[dict[str, bytes], tuple[Finding, ...]]:
    """Return (artifacts without a credential by path, SECRET_IN_ARTIFACT for each other one)."""
    good, found = {}, []
    for path, content in artifacts.items():
        name = redactor.redact(path.encode("utf-8", "surrogateescape"))
        kinds = {*carried(redactor, content).kinds, *name.kinds}
        if not kinds:
            good[path] = content
            continue
        where = display(name.content.decode("utf-8", "surrogateescape"))
        facts: Facts = {"path": where, "kinds": tuple(sorted(kinds))}
        found.append(Finding("SECRET_IN_ARTIFACT", facts, pack=pack.id))
    return good, tuple(found)


def judge_contract_secrets(
    redactor: Redactor, files: Iterable[tuple[str, bytes]]
) -> tuple[Finding, ...]:
    """Return SECRET_IN_CONTRACT for each file (path, bytes) that carries a credential."""
    found = []
    for path, content in files:
        inside = carried(redactor, content)
        name = redactor.redact(path.encode("utf-8", "surrogateescape"))
        kinds = sorted({*inside.kinds, *name.kinds})
        if kinds:
            where = display(name.content.decode("utf-8", "surrogateescape"))
            facts: Facts = {"case": "file", "file": where, "kinds": tuple(kinds)}
            place = Location(where, inside.line)
            found.append(Finding("SECRET_IN_CONTRACT", facts, location=place))
    return tuple(found)


def refuse_secrets(redactor: Redactor, path: str, content: bytes) -> None:
    """Raise Refusal SECRET_WITHHELD if a file of evidence, or its path, carries a credential."""
    kinds = {place.kind for place in redactor.places(content)}
    kinds |= {place.kind for place in redactor.places(path.encode("utf-8", "surrogateescape"))}
    if kinds:
        facts: Facts = {
            "path": display(silent(redactor, path)),
            "kinds": tuple(sorted(kinds)),
        }
        raise Refusal(Finding("SECRET_WITHHELD", facts))


def silenced(redactor: Redactor, findings: Iterable[Finding]) -> tuple[Finding, ...]:
    """Return the findings without the credentials that a file name or a log brought into their
    facts.
    """
    return tuple(_silenced(redactor, finding) for finding in findings)


def _silenced(redactor: Redactor, finding: Finding) -> Finding:
    place = finding.location
    if place is not None:
        place = replace(place, file=silent(redactor, place.file))
    facts = {name: _silent_fact(redactor, fact) for name, fact in finding.facts.items()}
    return replace(finding, facts=facts, location=place)


def _silent_fact(redactor: Redactor, fact: Fact) -> Fact:
    if isinstance(fact, int):
        return fact
    if isinstance(fact, tuple):
        return tuple(silent(redactor, each) for each in fact)
    return silent(redactor, fact)


def silent(redactor: Redactor, text: str) -> str:
    """Return the text without its credentials."""
    content = text.encode("utf-8", "surrogateescape")
    safe = redactor.redact(content)
    return safe.content.decode("utf-8", "surrogateescape") if safe.kinds else text
