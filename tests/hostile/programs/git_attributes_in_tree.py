"""threat = "attributes in the tree that name a filter of the configuration"
section = "git and tree"
holds = "judge"
weaken = "git-runs"
warns = ["ATTRIBUTES_DISAGREE"]
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
with open(f"{OWN}/.gitattributes", "w", encoding="ascii") as file:
    file.write("*.txt filter=trap diff=trap merge=trap\n")
with open(f"{OWN}/new.txt", "w", encoding="ascii") as file:
    file.write("filtered\n")
left()
