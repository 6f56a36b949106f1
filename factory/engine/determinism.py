"""Run one pack twice, in two environments, and find the first divergence of what it left.

Rule: neither time is in the repository itself: both are in scratch repositories that borrow its
objects, by processes of their own. What was different between them is named, and so is what was
not. Wiring like `factory.engine.wiring`; the outcome is kept by `run.shown`.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from factory.contract.check import choose
from factory.contract.work_tree import FoundFile
from factory.engine import wiring
from factory.engine.divergence import Divergence, Sides, first_divergence
from factory.engine.pipeline import RepositoryPipeline
from factory.files import fs_guard
from factory.files.state_store import StateStore
from factory.files.user_places import user_config_file
from factory.git import scratch
from factory.git.git import search_path
from factory.model.action import ActionDocument, why_changed
from factory.model.config import Config
from factory.model.determinism import DeterminismRecord
from factory.model.errors import Refusal
from factory.model.evidence import StatusDocument
from factory.model.evidence_text import EvidenceError, parse_document, sha256
from factory.model.finding import Finding
from factory.model.layout import BUNDLES, IN_BUNDLE, STATE_FOLDER, BundleFolder, shown
from factory.model.names import AFTER_RUN_INDEX, AFTER_RUN_REVIEW, CONFIG_FILE, GRANTS_VARIABLE
from factory.model.tree import MODE_EXECUTABLE
from factory.run import other_conditions
from factory.run import shown as determinism
from factory.trust.grant_store import format_grants

_SIDES = Sides("here", "there")
_PREFIX = "twice-"
_MARGIN = 512 * 1024 * 1024
_SECONDS = 40 * 86_400
_GRACE = 20.0  # seconds between a polite request to stop and the end
_KERNEL = {
    "umask": "umask",
    "processors": "processors",
    "host_name": "host name",
    "uptime": "uptime",
    "memory": "file system",
}
_ALWAYS = (
    "checkout path",
    "order of writing",
    "workers",
    "home",
    "time zone",
    "language",
    "noise variables",
)


@dataclass(frozen=True, slots=True)
class Again:
    """Describe one pack that was run twice: its verdict, what the bundle weighs, where it diverges
    (None: nowhere).
    """

    pack: str
    status: str
    files: int
    bytes: int
    record: DeterminismRecord
    path: str
    divergence: Divergence | None


@dataclass(frozen=True, slots=True)
class Side:
    """Describe one of the two environments: a folder for everything, the repository in it, and how
    a process starts.
    """

    name: str
    top: Path
    repository: Path
    environment: dict[str, str]
    request: Mapping[str, object]
    workers: int
    backwards: bool = False

    @property
    def done(self) -> Path:
        """Return the file in which the kernel's answers are noted, one name a line."""
        return self.top / "done"


def run_twice(start: Path, name: str, announce: Callable[[str], None]) -> tuple[Again, ...]:
    """Run a pack, and what it depends on, twice; one row a pack up to the first that diverges.

    `announce` is given a line before each time. Raise UsageError for an unknown name, Refusal
    DETERMINISM_UNSHOWN, LOCKED, DISK_UNWRITABLE and with what is wrong with a contract.
    """
    pipeline = wiring.pipeline(start, {})
    try:
        entry, *_ = choose(pipeline.run.catalogue, (name,))
        if not entry.usable:
            raise Refusal(*(finding for finding in entry.findings if finding.blocks))
        packs = (*pipeline.run.planner.planned(entry.id).needs, entry.id)
        _refuse_outside_words(pipeline, packs)
        with pipeline.site.locks.take("run"), _sides(pipeline, packs) as sides:
            pipeline.site.locks.announce("run", "showing whether a pack is deterministic")
            for side in sides:
                announce(f"{side.name:<10} {side.repository}")
                _launch(pipeline, side, entry.name, entry.id)
            varied = _varied(sides)
            return tuple(_compared(pipeline, packs, sides, varied))
    finally:
        pipeline.site.sandbox.close()


def _refuse_outside_words(pipeline: RepositoryPipeline, packs: tuple[str, ...]) -> None:
    """Raise Refusal DETERMINISM_UNSHOWN for a pack whose result is a function of more than its
    action: of the network, or of how an earlier attempt failed.
    """
    for pack in packs:
        planned = pipeline.run.planner.planned(pack).pack
        if planned.constraints.network.declared:
            raise Refusal(Finding("DETERMINISM_UNSHOWN", {"case": "network"}, pack=pack))
        if planned.learn:
            raise Refusal(Finding("DETERMINISM_UNSHOWN", {"case": "learn"}, pack=pack))


