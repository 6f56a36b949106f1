"""threat = "compiled code beside a source that did not change"
section = "inputs and evidence"
holds = "acceptance"
checks = ["python -m unittest discover -s tests"]
weaken = "same-folder"
ends = ["SCOPE_OUTSIDE_ALLOWED"]
says = ["__pycache__"]
"""

import importlib.util
import marshal
import os
import struct

from hostile import ROOT, left

OWN = os.path.dirname(os.path.abspath(__file__))


def write(path, text):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w", encoding="ascii") as file:
        file.write(text)


source = f"{ROOT}/src/lib.py"
code = compile("def area(side):\n    return 5\n", source, "exec")
status = os.stat(source)
head = importlib.util.MAGIC_NUMBER + struct.pack("<III", 0, int(status.st_mtime), status.st_size)
target = importlib.util.cache_from_source(source)
os.makedirs(os.path.dirname(target), exist_ok=True)
with open(target, "wb") as file:
    file.write(head + marshal.dumps(code))
left()
