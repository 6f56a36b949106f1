"""threat = "a pipe in place of an artifact"
section = "artifacts"
holds = "judge"
artifacts = {required = ["out/**"]}
scope = {allowed_paths = ["src/"]}
ends = ["ARTIFACT_UNSAFE", "FILE_SPECIAL"]
says = ["report.txt"]
weaken = "reads-artifacts"
"""

import os

from hostile import left

OWN = os.path.dirname(os.path.abspath(__file__))
os.makedirs(f"{OWN}/out", exist_ok=True)
os.mkfifo(f"{OWN}/out/report.txt")
left()
