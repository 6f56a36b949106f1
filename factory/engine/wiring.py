"""Build adapters and hand them to phases. Decides nothing, and builds late what costs.

`pipeline` must stay cheap, since `doit list` goes through it: no process is started for a
sandbox, no tree is read, before a card asks.
"""

from __future__ import annotations

import os
import stat
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path

from factory.contract import cloud_credentials, configuration, network_access
from factory.contract.contract import read_pack
from factory.contract.known_secrets import redactor_for
from factory.contract.work_tree import UserWorkTree
from factory.egress.reach import Outside
from factory.engine import memory
from factory.engine.builder_facts import address_of
from factory.engine.pipeline import RepositoryPipeline
from factory.engine.remember import remember_up_to_date
from factory.engine.result_commit import room_for
from factory.evidence.ledger_own import OwnLines, prune
from factory.evidence.ledger_store import LedgerStore
from factory.files import config_files, fs_guard
from factory.files.clock import SystemClock
from factory.files.key_files import UserKeys
from factory.files.locks import FileLocks
from factory.files.remains import clear_remains
from factory.files.seals import UserSeal, user_seal
from factory.files.state_store import StateStore
from factory.files.user_places import user_config_file, user_state_folder
from factory.git import checkout, repository
from factory.git.git import Git, find_git
from factory.git.objects import GitObjects
from factory.git.ports import Repository
from factory.git.views import ViewStore
from factory.judge.secrecy import judge_contract_secrets
from factory.merge.integrator import IntegratorProcess
from factory.model import layout
from factory.model.card import Card, CardResult
from factory.model.config import Config, GrantKind, Source
from factory.model.errors import Refusal
from factory.model.finding import Finding, Location
from factory.model.findings.entry import Facts
from factory.model.layout import STATE_FOLDER, shown
from factory.model.names import AFTER_RUN_INDEX, AFTER_RUN_REVIEW, CONFIG_FILE
from factory.model.pack import TaskPack
from factory.model.signing import PRIVATE_VARIABLES
from factory.model.tree import Tree
from factory.model.verdict import Status
from factory.plan.cloud import UserCloud
from factory.plan.environments import EnvironmentStore
from factory.plan.markers import Markers
from factory.plan.site import Site
from factory.plan.stages import PackSandbox
from factory.plan.tools import HostTools, find_tool
from factory.redact.redaction import Redactor
from factory.sandbox.backend import SandboxSetting
from factory.sandbox.host import sandbox_owner
from factory.sandbox.host_sandbox import HostSandbox
from factory.sandbox.python_env import ANYWHERE, folders_beyond
from factory.trust.grant_store import GrantStore
from factory.trust.policy_contract import policy_pack
from factory.trust.requests import granted_by_policy

KEEP_RECORDS = 90 * 86_400.0  # seconds that a ledger's record outlives its folder
KEEP_VIEWS = 3 * 86_400.0  # seconds since a cached view was last used
KEEP_REMAINS = 86_400.0  # seconds since something half made was last touched


class Silent:
    """Implement `Progress`, and report to nobody."""

    def card_started(self, card: Card) -> None: ...

    def command_started(self, pack: str, label: str, run: str, limit: float) -> None: ...

    def command_output(self, pack: str, chunk: bytes) -> None: ...

    def command_ended(self, pack: str, label: str, rc: int) -> None: ...

    def card_ended(self, card: Card, result: CardResult) -> None: ...

    def card_up_to_date(self, card: Card, status: Status) -> None: ...


def user_keys(root: Path | None) -> UserKeys:
    """Open this user's signing keys, in the folder of their configuration; none may be in the
    repository at `root`, if any.
    """
    return UserKeys(
        user_config_file().parent / "keys", Path(os.path.expanduser("~")), root, os.environ
    )


