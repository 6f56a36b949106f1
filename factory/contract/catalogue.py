"""Read every pack that the work tree declares now, with findings about what is wrong with it.

Reading never raises: a broken pack is an entry with findings. Does not compute keys.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from factory.contract.contract import id_of_folder, read_pack
from factory.contract.pack_set import judge_packs
from factory.contract.work_tree import FoundFile, UserWorkTree
from factory.judge.path_guard import display
from factory.judge.secrecy import judge_contract_secrets
from factory.model.finding import Finding, Location
from factory.model.pack import Limits, TaskPack
from factory.model.tree import (
    MODE_EXECUTABLE,
    MODE_FILE,
    MODE_LINK,
    Leaf,
    Tree,
    object_id,
    tree_from_leaves,
)
from factory.redact.redaction import Redactor


@dataclass(frozen=True, slots=True)
class PackEntry:
    """Describe one folder below the packs folder. `pack` is None if it could not be read; `files`
    is what was read.
    """

    folder: str
    id: str
    pack: TaskPack | None
    findings: tuple[Finding, ...]
    files: tuple[FoundFile, ...]

    @property
    def name(self) -> str:
        """Return the folder's own name, which is part of the names of its cards."""
        return self.folder.rpartition("/")[2]

    @property
    def usable(self) -> bool:
        return self.pack is not None and not any(finding.blocks for finding in self.findings)


@dataclass(frozen=True, slots=True)
class Catalogue:
    """List every pack folder in name order, and findings that concern no single pack."""

    entries: tuple[PackEntry, ...]
    findings: tuple[Finding, ...]

    def by_id(self) -> dict[str, PackEntry]:
        """Return entries by pack id; of two with one id, the first."""
        found: dict[str, PackEntry] = {}
        for entry in self.entries:
            found.setdefault(entry.id, entry)
        return found

    def all_findings(self) -> tuple[Finding, ...]:
        return (*self.findings, *(finding for entry in self.entries for finding in entry.findings))


def read_catalogue(
    work_tree: UserWorkTree,
    packs_folder: str,
    ceilings: Limits | None = None,
    redactor: Redactor | None = None,
) -> Catalogue:
    """Read every pack folder of the work tree; `ceilings` bound what a pack may declare.

    A pack that carries a credential is reported by that finding alone; nothing else of it is used.
    """
    knows = redactor or Redactor()
    folders = work_tree.pack_folders(packs_folder)
    named = [(folder, judge_contract_secrets(knows, ((folder, b""),))) for folder in folders]
    clean = [folder for folder, secret in named if not secret]
    packs = [folder for folder in clean if work_tree.has_contract(folder)]
    strays = tuple(_stray(folder) for folder in clean if folder not in packs)
    entries = [_read_entry(work_tree, folder, ceilings, knows) for folder in packs]
    secrets = tuple(finding for _, secret in named for finding in secret)
    unread = [name for entry in entries if entry.pack is None for name in (entry.id, entry.name)]
    across = judge_packs([entry.pack for entry in entries if entry.pack is not None], unread)
    by_pack: dict[str, list[Finding]] = {}
    for finding in across:
        by_pack.setdefault(finding.pack, []).append(finding)
    settled = tuple(
        PackEntry(
            entry.folder,
            entry.id,
            entry.pack,
            (*entry.findings, *by_pack.get(entry.id, ())),
            entry.files,
        )
        for entry in entries
    )
    if settled or secrets:
        return Catalogue(settled, (*secrets, *strays, *by_pack.get("", ())))
    nothing = Finding("PACK_NONE", {"folder": packs_folder}, location=Location(packs_folder))
    return Catalogue((), (nothing, *strays))


def _stray(folder: str) -> Finding:
    shown = display(folder)
    return Finding("PACK_FOLDER_STRAY", {"folder": shown}, location=Location(shown))


def _read_entry(
    work_tree: UserWorkTree, folder: str, ceilings: Limits | None, redactor: Redactor
) -> PackEntry:
    files = work_tree.pack_files(folder)
    secret = judge_contract_secrets(redactor, ((file.path, file.content) for file in files))
    if secret:
        return _secret_entry(folder, files, secret, redactor)
    plain = {file.path: file.content for file in files if not file.problem}
    modes = {file.path: file.mode for file in files if not file.problem}
    pack, findings = read_pack(folder, plain, modes, ceilings)
    base = folder.rpartition("/")[2]
    whole = any(finding.pack == base for finding in findings)  # it names itself so
    name = pack.id if pack is not None else base if whole else id_of_folder(folder) or base
    odd = tuple(_odd(file) for file in files if file.problem)
    there = {
        file.path for file in files if file.problem
    }  # report a file as odd or as missing, not as both
    kept = (
        f
        for f in findings
        if f.id != "PACK_FILE_MISSING" or f.location is None or f.location.file not in there
    )
    named = tuple(replace(finding, pack=name) for finding in (*kept, *odd))
    return PackEntry(folder, name, pack, named, files)


def _secret_entry(
    folder: str, files: tuple[FoundFile, ...], secret: tuple[Finding, ...], redactor: Redactor
) -> PackEntry:
    name = id_of_folder(folder) or folder.rpartition("/")[2]
    sound = tuple(
        file for file in files if not judge_contract_secrets(redactor, ((file.path, b""),))
    )
    return PackEntry(
        folder, name, None, tuple(replace(finding, pack=name) for finding in secret), sound
    )


def _odd(file: FoundFile) -> Finding:
    shown = display(file.path)
    facts = {"file": shown, "problem": file.problem, "advice": file.hint}
    return Finding("PACK_UNSAFE_FILE", facts, location=Location(shown))


def folder_tree(entry: PackEntry, hash_name: str) -> tuple[Tree, dict[str, bytes]]:
    """Return the pack's folder as a Git tree with paths from the folder, and its blobs by id."""
    blobs: dict[str, bytes] = {}
    leaves: list[tuple[str, Leaf]] = []
    for file in entry.files:
        if file.problem:
            continue
        oid = object_id("blob", file.content, hash_name)
        blobs[oid] = file.content
        mode = file.mode if file.mode in (MODE_FILE, MODE_EXECUTABLE, MODE_LINK) else MODE_FILE
        leaves.append((file.path.removeprefix(entry.folder + "/"), Leaf(mode, oid)))
    return tree_from_leaves(leaves, hash_name), blobs
