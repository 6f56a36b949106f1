"""`./dev` in small: a repository of two files, a lock of one hand-made wheel, no network anywhere.

Everything runs for real: the script, the virtual environment, pip with its hashes.
"""

from __future__ import annotations

import base64
import hashlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.sandbox_kit import ORDINARY_ID

ROOT = Path(__file__).resolve().parents[2]
SYSTEM_PATH = "/usr/local/bin:/usr/bin:/bin"
# One that any user may start, where root keeps its own to itself.
SYSTEM_PYTHON = shutil.which("python3", path=SYSTEM_PATH) or sys.executable

pytestmark = pytest.mark.linux

# A build backend that can do just what `./dev` needs: an editable installation with one command.
BACKEND = """
import os, zipfile

def write(folder, name, files):
    with zipfile.ZipFile(os.path.join(folder, name), "w") as wheel:
        for path, text in files.items():
            wheel.writestr(path, text)
    return name

def build_editable(wheel_directory, config_settings=None, metadata_directory=None):
    dist = "tiny-1.0.dist-info/"
    return write(wheel_directory, "tiny-1.0-py3-none-any.whl", {
        "tiny.pth": os.getcwd() + "\\n",
        dist + "METADATA": "Metadata-Version: 2.1\\nName: tiny\\nVersion: 1.0\\n",
        dist + "WHEEL": "Wheel-Version: 1.0\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n",
        dist + "entry_points.txt": "[console_scripts]\\ntiny = tiny:main\\n",
        dist + "RECORD": "",
    })

build_wheel = build_editable
"""
PROJECT = """
[build-system]
requires = ["tinybackend"]
build-backend = "tinybackend"

[project]
name = "tiny"
version = "1.0"
"""
MODULE = "def main():\n    print('the tiny command')\n"


@dataclass(frozen=True, slots=True)
class Site:
    """A small repository with our `dev` in it, the only index that it may use, and a cache of its
    own.
    """

    repository: Path
    index: Path
    cache: Path
    elsewhere: Path

    @property
    def wheels(self) -> Path:
        digest = hashlib.sha256((self.repository / "requirements.lock").read_bytes()).hexdigest()
        return self.cache / "codex-orchestrator" / "wheels" / digest

    def environment(self, **more: str) -> dict[str, str]:
        return {
            "PATH": f"{Path(sys.executable).resolve().parent}:{SYSTEM_PATH}",
            "HOME": str(self.cache / "home"),
            "XDG_CACHE_HOME": str(self.cache),
            "PIP_NO_INDEX": "1",
            "PIP_FIND_LINKS": self.index.as_uri(),
            "LC_ALL": "C",
            **more,
        }

    def dev(
        self, *words: str, cwd: Path | None = None, **more: str
    ) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [str(self.repository / "dev"), *words],
            cwd=cwd or self.elsewhere,
            env=self.environment(**more),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            encoding="utf-8",
        )


def write_wheel(folder: Path, name: str, text: str) -> str:
    """Write a wheel of one module by hand; returns its line for a lock."""
    files = {
        f"{name}.py": text,
        f"{name}-1.0.dist-info/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n",
        f"{name}-1.0.dist-info/WHEEL": (
            "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        ),
    }
    record = "".join(
        f"{path},sha256={record_digest(content)},{len(content)}\n"
        for path, content in files.items()
    )
    path = folder / f"{name}-1.0-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as wheel:
        for member, content in {**files, f"{name}-1.0.dist-info/RECORD": record}.items():
            wheel.writestr(member, content)
    return f"{name}==1.0 --hash=sha256:{hashlib.sha256(path.read_bytes()).hexdigest()}\n"


def record_digest(content: str) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(content.encode()).digest()).rstrip(b"=").decode()


@pytest.fixture
def site(tmp_path: Path) -> Site:
    repository = tmp_path / "Büro no 1" / "dépôt"
    (repository / "scripts").mkdir(parents=True)
    for name in ("dev", "scripts/prepare.py"):
        shutil.copy(ROOT / name, repository / name)
    (repository / "pyproject.toml").write_text(PROJECT, "utf-8")
    (repository / "tiny.py").write_text(MODULE, "utf-8")
    index = tmp_path / "index"
    elsewhere = tmp_path / "somewhere else"
    cache = tmp_path / "cache"
    for folder in (index, elsewhere, cache / "home"):
        folder.mkdir(parents=True)
    (repository / "requirements.lock").write_text(
        write_wheel(index, "tinybackend", BACKEND), "utf-8"
    )
    return Site(repository, index, cache, elsewhere)


