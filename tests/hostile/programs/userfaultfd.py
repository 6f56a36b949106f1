"""threat = "page faults handled by the attacker, a help in races"
section = "processes and limits"
holds = "syscalls_filtered"
weaken = "unfiltered"
"""

import os

from hostile import filtered, held, refused

filtered("userfaultfd", 1)
refused("the device", os.open, "/dev/userfaultfd", os.O_RDWR)
held()
