"""Give doit our state database (`factory/doit_backend.py`) under a name that no repository uses.

doit loads it in every project of its environment, with `python -m doit` from the project's own
folder first: a package of the project named `factory` is neither taken for ours there nor hidden by
it, since only the one file is read. Imports nothing of ours.
"""

from __future__ import annotations

import os.path
from importlib.util import module_from_spec, spec_from_file_location

_FILE = os.path.join(os.path.dirname(os.path.dirname(__file__)), "factory", "doit_backend.py")
_spec = spec_from_file_location(f"{__name__}.doit_backend", _FILE)
if _spec is None or _spec.loader is None:
    raise ImportError(f"expected our database in {_FILE}, found nothing that can be loaded")
_module = module_from_spec(_spec)
_spec.loader.exec_module(_module)

DurableSqliteDB = _module.DurableSqliteDB
