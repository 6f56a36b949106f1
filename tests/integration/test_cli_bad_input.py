"""Repositories and contracts as they should not be, given to the real command: works, or one
finding and exit 2.

Never a traceback, and nothing of the user's is lost: every case compares the user's files
before and after.
"""

from __future__ import annotations

import json
import os
import pwd
import re
import shutil
import stat
import sys
from pathlib import Path

import pytest

from factory.sandbox import host
from tests.sample import WHOLE, sample
from tests.warm import BIN
from tests.world import DODO, Ended, World, run

pytestmark = pytest.mark.linux

FACTORY = [sys.executable, "-m", "factory"]
GOOD = """
    scope: {allowed_paths: ["docs/**"]}
    steps: [{name: write, run: "mkdir -p docs && echo one > docs/one.txt"}]
"""


@pytest.fixture
def world(tmp_path: Path) -> World:
    made = World(tmp_path / "repo")
    made.pack("TASK-0101-one", GOOD)
    made.commit()
    return made


def user_files(root: Path) -> dict[str, tuple[int, bytes]]:
    """What the user owns: everything but our state and Git's objects."""
    found = {}
    for path in sorted(root.rglob("*")):
        name = path.relative_to(root).as_posix()
        if ".factory" in path.parts or "/objects/" in f"/{name}/" or path.is_dir():
            continue
        mode = path.lstat().st_mode
        content = (
            os.readlink(path).encode()
            if stat.S_ISLNK(mode)
            else path.read_bytes()
            if stat.S_ISREG(mode)
            else b""
        )
        found[name] = (mode, content)
    return found


def oneshot(root: Path, *words: str, **env: str) -> Ended:
    """Run; the user's files must be as before, and no traceback may show."""
    before = user_files(root)
    ended = run([*FACTORY, *(words or ("oneshot",))], root, **env)
    assert "Traceback" not in ended.text
    assert user_files(root) == before
    return ended


def refused(root: Path, finding: str, *words: str, **env: str) -> str:
    """The command ends with 2 and names `finding`; what it says."""
    ended = oneshot(root, *words, **env)
    assert ended.rc == 2, ended.text
    assert finding in ended.text
    return ended.text


def passed(root: Path, *notes: str) -> str:
    """The run ends PASS, its warnings are these."""
    ended = oneshot(root)
    assert ended.rc == 0, ended.text
    for note in notes:
        assert note in ended.out
    return ended.out


# the repository


def test_not_a_repository(tmp_path: Path) -> None:
    ceiling = str(tmp_path.parent)
    for command in ("oneshot", "preflight", "plan", "contract", "init", "config", "print-report"):
        said = refused(tmp_path, "REPO_NOT_FOUND", command, GIT_CEILING_DIRECTORIES=ceiling)
        assert said.splitlines()[1] == "    run it inside one, or start one with: git init"
    document = json.loads(
        run([*FACTORY, "oneshot", "--json"], tmp_path, GIT_CEILING_DIRECTORIES=ceiling).out
    )
    assert [finding["id"] for finding in document["findings"]] == ["REPO_NOT_FOUND"]
    assert list(tmp_path.iterdir()) == []


def test_folder_that_is_gone(tmp_path: Path) -> None:
    line = f"mkdir gone && cd gone && rmdir ../gone && exec {sys.executable} -m factory oneshot"
    ended = run(["/bin/sh", "-c", line], tmp_path)
    assert (ended.rc, "Traceback" in ended.text) == (2, False), ended.text


def test_no_commits(tmp_path: Path) -> None:
    run(["git", "init", "-q", "."], tmp_path)
    assert "make one with: git commit" in refused(tmp_path, "REPO_NO_COMMITS")


def test_contracts_can_be_checked_before_the_first_commit(tmp_path: Path) -> None:
    world = World(tmp_path / "r")
    world.pack("TASK-0101-one", GOOD)
    assert oneshot(world.root, "contract").rc == 0


