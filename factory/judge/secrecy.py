"""Whether bytes carry a credential, and what that means for a change, an artifact, a contract.

Rule: a finding names a place, never the credential. Whatever a bundle would hold counts: the new
bytes of a changed file, and the old ones too, since its patch tells them. What is compressed is
looked into. Pure; does not know how a text is made safe.
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
class Carried:
    """What bytes carry of credentials: their kinds, the first line with one (0: within something
    compressed).

    `prints` are digests, to tell one credential from another without holding any.
    """

    kinds: tuple[str, ...]
    line: int
    prints: frozenset[str]


NOTHING = Carried((), 0, frozenset())

# What was not searched is not known to carry none.
_MOST = f"{MOST_LAYERS} layers, {MOST_MEMBERS} members or {MOST_BYTES >> 20} MiB"
_UNSEARCHED = f"or may: what it packs beyond {_MOST} is not searched"


def carried(redactor: Redactor, content: bytes) -> Carried:
    """What `content` carries, as it stands and in what is compressed in it.

    Where more is packed than is searched, that counts as a credential: the rest may be one.
    """
    kinds: dict[str, None] = {}
    prints: set[str] = set()
    line = 0
    bounds = Bounds()
    for depth, text in enumerate(layers(content, bounds)):
        for place in redactor.places(text):
            kinds[place.kind] = None
            prints.add(hashlib.sha256(text[place.start : place.end]).hexdigest())
            if depth == 0 and not line:
                line = text.count(b"\n", 0, place.start) + 1
    if bounds.reached:
        kinds[_UNSEARCHED] = None
        prints.add(hashlib.sha256(content).hexdigest())
    return Carried(tuple(sorted(kinds)), line, frozenset(prints)) if kinds else NOTHING


def judge_secrets(
    pack: TaskPack,
    redactor: Redactor,
    differences: Iterable[Difference],
    contents: Mapping[str, bytes],
    held_back: Mapping[str, Carried],
) -> tuple[Finding, ...]:
    """A finding per changed path whose bytes, before or after, carry a credential, or that has one
    in its name.

    `contents` maps the ids of every blob before and after to its bytes, but those that were
    `held_back` since they carry one.
    """
    found = []
    for difference in differences:
        before = _carried(difference.before, redactor, contents, held_back)
        after = _carried(difference.after, redactor, contents, held_back)
        if difference.before and difference.after and difference.before.oid == difference.after.oid:
            before = after = NOTHING  # neither patch nor objects tell its bytes
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


def _carried(
    leaf: Leaf | None,
    redactor: Redactor,
    contents: Mapping[str, bytes],
    held_back: Mapping[str, Carried],
) -> Carried:
    if leaf is None or leaf.mode == MODE_SUBMODULE:
        return NOTHING
    return held_back.get(leaf.oid) or carried(redactor, contents[leaf.oid])


def judge_artifact_secrets(
    pack: TaskPack, redactor: Redactor, artifacts: Mapping[str, bytes]
) -> tuple[dict[str, bytes], tuple[Finding, ...]]:
    """The artifacts that carry no credential, by path; and a finding for each that does."""
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
    """A finding for each file (path, bytes) of a contract or of configuration that carries a
    credential.
    """
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
    """Raise Refusal SECRET_WITHHELD where a file of evidence, or its path, would carry a
    credential.
    """
    kinds = {place.kind for place in redactor.places(content)}
    kinds |= {place.kind for place in redactor.places(path.encode("utf-8", "surrogateescape"))}
    if kinds:
        facts: Facts = {
            "path": display(silent(redactor, path)),
            "kinds": tuple(sorted(kinds)),
        }
        raise Refusal(Finding("SECRET_WITHHELD", facts))


def silenced(redactor: Redactor, findings: Iterable[Finding]) -> tuple[Finding, ...]:
    """Return the same findings, without any credential that a file name or a log brought into
    their facts.
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
    """A text without its credentials."""
    content = text.encode("utf-8", "surrogateescape")
    safe = redactor.redact(content)
    return safe.content.decode("utf-8", "surrogateescape") if safe.kinds else text
