"""The fields of in-toto and SLSA statements, written down from their specifications, and a checker
of them.

Sources: in-toto Attestation Framework v1 (Statement, ResourceDescriptor, DigestSet), SLSA
Provenance v1, SLSA Verification Summary v1, in-toto Test Result v0.1. Shares nothing with our own
models.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Any

Check = Callable[[Any], bool]
_HEX = {"sha256": (64,), "gitCommit": (40, 64), "gitTree": (40, 64), "gitBlob": (40, 64)}
_LEVELS = {f"SLSA_BUILD_LEVEL_{level}" for level in ("UNEVALUATED", "0", "1", "2", "3")} | {
    "FAILED"
}


def text(value: Any) -> bool:
    return isinstance(value, str) and value != ""


def uri(value: Any) -> bool:
    return text(value) and re.fullmatch(r"[a-z][a-z0-9+.-]*:[^\s]+", value) is not None


def timestamp(value: Any) -> bool:
    """RFC 3339, in UTC as the framework asks for."""
    if not text(value) or not re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z", value):
        return False
    return datetime.fromisoformat(value).utcoffset() is not None


def digest(value: Any) -> bool:
    def fits(name: str, hexed: Any) -> bool:
        return (
            isinstance(hexed, str)
            and len(hexed) in _HEX.get(name, ())
            and bool(re.fullmatch("[0-9a-f]+", hexed))
        )

    return isinstance(value, dict) and bool(value) and all(fits(*item) for item in value.items())


def mapping(value: Any) -> bool:
    return isinstance(value, dict)


def texts(value: Any) -> bool:
    return isinstance(value, list) and all(map(text, value))


def versions(value: Any) -> bool:
    return isinstance(value, dict) and all(
        text(one) and text(other) for one, other in value.items()
    )


def levels(value: Any) -> bool:
    """Names that start with SLSA_ are those of the specification; others are anybody's."""
    return (
        texts(value)
        and bool(value)
        and all(not one.startswith("SLSA_") or one in _LEVELS for one in value)
    )


def one_of(*known: str) -> Check:
    return lambda value: value in known


# name -> (required, check); a list of such a table is a list of objects.
Fields = dict[str, tuple[bool, Any]]
DESCRIPTOR: Fields = {
    "name": (False, text),
    "uri": (False, uri),
    "digest": (False, digest),
    "content": (False, text),
    "downloadLocation": (False, uri),
    "mediaType": (False, text),
    "annotations": (False, mapping),
}
PREDICATES: dict[str, Fields] = {
    "https://slsa.dev/provenance/v1": {
        "buildDefinition": (
            True,
            {
                "buildType": (True, uri),
                "externalParameters": (True, mapping),
                "internalParameters": (False, mapping),
                "resolvedDependencies": (False, [DESCRIPTOR]),
            },
        ),
        "runDetails": (
            True,
            {
                "builder": (
                    True,
                    {
                        "id": (True, uri),
                        "builderDependencies": (False, [DESCRIPTOR]),
                        "version": (False, versions),
                    },
                ),
                "metadata": (
                    False,
                    {
                        "invocationId": (False, text),
                        "startedOn": (False, timestamp),
                        "finishedOn": (False, timestamp),
                    },
                ),
                "byproducts": (False, [DESCRIPTOR]),
            },
        ),
    },
    "https://in-toto.io/attestation/test-result/v0.1": {
        "result": (True, one_of("PASSED", "WARNED", "FAILED")),
        "configuration": (True, [DESCRIPTOR]),
        "url": (False, uri),
        "passedTests": (False, texts),
        "warnedTests": (False, texts),
        "failedTests": (False, texts),
    },
    "https://slsa.dev/verification_summary/v1": {
        "verifier": (True, {"id": (True, uri), "version": (False, versions)}),
        "timeVerified": (False, timestamp),
        "resourceUri": (True, uri),
        "policy": (True, DESCRIPTOR),
        "inputAttestations": (False, [{"uri": (True, uri), "digest": (True, digest)}]),
        "verificationResult": (True, one_of("PASSED", "FAILED")),
        "verifiedLevels": (True, levels),
        "dependencyLevels": (False, mapping),
        "slsaVersion": (
            False,
            lambda value: text(value) and re.fullmatch(r"\d+\.\d+", value) is not None,
        ),
    },
}


def problems(statement: Any) -> list[str]:
    """What in a statement its specifications do not have so, by place; nothing where it is
    sound.
    """
    kind = statement.get("predicateType") if isinstance(statement, dict) else None
    fields: Fields = {
        "_type": (True, one_of("https://in-toto.io/Statement/v1")),
        "subject": (True, [DESCRIPTOR]),
        "predicateType": (True, one_of(*PREDICATES)),
        "predicate": (True, PREDICATES.get(str(kind), {})),
    }
    found = list(_against(statement, fields, ""))
    subjects = statement.get("subject", []) if isinstance(statement, dict) else []
    found += ["/subject: expected at least one"] if not subjects else []
    found += [
        f"/subject/{at}: expected a digest"
        for at, one in enumerate(subjects)
        if "digest" not in one
    ]
    names = [one.get("name") for one in subjects]
    found += ["/subject: a name stands twice"] if len(names) != len(set(names)) else []
    return found


def _against(value: Any, expected: Any, where: str) -> Iterator[str]:
    if isinstance(expected, list):
        if not isinstance(value, list):
            yield f"{where}: expected a list"
            return
        for at, one in enumerate(value):
            yield from _against(one, expected[0], f"{where}/{at}")
    elif isinstance(expected, dict):
        yield from _object(value, expected, where)
    elif not expected(value):
        yield f"{where}: {value!r} is not in its form"


def _object(value: Any, fields: Fields, where: str) -> Iterator[str]:
    if not isinstance(value, dict):
        yield f"{where}: expected an object"
        return
    for name in value.keys() - fields.keys():
        yield f"{where}/{name}: no such field"
    for name, (required, check) in fields.items():
        if name in value:
            yield from _against(value[name], check, f"{where}/{name}")
        elif required:
            yield f"{where}/{name}: missing"
    if fields is DESCRIPTOR and not value.keys() & {"uri", "digest", "content"}:
        yield f"{where}: expected one of uri, digest and content"
