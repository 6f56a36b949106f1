"""Identify host commands as a sandbox would find them: version and digest.

Searches the sandbox's own PATH only. Asks a tool its version by running `NAME --version` with an
empty environment, once per digest.
"""

from __future__ import annotations

import json
import platform
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from factory.files import fs_guard

if TYPE_CHECKING:
    from factory.model.evidence import ToolRecord

SYSTEM_PATH = "/usr/local/bin:/usr/bin:/bin"
_SECONDS = 10
_LONGEST = 200


class HostTools:
    """Identify tools of this host. `interpreter` is another Python for packs; "" for the
    orchestrator's own.
    """

    def __init__(self, file: Path, interpreter: str = "") -> None:
        self._file = file
        self._interpreter = interpreter

    def identify(self, name: str) -> ToolRecord | None:
        """Return the tool's record, or None if a sandbox would not find it."""
        from factory.model.evidence import ToolRecord

        path = find_tool(name, self._interpreter)
        if path is None:
            return None
        digest = fs_guard.sha256_file(path)
        return ToolRecord(name=name, version=self._version(name, path, digest), sha256=digest)

    def _version(self, name: str, path: Path, digest: str) -> str:
        if name in ("python", "python3") and not self._interpreter:
            return platform.python_version()
        known = self._known()
        if digest not in known:
            known = {**known, digest: _ask(path)}
            fs_guard.make_folder(self._file.parent)
            fs_guard.write_atomic(
                self._file,
                json.dumps(known, sort_keys=True).encode(),
                durable=False,
            )
        return known[digest]

    def _known(self) -> dict[str, str]:
        try:
            known = json.loads((self._file).read_bytes())
        except (OSError, ValueError):
            return {}
        return (
            {key: value for key, value in known.items() if isinstance(value, str)}
            if isinstance(known, dict)
            else {}
        )


def find_tool(name: str, interpreter: str = "") -> Path | None:
    """Return the file that a sandbox would find for a name; None if there is none."""
    if name in ("python", "python3"):
        return Path(interpreter or sys.executable).resolve()
    beside = Path(sys.executable).parent
    found = shutil.which(name, path=f"{beside}:{SYSTEM_PATH}") if "/" not in name else None
    return Path(found).resolve() if found else None


def _ask(path: Path) -> str:
    """Return the first line of `--version`; "" if the tool has none."""
    try:
        answer = subprocess.run(
            [str(path), "--version"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env={"PATH": SYSTEM_PATH, "LC_ALL": "C"},
            timeout=_SECONDS,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    lines = answer.stdout.decode("utf-8", "replace").splitlines()
    return lines[0].strip()[:_LONGEST] if lines and answer.returncode == 0 else ""
