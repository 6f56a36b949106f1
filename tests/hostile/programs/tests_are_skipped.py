"""threat = "tests that are all skipped"
section = "inputs and evidence"
holds = "acceptance"
checks = ["python -m unittest discover -s tests"]
weaken = "same-folder"
ends = ["CHECK_RAN_NO_TEST"]
scope = {allowed_paths = ["tests/"]}
"""

import os

from hostile import ROOT, left

OWN = os.path.dirname(os.path.abspath(__file__))


def write(path, text):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w", encoding="ascii") as file:
        file.write(text)


write(
    f"{ROOT}/tests/test_area.py",
    "import unittest\n\n\n@unittest.skip(str())\nclass Area(unittest.TestCase):\n    def"
    " test_area(self):\n        self.fail()\n",
)
left()
