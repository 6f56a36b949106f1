"""The script of the pack that `init` writes: the same files give the same bytes, and its check sees
what differs.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import factory
from factory.contract.contract import first_line
from factory.contract.scaffold import SKELETON_WHY, filled
from tests.sample import sample

SCRIPT = Path(factory.__file__).parent / "templates" / "init" / "inventory.py"


def run(folder: Path, *words: str) -> int:
    done = subprocess.run(
        [sys.executable, "-I", str(SCRIPT), *words], cwd=folder, capture_output=True, text=True
    )
    assert "Traceback" not in done.stderr
    return done.returncode


def test_written_inventory_is_right_and_stays_the_same(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "one.txt").write_text("one\ntwo")
    (tmp_path / "a" / "same.txt").write_text("one\ntwo")
    (tmp_path / "A.txt").write_text("x\n")
    (tmp_path / "a.txt").write_text("")
    (tmp_path / "binary.bin").write_bytes(b"\0\1")
    (tmp_path / "link").symlink_to("nowhere")
    (tmp_path / ".git").mkdir()
    (tmp_path / ".git" / "config").write_text("ignored")
    assert run(tmp_path, "write", "docs/files.md") == 0
    first = (tmp_path / "docs" / "files.md").read_text()
    assert run(tmp_path, "write", "docs/files.md") == 0
    assert (tmp_path / "docs" / "files.md").read_text() == first
    assert run(tmp_path, "check", "docs/files.md") == 0
    assert "| `.txt` | 4 | 16 |" in first
    assert "- only case keeps these apart: `A.txt`, `a.txt`" in first
    assert ".git" not in first


def test_what_others_add_change_and_remove_leaves_it_right(tmp_path: Path) -> None:
    for number in range(50):
        (tmp_path / f"f{number}.{number % 40}").write_bytes(b"x" * number)
    assert run(tmp_path, "write", "files.md") == 0
    (tmp_path / "new.0").write_bytes(b"n" * 5000)
    assert run(tmp_path, "check", "files.md") == 0
    (tmp_path / "f49.9").unlink()
    (tmp_path / "f48.8").write_text("shorter")
    assert run(tmp_path, "check", "files.md") == 0
    (tmp_path / "files.md").unlink()  # its work undone
    assert run(tmp_path, "check", "files.md") == 1


@pytest.mark.parametrize("added", sample([True], [False]))
@pytest.mark.parametrize(
    ("said", "lie"),
    [
        ("4 files, 1,012 bytes.", "5 files, 1,012 bytes."),
        ("4 files, 1,012 bytes.", "4 files, 9,012 bytes."),
        ("4 files, 1,012 bytes.", ""),
        ("4 files, 1,012 bytes.", "4 files, 1,012 bytes.\n4 files, 1,012 bytes."),
        ("| `.txt` | 3 |", "| `.txt` | 2 |"),
        ("| `.md` | 1 | 1,000 |\n", ""),
        ("| kind | files | bytes |", "| kind | bytes | files |"),
        ("`b.md`: 1,000 bytes", "something else"),
        ("## Largest files", "## Largest lies"),
    ],
)
def test_a_wrong_inventory_is_refused_whether_or_not_files_were_added(
    tmp_path: Path, added: bool, said: str, lie: str
) -> None:
    for name, content in (
        ("a.txt", "equal\n"),
        ("b.md", "\0" * 1000),
        ("c.txt", "equal\n"),
        ("d.txt", ""),
    ):
        (tmp_path / name).write_text(content)
    assert run(tmp_path, "write", "out") == 0
    text = (tmp_path / "out").read_text()
    assert said in text
    if added:
        (tmp_path / "new.txt").write_text("new\n")
        assert run(tmp_path, "check", "out") == 0
    (tmp_path / "out").write_text(text.replace(said, lie))
    assert run(tmp_path, "check", "out") == 1


def test_reason_that_reports_show_is_one_whole_sentence() -> None:
    for skeleton, marks in (("init", {}), ("pack", {"@WHY@": SKELETON_WHY})):
        text = (SCRIPT.parents[1] / skeleton / "spec.md.txt").read_text("utf-8")
        reason = first_line(filled(text, marks))
        assert reason.endswith("."), reason


def test_nearly_empty_folder(tmp_path: Path) -> None:
    assert run(tmp_path, "write", "f.md") == 0
    assert run(tmp_path, "check", "f.md") == 0
    assert (tmp_path / "f.md").read_text().startswith("# File inventory\n\n0 files, 0 bytes.\n")


def test_many_kinds_and_names_stay_short_and_inert(tmp_path: Path) -> None:
    for number in range(60):
        (tmp_path / f"f{number}.k{number}").write_text("same")
        (tmp_path / f"Name{number}").write_text(f"{number}")
        (tmp_path / f"name{number}").write_text(f"x{number}")
    (tmp_path / "a`b|c\x1b[2J\u202e.md").write_text("x" * 5000)
    assert run(tmp_path, "write", "out.md") == 0
    text = (tmp_path / "out.md").read_text()
    assert text.isascii()
    assert text.count("\n") < 80
    assert "`a\\x60b\\x7cc\\x1b[2J\\u202e.md`" in text
    assert "| 32 other kinds |" in text


@pytest.mark.parametrize("words", [(), ("write",), ("look", "x")])
def test_wrong_words(tmp_path: Path, words: tuple[str, ...]) -> None:
    assert run(tmp_path, *words) == 64


def test_missing_inventory_is_said(tmp_path: Path) -> None:
    assert run(tmp_path, "check", "docs/files.md") == 1


@pytest.mark.parametrize(
    ("said", "lie"), [("| `.txt` |", "| `.tex` |"), ("`b.md`: 1,000 bytes", "`c.md`: 1,000 bytes")]
)
def test_an_inventory_of_the_same_files_is_compared_with_them(
    tmp_path: Path, said: str, lie: str
) -> None:
    (tmp_path / "a.txt").write_text("text\n")
    (tmp_path / "b.md").write_text("\0" * 1000)
    assert run(tmp_path, "write", "out") == 0
    text = (tmp_path / "out").read_text()
    assert said in text
    (tmp_path / "out").write_text(text.replace(said, lie))
    assert run(tmp_path, "check", "out") == 1
