"""threat = "a program that makes files readable for a diff"
section = "git and tree"
holds = "judge"
weaken = "git-runs"
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


git("config", "diff.trap.textconv", f"{TRAP}; cat")
with open(f"{ROOT}/.git/info/attributes", "w", encoding="ascii") as file:
    file.write("* diff=trap\n")

with open(f"{ROOT}/src/lib.py", "a", encoding="ascii") as file:
    file.write("HIDDEN = True\n")
left()
