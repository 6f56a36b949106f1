"""threat = "the terminal that the orchestrator was started from"
section = "secrets and authority"
holds = "env_scoped"
weaken = "outside"
"""

import os
import sys

from hostile import escaped, held

if any(os.isatty(number) for number in (0, 1, 2)) or sys.stdin.read(1):
    escaped("a terminal or its input")
try:
    os.close(os.open("/dev/tty", os.O_RDWR))
except OSError:
    held()
escaped("/dev/tty")
