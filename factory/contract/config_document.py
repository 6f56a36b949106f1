"""Define factory.toml as written: the shape that editors and the independent validator see.

The same keys and forms as `contract.configuration` reads without this model (it must stay quick to
load); a test compares the two. Does not know precedence, nor who may loosen what.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

from factory.contract.document_parts import (
    Count,
    CountFromZero,
    DiskSize,
    Duration,
    Host,
    Part,
    Pattern,
    Size,
    matching,
    unfit,
)
from factory.log.key import KEY_ID
from factory.model import forms
from factory.model.injection import GRANT, grant_of
from factory.model.pack import Requirement
from factory.sandbox import backends
from factory.sandbox.properties import Property
from factory.strict.document import AfterValidator, Field, WithJsonSchema

_judge_ref = matching(
    forms.REF, "is not the name of a commit", "write a branch, a tag or a commit id"
)

_judge_full_ref = matching(
    forms.FULL_REF,
    "is no full name of a ref",
    "write one as in refs/remotes/origin/main, or a whole commit id",
)

_PROPERTIES = tuple(known.value for known in Property)
_judge_property = matching(
    "|".join(_PROPERTIES), "is not a property", f"known are {', '.join(_PROPERTIES)}"
)
_judge_folder = matching(
    forms.PLAIN_FOLDER, "is not a folder below the root", "write one as in taskpacks"
)
_judge_program = matching(forms.PROGRAM, "is not a program", "write its name, or an absolute path")

_judge_key = matching(
    KEY_ID, "is not the id of a key", "write one as `factory keys list` prints it"
)


def _judge_grant(text: str) -> str:
    if grant_of(text) is None:
        raise unfit(
            "is no host, form and source", "write api.example.org authorization-bearer env:NAME"
        )
    return text


GrantText = Annotated[
    str,
    AfterValidator(_judge_grant),
    WithJsonSchema({"type": "string", "pattern": forms.anchored(GRANT)}),
]
KeyId = Annotated[
    str,
    AfterValidator(_judge_key),
    WithJsonSchema({"type": "string", "pattern": forms.anchored(KEY_ID)}),
]
PropertyName = Annotated[
    str, AfterValidator(_judge_property), WithJsonSchema({"enum": list(_PROPERTIES)})
]
Ref = Annotated[
    str,
    AfterValidator(_judge_ref),
    WithJsonSchema({"type": "string", "pattern": forms.anchored(forms.REF)}),
]
FullRef = Annotated[
    str,
    AfterValidator(_judge_full_ref),
    WithJsonSchema({"type": "string", "pattern": forms.anchored(forms.FULL_REF)}),
]
FolderBelow = Annotated[
    str,
    AfterValidator(_judge_folder),
    WithJsonSchema({"type": "string", "pattern": forms.anchored(forms.PLAIN_FOLDER)}),
]
Program = Annotated[
    str,
    AfterValidator(_judge_program),
    WithJsonSchema({"type": "string", "pattern": forms.anchored(forms.PROGRAM)}),
]


if TYPE_CHECKING:
    BackendName = str
else:
    BackendName = Literal[(backends.AUTO, *backends.NAMES)]


class PacksSection(Part):
    """Name the folder of the packs and the commit they start from."""

    folder: FolderBelow = Field("taskpacks", description="Folder of the task packs, from the root.")
    base_ref: Ref = Field("HEAD", description="What packs start from.")


class SafetySection(Part):
    """Set what must be enforced. A repository may add, never remove."""

    required: tuple[PropertyName, ...] = Field(
        (), description="Properties required whatever a user's file accepts."
    )
    accept_missing: tuple[PropertyName, ...] = Field(
        (), description="User's own file only: properties that may lack."
    )
    protected: tuple[Pattern, ...] = Field(
        (), description="Patterns that no pack may change, besides the built-in ones."
    )
    policy_ref: FullRef = Field(
        "refs/remotes/origin/HEAD",
        description="User's own file only: the commit whose configuration and pins are in force.",
    )


class CeilingsSection(Part):
    """Set the most that a pack may declare under limits."""

    timeout: Duration = Field(0, description="Seconds, or text such as 90s or 10m.")
    memory: Size = Field(0, description="Bytes, or text such as 512MiB or 2G.")
    processes: Count = Field(0, description="Processes and threads at once.")
    disk: DiskSize = Field(0, description="Bytes written.")
    output: Size = Field(0, description="Bytes printed by one command.")
    changed_lines: CountFromZero = Field(0, description="Lines added and removed.")
    attempts: Count = Field(0, description="Fresh starts at most.")


class RunSection(Part):
    """Set how a run is carried out."""

    workers: Annotated[int, Field(ge=0, le=1024)] = Field(
        0, description="Packs at once; 0 chooses by the host."
    )
    isolation: Literal["auto", "overlay", "worktree"] = Field(
        "auto", description="How a pack's view is made."
    )
    backend: BackendName = Field("auto", description="User's own file only: what confines packs.")
    python: Program = Field("", description="Absolute path of another interpreter for packs.")


class IntegrationSection(Part):
    """Set how results are merged."""

    overlap: Literal["block", "merge"] = Field(
        "block", description="What to do where two packs change one path."
    )
    recheck_budget: Annotated[int, Field(ge=0, le=10000)] = Field(
        24, description="Extra runs to name a culprit."
    )


class NetworkSection(Part):
    """List hosts that packs may declare."""

    hosts: tuple[Host, ...] = Field(
        (), description="Hosts that packs may declare; *.example.org is any below it."
    )
    allow_any: bool = Field(
        False, description="User's own file only: packs may ask for any public host."
    )


class CloudSection(Part):
    """Name hosts that get a credential, and its source. User's own file only."""

    inject: tuple[GrantText, ...] = Field(
        (),
        description="A host, the form of a header, and where its value is: env:NAME or file:/path.",
    )


