"""What usual repositories have: ignored results, attributes, names of old, checkouts of any kind."""

from __future__ import annotations

import hashlib
import os
import subprocess
from pathlib import Path

import pytest

from tests.world import World, environment

pytestmark = pytest.mark.linux

ATTRIBUTES = (
    "* text=auto\n*.cmd text eol=crlf\n*.bin filter=lfs -text\n*.u16 working-tree-encoding=UTF-16\n"
)
IGNORE = ".factory/\ndist/\n*.min.js\nbuild.log\ncache/\n"
PACKS = {
    # scope and more, step, changed paths, words that its findings have
    "TASK-0001": ("[dist/app.js]", "mkdir dist; echo x | tee dist/app.js dist/b", ["dist/app.js"], []),
    "TASK-0002": ('["dist/**"]', "mkdir -p dist/d; echo y > dist/d/c", ["dist/d/c"], []),
    "TASK-0003": (
        '["src/**"]',
        "mkdir -p src/cache; echo x | tee src/a.js src/a.min.js src/cache/x",
        ["src/a.js"],
        [("IGNORED_IN_SCOPE 2 new files in the scope left out, which .gitignore names:"
         " src/a.min.js, src/cache/x")],
    ),
    "TASK-0004": (
        '["lib/**"]\ndiscard: ["**/cache/"]\nartifacts: {optional: ["/lib/*.min.js"]}',
        "mkdir -p lib/cache; echo x | tee lib/a.min.js lib/cache/x",
        [],
        [],
    ),
    "TASK-0005": (
        '["w/**"]',
        ("mkdir w; printf 'a\\r\\n' | tee w/a.cmd w/new.txt; printf 'raw' > w/a.bin;"
        " printf '\\377\\376a\\000' > w/a.u16"),
        ["w/a.bin", "w/a.cmd", "w/a.u16", "w/new.txt"],
        ["ATTRIBUTES_DISAGREE w/a.u16", "ATTRIBUTES_DISAGREE w/a.cmd", "ATTRIBUTES_DISAGREE w/new.txt",
         "ATTRIBUTES_DISAGREE w/a.bin"],
    ),
    "TASK-0006": ('["net/**"]', "echo 2 | tee -a net/MARK.h net/aux.c; echo 3 > net/x.h", ["net/MARK.h", "net/aux.c", "net/x.h"], []),
    "TASK-0007": ('["net/**"]', "echo 4 >> net/mark.h", ["net/mark.h"], []),
    "TASK-0008": (
        "[out.txt]",
        ("d=$(mktemp -d); git init -q $d; cd $d; touch a; git add a; git commit -qm one;"
        " git log --format='%an <%ae>' > /workspace/out.txt"),
        ["out.txt"],
        [],
    ),
}  # fmt: skip


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> World:
    world = World(tmp_path_factory.mktemp("everyday") / "world")
    world.write(".gitattributes", ATTRIBUTES)
    world.write(".gitignore", IGNORE)
    for name in ("net/MARK.h", "net/mark.h", "net/aux.c"):
        world.write(name, "1\n")
    for pack, (scope, step, _, _) in PACKS.items():
        steps = f"scope: {{allowed_paths: {scope}" if "\n" not in scope else ""
        text = (
            f"{steps}}}\n"
            if steps
            else "scope: {allowed_paths: " + scope.replace("\n", "}\n", 1) + "\n"
        )
        world.pack(
            f"{pack}-x", f"{text}steps:\n  - run: |\n      exec > /dev/null; set -e; {step}\n"
        )
    world.commit()
    assert world.factory("oneshot").rc == 0, world.factory("oneshot").text
    return world


@pytest.mark.parametrize("pack", PACKS)
def test_what_a_pack_leaves_is_kept_or_named(ran: World, pack: str) -> None:
    _, _, changed, findings = PACKS[pack]
    files = ran.bundle(pack, "FILES_CHANGED.json")["files"]
    assert [row["path"] for row in files] == changed
    rows = [f"{row['id']} {row['message']}" for row in ran.bundle(pack)["findings"]]
    assert len(rows) == len(findings), rows
    for row, due in zip(sorted(rows), sorted(findings), strict=True):
        assert row.startswith(due), rows


def test_the_result_has_what_the_scope_names_and_verifies(ran: World) -> None:
    assert ran.factory("integrate", "--branch").rc == 0
    branch = ran.git("for-each-ref", "--format=%(refname)", "refs/heads/codex/").strip()
    listed = ran.git("ls-tree", "-r", "--name-only", branch).split()
    assert {"dist/app.js", "dist/d/c", "net/x.h", "net/mark.h"} <= set(listed)
    assert "dist/b" not in listed
    assert ran.git("show", f"{branch}:net/MARK.h") == "1\n2\n"
    assert ran.git("show", f"{branch}:out.txt") == "Pack <pack@localhost>\n"
    assert ran.differs() == ""


