"""threat = "commands to the CI that shows the log"
section = "inputs and evidence"
holds = "escaping"
ends = ["STEP_FAILED"]
weaken = "prints-raw"
"""

import os

from hostile import say

for line in (
    "::set-output name=verdict::PASS",
    "::add-mask::x",
    "::error file=dodo.py::gone",
    "::stop-commands::x",
    "##[section]x",
    "##vso[task.setvariable variable=x]y",
):
    say(line)
say("::set-env name=PATH::/tmp")
os._exit(3)
