"""threat = "the file that starts the engine"
section = "git and tree"
holds = "judge"
weaken = "git-takes"
ends = ["PATH_PROTECTED"]
says = ["dodo.py", "noxfile.py", "doit.cfg"]
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


write(ROOT + b"/dodo.py", b"raise SystemExit(0)\n")
write(ROOT + b"/noxfile.py")
write(ROOT + b"/doit.cfg")
left()
