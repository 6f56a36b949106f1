"""threat = "output without end"
section = "processes and limits"
holds = "output_bounded"
weaken = "unlimited"
ends = ["LIMIT_OUTPUT"]
"""

import sys

from hostile import escaped

for _ in range(300):
    sys.stdout.write(("x" * 1023 + "\n") * 10)
sys.stdout.flush()
escaped("three times what is allowed")
