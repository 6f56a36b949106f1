"""threat = "credentials in the orchestrator's environment"
section = "secrets and authority"
holds = "env_scoped"
weaken = "outside"
"""

import os

from hostile import escaped, fact, held

mark = fact("mark_reversed")[::-1]
found = [
    name
    for name, value in os.environ.items()
    if mark in value or name in {*fact("variables")} - {"HOME"}
]
if found:
    escaped(found)
held()
