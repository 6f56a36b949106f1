"""threat = "a repository that answers a check with what it likes"
section = "inputs and evidence"
holds = "acceptance"
checks = ["git diff --quiet HEAD"]
weaken = "same-folder"
ends = ["SCOPE_OUTSIDE_ALLOWED"]
says = ["src/lib.py"]
"""

import os
import subprocess

from hostile import ROOT, left

OWN = os.path.dirname(os.path.abspath(__file__))


def write(path, text):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w", encoding="ascii") as file:
        file.write(text)


write(f"{ROOT}/src/lib.py", "changed\n")
subprocess.run(
    [
        "git",
        "-C",
        ROOT,
        "-c",
        "user.name=A",
        "-c",
        "user.email=a@example.org",
        "commit",
        "-qam",
        "x",
    ],
    check=True,
)
left()
