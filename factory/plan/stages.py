"""Open stages for phases: views of Git trees, scanned layers, recorded connections.

It alone joins the product and the libraries `sandbox` and `egress`: trees go in, scanned layers and
connections come out, and what they raise becomes findings. Does not know what a command means.
"""

from __future__ import annotations

import contextlib
import os
import shlex
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from factory.egress.connection import Connection
from factory.egress.proxy import Defective, EgressProxy
from factory.egress.reach import SYSTEM, Outside, Reach
from factory.git import scanner
from factory.git.merged_view import Collected, collect
from factory.git.narrowing import Visible, narrow
from factory.git.ports import Objects
from factory.git.view_files import copy_over
from factory.git.views import ViewStore
from factory.judge.scope import compile_patterns
from factory.model.errors import InternalError, Interrupted, Refusal
from factory.model.evidence import PlannedEnvironment
from factory.model.finding import Finding
from factory.model.findings.entry import Facts
from factory.model.scanned import ScannedLayer
from factory.model.tree import Tree
from factory.plan.environments import HOME_FOLDER, EnvironmentStore
from factory.sandbox.bubblewrap import SYSTEM_PATH, WORKSPACE
from factory.sandbox.ports import Person, Sandbox, Stage
from factory.sandbox.properties import Enforcement
from factory.sandbox.python_env import INSIDE_VENV
from factory.sandbox.values import (
    CommandOutcome,
    CommandSpec,
    Ended,
    ErrorKind,
    SandboxError,
    StageLimits,
)

# The finding and its case for what a sandbox refuses.
_REFUSALS = {
    ErrorKind.UNAVAILABLE: ("PROPERTY_MISSING", "sandbox"),
    ErrorKind.NO_TERMINAL: ("PROPERTY_MISSING", "terminal"),
    ErrorKind.INTERPRETER: ("TOOL_MISSING", "interpreter"),
    ErrorKind.DISK: ("DISK_UNWRITABLE", "write"),
}
_MIB = 1 << 20
_ASKING = StageLimits(10, memory=512 * _MIB, processes=64, disk=16 * _MIB, output=64 * 1024)
_LONGEST_VERSION = 200


@dataclass(frozen=True, slots=True)
class PackView:
    """Describe what a stage shows at /workspace: `tree`, as a shared base plus the difference to
    it.

    `base` is a tree whose read-only checkout is shared between stages; `tree` is the exact content.
    Both are complete and their objects are in the object store. `environments` lie over it. `files`
    are texts for this stage alone, by their paths below /run.
    """

    base: Tree
    tree: Tree
    environments: tuple[PlannedEnvironment, ...] = ()
    files: tuple[tuple[str, str], ...] = ()


class TreeView:
    """Implement the sandbox's `StageView` for one tree, from a store of checkouts; the folders
    `over` lie over it.
    """

    def __init__(self, views: ViewStore, shown: PackView, over: tuple[Path, ...] = ()) -> None:
        self._views, self._shown, self._over = views, shown, over

    @property
    def files(self) -> tuple[tuple[str, str], ...]:
        """Return texts for the stage, by their paths inside."""
        return self._shown.files

    def folders(self) -> tuple[Path, ...]:
        """Return the difference over the base's checkout. Raise as `ViewStore.base` does."""
        base = self._views.base(self._shown.base)
        layer = self._views.layer(self._shown.base, self._shown.tree)
        return (*self._over, base) if layer is None else (*self._over, layer, base)

    def copy(self, destination: Path) -> None:
        """Write a full checkout. Raise as `ViewStore.checkout` does."""
        self._views.checkout(self._shown.tree, destination)
        for folder in self._over:
            copy_over(folder, destination)


