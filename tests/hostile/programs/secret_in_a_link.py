"""threat = "a credential in the target of a link"
section = "secrets and authority"
holds = "redactor"
weaken = "git-keeps-key"
ends = ["SECRET_IN_CHANGE"]
"""

import os

from hostile import left

OWN = os.path.dirname(os.path.abspath(__file__))
KEY = "AKIA" + "Z7QX3M2K" + "V5T4N6PR"
os.symlink(KEY, f"{OWN}/link")
left()
