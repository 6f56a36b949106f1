"""threat = "files without end"
section = "processes and limits"
holds = "disk_bounded"
weaken = "unlimited"
ends = ["LIMIT_DISK"]
"""

import os

from hostile import escaped

OWN = os.path.dirname(__file__)
try:
    for number in range(48):
        with open(f"{OWN}/flood-{number}", "wb") as file:
            file.write(b"\0" * (1 << 20))
except OSError:
    os._exit(9)
escaped("48 MiB")
