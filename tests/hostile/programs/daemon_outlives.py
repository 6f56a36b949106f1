"""threat = "a daemon in a session of its own outlives its command"
section = "processes and limits"
holds = "no_survivors"
weaken = "outside"
steps = 2
"""

import os
import signal
import time

from hostile import TURN, escaped, held, say

BEAT = f"{os.path.dirname(__file__)}/beat"


def live():
    for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
        signal.signal(number, signal.SIG_IGN)
    for _ in range(400):
        with open(BEAT, "a", encoding="ascii") as file:
            file.write(".")
        time.sleep(0.02)
    os._exit(0)


if TURN == "1":
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            live()
        os._exit(0)
    os.wait()
    while not os.path.exists(BEAT):
        time.sleep(0.01)
    say("LEFT")
    os._exit(0)
before = os.path.getsize(BEAT)
time.sleep(0.5)
after = os.path.getsize(BEAT)
os.unlink(BEAT)
if after != before:
    escaped("the daemon still writes")
held()
