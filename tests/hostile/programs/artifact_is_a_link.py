"""threat = "a link in place of an artifact"
section = "artifacts"
holds = "judge"
artifacts = {required = ["out/**"]}
scope = {allowed_paths = ["src/"]}
ends = ["ARTIFACT_UNSAFE"]
says = ["report.txt"]
weaken = "reads-artifacts"
"""

import os

from hostile import fact, left

OWN = os.path.dirname(os.path.abspath(__file__))
os.makedirs(f"{OWN}/out", exist_ok=True)
os.symlink(fact("outside"), f"{OWN}/out/report.txt")
left()
