"""threat = "hooks that the repository's configuration points at"
section = "git and tree"
holds = "judge"
weaken = "git-runs"
"""

import os
import subprocess

from hostile import ROOT, fact, left

TRAP = f"touch {fact('trap')}"


def git(*words):
    return subprocess.run(
        ["git", *words], cwd=ROOT, check=True, capture_output=True, text=True
    ).stdout


OWN = os.path.dirname(os.path.abspath(__file__))
os.mkdir(f"{OWN}/hooks")
with open(f"{OWN}/hooks/post-index-change", "w", encoding="ascii") as file:
    file.write(f"#!/bin/sh\n{TRAP}\n")
os.chmod(file.name, 0o755)
git("config", "core.hooksPath", f"{OWN}/hooks")
left()
