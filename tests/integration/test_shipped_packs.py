"""Every shipped pack passes, gives the same bundle through every backend and for any user, and is
narrow.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path
from typing import Any

import pytest

from tests import sandbox_kit
from tests.sample import sample

pytestmark = pytest.mark.linux

ROOT = Path(__file__).resolve().parents[2]
PACKS = ("TASK-0101", "TASK-0102", "TASK-0103")
# What packs and the engine look at. `factory` itself comes from the repository under test.
COPIED = (
    *(
        "taskpacks",
        "content",
        "docs",
        "dodo.py",
        "factory.toml",
        "requirements.lock",
        "pyproject.toml",
        "LICENSE",
    ),
    *(
        ".gitignore",
        ".gitattributes",
        "README.md",
        "ARCHITECTURE.md",
        "CHANGELOG.md",
        "CONTRIBUTING.md",
    ),
)
AS_ORDINARY_USER = f"""
import os, sys
from pathlib import Path
sys.path.insert(0, {str(ROOT)!r})
from tests.sandbox_kit import become_ordinary_user
become_ordinary_user(Path(sys.base_prefix), Path(sys.prefix), Path({str(ROOT)!r}), Path.cwd())
os.execv(sys.executable, [sys.executable, *sys.argv[1:]])
"""


def git(folder: Path, *words: str) -> str:
    identity = (
        "-c",
        "user.name=A",
        "-c",
        "user.email=a@example.invalid",
        "-c",
        "core.excludesFile=/dev/null",
    )
    done = subprocess.run(
        ["git", *identity, *words], cwd=folder, capture_output=True, text=True, check=True
    )
    return done.stdout


def committed(folder: Path) -> Path:
    """A repository with what the packs look at, as it stands in the work tree, in one commit."""
    folder.mkdir()
    for name in COPIED:
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(
                source, folder / name, ignore=shutil.ignore_patterns("__pycache__", ".*_cache")
            )
        else:
            shutil.copyfile(source, folder / name)
    git(folder, "init", "-q", "-b", "main")
    git(folder, "add", "-A")
    git(folder, "commit", "-q", "-m", "All")
    return folder


@pytest.fixture(scope="module")
def origin(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return committed(tmp_path_factory.mktemp("origin") / "repository")


def clone(origin: Path, folder: Path) -> Path:
    git(origin, "clone", "-q", "--no-hardlinks", str(origin), str(folder))
    return folder


# What a user says to have packs confined in one way, and to accept what it lacks.
WAYS = {
    "overlay": {"FACTORY_ISOLATION": "overlay"},
    "worktree": {"FACTORY_ISOLATION": "worktree", "FACTORY_ACCEPT_MISSING": "disk_bounded"},
    "bubblewrap": {"FACTORY_BACKEND": "bubblewrap", "FACTORY_ACCEPT_MISSING": "disk_bounded"},
    "landlock": {
        "FACTORY_BACKEND": "landlock",
        "FACTORY_ACCEPT_MISSING": "disk_bounded,fs_read_scoped,fs_write_scoped,pids_bounded",
    },
}


def oneshot(
    repository: Path, way: str = "overlay", *, ordinary: bool = False
) -> subprocess.CompletedProcess[str]:
    return run_doit(repository, "oneshot", way, ordinary=ordinary)


def run_doit(
    repository: Path, task: str, way: str = "overlay", *, ordinary: bool = False
) -> subprocess.CompletedProcess[str]:
    """`doit TASK` with packs confined in one of WAYS."""
    home = repository.parent / "home"
    home.mkdir(exist_ok=True)
    environment = {
        **{
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("FACTORY_", "GIT_"))
        },
        "HOME": str(home),
        "XDG_CONFIG_HOME": str(home),
        "PYTHONPATH": str(ROOT),
        **WAYS[way],
    }
    words = ["-m", "doit", task]
    if ordinary:
        for path in (home, repository, *repository.rglob("*")):
            os.chown(path, sandbox_kit.ORDINARY_ID, sandbox_kit.ORDINARY_ID, follow_symlinks=False)
        words = ["-c", AS_ORDINARY_USER, *words]
    command = [sys.executable, *words]
    return subprocess.run(
        command, cwd=repository, env=environment, capture_output=True, text=True, check=False
    )


def passed(done: subprocess.CompletedProcess[str]) -> str:
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def bundles(repository: Path) -> dict[str, bytes]:
    folder = repository / ".factory" / "bundles"
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


def status(repository: Path) -> dict[str, Any]:
    (run,) = (repository / ".factory" / "runs").iterdir()
    found: dict[str, Any] = json.loads((run / "Z_integrator" / "STATUS.json").read_bytes())
    return found


@pytest.fixture(scope="module")
def first(origin: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A clone in which all packs have run once, in overlays, as whoever runs the tests. Not to be
    changed.
    """
    repository = clone(origin, tmp_path_factory.mktemp("first") / "repository")
    passed(oneshot(repository))
    return repository


