"""threat = "markup that acts where a report is rendered"
section = "inputs and evidence"
holds = "escaping"
ends = ["STEP_FAILED"]
weaken = "prints-raw"
"""

import os

from hostile import say

say("```")
say(
    "<img src=x onerror=alert(1)> @everyone #1 [click](javascript:alert(1))",
    "![x](http://evil.example/x.png) ]]> --> | a | **PASS** <!--",
)
os._exit(3)
