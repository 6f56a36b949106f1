"""threat = "memory in many small System V segments, which no process's size shows"
section = "processes and limits"
holds = "memory_bounded"
weaken = "unfiltered"
limits = {memory = "64MiB"}
"""

from hostile import call, escaped, held

PRIVATE, CREATE, MOST, SMALL = 0, 0o1600, 16 << 20, 64 << 10
total = 0
for size in (256 << 20, SMALL, 4096):
    while total <= MOST:
        result, _ = call("shmget", PRIVATE, size, CREATE)
        if result == -1:
            break
        total += size
if total > MOST:
    escaped(total, "bytes")
held(total, "bytes")