def test_what_editors_and_the_users_own_rules_leave_is_no_part_of_a_pack(tmp_path: Path) -> None:
    world = World(tmp_path / "world")
    world.pack("TASK-0001-x", "steps: ['true']\n")
    world.commit()
    folder = world.root / "taskpacks/TASK-0001-x"
    (folder / ".#task.yml").symlink_to("someone@host.4711:1700000000")
    for name in ("#spec.md#", "spec.md~", ".task.yml.swp", ".~lock.spec.md#"):
        (folder / name).write_text("left\n")
    assert world.factory("oneshot").rc == 0
    assert "REPO_PACKS_UNCOMMITTED" not in world.findings()
    (folder / "notes.mine").symlink_to("nowhere")
    assert "PACK_UNSAFE_FILE" in world.factory("preflight").text
    home = tmp_path / "home"
    (home / ".config/git").mkdir(parents=True)
    (home / ".config/git/ignore").write_text("*.mine\n")
    own = {"HOME": str(home), "XDG_CONFIG_HOME": "", "GIT_CONFIG_GLOBAL": str(home / ".gitconfig")}
    assert world.factory("preflight", **own).rc == 0
    (home / ".config/git/ignore").unlink()
    (home / "rules").write_text("*.mine\n")
    (home / ".gitconfig").write_text("[core]\n\texcludesFile = ~/rules\n")
    assert world.factory("preflight", **own).rc == 0


def test_a_clean_checkout_with_other_bytes_on_disk_is_what_was_committed(tmp_path: Path) -> None:
    """By the user's autocrlf, by eol, an encoding, ident, a filter, and LFS content on disk."""
    world = World(tmp_path / "world")
    script = "taskpacks/TASK-0001-x/go.sh"
    world.write(script, "#!/bin/sh\nset -e\nmkdir -p src\necho $1 > src/x\n")
    world.pack(
        "TASK-0001-x",
        'scope: {allowed_paths: ["src/"]}\nsteps: ["sh taskpacks/TASK-0001-x/go.sh ok"]\n',
        notes="$Id$\n",
    )
    content = b"large content\n"
    digest = hashlib.sha256(content).hexdigest()
    pointer = f"version https://git-lfs.github.com/spec/v1\noid sha256:{digest}\nsize 14\n"
    world.write("taskpacks/TASK-0001-x/m.bin", pointer)
    world.write("taskpacks/TASK-0001-x/up.txt", "small\n")
    world.write(
        ".gitattributes",
        "*.bin filter=lfs -text\nup.txt filter=upper\nnotes ident\n",
    )
    world.commit()
    upper = {
        "filter.upper.smudge": "tr a-z A-Z",
        "filter.upper.clean": "tr A-Z a-z",
        "filter.lfs.smudge": "printf 'large content\\n'",
        "filter.lfs.clean": "cat > /dev/null; git cat-file blob HEAD:taskpacks/TASK-0001-x/m.bin",
    }
    words = [word for name, value in upper.items() for word in ("-c", f"{name}={value}")]
    home = tmp_path / "home"
    home.mkdir()
    (home / ".gitconfig").write_text("[core]\n\tautocrlf = true\n")
    own = {"HOME": str(home), "GIT_CONFIG_GLOBAL": str(home / ".gitconfig")}
    clone = World.__new__(World)
    clone.root = tmp_path / "clone"
    subprocess.run(
        ["git", "clone", "-q", *words, str(world.root), str(clone.root)],
        check=True,
        env=environment(**own),
    )
    assert (clone.root / "taskpacks/TASK-0001-x/m.bin").read_bytes() == content
    assert b"\r\n" in (clone.root / script).read_bytes()
    for path in (script, "README.md", "taskpacks/TASK-0001-x/m.bin"):
        os.utime(clone.root / path, (1, 1))  # now Git reads them
    assert (clone.root / "taskpacks/TASK-0001-x/up.txt").read_text() == "SMALL\n"
    assert "$Id: " in (clone.root / "taskpacks/TASK-0001-x/notes").read_text()
    ended = clone.factory("oneshot", **own)
    assert ended.rc == 0, ended.text
    assert not {"REPO_PACKS_UNCOMMITTED", "REPO_DIRTY"} & set(clone.findings()), ended.text
    assert clone.bundle("TASK-0001")["status"] == "PASS"
    # a real change is one
    (clone.root / script).write_bytes(b"#!/bin/sh\r\nexit 1\r\n")
    changed = clone.factory("preflight", **own)
    assert "REPO_PACKS_UNCOMMITTED" in changed.text


@pytest.mark.parametrize("filemode", ["true", "false"])
def test_a_work_tree_that_has_no_modes_keeps_those_of_the_index(
    tmp_path: Path, filemode: str
) -> None:
    world = World(tmp_path / "world")
    script = world.root / "taskpacks/TASK-0001-x/go.sh"
    world.write("taskpacks/TASK-0001-x/go.sh", "#!/bin/sh\n")
    os.chmod(script, 0o755)
    world.pack("TASK-0001-x", "steps: ['taskpacks/TASK-0001-x/go.sh']\n")
    world.commit()
    world.git("config", "core.fileMode", filemode)
    os.chmod(script, 0o644)
    assert world.factory("oneshot").rc == (0 if filemode == "false" else 2)