class SigningSection(Part):
    """Set which signature a run's evidence needs."""

    policy: Literal["optional", "required", "required-from"] = Field(
        "optional", description="Whether a run needs a signature; required-from: by one of keys."
    )
    keys: tuple[KeyId, ...] = Field((), description="Ids of the keys that required-from means.")


class JudgeSection(Part):
    """Set what judges a result in addition to its commands. A repository may add, never remove."""

    patterns: tuple[Pattern, ...] = Field(
        (), description="Patterns of files of the judge, in addition to the built-in ones."
    )
    require: tuple[Requirement, ...] = Field((), description="What every PASS must have shown.")
    may_change: tuple[Pattern, ...] = Field(
        ("**",), description="Which files of the judge contracts may let their packs change."
    )
    retry: Literal["allow", "block"] = Field(
        "allow", description="What a pass after a failed attempt is: PASS, or BLOCKED."
    )
    contracts: Literal["open", "pinned"] = Field(
        "open", description="pinned: acceptance, scope and require must be those of policy_ref."
    )


class ConfigDocument(Part):
    """Define factory.toml: configuration of a repository, or a user's own."""

    version: Annotated[int, Field(ge=1, le=1)] = Field(1, description="Version of this format.")
    packs: PacksSection = Field(default_factory=PacksSection, description="Where the packs are.")
    safety: SafetySection = Field(
        default_factory=SafetySection, description="What must be enforced."
    )
    ceilings: CeilingsSection = Field(
        default_factory=CeilingsSection, description="The most a pack may declare."
    )
    run: RunSection = Field(default_factory=RunSection, description="How a run is carried out.")
    integration: IntegrationSection = Field(
        default_factory=IntegrationSection, description="How results are merged."
    )
    network: NetworkSection = Field(
        default_factory=NetworkSection, description="Hosts that packs may declare."
    )
    cloud: CloudSection = Field(
        default_factory=CloudSection, description="User's own file only: credentials by host."
    )
    signing: SigningSection = Field(
        default_factory=SigningSection, description="What evidence must carry."
    )
    judge: JudgeSection = Field(
        default_factory=JudgeSection, description="What a PASS must have shown."
    )
