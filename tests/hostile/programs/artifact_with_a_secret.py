"""threat = "a credential in an artifact"
section = "artifacts"
holds = "redactor"
artifacts = {required = ["out/**"]}
scope = {allowed_paths = ["src/"]}
ends = ["SECRET_IN_ARTIFACT"]
weaken = "reads-artifacts"
"""

import os

from hostile import left

OWN = os.path.dirname(os.path.abspath(__file__))
os.makedirs(f"{OWN}/out", exist_ok=True)
with open(f"{OWN}/out/report.txt", "w", encoding="ascii") as file:
    file.write("key AKIA" + "QRSTUVWXYZ234567"[:16] + "\n")
left()
