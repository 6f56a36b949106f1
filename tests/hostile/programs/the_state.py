"""threat = "the state of the orchestrator, as if it lay in the workspace"
section = "git and tree"
holds = "judge"
weaken = "git-takes"
ends = ["PATH_PROTECTED"]
says = [".factory"]
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


write(ROOT + b"/.factory/ledger.jsonl", b"{}\n")
left()
