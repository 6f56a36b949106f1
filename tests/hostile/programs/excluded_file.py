"""threat = "a new file that Git is told to exclude"
section = "git and tree"
holds = "judge"
weaken = "git-blind"
ends = ["SCOPE_OUTSIDE_ALLOWED"]
says = ["src/lib.hidden"]
"""

import subprocess

from hostile import ROOT, fact, left

TRAP = f"touch {fact('trap')}"


def git(*words):
    return subprocess.run(
        ["git", *words], cwd=ROOT, check=True, capture_output=True, text=True
    ).stdout


with open(f"{ROOT}/.git/info/exclude", "a", encoding="ascii") as file:
    file.write("*.hidden\n")
with open(f"{ROOT}/src/lib.hidden", "w", encoding="ascii") as file:
    file.write("hidden\n")
left()
