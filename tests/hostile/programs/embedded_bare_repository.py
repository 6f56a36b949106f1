"""threat = "a folder that is itself a bare repository, for whoever calls Git inside it"
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
git("clone", "-q", "--bare", "--no-hardlinks", "--template=", ROOT, f"{OWN}/bare")
git("--git-dir", f"{OWN}/bare", "config", "diff.trap.textconv", f"{TRAP}; cat")
os.makedirs(f"{OWN}/bare/info", exist_ok=True)
with open(f"{OWN}/bare/info/attributes", "w", encoding="ascii") as file:
    file.write("* diff=trap\n")
left()
