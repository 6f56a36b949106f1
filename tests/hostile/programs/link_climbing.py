"""threat = "a link that climbs out"
section = "git and tree"
holds = "judge"
weaken = "reads-links"
ends = ["LINK_ESCAPES"]
says = []
"""

import json
import os

from hostile import ROOT, left

OWN = os.fsencode(os.path.dirname(os.path.abspath(__file__)))
ROOT = os.fsencode(ROOT)


def write(path, content=b"x\n"):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "wb") as file:
        file.write(content)


with open(ROOT + b"/canaries.json", encoding="utf-8") as file:
    os.symlink("../" * 16 + json.load(file)["outside"].lstrip("/"), OWN + b"/link")
left()