QUIET = "python -m pytest -p no:cacheprovider -q -q tests"
MUTE = "python -m pytest -p no:cacheprovider tests > /dev/null"
NO_TEST = "CHECK_RAN_NO_TEST"
COUNTED = {
    # acceptance, step, status, findings of the judge
    "TASK-0001": (QUIET, "true", "PASS", []),
    "TASK-0002": (f"{QUIET} -k nothing", "true", "BLOCKED", [NO_TEST]),
    "TASK-0003": (f"{QUIET} --deselect tests/test_skip.py", "true", "PASS", []),
    "TASK-0004": ("python -m pytest -p no:cacheprovider -qq tests/test_skip.py", "true", "BLOCKED", [NO_TEST]),
    "TASK-0005": (MUTE, "true", "PASS", ["TESTS_NOT_COUNTED"]),
    "TASK-0006": (f"{MUTE} --junit-xml=build/r.xml", "true", "PASS", []),
    "TASK-0007": (f"{MUTE} --junit-xml=r.xml --deselect tests/test_a.py", "true", "BLOCKED", [NO_TEST]),
    "TASK-0008": (QUIET, "echo 'import os; os._exit(0)' >> src/a.py", "BLOCKED", ["TESTS_NOT_COUNTED", NO_TEST]),
    "TASK-0009": (QUIET, "echo 'x = 1' >> src/a.py", "PASS", []),
    "TASK-0010": (
        QUIET,
        "printf '[pytest]\\naddopts = -p no:terminal\\npythonpath = src\\n' > pytest.ini",
        "BLOCKED",
        ["TESTS_NOT_COUNTED", NO_TEST],
    ),
    "TASK-0011": ("sh tests/run.sh", "echo 'y = 1' >> src/a.py", "PASS", []),
    "TASK-0012": ("sh tests/none.sh", "true", "BLOCKED", [NO_TEST]),
}  # fmt: skip


@pytest.fixture(scope="module")
def judged(tmp_path_factory: pytest.TempPathFactory) -> World:
    world = World(tmp_path_factory.mktemp("counted") / "world")
    world.write("pytest.ini", "[pytest]\naddopts = -q\npythonpath = src\n")
    world.write("src/a.py", "A = 1\n")
    world.write("tests/test_a.py", "def test_a():\n    import a\n\n    assert a.A\n")
    world.write("tests/test_skip.py", "import pytest\n\n@pytest.mark.skip\ndef test_b(): ...\n")
    world.write("tests/run.sh", "echo all is well\n")
    world.write("tests/none.sh", "echo 1..0\n")
    scope = 'scope: {allowed_paths: ["src/", pytest.ini]}\n'
    for pack, (run, step, _, _) in COUNTED.items():
        steps = f"steps:\n  - run: |\n      {step}\n"
        world.pack(f"{pack}-x", scope + steps, f"tests:\n  - run: {run}\n")
    world.commit()
    assert world.factory("oneshot").rc == 2
    return world


@pytest.mark.parametrize("pack", COUNTED)
def test_tests_that_ran_are_counted_and_where_nothing_is_the_base_is_asked(
    judged: World, pack: str
) -> None:
    _, _, status, findings = COUNTED[pack]
    bundle = judged.bundle(pack)
    assert (bundle["status"], sorted(row["id"] for row in bundle["findings"])) == (
        status,
        sorted(findings),
    )


def test_what_was_counted_verifies(judged: World) -> None:
    assert judged.differs() == ""


def test_other_packs_folders_are_no_input_unless_they_are_named_or_needed(tmp_path: Path) -> None:
    world = World(tmp_path / "world")
    seen = "ls -d taskpacks/*/ > docs/{0}.txt"
    for number, more in (
        (1, ""),
        (2, "depends_on: [TASK-0001]\n"),
        (3, 'inputs: ["taskpacks/"]\n'),
    ):
        step = seen.format(number)
        scope = "scope: {allowed_paths: [docs/]}\n"
        world.pack(f"TASK-000{number}-x", f"{scope}{more}steps: ['mkdir -p docs; {step}']\n")
    world.commit()
    assert world.factory("oneshot").rc == 0
    for number, folders in ((1, "1"), (2, "12"), (3, "123")):
        patch = (world.state / "bundles" / f"TASK-000{number}" / "DIFF.patch").read_text()
        listed = {line[1:] for line in patch.split("\n") if line.startswith("+task")}
        assert listed == {f"taskpacks/TASK-000{one}-x/" for one in folders}
    assert world.differs() == ""
    world.write("taskpacks/TASK-0002-x/notes.md", "more\n")
    assert world.factory("oneshot").rc == 0
    world.commit()
    ended = world.factory("oneshot")
    assert "TASK-0001  PASS  1 file" not in ended.text
    assert "TASK-0002  PASS  1 file" not in ended.text
