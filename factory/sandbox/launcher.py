"""Run the warm helper: started once by the orchestrator, it forks a supervisor per stage, one
ahead.

Started as `python -I -S launcher.py FD` before threads and heavy imports, so that a fork is
cheap and safe. Stdlib only. When the orchestrator's end of the socket hangs up, it exits,
and the kernel ends every supervisor and all that runs below. Does not know what a stage is.
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import os
import signal
import socket
import sys

if (
    __name__ == "__main__"
):  # isolated start: only the standard library is on the path, and comes first
    _here = os.path.abspath(__file__)
    sys.path.append(_here.removesuffix("/factory/sandbox/launcher.py"))

from factory.sandbox import supervisor, wire


def serve(link: socket.socket) -> None:
    """Keep one spare supervisor waiting for the next request, until the orchestrator hangs up."""
    try:
        template, _ = wire.receive(link)
    except wire.HungUp:
        return
    importlib.import_module(template["inside"])  # once, and not again in each fork
    while _spare_was_taken(link, template):
        _bury_the_dead()


def _spare_was_taken(link: socket.socket, template: wire.Message) -> bool:
    """Fork a spare and wait until it has taken a request (True) or ended without one."""
    reading, writing = os.pipe()
    if os.fork() == 0:
        _be_spare(link, template, writing)
    os.close(writing)
    taken = os.read(reading, 1) == b"t"
    os.close(reading)
    return taken


def _be_spare(link: socket.socket, template: wire.Message, writing: int) -> None:
    code = 1
    try:
        supervisor.supervise(link, template, writing)
        code = 0
    finally:
        os._exit(code)  # never back into the launcher's loop, whatever happened


def _bury_the_dead() -> None:
    with contextlib.suppress(ChildProcessError):
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass


def main() -> None:
    """Serve on the inherited descriptor named by the first argument."""
    signal.signal(
        signal.SIGINT, signal.SIG_IGN
    )  # a person's Ctrl-C is the orchestrator's to answer
    signal.signal(
        signal.SIGCHLD, signal.SIG_DFL
    )  # ignored, the dead would vanish unseen and leave their numbers
    os.umask(0o022)
    gc.disable()  # nothing here makes cycles, and a collection in a fork would copy every page
    gc.freeze()
    os.chdir("/")
    with socket.socket(fileno=int(sys.argv[1])) as link:
        link.set_inheritable(False)
        serve(link)


if __name__ == "__main__":
    main()
