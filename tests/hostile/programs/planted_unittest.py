"""threat = "a module in place of the test runner's"
section = "inputs and evidence"
holds = "acceptance"
checks = ["python -m unittest discover -s tests"]
weaken = "same-folder"
ends = ["SCOPE_OUTSIDE_ALLOWED"]
says = ["unittest.py"]
"""

import os

from hostile import ROOT, left

OWN = os.path.dirname(os.path.abspath(__file__))


def write(path, text):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w", encoding="ascii") as file:
        file.write(text)


write(
    f"{ROOT}/unittest.py",
    'import os, sys\nsys.stderr.write("Ran 9 tests in'
    ' 0.1s\\n\\nOK\\n")\nsys.stderr.flush()\nos._exit(0)\n',
)
left()