def path_without_python(site: Site) -> str:
    """A search path with everything of the system but Python; a Python that is tried leaves a
    trace.
    """
    folder = site.cache / "bin"
    folder.mkdir(exist_ok=True)
    for name in ("cmp", "readlink", "sh", "cat", "pwd"):
        found = shutil.which(name, path=SYSTEM_PATH)
        assert found is not None
        (folder / name).unlink(missing_ok=True)
        (folder / name).symlink_to(found)
    return str(folder)


@pytest.mark.slow
def test_first_call_sets_up_and_second_starts_no_python(site: Site) -> None:
    first = site.dev("sh", "-c", "pwd; command -v python; tiny")
    assert first.returncode == 0, first.stderr
    assert first.stdout.splitlines() == [
        str(site.elsewhere),
        str(site.repository / ".venv" / "bin" / "python"),
        "the tiny command",
    ]
    assert [line.split()[:2] for line in first.stderr.splitlines()] == [
        ["dev:", "making"],
        ["dev:", "downloading"],
        ["dev:", "downloaded"],
        ["dev:", "installing"],
        ["dev:", "installed"],
        ["dev:", "installing"],
        ["dev:", "ready"],
    ]
    second = site.dev("sh", "-c", "echo $VIRTUAL_ENV; exit 7", PATH=path_without_python(site))
    assert (second.returncode, second.stdout, second.stderr) == (
        7,
        f"{site.repository}/.venv\n",
        "",
    )
    assert site.dev("no-such-command").returncode == 127


@pytest.mark.slow
def test_set_up_again_needs_the_cache_only(site: Site) -> None:
    assert site.dev("true").returncode == 0
    shutil.rmtree(site.repository / ".venv")
    shutil.rmtree(site.index)
    again = site.dev("tiny")
    assert (again.returncode, again.stdout) == (0, "the tiny command\n"), again.stderr
    assert "downloading" not in again.stderr


@pytest.mark.slow
def test_changed_project_file_installs_the_project_only(site: Site) -> None:
    assert site.dev("true").returncode == 0
    with (site.repository / "pyproject.toml").open("a", encoding="utf-8") as project:
        project.write("# changed\n")
    again = site.dev("tiny")
    assert (again.returncode, again.stdout) == (0, "the tiny command\n")
    assert again.stderr == "dev: installing the project\ndev: ready\n"


@pytest.mark.slow
def test_changed_lock_makes_the_environment_anew(site: Site) -> None:
    assert site.dev("true").returncode == 0
    (site.repository / ".venv" / "stray").touch()
    more = write_wheel(site.index, "another", "")
    with (site.repository / "requirements.lock").open("a", encoding="utf-8") as lock:
        lock.write(more)
    assert site.dev("python", "-c", "import another").returncode == 0
    assert not (site.repository / ".venv" / "stray").exists()


@pytest.mark.slow
def test_moved_repository_is_set_up_for_its_new_place(site: Site) -> None:
    assert site.dev("true").returncode == 0
    moved = site.repository.with_name("moved")
    site.repository.rename(moved)
    there = Site(moved, site.index, site.cache, site.elsewhere)
    assert there.dev("tiny").stdout == "the tiny command\n"
    found = there.dev("sh", "-c", "command -v tiny").stdout.strip()
    assert found == str(moved / ".venv" / "bin" / "tiny")


@pytest.mark.slow
def test_call_through_a_link_finds_the_repository(site: Site) -> None:
    link = site.elsewhere / "linked"
    link.symlink_to("hop")
    (site.elsewhere / "hop").symlink_to(site.repository / "dev")
    done = subprocess.run(
        [str(link), "tiny"], env=site.environment(), capture_output=True, text=True
    )
    assert (done.returncode, done.stdout) == (0, "the tiny command\n"), done.stderr


