"""Role Z made hostile: a program in exactly the integrator's confinement tries to reach anything
but its run folder.
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from factory.plan.stages import PackSandbox
from tests.in_process import close, site
from tests.world import World, environment

pytestmark = pytest.mark.linux

ROOT = Path(__file__).parents[2]

ATTACK = r"""
import ctypes, json, os, shutil, socket, subprocess, sys
run, root, tmp, tcp, name, unix = sys.argv[1:]
victim, folder = os.path.join(root, "README.md"), os.path.join(root, "src")
git, own = os.path.join(root, ".git"), os.path.join(run, "own")
open(own, "w").write("mine")

def written(path):
    with open(path, "a") as stream:
        stream.write("evil")

def connected(family, address, kind=socket.SOCK_STREAM):
    with socket.socket(family, kind) as client:
        client.settimeout(2)
        client.connect(address)
        client.send(b"x")

def mounted(*words):
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.mount(*words) != 0:
        raise OSError(ctypes.get_errno(), "mount")

def ran(*words):
    if subprocess.run(words, capture_output=True).returncode != 0:
        raise OSError(1, "it ended badly")

def through_link():
    link = os.path.join(run, "link")
    os.symlink(victim, link)
    written(link)

attempts = {
    "write a file": lambda: written(victim),
    "create a file": lambda: written(os.path.join(root, "new")),
    "truncate": lambda: os.truncate(victim, 0),
    "chmod": lambda: os.chmod(victim, 0o777),
    "times": lambda: os.utime(victim, (1, 1)),
    "xattr": lambda: os.setxattr(victim, "user.evil", b"x"),
    "move a ref": lambda: ran("git", "-C", root, "update-ref", "refs/heads/evil", "HEAD"),
    "unlink": lambda: os.unlink(victim),
    "rename away": lambda: os.rename(victim, os.path.join(root, "moved")),
    "rename in": lambda: os.rename(own, os.path.join(root, "moved-in")),
    "rename out": lambda: os.rename(victim, os.path.join(run, "taken")),
    "hard link out": lambda: os.link(victim, os.path.join(run, "linked")),
    "hard link in": lambda: os.link(own, os.path.join(root, "linked-in")),
    "symlink in": lambda: os.symlink(own, os.path.join(root, "symlinked-in")),
    "write through a link": through_link,
    "chown": lambda: os.chown(victim, 1, 1),
    "mkdir": lambda: os.mkdir(os.path.join(root, "folder")),
    "rmdir": lambda: os.rmdir(folder),
    "mknod": lambda: os.mknod(os.path.join(run, "device"), 0o020666, os.makedev(1, 3)),
    "write HEAD": lambda: written(os.path.join(git, "HEAD")),
    "write an object": lambda: written(os.path.join(git, "objects", "evil")),
    "write a hook": lambda: written(os.path.join(git, "hooks", "post-checkout")),
    "write the ledger": lambda: written(os.path.join(root, ".factory", "ledger.jsonl")),
    "write a marker": lambda: written(os.path.join(root, ".factory", "state", "integrate.json")),
    "write another bundle": lambda: written(os.path.join(root, ".factory", "bundles", "TASK-0001", "STATUS.json")),
    "write beside the run": lambda: written(os.path.join(os.path.dirname(run), "evil")),
    "rename the run": lambda: os.rename(run, run + ".moved"),
    "write /tmp": lambda: written(os.path.join(tmp, "evil")),
    "write /dev/shm": lambda: written("/dev/shm/evil-of-z"),
    "write /var/tmp": lambda: written("/var/tmp/evil-of-z"),
    "write /run": lambda: written("/run/evil-of-z"),
    "write /etc": lambda: written("/etc/evil-of-z"),
    "write core_pattern": lambda: written("/proc/sys/kernel/core_pattern"),
    "write sysrq": lambda: written("/proc/sysrq-trigger"),
    "write /sys": lambda: written("/sys/kernel/uevent_helper"),
    "remount": lambda: mounted(b"none", root.encode(), None, 0x20 | 0x1000, None),
    "bind": lambda: mounted(run.encode(), root.encode(), None, 0x1000, None),
    "mount proc": lambda: mounted(b"proc", run.encode(), b"proc", 0, None),
    "chroot": lambda: os.chroot(run),
    "setuid": lambda: os.setresuid(12345, 12345, 12345),
    "connect TCP": lambda: connected(socket.AF_INET, ("127.0.0.1", int(tcp))),
    "connect TCP 6": lambda: connected(socket.AF_INET6, ("::1", int(tcp))),
    "connect metadata": lambda: connected(socket.AF_INET, ("169.254.169.254", 80)),
    "connect abstract": lambda: connected(socket.AF_UNIX, "\0" + name),
    "send UDP": lambda: connected(socket.AF_INET, ("192.0.2.1", 53), socket.SOCK_DGRAM),
    "kill the parent": lambda: os.kill(os.getppid() if os.getppid() > 1 else 0x7FFFFFF0, 0),
    "see the host's processes": lambda: os.stat("/proc/" + os.environ["WATCHER"]),
}
done = {}
for what, attempt in attempts.items():
    try:
        attempt()
    except OSError as error:
        done[what] = ""
    else:
        done[what] = "done"
