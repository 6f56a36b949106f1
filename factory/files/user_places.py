"""Where this user's own configuration lies, by the platform's convention. Does not know what is in
it.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from factory.model.names import CONFIG_FILE


def user_config_file() -> Path:
    """The user's own configuration file, by the platform's convention."""
    if sys.platform == "win32":
        base = Path(os.environ.get("APPDATA", Path.home() / "AppData" / "Roaming"))
    elif sys.platform == "darwin":
        base = Path.home() / "Library" / "Application Support"
    else:
        base = Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config")
    return base / "codex-orchestrator" / CONFIG_FILE
