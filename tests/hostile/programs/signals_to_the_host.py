"""threat = "a signal to a process of the host"
section = "processes and limits"
holds = "no_survivors"
weaken = "processes"
"""

import os
import signal

from hostile import fact, held, refused

refused("look", os.kill, fact("process"), 0)
refused("signal", os.kill, fact("process"), signal.SIGUSR1)
refused("group", os.killpg, fact("process"), signal.SIGUSR1)
held()
