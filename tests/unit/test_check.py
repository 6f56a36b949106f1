"""`factory check`: small checks for acceptance.yml."""

from __future__ import annotations

from pathlib import Path

import pytest

from factory.commands import cli


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "report.md").write_text("# Report\n\nWe Deploy on Friday; redeployed once.\n")
    (tmp_path / "empty.md").write_text("")
    (tmp_path / "task.yml").write_text("engine: codex\nowner:\nskills: []\n")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        ("present report.md task.yml", 0, "present: as it has to be"),
        ("present report.md empty.md", 2, "empty.md: expected a file with content, found an empty"),
        ("present none.md", 2, "none.md: expected a file with content, found none"),
        ("contains report.md Monday Friday", 0, "contains: as it has to be"),
        ("contains report.md Monday", 2, 'report.md: expected one of "Monday", found none of them'),
        ("contains none.md x", 2, 'none.md: expected one of "x", found none of them'),
        ("without report.md Monday", 0, "without: as it has to be"),
        ("without report.md deploy", 2, 'report.md:3: expected no "Deploy" here, found it'),
        ("declared task.yml engine", 0, "declared: as it has to be"),
        ("declared task.yml owner", 2, 'task.yml: expected the key "owner" with a value, found'),
        ("declared task.yml skills", 2, 'task.yml: expected the key "skills" with a value, found'),
        ("declared report.md x", 2, 'report.md: expected the key "x" with a value, found none'),
    ],
)
def test_a_check_says_whether_it_is_so(
    words: str, code: int, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["check", *words.split()]) == code
    assert said in capsys.readouterr().out


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize("words", ["contain report.md x", "contains report.md", "present"])
def test_a_check_that_is_none_is_a_wrong_usage(
    words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["check", *words.split()]) == 64
    assert "factory: " in capsys.readouterr().err


@pytest.mark.usefixtures("folder")
def test_a_word_is_found_whole_and_once_a_place(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["check", "without", "report.md", "deploy", "friday"]) == 2
    assert capsys.readouterr().out.count("report.md:3:") == 2
