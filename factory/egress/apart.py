"""Make a call that knows no bound (a look-up, a connect) in a thread of its own, and wait for it no
longer than one.

What the call gives when nobody waits any more is handed to `unwanted`. Does not know what is
called.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Generic, TypeVar

Found = TypeVar("Found")


class Apart(Generic[Found]):
    """Run one call in a thread of its own, so that the caller can stop waiting for it.

    The call may raise OSError.
    """

    def __init__(self, call: Callable[[], Found], unwanted: Callable[[Found], None]) -> None:
        self._call, self._unwanted = call, unwanted
        self._changed = threading.Condition()
        self._found: list[Found] = []
        self._problem: OSError | None = None
        self._left = False
        threading.Thread(target=self._ask, name="egress-ask", daemon=True).start()

    def wait(self, seconds: float) -> Found:
        """Return what the call gave. Raise OSError as it does, and where it took too long or
        `leave` was called.
        """
        with self._changed:
            self._changed.wait_for(lambda: self._found or self._problem or self._left, seconds)
            if self._found:
                return self._found[0]
            self._left = True
            raise self._problem or TimeoutError("no answer in time")

    def leave(self) -> None:
        """End the wait, from any thread."""
        with self._changed:
            self._left = True
            self._changed.notify()

    def _ask(self) -> None:
        try:
            found = self._call()
        except (OSError, ValueError) as error:
            with self._changed:
                self._problem = error if isinstance(error, OSError) else OSError(str(error))
                self._changed.notify()
            return
        with self._changed:
            if not self._left:
                self._found.append(found)
                self._changed.notify()
                return
        self._unwanted(found)
