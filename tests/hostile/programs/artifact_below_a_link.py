"""threat = "a folder of artifacts that is a link"
section = "artifacts"
holds = "judge"
artifacts = {required = ["out/**"]}
scope = {allowed_paths = ["src/"]}
ends = ["LINK_ESCAPES"]
weaken = "reads-artifacts"
"""

import os

from hostile import fact, left

OWN = os.path.dirname(os.path.abspath(__file__))
os.makedirs(f"{OWN}/out", exist_ok=True)
os.rmdir(f"{OWN}/out")
os.symlink(fact("place"), f"{OWN}/out")
left()
