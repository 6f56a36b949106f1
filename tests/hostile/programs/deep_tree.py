"""threat = "folders in folders without end"
section = "git and tree"
holds = "judge"
weaken = "git-takes"
ends = ["TREE_TOO_DEEP"]
says = []
"""

import os

from hostile import ROOT, left

OWN = os.fsencode(os.path.dirname(os.path.abspath(__file__)))
ROOT = os.fsencode(ROOT)


def write(path, content=b"x\n"):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "wb") as file:
        file.write(content)


path = OWN
for _ in range(80):
    path += b"/d"
write(path + b"/x")
left()