def test_every_pack_passes_and_two_of_them_change_files(first: Path) -> None:
    changed = {
        pack: [
            one["path"] for one in json.loads(bundles(first)[f"{pack}/FILES_CHANGED.json"])["files"]
        ]
        for pack in PACKS
    }
    assert changed == {
        "TASK-0101": ["docs/inventory/dependencies.json", "docs/inventory/dependencies.md"],
        "TASK-0102": [],
        "TASK-0103": ["content/index.json"],
    }
    assert status(first)["status"] == "PASS"


@pytest.mark.parametrize("way", sample(["bubblewrap"], ["worktree", "landlock"]))
def test_bundles_from_every_backend_are_the_same_bytes(
    origin: Path, first: Path, tmp_path: Path, way: str
) -> None:
    other = clone(origin, tmp_path / "repository")
    passed(oneshot(other, way))
    assert bundles(other) == bundles(first)
    accepted = set(status(other)["properties_accepted"])
    assert "disk_bounded" in accepted <= {*WAYS[way]["FACTORY_ACCEPT_MISSING"].split(",")}
    report = next((other / ".factory" / "runs").glob("*/Z_integrator/FINAL_REPORT.md")).read_text()
    assert all(name in "".join(report.splitlines(keepends=True)[:8]) for name in accepted)


@pytest.mark.parametrize("way", sample(["landlock"], ["overlay", "worktree"]))
def test_bundles_of_an_ordinary_user_are_the_same_bytes(
    origin: Path, first: Path, tmp_path: Path, way: str
) -> None:
    other = clone(origin, tmp_path / "repository")
    # Where the tests themselves run as an ordinary user, this is a second run of the same.
    passed(oneshot(other, way, ordinary=os.geteuid() == 0))
    assert bundles(other) == bundles(first)


def test_site_is_whole_and_bundle_of_content_reads_back(first: Path) -> None:
    found = bundles(first)
    site = "TASK-0102/ARTIFACTS/taskpacks/TASK-0102-docs-site/site/"
    built = {name.removeprefix(site) for name in found if name.startswith(site)}
    assert built == {*json.loads(found[f"{site}pages.json"]), "pages.json"}
    assert {"index.html", "ARCHITECTURE.html", "docs/factory/TASKPACK.html", "style.css"} <= built
    archive = (
        first
        / ".factory/bundles/TASK-0103/ARTIFACTS/taskpacks/TASK-0103-content-bundle/bundle/night-shift.tar"
    )
    with tarfile.open(archive) as opened:
        index = opened.extractfile("content/index.json")
        assert index is not None
        digests = json.loads(index.read())["files"]
        for name, digest in digests.items():
            member = opened.extractfile(f"content/{name}")
            assert member is not None
            assert hashlib.sha256(member.read()).hexdigest() == digest
    assert "levels/boiler-room.toml" in digests


def test_editing_one_pack_runs_that_pack_only(origin: Path, tmp_path: Path) -> None:
    repository = clone(origin, tmp_path / "repository")
    passed(oneshot(repository))
    spec = next((repository / "taskpacks").glob("TASK-0103-*/spec.md"))
    spec.write_text(spec.read_text("utf-8") + "\nOne more sentence.\n", "utf-8")
    said = passed(oneshot(repository))
    assert launched(said) == ["TASK-0103"]


