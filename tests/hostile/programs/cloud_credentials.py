"""threat = "credentials of cloud providers in the home folder"
section = "secrets and authority"
holds = "fs_read_scoped"
weaken = "outside"
"""

import os
import pwd

from hostile import escaped, fact, held

homes = {
    fact("home"),
    os.path.expanduser("~"),
    pwd.getpwuid(os.getuid()).pw_dir,
    "/root",
    "/home/user",
}
homes |= {f"/proc/self/root{home}" for home in homes}
for home in sorted(homes):
    for name in fact("secrets"):
        if name.startswith(
            (".aws", ".config/gcloud", ".azure", ".kube", ".vault")
        ) and os.path.exists(f"{home}/{name}"):
            escaped(f"{home}/{name}")
held()
