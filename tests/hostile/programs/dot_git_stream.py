"""threat = ".git as a stream"
section = "git and tree"
holds = "judge"
weaken = "git-silent"
ends = ["PATH_GIT_NAME"]
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


write(OWN + b"/.git::$INDEX_ALLOCATION/config")
left()
