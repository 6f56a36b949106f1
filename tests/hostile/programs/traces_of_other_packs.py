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
found = [f"{folder}/{name}" for folder in empty for name in listed(folder)]
if found:
    escaped(found)
status = subprocess.run(["git", "status", "--porcelain"], cwd=ROOT, capture_output=True, text=True)
if status.returncode or status.stdout:
    escaped("the workspace is not as the base is:", status.stdout + status.stderr)
held()
