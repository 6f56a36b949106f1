"""threat = "a repository within the workspace, with hooks and a monitor of its own"
section = "git and tree"
holds = "judge"
weaken = "git-runs"
ends = ["PATH_GIT_NAME"]
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
subprocess.run(["git", "init", "-q", f"{OWN}/nested"], check=True)
subprocess.run(
    ["git", "-C", f"{OWN}/nested", "config", "core.fsmonitor", f"{TRAP}; false"], check=True
)
with open(f"{OWN}/nested/hidden.txt", "w", encoding="ascii") as file:
    file.write("hidden\n")
left()
