"""threat = "a file system monitor that is a program of the pack"
section = "git and tree"
holds = "judge"
weaken = "git-runs"
"""

import subprocess

from hostile import ROOT, fact, left

TRAP = f"touch {fact('trap')}"


def git(*words):
    return subprocess.run(
        ["git", *words], cwd=ROOT, check=True, capture_output=True, text=True
    ).stdout


git("config", "core.fsmonitor", f"{TRAP}; false")
left()
