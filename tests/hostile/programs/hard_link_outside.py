"""threat = "a hard link to a file of the host"
section = "git and tree"
holds = "fs_read_scoped"
weaken = "outside"
"""

import os

from hostile import fact, held, refused

OWN = os.path.dirname(os.path.abspath(__file__))
refused("a hard link", os.link, fact("outside"), f"{OWN}/link")
refused("by another way", os.link, f"/proc/1/root{fact('outside')}", f"{OWN}/link")
held()
