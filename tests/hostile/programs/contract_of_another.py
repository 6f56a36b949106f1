"""threat = "the contract of another pack"
section = "git and tree"
holds = "judge"
weaken = "git-takes"
ends = ["PATH_PROTECTED"]
says = ["acceptance.yml"]
scope = {allowed_paths = ["**"]}
inputs = ["**"]
"""

import os

from hostile import ROOT, left

OWN = os.fsencode(os.path.dirname(os.path.abspath(__file__)))
ROOT = os.fsencode(ROOT)


def write(path, content=b"x\n"):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "wb") as file:
        file.write(content)


other = min(path for path in os.listdir(ROOT + b"/taskpacks") if not OWN.endswith(path))
write(ROOT + b"/taskpacks/" + other + b"/acceptance.yml", b"checks: ['true']\n")
left()
