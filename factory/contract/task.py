"""Define task.yml, version 1: for each key its type, its default, its rules and what it means.

A field says what is accepted, in every spelling that is or was in use, and what it is for; editors
see both in `schemas/`. A rule below it yields what is refused although its shape is right. Pure:
bytes were read already. Does not know other packs, nor what this version can carry out.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Annotated

from factory.contract.artifacts import (
    ArtifactsEntry,
    ArtifactsSection,
    OutputsEntry,
    OutputsSection,
    artifact_breaches,
    artifacts_of,
)
from factory.contract.commands import Steps, commands_of, transcript_breaches
from factory.contract.document_parts import (
    Count,
    Environment,
    EnvironmentNames,
    Hosts,
    Information,
    Line,
    OpenPart,
    PackId,
    PackIds,
    Part,
    Patterns,
    Plugin,
    Texts,
    Tools,
    Version,
    judge_plugin,
    unexpected,
    unfit,
)
from factory.contract.limits import LimitsSection, limit_breaches, limits_of
from factory.contract.written import DEPS_WITHOUT_NETWORK, Breach, Written, invalid
from factory.model.command_kind import CommandKind
from factory.model.findings.entry import Facts
from factory.model.forms import names_a_credential
from factory.model.names import PACK_FOLDER
from factory.model.pack import (
    Constraints,
    Expectation,
    Limits,
    Network,
    Outside,
    Scope,
    TaskPack,
)
from factory.model.wording import found, nearest, quoted
from factory.strict import canonical
from factory.strict.document import BeforeValidator, Field, WithJsonSchema
from factory.strict.values import Problem, Value, child

# difflib's ratio. Unknown keys are allowed there, near misses are not; "evidence_dir" and
# "artifacts" are no misses (0.8), other people's packs have them.
_TYPO_CUTOFF = 0.87


@dataclass(frozen=True, slots=True)
class RuleInput:
    """Contain what the rules about task.yml read; `identity` is the pack's id, "" if unknown."""

    task: "TaskDocument"
    written: Written
    identity: str
    ceilings: Limits | None


# id, title, type, and the older places of the last two


class TaskSection(Part):
    """Define the older place of title and domain."""

    name: Line = Field("", description="Older spelling of title.")
    pillar: Line = Field("", description="Older spelling of type.")
    description: str = Field("", description="Information.")


def _identity(asked: RuleInput) -> Iterator[Breach]:
    name = asked.written.folder.rpartition("/")[2]
    if not asked.identity:
        clause, hint = 'the key "id" is missing, and the folder names none', "id: TASK-0101"
        yield asked.written.missing(clause, f"add it, as in {hint}")
        return
    named = PACK_FOLDER.fullmatch(name)
    if named is None or asked.identity not in (named["id"], name):
        mismatch = {"case": "folder", "id": asked.identity, "folder": name}
        if named is not None:
            fits = " or ".join(dict.fromkeys((named["id"], name)))
            mismatch |= {"case": "id", "fits": fits}
        yield asked.written.against("/id", "PACK_FOLDER_MISMATCH", mismatch)


def _title_and_type(asked: RuleInput) -> Iterator[Breach]:
    task = asked.task
    if not (task.title or task.task.name):
        yield asked.written.missing('the key "title" is missing', "add it, in one line")
    if not (task.type or task.pillar or task.task.pillar):
        hint = "add it, as in type: security"
        yield asked.written.missing('the key "type" is missing', hint)
    if task.type and task.pillar and task.type != task.pillar:
        clause = f"{quoted(task.pillar)} differs from type {quoted(task.type)}"
        yield asked.written.breach("/pillar", clause, "keep only type")


# scope, inputs: what may be changed and seen


class ScopeSection(Part):
    """Limit what the pack may change."""

    allowed_paths: Patterns = Field(
        (), description="Patterns from the root; default: the pack's own folder."
    )
    denied_paths: Patterns = Field((), description="Patterns that stay untouched even so.")
    outside: Outside = Field(
        "block", description="drop: new files outside the scope are thrown away and counted."
    )


def _scope(asked: RuleInput) -> Iterator[Breach]:
    yield from asked.written.patterns(
        "/scope/allowed_paths", "/scope/denied_paths", "/inputs", "/discard"
    )


