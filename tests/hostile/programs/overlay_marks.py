"""threat = "marks with which an overlay hides files, made by hand"
section = "git and tree"
holds = "judge"
weaken = "outside"
"""

import os

from hostile import ROOT, held, refused

OWN = os.path.dirname(os.path.abspath(__file__))
os.mkdir(f"{OWN}/d")
for name in ("trusted.overlay.opaque", "trusted.overlay.redirect"):
    refused(name, os.setxattr, f"{OWN}/d", name, b"y")
for path in (f"{OWN}/d", f"{ROOT}/src"):
    for name in ("opaque", "redirect", "whiteout", "metacopy"):
        try:
            os.setxattr(path, f"user.overlay.{name}", b"y")
        except OSError:
            continue
refused("a whiteout", os.mknod, f"{OWN}/d/gone", 0o020000, os.makedev(0, 0))
os.rmdir(f"{OWN}/d")
held()
