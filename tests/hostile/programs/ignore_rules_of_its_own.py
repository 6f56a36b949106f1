"""threat = "ignore rules that the pack adds for what it adds"
section = "git and tree"
holds = "judge"
weaken = "git-blind"
ends = ["SCOPE_OUTSIDE_ALLOWED"]
says = ["src/.gitignore", "src/more.py"]
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
with open(f"{OWN}/.gitignore", "w", encoding="ascii") as file:
    file.write("*\n")
with open(f"{ROOT}/src/.gitignore", "w", encoding="ascii") as file:
    file.write("*\n")
with open(f"{ROOT}/src/more.py", "w", encoding="ascii") as file:
    file.write("hidden\n")
left()
