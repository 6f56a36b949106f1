"""threat = "a credential stands where the output is cut"
section = "secrets and authority"
holds = "redactor"
weaken = "prints"
ends = ["LIMIT_OUTPUT"]
"""

import os
import sys
import time

from hostile import left

OWN = os.path.dirname(os.path.abspath(__file__))
KEY = "AKIA" + "Z7QX3M2K" + "V5T4N6PR"
for _ in range(1023):
    sys.stdout.write("x" * 1023 + "\n")
sys.stdout.write("x" * 1010 + KEY + "\n" + "x" * 4096)
sys.stdout.flush()

time.sleep(2)
left()
