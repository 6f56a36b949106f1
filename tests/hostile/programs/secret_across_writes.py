"""threat = "a credential is printed in pieces, a letter at a time"
section = "secrets and authority"
holds = "redactor"
weaken = "prints"
"""

import os
import sys
import time

from hostile import left

OWN = os.path.dirname(os.path.abspath(__file__))
KEY = "AKIA" + "Z7QX3M2K" + "V5T4N6PR"

for letter in f"key {KEY}\n":
    sys.stdout.write(letter)
    sys.stdout.flush()
    time.sleep(0.01)
left()
