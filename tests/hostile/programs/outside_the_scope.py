"""threat = "a file that the contract does not allow"
section = "git and tree"
holds = "judge"
weaken = "git-takes"
ends = ["SCOPE_OUTSIDE_ALLOWED"]
says = ["src/lib.py", "new.txt"]
"""

import os

from hostile import ROOT, left

OWN = os.fsencode(os.path.dirname(os.path.abspath(__file__)))
ROOT = os.fsencode(ROOT)


def write(path, content=b"x\n"):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "wb") as file:
        file.write(content)


write(ROOT + b"/src/lib.py", b"changed\n")
write(ROOT + b"/new.txt")
left()
