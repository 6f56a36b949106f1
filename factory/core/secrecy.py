"""Whether a change or an artifact carries a credential: findings that name a place, and never the credential.

Rule: only what is new counts. A credential that the file held before is not this pack's doing,
and one that was moved within its file is still the same. Pure; does not know how a text is made safe.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import replace

from factory.core.path_guard import display
from factory.core.redaction import Place, Redactor
from factory.model.finding import Finding
from factory.model.pack import TaskPack
from factory.model.tree import MODE_SUBMODULE, Difference, Leaf

_HINT = "Take it out, and renew it where it was real: whoever ran the pack has seen it."


def judge_secrets(
    pack: TaskPack, redactor: Redactor, differences: Iterable[Difference], contents: Mapping[str, bytes]
) -> tuple[Finding, ...]:
    """A finding per changed path that carries a credential which it did not carry before, or has one in its name.

    `contents` maps the ids of every blob before and after to its bytes.
    """
    found = []
    for difference in differences:
        after = _content(difference.after, contents)
        fresh = new_places(redactor, _content(difference.before, contents), after)
        name = redactor.redact(difference.path.encode("utf-8", "surrogateescape"))
        kinds = {*(place.kind for place in fresh), *name.kinds}
        if not kinds:
            continue
        where = display(name.content.decode("utf-8", "surrogateescape"))
        line = after.count(b"\n", 0, fresh[0].start) + 1 if fresh else 0
        message = (
            f"{where}{f':{line}' if line else ''} carries a credential ({', '.join(sorted(kinds))}); expected none"
        )
        found.append(Finding("SECRET_IN_CHANGE", message, _HINT, pack=pack.id))
    return tuple(found)


def new_places(redactor: Redactor, before: bytes, after: bytes) -> tuple[Place, ...]:
    """The credentials of `after` that `before` does not hold, or does not hold as often, by their very bytes."""
    places = redactor.places(after)
    if not places:
        return ()
    had = Counter(before[place.start : place.end] for place in redactor.places(before))
    new = []
    for place in places:
        text = after[place.start : place.end]
        if had[text] > 0:
            had[text] -= 1
        else:
            new.append(place)
    return tuple(new)


def judge_artifact_secrets(
    pack: TaskPack, redactor: Redactor, artifacts: Mapping[str, bytes]
) -> tuple[dict[str, bytes], tuple[Finding, ...]]:
    """The artifacts that carry no credential, by path; and a finding for each that does."""
    good, found = {}, []
    for path, content in artifacts.items():
        name = redactor.redact(path.encode("utf-8", "surrogateescape"))
        kinds = {*(place.kind for place in redactor.places(content)), *name.kinds}
        if not kinds:
            good[path] = content
            continue
        where = display(name.content.decode("utf-8", "surrogateescape"))
        message = f"artifact {where} carries a credential ({', '.join(sorted(kinds))}); expected none, it is not kept"
        found.append(Finding("SECRET_IN_ARTIFACT", message, _HINT, pack=pack.id))
    return good, tuple(found)


def silenced(redactor: Redactor, findings: Iterable[Finding]) -> tuple[Finding, ...]:
    """The same findings, without any credential that a file name or a log brought into their sentences."""
    return tuple(
        replace(finding, message=_silent(redactor, finding.message), hint=_silent(redactor, finding.hint))
        for finding in findings
    )


def _silent(redactor: Redactor, text: str) -> str:
    content = text.encode("utf-8", "surrogateescape")
    safe = redactor.redact(content)
    return safe.content.decode("utf-8", "surrogateescape") if safe.kinds else text


def _content(leaf: Leaf | None, contents: Mapping[str, bytes]) -> bytes:
    return contents[leaf.oid] if leaf is not None and leaf.mode != MODE_SUBMODULE else b""
