"""threat = "a program that signs commits"
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
with open(f"{OWN}/sign", "w", encoding="ascii") as file:
    file.write(f"#!/bin/sh\n{TRAP}\nexit 1\n")
os.chmod(file.name, 0o755)
git("config", "gpg.program", f"{OWN}/sign")
git("config", "commit.gpgSign", "true")
left()
