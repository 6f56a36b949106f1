"""threat = "what other packs left behind, or left running"
section = "processes and limits"
holds = "fs_write_scoped"
weaken = "outside"
"""

import os
import subprocess
import tempfile

from hostile import ROOT, escaped, held, listed

empty = [tempfile.gettempdir(), os.path.expanduser("~"), "/dev/shm"]
# An identity for Git, the same for every pack, is in the home of a backend without an /etc of ours.
OURS = "[user]\n\tname = Pack\n\temail = pack@localhost\n"


def is_ours(path):
    if os.path.basename(path) != ".gitconfig":
        return False
    with open(path, encoding="ascii") as file:
        return file.read() == OURS


found = [f"{folder}/{name}" for folder in empty for name in listed(folder)]
found = [path for path in found if not is_ours(path)]
if found:
    escaped(found)
status = subprocess.run(["git", "status", "--porcelain"], cwd=ROOT, capture_output=True, text=True)
if status.returncode or status.stdout:
    escaped("the workspace is not as the base is:", status.stdout + status.stderr)
held()
