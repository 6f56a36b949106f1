"""Keep one stage: run its commands, leave no survivor.

A fork of the launcher, one per stage, made ahead of it: as a spare it prepares what all stages have
in common, then takes the next request off the launcher's socket. How a stage is made and a command
started is its backend's: the module that the template names as `inside`, which comes from the
orchestrator alone. When the orchestrator hangs up or the launcher dies, everything below dies. Only
a stage that may use the network gets a network namespace here, with a listener in it; any other
gets its own, empty one from bubblewrap. Stdlib only. Does not know what a command means, nor what
is in the layer.
"""

from __future__ import annotations

import importlib
import os
import signal
import socket
from typing import Any

from factory.sandbox import kernel, observe, wire
from factory.sandbox.command import bury

PROXY = ("127.0.0.1", 3128)
"""Where a stage with egress finds it: on its own loopback, the same on every host."""
BACKLOG = 128  # twice the connections that a stage may have open at once


def supervise(requests: socket.socket, template: wire.Message, taken: int) -> None:
    """Prepare as a spare, take one request, be its stage until asked to end.

    What comes with the request besides its own link is kept open until this process ends.
    `requests` and `taken` are this process's own copies: a byte is written to `taken` when a
    request was taken, so that the launcher makes the next spare. Nothing is written when the
    orchestrator hangs up first.
    """
    kernel.die_with_parent(signal.SIGKILL)
    os.setsid()
    problem = ""
    observer = observe.Observer(-1)
    inside = importlib.import_module(template["inside"])
    try:
        inside.prepare(template)
        observer = observe.Observer(observe.install(bytes.fromhex(template.get("observing", ""))))
    except OSError as error:
        problem = str(error)
    try:
        plan, descriptors = wire.receive(requests)
    except wire.HungUp:
        return
    os.write(taken, b"t")
    os.close(taken)
    requests.close()
    with socket.socket(fileno=descriptors[0]) as control:
        _serve(control, template | plan, inside, problem, observer)


def _serve(
    control: socket.socket,
    plan: wire.Message,
    inside: Any,
    problem: str,
    observer: observe.Observer,
) -> None:
    """Make the stage and run its commands until the orchestrator ends it or hangs up."""
    try:
        if problem:
            raise OSError(problem)
        layer = inside.open_stage(plan)
        listener = _listen() if plan["network"] else -1
    except OSError as error:
        wire.send(control, {"error": str(error)})
        return
    try:
        wire.send(control, {"ready": True}, [layer] if listener < 0 else [layer, listener])
        if listener >= 0:
            os.close(listener)
        while True:
            request, descriptors = wire.receive(control)
            if request["op"] == "stop":
                continue  # meant for a command that ended by itself in between
            if request["op"] == "end":
                bury()
                wire.send(control, {"ended": True})
                return
            try:
                command = inside.COMMAND(control, plan, request, descriptors, layer, observer)
                report = command.carry_out()
            except OSError as error:
                bury()
                wire.send(control, {"failed": str(error)})
                return
            wire.send(control, report)
    except wire.HungUp:
        bury()


def _listen() -> int:
    """Leave the host's network for an empty one with a loopback of its own; return a listener
    there, for the orchestrator.
    """
    kernel.unshare(kernel.NEW_NAMESPACE_NETWORK)
    kernel.bring_up_loopback()
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as listener:
        listener.bind(PROXY)
        listener.listen(BACKLOG)
        return listener.detach()
