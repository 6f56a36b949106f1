"""threat = "a name with a letter that nobody sees"
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


write(OWN + "/read\u200bme.md".encode())
left()
