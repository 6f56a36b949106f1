"""Identify host commands as a sandbox would find them: version and digest.

Searches the sandbox's own PATH only. A tool is asked its version by `NAME --version` inside a
sandbox, once per digest: a contract names it, so it must not run outside one.
"""

from __future__ import annotations

import hmac
import json
import platform
import shutil
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from factory.files import fs_guard
from factory.sandbox.python_env import find_interpreter
from factory.sandbox.sealed import Seal, process_seal

if TYPE_CHECKING:
    from factory.model.action import ToolRecord

_SEAL = "seal"
_PYTHONS = ("python", "python3")
_INSTALLED = ("lib", "lib64", "share", "etc")  # what packs see of an environment
SYSTEM_PATH = "/usr/local/bin:/usr/bin:/bin"


class HostTools:
    """Identify tools of this host. `interpreter` is another Python for packs; "" for the
    orchestrator's own. `ask` returns what a tool says of its version, None where it cannot be
    asked now. What it said is kept in `file`, under `seal`.
    """

    def __init__(
        self,
        file: Path,
        ask: Callable[[str], str | None],
        interpreter: str = "",
        seal: Seal = process_seal,
    ) -> None:
        self._file = file
        self._ask = ask
        self._interpreter = interpreter
        self._seal = seal

    def identify(self, name: str) -> ToolRecord | None:
        """Return the tool's record, or None if a sandbox would not find it."""
        from factory.model.action import ToolRecord

        path = find_tool(name, self._interpreter)
        if path is None:
            return None
        digest = fs_guard.sha256_file(path)
        version = self._version(name, digest)
        if name in _PYTHONS and self.counts_packages:
            digest = self._with_packages(digest)
        return ToolRecord(name=name, version=version, sha256=digest)

    @property
    def counts_packages(self) -> bool:
        """Return whether the interpreter for packs was named and is outside /usr: then what is
        installed with it is part of its identity.
        """
        return self._folder() is not None

    def _folder(self) -> Path | None:
        found = find_interpreter(self._interpreter) if self._interpreter else None
        if found is None:
            return None
        folder = found.parent.parent
        if not (folder / "pyvenv.cfg").is_file():
            folder = found.resolve().parent.parent
        return None if folder.is_relative_to("/usr") else folder

    def _with_packages(self, digest: str) -> str:
        """Return a digest over the program and what is installed with it. Raise Refusal
        TOOL_MISSING where that cannot be read.
        """
        from factory.plan.host_folders import FolderNotShown, folder_digest
        from factory.strict import canonical

        folder = self._folder()
        if folder is None:
            return digest
        cache = self._file.with_name("interpreter.digests")
        try:
            installed = folder_digest(folder, _INSTALLED, cache, self._seal)
        except FolderNotShown as error:
            from factory.model.errors import Refusal
            from factory.model.finding import Finding

            facts = {"case": "interpreter", "tool": self._interpreter, "why": str(error)}
            raise Refusal(Finding("TOOL_MISSING", facts)) from error
        return canonical.digest([digest, installed])

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
                json.dumps({**known, _SEAL: self._seal_of(known)}, sort_keys=True).encode(),
                durable=False,
            )
        return known[digest]

    def _known(self) -> dict[str, str]:
        try:
            known = json.loads(self._file.read_bytes())
            seal = known.pop(_SEAL)
            sound = hmac.compare_digest(seal, self._seal_of(known))
        except (OSError, ValueError, TypeError, KeyError, AttributeError):
            return {}
        return known if sound else {}

    def _seal_of(self, known: Mapping[str, str]) -> str:
        return self._seal(self._file.name, json.dumps(known, sort_keys=True))


def find_tool(name: str, interpreter: str = "") -> Path | None:
    """Return the file that a sandbox would find for a name; None if there is none."""
    if name in ("python", "python3"):
        python = find_interpreter(interpreter) if interpreter else Path(sys.executable)
        return python.resolve() if python is not None and python.is_file() else None
    own_folder = Path(sys.executable).parent
    found = shutil.which(name, path=f"{own_folder}:{SYSTEM_PATH}") if "/" not in name else None
    return Path(found).resolve() if found else None