@contextlib.contextmanager
def _sides(pipeline: RepositoryPipeline, packs: tuple[str, ...]) -> Iterator[tuple[Side, Side]]:
    """Both scratch repositories, gone afterwards whatever happens."""
    state = pipeline.site.store.root
    for left in state.glob(
        f"{_PREFIX}*"
    ):  # by one that was killed: the run lock is held, so nobody is at it
        fs_guard.remove_tree(left)
    own = tuple(_work_tree_files(pipeline))
    tops = [Path(tempfile.mkdtemp(prefix=_PREFIX, dir=state)) for _ in range(2)]
    try:
        needed = _MARGIN + 3 * scratch.weight(
            pipeline.site.repository, pipeline.site.repository.commit
        )
        passed = {
            name for pack in packs for name in pipeline.run.planner.planned(pack).pack.env_passed
        }
        sides = (_here(tops[0], passed), _there(tops[1], passed, needed))
        for side in sides:
            _lend(pipeline.site.config, side)
            fs_guard.make_folder(side.repository)
            scratch.borrow(
                pipeline.site.repository, pipeline.site.repository.commit, side.repository
            )
            ordered = reversed(own) if side.backwards else own
            scratch.put(
                side.repository, ((f.path, f.content, f.mode == MODE_EXECUTABLE) for f in ordered)
            )
        yield sides
    finally:
        for top in tops:
            fs_guard.remove_tree(top)


def _work_tree_files(pipeline: RepositoryPipeline) -> Iterator[FoundFile]:
    """Return what a plan reads from the work tree: packs, configuration and what Git ignores."""
    for path in (CONFIG_FILE, ".gitignore"):
        content = pipeline.site.work_tree.read(path)
        if content is not None:
            yield FoundFile(path, 0, content)
    for entry in pipeline.run.catalogue.entries:
        yield from (file for file in entry.files if not file.problem)


def _here(top: Path, passed: set[str]) -> Side:
    plain = {"TZ": "UTC", "LANG": "C.UTF-8", "LC_ALL": "C.UTF-8", "PYTHONHASHSEED": "1"}
    return Side("here", top, top / "a", _environment(plain, passed), {"umask": 0o022}, 2)


def _there(top: Path, passed: set[str], needed: int) -> Side:
    folder = top / "a longer way" / "to ä" / "b"
    home = top / "home"
    home.mkdir()
    other = {
        "TZ": "Pacific/Chatham", "LANG": "POSIX", "LC_ALL": "POSIX", "PYTHONHASHSEED": "4242",
        "HOME": str(home),
        "USER": "somebody", "LOGNAME": "somebody", "COLUMNS": "57", "TERM": "dumb",
        "GIT_AUTHOR_NAME": "Somebody",
        "CI": "true", "NOISE_OF_THERE": "x" * 4000, "SOURCE_DATE_EPOCH": "1",
    }  # fmt: skip
    memory = {"folder": str(folder), "bytes": needed, "back": shown(BUNDLES)}
    request = {
        "umask": 0o077, "processors": 1, "host_name": "there.example", "uptime": _SECONDS,
        "memory": memory,
    }  # fmt: skip
    return Side("there", top, folder, _environment(other, passed), request, 1, backwards=True)


def _environment(changes: Mapping[str, str], passed: set[str]) -> dict[str, str]:
    """This process's environment with changes, but for what a pack takes from it: that is part of
    its action.
    """
    dropped = (AFTER_RUN_INDEX, AFTER_RUN_REVIEW, "FACTORY_BASE_REF")
    kept = {name: value for name, value in os.environ.items() if name not in dropped}
    config = str(
        user_config_file().parent.parent
    )  # the user's settings are part of the action, too
    changed = {name: value for name, value in changes.items() if name not in passed}
    return {**kept, "PATH": search_path(Path("/")), "XDG_CONFIG_HOME": config, **changed}


def _lend(config: Config, side: Side) -> None:
    """Let a scratch repository have what the user granted to this one, and the policy commit, since
    both are known by its path and its refs.
    """
    grants = side.top / "user.grants"
    fs_guard.write_atomic(grants, format_grants(config.grants).encode(), durable=False)
    side.environment[GRANTS_VARIABLE] = str(grants)
    if config.policy_commit:
        side.environment["FACTORY_POLICY_REF"] = config.policy_commit


