"""Every shipped pack passes, gives the same bundle through every backend and for any user, and is
narrow.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import shutil
import subprocess
import sys
import tarfile
from dataclasses import dataclass
from pathlib import Path

import pytest
from mypy import api as mypy

from tests import sandbox_kit
from tests.sample import sample
from tests.world import Ended, World, run

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


class Clone(World):
    """A repository that is there already."""

    def __init__(self, root: Path) -> None:
        self.root = root


@pytest.fixture(scope="module")
def origin(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return committed(tmp_path_factory.mktemp("origin") / "repository")


def clone(origin: Path, folder: Path) -> Clone:
    git(origin, "clone", "-q", "--no-hardlinks", str(origin), str(folder))
    return Clone(folder)


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


def oneshot(repository: Clone, way: str = "overlay") -> Ended:
    """`doit oneshot` with packs confined in one of WAYS."""
    return repository.doit("oneshot", **WAYS[way])


def oneshot_of_ordinary_user(repository: Clone, way: str) -> Ended:
    """The same by a user who is not root, with a home of his own."""
    if os.geteuid() != 0:
        return oneshot(repository, way)
    home = repository.root.parent / "home"
    home.mkdir()
    for path in (home, repository.root, *repository.root.rglob("*")):
        os.chown(path, sandbox_kit.ORDINARY_ID, sandbox_kit.ORDINARY_ID, follow_symlinks=False)
    words = [sys.executable, "-c", AS_ORDINARY_USER, "-m", "doit", "oneshot"]
    own = {"HOME": str(home), "XDG_CONFIG_HOME": str(home), "PYTHONPATH": str(ROOT)}
    return run(words, repository.root, **own, **WAYS[way])


def passed(done: Ended) -> str:
    assert done.rc == 0, done.text
    return done.out


def bundles(repository: Clone) -> dict[str, bytes]:
    folder = repository.state / "bundles"
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


def changed(found: dict[str, bytes]) -> dict[str, list[str]]:
    """The paths that each pack's bundle says it changed."""
    return {
        pack: [one["path"] for one in json.loads(found[f"{pack}/FILES_CHANGED.json"])["files"]]
        for pack in PACKS
    }


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


@dataclass(frozen=True)
class Told:
    """What one run said, and the bundles after it."""

    out: str
    bundles: dict[str, bytes]


@dataclass(frozen=True)
class Story:
    """Four runs in one clone, in overlays, as whoever runs the tests."""

    repository: Clone
    first: Told
    unrelated: Told
    edited: Told
    accepted: Told


@pytest.fixture(scope="module")
def story(origin: Path, tmp_path_factory: pytest.TempPathFactory) -> Story:
    """Run, commit what no pack sees, edit one pack, commit the results of the last run."""
    repository = clone(origin, tmp_path_factory.mktemp("story") / "repository")

    def told() -> Told:
        return Told(passed(oneshot(repository)), bundles(repository))

    first = told()
    repository.write("unrelated.txt", "x\n")
    repository.commit()
    unrelated = told()
    spec = next((repository.root / "taskpacks").glob("TASK-0103-*/spec.md"))
    spec.write_text(spec.read_text("utf-8") + "\nOne more sentence.\n", "utf-8")
    edited = told()
    repository.git("apply", "--index", str(repository.last() / "DIFF.patch"))
    repository.commit()
    return Story(repository, first, unrelated, edited, told())


def test_every_pack_passes_and_two_of_them_change_files(story: Story) -> None:
    assert launched(story.first.out) == list(PACKS)
    assert changed(story.first.bundles) == {
        "TASK-0101": ["docs/inventory/dependencies.json", "docs/inventory/dependencies.md"],
        "TASK-0102": [],
        "TASK-0103": ["content/index.json"],
    }
    verdicts = [
        event["details"]["status"]
        for event in story.repository.events()
        if event["event_type"] == "integrate.finished"
    ]
    assert verdicts == ["PASS"] * 4


def test_a_commit_that_no_pack_sees_runs_none_and_keeps_every_bundle(story: Story) -> None:
    assert launched(story.unrelated.out) == []
    assert story.unrelated.bundles == story.first.bundles
    assert len(story.repository.runs()) == 4


def test_editing_one_pack_runs_that_pack_only(story: Story) -> None:
    assert launched(story.edited.out) == ["TASK-0103"]


def test_results_that_are_committed_are_no_change_and_pass(story: Story) -> None:
    assert {"TASK-0101", "TASK-0103"} <= set(launched(story.accepted.out))
    assert changed(story.accepted.bundles) == {pack: [] for pack in PACKS}