def load_config(root: Path, flags: Mapping[str, str]) -> tuple[Config, tuple[Finding, ...]]:
    """Return the configuration in force for the repository at `root`."""
    user_file = user_config_file()
    try:
        own = config_files.read_user_config(root)
        repositorys = config_files.read_plain(root / CONFIG_FILE, CONFIG_FILE)
    except Refusal as refusal:
        return Config(), refusal.findings
    files = ((str(user_file), own or b""), (CONFIG_FILE, repositorys or b""))
    secret = judge_contract_secrets(redactor_for(os.environ), files)
    if secret:
        return Config(), secret
    users, _ = configuration.read(own, None, os.environ, flags, user_file=str(user_file))
    policy: bytes | None = None
    commit = policy_file = ""
    if users.policy_ref:
        try:
            commit, policy = repository.policy_at(root, users.policy_ref, CONFIG_FILE)
        except Refusal as refusal:
            return Config(), refusal.findings
        policy_file = f"{CONFIG_FILE} of {users.policy_ref}"
    config, findings = configuration.read(
        own,
        repositorys,
        os.environ,
        flags,
        user_file=str(user_file),
        repository_file=CONFIG_FILE,
        policy=policy,
        policy_file=policy_file,
    )
    authorities, problems = _authorities(config.network_ca_file)
    config = replace(config, policy_commit=commit, network_authorities=authorities)
    return config, (*findings, *problems)


def _authorities(file: str) -> tuple[str, tuple[Finding, ...]]:
    """Return the certificates that packs with network trust as well, as PEM text."""
    if not file:
        return "", ()
    try:
        content = Path(file).read_bytes()
        problem = network_access.problem_with_authorities(content)
    except OSError as error:
        content, problem = b"", f"expected a file that can be read, found {error.strerror}"
    if not problem:
        return content.decode("utf-8").rstrip("\n") + "\n", ()
    advice = "name a file of PEM certificates, by its absolute path"
    facts = {"problem": f"network.ca_file: {file}: {problem}", "advice": advice}
    return "", (Finding("CONFIG_INVALID", facts),)


def sound_config(root: Path, flags: Mapping[str, str]) -> Config:
    """Return the configuration in force for the repository at `root`. Raise Refusal if any of it is
    wrong.
    """
    return _sound(root, flags)[0]


def _sound(root: Path, flags: Mapping[str, str]) -> tuple[Config, tuple[Finding, ...]]:
    """Return the configuration in force, and what of it is worth a remark. Raise Refusal."""
    config, findings = load_config(root, flags)
    blocking = tuple(finding for finding in findings if finding.blocks)
    if blocking:
        raise Refusal(*blocking)
    return config, findings


def site(
    start: Path,
    flags: Mapping[str, str],
    run_id: str = "",
    apart: str = "",
    outside: Outside | None = None,
    granted: Repository | None = None,
    scratch: Path | None = None,
) -> Site:
    """Everything that acts on the repository at or above `start`. Raises Refusal.

    `apart` names a folder of the state that new objects go to, for those of whom nothing may stay;
    `scratch` is a folder for all that looking alone writes, for those who write nothing there.
    `outside` is how packs with network reach it; None: as this host does. No setting can be
    another.
    """
    found = repository.discover(start, "HEAD")
    config, remarks = _sound(found.root, flags)
    redactor = redactor_for(os.environ)
    _refuse_secrets_in_names(redactor, config)
    if config.base_ref != "HEAD":
        found = repository.discover(start, config.base_ref)
    grants = grants_here(granted or found)
    config = with_grants(config, grants)
    state = found.root / STATE_FOLDER
    own = scratch or prepare_state(state)
    clock = SystemClock()
    objects = GitObjects(found, own / (apart or layout.GIT), redactor=redactor)
    seal = user_seal(user_state_folder(), state)
    if config.policy_commit:
        config = _with_packs_of_policy(config, objects, follows=grants.follows_policy)
    views = ViewStore(objects, own / layout.VIEWS, sandbox_owner(), seal)
    setting = _sandbox_setting(config, found.root, own, seal)
    store = StateStore(state, redactor)
    environments = EnvironmentStore(state / layout.ENVIRONMENTS, seal)
    sandbox = PackSandbox(HostSandbox(setting), views, objects, outside, environments)
    return Site(
        repository=found,
        config=config,
        objects=objects,
        refs=objects,
        sandbox=sandbox,
        store=store,
        ledger=LedgerStore(
            state, clock, redactor, OwnLines(user_state_folder() / "ledgers", state), seal
        ),
        markers=Markers(store, seal),
        seal=seal,
        clock=clock,
        locks=FileLocks(state, clock),
        work_tree=UserWorkTree(
            found.root,
            partial(checkout.ignored_below, found),
            partial(checkout.StoredFiles, found),
        ),
        tools=HostTools(
            own / layout.TOOLS, partial(_version_of, sandbox, found.root), config.python, seal
        ),
        integrator=IntegratorProcess(found, sandbox.integrator_argv).merge,
        keys=user_keys(found.root),
        environment={
            name: value for name, value in os.environ.items() if name not in PRIVATE_VARIABLES
        },
        redactor=redactor,
        cloud=_user_cloud(config, redactor),
        tidy=lambda: _tidy(state, views),
        origin=address_of(grants.origin),
        remarks=remarks,
        run_id=run_id,
    )


