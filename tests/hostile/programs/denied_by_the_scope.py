"""threat = "a file that the contract denies"
section = "git and tree"
holds = "judge"
weaken = "git-takes"
ends = ["SCOPE_DENIED"]
says = ["src/lib.py"]
scope = {allowed_paths = ["src/"], denied_paths = ["src/lib.py"]}
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
left()
