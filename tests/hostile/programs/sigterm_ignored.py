"""threat = "a command that does not end when it is asked to"
section = "processes and limits"
holds = "time_bounded"
weaken = "terminator"
ends = ["LIMIT_TIME"]
limits = {timeout = "1s"}
"""

import signal
import time

from hostile import escaped

for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGALRM):
    signal.signal(number, signal.SIG_IGN)
end = time.monotonic() + 8
while time.monotonic() < end:
    time.sleep(0.1)
escaped("it was never ended")
