"""threat = "a filter that runs when a file is looked at"
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
git("config", "filter.trap.clean", f"{TRAP}; cat")
with open(f"{ROOT}/.git/info/attributes", "w", encoding="ascii") as file:
    file.write("* filter=trap\n")
with open(f"{OWN}/new.txt", "w", encoding="ascii") as file:
    file.write("filtered\n")
left()
