"""threat = "a capability that was left, or can be had back"
section = "processes and limits"
holds = "syscalls_filtered"
weaken = "capable"
"""

import ctypes
import struct

from hostile import call, escaped, held

with open("/proc/self/status", encoding="ascii") as file:
    told = dict(line.rstrip("\n").split(":\t", 1) for line in file if ":\t" in line)
kept = {name: value for name, value in told.items() if name.startswith("Cap") and int(value, 16)}
if kept:
    escaped(kept)
header = ctypes.create_string_buffer(struct.pack("Ii", 0x20080522, 0))
wanted = ctypes.create_string_buffer(struct.pack("6I", *([0xFFFFFFFF] * 6)))
if call("capset", header, wanted)[0] != -1:
    escaped("capset")
held()
