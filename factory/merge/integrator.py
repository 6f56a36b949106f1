"""Run the integrator: our own code in a confined child process, which answers by files in its
folder.

Gives the child a scrubbed environment and no input but the run folder; what it printed is only ever
shown, never parsed.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from factory.files import fs_guard
from factory.git.ports import Repository
from factory.judge.path_guard import display
from factory.model.errors import Refusal
from factory.model.finding import Finding
from factory.model.layout import INTEGRATOR

MODULE = "factory.merge.z_process"
_SECONDS = 3600  # a hanging child must not hang the run
# pydantic loads installed plugins by default: none may take part in reading evidence.
_ENVIRONMENT = {
    "PATH": "/usr/local/bin:/usr/bin:/bin",
    "LANG": "C.UTF-8",
    "TZ": "UTC",
    "PYDANTIC_DISABLE_PLUGINS": "__all__",
}
_LONGEST = 400  # characters of its last line in a finding

Confine = Callable[[Path, list[str]], list[str]]


class IntegratorProcess:
    """Run role Z for one repository. `confine` wraps the command so that only the run folder is
    writable.
    """

    def __init__(self, repository: Repository, confine: Confine) -> None:
        self._repository = repository
        self._confine = confine

    def merge(self, run_folder: Path, packs: tuple[str, ...]) -> bytes:
        """Run Z on these packs of the plan in `run_folder`; return its MERGE.json.

        Raise Refusal INTEGRATOR_FAILED, or what `confine` raises.
        """
        place = fs_guard.make_folder(run_folder / INTEGRATOR)
        scratch = run_folder / INTEGRATOR.scratch
        fs_guard.remove_tree(scratch)
        fs_guard.make_folder(scratch)
        repository = self._repository
        words = json.dumps(
            {
                "run_folder": str(run_folder),
                "packs": " ".join(packs),
                "scratch": str(scratch),
                "root": str(repository.root),
                "git_dir": str(repository.git_dir),
                "common_dir": str(repository.common_dir),
                "hash_name": repository.hash_name,
                "base_ref": repository.base_ref,
                "commit": repository.commit,
                "branch": repository.branch,
                "shallow": repository.shallow,
            }
        )
        argv = self._confine(run_folder, [sys.executable, "-I", "-m", MODULE, words])
        try:
            done = subprocess.run(
                argv,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                env=_ENVIRONMENT,
                timeout=_SECONDS,
                check=False,
            )
        except subprocess.TimeoutExpired as error:
            raise _failed(f"it ran longer than {_SECONDS} seconds") from error
        except OSError as error:
            raise _failed(f"it could not be started: {error.strerror}") from error
        finally:
            fs_guard.remove_tree(scratch)
        if done.returncode != 0:
            lines = [
                line for line in done.stdout.decode("utf-8", "replace").splitlines() if line.strip()
            ]
            said = display(lines[-1])[:_LONGEST] if lines else "nothing"
            raise _failed(f"it ended with {done.returncode} and said: {said}")
        try:
            for made in place.iterdir():
                if made.is_file() and not made.is_symlink():
                    made.chmod(0o644)  # in some confinements it cannot set modes itself
            return (run_folder / INTEGRATOR.merge).read_bytes()
        except OSError as error:
            raise _failed(
                f"it ended well, and its {INTEGRATOR.merge} cannot be read: {error.strerror}"
            ) from error


def _failed(what: str) -> Refusal:
    return Refusal(Finding("INTEGRATOR_FAILED", {"case": "result", "problem": what}))
