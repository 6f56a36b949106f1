"""The corpora of contracts: each folder holds the files that matter, the rest is composed here."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from factory.contract.configuration import read
from factory.contract.contract import read_pack
from factory.model.config import Config
from factory.model.finding import Finding
from factory.model.pack import TaskPack

CORPUS = Path(__file__).parent / "corpus"
FOLDER = "taskpacks/TASK-0105-links"

_DEFAULTS = {
    "task.yml": b"id: TASK-0105\ntitle: Links\ntype: web\n",
    "acceptance.yml": b"tests:\n  commands:\n    - python -m pytest -q\n",
    "spec.md": b"# Links\n\nDead links cost readers.\n",
    "risk.md": b"# Risk\n",
    "runbook.md": b"# Runbook\n",
}


@dataclass(frozen=True)
class PackCase:
    """A pack folder of the corpus: where it pretends to stand, and its files."""

    name: str
    folder: str
    files: dict[str, bytes]
    path: Path

    def read(self) -> tuple[TaskPack | None, tuple[Finding, ...]]:
        return read_pack(self.folder, self.files)


def pack_cases(kind: str) -> list[PackCase]:
    """Every case below `packs/<kind>`, in name order."""
    return [_pack_case(path) for path in sorted((CORPUS / "packs" / kind).iterdir())]


def config_cases(kind: str) -> list[Path]:
    """Every case below `config/<kind>`, in name order."""
    return sorted((CORPUS / "config" / kind).iterdir())


def read_config(path: Path) -> tuple[Config, tuple[Finding, ...]]:
    """The configuration of a case, the user's file under the name user.toml."""
    user = path / "user.toml"
    return read(
        user.read_bytes() if user.exists() else None,
        (path / "factory.toml").read_bytes(),
        {},
        {},
        user_file="user.toml",
    )


def sentences(findings: tuple[Finding, ...], below: str = "") -> list[str]:
    """One line a finding, as a person reads it: place, two spaces, sentence; hint."""
    return [f"{finding.id}  {_shown(finding, below)}" for finding in findings]


def _shown(finding: Finding, below: str) -> str:
    place = str(finding.location).removeprefix(below) if finding.location else "-"
    return f"{place}  {finding.message}; {finding.hint}"


def _pack_case(path: Path) -> PackCase:
    files = dict(_DEFAULTS)
    for name in _lines(path / "without.txt"):
        del files[name]
    for found in path.iterdir():
        if found.name in _DEFAULTS:
            files[found.name] = found.read_bytes()
    folder = _lines(path / "folder.txt")
    return PackCase(path.name, folder[0] if folder else FOLDER, files, path)


def _lines(path: Path) -> list[str]:
    return path.read_text(encoding="utf-8").split() if path.exists() else []
