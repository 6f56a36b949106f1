"""threat = "a child that holds the output open when its parent is gone"
section = "processes and limits"
holds = "no_survivors"
weaken = "reads-to-the-end"
"""

import os
import time

from hostile import TURN, say

if TURN == "1" and os.fork() == 0:
    os.setsid()
    time.sleep(3)
    say("ESCAPED", "whoever read to the end has waited for it")
    os._exit(0)
say("HELD")
os._exit(0)
