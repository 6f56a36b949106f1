"""threat = "escape sequences in what a terminal shows"
section = "inputs and evidence"
holds = "escaping"
ends = ["STEP_FAILED"]
weaken = "prints-raw"
"""

import os

from hostile import say

say(
    "\x1b]0;title\x07\x1b]52;c;ZXZpbA==\x07\x1b]8;;http://evil.example\x07click\x1b]8;;\x07\x1b[2J\x1b[31mPASS\x1b[0m"
)
say("\x1b[1;1H\x9b2J\x90+q544e\x9c\rPASS \x08\x08\u202eSSAP\u202c \u200b")
os._exit(3)
