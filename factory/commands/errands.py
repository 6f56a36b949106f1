"""What single commands need besides the pipeline: contracts, the first files, the examination, a
branch.

Wiring like `factory.engine.wiring`: builds what is needed and hands it over; decides nothing.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from factory.contract import check as contract
from factory.contract import configuration
from factory.contract import scaffold as init
from factory.contract.known_secrets import redactor_for
from factory.contract.work_tree import UserWorkTree
from factory.engine import branch
from factory.engine.overviews import stale_schemas
from factory.engine.pipeline import RepositoryPipeline
from factory.engine.wiring import load_config, pipeline, site, user_keys
from factory.evidence import keys as key_phase
from factory.evidence.signing import pinned_keys
from factory.files import templates
from factory.files.added_files import WorkTreeGround
from factory.files.fs_guard import remove_tree
from factory.files.key_files import UserKeys
from factory.files.user_places import user_config_file
from factory.git import repository
from factory.git.objects import GitObjects
from factory.git.ports import Repository
from factory.git.views import ViewStore
from factory.log.key import PublicKey
from factory.model.config import Config
from factory.model.errors import Refusal
from factory.model.finding import Finding
from factory.model.layout import CACHE, GIT, VIEWS, WORKTREES
from factory.plan.site import Site
from factory.plan.stages import PackSandbox, PackStage, findings
from factory.run import doctor, host_facts
from factory.sandbox import backends
from factory.sandbox.backend import SandboxSetting
from factory.sandbox.backends import IsolationMode
from factory.sandbox.host import sandbox_owner
from factory.sandbox.host_sandbox import HostSandbox
from factory.sandbox.properties import Enforcement, Property, PropertyProof
from factory.sandbox.values import CommandOutcome, CommandSpec


def judge_contracts(start: Path, only: tuple[str, ...] = ()) -> contract.Judged:
    """Every contract of the repository, or the packs named. Raises Refusal, UsageError."""
    root = repository.root_of(start)
    config, findings = load_config(root, {})
    schemas = stale_schemas(root) if not only else ()
    redactor = redactor_for(os.environ)
    return contract.judge_contracts(
        UserWorkTree(root), config, (*findings, *schemas), only, redactor
    )


def configuration_here(
    start: Path, flags: Mapping[str, str]
) -> tuple[Config, tuple[Finding, ...], str]:
    """The configuration in force, what is wrong with it, and the user's own file. Raises
    Refusal.
    """
    config, findings = load_config(repository.root_of(start), flags)
    return config, findings, str(user_config_file())


@dataclass(frozen=True, slots=True)
class Start:
    """What `init` came to: also whether there is a commit to run from, and whether dodo.py makes
    our tasks.
    """

    begun: init.Begun
    has_commit: bool
    has_tasks: bool
    findings: tuple[Finding, ...]


def begin(start: Path) -> Start:
    """Write the first files of the repository at or above `start`. Raises Refusal."""
    root = repository.root_of(start)
    config, findings = load_config(root, {})
    _refuse(findings)
    found = _repository_or_none(start)

    def ignored(paths: Iterable[str]) -> frozenset[str]:
        return _ignored_in_base(found, tuple(paths)) if found is not None else frozenset()

    begun = init.begin(
        WorkTreeGround(root), templates.read_templates("init"), config.packs_folder, ignored
    )
    has_tasks = b"factory.dodo" in (UserWorkTree(root).read("dodo.py") or b"")
    hidden = (
        repository.ignored_below(found, config.packs_folder) if found is not None else frozenset()
    )
    return Start(
        begun, found is not None, has_tasks, init.judge_hidden(begun, hidden, config.packs_folder)
    )


def _repository_or_none(start: Path) -> Repository | None:
    """The repository with its commit; None where it has none yet. Raises Refusal for anything
    else.
    """
    try:
        return repository.discover(start, "HEAD")
    except Refusal as refusal:
        if refusal.findings[0].id != "REPO_NO_COMMITS":
            raise
        return None


def _ignored_in_base(found: Repository, paths: tuple[str, ...]) -> frozenset[str]:
    """Which paths the base commit's rules ignore: those decide what a pack's change may hold."""
    with (
        tempfile.TemporaryDirectory(prefix="factory-init-") as folder,
        GitObjects(found, Path(folder)) as objects,
    ):
        return objects.ignored(objects.tree_of(found.commit), paths)


def new_pack(start: Path, name: str, domain: str) -> init.Begun:
    """Write the skeleton of a pack. Raises Refusal."""
    root = repository.root_of(start)
    config, findings = load_config(root, {})
    _refuse(findings)
    return init.new_pack(
        WorkTreeGround(root), templates.read_templates("pack"), config.packs_folder, name, domain
    )


def _refuse(findings: Iterable[Finding]) -> None:
    blocking = tuple(finding for finding in findings if finding.blocks)
    if blocking:
        raise Refusal(*blocking)


def make_branch(site_of_run: Site, run_id: str) -> branch.Branched:
    """Make the result branch of a run, under the run lock. Raises Refusal."""
    with site_of_run.locks.hold("run"):
        site_of_run.locks.announce("run", f"making the branch of {run_id}")
        return branch.make_branch(site_of_run, site_of_run.refs, run_id)


def check_up(start: Path) -> doctor.Checkup:
    """Examine this host, in a repository or outside one. Raises nothing that a row can say."""
    try:
        here = site(start, {})
    except Refusal as refusal:
        return _check_up_elsewhere(refusal.findings)
    try:
        enforcement = here.sandbox.measure(network=True)
    finally:
        here.sandbox.close()
    held = tuple(sentence for sentence in here.locks.holders())
    facts = host_facts.gather(
        here.store.root, held, here.store.names(WORKTREES), user_config_file()
    )
    return doctor.check_up(facts, here.config, enforcement, str(here.repository.root), ())


def _check_up_elsewhere(refused: tuple[Finding, ...]) -> doctor.Checkup:
    """As above where no repository could be opened: what is needed lives in a folder that goes away
    again.
    """
    config = _user_config()
    with tempfile.TemporaryDirectory(prefix="factory-doctor-") as folder:
        state = Path(folder)
        enforcement, more = _measure_in(state, config)
        facts = host_facts.gather(Path(folder).parent, (), (), user_config_file())
    return doctor.check_up(
        facts, config, enforcement, "", (*refused, *(f for f in more if f not in refused))
    )


def backends_here() -> tuple[tuple[str, Enforcement], ...]:
    """What each backend would give on this host, best first, each measured by itself with the
    user's settings.
    """
    measured = []
    for backend in backends.NAMES:
        config = replace(_user_config(), backend=backend, isolation=IsolationMode.AUTO)
        with tempfile.TemporaryDirectory(prefix="factory-doctor-") as folder:
            enforcement, refused = _measure_in(Path(folder), config)
        why = refused[0].attributed if refused else "not measured"
        nothing = Enforcement("none", tuple(PropertyProof(each, False, why) for each in Property))
        measured.append((backend, enforcement or nothing))
    return tuple(measured)


def _measure_in(state: Path, config: Config) -> tuple[Enforcement | None, tuple[Finding, ...]]:
    nowhere = Repository(state, state / "none", state / "none", "sha1", "", "", "")
    try:
        objects = GitObjects(nowhere, state / GIT)
        views = ViewStore(objects, state / VIEWS, sandbox_owner())
        setting = SandboxSetting(
            state / CACHE,
            state / WORKTREES,
            config.isolation,
            config.python,
            backend=config.backend,
        )
        sandbox = PackSandbox(HostSandbox(setting), views, objects)
        try:
            return sandbox.measure(network=True), ()
        finally:
            sandbox.close()
            objects.close()
    except Refusal as refusal:
        return None, refusal.findings


def _user_config() -> Config:
    file = user_config_file()
    content = file.read_bytes() if file.is_file() else None
    return configuration.read(content, None, os.environ, {}, user_file=str(file))[0]


@dataclass(frozen=True, slots=True)
class KeyRoom:
    """This user's keys, and the repository they are asked for in; None outside one that has a
    commit.
    """

    keys: UserKeys
    site: Site | None

    @property
    def rows(self) -> tuple[key_phase.KeyRow, ...]:
        """Every key known here. Raises Refusal."""
        pinned = pinned_keys(self.site) if self.site is not None else ()
        return key_phase.list_keys(self.keys.own(), pinned)


def key_room(start: Path) -> KeyRoom:
    """UserKeys as seen from a folder, in a repository or outside one. Raises Refusal for a broken
    configuration.
    """
    try:
        found = site(start, {})
    except Refusal as refusal:
        if not refusal.findings[0].id.startswith("REPO_"):
            raise
        return KeyRoom(user_keys(_root_or_none(start)), None)
    return KeyRoom(found.keys, found)


def _root_or_none(start: Path) -> Path | None:
    try:
        return repository.root_of(start)
    except Refusal:
        return None


def pin_key(start: Path, key: PublicKey) -> key_phase.Trusted:
    """Write a key's file into the work tree at or above `start`. Raises Refusal."""
    return key_phase.pin_key(WorkTreeGround(repository.root_of(start)), key)


