"""threat = "a credential of the host is printed in another form"
section = "secrets and authority"
holds = "redactor"
weaken = "prints"
"""

import base64

from hostile import fact, left, say

KNOWN = fact("mark_reversed")[::-1]
for form in (
    KNOWN,
    base64.b64encode(KNOWN.encode()).decode(),
    base64.urlsafe_b64encode(f"id={KNOWN}".encode()).decode(),
    KNOWN.encode().hex(),
    "".join(f"%{ord(char):02X}" for char in KNOWN),
):
    say("it is", form)
left()
