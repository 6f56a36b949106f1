"""threat = "a file of the host outside the workspace is written"
section = "secrets and authority"
holds = "fs_write_scoped"
weaken = "outside"
"""

import os

from hostile import fact, held, refused

place = fact("place")
refused("append", os.open, fact("outside"), os.O_WRONLY | os.O_APPEND)
refused("create", os.open, f"{place}/home/created", os.O_WRONLY | os.O_CREAT)
refused("chmod", os.chmod, fact("outside"), 0o777)
refused("rename", os.rename, fact("outside"), f"{place}/elsewhere")
held()
