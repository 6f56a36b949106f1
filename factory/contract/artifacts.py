"""Define `artifacts` of task.yml, and `outputs`, its older form: which files are collected.

Pure.
"""

from collections.abc import Iterator
from typing import Annotated

from factory.contract.document_parts import (
    Line,
    OpenPart,
    Part,
    Pattern,
    Patterns,
    one_or_many,
    text_or_list_as,
)
from factory.contract.written import Breach, Written
from factory.judge.scope import problem_with_pattern
from factory.model.forms import clean_folder, problem_with_folder
from factory.model.pack import Artifacts
from factory.model.wording import quoted
from factory.strict.document import BeforeValidator, Field


class ArtifactsSection(Part):
    """Name files to collect: from the pack's folder, or from the workspace with a leading /."""

    required: Patterns = Field((), description="Each pattern must match at least one file.")
    optional: Patterns = Field((), description="Collected where present.")
    normalize: Patterns = Field(
        (), description="Of these, collected without times, users and hosts in them."
    )


ArtifactsEntry = Annotated[
    ArtifactsSection,
    BeforeValidator(
        text_or_list_as("required"), json_schema_input_type=Patterns | ArtifactsSection
    ),
]


def _evidence(value: object) -> object:
    """Return the patterns of outputs.evidence; an item may be a mapping with a path."""
    if not isinstance(value, tuple):
        return one_or_many(value)
    return tuple(
        item["path"] if isinstance(item, dict) and "path" in item else item for item in value
    )


class EvidenceItem(OpenPart):
    """Define one item of outputs.evidence with more than its path; all else is information."""

    path: Pattern = Field(..., description="A required artifact.")


class OutputsSection(OpenPart):
    """Define the older form of artifacts; other keys are information."""

    artifacts_dir: Line = Field("", description="Folder whose files are optional artifacts.")
    evidence: Annotated[
        tuple[Pattern, ...],
        BeforeValidator(
            _evidence, json_schema_input_type=Pattern | tuple[Pattern | EvidenceItem, ...]
        ),
    ] = Field((), description="Required artifacts.")


def _outputs(value: object) -> object:
    """Return a list or one text as no section: what it says is information."""
    return {} if isinstance(value, (str, tuple)) else value


OutputsEntry = Annotated[
    OutputsSection,
    BeforeValidator(_outputs, json_schema_input_type=Line | tuple[object, ...] | OutputsSection),
]


def artifact_breaches(outputs: OutputsSection, written: Written) -> Iterator[Breach]:
    """Yield what is wrong with artifacts, and with the older form of them."""
    keys = [f"/artifacts{part}" for part in ("", "/required", "/optional", "/normalize")]
    yield from written.patterns(*keys, "/outputs/evidence", rooted=True)
    folder = outputs.artifacts_dir
    if folder:
        clause, _, hint = problem_with_folder(folder.removeprefix("/")).partition("; ")
        if not clause:
            clean = _artifacts_folder(folder).removeprefix("/")
            problem = problem_with_pattern(f"{clean}/**" if clean else "")
            clause, _, hint = problem.partition("; ")
        if clause:
            yield written.breach("/outputs/artifacts_dir", f"{quoted(folder)} {clause}", hint)


def artifacts_of(
    artifacts: ArtifactsSection, outputs: OutputsSection, folder: str, transcripts: tuple[str, ...]
) -> Artifacts:
    """Return artifact patterns from the workspace root, including those in older spellings, and
    the transcripts of steps ("" for none).
    """

    def whole(pattern: str) -> str:
        if pattern.startswith(f"{folder}/"):  # as earlier versions wrote it
            return pattern
        return pattern[1:] if pattern.startswith("/") else f"{folder}/{pattern}"

    def from_root(patterns: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(dict.fromkeys(map(whole, patterns)))

    optional = artifacts.optional
    if outputs.artifacts_dir:
        optional = (*optional, _artifacts_folder(outputs.artifacts_dir) + "/**")
    optional = (*optional, *filter(None, transcripts))
    return Artifacts(
        from_root((*artifacts.required, *outputs.evidence)),
        from_root(optional),
        from_root(artifacts.normalize),
    )


def _artifacts_folder(written: str) -> str:
    """Return `outputs.artifacts_dir` in one spelling; a leading / stays."""
    return ("/" if written.startswith("/") else "") + clean_folder(written)