def _launch(pipeline: RepositoryPipeline, side: Side, name: str, pack: str) -> None:
    """Run the pack in one environment. Raises Refusal DETERMINISM_UNSHOWN where it leaves no bundle
    there.
    """
    commit = pipeline.site.repository.commit
    own = ("launch", name, "--json", "--workers", str(side.workers), "--base-ref", commit)
    words = [
        *(
            sys.executable,
            "-P",
            str(Path(other_conditions.__file__)),
            json.dumps(side.request),
            str(side.done),
        ),
        *(sys.executable, "-P", "-m", "factory", *own),
    ]
    ended = _ended(words, side)
    if StateStore(side.repository / STATE_FOLDER).read(BundleFolder.of(pack).manifest) is None:
        said = ended.stderr.decode("utf-8", "replace").strip()[-300:]
        why = _why(ended.stdout) or said or f"it ended {ended.returncode}"
        raise _unshown(pack, "bundle", where=side.name, why=why)


def _ended(words: list[str], side: Side) -> subprocess.CompletedProcess[bytes]:
    """Run a command in one environment to its end; where this process is stopped, it is stopped
    first, as politely, and all that it started.
    """
    child = subprocess.Popen(
        words,
        cwd=side.repository,
        env=side.environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        process_group=None if os.name == "nt" else 0,  # what it starts is in its group
    )
    try:
        out, err = child.communicate()
    except BaseException:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(child.pid, signal.SIGTERM)
            end = time.monotonic() + _GRACE
            while time.monotonic() < end:
                child.poll()
                os.killpg(child.pid, 0)  # raises where the last of them is gone
                time.sleep(0.05)
            os.killpg(child.pid, signal.SIGKILL)
        raise
    return subprocess.CompletedProcess(words, child.returncode, out, err)


def _why(output: bytes) -> str:
    try:
        findings = json.loads(output)["findings"]
    except (ValueError, KeyError):
        return ""
    return next((finding["message"] for finding in findings if finding["severity"] == "error"), "")


def _unshown(pack: str, case: str, **facts: str) -> Refusal:
    known = {"case": case, "name": pack, **facts}
    return Refusal(Finding("DETERMINISM_UNSHOWN", known, pack=pack))


def _varied(sides: tuple[Side, Side]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return names of what was different, and of what was not."""
    done = [set(side.done.read_text("ascii").split()) for side in sides]
    wanted = [*_ALWAYS, *(_KERNEL[name] for name in _KERNEL if name in done[1])]
    every = (*_ALWAYS, *_KERNEL.values(), "user", "wall clock by more than the time between")
    return tuple(wanted), tuple(name for name in every if name not in wanted)


def _compared(
    pipeline: RepositoryPipeline,
    packs: tuple[str, ...],
    sides: tuple[Side, Side],
    varied: tuple[tuple[str, ...], tuple[str, ...]],
) -> Iterator[Again]:
    for pack in packs:
        one, two = (_bundle(side, pack) for side in sides)
        status = _verdict_of(pipeline, pack, one)
        found = first_divergence(one, two, _SIDES)
        record = DeterminismRecord(
            pack=pack,
            outcome="different" if found is not None else "identical",
            action_key=status.action_key,
            manifest="" if found is not None else sha256(one[IN_BUNDLE.manifest]),
            varied=varied[0],
            constant=varied[1],
            file=found.file if found is not None else "",
            offset=found.offset if found is not None else 0,
            first=found.what if found is not None else "",
        )
        path = determinism.keep(pipeline.site, record)
        yield Again(pack, status.status, len(one), sum(map(len, one.values())), record, path, found)
        if found is not None:
            return


def _bundle(side: Side, pack: str) -> dict[str, bytes]:
    store, folder = StateStore(side.repository / STATE_FOLDER), BundleFolder.of(pack)
    return {path: store.read(f"{folder}/{path}") or b"" for path in store.files(folder)}


def _verdict_of(
    pipeline: RepositoryPipeline, pack: str, files: Mapping[str, bytes]
) -> StatusDocument:
    """Return the verdict of a bundle, which must be one of this repository's own action. Raise
    Refusal.
    """
    planned = pipeline.run.planner.planned(pack)
    try:
        status = parse_document(StatusDocument, files.get(IN_BUNDLE.status, b""))
        action = parse_document(ActionDocument, files.get(IN_BUNDLE.action, b""))
    except EvidenceError as error:
        raise _unshown(pack, "form", problem=str(error)) from error
    if status.action_key != planned.key:
        rows = "; ".join(f"{c.part} {c.what}" for c in why_changed(planned.action, action)[:3])
        raise _unshown(pack, "action", changes=rows)
    return status