@pytest.mark.parametrize(
    ("path", "packs"),
    [
        ("content/levels/boiler-room.toml", {"TASK-0103"}),
        ("docs/factory/CONFIG.md", {"TASK-0102"}),
        ("requirements.lock", {"TASK-0101", "TASK-0102"}),
        ("taskpacks/TASK-0102-docs-site/spec.md", {"TASK-0102"}),
        ("unrelated.txt", set()),
    ],
)
def test_a_file_counts_for_the_packs_that_see_it(
    origin: Path, tmp_path: Path, path: str, packs: set[str]
) -> None:
    repository = clone(origin, tmp_path / "repository")
    before = action_keys(repository)
    place = repository / path
    place.write_bytes((place.read_bytes() if place.exists() else b"") + b"\n# One more line.\n")
    git(repository, "add", "-A")
    git(repository, "commit", "-q", "-m", "Edit")
    after = action_keys(repository)
    assert {pack for pack in PACKS if before[pack] != after[pack]} == packs


def test_a_commit_that_no_pack_sees_runs_none_and_keeps_every_bundle(
    origin: Path, first: Path, tmp_path: Path
) -> None:
    repository = clone(origin, tmp_path / "repository")
    passed(oneshot(repository))
    (repository / "unrelated.txt").write_text("x\n", "utf-8")
    git(repository, "add", "-A")
    git(repository, "commit", "-q", "-m", "Edit")
    assert launched(passed(oneshot(repository))) == []
    assert bundles(repository) == bundles(first)
    assert len(list((repository / ".factory" / "runs").iterdir())) == 2


def action_keys(repository: Path) -> dict[str, str]:
    """The action keys of the frozen plan."""
    passed(run_doit(repository, "preflight"))
    plan = json.loads((repository / ".factory" / "state" / "plan.json").read_bytes())
    return {one["pack"]: one["action_key"] for one in plan["packs"]}


def launched(said: str) -> list[str]:
    """Ids of the packs that a run says it launched."""
    lines = said.splitlines()
    starts = [number for number, line in enumerate(lines) if line.startswith("launch ")]
    if not starts:
        return []
    found = []
    for line in [lines[starts[0]].removeprefix("launch"), *lines[starts[0] + 1 :]]:
        if not line.startswith(" "):
            break
        if "unchanged" not in line:
            found.append(line.split()[0])
    return found


def test_results_that_are_committed_are_no_change_and_pass(
    origin: Path, first: Path, tmp_path: Path
) -> None:
    repository = clone(origin, tmp_path / "repository")
    (run,) = (first / ".factory" / "runs").iterdir()
    (patch,) = run.glob("Z_integrator/DIFF.patch")
    git(repository, "apply", "--index", str(patch))
    git(repository, "commit", "-q", "-m", "Results")
    passed(oneshot(repository))
    for pack in PACKS:
        assert json.loads(bundles(repository)[f"{pack}/FILES_CHANGED.json"])["files"] == []


@pytest.mark.parametrize(
    ("path", "old", "new", "pack", "words"),
    [
        (
            "requirements.lock",
            "doit==0.37.0",
            "doit>=0.37.0",
            "TASK-0101",
            "doit: reviewed, and not in the lock",
        ),
        (
            "CONTRIBUTING.md",
            "# Contributing",
            "# Contributing\n\n[dead](docs/nowhere.md)",
            "TASK-0102",
            "check-2",
        ),
        (
            "content/loot/tables.toml",
            'item = "wrench"',
            'item = "wrenches"',
            "TASK-0103",
            "there is no item",
        ),
    ],
)
def test_what_a_pack_is_there_to_find_is_blocked(
    origin: Path, tmp_path: Path, path: str, old: str, new: str, pack: str, words: str
) -> None:
    repository = clone(origin, tmp_path / "repository")
    text = (repository / path).read_text("utf-8")
    assert old in text
    (repository / path).write_text(text.replace(old, new, 1), "utf-8")
    git(repository, "commit", "-q", "-a", "-m", "Break it")
    done = oneshot(repository)
    assert done.returncode == 2, done.stdout + done.stderr
    assert pack in done.stdout
    assert words in done.stdout


@pytest.mark.parametrize(
    "folder", sorted((ROOT / "taskpacks").glob("TASK-*")), ids=lambda folder: folder.name[:9]
)
def test_scripts_of_packs_are_typed(folder: Path, tmp_path: Path) -> None:
    scripts = sorted(path.name for path in folder.glob("*.py"))
    words = ["--strict", "--config-file=", f"--cache-dir={tmp_path}", *scripts]
    done = subprocess.run(
        [sys.executable, "-m", "mypy", *words],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout
