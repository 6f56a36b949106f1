"""threat = "the configuration and the keys that are trusted"
section = "git and tree"
holds = "judge"
weaken = "git-takes"
ends = ["PATH_PROTECTED"]
says = ["factory.toml", "factory.keys", ".env"]
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


write(ROOT + b"/factory.toml", b"version = 1\n")
write(ROOT + b"/factory.keys/mine.pub")
write(ROOT + b"/.env")
left()
