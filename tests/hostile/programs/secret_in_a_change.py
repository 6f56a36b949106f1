"""threat = "a credential in a file of the change"
section = "secrets and authority"
holds = "redactor"
weaken = "git-keeps-key"
ends = ["SECRET_IN_CHANGE"]
says = ["config.ini:2"]
"""

import os

from hostile import left

OWN = os.path.dirname(os.path.abspath(__file__))
KEY = "AKIA" + "Z7QX3M2K" + "V5T4N6PR"
with open(f"{OWN}/config.ini", "w", encoding="ascii") as file:
    file.write(f"[aws]\nkey = {KEY}\n")
left()
