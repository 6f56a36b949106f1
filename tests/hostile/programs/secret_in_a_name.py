"""threat = "a credential in the name of a file"
section = "secrets and authority"
holds = "redactor"
weaken = "git-keeps-key"
ends = ["SECRET_IN_CHANGE"]
"""

import os

from hostile import left

OWN = os.path.dirname(os.path.abspath(__file__))
KEY = "AKIA" + "Z7QX3M2K" + "V5T4N6PR"
with open(f"{OWN}/{KEY}.txt", "w", encoding="ascii") as file:
    file.write("x\n")
left()
