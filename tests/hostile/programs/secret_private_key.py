"""threat = "a private key in a file of the change"
section = "secrets and authority"
holds = "redactor"
weaken = "git-keeps-key"
ends = ["SECRET_IN_CHANGE"]
"""

import os

from hostile import left

OWN = os.path.dirname(os.path.abspath(__file__))
KEY = "AKIA" + "Z7QX3M2K" + "V5T4N6PR"
with open(f"{OWN}/id", "w", encoding="ascii") as file:
    file.write(
        "-----BEGIN "
        "OPENSSH PRIVATE KEY-----\n"
        + "b3BlbnNzaC1rZXktdjEA" * 12
        + "\n-----END "
        + "OPENSSH PRIVATE KEY-----\n"
    )
left()