def _scope_of(task: "TaskDocument", folder: str) -> Scope:
    scope = task.scope
    own = (f"{folder}/",)
    allowed = scope.allowed_paths if "allowed_paths" in scope.model_fields_set else own
    return Scope(allowed, scope.denied_paths, scope.outside)


class InputsNote(Part):
    """Define the older form of inputs: prose, which narrows nothing."""

    description: str


def _inputs(value: object) -> object:
    if isinstance(value, dict):
        if value.keys() != {"description"}:
            raise unfit(
                "as a mapping has only description",
                "write a list of patterns, or {description: ...}",
            )
        return ()
    return (value,) if isinstance(value, str) else value


Inputs = Annotated[Patterns, BeforeValidator(_inputs, json_schema_input_type=Patterns | InputsNote)]


def _inputs_of(task: "TaskDocument", written: Written) -> tuple[str, ...] | None:
    """Return the visible inputs; None (everything) if they are absent or only described."""
    inputs = written.value("/inputs")
    return None if inputs is None or isinstance(inputs, Mapping) else task.inputs


# constraints, env: rights and variables


class ConstraintsSection(Part):
    """Ask for rights; what is absent is denied."""

    allow_network: Hosts = Field((), description="false, true, or the hosts it may reach.")
    allow_cloud_mutations: Hosts = Field(
        (), description="false, true, or some of the hosts of allow_network."
    )
    allow_secrets: Annotated[Information, WithJsonSchema({"const": False})] = Field(
        False, description="Only false: secret reads are never granted."
    )
    safe_mode: Information = Field(None, description="Information.")
    allow_long_running: Information = Field(None, description="Information.")


def constraints_of(task: "TaskDocument") -> Constraints:
    """Return the rights that the pack asks for."""
    rights = task.constraints
    return Constraints(_network(rights.allow_network), _network(rights.allow_cloud_mutations))


def _network(hosts: tuple[str, ...]) -> Network:
    return Network(any_host=True) if "*" in hosts else Network(hosts=tuple(sorted(set(hosts))))


def _secrets(asked: RuleInput) -> Iterator[Breach]:
    pointer = "/constraints/allow_secrets"
    if asked.task.constraints.allow_secrets is not False:
        secrets = {"case": "secrets", "found": found(asked.written.value(pointer))}
        yield asked.written.against(pointer, "SECRETS_NEVER", secrets)
    for name, value in asked.task.env.items():
        if value is None and names_a_credential(name):
            variable = {"case": "variable", "name": name}
            yield asked.written.against("/env", "SECRETS_NEVER", variable)


def _cloud(asked: RuleInput) -> Iterator[Breach]:
    rights = asked.task.constraints
    network = rights.allow_network
    without = [host for host in rights.allow_cloud_mutations if host not in network]
    if without and "*" not in network:
        lacking: Facts = {
            "hosts": ("any host",) if "*" in without else tuple(without),
            "network": tuple(dict.fromkeys((*network, *without))),
        }
        pointer = "/constraints/allow_cloud_mutations"
        yield asked.written.against(pointer, "CLOUD_WITHOUT_NETWORK", lacking)


# artifacts are in `contract.artifacts`


def _artifacts(asked: RuleInput) -> Iterator[Breach]:
    yield from artifact_breaches(asked.task.outputs, asked.written)


# plugin, and the older form of it and of limits


def _use_plugins(value: object) -> object:
    if isinstance(value, str):
        return judge_plugin(value)
    if isinstance(value, bool):
        return "*" if value else ""
    raise unexpected("true, false or a plugin", "write true, false or package.module:Class")


class ExecutionSection(OpenPart):
    """Define the older form of limits and plugin; other keys are information."""

    timeout_minutes: Annotated[Count, Field(le=43200)] = Field(
        1, description="Older spelling of limits.timeout."
    )
    use_plugins: Annotated[
        str, BeforeValidator(_use_plugins, json_schema_input_type=bool | Plugin)
    ] = Field("", description="Older spelling of plugin, or a plain switch (true is kept as *).")


def _plugin(asked: RuleInput) -> Iterator[Breach]:
    named, execution = asked.task.plugin, asked.task.execution
    used = execution.use_plugins
    problem = ("", "")
    if used == "*" and not named:
        add = "add plugin: package.module:Class, or write false"
        problem = ("true, and no plugin is named", add)
    elif "use_plugins" in execution.model_fields_set and not used and named:
        problem = (f"false, and plugin names {quoted(named)}", "remove one of them")
    elif used not in ("", "*") and named and used != named:
        problem = (f"{quoted(used)} differs from plugin {quoted(named)}", "keep only plugin")
    if problem[0]:
        yield asked.written.breach("/execution/use_plugins", *problem)


