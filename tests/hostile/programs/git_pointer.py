"""threat = ".git as a file that points to a repository of the pack's own"
section = "git and tree"
holds = "judge"
weaken = "git-runs"
"""

import os
import shutil
import subprocess

from hostile import ROOT, fact, left

TRAP = f"touch {fact('trap')}"


def git(*words):
    return subprocess.run(
        ["git", *words], cwd=ROOT, check=True, capture_output=True, text=True
    ).stdout


OWN = os.path.dirname(os.path.abspath(__file__))
git("config", "core.fsmonitor", f"{TRAP}; false")
shutil.move(f"{ROOT}/.git", f"{OWN}/elsewhere")
with open(f"{ROOT}/.git", "w", encoding="ascii") as file:
    file.write(f"gitdir: {OWN}/elsewhere\n")
left()
