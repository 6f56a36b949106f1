"""threat = "everything around it is stopped, so that nobody can end it"
section = "processes and limits"
holds = "time_bounded"
weaken = "terminator"
ends = ["LIMIT_TIME"]
limits = {timeout = "1s"}
"""

import os
import signal
import time

from hostile import escaped

signal.signal(signal.SIGTERM, signal.SIG_IGN)
os.kill(os.getppid(), signal.SIGSTOP)
end = time.monotonic() + 8
while time.monotonic() < end:
    time.sleep(0.1)
os.kill(os.getppid(), signal.SIGCONT)
escaped("it was never ended")
