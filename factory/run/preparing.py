"""Prepare an environment: run its commands in a sandbox over its inputs alone, keep its outputs.

The network is that of packs: a recording proxy, exact hosts. What the commands left is read when
every process is dead, by the scanner that reads packs. Does not know who asked, nor which packs
need it.
"""

from __future__ import annotations

import hashlib
import posixpath
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from factory.egress.connection import Connection
from factory.files import fs_guard
from factory.judge.path_guard import display
from factory.judge.scope import compile_patterns
from factory.model.card import Progress
from factory.model.environment import DeclaredEnvironment
from factory.model.pack import Limits
from factory.model.scanned import ScannedLayer
from factory.model.tree import MODE_EXECUTABLE, MODE_LINK, Tree
from factory.plan.environments import EnvironmentStore, KeptFile, Prepared
from factory.plan.stages import PackView
from factory.redact.redaction import Stream
from factory.run.attempt import Machine
from factory.sandbox.values import CommandSpec, Ended

# What is the same in every sandbox: a link may lead there, and nowhere else out of the workspace.
_CONSTANT = ("/usr/", "/bin/", "/lib/", "/lib64/", "/sbin/", "/opt/python/", "/opt/venv/")
_LAST_LINES = 5
_LONGEST = 240  # characters of them


@dataclass(frozen=True, slots=True)
class Preparation:
    """Describe how a preparation ended: `prepared`, or `why` not, one clause. `log` is what its
    commands printed, redacted.
    """

    prepared: Prepared | None
    why: str
    log: bytes
    connections: tuple[Connection, ...]


class _Unkeepable(Exception):
    """Report an output that cannot be kept: one clause."""


def prepare(
    machine: Machine,
    store: EnvironmentStore,
    declared: DeclaredEnvironment,
    key: str,
    inputs: Tree,
    limits: Limits,
) -> Preparation:
    """Run the commands of an environment over `inputs`, bounded by `limits`, and keep the outputs
    under `key`. Raise Refusal where no sandbox can be opened, or the disk takes no more.
    """
    machine.objects.write_tree(inputs)
    hosts = declared.network.shown
    reach = machine.cloud.reach_to(hosts, limits) if hosts else None
    name = f"environment-{declared.name}"
    stage = machine.sandbox.open(PackView(inputs, inputs), limits, name, reach)
    progress: Progress = machine.progress
    log, connections = bytearray(), list[Connection]()
    draft = store.draft()
    try:
        end = machine.clock.monotonic() + limits.timeout
        for number, command in enumerate(declared.prepare, 1):
            label = f"prepare-{number}"
            left = max(0.05, end - machine.clock.monotonic())
            progress.command_started(name, label, command, left)
            shown = partial(_show, progress, name, Stream(machine.redactor))
            spec = CommandSpec(command, declared.cwd, (), left, limits.output)
            outcome = stage.run(spec, shown)
            progress.command_ended(name, label, outcome.rc)
            connections += stage.connections()
            said = machine.redactor.redact(outcome.log, cut=True).content
            log += f"$ {command}\n".encode() + said
            if outcome.rc or outcome.ended is not Ended.EXITED:
                how = f"ended with {outcome.rc}"
                if outcome.ended is not Ended.EXITED:
                    how = f"was ended: {outcome.ended.value}"
                why = f"command {number} {how}{_last(said)}"
                return Preparation(None, why, bytes(log), tuple(connections))
        contents = _Contents(draft, machine.objects.hash_name)
        layer = stage.scan(contents.take)
        files = tuple(_kept(declared, layer, contents))
        made = store.keep(declared, key, files, machine.clock.utc())
        return Preparation(made, "", bytes(log), tuple(connections))
    except _Unkeepable as error:
        return Preparation(None, str(error), bytes(log), tuple(connections))
    finally:
        stage.close()
        fs_guard.remove_tree(draft)


def _show(progress: Progress, name: str, shown: Stream, chunk: bytes) -> None:
    progress.command_output(name, shown.feed(chunk))


def _last(log: bytes) -> str:
    """Return the last lines of a log as the end of a sentence, whole lines where they are short."""
    kept: list[str] = []
    for line in reversed(log.decode("utf-8", "replace").splitlines()):
        text = line.strip()
        if len(kept) == _LAST_LINES or sum(map(len, kept)) + len(text) > _LONGEST:
            break
        kept += [text] if text else []
    if not kept:
        kept = [log.decode("utf-8", "replace").strip()[-_LONGEST:]]
    return f": {' / '.join(reversed(kept))}" if kept[0] else ""


class _Contents:
    """Keep the bytes of scanned files in a folder, by their Git ids, until they have a path."""

    def __init__(self, folder: Path, hash_name: str) -> None:
        self._folder, self._hash_name = folder, hash_name
        self._known: dict[str, tuple[str, int]] = {}

    def take(self, content: bytes) -> str:
        """Keep a file; return its blob id."""
        head = b"blob %d\0" % len(content)
        oid = hashlib.new(self._hash_name, head + content, usedforsecurity=False).hexdigest()
        if oid not in self._known:
            self._known[oid] = (hashlib.sha256(content).hexdigest(), len(content))
            (self._folder / oid).write_bytes(content)
        return oid

    def of(self, oid: str) -> tuple[Path, str, int]:
        """Return where a file's bytes are, their SHA-256 and their number."""
        digest, size = self._known[oid]
        return self._folder / oid, digest, size


def _kept(
    declared: DeclaredEnvironment, layer: ScannedLayer, contents: _Contents
) -> Iterator[KeptFile]:
    """Yield the files of the outputs. Raise _Unkeepable."""
    outputs = compile_patterns(declared.outputs)
    for odd in layer.oddities:
        if outputs.matches(odd.path) or odd.finding == "TREE_TOO_LARGE":
            raise _Unkeepable(f"{display(odd.path)} cannot be kept: {odd.what}")
    found = False
    for file in layer.files:
        if not outputs.matches(file.path):
            continue
        found = True
        content, digest, size = contents.of(file.leaf.oid)
        if file.leaf.mode == MODE_LINK:
            if _leads_out(file.path, file.link):
                where = f"{display(file.path)} leads out of the workspace, to {display(file.link)}"
                raise _Unkeepable(f"the link {where}")
            yield KeptFile(file.path, False, digest, size, None, file.link)
        else:
            yield KeptFile(file.path, file.leaf.mode == MODE_EXECUTABLE, digest, size, content)
    if not found:
        raise _Unkeepable(f"its commands made no file below {', '.join(declared.outputs)}")


def _leads_out(path: str, target: str) -> bool:
    """Return whether a link leads out of the workspace, other than to what every sandbox has."""
    whole = posixpath.normpath(posixpath.join("/workspace", posixpath.dirname(path), target))
    return not f"{whole}/".startswith(("/workspace/", *_CONSTANT))
