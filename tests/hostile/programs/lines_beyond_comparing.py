"""threat = "more lines than anybody should compare"
section = "git and tree"
holds = "judge"
weaken = "git-takes"
ends = ["CHANGE_TOO_LARGE"]
says = ["at least 250000 lines were changed"]
"""

import os

from hostile import left

OWN = os.path.dirname(os.path.abspath(__file__))

with open(f"{OWN}/long.txt", "w", encoding="ascii") as file:
    file.write("x\n" * 250_000)
left()
