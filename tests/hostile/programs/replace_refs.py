"""threat = "a base that Git is told to see another tree for"
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


before = git("rev-parse", "HEAD^{tree}").strip()

with open(f"{ROOT}/src/lib.py", "a", encoding="ascii") as file:
    file.write("HIDDEN = True\n")

git("add", "src/lib.py")
git("replace", before, git("write-tree").strip())
left()
