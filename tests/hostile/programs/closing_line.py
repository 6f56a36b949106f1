"""threat = "a line that is the start of a runner's last word a hundred thousand times"
section = "inputs and evidence"
holds = "acceptance"
checks = ['''python -c "print('1 passed ' * 100000)"; true pytest''']
weaken = "searches-the-log"
warns = ["TESTS_NOT_COUNTED"]
says = ["nothing says whether it ran a test"]
"""

from hostile import left

left()
