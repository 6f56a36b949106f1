"""threat = "artifacts that are all hole, and together larger than the memory"
section = "artifacts"
holds = "judge"
artifacts = {required = ["out/**"]}
scope = {allowed_paths = ["src/"]}
ends = ["ARTIFACT_UNSAFE", "TREE_TOO_LARGE"]
weaken = "sums-artifacts"
"""

import os

from hostile import left

OWN = os.path.dirname(os.path.abspath(__file__))
os.makedirs(f"{OWN}/out", exist_ok=True)
for number in range(160):
    with open(f"{OWN}/out/{number}", "wb") as file:
        file.truncate(15 << 20)
left()
