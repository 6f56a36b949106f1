"""threat = "a module where the base ignores files"
section = "inputs and evidence"
holds = "acceptance"
checks = ["python -m unittest discover -s tests"]
weaken = "same-folder"
ends = ["SCOPE_OUTSIDE_ALLOWED"]
says = ["src/lib.py"]
"""

import os

from hostile import ROOT, left

OWN = os.path.dirname(os.path.abspath(__file__))


def write(path, text):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w", encoding="ascii") as file:
        file.write(text)


write(f"{ROOT}/src/lib.ignored", "return 5")
write(f"{ROOT}/tests/test_area.ignored", "")
os.rename(f"{ROOT}/src/lib.py", f"{ROOT}/src/lib.py.ignored")
write(f"{ROOT}/src/lib.py", "def area(side):\n    return 5\n")
left()
