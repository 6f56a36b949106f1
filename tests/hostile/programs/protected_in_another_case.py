"""threat = "a protected name in another case"
section = "git and tree"
holds = "judge"
weaken = "git-takes"
ends = ["PATH_COLLISION", "PATH_PROTECTED"]
says = ["Dodo.py", "more.yml"]
scope = {allowed_paths = ["**"]}
"""

import os

from hostile import ROOT, left

OWN = os.fsencode(os.path.dirname(os.path.abspath(__file__)))
ROOT = os.fsencode(ROOT)


def write(path, content=b"x\n"):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "wb") as file:
        file.write(content)


write(ROOT + b"/Dodo.py")
write(ROOT + b"/.GitHub/Workflows/more.yml")
left()
