"""`factory init` in repositories of others: adds files, replaces none, and what it adds ends
PASS.
"""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from tests.sample import sample
from tests.warm import BIN
from tests.world import World, environment, run

pytestmark = pytest.mark.linux

WRITTEN = {
    ".gitignore", "dodo.py", "factory.toml",
    *(f"taskpacks/TASK-0001-file-inventory/{name}" for name in (
        "task.yml", "acceptance.yml", "spec.md", "risk.md", "runbook.md", "inventory.py")),
}  # fmt: skip


class Theirs(World):
    """A repository that is not ours: nothing in it but what a test puts there."""

    def __init__(
        self, root: Path, files: dict[str, str | bytes], *, object_format: str = "sha1"
    ) -> None:
        self.root = root
        root.mkdir(parents=True)
        self.git("init", "-q", "-b", "main", f"--object-format={object_format}")
        for path, content in files.items():
            self.write(path, content)
        self.git("add", "-A", "-f")
        self.git("commit", "-q", "--allow-empty", "-m", "theirs")


def untracked(world: World) -> set[str]:
    words = ("ls-files", "-z", "--others", "--exclude-standard")
    return {name for name in world.git(*words).split("\0") if name}


def last_patch(world: World) -> str:
    return (world.last() / "DIFF.patch").read_text()


REPOSITORIES: dict[str, dict[str, str | bytes]] = {
    "empty": {},
    "one file": {"README": "hello"},
    "docs is a file": {"docs": "a file\n"},
    "Docs in capitals": {"Docs/x.md": "x\n"},
    "docs is ignored": {".gitignore": "docs/\n"},
    "inventory exists": {"docs/file-inventory.md": "\n".join(map(str, range(5000)))},
    "every place taken": {
        ".gitignore": "/docs/\n",
        "file-inventory.md": "theirs\n",
        "file-inventory": "theirs\n",
    },
    "odd names": {
        "ü ö/ä `b`.txt": "x\n",
        "bin": b"\0\xff",
        "crlf.txt": "a\r\nb\r\n",
        "-n": "x",
        "taskpacks.txt": "",
    },
    "a project": {
        "pyproject.toml": "[project]\nname='x'\n",
        "src/x.py": "print(1)\n",
        "docs/index.md": "# X\n",
    },
}
USUAL = ("empty", "a project", "odd names", "every place taken")


@pytest.mark.parametrize("name", sample(USUAL, sorted(REPOSITORIES.keys() - USUAL)))
def test_init_then_oneshot_passes_before_and_after_committing(tmp_path: Path, name: str) -> None:
    world = Theirs(tmp_path / "their repository", REPOSITORIES[name])
    before = {path: (world.root / path).read_bytes() for path in REPOSITORIES[name]}
    ended = world.factory("init")
    assert (ended.rc, ended.err) == (0, ""), ended.text
    assert {path: (world.root / path).read_bytes() for path in before} == before
    assert not world.state.exists()
    first = world.doit("oneshot")
    assert first.rc == 0, first.text
    assert "REPO_PACKS_UNCOMMITTED" in first.out
    world.git("add", "-A")
    world.git("commit", "-qm", "Task packs")
    second = world.factory("oneshot")
    assert second.rc == 0, second.text
    assert last_patch(world).count("diff --git ") == 1
    assert world.factory("contract").rc == 0


def test_a_second_pack_that_adds_a_file_goes_together_with_the_first(tmp_path: Path) -> None:
    world = Theirs(tmp_path / "r", {"README.md": "# Theirs\n"})
    for words in (("init",), ("taskpack", "new", "TASK-0002-more", "--domain", "web")):
        assert world.factory(*words).rc == 0
    world.write(
        "taskpacks/TASK-0002-more/acceptance.yml",
        "checks: [{name: it is there, run: test -s docs/more.md}]\n",
    )
    world.git("add", "-A")
    world.git("commit", "-qm", "Two task packs")
    ended = world.doit("oneshot")
    assert ended.rc == 0, ended.text
    assert last_patch(world).count("diff --git ") == 2