@pytest.mark.slow
def test_two_at_once_make_one_environment(site: Site) -> None:
    words = [str(site.repository / "dev"), "tiny"]
    both = [
        subprocess.Popen(words, env=site.environment(), stdout=-1, stderr=-1, text=True)
        for _ in range(2)
    ]
    ends = [one.communicate(timeout=120) for one in both]
    assert [one.returncode for one in both] == [0, 0], ends
    assert [out for out, _ in ends] == ["the tiny command\n"] * 2
    assert sum(err.count("making") for _, err in ends) == 1


@pytest.mark.slow
@pytest.mark.parametrize(
    "stage", ["making", "downloading", "installing the tools", "installing the project"]
)
def test_killed_half_way_goes_on(site: Site, stage: str) -> None:
    words = [str(site.repository / "dev"), "tiny"]
    started = subprocess.Popen(
        words, env=site.environment(), stderr=-1, text=True, start_new_session=True
    )
    assert started.stderr is not None
    with started, started.stderr:
        assert any(stage in line for line in started.stderr)
        time.sleep(0.1)  # into the stage, wherever that is
        os.killpg(started.pid, signal.SIGKILL)
    again = site.dev("tiny")
    assert (again.returncode, again.stdout) == (0, "the tiny command\n"), again.stderr


def test_environment_of_someone_else_is_left_alone(site: Site) -> None:
    theirs = site.repository / ".venv"
    theirs.mkdir()
    (theirs / "precious").write_text("kept", "utf-8")
    done = site.dev("true")
    assert done.returncode == 2
    assert "made by ./dev, found one made by something else; move it away" in done.stderr
    assert (theirs / "precious").read_text("utf-8") == "kept"


@pytest.mark.slow
def test_wheel_with_a_wrong_hash_is_refused(site: Site) -> None:
    lock = site.repository / "requirements.lock"
    lock.write_text(lock.read_text("utf-8")[:-9] + "00000000\n", "utf-8")
    done = site.dev("true")
    assert done.returncode == 2
    assert "dev: expected to download the tools, found exit code 1" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.slow
def test_wheel_that_changed_in_the_cache_is_refused(site: Site) -> None:
    assert site.dev("true").returncode == 0
    (wheel,) = site.wheels.glob("*.whl")
    write_wheel(site.wheels, "tinybackend", BACKEND + "# poisoned\n")
    assert wheel.exists()
    shutil.rmtree(site.repository / ".venv")
    done = site.dev("true")
    assert done.returncode == 2
    assert "dev: expected to install the tools, found exit code 1" in done.stderr


def test_no_command_is_a_usage_error(site: Site) -> None:
    done = site.dev()
    assert done.returncode == 64
    assert done.stdout == ""
    assert done.stderr.startswith("usage: ./dev COMMAND")
    assert not (site.repository / ".venv").exists()


def test_usage_can_be_asked_for(site: Site) -> None:
    done = site.dev("--help")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("usage: ./dev COMMAND")


def test_option_is_a_usage_error(site: Site) -> None:
    done = site.dev("--verbose")
    assert done.returncode == 64
    assert (
        done.stderr == "dev: expected a command, found the option '--verbose'; see ./dev --help\n"
    )


def test_missing_python_is_one_sentence(site: Site) -> None:
    done = site.dev("true", PATH=path_without_python(site))
    assert done.returncode == 2
    assert (
        done.stderr == "dev: expected Python 3.11 or newer on the PATH, found none; "
        "install it (Debian and Ubuntu: apt install python3 python3-venv) and call ./dev again\n"
    )


def write_python(site: Site, name: str, verdicts: str) -> str:
    """Put a stand-in for an interpreter on the search path; `verdicts` decides over what it is
    asked.
    """
    folder = path_without_python(site)
    stub = Path(folder) / name
    stub.write_text(f"#!/bin/sh\n{verdicts}\n", "utf-8")
    stub.chmod(0o755)
    return folder


