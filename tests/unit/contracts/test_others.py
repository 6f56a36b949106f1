"""Other people's collections of task packs: every folder that is a pack loads, and each refusal
says file, line and what to do.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from factory.contract.catalogue import Catalogue, read_catalogue
from factory.contract.work_tree import UserWorkTree
from factory.verify.contract import read_contract
from tests.contract_corpus import CORPUS

PACKS = "taskpacks"
NO_PACK = "no pack"
COMPOSED = {
    "task.yml": "title: Some work\ntype: platform\n",
    "acceptance.yml": "tests: python -m unittest discover -s tests\n",
    "spec.md": "# Spec\n\nIt is wanted.\n",
    "risk.md": "# Risk\n",
    "runbook.md": "# Runbook\n",
}


class Folder:
    """One folder of the corpus: its name, what it is, and its files."""

    def __init__(self, text: str) -> None:
        head, *parts = text.split("\n-- ")
        self.name, _, expected = head.partition("\n")
        first, *self.findings = expected.rstrip().splitlines()
        self.what = first.removeprefix("is").strip()
        written = dict(part.split("\n", 1) for part in parts)
        absent = written.pop("without", "").split()
        whole = {} if self.what == NO_PACK else COMPOSED
        self.files = {
            name: text for name, text in {**whole, **written}.items() if name not in absent
        }


FOLDERS = [Folder(text) for text in (CORPUS / "others.txt").read_text().split("\n== ")[1:]]


@pytest.fixture(scope="module")
def catalogue(tmp_path_factory: pytest.TempPathFactory) -> Catalogue:
    root = tmp_path_factory.mktemp("others")
    for folder in FOLDERS:
        for name, text in folder.files.items():
            place = root / PACKS / folder.name / name
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_text(text)
    return read_catalogue(UserWorkTree(root), PACKS)


def test_the_corpus_is_large_enough() -> None:
    assert len(FOLDERS) >= 25
    assert len([folder for folder in FOLDERS if folder.what not in ("", NO_PACK)]) >= 18


@pytest.mark.parametrize("folder", FOLDERS, ids=[folder.name for folder in FOLDERS])
def test_a_folder_is_what_the_corpus_says(folder: Folder, catalogue: Catalogue) -> None:
    entry = next((entry for entry in catalogue.entries if entry.name == folder.name), None)
    if folder.what == NO_PACK:
        assert entry is None
        return
    assert entry is not None
    assert (entry.pack.id if entry.pack is not None else "") == folder.what
    below = f"{PACKS}/{folder.name}/"
    said = [
        f"  {finding.id} {str(finding.location).removeprefix(below)} {finding.message}"
        for finding in entry.findings
    ]
    assert said == folder.findings
    assert all(finding.hint for finding in entry.findings)


def test_a_folder_that_is_no_pack_is_named_in_a_warning(catalogue: Catalogue) -> None:
    assert [(finding.id, str(finding.location)) for finding in catalogue.findings] == [
        ("PACK_FOLDER_STRAY", f"{PACKS}/{folder.name}")
        for folder in sorted(FOLDERS, key=lambda folder: folder.name)
        if folder.what == NO_PACK
    ]
    assert not any(finding.blocks for finding in catalogue.findings)


def test_verify_reads_the_same_from_them(catalogue: Catalogue) -> None:
    read = 0
    for entry in catalogue.entries:
        if entry.pack is None:
            continue
        files = {file.path.rpartition("/")[2]: file.content for file in entry.files}
        contract = read_contract(entry.folder, files["task.yml"], files["acceptance.yml"])
        pack = entry.pack
        assert contract.artifacts_required == pack.artifacts.required
        assert contract.artifacts_optional == pack.artifacts.optional
        assert (contract.title, contract.domain) == (pack.title, pack.domain)
        assert contract.depends_on == pack.depends_on
        read += 1
    assert read >= 18


def test_an_id_that_a_folder_is_named_by_is_known_although_the_pack_is_broken(
    tmp_path: Path,
) -> None:
    for name, task in (
        ("TASK-1-broken", "id: TASK-1-broken\ntitle: x\ntype: web\nunknown: 1\n"),
        ("TASK-2-needs", "id: TASK-2-needs\ntitle: x\ntype: web\ndepends_on: [TASK-1-broken]\n"),
    ):
        for file, text in {**COMPOSED, "task.yml": task}.items():
            place = tmp_path / PACKS / name / file
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_text(text)
    broken, needs = read_catalogue(UserWorkTree(tmp_path), PACKS).entries
    assert [finding.id for finding in broken.findings] == ["PACK_INVALID"]
    assert needs.findings == ()
