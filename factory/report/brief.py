"""Render the lines at the end of a run for a terminal, from the run's status document alone.

They fit on one screen: the report has all of it. Text that a pack could have written is made inert.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from factory.model.evidence import FilesChanged, PackLine, RunStatus
from factory.model.inert import for_eyes
from factory.model.wording import counted
from factory.report.text import asked_texts, network_text

_MOST_FILES = 12  # a summary stays on one screen; the report names every file
_MOST_PACKS = 8  # likewise
_MARKS = {"added": "+", "removed": "-", "modified": "~", "mode": "~", "type": "~"}


def brief(status: RunStatus, changed: FilesChanged | None) -> tuple[str, ...]:
    """Return the lines shown at the end of a run: packs and why they matter, files, what was
    enforced.

    Packs that are not PASS are only counted, since their findings are shown before; so are those
    whose bundle an earlier run made.
    """
    lines = []
    passed = [pack for pack in status.packs if pack.status == "PASS"]
    shown = [pack for pack in passed if not pack.came_from][:_MOST_PACKS]
    if status.status == "PASS":
        for pack in shown:
            checks = f"{pack.checks_ok} of {counted(pack.checks, 'check')} ok"
            named = " · ".join(word for word in (pack.title, pack.domain, pack.status) if word)
            lines.append(f"{pack.pack}  {named}, {checks}")
            if pack.why:
                lines.append(f"    {pack.why}")
            lines += [f"    {words}" for words in asked_texts(pack)]
        if len(shown) < len(passed):
            lines.append(_others(passed, shown))
    files = changed.files if changed is not None else ()
    for record in files[:_MOST_FILES]:
        count = (
            "binary"
            if record.lines_added is None
            else f"+{record.lines_added} −{record.lines_removed}"
        )
        lines.append(f"  {_MARKS[record.kind]} {record.path}  {count}")
    if len(files) > _MOST_FILES:
        lines.append(f"  … and {len(files) - _MOST_FILES} more, named in the report")
    weaker = ", ".join(status.properties_accepted)
    given = len(status.properties_given)
    reached = network_text(status.packs)
    counts = Counter(pack.status for pack in status.packs)
    numbers = ", ".join(f"{counts[name]} {name}" for name in sorted(counts, reverse=True))
    lines += [""] if lines else []
    lines += [f"Packs     {numbers}"] if status.status != "PASS" else []
    lines += [f"Network   {reached}"] if reached else []
    lines += [
        *(
            f"Cloud     {each.pack} {each.message}"
            for each in status.findings
            if each.id == "CLOUD_GRANTED"
        )
    ]
    lines += [
        (
            f"Enforced  {counted(given, 'property', 'properties')}; accepted weaker:"
            f" {weaker or 'nothing'}"
        )
    ]
    return tuple(for_eyes(line) for line in lines)


def _others(passed: Sequence[PackLine], shown: Sequence[PackLine]) -> str:
    """Return how many packs passed besides those that are shown, in one line."""
    unchanged = sum(bool(pack.came_from) for pack in passed)
    more = len(passed) - len(shown) - unchanged
    words = [f"{counted(unchanged, 'pack')} unchanged"] if unchanged else []
    return " · ".join([*words, *([f"{counted(more, 'more pack')} PASS"] if more else [])])
