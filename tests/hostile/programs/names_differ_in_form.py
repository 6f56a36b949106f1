"""threat = "two names that are one in another Unicode form"
section = "git and tree"
holds = "judge"
weaken = "git-takes"
ends = ["PATH_COLLISION"]
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


write(OWN + "/caf\u00e9".encode())
write(OWN + "/cafe\u0301".encode())
left()