def test_init_says_what_it_wrote_and_kept(tmp_path: Path) -> None:
    world = Theirs(tmp_path / "r", {"noxfile.py": "theirs\n", ".gitignore": "x\n"})
    ended = world.factory("init", "--nox")
    lines = ended.out.splitlines()
    assert {line.split(None, 1)[1] for line in lines if line.startswith("wrote ")} == WRITTEN - {
        "noxfile.py",
        ".gitignore",
    }
    assert {line.split(None, 1)[1] for line in lines if line.startswith("kept ")} == {
        "noxfile.py",
        ".gitignore",
    }
    assert untracked(world) == WRITTEN - {"noxfile.py", ".gitignore"}
    assert any(line.startswith("Next   doit oneshot") for line in lines)
    again = world.factory("init")
    assert (again.rc, "wrote" in again.out, "noxfile" in again.out) == (0, False, False)


def test_a_project_with_a_makefile_gets_a_pack_that_checks_it(tmp_path: Path) -> None:
    world = Theirs(tmp_path / "r", {"Makefile": "all:\n\techo built > out\n"})
    ended = world.factory("init")
    assert ended.out.startswith("found  Makefile (make)\n"), ended.text
    world.git("add", "-A")
    world.git("commit", "-qm", "Task packs")
    assert world.factory("oneshot").rc == 0
    world.write("Makefile", "all: gone.c\n")
    world.git("commit", "-qam", "Broken")
    blocked = world.factory("oneshot")
    assert (blocked.rc, "No rule to make target 'gone.c'" in blocked.out) == (2, True), blocked.text


def test_environments_of_a_kept_configuration_are_named(tmp_path: Path) -> None:
    files: dict[str, str | bytes] = {
        "factory.toml": "version = 1\n",
        "package.json": '{"dependencies": {"a": "1"}}',
        "package-lock.json": '{"resolved": "https://npm.example.org/a.tgz"}',
    }
    world = Theirs(tmp_path / "r", files)
    ended = world.factory("init", PATH=f"{BIN}:/bin")
    assert "factory.toml was kept; add to it:\n  [environments.node]\n" in ended.out, ended.text
    assert "npm.example.org" in ended.out
    assert "Next   factory grant " in ended.out


def test_dodo_of_another_is_kept_and_the_line_to_add_is_named(tmp_path: Path) -> None:
    world = Theirs(
        tmp_path / "r", {"dodo.py": "def task_theirs():\n    return {'actions': None}\n"}
    )
    ended = world.factory("init")
    assert "from factory.dodo import DOIT_CONFIG, task_factory" in ended.out
    assert world.factory("oneshot").rc == 0  # the command line needs no dodo.py


OWN = "raise RuntimeError('the factory of this repository was imported')\n"


@pytest.mark.parametrize("path", sample(["factory/__init__.py"], ["factory.py"]))
def test_repository_with_a_factory_of_its_own_gets_a_dodo_that_imports_ours(
    tmp_path: Path, path: str
) -> None:
    world = Theirs(tmp_path / "r", {path: OWN})
    ended = run([str(BIN / "factory"), "init", "--nox"], world.root)
    assert ended.rc == 0, ended.text
    for words in (
        ["doit", "list"],
        ["doit", "-n", "2", "oneshot"],
        ["python", "-m", "doit", "oneshot"],
    ):
        # With a hash seed each is a start of its own: what imports ours ahead would show nothing.
        ended = run([str(BIN / words[0]), *words[1:]], world.root, PYTHONHASHSEED="0")
        assert ended.rc == 0, ended.text
    assert ended.out.startswith("PASS ")
    ended = run([str(BIN / "nox"), "-s", "contract"], world.root, PYTHONHASHSEED="0")
    assert ended.rc == 0, ended.text
    world.write("dodo.py", "")
    kept = run([str(BIN / "factory"), "init"], world.root)
    assert "  sys.path.sort(key=lambda path: path == os.path.dirname(__file__))\n" in kept.out


def test_a_folder_named_factory_that_is_no_package_changes_nothing(tmp_path: Path) -> None:
    world = Theirs(tmp_path / "r", {"factory/plan.txt": "x\n"})
    assert world.factory("init").rc == 0
    listed = world.doit("list", PYTHONHASHSEED="0")
    assert listed.rc == 0, listed.text