written(own)
print(json.dumps(done))
"""

# Not denied, and harmless: its own parent inside the namespace is the sandbox's own first process.
HARMLESS = {"kill the parent"}


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    here = World(tmp_path_factory.mktemp("z"))
    here.write("src/.keep", "")
    here.pack(
        "TASK-0001-a",
        'scope: {allowed_paths: ["docs/**"]}\nsteps: [{name: s, run: "mkdir docs; touch'
        ' docs/x"}]\n',
    )
    here.commit()
    assert here.doit("oneshot").rc == 0
    return here


@pytest.fixture
def listener() -> Iterator[int]:
    """A service on the host's loopback that counts who comes."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


def snapshot(root: Path, but: Path) -> dict[str, tuple[int, int, int, int, bytes]]:
    found = {}
    for path in sorted(root.rglob("*")):
        if path == but or but in path.parents:
            continue
        status = path.lstat()
        content = path.read_bytes() if path.is_file() and not path.is_symlink() else b""
        found[str(path)] = (
            status.st_mode,
            status.st_uid,
            status.st_nlink,
            status.st_mtime_ns,
            content,
        )
    return found


def confined(world: World, run: Path, argv: list[str]) -> list[str]:
    """The words by which the pipeline itself would start Z with this program."""
    built = site(world)
    try:
        assert isinstance(built.sandbox, PackSandbox)
        return built.sandbox.integrator_argv(run, argv)
    finally:
        close(built)


def attack(world: World, run: Path, port: int) -> dict[str, str]:
    name = f"z-{os.getpid()}-{port}"
    with (
        socket.socket(socket.AF_UNIX) as abstract,
        tempfile.TemporaryDirectory(dir="/tmp") as place,
    ):
        abstract.bind("\0" + name)
        abstract.listen()
        words = [str(run), str(world.root), place, str(port), name, "-"]
        argv = confined(world, run, [sys.executable, "-I", "-S", "-c", ATTACK, *words])
        before = snapshot(world.root, run)
        environment = {"PATH": os.defpath, "WATCHER": str(os.getpid())}
        done = subprocess.run(argv, capture_output=True, text=True, env=environment, check=False)
        assert done.returncode == 0, done.stderr
        assert list(Path(place).iterdir()) == []
        assert snapshot(world.root, run) == before
    return json.loads(done.stdout)


def test_z_can_write_in_its_run_folder_and_nowhere_else(world: World, listener: int) -> None:
    run = world.last().parent
    tried = attack(world, run, listener)
    assert len(tried) > 40
    assert {what for what, done in tried.items() if done} - HARMLESS == set()
    assert (run / "own").read_text() == "mineevil"
    for name in ("/dev/shm/evil-of-z", "/var/tmp/evil-of-z", "/run/evil-of-z", "/etc/evil-of-z"):
        assert not Path(name).exists()