@dataclass(frozen=True, slots=True)
class Shared:
    """A repository that an ordinary user can read and not write, and a folder that it may not
    enter.
    """

    repository: Path
    closed: Path
    path: Path

    def dev(self, path: Path) -> tuple[int, str]:
        is_root = os.geteuid() == 0
        ended = subprocess.run(
            [str(self.repository / "dev"), "true"],
            cwd="/",
            env={"PATH": f"{path}:{self.path}", "HOME": "/proc/nonexistent", "LC_ALL": "C"},
            capture_output=True,
            text=True,
            user=ORDINARY_ID if is_root else None,
            group=ORDINARY_ID if is_root else None,
            extra_groups=() if is_root else None,
        )
        return ended.returncode, ended.stderr


@pytest.fixture
def shared() -> Iterator[Shared]:
    with tempfile.TemporaryDirectory(prefix="dev-") as name:
        place = Path(name)
        place.chmod(0o755)
        repository, closed, path = (place / each for each in ("repository", "closed", "bin"))
        (repository / "scripts").mkdir(parents=True)
        (closed / "bin").mkdir(parents=True)
        path.mkdir()
        for each in ("dev", "scripts/prepare.py", "requirements.lock", "pyproject.toml"):
            shutil.copy(ROOT / each, repository / each)
        for each in ("cmp", "readlink", "sh", "cat", "pwd"):
            (path / each).symlink_to(str(shutil.which(each, path=SYSTEM_PATH)))
        (closed / "bin/python3").symlink_to(Path(sys.executable).resolve())
        closed.chmod(0o700 if os.geteuid() == 0 else 0)
        try:
            yield Shared(repository, closed, path)
        finally:
            repository.chmod(0o755)
            closed.chmod(0o700)


def test_the_folder_that_keeps_from_an_interpreter_is_named(shared: Shared) -> None:
    code, said = shared.dev(shared.closed / "bin")
    assert code == 2
    assert f"found {shared.closed}/bin, and you may not enter {shared.closed};" in said
    linked = shared.repository.parent / "linked"
    linked.mkdir()
    (linked / "python3").symlink_to(shared.closed / "bin/python3")
    code, said = shared.dev(linked)
    assert code == 2
    assert f"found {shared.closed}/bin/python3, and you may not enter {shared.closed};" in said


def test_an_environment_of_another_user_is_named_and_not_its_lock(shared: Shared) -> None:
    scripts = shared.repository / ".venv/bin"
    scripts.mkdir(parents=True)
    (scripts / "python").symlink_to(shared.closed / "bin/python3")
    (shared.repository / ".venv.lock").touch()
    (shared.repository / ".venv.lock").chmod(0o444)
    shared.repository.chmod(0o555)
    python = shared.repository.parent / "python"
    python.mkdir()
    (python / "python3").symlink_to(SYSTEM_PYTHON)
    code, said = shared.dev(python)
    assert code == 2
    assert f"you may not enter {shared.closed}" in said
    assert "make a clone of your own" in said
    assert ".venv.lock" not in said


def test_old_python_is_not_taken(site: Site) -> None:
    done = site.dev("true", PATH=write_python(site, "python3", "exit 1"))
    assert done.returncode == 2
    assert "expected Python 3.11 or newer" in done.stderr


def test_python_without_venv_is_one_sentence(site: Site) -> None:
    without = "case $* in *venv*) exit 1 ;; esac"
    done = site.dev("true", PATH=write_python(site, "python3.12", without))
    assert done.returncode == 2
    assert "expected a Python with the venv module, found python3.12 without it" in done.stderr


@pytest.mark.slow
def test_committed_lock_installs_without_network(tmp_path: Path) -> None:
    """The real lock, from the user's warm cache, in a network namespace of its own where the system
    grants one.
    """
    repository = tmp_path / "Büro no 1"
    shutil.copytree(
        ROOT,
        repository,
        ignore=shutil.ignore_patterns(".venv*", ".git", ".factory", "__pycache__", ".*_cache"),
    )
    alone = ["unshare", "--user", "--map-root-user", "--net"]
    can = subprocess.run([*alone, "true"], capture_output=True).returncode == 0
    words = [*(alone if can else []), str(repository / "dev"), "factory", "--version"]
    done = subprocess.run(
        words, env={**os.environ, "PIP_NO_INDEX": "1"}, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("factory ")
