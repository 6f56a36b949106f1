"""threat = "a computation that never ends"
section = "processes and limits"
holds = "time_bounded"
weaken = "unlimited"
ends = ["LIMIT_TIME"]
limits = {timeout = "1s"}
"""

import time

from hostile import escaped

end = time.monotonic() + 4
while time.monotonic() < end:
    pass
escaped("it was never ended")
