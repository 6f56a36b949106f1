"""Remove what `doit clean` removes besides marker files: caches, as `factory gc` would.

Rule: under the run lock, each recorded in the ledger, and never bundles, runs or the ledger. What
cannot be removed is named in one sentence, and stays whole. Does not know what a cache is, nor how
it is made again.
"""

from __future__ import annotations

import sys
from pathlib import Path

from factory.model.layout import STATE_FOLDER

_OWNER = "preflight"


def remove_caches(dryrun: bool) -> None:
    """Remove the caches of the repository in the current folder, or only say what would go. doit
    gives `dryrun`.
    """
    root = Path.cwd()
    if not (root / STATE_FOLDER).is_dir():
        return
    # late: doit loads this with every task, and hardly ever cleans
    from factory.engine import wiring
    from factory.evidence.gc import Removal, clean_caches
    from factory.model.errors import Refusal
    from factory.report.answer import finding_lines
    from factory.report.terminal import sanitize, write_lines

    def report(removal: Removal) -> None:
        line = f"{_OWNER} - removing folder '{root / STATE_FOLDER / removal.path}' ({removal.why})"
        write_lines(sys.stdout, (sanitize(line),))

    try:
        clean_caches(wiring.site(root, {}), report, dry=dryrun)
    except Refusal as refusal:
        write_lines(sys.stderr, map(sanitize, ("caches stay:", *finding_lines(refusal.findings))))
