"""threat = "a file with a bit that Git cannot carry"
section = "git and tree"
holds = "judge"
weaken = "git-takes"
ends = ["FILE_SETID"]
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


write(OWN + b"/tool")
os.chmod(OWN + b"/tool", 0o1644)
left()
