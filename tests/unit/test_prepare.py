"""What `./dev` says while it makes an environment: how far it is, and how much that is."""

from __future__ import annotations

import importlib.util
import io
import sys
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).resolve().parents[2]
SAID = """\
Ignoring colorama: markers 'sys_platform == "win32"' don't match your environment
Collecting argcomplete==3.7.2
  Downloading argcomplete-3.7.2-py3-none-any.whl (43 kB)
Collecting ruff==0.20.0
  Using cached ruff-0.20.0-py3-none-manylinux_2_17_x86_64.whl (11.3 MB)
Collecting tiny==1.0
  Downloading tiny-1.0-py3-none-any.whl (512 B)
Collecting mypy==2.0
"""


@pytest.fixture(scope="module")
def prepare() -> ModuleType:
    spec = importlib.util.spec_from_file_location("prepare", ROOT / "scripts/prepare.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["prepare"] = module  # dataclasses look their module up by name
    spec.loader.exec_module(module)
    return module


def test_a_download_tells_how_many_of_how_many_and_how_much(prepare: ModuleType) -> None:
    assert prepare.told_download(SAID.splitlines(), 57) == "downloading 4 of 57, 11 MB so far"
    assert prepare.told_download([], 57) == ""


def test_the_lock_tells_how_many_there_are(prepare: ModuleType, tmp_path: Path) -> None:
    lock = tmp_path / "requirements.lock"
    lock.write_text("# a==comment\nattrs==26.1.0 \\\n    --hash=sha256:aa==\nzizmor==1.32.0 ; x\n")
    assert prepare.packages_in(lock) == 2
    assert prepare.packages_in(ROOT / "requirements.lock") > 40


def test_an_installation_tells_what_lies_there(prepare: ModuleType, tmp_path: Path) -> None:
    site = prepare.Site(root=tmp_path, place=str(tmp_path), wheels=tmp_path / "wheels")
    (site.venv / "lib/python3.11/site-packages/one-1.0.dist-info").mkdir(parents=True)
    said = ["Processing ./one-1.0.whl", "Processing ./two-1.0.whl"]
    assert prepare.told_installation(said, site) == "installing 1 of 2"
    assert prepare.told_installation([], site) == ""


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_terminal_has_it_in_place_and_is_clean_afterwards(
    prepare: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.setattr(prepare, "LOOK", 0.0)
    with prepare.Meter() as meter:
        meter.show("installing 1 of 12")
        meter.show("")
        meter.show("installing 2 of 2")
    assert terminal.getvalue() == (
        "\rdev: installing 1 of 12\rdev: installing 2 of 2 \r" + " " * 22 + "\r"
    )


def test_a_log_has_a_line_now_and_then(
    prepare: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    clock = [100.0]
    monkeypatch.setattr(prepare.time, "monotonic", lambda: clock[0])
    with prepare.Meter() as meter:
        for second in range(12):
            clock[0] = 100.0 + second
            meter.show(f"installing {second} of 12")
    assert capsys.readouterr().err == "dev: installing 5 of 12\ndev: installing 10 of 12\n"


def test_a_size_is_in_words(prepare: ModuleType, tmp_path: Path) -> None:
    (tmp_path / "below").mkdir()
    (tmp_path / "below/file").write_bytes(bytes(1_500_000))
    (tmp_path / "link").symlink_to("below/file")
    assert prepare.in_words(prepare.size_below(tmp_path)) == "1.5 MB"
    assert prepare.in_words(229_400_000) == "229 MB"
