"""Render `results.sarif` (SARIF 2.1.0): each finding as a result, each finding id in use as a rule.

A function of a `RunView`. Messages contain neither links nor placeholders; places are relative
URIs. Two results of one run never share a fingerprint, and the same finding has the same
fingerprint in every run. Does not know who reads it.
"""

from __future__ import annotations

import json

from factory.model.evidence import FindingRecord, PackLine
from factory.model.evidence_text import sha256
from factory.model.findings.catalogue import CATALOGUE
from factory.model.inert import for_sarif
from factory.report.markup import relative_uri
from factory.report.run_view import RunView
from factory.report.text import policy_text
from factory.version import __version__

SCHEMA = (
    "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
)
_TOOL = "codex-orchestrator"


def results_sarif(run: RunView) -> bytes:
    """Return the whole document: ASCII JSON, sorted keys, two spaces, a line feed at its end."""
    status = run.status
    ids = sorted({row.id for row in status.findings})
    driver = {
        "name": _TOOL,
        "version": __version__,
        "semanticVersion": __version__,
        "rules": list(map(_rule, ids)),
    }
    seen: dict[str, int] = {}
    results = [_result(row, ids.index(row.id), seen) for row in status.findings]
    document = {
        "$schema": SCHEMA,
        "version": "2.1.0",
        "runs": [
            {
                "tool": {"driver": driver},
                "automationDetails": {"id": f"{_TOOL}/{status.run_id}"},
                "columnKind": "unicodeCodePoints",
                "invocations": [{"executionSuccessful": status.status != "FAIL"}],
                "properties": {
                    "status": status.status,
                    "baseCommit": status.base_commit,
                    "mergedTree": status.merged_tree,
                    "policy": for_sarif(policy_text(status.policy)),
                    "packs": list(map(_pack, status.packs)),
                },
                "results": results,
            }
        ],
    }
    return (json.dumps(document, indent=2, sort_keys=True) + "\n").encode("ascii")


def _pack(line: PackLine) -> dict[str, object]:
    """Return what the checks of one pack say, before and after, and whether its judge changed."""
    return {
        "pack": line.pack,
        "status": line.status,
        "judgeChanged": line.judge_changed,
        "judgePermitted": line.judge_permitted,
        "checks": [
            {
                "label": row.label,
                "after": row.after,
                "before": row.before,
                "oldJudge": row.old_judge,
            }
            for row in line.asked
        ],
    }


def _rule(kind: str) -> dict[str, object]:
    known = CATALOGUE.get(kind)
    meaning = for_sarif(
        f"{known.meaning[:1].upper()}{known.meaning[1:]}." if known is not None else kind
    )
    level = known.severity.value if known is not None else "error"
    more = "factory why PACK says what would allow it, or that nothing can."
    return {
        "id": kind,
        "shortDescription": {"text": meaning},
        "help": {"text": f"{meaning} {more}"},
        "defaultConfiguration": {"level": level},
    }


def _result(row: FindingRecord, rule: int, seen: dict[str, int]) -> dict[str, object]:
    text = " ".join(
        part for part in (f"{row.pack}: " if row.pack else "", row.message, row.hint) if part
    )
    identity = f"{row.id}\0{row.pack}\0{row.file}\0{row.message}".encode("utf-8", "surrogatepass")
    again = seen[sha256(identity)] = seen.get(sha256(identity), 0) + 1
    return {
        "ruleId": row.id,
        "ruleIndex": rule,
        "level": row.severity,
        "message": {"text": for_sarif(" ".join(text.split()))},
        "locations": [_location(row)] if row.file else [],
        "partialFingerprints": {"finding/v1": f"{sha256(identity)}:{again}"},
        "properties": {"pack": row.pack},
    }


def _location(row: FindingRecord) -> dict[str, object]:
    place: dict[str, object] = {"artifactLocation": {"uri": relative_uri(row.file)}}
    if row.line:
        place["region"] = {
            "startLine": row.line,
            **({"startColumn": row.column} if row.column else {}),
        }
    return {"physicalLocation": place}