def read_file(start: Path, word: str, most: int = 1 << 20) -> bytes | None:
    """The first bytes of a file that a person named, seen from `start`; None where there is no
    plain file.
    """
    place = start / word
    try:
        with open(place, "rb") as stream:
            return stream.read(most) if place.is_file() else None
    except OSError:
        return None


@contextlib.contextmanager
def visiting(start: Path, flags: Mapping[str, str]) -> Iterator[tuple[RepositoryPipeline, str]]:
    """A pipeline of whose objects nothing stays, and a name for a stage of its own. Raises
    Refusal.
    """
    name = f"shell-{os.getpid()}-{secrets.token_hex(4)}"
    made = pipeline(start, flags, apart=name)
    try:
        yield made, name
    finally:
        made.site.sandbox.close()
        if isinstance(made.site.objects, GitObjects):
            made.site.objects.close()
        remove_tree(made.site.store.root / name)


def terminal_here() -> str | None:
    """The kind of terminal that a session at ours would tell programs of; None where there is none
    to work at.
    """
    try:
        from factory.sandbox import person
    except ImportError:  # a platform that has other terminals
        return None
    return person.inside_term(os.environ) if person.at_terminal() else None


def converse(stage: PackStage, command: CommandSpec) -> CommandOutcome:
    """Let the person at our terminal work in a stage. Raise Refusal where it has no terminal of
    its own, Interrupted at a signal that would end us.
    """
    from factory.sandbox.person import seated  # POSIX only

    with findings(), seated() as person:
        return stage.converse(command, person)
