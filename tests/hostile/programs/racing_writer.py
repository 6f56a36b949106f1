"""threat = "a writer races whoever reads the tree after the command has ended"
section = "processes and limits"
holds = "no_survivors"
weaken = "outside"
steps = 2
accepts = true
"""

import os
import time

from hostile import TURN, escaped, fact, held, say

OWN = os.path.dirname(os.path.abspath(__file__))


def race():
    for turn in range(2000):
        os.symlink(fact("outside"), f"{OWN}/next")
        os.replace(f"{OWN}/next", f"{OWN}/result")
        with open(f"{OWN}/next", "w", encoding="ascii") as file:
            file.write(str(turn))
        os.replace(f"{OWN}/next", f"{OWN}/result")
        time.sleep(0.002)


def look():
    return os.path.islink(f"{OWN}/result"), os.stat(
        f"{OWN}/result", follow_symlinks=False
    ).st_mtime_ns


if TURN == "1":
    if os.fork() == 0:
        os.setsid()
        race()
        os._exit(0)
    while not os.path.exists(f"{OWN}/result"):
        time.sleep(0.01)
    say("LEFT")
    os._exit(0)
if TURN == "2":
    for name in ("next", "result"):
        if os.path.lexists(f"{OWN}/{name}"):
            os.unlink(f"{OWN}/{name}")
    with open(f"{OWN}/result", "w", encoding="ascii") as file:
        file.write("settled")
    time.sleep(0.2)
first = look()
time.sleep(0.2)
if look() != first or first[0]:
    escaped("the result changes by itself")
held()
