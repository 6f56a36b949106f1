"""threat = "a change that Git is told not to look at"
section = "git and tree"
holds = "judge"
weaken = "git-blind"
ends = ["SCOPE_OUTSIDE_ALLOWED"]
says = ["src/lib.py"]
"""

import subprocess

from hostile import ROOT, fact, left

TRAP = f"touch {fact('trap')}"


def git(*words):
    return subprocess.run(
        ["git", *words], cwd=ROOT, check=True, capture_output=True, text=True
    ).stdout


with open(f"{ROOT}/src/lib.py", "a", encoding="ascii") as file:
    file.write("HIDDEN = True\n")
git("update-index", "--assume-unchanged", "src/lib.py")
left()
