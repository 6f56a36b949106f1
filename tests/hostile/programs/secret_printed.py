"""threat = "a credential is printed"
section = "secrets and authority"
holds = "redactor"
weaken = "prints"
"""

import os

from hostile import left, say

OWN = os.path.dirname(os.path.abspath(__file__))
KEY = "AKIA" + "Z7QX3M2K" + "V5T4N6PR"
say("aws_access_key_id =", KEY)
left()
