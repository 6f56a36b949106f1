"""threat = "many files that are all hole, for whoever reads them"
section = "processes and limits"
holds = "disk_bounded"
weaken = "sums-files"
ends = ["TREE_TOO_LARGE"]
"""

import os

from hostile import left

OWN = os.path.dirname(os.path.abspath(__file__))
for number in range(160):
    with open(f"{OWN}/{number}", "wb") as file:
        file.truncate(15 << 20)
left()
