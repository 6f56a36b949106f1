"""Resolve a task pack's files to a TaskPack: every default filled in, every contradiction named.

The rule: a pack is resolved wholly or not at all, and all that is wrong in its files is reported at
once, each finding with file, line and column. Pure: bytes in, values out. Does not know what this
version can carry out (plugins, workspaces, network): whoever plans a run judges that.
"""

from __future__ import annotations

import hashlib
import itertools
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import TypeVar

from factory.contract.acceptance import AcceptanceDocument
from factory.contract.document_errors import in_order, load
from factory.contract.task import (
    RuleInput,
    TaskDocument,
    constraints_of,
    task_breaches,
    task_meaning,
)
from factory.contract.written import Breach, Written, invalid
from factory.model.finding import Finding, Location
from factory.model.findings.entry import Facts
from factory.model.names import PACK_FILES, PACK_FOLDER
from factory.model.pack import Command, Constraints, JudgeContract, Limits, PackFile, TaskPack
from factory.model.tree import MODE_EXECUTABLE, MODE_FILE
from factory.strict import yaml as strict_yaml
from factory.strict.document import Document
from factory.strict.source_text import decode_prose
from factory.strict.values import DocumentError, StrictDocument

PROSE_LIMIT = 1024 * 1024  # bytes of spec.md
LONGEST_REASON = 300  # characters, for one line of a report
_RULE = re.compile(r"(?:=+|-+|\*{3,}|_{3,}|(?:[-*_] ){2,}[-*_])")
_COMMENT = re.compile(r"<!--.*?(?:-->|\Z)", re.DOTALL)

_Member = TypeVar("_Member")
_Document = TypeVar("_Document", bound=Document)
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
    reading = _FolderReading(folder, files)
    reading.judge_files(modes)
    task, written = reading.document("task.yml", TaskDocument)
    acceptance, accepted = reading.document("acceptance.yml", AcceptanceDocument)
    why = reading.why()
    identity = (task.id if task is not None else "") or id_of_folder(folder)
    asked = RuleInput(task, written, identity, ceilings) if task is not None else None
    if asked is not None:
        reading.add("task.yml", task_breaches(asked))
    commands: tuple[Command, ...] = ()
    judging = JudgeContract()
    if acceptance is not None:
        rights = constraints_of(task) if task is not None else Constraints()
        expect = task.expect if task is not None else "any"
        reading.add("acceptance.yml", acceptance.breaches(accepted, rights, expect))
        commands, judging = acceptance.commands(accepted), acceptance.judging()
    findings = tuple(replace(finding, pack=identity) for finding in reading.findings)
    if asked is None or any(finding.blocks for finding in findings):
        return None, findings
    members = _pack_files(folder, files, modes)
    pack = replace(
        task_meaning(asked),
        why=why,
        acceptance=commands,
        judge=judging,
        files=members,
        acceptance_network=acceptance is not None and acceptance.networked,
        acceptance_cloud=acceptance is not None and acceptance.allow_cloud_mutations,
    )
    return pack, findings


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
class _FolderReading:
    """Collect findings while the files of one folder are read."""

    folder: str
    files: Mapping[str, bytes]
    findings: list[Finding] = field(default_factory=list)

    def judge_files(self, modes: Mapping[str, int]) -> None:
        """Add a finding for each of the five files that is missing, and each that is no plain
        file.
        """
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

    def document(self, name: str, model: type[_Document]) -> tuple[_Document | None, Written]:
        """Return (model, text) of a file; the model is None, with findings, if the file is
        invalid.
        """
        source = StrictDocument(None)
        if name not in self.files:
            return None, Written(self.folder, name, source)
        try:
            source = strict_yaml.parse(self.files[name])
            if source.value is None:  # an empty file declares nothing; the rules report that
                source = replace(source, value=MappingProxyType({}))
            return load(model, source), Written(self.folder, name, source)
        except DocumentError as error:
            self.add(name, map(invalid, in_order(error.problems)))
            return None, Written(self.folder, name, source)

    def why(self) -> str:
        """Return the first line of prose of spec.md; "" if there is none."""
        try:
            return first_line(decode_prose(self.files.get("spec.md", b""), PROSE_LIMIT))
        except DocumentError as error:
            self.add("spec.md", map(invalid, error.problems))
            return ""

    def add(self, name: str, breaches: Iterable[Breach]) -> None:
        """Add the findings of breaches in the file `name`, in the order of their places."""
        for breach in sorted(breaches, key=lambda breach: (breach.line, breach.column)):
            location = Location(f"{self.folder}/{name}", breach.line, breach.column)
            self.findings.append(Finding(breach.finding, breach.facts, location=location))


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


def first_line(text: str) -> str:
    """Return the first line of Markdown that is no heading, rule or comment; "" if there is none.

    It is printable and has at most 300 characters.
    """
    lines = [line.strip() for line in _COMMENT.sub("", text).splitlines()]
    for line, below in itertools.zip_longest(lines, lines[1:], fillvalue=""):
        underlined = bool(below) and re.fullmatch(r"=+|-+", below) is not None
        if line and not line.startswith("#") and not _RULE.fullmatch(line) and not underlined:
            return _printable(line)[:LONGEST_REASON]
    return ""


def _printable(line: str) -> str:
    return "".join(character if character.isprintable() else " " for character in line).strip()