def test_without_confinement_the_same_program_does_harm(
    world: World, listener: int, tmp_path: Path
) -> None:
    """The attack is a real one: bare, on a copy, most of it works."""
    copy = tmp_path / "copy"
    subprocess.run(["cp", "-a", str(world.root), str(copy)], check=True)
    run = copy / ".factory/runs" / world.last().parent.name
    harmless = ATTACK
    for dangerous in (
        "/dev/shm/evil-of-z",
        "/var/tmp/evil-of-z",
        "/run/evil-of-z",
        "/etc/evil-of-z",
    ):
        harmless = harmless.replace(dangerous, str(tmp_path / "elsewhere"))
    for dangerous in (
        "/proc/sys/kernel/core_pattern",
        "/proc/sysrq-trigger",
        "/sys/kernel/uevent_helper",
    ):
        harmless = harmless.replace(dangerous, "/proc/self/nowhere")
    for never in (
        '"rename the run"',
        '"remount"',
        '"bind"',
        '"mount proc"',
        '"chroot"',
        '"setuid"',
        '"connect metadata"',
        '"send UDP"',
    ):
        start = harmless.index(f"    {never}")
        harmless = harmless[:start] + harmless[harmless.index("\n", start) + 1 :]
    words = [str(run), str(copy), str(tmp_path), str(listener), "nobody", "-"]
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", harmless, *words],
        capture_output=True,
        text=True,
        env={"PATH": os.defpath, "WATCHER": str(os.getpid())},
        check=False,
    )
    assert done.returncode == 0, done.stderr
    worked = {what for what, outcome in json.loads(done.stdout).items() if outcome}
    assert {
        "write a file",
        "chmod",
        "times",
        "write HEAD",
        "move a ref",
        "write the ledger",
        "connect TCP",
    } <= worked


# The parent of Z: a pipeline with a secret in its environment and the signing key in its memory.
PARENT = """
import json, os, sys
from pathlib import Path
from typing import Any
from factory.engine import wiring
from factory.files.user_places import user_config_file
from factory.merge import integrator
from factory.model.errors import Refusal

run = Path(sys.argv[1])
built = wiring.site(Path.cwd(), {})
signer = built.keys.signer()
key = next((user_config_file().parent / "keys").glob("*.pem")).read_bytes()
if signer is None or not key:
    sys.exit("expected a signing key")
body = b"".join(key.splitlines()[1:-1]).decode("ascii")[-24:]
secret = os.environ["CANARY_OF_THE_PARENT"]
held_back = lambda text: f"[{text[0]}]{text[1:]}".replace("+", "[+]")
(run / "wanted.json").write_text(json.dumps({"secret": held_back(secret), "key": held_back(body)}))
integrator.MODULE = "tests.hostile.spy_of_z"
if sys.argv[2] == "bare":
    integrator._ENVIRONMENT = dict(os.environ)
    built.integrator.__self__._confine = lambda _run, words: words
try:
    planned = json.loads((run / "PLAN.json").read_text())["packs"]
    built.integrator(run, tuple(each["pack"] for each in planned))
except Refusal as refusal:
    print(refusal.findings[0].message)
built.sandbox.close()
"""


def spied(world: World, own: Path, how: str) -> dict[str, Any]:
    run = world.last().parent
    (run / "spied.json").unlink(missing_ok=True)
    secret = f"canary-{os.getpid()}-of-a-user"
    done = subprocess.run(
        [sys.executable, "-c", PARENT, str(run), how],
        cwd=world.root,
        env=environment(
            XDG_CONFIG_HOME=str(own), PYTHONPATH=str(ROOT), CANARY_OF_THE_PARENT=secret
        ),
        capture_output=True,
        text=True,
        check=False,
    )
    assert "the spy was here" in done.stdout, done.stdout + done.stderr
    found: dict[str, Any] = json.loads((run / "spied.json").read_bytes())
    return found


def test_z_knows_nothing_of_the_users_environment_and_key(world: World, tmp_path: Path) -> None:
    seen = spied(world, tmp_path, "confined")
    assert seen["found"] == {}
    assert seen["attached"] == []
    assert seen["processes"] <= 3, "its own namespace: itself and what confines it"


def test_unconfined_the_spy_finds_what_it_is_given(world: World, tmp_path: Path) -> None:
    seen = spied(world, tmp_path, "bare")
    places = {"os.environ", "own environ", "own memory", "another's environ"}
    assert places <= set(seen["found"]["secret"])
