"""threat = "the interpreter that everybody else uses is replaced"
section = "processes and limits"
holds = "fs_write_scoped"
weaken = "writable"
"""

import os
import sys

from hostile import held, refused

folder = os.path.dirname(sys.executable)
refused("write", os.open, os.path.realpath(sys.executable), os.O_WRONLY)
refused("plant", os.open, f"{folder}/sitecustomize.py", os.O_WRONLY | os.O_CREAT)
refused(
    "plant a module",
    os.open,
    f"{os.path.dirname(os.__file__)}/sitecustomize.py",
    os.O_WRONLY | os.O_CREAT,
)
refused("rename", os.rename, sys.executable, f"{folder}/python.old")
held()
