"""threat = "a line that is the start of a runner's last word a hundred thousand times"
section = "inputs and evidence"
holds = "acceptance"
checks = ['''python -c "print('1 passed ' * 100000)"; true pytest''']
weaken = "searches-the-log"
ends = ["CHECK_RAN_NO_TEST"]
says = ["ran no test"]
"""

from hostile import left

left()
