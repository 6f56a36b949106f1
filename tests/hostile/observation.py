"""What a scene left, made once for a whole test run, whoever asks first, and read by everybody
else.

Knows how scenes are started and shared between xdist's workers. Judges nothing.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from filelock import FileLock

from tests.sandbox_kit import ORDINARY_ID

ROOT = Path(__file__).parents[2]
SECONDS = 1800


def observed(shared: Path, user: str, backend: str, sample: str) -> dict[str, Any]:
    """The observation of one scene; `shared` is a folder that all workers of this test run have in
    common.
    """
    kept = shared / f"hostile-{user}-{backend}-{sample}.json"
    with FileLock(f"{kept}.lock"):
        if not kept.exists():
            kept.write_text(_played(user, backend, sample), "utf-8")
    return json.loads(kept.read_text("utf-8"))


def _played(user: str, backend: str, sample: str) -> str:
    """Play one scene in a process and a folder of its own, which is gone afterwards."""
    with tempfile.TemporaryDirectory(prefix="hostile-") as folder:
        place = Path(folder)
        place.chmod(0o755)
        if user == "ordinary":
            os.chown(place, ORDINARY_ID, ORDINARY_ID)
        words = [sys.executable, "-m", "tests.hostile.scene", user, backend, sample, folder]
        done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, timeout=SECONDS)
        found = place / "observed.json"
        if done.returncode != 0 or not found.exists():
            return json.dumps({"broken": done.stdout[-3000:] + done.stderr[-5000:]})
        return found.read_text("utf-8")


def shared_folder(own: Path) -> Path:
    """The folder above those of xdist's workers, or the only one."""
    return own.parent if "PYTEST_XDIST_WORKER" in os.environ else own
