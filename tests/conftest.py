"""What every test here is given: property tests that a slow machine does not fail, and signals that
arrive.

Where there is no POSIX, a module that is marked `linux` as a whole is not imported: it may import
what is not there.
"""

from __future__ import annotations

import gc
import os
import signal
from collections.abc import Generator
from pathlib import Path

import pytest
from hypothesis import settings

from tests.sample import examples
from tests.world import user_state

# What runs in this process writes annotations of its own only where a test asks for them.
os.environ.pop("GITHUB_ACTIONS", None)

# Nothing of what is kept for a user goes into the folder of whoever runs the tests.
os.environ["XDG_STATE_HOME"] = user_state()

# A quarter of what Hypothesis tries by itself: a run is one of many, and each tries others.
settings.register_profile("tests", examples(25))
settings.load_profile("tests")

# A shell, or nohup, starts what runs in its background with these ignored, and all that a test
# starts would inherit it.
signal.signal(signal.SIGINT, signal.default_int_handler)
for name in ("SIGQUIT", "SIGHUP"):
    if hasattr(signal, name):
        signal.signal(getattr(signal, name), signal.SIG_DFL)

WHOLLY_LINUX = "\npytestmark = pytest.mark.linux\n"


def pytest_ignore_collect(collection_path: Path) -> bool | None:
    """Whether a test module is left out here."""
    if os.name == "posix" or collection_path.suffix != ".py":
        return None
    return True if WHOLLY_LINUX in collection_path.read_text("utf-8") else None


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """Keep the garbage collector away from ten thousand tests and the modules around them, which
    stay until the end: going through them took a fifth of the unit tests' time.
    """
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.enable()