def test_bare_repository(world: World, tmp_path: Path) -> None:
    run(["git", "clone", "-q", "--bare", str(world.root), "bare"], tmp_path)
    refused(tmp_path / "bare", "REPO_BARE")
    refused(world.root / ".git", "REPO_BARE")


def test_detached_head(world: World) -> None:
    world.git("checkout", "-q", "--detach")
    passed(world.root, "REPO_DETACHED")


def test_dirty_tree_never_enters_a_sandbox(world: World) -> None:
    world.write("README.md", "# Local\n")
    world.write("secret.txt", "local\n")
    world.pack(
        "TASK-0102-look",
        "scope: {allowed_paths: [docs/]}\n",
        'checks: [{name: c, run: "test ! -e secret.txt && grep -q repository README.md"}]\n',
    )
    passed(world.root, "REPO_DIRTY", "REPO_PACKS_UNCOMMITTED")


@pytest.mark.parametrize("ref", ["no-such", "-x", "HEAD:README.md", "refs/heads/..", "a b"])
def test_unknown_base_ref(world: World, ref: str) -> None:
    ended = oneshot(world.root, "oneshot", f"--base-ref={ref}")
    assert ended.rc == 2, ended.text
    assert ended.err.startswith(("REPO_BASE_UNKNOWN  ", "CONFIG_INVALID  "))


def test_linked_worktree_and_subfolder(world: World, tmp_path: Path) -> None:
    world.git("worktree", "add", "-q", str(tmp_path / "linked"))
    passed(tmp_path / "linked")
    ended = run([*FACTORY, "oneshot"], world.root / "taskpacks")
    assert ended.rc == 0, ended.text


ODD = ["with space", "ünïcödé-日本", "quo'te\"s", "new\nline", "-dash", "co:lon", "do$llar`x`"]


@pytest.mark.parametrize("name", sample(ODD[1:2], [*ODD[:1], *ODD[2:]]))
def test_odd_paths(tmp_path: Path, name: str) -> None:
    world = World(tmp_path / name)
    world.write("ä ö/ü 'x'.txt", "x\n")
    world.pack("TASK-0101-one", GOOD.replace("docs/one.txt", "'docs/ö n e.txt'"))
    world.commit()
    passed(world.root)
    assert run([*FACTORY, "integrate", "--branch"], world.root).rc == 0
    assert run([*FACTORY, "why", "TASK-0101"], world.root).rc == 0


