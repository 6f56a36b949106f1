"""threat = "a file that is moved into the scope, and so away from where it was"
section = "git and tree"
holds = "judge"
weaken = "git-takes"
ends = ["SCOPE_OUTSIDE_ALLOWED"]
says = ["src/lib.py"]
"""

import os

from hostile import ROOT, left

OWN = os.fsencode(os.path.dirname(os.path.abspath(__file__)))
ROOT = os.fsencode(ROOT)


def write(path, content=b"x\n"):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "wb") as file:
        file.write(content)


os.rename(ROOT + b"/src/lib.py", OWN + b"/lib.py")
left()
