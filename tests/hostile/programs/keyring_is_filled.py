"""threat = "a key is planted where other programs of the user look"
section = "secrets and authority"
holds = "syscalls_filtered"
weaken = "unfiltered"
"""

from hostile import filtered, held

filtered("add_key", b"user", b"planted", b"x", 1, -4)
filtered("request_key", b"user", b"planted", None, 0)
held()