def _typos(asked: RuleInput) -> Iterator[Breach]:
    """Yield keys of the open sections that are nearly a known one."""
    for pointer, section in (
        ("/outputs", asked.task.outputs),
        ("/execution", asked.task.execution),
    ):
        for key in section.model_extra or {}:
            meant = nearest(key, type(section).model_fields, _TYPO_CUTOFF)
            if meant:
                place = asked.written.source.key_place(child(pointer, key))
                hint = f'did you mean "{meant}"?'
                yield invalid(Problem(f"unknown key {quoted(key)}", *place, hint))


# limits are in `contract.limits`


def _limits(asked: RuleInput) -> Iterator[Breach]:
    minutes = _minutes(asked.task.execution)
    yield from limit_breaches(asked.task.limits, minutes, asked.written)


def _minutes(execution: ExecutionSection) -> int | None:
    written = "timeout_minutes" in execution.model_fields_set
    return execution.timeout_minutes if written else None


# acceptance, docs, workspace


class AcceptanceSection(Part):
    """Name the file of commands, and state in prose what must be true."""

    file: Line = Field("acceptance.yml", description="Only acceptance.yml.")
    must: Texts = Field((), description="What must be true, in prose.")
    deps: Texts = Field((), description="Older place of deps of acceptance.yml.")


def _acceptance_file(asked: RuleInput) -> Iterator[Breach]:
    file, name = asked.task.acceptance.file, "acceptance.yml"
    if file not in (name, f"./{name}", f"{asked.written.folder}/{name}"):
        hint = f"keep the commands in {name}, which packs cannot change"
        clause = f"expected {name}, found {quoted(file)}"
        yield asked.written.breach("/acceptance/file", clause, hint)
    if asked.task.acceptance.deps and not constraints_of(asked.task).network.declared:
        yield asked.written.breach("/acceptance/deps", *DEPS_WITHOUT_NETWORK)


class DocsSection(Part):
    """Name documents that belong to the work."""

    required: Patterns = Field((), description="Files that must exist, from the root.")


def _docs(asked: RuleInput) -> Iterator[Breach]:
    yield from asked.written.patterns("/docs/required")


def _workspace(asked: RuleInput) -> Iterator[Breach]:
    task, at = asked.task, asked.written
    if task.workspace and not task.docs.required:
        hint = "name the documents that must exist there"
        yield at.breach("/workspace", "declared without docs.required", hint)
    if task.workspace and not task.scope.allowed_paths:
        hint = "name the paths it may change there"
        yield at.breach("/workspace", "declared without scope.allowed_paths", hint)


def _transcripts(asked: RuleInput) -> Iterator[Breach]:
    yield from transcript_breaches(asked.task.steps, asked.written)


class TaskDocument(Part):
    """Define task.yml: one unit of work, declared."""

    version: Version = Field(1, description="Version of this format.")
    id: PackId = Field("", description="For example TASK-0101; the folder's name starts with it.")
    title: Line = Field("", description="One line.")
    type: Line = Field("", description="Solution domain: security, web, game, platform, ...")
    pillar: Line = Field("", description="Older spelling of type.")
    task: TaskSection = Field(
        default_factory=TaskSection, description="Older place of title and type."
    )
    owner: Information = Field(None, description="Information.")
    priority: Information = Field(None, description="Information.")
    notes: Information = Field(None, description="Information.")
    skills: Information = Field(None, description="Information.")
    review: Information = Field(None, description="Information.")
    engine: Information = Field(None, description="Information.")
    solution: Information = Field(None, description="Information.")
    outputs: OutputsEntry = Field(
        default_factory=OutputsSection,
        description="Older form of artifacts; a list is information.",
    )
    execution: ExecutionSection = Field(
        default_factory=ExecutionSection, description="Older form of limits."
    )
    constraints: ConstraintsSection = Field(
        default_factory=ConstraintsSection, description="Rights."
    )
    scope: ScopeSection = Field(default_factory=ScopeSection, description="What may be changed.")
    inputs: Inputs = Field(
        (), description="Patterns of files that the pack may read; default: all."
    )
    steps: Steps = Field((), description=CommandKind.STEP.description)
    acceptance: AcceptanceSection = Field(
        default_factory=AcceptanceSection, description="Acceptance in prose."
    )
    artifacts: ArtifactsEntry = Field(
        default_factory=ArtifactsSection, description="Files to collect."
    )
    limits: LimitsSection = Field(
        default_factory=LimitsSection, description="Bounds of one attempt."
    )
    depends_on: PackIds = Field((), description="Packs whose result this one starts from.")
    env: Environment = Field(
        default_factory=dict, description="Names passed through, or fixed values."
    )
    tools: Tools = Field((), description="Commands whose identity decides a re-run.")
    environment: EnvironmentNames = Field(
        (), description="Environments of factory.toml that the pack sees."
    )
    plugin: Plugin = Field("", description="package.module:Class.")
    workspace: Line = Field("", description="Another repository to work on.")
    docs: DocsSection = Field(
        default_factory=DocsSection, description="Documents that belong to the work."
    )
    expect: Expectation = Field(
        "any", description="Whether the steps must change something, or must not."
    )
    discard: Patterns = Field(
        (), description="Patterns of new files that are thrown away and counted: caches."
    )


