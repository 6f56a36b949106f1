"""threat = "a folder that is replaced as a whole"
section = "git and tree"
holds = "judge"
weaken = "git-takes"
ends = ["SCOPE_OUTSIDE_ALLOWED"]
says = ["src/lib.py"]
"""

import os
import shutil

from hostile import ROOT, left

OWN = os.fsencode(os.path.dirname(os.path.abspath(__file__)))
ROOT = os.fsencode(ROOT)


def write(path, content=b"x\n"):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "wb") as file:
        file.write(content)


shutil.copytree(ROOT + b"/src", ROOT + b"/more")
shutil.rmtree(ROOT + b"/src")
os.rename(ROOT + b"/more", ROOT + b"/src")
write(ROOT + b"/src/lib.py", b"changed\n")
left()
