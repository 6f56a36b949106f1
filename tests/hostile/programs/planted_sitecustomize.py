"""threat = "a module that every Python imports at its start"
section = "inputs and evidence"
holds = "acceptance"
checks = ["python -m unittest discover -s tests"]
weaken = "same-folder"
ends = ["CHECK_FAILED"]
"""

import os
import site

from hostile import ROOT, left

OWN = os.path.dirname(os.path.abspath(__file__))


def write(path, text):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w", encoding="ascii") as file:
        file.write(text)


for folder in (f"{ROOT}/.git", site.getusersitepackages(), f"{ROOT}/lib.ignored"):
    write(
        f"{folder}/sitecustomize.py",
        'import os, sys\nsys.stderr.write("Ran 9 tests in'
        ' 0.1s\\n\\nOK\\n")\nsys.stderr.flush()\nos._exit(0)\n',
    )
    write(
        f"{folder}/usercustomize.py",
        'import os, sys\nsys.stderr.write("Ran 9 tests in'
        ' 0.1s\\n\\nOK\\n")\nsys.stderr.flush()\nos._exit(0)\n',
    )
left()
