"""Check the keys of a contract against each other and against its folder.

One function a rule; each yields its breaches with a place. Expects documents that their models
accept. Does not know other packs, nor what this version can carry out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, fields

from factory.contract.contract_values import artifacts_folder, at, declared_limits
from factory.contract.documents import AcceptanceDocument, TaskDocument
from factory.judge.scope import problem_with_pattern
from factory.model.findings.entry import Facts
from factory.model.forms import names_a_credential, problem_with_folder
from factory.model.names import PACK_FOLDER
from factory.model.pack import Limits
from factory.model.wording import found, label_of, nearest, quoted
from factory.strict.values import Problem, StrictDocument, child

_TYPO_CUTOFF = 0.8  # difflib's ratio; unknown keys are allowed there, near misses are not


@dataclass(frozen=True, slots=True)
class Breach:
    """Describe a broken rule: the finding's id, its facts, its place (1-based, 0 for the whole
    file).
    """

    finding: str
    facts: Facts
    line: int = 0
    column: int = 0


def invalid(problem: Problem) -> Breach:
    """Return the breach for a problem that a reader found."""
    facts = {"problem": problem.problem, "advice": problem.hint}
    return Breach("PACK_INVALID", facts, problem.line, problem.column)


@dataclass(frozen=True, slots=True)
class TaskFacts:
    """Contain everything that the rules about task.yml read. `identity` is the pack's id, "" if
    unknown.
    """

    folder: str
    identity: str
    task: TaskDocument
    source: StrictDocument
    ceilings: Limits | None

    def breach(self, pointer: str, clause: str, hint: str) -> Breach:
        """Return a breach at the value of `pointer`, labelled with its key."""
        place = self.source.place(pointer)
        return invalid(Problem(f"{label_of(pointer)}: {clause}", *place, hint))

    def against(self, pointer: str, finding: str, facts: Facts) -> Breach:
        """Return a breach with an id of its own, at the value of `pointer`."""
        return Breach(finding, facts, *self.source.place(pointer))


def task_breaches(facts: TaskFacts) -> Iterator[Breach]:
    """Yield every breach of every rule about task.yml."""
    for rule in TASK_RULES:
        yield from rule(facts)


def acceptance_breaches(
    acceptance: AcceptanceDocument, source: StrictDocument, commands: int, network: bool
) -> Iterator[Breach]:
    """Yield breaches in acceptance.yml.

    `commands` is their number, `network` is True if the pack declares any network.
    """
    if not commands:
        yield Breach("PACK_NO_ACCEPTANCE", {}, 1, 1)
    if acceptance.deps and not network:
        clause = "deps: packages are listed, and constraints.allow_network is false"
        yield invalid(Problem(clause, *source.place("/deps"), "remove them, or declare the hosts"))


def _identity(facts: TaskFacts) -> Iterator[Breach]:
    name = facts.folder.rpartition("/")[2]
    if not facts.identity:
        hint = "add it, as in id: TASK-0101"
        yield invalid(Problem('the key "id" is missing, and the folder names none', 1, 1, hint))
        return
    fits = name == facts.identity or name.startswith(facts.identity + "-")
    if not fits or not PACK_FOLDER.fullmatch(name):
        mismatch = {"id": facts.identity, "folder": name}
        yield facts.against("/id", "PACK_FOLDER_MISMATCH", mismatch)


def _required_keys(facts: TaskFacts) -> Iterator[Breach]:
    task = facts.task
    if not (task.title or task.task.name):
        yield invalid(Problem('the key "title" is missing', 1, 1, "add it, in one line"))
    if not (task.type or task.pillar or task.task.pillar):
        yield invalid(Problem('the key "type" is missing', 1, 1, "add it, as in type: security"))


def _spellings_agree(facts: TaskFacts) -> Iterator[Breach]:
    task, execution = facts.task, facts.task.execution
    if task.type and task.pillar and task.type != task.pillar:
        yield facts.breach(
            "/pillar",
            f"{quoted(task.pillar)} differs from type {quoted(task.type)}",
            "keep only type",
        )
    both = (
        "timeout" in task.limits.model_fields_set
        and "timeout_minutes" in execution.model_fields_set
    )
    if both and task.limits.timeout != execution.timeout_minutes * 60:
        clause = (
            f"{execution.timeout_minutes} differs from limits.timeout, {task.limits.timeout}"
            " seconds"
        )
        yield facts.breach("/execution/timeout_minutes", clause, "keep only limits.timeout")


def _plugin(facts: TaskFacts) -> Iterator[Breach]:
    used, named = facts.task.execution.use_plugins, facts.task.plugin
    written = "use_plugins" in facts.task.execution.model_fields_set
    pointer = "/execution/use_plugins"
    if used == "*" and not named:
        yield facts.breach(
            pointer,
            "true, and no plugin is named",
            "add plugin: package.module:Class, or write false",
        )
    elif written and not used and named:
        yield facts.breach(
            pointer, f"false, and plugin names {quoted(named)}", "remove one of them"
        )
    elif used not in ("", "*") and named and used != named:
        yield facts.breach(
            pointer, f"{quoted(used)} differs from plugin {quoted(named)}", "keep only plugin"
        )


def _typos_in_open_sections(facts: TaskFacts) -> Iterator[Breach]:
    for pointer, section in (
        ("/outputs", facts.task.outputs),
        ("/execution", facts.task.execution),
    ):
        for key in section.model_extra or {}:
            meant = nearest(key, type(section).model_fields, _TYPO_CUTOFF)
            if meant:
                place = facts.source.key_place(child(pointer, key))
                hint = f'did you mean "{meant}"?'
                yield invalid(Problem(f"unknown key {quoted(key)}", *place, hint))


def _patterns(facts: TaskFacts) -> Iterator[Breach]:
    for pointer in ("/scope/allowed_paths", "/scope/denied_paths", "/inputs", "/docs/required"):
        yield from _judged_patterns(facts, pointer, rooted=False)
    for pointer in (
        "/artifacts",
        "/artifacts/required",
        "/artifacts/optional",
        "/artifacts/normalize",
        "/outputs/evidence",
    ):
        yield from _judged_patterns(facts, pointer, rooted=True)


def _judged_patterns(facts: TaskFacts, pointer: str, rooted: bool) -> Iterator[Breach]:
    for place, pattern in _texts(facts.source, pointer):
        clause, _, hint = problem_with_pattern(
            pattern.removeprefix("/") if rooted else pattern
        ).partition("; ")
        if clause:
            yield facts.breach(place, f"{quoted(pattern)} {clause}", hint)


def _texts(source: StrictDocument, pointer: str) -> Iterator[tuple[str, str]]:
    """Yield (pointer, text) of one text, or of every item of a list of texts."""
    written = at(source.value, pointer)
    if isinstance(written, str):
        yield pointer, written
    elif isinstance(written, tuple):
        for index, item in enumerate(written):
            if isinstance(item, str):
                yield child(pointer, index), item


def _artifacts_dir(facts: TaskFacts) -> Iterator[Breach]:
    written = facts.task.outputs.artifacts_dir
    if written:
        pointer = "/outputs/artifacts_dir"
        clause, _, hint = problem_with_folder(written.removeprefix("/")).partition("; ")
        if not clause:
            pattern = artifacts_folder(written).removeprefix("/")
            clause, _, hint = problem_with_pattern(f"{pattern}/**" if pattern else "").partition(
                "; "
            )
        if clause:
            yield facts.breach(pointer, f"{quoted(written)} {clause}", hint)


def _secrets(facts: TaskFacts) -> Iterator[Breach]:
    wanted = facts.task.constraints.allow_secrets
    if wanted is not False:
        shown = found(at(facts.source.value, "/constraints/allow_secrets"))
        secrets = {"case": "secrets", "found": shown}
        yield facts.against("/constraints/allow_secrets", "SECRETS_NEVER", secrets)
    for name, value in facts.task.env.items():
        if value is None and names_a_credential(name):
            variable = {"case": "variable", "name": name}
            yield facts.against("/env", "SECRETS_NEVER", variable)


def _cloud(facts: TaskFacts) -> Iterator[Breach]:
    network, cloud = (
        facts.task.constraints.allow_network,
        facts.task.constraints.allow_cloud_mutations,
    )
    if "*" in network:
        return
    without = [host for host in cloud if host not in network]
    if without:
        any_host = "*" in without
        lacking: Facts = {
            "hosts": ("any host",) if any_host else tuple(without),
            "network": tuple(dict.fromkeys((*network, *without))),
        }
        pointer = "/constraints/allow_cloud_mutations"
        yield facts.against(pointer, "CLOUD_WITHOUT_NETWORK", lacking)


def _workspace(facts: TaskFacts) -> Iterator[Breach]:
    if not facts.task.workspace:
        return
    if not facts.task.docs.required:
        yield facts.breach(
            "/workspace",
            "declared without docs.required",
            "name the documents that must exist there",
        )
    if not facts.task.scope.allowed_paths:
        yield facts.breach(
            "/workspace",
            "declared without scope.allowed_paths",
            "name the paths it may change there",
        )


def _acceptance_file(facts: TaskFacts) -> Iterator[Breach]:
    written = facts.task.acceptance.file
    if written not in ("acceptance.yml", "./acceptance.yml", f"{facts.folder}/acceptance.yml"):
        clause = f"expected acceptance.yml, found {quoted(written)}"
        yield facts.breach(
            "/acceptance/file",
            clause,
            "keep the commands in acceptance.yml, which packs cannot change",
        )


def _ceilings(facts: TaskFacts) -> Iterator[Breach]:
    if facts.ceilings is None:
        return
    declared = declared_limits(facts.task)
    for limit in fields(Limits):
        ceiling = getattr(facts.ceilings, limit.name)
        if declared.get(limit.name, 0) > ceiling:
            pointer = (
                f"/limits/{limit.name}"
                if f"/limits/{limit.name}" in facts.source.places
                else "/execution"
            )
            clause = (
                f"{declared[limit.name]} is over the ceiling of {ceiling} that the configuration"
                " sets"
            )
            yield facts.breach(pointer, clause, "lower it")


TASK_RULES: tuple[Callable[[TaskFacts], Iterator[Breach]], ...] = (
    _identity,
    _required_keys,
    _spellings_agree,
    _plugin,
    _typos_in_open_sections,
    _patterns,
    _artifacts_dir,
    _secrets,
    _cloud,
    _workspace,
    _acceptance_file,
    _ceilings,
)
