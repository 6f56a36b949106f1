"""What a clumsy hand leaves where the tool keeps or reads things: each is told once, with what to
do.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from factory.contract.catalogue import read_catalogue
from factory.contract.work_tree import UserWorkTree
from factory.engine import wiring
from factory.model.errors import Refusal
from tests.world import World, environment

pytestmark = pytest.mark.linux


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (os.mkfifo, "is a FIFO; a pack has plain files and folders only"),
        (
            lambda path: path.symlink_to("risk.md"),
            "is a symbolic link; a pack has plain files and folders only",
        ),
        (lambda path: path.mkdir(), "is a folder, expected a plain file"),
        (
            lambda path: path.write_bytes(b"x" * (16 * 1024 * 1024 + 1)),
            "has 16777217 bytes, the limit is 16777216",
        ),
    ],
)
def test_a_pack_file_that_is_none_is_told_once(
    tmp_path: Path, spoil: Callable[[Path], object], said: str
) -> None:
    world = World(tmp_path)
    world.pack("TASK-0101-one", "scope: {allowed_paths: [docs/]}\n")
    place = tmp_path / "taskpacks/TASK-0101-one/spec.md"
    place.unlink()
    spoil(place)
    (entry,) = read_catalogue(UserWorkTree(tmp_path), "taskpacks").entries
    (finding,) = entry.findings
    assert (finding.id, finding.message) == (
        "PACK_UNSAFE_FILE",
        f"taskpacks/TASK-0101-one/spec.md {said}",
    )
    assert finding.hint
    assert "step" not in finding.hint


@pytest.mark.parametrize("name", ["locks", "runs", "bundles", "ledger.jsonl"])
@pytest.mark.parametrize("kind", ["link", "other"])
def test_the_state_folder_holds_folders_and_a_ledger(tmp_path: Path, name: str, kind: str) -> None:
    wiring.prepare_state(tmp_path / ".factory")
    place = tmp_path / ".factory" / name
    if kind == "link":
        place.symlink_to(tmp_path)
    elif name.endswith("jsonl"):
        place.mkdir()
    else:
        place.write_text("")
    with pytest.raises(Refusal) as refused:
        wiring.prepare_state(tmp_path / ".factory")
    (finding,) = refused.value.findings
    assert finding.id == "PATH_UNSAFE"
    assert finding.message.startswith(
        f"expected a {'plain file' if name.endswith('jsonl') else 'folder'} at .factory/"
    )
    assert finding.hint == f"Move .factory/{name} away, then run again."


def test_an_output_that_cannot_be_written_is_no_success(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.pack("TASK-0101-one", "scope: {allowed_paths: [docs/]}\n")
    words = [sys.executable, "-m", "factory", "contract", "--json-out", "answer.json"]
    with open("/dev/full", "w") as full:
        ended = subprocess.run(
            words,
            cwd=tmp_path,
            stdout=full,
            stderr=subprocess.PIPE,
            env=environment(),
            text=True,
            timeout=120,
        )
    assert json.loads((tmp_path / "answer.json").read_text())["status"] == "PASS"
    assert ended.returncode == 2
    assert "expected to write to standard output, found: No space left on device" in ended.stderr
    assert "Traceback" not in ended.stderr
    assert "Exception ignored" not in ended.stderr
