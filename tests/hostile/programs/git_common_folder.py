"""threat = "the repository's common folder is another"
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
os.makedirs(f"{OWN}/common/refs")
shutil.copytree(f"{ROOT}/.git/objects", f"{OWN}/common/objects")
with open(f"{OWN}/common/config", "w", encoding="ascii") as file:
    file.write(f'[core]\n\tfsmonitor = "{TRAP}; false"\n\trepositoryformatversion = 0\n')
with open(f"{ROOT}/.git/commondir", "w", encoding="ascii") as file:
    file.write(f"{OWN}/common\n")
left()
