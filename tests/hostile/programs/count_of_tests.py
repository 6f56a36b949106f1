"""threat = "a number of tests that Python refuses to read"
section = "inputs and evidence"
holds = "acceptance"
checks = ['''python -c "print('Ran', '9' * 5000, 'tests in 1s')"; true -m unittest''']
weaken = "counts-tests"
ends = ["CHECK_RAN_NO_TEST"]
says = ["ran no test"]
"""

from hostile import left

left()