def _user_cloud(config: Config, redactor: Redactor) -> UserCloud:
    access = cloud_credentials.read(config.cloud_inject, os.environ)
    return UserCloud(access, redactor, network=network_access.read(config, os.environ))


def _sandbox_setting(config: Config, root: Path, state: Path, seal: UserSeal) -> SandboxSetting:
    return SandboxSetting(
        state / layout.CACHE,
        state / layout.WORKTREES,
        config.isolation,
        config.python,
        unconfined=config.required <= config.accepted_missing,
        backend=config.backend,
        shown=_shown_folders(config, root),
        seal=seal,
        keeps=seal.lasting,
    )


def _shown_folders(config: Config, root: Path) -> tuple[Path, ...]:
    """Return the folders that an interpreter may lie in, beyond the system's.

    The user's own may lie anywhere; a repository's only in what the user granted. What a work tree
    contains (pyvenv.cfg, links) cannot name others.
    """
    if not config.python or dict(config.sources).get("python") is Source.REPOSITORY:
        return tuple(map(Path, config.python_folders))
    folder = Path(config.python).parent
    lies_here = folder.is_relative_to(root) or folder.resolve().is_relative_to(root.resolve())
    return (folder.parent,) if lies_here else ANYWHERE


def _version_of(sandbox: PackSandbox, root: Path, tool: str) -> str | None:
    """Return what a tool says of its version. Git is the one that runs here anyway; every other is
    named by a contract, and runs in a sandbox only.
    """
    path = find_tool(tool)
    if tool == "git" and path == Path(find_git(root)).resolve():
        return Git(str(path), Path("/")).run("--version").out.decode("utf-8", "replace").strip()
    return sandbox.version_of(tool)


def _with_packs_of_policy(config: Config, objects: GitObjects, *, follows: bool) -> Config:
    """Return the configuration with what the packs of policy_ref say; if it `follows` them, with
    grants for what they ask for.
    """
    packs = tuple(policy_packs(objects, config))
    more = granted_by_policy(packs, config) if follows else ()
    return replace(
        config,
        grants=tuple(dict.fromkeys((*config.grants, *more))),
        policy_packs=tuple(map(policy_pack, packs)),
    )


def policy_packs(objects: GitObjects, config: Config) -> Iterator[TaskPack]:
    """Yield the sound packs of the commit that policy_ref names."""
    folder = objects.tree_of(config.policy_commit).get(config.packs_folder)
    for name, pack in folder.entries.items() if isinstance(folder, Tree) else ():
        if not isinstance(pack, Tree):
            continue
        top = f"{config.packs_folder}/{name}"
        leaves = {f"{top}/{path}": leaf for path, leaf in pack.leaves()}
        contents = objects.read(leaf.oid for leaf in leaves.values())
        found, _ = read_pack(
            top,
            {path: contents[leaf.oid] for path, leaf in leaves.items()},
            {path: leaf.mode for path, leaf in leaves.items()},
            config.ceilings,
        )
        if found is not None:
            yield found


def repository_at(start: Path) -> Repository:
    """Return the repository at or above `start`, at its HEAD. Raise Refusal."""
    return repository.discover(start, "HEAD")


def with_grants(config: Config, store: GrantStore) -> Config:
    """Return a configuration with the user's grants in force. An interpreter of a repository's
    choice is used once the user has granted every folder of it to a pack, else our own is. Raise
    Refusal GRANTS_UNUSABLE.
    """
    grants = store.in_force()
    of_repository = dict(config.sources).get("python") is Source.REPOSITORY
    folders = folders_beyond(config.python) if of_repository and config.python else ()
    granted = {grant.thing for grant in grants if grant.kind is GrantKind.INTERPRETER}
    python = config.python if granted.issuperset(folders) else ""
    return replace(config, grants=grants, python=python, python_folders=folders)