def test_what_a_merge_put_beside_dodo_does_not_stand_in_for_the_installed_tool(
    tmp_path: Path,
) -> None:
    """A pack may write any module at the top; once merged, `doit list` must not run it on the
    host.
    """
    world = Theirs(tmp_path / "r", {})
    assert world.factory("init").rc == 0
    canary = tmp_path / "canary"
    for name in ("factory.py", "yaml.py", "pydantic.py", "filelock.py", "factory/__init__.py"):
        world.write(name, f"open({str(canary)!r}, 'w').close()\n")
    listed = world.doit("list", PYTHONHASHSEED="0")
    assert "oneshot" in listed.out, listed.text
    assert not canary.exists()


def test_init_works_from_a_subfolder_and_before_the_first_commit(tmp_path: Path) -> None:
    root = tmp_path / "fresh"
    (root / "sub").mkdir(parents=True)
    subprocess.run(["git", "init", "-q", str(root)], check=True, env=environment())
    ended = run([*FACTORY, "init"], root / "sub")
    assert ended.rc == 0, ended.text
    assert (root / "dodo.py").is_file()
    assert "Next   git add -A && git commit" in ended.out
    refused = run([*FACTORY, "oneshot"], root)
    assert (refused.rc, refused.err.startswith("REPO_NO_COMMITS  ")) == (2, True)


def test_init_writes_no_pack_where_there_are_packs(tmp_path: Path) -> None:
    world = World(tmp_path / "r")
    world.pack("TASK-0500-theirs", "scope: {allowed_paths: [docs/]}\n")
    world.commit()
    ended = world.factory("init")
    assert ended.rc == 0
    assert "kept   taskpacks/" in ended.out
    assert [path.name for path in (world.root / "taskpacks").iterdir()] == ["TASK-0500-theirs"]


def test_rule_that_hides_the_pack_is_named_with_its_remedy(tmp_path: Path) -> None:
    world = Theirs(tmp_path / "r", {".gitignore": "*.md\n"})
    ended = world.factory("init")
    assert ended.rc == 2
    assert (
        "PACK_FILE_MISSING  expected the repository to keep"
        " taskpacks/TASK-0001-file-inventory/risk.md" in ended.out
    )
    assert "Add to .gitignore: !/taskpacks/**" in ended.out
    world.write(".gitignore", "*.md\n!/taskpacks/**\n")
    world.git("add", "-A")
    world.git("commit", "-qm", "Rules")
    assert world.factory("oneshot").rc == 0


def test_init_follows_no_link(tmp_path: Path) -> None:
    world = Theirs(tmp_path / "r", {})
    (tmp_path / "elsewhere").mkdir()
    os.symlink(tmp_path / "elsewhere", world.root / "taskpacks")
    os.symlink("nowhere", world.root / "dodo.py")
    ended = world.factory("init")
    assert ended.rc == 2
    assert ended.err.startswith("PATH_UNSAFE  ")
    assert list((tmp_path / "elsewhere").iterdir()) == []
    assert os.readlink(world.root / "dodo.py") == "nowhere"


def test_packs_folder_of_the_configuration_is_used(tmp_path: Path) -> None:
    world = Theirs(tmp_path / "r", {"factory.toml": '[packs]\nfolder = "work/my packs"\n'})
    assert world.factory("init").rc == 0
    assert (world.root / "work/my packs/TASK-0001-file-inventory/task.yml").is_file()
    ended = world.factory("oneshot")
    assert ended.rc == 0, ended.text


def test_session_of_the_noxfile_ends_with_the_verdict(tmp_path: Path) -> None:
    world = Theirs(tmp_path / "r", {})
    assert world.factory("init", "--nox").rc == 0
    import sys

    words = [sys.executable, "-m", "nox", "-s", "contract"]
    assert run(words, world.root).rc == 0
    world.write("taskpacks/TASK-0001-file-inventory/task.yml", "id: 1\n")
    assert run(words, world.root).rc == 2


def test_not_a_repository(tmp_path: Path) -> None:
    ended = run([*FACTORY, "init"], tmp_path, GIT_CEILING_DIRECTORIES=str(tmp_path.parent))
    assert ended.rc == 2
    assert ended.err.startswith("REPO_NOT_FOUND  ")
    assert list(tmp_path.iterdir()) == []


FACTORY = ["python3", "-m", "factory"]