RULES: tuple[Callable[[RuleInput], Iterator[Breach]], ...] = (
    *(_identity, _title_and_type, _scope, _secrets, _cloud, _artifacts, _plugin, _typos),
    *(_limits, _acceptance_file, _docs, _workspace, _transcripts),
)


def task_breaches(asked: RuleInput) -> Iterator[Breach]:
    """Yield every breach of every rule about task.yml."""
    for rule in RULES:
        yield from rule(asked)


def task_meaning(asked: RuleInput) -> TaskPack:
    """Return what task.yml means, every default filled in; acceptance, prose and files are left
    empty.
    """
    task, written, folder = asked.task, asked.written, asked.written.folder
    fixed = ((name, value) for name, value in task.env.items() if value is not None)
    return TaskPack(
        id=asked.identity,
        folder=folder,
        title=task.title or task.task.name,
        domain=task.type or task.pillar or task.task.pillar,
        why="",
        scope=_scope_of(task, folder),
        acceptance=(),
        files=(),
        steps=commands_of(CommandKind.STEP, task.steps, written),
        constraints=constraints_of(task),
        inputs=_inputs_of(task, written),
        artifacts=artifacts_of(
            task.artifacts, task.outputs, folder, tuple(item.transcript for item in task.steps)
        ),
        limits=limits_of(task.limits, _minutes(task.execution), asked.ceilings),
        learn=task.limits.learn,
        depends_on=tuple(dict.fromkeys(task.depends_on)),
        env_passed=tuple(sorted(name for name, value in task.env.items() if value is None)),
        env_fixed=tuple(sorted(fixed)),
        tools=tuple(dict.fromkeys(task.tools)),
        environments=tuple(dict.fromkeys(task.environment)),
        plugin=task.plugin or task.execution.use_plugins,
        workspace=task.workspace,
        docs_required=task.docs.required,
        expect=task.expect,
        discard=task.discard,
        must_prose=task.acceptance.must,
        information=_information_of(written),
        places=written.places(),
    )


_KEPT = (
    *(name for name, field in TaskDocument.model_fields.items() if field.annotation == Information),
    *("task", "outputs", "execution"),
)


def _information_of(written: Written) -> str:
    """Return canonical JSON of what has no effect of its own; it stays in the manifest."""
    kept = {key: written.value(f"/{key}") for key in _KEPT}
    rights = {
        key: written.value(f"/constraints/{key}") for key in ("safe_mode", "allow_long_running")
    }
    kept["constraints"] = {key: value for key, value in rights.items() if value is not None} or None
    inputs = written.value("/inputs")
    kept["inputs"] = inputs if isinstance(inputs, Mapping) else None
    present = {key: value for key, value in kept.items() if value is not None}
    return canonical.encode(_without_fractions(present)).decode("utf-8")


def _without_fractions(value: Value) -> Value:
    """Return the value with fractions as text, since canonical JSON has none."""
    if isinstance(value, float):
        return repr(value)
    if isinstance(value, Mapping):
        return {key: _without_fractions(inner) for key, inner in value.items()}
    if isinstance(value, tuple):
        return tuple(_without_fractions(item) for item in value)
    return value