class PackSandbox:
    """Open stages for packs. `outside` is how those with network reach it; None: as this host
    does.
    """

    def __init__(
        self,
        sandbox: Sandbox,
        views: ViewStore,
        objects: Objects,
        outside: Outside | None = None,
        environments: EnvironmentStore | None = None,
    ) -> None:
        self.sandbox, self.views, self.objects = sandbox, views, objects
        self.environments = environments
        self._outside = outside

    def for_child(self, objects: Objects) -> PackSandbox:
        """Return the same for a forked child, with its own `objects`; what was measured stays
        valid.
        """
        views = ViewStore(objects, self.views.cache, self.views.owner)
        return PackSandbox(self.sandbox, views, objects, self._outside, self.environments)

    def measure(self, network: bool = False) -> Enforcement:
        """Return what the host enforces, with `network` also for a pack that has some. Raise
        Refusal TOOL_MISSING or DISK_UNWRITABLE.
        """
        with findings():
            return self.sandbox.measure(network)

    def open(
        self, view: PackView, limits: StageLimits, name: str, reach: Reach | None = None
    ) -> PackStage:
        """Open a fresh stage; with `reach` it has a proxy of its own, and no other network.

        Raise Refusal where the view cannot be made as declared, NETWORK_UNAVAILABLE where there
        can be no proxy.
        """
        proxy = EgressProxy(reach, self._outside or SYSTEM) if reach is not None else None
        shown = TreeView(self.views, view, self._folders_of(view))
        with findings(name, reach.hosts if reach is not None else ()):
            stage = self.sandbox.open(shown, limits, name, proxy)
        outputs = tuple(path for each in view.environments for path in each.outputs)
        return PackStage(stage, self.objects, proxy, outputs, _variables(view))

    def _folders_of(self, view: PackView) -> tuple[Path, ...]:
        """Return the trees of a view's environments. Raise Refusal ENVIRONMENT_NOT_PREPARED for
        one that is not here, ENVIRONMENT_OVERLAPS where the tree has something at an output.
        """
        folders = []
        for each in view.environments:
            patterns = compile_patterns(each.outputs)
            inside = next(narrow(view.tree, Visible(patterns, "", frozenset())).leaves(), None)
            if inside is not None:
                output = ", ".join(each.outputs)
                facts = {"case": "base", "name": each.name, "output": output, "path": inside[0]}
                raise Refusal(Finding("ENVIRONMENT_OVERLAPS", facts))
            store = self.environments
            if store is None or not store.folder(each.sha256).is_dir():
                why = "its tree is not in the state folder"
                facts = {"case": "absent", "name": each.name, "why": why}
                raise Refusal(Finding("ENVIRONMENT_NOT_PREPARED", facts))
            folders.append(store.folder(each.sha256))
        return tuple(folders)

    def version_of(self, tool: str) -> str | None:
        """Return the first line of `TOOL --version` inside a stage that shows nothing; "" if it has
        none, None where there is no stage to ask in.
        """
        nothing = Tree({}, self.objects.hash_name)
        line = f"{shlex.quote(tool)} --version"
        name = f"version-{os.getpid()}-{os.urandom(4).hex()}"
        try:
            stage = self.open(PackView(nothing, nothing), _ASKING, name)
            try:
                outcome = stage.run(CommandSpec(line, "", (), _ASKING.timeout, _ASKING.output))
            finally:
                stage.close()
        except (Refusal, InternalError):
            return None
        lines = outcome.log.decode("utf-8", "replace").splitlines()
        good = outcome.ended is Ended.EXITED and outcome.rc == 0
        return lines[0].strip()[:_LONGEST_VERSION] if lines and good else ""

    def integrator_argv(self, run_folder: Path, argv: list[str]) -> list[str]:
        """Return the words that run the integrator with nothing but `run_folder` writable. Raise
        Refusal PROPERTY_MISSING where nothing here does that.
        """
        with findings():
            return self.sandbox.integrator_argv(run_folder, argv)

    def close(self) -> None:
        """End every stage that is still open."""
        self.sandbox.close()


