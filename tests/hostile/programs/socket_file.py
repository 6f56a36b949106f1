"""threat = "a socket in place of a file"
section = "git and tree"
holds = "judge"
weaken = "git-silent"
ends = ["FILE_SPECIAL"]
says = []
"""

import os
import socket
import stat

from hostile import ROOT, left

OWN = os.fsencode(os.path.dirname(os.path.abspath(__file__)))
ROOT = os.fsencode(ROOT)


def write(path, content=b"x\n"):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "wb") as file:
        file.write(content)


os.chdir(OWN)
try:
    service = socket.socket(socket.AF_UNIX)
    service.bind("socket")
except OSError:  # a node that nobody serves is a socket all the same
    os.mknod("socket", stat.S_IFSOCK | 0o600)
left()
