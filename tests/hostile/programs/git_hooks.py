"""threat = "hooks in the workspace's repository"
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


os.makedirs(f"{ROOT}/.git/hooks", exist_ok=True)
for name in (
    "post-index-change",
    "pre-commit",
    "post-checkout",
    "reference-transaction",
    "fsmonitor-watchman",
):
    with open(f"{ROOT}/.git/hooks/{name}", "w", encoding="ascii") as file:
        file.write(f"#!/bin/sh\n{TRAP}\n")
    os.chmod(file.name, 0o755)
left()
