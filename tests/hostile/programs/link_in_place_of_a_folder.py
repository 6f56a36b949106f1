"""threat = "a link in place of a folder, for whoever writes through it"
section = "git and tree"
holds = "judge"
weaken = "git-takes"
ends = ["LINK_ESCAPES", "SCOPE_OUTSIDE_ALLOWED"]
says = []
"""

import json
import os
import shutil

from hostile import ROOT, left

OWN = os.fsencode(os.path.dirname(os.path.abspath(__file__)))
ROOT = os.fsencode(ROOT)


def write(path, content=b"x\n"):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "wb") as file:
        file.write(content)


with open(ROOT + b"/canaries.json", encoding="utf-8") as file:
    outside = json.load(file)["place"]
shutil.rmtree(ROOT + b"/docs")
os.symlink(outside, ROOT + b"/docs")
left()
