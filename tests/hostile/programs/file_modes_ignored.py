"""threat = "a change of mode that Git is told to ignore"
section = "git and tree"
holds = "judge"
weaken = "git-blind"
ends = ["SCOPE_OUTSIDE_ALLOWED"]
says = ["src/lib.py"]
"""

import os
import subprocess

from hostile import ROOT, fact, left

TRAP = f"touch {fact('trap')}"


def git(*words):
    return subprocess.run(
        ["git", *words], cwd=ROOT, check=True, capture_output=True, text=True
    ).stdout


git("config", "core.fileMode", "false")
os.chmod(f"{ROOT}/src/lib.py", 0o755)
left()