@pytest.mark.parametrize("way", sample([], ["bubblewrap", "worktree", "landlock"]))
def test_bundles_from_every_backend_are_the_same_bytes(
    origin: Path, story: Story, tmp_path: Path, way: str
) -> None:
    other = clone(origin, tmp_path / "repository")
    passed(oneshot(other, way))
    assert bundles(other) == story.first.bundles
    accepted = set(other.status()["properties_accepted"])
    assert "disk_bounded" in accepted <= {*WAYS[way]["FACTORY_ACCEPT_MISSING"].split(",")}
    report = (other.last() / "FINAL_REPORT.md").read_text()
    assert all(name in "".join(report.splitlines(keepends=True)[:8]) for name in accepted)


@pytest.mark.parametrize("way", sample(["landlock"], ["overlay", "worktree"]))
def test_bundles_of_an_ordinary_user_are_the_same_bytes(
    origin: Path, story: Story, tmp_path: Path, way: str
) -> None:
    other = clone(origin, tmp_path / "repository")
    # Where the tests themselves run as an ordinary user, this is a second run of the same.
    passed(oneshot_of_ordinary_user(other, way))
    assert bundles(other) == story.first.bundles


def test_site_is_whole_and_bundle_of_content_reads_back(story: Story) -> None:
    found = story.first.bundles
    site = "TASK-0102/ARTIFACTS/taskpacks/TASK-0102-docs-site/site/"
    built = {name.removeprefix(site) for name in found if name.startswith(site)}
    assert built == {*json.loads(found[f"{site}pages.json"]), "pages.json"}
    assert {"index.html", "ARCHITECTURE.html", "docs/factory/TASKPACK.html", "style.css"} <= built
    tar = "TASK-0103/ARTIFACTS/taskpacks/TASK-0103-content-bundle/bundle/night-shift.tar"
    with tarfile.open(fileobj=io.BytesIO(found[tar])) as opened:
        index = opened.extractfile("content/index.json")
        assert index is not None
        digests = json.loads(index.read())["files"]
        for name, digest in digests.items():
            member = opened.extractfile(f"content/{name}")
            assert member is not None
            assert hashlib.sha256(member.read()).hexdigest() == digest
    assert "levels/boiler-room.toml" in digests


SEEN_BY: tuple[tuple[str, set[str]], ...] = (
    ("content/levels/boiler-room.toml", {"TASK-0103"}),
    ("docs/factory/CONFIG.md", {"TASK-0102"}),
    ("requirements.lock", {"TASK-0101", "TASK-0102"}),
    ("taskpacks/TASK-0102-docs-site/spec.md", {"TASK-0102"}),
    ("unrelated.txt", set()),
)


def test_a_file_counts_for_the_packs_that_see_it(origin: Path, tmp_path: Path) -> None:
    repository = clone(origin, tmp_path / "repository")
    before = action_keys(repository)
    for path, packs in SEEN_BY:
        place = repository.root / path
        place.write_bytes((place.read_bytes() if place.exists() else b"") + b"\n# One more line.\n")
        repository.commit()
        after = action_keys(repository)
        assert {pack for pack in PACKS if before[pack] != after[pack]} == packs, path
        before = after


def action_keys(repository: Clone) -> dict[str, str]:
    """The action keys of the frozen plan."""
    planned = json.loads(passed(repository.factory("plan", "--json")))["plan"]
    return {one["pack"]: one["action_key"] for one in planned["packs"]}


BREAKS = (
    ("requirements.lock", "doit==0.37.0", "doit>=0.37.0"),
    ("CONTRIBUTING.md", "# Contributing", "# Contributing\n\n[dead](docs/nowhere.md)"),
    ("content/loot/tables.toml", 'item = "wrench"', 'item = "wrenches"'),
)


def test_what_each_pack_is_there_to_find_is_blocked(origin: Path, tmp_path: Path) -> None:
    repository = clone(origin, tmp_path / "repository")
    for path, old, new in BREAKS:
        text = (repository.root / path).read_text("utf-8")
        assert old in text
        repository.write(path, text.replace(old, new, 1))
    repository.commit()
    done = oneshot(repository)
    assert done.rc == 2, done.text
    said = {pack: done.out.partition(f"\n\n{pack}\n")[2].partition("\n\n")[0] for pack in PACKS}
    assert "doit: reviewed, and not in the lock" in said["TASK-0101"]
    assert "check-2" in said["TASK-0102"]
    assert "there is no item" in said["TASK-0103"]


@pytest.fixture(scope="module")
def typing_cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("mypy")


@pytest.mark.parametrize(
    "folder", sorted((ROOT / "taskpacks").glob("TASK-*")), ids=lambda folder: folder.name[:9]
)
def test_scripts_of_packs_are_typed(
    folder: Path, typing_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(folder)
    scripts = sorted(path.name for path in folder.glob("*.py"))
    out, err, rc = mypy.run(["--strict", "--config-file=", f"--cache-dir={typing_cache}", *scripts])
    assert rc == 0, out + err
