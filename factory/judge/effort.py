"""Estimate the effort of comparing a change line by line, from its bytes alone, in linear time.

Rule: `least` is never more than Git would count, so a change that it refuses would be refused by
Git's count too. Git takes a file for binary by a NUL among its first bytes, or by its size, and
counts no lines of it. Does not compare.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from factory.judge.judge import Rules
from factory.model.finding import Finding
from factory.model.findings.entry import Facts
from factory.model.tree import MODE_SUBMODULE, Difference, Leaf

LARGE = 200_000
"""Lines of both sides together; comparing more runs in a process of its own, with a time limit."""
MOST = 10_000_000
"""Lines of both sides together; more are not compared at all."""

# Git's own bounds: buffer_is_binary in xdiff-interface.c, core.bigFileThreshold.
_NUL_WITHIN = 8000
_BIG_FILE = 512 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Effort:
    """Estimate a change: `least` lines changed at least, `lines` to compare, both sides
    together.
    """

    least: int = 0
    lines: int = 0

    @property
    def large(self) -> bool:
        return self.lines > LARGE


def effort_of(differences: Iterable[Difference], contents: Mapping[str, bytes]) -> Effort:
    """Return the effort of a change; `contents` maps the ids of blobs to their bytes."""
    least = lines = 0
    for change in differences:
        if (
            change.before is not None
            and change.after is not None
            and change.before.oid == change.after.oid
        ):
            continue
        before, after = _lines(change.before, contents), _lines(change.after, contents)
        if before is None or after is None:
            continue
        least += abs(after - before)
        lines += after + before
    return Effort(least, lines)


def _lines(leaf: Leaf | None, contents: Mapping[str, bytes]) -> int | None:
    """Return the lines of one side of a change: 0 if it is absent, None if Git counts none."""
    if leaf is None:
        return 0
    content = contents.get(leaf.oid)
    if leaf.mode == MODE_SUBMODULE or content is None:
        return None
    if b"\0" in content[:_NUL_WITHIN] or len(content) > _BIG_FILE:
        return None
    return content.count(b"\n") + (not content.endswith(b"\n") and bool(content))


def judge_effort(rules: Rules, effort: Effort) -> tuple[Finding, ...]:
    """Return CHANGE_TOO_LARGE if the change is over MOST lines, or surely over the pack's own
    limit.
    """
    if effort.lines > MOST:
        return _too_large(rules, {"case": "compared", "lines": effort.lines, "most": MOST})
    if effort.large and effort.least > rules.changed_lines:
        limit = rules.changed_lines
        return _too_large(rules, {"case": "changed", "lines": effort.least, "limit": limit})
    return ()


def judge_overdue(rules: Rules, seconds: float) -> tuple[Finding, ...]:
    """Return the finding about a change that could not be compared in `seconds`."""
    return _too_large(rules, {"case": "overdue", "seconds": round(seconds)})


def _too_large(rules: Rules, facts: Facts) -> tuple[Finding, ...]:
    return (Finding("CHANGE_TOO_LARGE", facts, pack=rules.pack, location=rules.limit_at),)
