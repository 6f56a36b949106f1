"""Folders of the user's as environments: granted, filtered, digested, shown as a home of their own."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from factory.files.seals import UserSeal
from factory.model.verdict import Status
from factory.plan.host_folders import FolderNotShown, read_folders
from tests.in_process import oneshot
from tests.world import World

pytestmark = pytest.mark.linux

CONFIG = """
[environments.tools]
host = "~/.tools"
also = ["~/.more"]
path = [".tools/bin"]
"""
USES = """
environment: [tools]
scope: {allowed_paths: ["out/"]}
steps:
  - {name: use, run: "mkdir out && hello > out/said && cat ~/.more/data >> out/said && echo $HOME >> out/said"}
  - {name: spoil, run: "rm -r ~/.tools && echo x > ~/left && test -z \\"$(git status --porcelain | grep -v out)\\""}
"""
SEES = """
checks:
  - {name: fresh, run: "hello && test ! -e ~/left && test ! -e ~/.tools/.npmrc && test ! -e ~/.tools/credentials.toml"}
"""
SEAL = UserSeal(bytes(32), "/x")


def a_home(home: Path) -> Path:
    (home / ".tools/bin").mkdir(parents=True)
    (home / ".more").mkdir()
    (home / ".more/data").write_text("data\n")
    tool = home / ".tools/bin/hello"
    tool.write_text("#!/bin/sh\necho hello\n")
    tool.chmod(0o755)
    (home / ".tools/.npmrc").write_text("//r/:_authToken=x\n")
    (home / ".tools/link").symlink_to("bin/hello")
    os.mkfifo(home / ".tools/fifo")
    return home


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    made = a_home(tmp_path / "home")
    expand = os.path.expanduser
    monkeypatch.setattr(
        os.path, "expanduser", lambda path: str(made) if path == "~" else expand(path)
    )
    return made


def test_a_folder_is_shown_as_it_is_and_counts(tmp_path: Path, home: Path) -> None:
    world = World(tmp_path / "repo")
    world.write("factory.toml", CONFIG)
    world.pack("TASK-0001-uses", USES, SEES)
    world.commit()
    verdict, results = oneshot(world)
    assert verdict is Status.BLOCKED
    missing = [one for one in results["preflight"].findings if one.id == "GRANT_MISSING"]
    assert [one.facts["thing"] for one in missing] == ["~/.tools", "~/.more"]
    assert not list((world.state / "environments").glob("*.digests")), "nothing was looked at"
    world.grant("folder '~/.tools' *", "folder '~/.more' *")
    verdict, results = oneshot(world)
    assert verdict is Status.PASS, [result.findings for result in results.values()]
    assert world.git("status", "--porcelain") == ""
    patch = (world.state / "bundles/TASK-0001/DIFF.patch").read_text()
    assert "+hello\n+data\n+/workspace/.git/home\n" in patch
    run = world.state / "runs" / world.runs()[-1]
    (one,) = json.loads((run / "PLAN.json").read_bytes())["environments"]
    assert (one["kind"], one["path"]) == ("host", [".tools/bin"])
    assert world.differs() == ""
    (home / ".more/data").write_text("other\n")
    assert oneshot(world)[0] is Status.PASS
    assert "+other\n" in (world.state / "bundles/TASK-0001/DIFF.patch").read_text()


def test_only_known_credential_files_are_left_out(tmp_path: Path) -> None:
    home = a_home(tmp_path)
    found = read_folders(home, ("~/.tools", "~/.more"), tmp_path / "c.digests", SEAL)
    assert [(one.path, one.executable, one.link) for one in found.files] == [
        (".more/data", False, None),
        (".tools/bin/hello", True, None),
        (".tools/link", False, "bin/hello"),
    ]
    for folder in ("~/.ssh", "~/none", "/opt/x", "~/.tools/link"):
        with pytest.raises(FolderNotShown):
            read_folders(home, (folder,), tmp_path / "c.digests", SEAL)


def test_what_is_old_and_unchanged_is_not_read_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from factory.plan import host_folders

    home, cache = a_home(tmp_path / "h"), tmp_path / "c.digests"
    read: list[str] = []
    real = host_folders._hash

    def hashed(place: str, path: str) -> str:
        read.append(path)
        return real(place, path)

    monkeypatch.setattr(host_folders, "_hash", hashed)
    both = [".more/data", ".tools/bin/hello"]

    def digest(seal: UserSeal = SEAL) -> str:
        read.clear()
        return read_folders(home, ("~/.tools", "~/.more"), cache, seal).sha256

    first = digest()
    assert (sorted(read), digest()) == (both, first)
    assert sorted(read) == both, "young files are read each time"
    monkeypatch.setattr(host_folders, "YOUNG", 0)
    assert (digest(), sorted(read)) == (first, both)
    assert (digest(), read) == (first, [])
    assert digest(UserSeal(bytes(31) + b"1", "/x")) == first
    assert sorted(read) == both, "a cache of somebody else is not believed"
    times = (home / ".more/data").stat()
    (home / ".more/data").write_text("dato\n")
    os.utime(home / ".more/data", ns=(times.st_atime_ns, times.st_mtime_ns))
    assert digest() != first, "the change time cannot be set"
