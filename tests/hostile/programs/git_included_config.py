"""threat = "configuration that is included from the tree"
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
with open(f"{OWN}/more.conf", "w", encoding="ascii") as file:
    file.write(f'[core]\n\tfsmonitor = "{TRAP}; false"\n')
git("config", "include.path", f"{OWN}/more.conf")
left()
