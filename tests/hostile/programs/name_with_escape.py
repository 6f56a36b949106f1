"""threat = "a name that moves the cursor where it is printed"
section = "git and tree"
holds = "judge"
weaken = "git-takes"
ends = ["PATH_NOT_PORTABLE"]
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


write(OWN + b"/\x1b[2J\x1b[1;1Hclean.txt")
left()
