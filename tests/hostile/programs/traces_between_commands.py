"""threat = "what one command leaves for the next, beside the workspace"
section = "processes and limits"
holds = "fs_write_scoped"
weaken = "outside"
steps = 2
"""

import os
import tempfile

from hostile import TURN, escaped, held, say

PLACES = [f"{folder}/trace" for folder in (tempfile.gettempdir(), os.path.expanduser("~"))]
if TURN == "1":
    for place in PLACES:
        with open(place, "w", encoding="ascii") as file:
            file.write("trace")
    say("LEFT")
    os._exit(0)
found = [place for place in PLACES if os.path.exists(place)]
if found:
    escaped(found)
held()
