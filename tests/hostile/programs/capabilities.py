"""threat = "a capability that was left, or can be had back"
section = "processes and limits"
holds = "syscalls_filtered"
weaken = "capable"
"""

import ctypes
import struct

from hostile import call, escaped, fact, held, process_told

VERSION = 0x20080522
IN_BOUNDS, NO_NEW_PRIVILEGES, AMBIENT, IS_SET = 23, 39, 47, 1

header = ctypes.create_string_buffer(struct.pack("Ii", VERSION, 0))
told = ctypes.create_string_buffer(24)
if call("capget", header, told)[0] != 0 or any(told.raw):
    escaped("effective, permitted, inheritable:", told.raw.hex())
# Where they cannot be narrowed they bound nothing, as long as no program gives a privilege.
if process_told(NO_NEW_PRIVILEGES) != 1:
    escaped("new privileges")
narrowed = not fact("keeps_bounds")
kept = [number for number in range(64) if narrowed and process_told(IN_BOUNDS, number) > 0]
kept += [number for number in range(64) if process_told(AMBIENT, IS_SET, number) > 0]
if kept:
    escaped("in bounds or ambient:", kept)
wanted = ctypes.create_string_buffer(struct.pack("6I", *([0xFFFFFFFF] * 6)))
if call("capset", header, wanted)[0] != -1:
    escaped("capset")
held()
