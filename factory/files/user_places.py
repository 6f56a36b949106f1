"""Locate this user's own folders, by the platform's convention. Does not know their content."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from factory.model.names import CONFIG_FILE

NOT_CREDENTIALS = "not-credentials"
_NAME = "codex-orchestrator"
# Packs see these.
_SHOWN = frozenset(
    ("/usr", "/bin", "/sbin", "/lib", "/lib64", "/nix/store", sys.prefix, sys.base_prefix)
) - {"/"}


def user_config_file() -> Path:
    """Return the path of the user's own configuration file; it may not exist."""
    if sys.platform == "win32":
        base = Path(os.environ.get("APPDATA", Path.home() / "AppData" / "Roaming"))
    elif sys.platform == "darwin":
        base = Path.home() / "Library" / "Application Support"
    else:
        base = Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config")
    return base / _NAME / CONFIG_FILE


def not_credentials_file() -> Path:
    """Return the path of the user's list of values that are no credentials; it may not exist."""
    return user_config_file().parent / NOT_CREDENTIALS


def user_state_folder() -> Path:
    """Return the folder for what is remembered of this user's repositories; it may not exist."""
    if sys.platform == "win32":
        base = Path(os.environ.get("LOCALAPPDATA", Path.home() / "AppData" / "Local"))
    elif sys.platform == "darwin":
        return Path.home() / "Library" / "Caches" / _NAME
    else:
        base = Path(os.environ.get("XDG_STATE_HOME") or Path.home() / ".local/state")
    return base / _NAME


def why_not_private(place: Path, repository: Path | None) -> str:
    """Return why `place` is no place for a secret: the repository or a pack can see it; "" where
    it is one.
    """
    real = Path(os.path.realpath(place))
    if repository is not None and real.is_relative_to(os.path.realpath(repository)):
        return "lies inside the repository"
    if any(real.is_relative_to(folder) for folder in _SHOWN):
        return "lies where packs can see it"
    return ""


def has_a_place(folder: Path) -> bool:
    """Return True if a folder on the way to it exists below the top: a user without a home has
    `/nonexistent`.
    """
    return any(place.is_dir() for place in (folder, *folder.parents) if place != place.parent)
