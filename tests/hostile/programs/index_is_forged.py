"""threat = "an index that says the file is what it was, by size and time"
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


place = f"{ROOT}/src/lib.py"
git("update-index", "--refresh")
status = os.stat(place)
with open(place, "r+", encoding="ascii") as file:
    file.write("dEF")
os.utime(place, ns=(status.st_atime_ns, status.st_mtime_ns))
git("config", "core.trustctime", "false")
git("config", "core.checkStat", "minimal")
left()