def _variables(view: PackView) -> tuple[tuple[str, str], ...]:
    """Return HOME and PATH where a view shows folders of the user's as its home."""
    if not any(each.kind == "host" for each in view.environments):
        return ()
    home = f"{WORKSPACE}/{HOME_FOLDER}"
    own = [f"{home}/{path}" for each in view.environments for path in each.path]
    return (("HOME", home), ("PATH", ":".join((*own, f"{INSIDE_VENV}/bin", *SYSTEM_PATH))))


class PackStage:
    """Run one pack's commands in its private view, until closed. What is written below `outputs`,
    which environments have, is no part of what it left. `variables` are for every command.
    """

    def __init__(
        self,
        stage: Stage,
        objects: Objects,
        proxy: EgressProxy | None,
        outputs: tuple[str, ...] = (),
        variables: tuple[tuple[str, str], ...] = (),
    ) -> None:
        self.variables = variables
        self._stage, self._objects, self._proxy = stage, objects, proxy
        self._outputs = compile_patterns(outputs)

    @property
    def networked(self) -> bool:
        """Return whether its commands have a proxy to the outside."""
        return self._proxy is not None

    def run(
        self, command: CommandSpec, on_output: Callable[[bytes], None] | None = None
    ) -> CommandOutcome:
        """Run one command to its end. Raise InternalError where the sandbox broke."""
        with findings():
            return self._stage.run(command, on_output)

    def converse(self, command: CommandSpec, person: Person) -> CommandOutcome:
        """Run one command at a terminal of the stage's own. Raise Refusal PROPERTY_MISSING where
        there can be none.
        """
        with findings():
            return self._stage.converse(command, person)

    def connections(self) -> tuple[Connection, ...]:
        """Return connections through the stage's proxy since the last call, all ended. No command
        may run. Raise InternalError where an interceptor failed.
        """
        if self._proxy is None:
            return ()
        try:
            return self._proxy.connections()
        except Defective as error:
            raise InternalError(str(error)) from error

    def freeze(self) -> ScannedLayer:
        """End every process, scan the layer, store every blob. No command can run afterwards."""
        return self.scan(self._objects.write_blob)

    def scan(self, store_blob: Callable[[bytes], str]) -> ScannedLayer:
        """End every process and scan the layer; the bytes of each file go to `store_blob`. No
        command can run afterwards.
        """
        with findings():
            layer = self._stage.freeze()
        return scanner.scan_layer(layer, store_blob, self._objects.hash_name, self._is_output)

    def _is_output(self, path: str) -> bool:
        outputs = self._outputs
        if not outputs.sources:
            return False
        return outputs.matches(path) or outputs.matches_all_below(path)

    def collect(self, patterns: Iterable[str]) -> tuple[Collected, ...]:
        """Read files of the view that match scope patterns, each once, without following links. No
        command can run afterwards.
        """
        with findings():
            layer = self._stage.freeze()
        return collect(layer, compile_patterns(tuple(patterns)))

    def close(self) -> None:
        """End every process and remove what they wrote. Idempotent."""
        with findings():
            self._stage.close()


@contextlib.contextmanager
def findings(pack: str = "", hosts: tuple[str, ...] = ()) -> Iterator[None]:
    """Turn what the sandbox raises into a Refusal with its finding, or into InternalError or
    Interrupted. `hosts` are what the pack declares of the network.
    """
    try:
        yield
    except SandboxError as error:
        raise _raised(error, pack, hosts) from error


def _raised(error: SandboxError, pack: str, hosts: tuple[str, ...]) -> Exception:
    if error.kind is ErrorKind.INTERRUPTED:
        return Interrupted(error.sentence)
    if error.kind is ErrorKind.NO_PROXY:
        why = error.facts["why"]
        facts: Facts = {"case": "host", "hosts": hosts, "why": why}
        return Refusal(Finding("NETWORK_UNAVAILABLE", facts, pack=pack))
    if error.kind in _REFUSALS:
        name, case = _REFUSALS[error.kind]
        return Refusal(Finding(name, {"case": case, **error.facts}))
    return InternalError(error.sentence)
