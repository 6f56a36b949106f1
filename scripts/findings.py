"""Print docs/factory/FINDINGS.md from the catalogue of findings.

    ./dev python scripts/findings.py > docs/factory/FINDINGS.md

Rule: the page says nothing that the catalogue does not say; a test compares the two.
"""

from __future__ import annotations

import sys

from factory.model.finding import Finding
from factory.model.findings.catalogue import CATALOGUE

_HEAD = """# Findings

Every refusal and every remark has a stable id. An id never changes its meaning and is never reused.
An **error** turns the verdict into BLOCKED (`CRASH`: into FAIL). A **warning** is printed and changes no verdict.

A finding carries facts. The catalogue makes of them one sentence (expected and found), what to do, and the remedy:
the smallest change of the contract that would allow it, that none can, or what to do instead.
`factory why PACK` prints those of a pack with their remedies. Evidence keeps the facts with the texts.
Each id is shown below with an example of each of its sentences.

This page is printed by `scripts/findings.py` from `factory/model/findings/`.

| id | severity | meaning |
|---|---|---|
"""


def page() -> str:
    """Return the whole page."""
    rows = [
        f"| `{name}` | {entry.severity.value} | {entry.meaning} |\n"
        for name, entry in CATALOGUE.items()
    ]
    return _HEAD + "".join(rows) + "".join(map(_shown, CATALOGUE))


def _shown(name: str) -> str:
    """Return the section of one id: its sentences with example facts, each with hint and remedy."""
    lines = [f"\n## {name}\n"]
    for facts in CATALOGUE[name].examples:
        finding = Finding(name, facts)
        lines.append(f"    {finding.message}")
        if finding.hint:
            lines.append(f"      hint    {finding.hint}")
        if finding.blocks or CATALOGUE[name].remedy:
            lines.append(f"      remedy  {finding.remedy}")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    sys.stdout.write(page())