def test_repository_behind_a_link(world: World, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(world.root)
    passed(tmp_path / "link")
    assert "is up to date" in passed(world.root)


def test_shallow_clone(world: World, tmp_path: Path) -> None:
    world.write("more.txt", "more\n")
    world.commit()
    run(["git", "clone", "-q", "--depth=1", f"file://{world.root}", "shallow"], tmp_path)
    passed(tmp_path / "shallow", "REPO_SHALLOW")
    assert run([*FACTORY, "integrate", "--branch"], tmp_path / "shallow").rc == 0


def test_sha256_repository(tmp_path: Path) -> None:
    world = World(tmp_path / "r", object_format="sha256")
    world.pack("TASK-0101-one", GOOD)
    world.commit()
    passed(world.root)
    assert len(world.status()["merged_tree"]) == 64


def test_submodule_is_an_empty_folder_to_packs(world: World, tmp_path: Path) -> None:
    other = World(tmp_path / "other")
    other.commit()
    world.git(
        "-c",
        "protocol.file.allow=always",
        "submodule",
        "add",
        "-q",
        str(other.root),
        "vendor/other",
    )
    world.commit()
    passed(world.root, "REPO_SUBMODULE")


def test_lfs_pointers_are_seen_as_pointers(world: World) -> None:
    world.write(".gitattributes", "*.bin filter=lfs diff=lfs merge=lfs -text\n")
    world.write(
        "big.bin",
        "version https://git-lfs.github.com/spec/v1\noid sha256:" + "a" * 64 + "\nsize 9\n",
    )
    world.commit()
    world.git("config", "filter.lfs.process", "false")
    world.git("config", "filter.lfs.required", "true")
    passed(world.root, "REPO_LFS_POINTER")


def test_missing_object_is_named(world: World) -> None:
    blob = world.git("rev-parse", "HEAD:README.md").strip()
    (world.root / ".git" / "objects" / blob[:2] / blob[2:]).unlink()
    ended = oneshot(world.root)
    assert ended.rc == 2, ended.text
    assert "REPO_UNREADABLE" in ended.text
    assert blob in ended.text


# contracts


def test_no_packs(tmp_path: Path) -> None:
    world = World(tmp_path / "r")
    world.commit()
    assert "factory init" in refused(world.root, "PACK_NONE")
    assert (
        refused(world.root, "expected a task pack in taskpacks/, found none", "contract")
        .splitlines()[-1]
        .startswith("BLOCKED  ")
    )


HEAD = "id: TASK-0101\ntitle: x\ntype: platform\n"
CONTRACTS: dict[str, tuple[str, str, str]] = {
    "no command": ("acceptance.yml", "checks: []\n", "PACK_NO_ACCEPTANCE"),
    "broken YAML": ("task.yml", "id: [TASK-0101\ntitle: x\n", "PACK_INVALID"),
    "not YAML at all": ("task.yml", "\x00\x01", "PACK_INVALID"),
    "wrong type": ("task.yml", HEAD + "scope: {allowed_paths: 7}\n", "PACK_INVALID"),
    "unknown key": ("task.yml", "id: TASK-0101\ntitel: x\ntype: platform\n", "PACK_INVALID"),
    "alias": ("task.yml", "id: TASK-0101\ntitle: &a x\ntype: *a\n", "PACK_INVALID"),
    "tag": (
        "task.yml",
        "id: TASK-0101\ntitle: !!python/object:x {}\ntype: platform\n",
        "PACK_INVALID",
    ),
    "empty": ("task.yml", "", "PACK_INVALID"),
    "unknown dependency": ("task.yml", HEAD + "depends_on: [TASK-0999]\n", "DEPENDS_UNKNOWN"),
    "on itself": ("task.yml", HEAD + "depends_on: [TASK-0101]\n", "DEPENDS_CYCLE"),
    "another id": ("task.yml", "id: TASK-0999\ntitle: x\ntype: platform\n", "PACK_FOLDER_MISMATCH"),
    "secrets": ("task.yml", HEAD + "constraints: {allow_secrets: true}\n", "SECRETS_NEVER"),
    "leaves the repository": (
        "task.yml",
        HEAD + "scope: {allowed_paths: [../x]}\n",
        "PACK_INVALID",
    ),
}


@pytest.mark.parametrize("name", sorted(CONTRACTS))
def test_contract_that_does_not_hold(world: World, name: str) -> None:
    file, text, finding = CONTRACTS[name]
    world.write(f"taskpacks/TASK-0101-one/{file}", text)
    said = refused(world.root, finding)
    assert f"taskpacks/TASK-0101-one/{file}" in said
    assert world.executed() == []
    lines = oneshot(world.root, "contract").out.splitlines()
    assert lines[-1] == "BLOCKED  1 of 1 pack is not valid"
    assert lines[0].startswith(f"taskpacks/TASK-0101-one/{file}:")
    looks = (["why", "TASK-0101"], ["plan"], ["config"], ["doctor"])
    for words in looks if WHOLE or name in ("alias", "on itself") else ():
        assert oneshot(world.root, *words).rc in (0, 2)


def test_missing_file_of_a_pack(world: World) -> None:
    (world.root / "taskpacks/TASK-0101-one/risk.md").unlink()
    refused(world.root, "PACK_FILE_MISSING")


def test_circle_of_dependencies(world: World) -> None:
    world.pack("TASK-0102-two", "depends_on: [TASK-0103]\nscope: {allowed_paths: [docs/]}\n")
    world.pack("TASK-0103-three", "depends_on: [TASK-0102]\nscope: {allowed_paths: [docs/]}\n")
    said = refused(world.root, "DEPENDS_CYCLE")
    assert "expected no circle, found TASK-0102 -> TASK-0103 -> TASK-0102" in said
    assert world.executed() == ["TASK-0101"]
    assert world.doit("list").rc == 0


def test_pack_that_needs_a_broken_one_is_not_run_without_it(world: World) -> None:
    world.pack("TASK-0102-two", "titel: x\n")
    world.pack("TASK-0103-three", "depends_on: [TASK-0102]\nscope: {allowed_paths: [docs/]}\n")
    refused(world.root, "PACK_INVALID")
    assert world.executed() == ["TASK-0101"]


def test_two_packs_of_one_id(world: World) -> None:
    world.pack("TASK-0101-two", GOOD)
    refused(world.root, "PACK_DUPLICATE_ID")
    refused(world.root, "expected one pack with the id", "contract")


@pytest.mark.parametrize("kind", ["link to a file", "link to a folder", "FIFO"])
def test_pack_that_is_no_plain_folder(world: World, tmp_path: Path, kind: str) -> None:
    place = world.root / "taskpacks" / "TASK-0101-one" / "extra"
    if kind == "FIFO":
        os.mkfifo(place)
    else:
        (tmp_path / "secret").mkdir()
        place.symlink_to(tmp_path / "secret" if kind.endswith("folder") else "/etc/passwd")
    refused(world.root, "PACK_UNSAFE_FILE")
    assert world.executed() == []


def test_stray_files_and_folders_beside_packs(world: World) -> None:
    world.write("taskpacks/README.md", "# Packs\n")
    world.write("taskpacks/.hidden/x", "x")
    passed(world.root)
    world.write("taskpacks/not a pack/x", "x")
    passed(world.root, "PACK_FOLDER_STRAY")
    world.write("taskpacks/not a pack/task.yml", "x")
    refused(world.root, "PACK_")


@pytest.mark.parametrize(
    ("key", "finding"),
    [
        ("plugin: a.b:C", "PLUGIN_UNAVAILABLE"),
        ("workspace: other\ndocs: {required: [README.md]}", "WORKSPACE_UNAVAILABLE"),
        ("constraints: {allow_network: [example.org]}", "GRANT_MISSING"),
        ("tools: [no-such-tool-anywhere]", "TOOL_MISSING"),
    ],
)
def test_what_a_contract_asks_for_and_nobody_has(world: World, key: str, finding: str) -> None:
    world.pack("TASK-0102-two", f"{key}\nscope: {{allowed_paths: [docs/]}}\n")
    said = refused(world.root, finding)
    assert "taskpacks/TASK-0102-two/task.yml:" in said
    assert world.executed() == ["TASK-0101"]


def test_broken_configuration(world: World) -> None:
    for text, finding in (
        ("not toml [", "CONFIG_INVALID"),
        ("[packs]\nfolder = 3\n", "CONFIG_INVALID"),
        ('[safety]\naccept_missing = ["net_isolated"]\n', "CONFIG_WEAKENED"),
    ):
        world.write("factory.toml", text)
        for words in (("oneshot",), ("contract",), ("doctor",)):
            assert "factory.toml" in refused(
                world.root, finding if words != ("contract",) else "", *words
            )


def test_packs_folder_that_is_a_link_or_missing(world: World, tmp_path: Path) -> None:
    world.write("factory.toml", '[packs]\nfolder = "nowhere"\n')
    refused(world.root, "PACK_NONE")
    shutil.move(world.root / "taskpacks", tmp_path / "elsewhere")
    (world.root / "nowhere").symlink_to(tmp_path / "elsewhere")
    refused(world.root, "PACK_UNSAFE_FILE")
    refused(world.root, "PACK_UNSAFE_FILE", "contract")
    assert oneshot(world.root, "why", "TASK-0101").rc == 2


# the host


def without(tool: str, tmp_path: Path) -> str:
    """A PATH with everything of /usr/bin but one command."""
    folder = tmp_path / "bin"
    folder.mkdir()
    for name in ("sh", "env", "true", "python3"):
        if name != tool:
            (folder / name).symlink_to(f"/usr/bin/{name}")
    return str(folder)


def test_no_git(world: World, tmp_path: Path) -> None:
    path = without("git", tmp_path)
    assert "install Git" in refused(world.root, "GIT_TOO_OLD", PATH=path)
    doctor = oneshot(world.root, "doctor", PATH=path)
    assert (doctor.rc, "GIT_TOO_OLD" in doctor.out) == (2, True)
    assert re.search(r"^  git +missing ", doctor.out, re.MULTILINE)


NO_BUBBLEWRAP = """
import sys
from factory.sandbox import host
host.candidates = lambda chosen="": ()
from factory.__main__ import main
sys.argv = ["factory", *sys.argv[1:]]
sys.exit(main())
"""


def test_no_bubblewrap(world: World) -> None:
    before = user_files(world.root)
    for word in ("oneshot", "doctor"):
        ended = run([sys.executable, "-c", NO_BUBBLEWRAP, word], world.root)
        assert ended.rc == 2, ended.text
        assert "PROPERTY_MISSING" in ended.text
        assert "no bubblewrap was found; install the package bubblewrap" in ended.text
        assert "Traceback" not in ended.text
    assert world.executed() == []
    assert user_files(world.root) == before
    assert run([sys.executable, "-c", NO_BUBBLEWRAP, "contract"], world.root).rc == 0


def test_no_user_namespaces(world: World) -> None:
    """Inside a real user namespace that forbids further ones, as a hardened host does."""
    words = [
        str(
            host.candidates()[0].program
        ),  # the one that the tool brings, where the system has none
        "--dev-bind",
        "/",
        "/",
        "--unshare-user",
        "--uid",
        "1000",
        "--gid",
        "1000",
        "--disable-userns",
        "--",
        *FACTORY,
    ]
    ended = run([*words, "oneshot"], world.root)
    assert ended.rc == 2, ended.text
    assert "PROPERTY_MISSING" in ended.text
    assert "Traceback" not in ended.text
    assert world.executed() == []


@pytest.fixture
def ordinary() -> list[str]:
    """The words that run a command as an ordinary user."""
    if os.geteuid() != 0:
        return []
    user = pwd.getpwnam("nobody")
    return ["setpriv", f"--reuid={user.pw_uid}", f"--regid={user.pw_gid}", "--clear-groups", "--"]


def open_to_all(root: Path) -> None:
    """Let an ordinary user reach `root`, and read it."""
    for parent in (root, *root.parents):
        if parent.stat().st_uid == os.geteuid() and parent != Path(parent.anchor):
            parent.chmod(parent.stat().st_mode | 0o055)
    for path in root.rglob("*"):
        if not path.is_symlink():
            path.chmod(path.stat().st_mode | (0o055 if path.is_dir() else 0o044))


def as_user(words: list[str], ordinary: list[str], root: Path) -> Ended:
    trusted = {"GIT_CONFIG_GLOBAL": str(root.parent / "gitconfig")}
    (root.parent / "gitconfig").write_text("[safe]\n\tdirectory = *\n")
    (root.parent / "gitconfig").chmod(0o644)
    python = "/usr/bin/python3" if ordinary else sys.executable
    site = ":".join(path for path in sys.path if path.endswith("site-packages"))
    source = str(Path(__file__).resolve().parents[2])
    return run(
        [*ordinary, python, "-m", "factory", *words], root, PYTHONPATH=f"{source}:{site}",
        PYTHONDONTWRITEBYTECODE="1", **trusted,
    )  # fmt: skip


def test_read_only_state(world: World, ordinary: list[str]) -> None:
    open_to_all(world.root)
    if not ordinary:
        world.root.chmod(0o555)
    try:
        ended = as_user(["oneshot"], ordinary, world.root)
        assert ended.rc == 2, ended.text
        assert ended.err.startswith("DISK_UNWRITABLE  ")
        assert "Traceback" not in ended.text
        assert as_user(["contract"], ordinary, world.root).rc == 0
    finally:
        world.root.chmod(0o755)


def test_full_disk(world: World, tmp_path: Path) -> None:
    """A real file system for the state, in a mount namespace of its own, of less files than any run
    makes: how many bytes one needs depends on the host's certificates and its interpreter.
    """
    world.state.mkdir()
    line = f"mount -t tmpfs -o size=1m,nr_inodes=64 none {world.state} && exec {sys.executable} -m factory oneshot"
    mapped = [] if os.geteuid() == 0 else ["--map-root-user"]
    ended = run(["unshare", "--mount", *mapped, "/bin/sh", "-c", line], world.root)
    assert ended.rc == 2, ended.text
    assert "DISK_UNWRITABLE" in ended.text
    assert "Traceback" not in ended.text


def test_state_folder_that_is_a_link_or_a_file(world: World, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    world.state.symlink_to(tmp_path / "elsewhere")
    refused(world.root, "PATH_UNSAFE")
    assert list((tmp_path / "elsewhere").iterdir()) == []
    world.state.unlink()
    world.state.write_text("a file")
    refused(world.root, "PATH_UNSAFE")
    assert world.state.read_text() == "a file"


def test_damaged_state_costs_time_or_is_named(world: World) -> None:
    assert oneshot(world.root).rc == 0
    (world.state / "state" / "doit.sqlite3").write_bytes(b"not a database")
    (world.state / "state" / "preflight.json").write_bytes(b"{")
    assert oneshot(world.root).rc == 0
    bundle = world.state / "bundles" / "TASK-0101" / "STATUS.json"
    bundle.write_bytes(b"[]")
    assert oneshot(world.root, "why", "TASK-0101").rc == 0
    assert oneshot(world.root).rc == 0
    ledger = world.state / "ledger.jsonl"
    ledger.write_bytes(ledger.read_bytes().replace(b'"rc":0', b'"rc":1', 1))
    said = refused(world.root, "LEDGER_BROKEN")
    assert "ledger.jsonl" in said
    assert oneshot(world.root, "print-report").rc == 2


def test_doit_and_factory_say_the_same_of_a_bad_repository(tmp_path: Path) -> None:
    (tmp_path / "dodo.py").write_text(DODO)
    ceiling = str(tmp_path.parent)
    by_doit = run([str(BIN / "doit"), "oneshot"], tmp_path, GIT_CEILING_DIRECTORIES=ceiling)
    by_factory = run([*FACTORY, "oneshot"], tmp_path, GIT_CEILING_DIRECTORIES=ceiling)
    assert by_doit.rc == by_factory.rc == 2
    assert "REPO_NOT_FOUND" in by_doit.out
    assert "REPO_NOT_FOUND" in by_factory.err


def test_environment_variable_that_was_misspelt(world: World) -> None:
    assert "did you mean FACTORY_BASE_REF?" in refused(
        world.root, "CONFIG_INVALID", FACTORY_BASEREF="x"
    )
    assert oneshot(world.root, "contract", FACTORY_DEBUG="1").rc == 0


@pytest.mark.parametrize("how", ["doit", "factory"])
def test_modules_of_the_repository_stand_in_for_none_of_ours(
    world: World, tmp_path: Path, how: str
) -> None:
    for name in (
        "ahocorasick_rs",
        "cryptography",
        "filelock",
        "jsonschema",
        "pydantic",
        "rfc8785",
        "tomllib",
        "yaml",
    ):
        world.write(f"{name}.py", f"open({str(tmp_path / 'loaded')!r}, 'a').write('{name} ')\n")
    world.commit()
    ended = world.doit("oneshot") if how == "doit" else world.factory("oneshot")
    assert ended.rc == 0, ended.text
    assert not (tmp_path / "loaded").exists(), (tmp_path / "loaded").read_text()
