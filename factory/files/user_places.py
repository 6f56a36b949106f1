"""Locate this user's own configuration, by the platform's convention. Does not know its content."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from factory.model.names import CONFIG_FILE


def user_config_file() -> Path:
    """Return the path of the user's own configuration file; it may not exist."""
    if sys.platform == "win32":
        base = Path(os.environ.get("APPDATA", Path.home() / "AppData" / "Roaming"))
    elif sys.platform == "darwin":
        base = Path.home() / "Library" / "Application Support"
    else:
        base = Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config")
    return base / "codex-orchestrator" / CONFIG_FILE
