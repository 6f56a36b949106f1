"""Print the table of docs/factory/FORGERIES.md by showing every wrong run to those who must refuse
it.

    ./dev python scripts/forgeries.py

Rule: a cell is what was found; digests, ids and long values are cut. A test compares names, steps
and who believes the signer.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from tests.forgeries.judges import BELIEVED, make_place, plain, row
from tests.forgeries.wrong_runs import WRONG_RUNS


def main() -> None:
    """Print one row for each wrong run."""
    heads = "`factory verify` | step and sentence of AUDIT | a reader | a consumer"
    print(f"| wrong | forged by | {heads} |")
    print("|---|---|---|---|---|---|")
    with tempfile.TemporaryDirectory(prefix="forgeries-") as folder:
        place = make_place(Path(folder))
        for number, wrong in enumerate(WRONG_RUNS):
            cells = row(place, wrong, Path(folder) / f"given-{number}")
            named, refused, read, other = map(plain, cells)
            believed = (read or BELIEVED, other or BELIEVED)
            told = (named or "NOT REFUSED", refused or "NOT REFUSED", *believed)
            print(f"| {' | '.join((wrong.name, wrong.forger.value, *told))} |")


if __name__ == "__main__":
    main()
