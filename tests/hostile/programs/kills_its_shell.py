"""threat = "the shell that would tell the exit code is killed"
section = "inputs and evidence"
holds = "acceptance"
ends = ["STEP_FAILED"]
weaken = "believes-the-log"
"""

import os
import signal
import time

from hostile import say

say("PASS")
for victim in (os.getppid(), 1):
    os.kill(victim, signal.SIGKILL)
time.sleep(2)
os._exit(3)
