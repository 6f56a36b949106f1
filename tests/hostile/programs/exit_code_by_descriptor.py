"""threat = "an exit code written where the supervisor reads it"
section = "inputs and evidence"
holds = "env_scoped"
ends = ["STEP_FAILED"]
weaken = "outside"
"""

import os

from hostile import say

for number in range(3, 256):
    try:
        os.write(number, b'{"exit-code": 0}\n')
    except OSError:
        continue
    say("ESCAPED wrote to", number)
os._exit(3)
