"""Define task.yml, version 1, as written: every key, every spelling that is or was in use.

Only shapes are checked here. What a pack means, its defaults and contradictions are for
`contract.contract`.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import BeforeValidator, Field, WithJsonSchema

from factory.contract.document_parts import (
    Commands,
    Count,
    CountFromZero,
    Duration,
    Environment,
    Hosts,
    Information,
    Line,
    OpenPart,
    PackId,
    PackIds,
    Part,
    Patterns,
    Plugin,
    Size,
    Texts,
    Tools,
    Version,
    judge_plugin,
    text_or_list_as,
    unexpected,
    unfit,
)
from factory.model.pack import Limits

_DEFAULTS = Limits()


class TaskSection(Part):
    """Define the older place of title and domain."""

    name: Line = Field("", description="Older spelling of title.")
    pillar: Line = Field("", description="Older spelling of type.")
    description: str = Field("", description="Information.")


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


class ScopeSection(Part):
    """Limit what the pack may change."""

    allowed_paths: Patterns = Field(
        (), description="Patterns from the root; default: the pack's own folder."
    )
    denied_paths: Patterns = Field((), description="Patterns that stay untouched even so.")


class InputsNote(Part):
    """Define the older form of inputs: prose, which narrows nothing."""

    description: str


class ArtifactsSection(Part):
    """Name files to collect: from the pack's folder, or from the workspace with a leading /."""

    required: Patterns = Field((), description="Each pattern must match at least one file.")
    optional: Patterns = Field((), description="Collected where present.")
    normalize: Patterns = Field(
        (), description="Of these, collected without times, users and hosts in them."
    )


class OutputsSection(OpenPart):
    """Define the older form of artifacts; other keys are information."""

    artifacts_dir: Line = Field("", description="Folder whose files are optional artifacts.")
    evidence: Patterns = Field((), description="Required artifacts.")


class LimitsSection(Part):
    """Bound one attempt."""

    timeout: Duration = Field(_DEFAULTS.timeout, description="Seconds, or text such as 90s or 10m.")
    memory: Size = Field(_DEFAULTS.memory, description="Bytes, or text such as 512MiB or 2G.")
    processes: Count = Field(_DEFAULTS.processes, description="Processes and threads at once.")
    disk: Size = Field(_DEFAULTS.disk, description="Bytes written.")
    output: Size = Field(_DEFAULTS.output, description="Bytes printed by one command.")
    changed_lines: CountFromZero = Field(
        _DEFAULTS.changed_lines, description="Lines added and removed."
    )
    attempts: Annotated[Count, Field(le=100)] = Field(
        _DEFAULTS.attempts, description="Fresh starts at most."
    )


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


class AcceptanceSection(Part):
    """Name the file of commands, and state in prose what must be true."""

    file: Line = Field("acceptance.yml", description="Only acceptance.yml.")
    must: Texts = Field((), description="What must hold, in prose.")


class DocsSection(Part):
    """Name documents that belong to the work."""

    required: Patterns = Field((), description="Files that must exist, from the root.")


def _inputs(value: object) -> object:
    if isinstance(value, dict):
        if value.keys() != {"description"}:
            raise unfit(
                "as a mapping holds only description",
                "write a list of patterns, or {description: ...}",
            )
        return ()
    return (value,) if isinstance(value, str) else value


ArtifactsEntry = Annotated[
    ArtifactsSection,
    BeforeValidator(
        text_or_list_as("required"), json_schema_input_type=Patterns | ArtifactsSection
    ),
]


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
    outputs: OutputsSection = Field(
        default_factory=OutputsSection, description="Older form of artifacts."
    )
    execution: ExecutionSection = Field(
        default_factory=ExecutionSection, description="Older form of limits."
    )
    constraints: ConstraintsSection = Field(
        default_factory=ConstraintsSection, description="Rights."
    )
    scope: ScopeSection = Field(default_factory=ScopeSection, description="What may be changed.")
    inputs: Annotated[
        Patterns, BeforeValidator(_inputs, json_schema_input_type=Patterns | InputsNote)
    ] = Field((), description="Patterns of files that the pack may read; default: all.")
    steps: Commands = Field((), description="The work; may be empty when the pack only validates.")
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
    plugin: Plugin = Field("", description="package.module:Class.")
    workspace: Line = Field("", description="Another repository to work on.")
    docs: DocsSection = Field(
        default_factory=DocsSection, description="Documents that belong to the work."
    )
