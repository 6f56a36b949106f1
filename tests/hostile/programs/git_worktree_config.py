"""threat = "configuration of the worktree, which some flags forget"
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


git("config", "extensions.worktreeConfig", "true")
git("config", "--worktree", "core.fsmonitor", f"{TRAP}; false")
left()
