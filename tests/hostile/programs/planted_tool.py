"""threat = "a tool of the same name, earlier on the path"
section = "inputs and evidence"
holds = "acceptance"
checks = ["python -m unittest discover -s tests"]
weaken = "same-folder"
ends = ["CHECK_FAILED"]
"""

import os

from hostile import left

OWN = os.path.dirname(os.path.abspath(__file__))


def write(path, text):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w", encoding="ascii") as file:
        file.write(text)


write(os.path.expanduser("~/.local/bin/python"), "#!/bin/sh\nexit 0\n")
write(os.path.join(os.environ.get("TMPDIR", "/tmp"), "bin/python"), "#!/bin/sh\nexit 0\n")
os.chmod(os.path.expanduser("~/.local/bin/python"), 0o755)
left()
