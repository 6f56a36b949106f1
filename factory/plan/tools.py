"""Identify host commands as a sandbox would find them: version and digest.

Searches the sandbox's own PATH only. A tool is asked its version by `NAME --version` inside a
sandbox, once per digest: a contract names it, so it must not run outside one.
"""

from __future__ import annotations

import json
import platform
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from factory.files import fs_guard
from factory.sandbox.python_env import find_interpreter

if TYPE_CHECKING:
    from factory.model.action import ToolRecord

SYSTEM_PATH = "/usr/local/bin:/usr/bin:/bin"


class HostTools:
    """Identify tools of this host. `interpreter` is another Python for packs; "" for the
    orchestrator's own. `ask` returns what a tool says of its version, None where it cannot be
    asked now.
    """

    def __init__(self, file: Path, ask: Callable[[str], str | None], interpreter: str = "") -> None:
        self._file = file
        self._ask = ask
        self._interpreter = interpreter

    def identify(self, name: str) -> ToolRecord | None:
        """Return the tool's record, or None if a sandbox would not find it."""
        from factory.model.action import ToolRecord

        path = find_tool(name, self._interpreter)
        if path is None:
            return None
        digest = fs_guard.sha256_file(path)
        return ToolRecord(name=name, version=self._version(name, digest), sha256=digest)

    def _version(self, name: str, digest: str) -> str:
        if name in ("python", "python3") and not self._interpreter:
            return platform.python_version()
        known = self._known()
        if digest not in known:
            said = self._ask(name)
            if said is None:
                return ""
            known = {**known, digest: said}
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
        python = find_interpreter(interpreter) if interpreter else Path(sys.executable)
        return python.resolve() if python is not None and python.is_file() else None
    own_folder = Path(sys.executable).parent
    found = shutil.which(name, path=f"{own_folder}:{SYSTEM_PATH}") if "/" not in name else None
    return Path(found).resolve() if found else None
