"""Resolve a task pack's files to a TaskPack: every default filled in, every contradiction named.

The rule: a pack is resolved wholly or not at all, and all that is wrong in its files is reported at
once, each finding with file, line and column. Pure: bytes in, values out. Does not know what this
version can carry out (plugins, workspaces, network): whoever plans a run judges that.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import TypeVar

from pydantic import BaseModel

from factory.contract import contract_values as values
from factory.contract.contract_rules import (
    Breach,
    TaskFacts,
    acceptance_breaches,
    invalid,
    task_breaches,
)
from factory.contract.document_errors import in_order, load
from factory.contract.documents import AcceptanceDocument, TaskDocument
from factory.contract.pack_set import judge_packs
from factory.contract.prose import first_line
from factory.model.finding import Finding, Location
from factory.model.findings.entry import Facts
from factory.model.names import PACK_FILES, PACK_FOLDER
from factory.model.pack import Command, Limits, PackFile, Scope, TaskPack
from factory.model.tree import MODE_EXECUTABLE, MODE_FILE
from factory.strict import yaml as strict_yaml
from factory.strict.source_text import decode_prose
from factory.strict.values import DocumentError, StrictDocument

__all__ = ["id_of_folder", "judge_packs", "read_pack"]

PROSE_LIMIT = 1024 * 1024  # bytes of spec.md

_Member = TypeVar("_Member")
_Document = TypeVar("_Document", bound=BaseModel)
_NO_MODES: Mapping[str, int] = MappingProxyType({})


def read_pack(
    folder: str,
    files: Mapping[str, bytes],
    modes: Mapping[str, int] = _NO_MODES,
    ceilings: Limits | None = None,
) -> tuple[TaskPack | None, tuple[Finding, ...]]:
    """Resolve the pack in `folder` (POSIX, from the repository root, no trailing slash).

    `files` maps paths to their bytes, all from the repository root or all from the folder; `modes`
    maps the same paths to Git modes (absent: a plain file). `ceilings` bound what a pack may
    declare, and lower what it leaves at its default. The pack is None exactly when a finding
    blocks. Raise nothing.
    """
    files, modes = _from_folder(folder, files), _from_folder(folder, modes)
    reading = _Reading(folder, files)
    reading.judge_files(modes)
    task, task_source = reading.document("task.yml", TaskDocument)
    acceptance, acceptance_source = reading.document("acceptance.yml", AcceptanceDocument)
    why = reading.why()
    identity = (task.id if task is not None else "") or id_of_folder(folder)
    if task is not None:
        reading.add(
            "task.yml", task_breaches(TaskFacts(folder, identity, task, task_source, ceilings))
        )
    commands: tuple[Command, ...] = ()
    if acceptance is not None:
        commands = values.acceptance_commands(acceptance, acceptance_source, folder)
        network = task is not None and values.constraints_of(task).network.declared
        breaches = acceptance_breaches(acceptance, acceptance_source, len(commands), network)
        reading.add("acceptance.yml", breaches)
    findings = tuple(replace(finding, pack=identity) for finding in reading.findings)
    if task is None or any(finding.blocks for finding in findings):
        return None, findings
    pack = _pack(folder, identity, task, task_source, limits=values.limits_of(task, ceilings))
    return replace(
        pack, why=why, acceptance=commands, files=_pack_files(folder, files, modes)
    ), findings


def id_of_folder(folder: str) -> str:
    """Return the pack id that a folder's name starts with; "" if it has none."""
    found = PACK_FOLDER.fullmatch(folder.rpartition("/")[2])
    return found["id"] if found else ""


def _from_folder(folder: str, named: Mapping[str, _Member]) -> Mapping[str, _Member]:
    """Return the same mapping with paths from the folder."""
    below = f"{folder}/"
    if not all(path.startswith(below) for path in named):
        return named
    return {path.removeprefix(below): member for path, member in named.items()}


@dataclass(slots=True)
class _Reading:
    """Collect findings while the files of one folder are read."""

    folder: str
    files: Mapping[str, bytes]
    findings: list[Finding] = field(default_factory=list)

    def judge_files(self, modes: Mapping[str, int]) -> None:
        for name in PACK_FILES:
            if name not in self.files:
                missing: Facts = {"case": "missing", "file": name, "files": PACK_FILES}
                self.add(name, [Breach("PACK_FILE_MISSING", missing)])
        for name, mode in sorted(modes.items()):
            if mode not in (MODE_FILE, MODE_EXECUTABLE):
                facts = {
                    "file": name,
                    "problem": f"has mode {mode:06o}, expected that of a plain file",
                    "advice": "replace it by a plain file",
                }
                self.add(name, [Breach("PACK_UNSAFE_FILE", facts)])

    def document(
        self, name: str, model: type[_Document]
    ) -> tuple[_Document | None, StrictDocument]:
        """Return (model, document) of a file; the model is None, with findings, if the file is
        invalid.
        """
        source = StrictDocument(None)
        if name not in self.files:
            return None, source
        try:
            source = strict_yaml.parse(self.files[name])
            if source.value is None:  # an empty file declares nothing; the rules report that
                source = replace(source, value=MappingProxyType({}))
            return load(model, source), source
        except DocumentError as error:
            self.add(name, map(invalid, in_order(error.problems)))
            return None, source

    def why(self) -> str:
        try:
            return first_line(decode_prose(self.files.get("spec.md", b""), PROSE_LIMIT))
        except DocumentError as error:
            self.add("spec.md", map(invalid, error.problems))
            return ""

    def add(self, name: str, breaches: Iterable[Breach]) -> None:
        for breach in sorted(breaches, key=lambda breach: (breach.line, breach.column)):
            location = Location(f"{self.folder}/{name}", breach.line, breach.column)
            self.findings.append(Finding(breach.finding, breach.facts, location=location))


def _pack(
    folder: str, identity: str, task: TaskDocument, source: StrictDocument, limits: Limits
) -> TaskPack:
    """Return what task.yml means; the caller adds acceptance, prose and files."""
    allowed = (
        task.scope.allowed_paths
        if "allowed_paths" in task.scope.model_fields_set
        else (f"{folder}/",)
    )
    return TaskPack(
        id=identity,
        folder=folder,
        title=task.title or task.task.name,
        domain=task.type or task.pillar or task.task.pillar,
        why="",
        scope=Scope(allowed, task.scope.denied_paths),
        acceptance=(),
        files=(),
        steps=values.step_commands(task, source, folder),
        constraints=values.constraints_of(task),
        inputs=values.inputs_of(task, source),
        artifacts=values.artifacts_of(task, folder),
        limits=limits,
        depends_on=tuple(dict.fromkeys(task.depends_on)),
        env_passed=tuple(sorted(name for name, value in task.env.items() if value is None)),
        env_fixed=tuple(
            sorted((name, value) for name, value in task.env.items() if value is not None)
        ),
        tools=tuple(dict.fromkeys(task.tools)),
        plugin=task.plugin or task.execution.use_plugins,
        workspace=task.workspace,
        docs_required=task.docs.required,
        must_prose=task.acceptance.must,
        information=values.information_of(source),
        places=values.written_places(source),
    )


def _pack_files(
    folder: str, files: Mapping[str, bytes], modes: Mapping[str, int]
) -> tuple[PackFile, ...]:
    return tuple(
        PackFile(
            f"{folder}/{name}",
            modes.get(name, MODE_FILE),
            hashlib.sha256(content).hexdigest(),
            len(content),
        )
        for name, content in sorted(files.items())
    )
