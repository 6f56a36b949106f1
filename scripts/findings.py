"""Print docs/factory/FINDINGS.md from the catalogue of findings.

    ./dev python scripts/findings.py > docs/factory/FINDINGS.md

Rule: the page says nothing that the catalogue does not say; a test holds the two together.
"""

from __future__ import annotations

import sys

from factory.model.finding import CATALOGUE

_HEAD = """# Findings

Every refusal and every remark has a stable id. An id never changes its meaning and is never reused.
An **error** turns the verdict into BLOCKED (`CRASH`: into FAIL). A **warning** is told and changes no verdict.

A finding comes with one sentence, a place where there is one, and what to do.
`factory why PACK` prints those of a pack with the smallest change of its contract that would let it pass.

This page is printed by `scripts/findings.py` from `factory/model/finding.py`.

| id | weight | meaning |
|---|---|---|
"""


def page() -> str:
    """The whole page."""
    rows = [
        f"| `{name}` | {kind.severity.value} | {kind.meaning} |\n"
        for name, kind in CATALOGUE.items()
    ]
    return _HEAD + "".join(rows)


if __name__ == "__main__":
    sys.stdout.write(page())
