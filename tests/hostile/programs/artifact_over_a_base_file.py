"""threat = "an artifact that overwrites a file of the base"
section = "artifacts"
holds = "judge"
artifacts = {required = ["/docs/**"]}
scope = {allowed_paths = ["src/"]}
ends = ["SCOPE_OUTSIDE_ALLOWED"]
says = ["docs/index.md"]
weaken = "git-takes"
"""

import os

from hostile import left

OWN = os.path.dirname(os.path.abspath(__file__))
os.makedirs(f"{OWN}/out", exist_ok=True)
with open(f"{OWN}/../../src/../docs/index.md", "w", encoding="ascii") as file:
    file.write("changed\n")
with open(f"{OWN}/out/x", "w", encoding="ascii") as file:
    file.write("x")
left()
