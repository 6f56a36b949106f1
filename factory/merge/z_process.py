"""Start role Z: `python -I -m factory.merge.z_process WORDS`, with PLAN.json in the run folder.

Started by `merge.integrator` inside its confinement; not meant for people.
"""

from __future__ import annotations

import json
import sys

from factory.merge.z_wiring import run_integrator
from factory.model.errors import FactoryError
from factory.strict.values import DocumentError


def main() -> int:
    """Merge what the plan names. Return 0 if MERGE.json was written, else print one line and return
    1.
    """
    try:
        run_integrator(json.loads(sys.argv[1]))
    except (FactoryError, DocumentError) as error:
        sys.stdout.write(f"{error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
