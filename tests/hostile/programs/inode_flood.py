"""threat = "names without end, each of an empty file"
section = "processes and limits"
holds = "disk_bounded"
weaken = "unlimited"
ends = ["LIMIT_DISK"]
"""

import os

from hostile import escaped

OWN = os.path.dirname(__file__)
try:
    for number in range(9000):
        os.close(os.open(f"{OWN}/{number}", os.O_CREAT | os.O_WRONLY))
except OSError:
    os._exit(9)
for number in range(9000):
    os.unlink(f"{OWN}/{number}")
escaped("9000 files")