def grants_here(found: Repository) -> GrantStore:
    """Return where this user's grants for a repository are."""
    return GrantStore(found.root, repository.origin_of(found), os.environ)


def _refuse_secrets_in_names(redactor: Redactor, config: Config) -> None:
    """Raise Refusal SECRET_IN_CONTRACT for a base ref that is a credential: every document names
    it.
    """
    kinds = redactor.redact(os.fsencode(config.base_ref)).kinds
    if kinds:
        facts: Facts = {"case": "base-ref", "kinds": tuple(kinds)}
        raise Refusal(Finding("SECRET_IN_CONTRACT", facts))


def _tidy(state: Path, views: ViewStore) -> None:
    now = time.time()
    prune(user_state_folder() / "ledgers", now - KEEP_RECORDS)
    views.prune(now - KEEP_VIEWS)
    clear_remains(state, now - KEEP_REMAINS)


def _expect(place: Path, is_wanted: Callable[[int], bool], wanted: str) -> None:
    """Raise Refusal PATH_UNSAFE where something of another kind, or a link, is at `place`."""
    try:
        mode = place.lstat().st_mode
    except OSError:
        return  # nothing there, or nothing that may be seen: making it says what is wrong
    if is_wanted(mode):
        return
    name = shown("" if place.name == STATE_FOLDER else place.name)
    kind = (
        "a symbolic link" if stat.S_ISLNK(mode) else "a folder" if stat.S_ISDIR(mode) else "a file"
    )
    facts = {"case": "kind", "path": name, "expected": wanted, "found": kind}
    raise Refusal(Finding("PATH_UNSAFE", facts, location=Location(name)))


def prepare_state(state: Path) -> Path:
    """Make the state folder, ignored by Git from within, and return it. Raises Refusal
    DISK_UNWRITABLE, PATH_UNSAFE.
    """
    for place in (state, *(state / name for name in layout.FOLDERS)):
        _expect(place, stat.S_ISDIR, "a folder")
    _expect(state / layout.LEDGER, stat.S_ISREG, "a plain file")
    fs_guard.make_folder(state / layout.MARKERS)
    rules = state / layout.GITIGNORE
    if not rules.exists():
        fs_guard.write_atomic(
            rules, b"# written by the orchestrator: nothing below is committed\n*\n"
        )
    return state


def pipeline(
    start: Path,
    flags: Mapping[str, str],
    run_id: str = "",
    apart: str = "",
    granted: Repository | None = None,
    only: tuple[str, ...] = (),
    scratch: Path | None = None,
) -> RepositoryPipeline:
    """Return the pipeline of the repository at or above `start`; `apart` and `scratch` as `site`,
    `only` as `Run`. Raise Refusal where there can be none.
    """
    began = time.time_ns()
    settings = memory.settings_digest(start, user_config_file(), flags, os.environ)
    built = site(start, flags, run_id, apart, granted=granted, scratch=scratch)

    def notes() -> tuple[Finding, ...]:
        commit = built.repository.commit
        tree = built.objects.tree_of(commit)
        return (
            *built.remarks,
            *repository.notes(built.repository, built.config.packs_folder),
            *repository.tree_notes(commit, tree, built.objects.read),
            *room_for(built.refs, built.config, run_id or "RUN_ID"),
        )

    return RepositoryPipeline(
        built,
        Silent(),
        notes,
        _after_run(built),
        lambda run, closing, executed: remember_up_to_date(
            run, closing, executed, settings, began, os.environ
        ),
        only,
    )


def _after_run(built: Site) -> Callable[[str], tuple[str, ...]]:
    """Return what the user's flags add to the end of a run; the modules for it are loaded only
    then.
    """
    if "1" not in (os.environ.get(AFTER_RUN_REVIEW), os.environ.get(AFTER_RUN_INDEX)):
        return lambda _run_id: ()
    from factory.engine.after_run import after_run

    root = built.repository.root
    return after_run(built, os.environ, lambda: load_config(root, {})[1])
