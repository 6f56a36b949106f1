"""Completion: every command and option is there, names are read and nothing is run."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from factory.commands.command_table import COMMANDS
from factory.commands.completion import (
    LISTS,
    SHELLS,
    packs_below,
    root_above,
    runs_below,
    words_of,
)


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """A folder with a `.git` that no Git reads, and whose names are a trap for a shell."""
    (tmp_path / ".git").mkdir()
    for name in ("TASK-0101-one", "TASK-0102", "notes", "TASK-0103-$(touch x)", "-rf", "a b"):
        folder = tmp_path / "taskpacks" / name
        folder.mkdir(parents=True)
        if name != "notes":
            (folder / "task.yml").write_text("steps: [touch x]\n")
    for run in ("factory_1", "factory_2", "x;y"):
        (tmp_path / ".factory" / "runs" / run).mkdir(parents=True)
    return tmp_path


def test_names_are_those_of_folders_and_plain(repository: Path) -> None:
    (repository / "src").mkdir()
    root = root_above(repository / "src")
    assert root == repository
    assert list(packs_below(root)) == ["TASK-0101", "TASK-0102"]
    assert list(runs_below(root)) == ["factory_2", "factory_1"]
    assert not (repository / "x").exists()


def test_the_packs_folder_is_the_configured_one_inside_the_repository(repository: Path) -> None:
    (repository / "work" / "TASK-1-a").mkdir(parents=True)
    (repository / "work" / "TASK-1-a" / "task.yml").touch()
    for said, found in (
        ('[packs]\nfolder = "work"\n', ["TASK-1"]),
        ('[packs]\nfolder = "../work"\n', ["TASK-0101", "TASK-0102"]),
        ("packs = 3", ["TASK-0101", "TASK-0102"]),
        ("\x00", ["TASK-0101", "TASK-0102"]),
    ):
        (repository / "factory.toml").write_text(said)
        assert list(packs_below(repository)) == found


def test_nothing_is_known_outside_a_repository() -> None:
    assert [list(each(None)) for each in LISTS.values()] == [[], []]


@pytest.mark.parametrize("shell", SHELLS)
def test_a_script_names_every_command_and_its_options(shell: str) -> None:
    text = "\n".join(SHELLS[shell]())
    for command in COMMANDS:
        assert command.name in text
        for option in words_of(command).options:
            assert option.removeprefix("--") in text
    assert "factory completion packs" in text
    assert "factory completion runs" in text


def test_bash_completes_commands_options_and_packs(tmp_path: Path) -> None:
    script = tmp_path / "factory.bash"
    script.write_text("\n".join(SHELLS["bash"]()))
    asked = """
source "$1"
factory() { printf '%s\\n' TASK-0101 TASK-0102; }
for line in "factory laun" "factory why TASK-0102" "factory why --den" "factory doctor TASK"; do
  COMP_WORDS=($line); COMP_CWORD=$((${#COMP_WORDS[@]} - 1)); _factory
  echo "${COMPREPLY[@]}"
done
"""
    done = subprocess.run(
        ["bash", "--norc", "-c", asked, "bash", str(script)],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.splitlines() == ["launch", "TASK-0102", "--denied", ""]
