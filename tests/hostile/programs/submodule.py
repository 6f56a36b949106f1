"""threat = "a submodule with a configuration of its own"
section = "git and tree"
holds = "judge"
weaken = "git-runs"
ends = ["PATH_GIT_NAME", "PATH_PROTECTED"]
says = [".gitmodules"]
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
inner = f"{OWN}/inner"
identity = ("-c", "user.name=A", "-c", "user.email=a@example.org")
subprocess.run(["git", "init", "-q", inner], check=True)
subprocess.run(
    ["git", "-C", inner, *identity, "commit", "-q", "--allow-empty", "-m", "x"], check=True
)
tip = subprocess.run(
    ["git", "-C", inner, "rev-parse", "HEAD"], check=True, capture_output=True, text=True
).stdout.strip()
git("update-index", "--add", "--cacheinfo", f"160000,{tip},{os.path.relpath(inner, ROOT)}")
with open(f"{ROOT}/.gitmodules", "w", encoding="ascii") as file:
    file.write(f'[submodule "inner"]\n\tpath = {os.path.relpath(inner, ROOT)}\n\turl = ./inner\n')
subprocess.run(["git", "-C", inner, "config", "core.fsmonitor", f"{TRAP}; false"], check=True)
left()
