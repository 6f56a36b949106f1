"""Credentials in every usual place of a user's home and session: a pack that knows each path reads
none of them.
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.world import Ended, World

pytestmark = pytest.mark.linux

CANARY = "canary-" + "q7W" * 12
FILES = """
.netrc .git-credentials .config/git/credentials .pgpass .my.cnf .npmrc .pypirc .pip/pip.conf .config/pip/pip.conf
.aws/credentials .aws/config .aws/sso/cache/token.json .azure/accessTokens.json .azure/msal_token_cache.json
.config/gcloud/credentials.db .config/gcloud/application_default_credentials.json .kube/config .docker/config.json
.config/containers/auth.json .config/gh/hosts.yml .config/glab-cli/config.yml .config/hub
.terraform.d/credentials.tfrc.json .cargo/credentials.toml .gem/credentials .m2/settings.xml
.gradle/gradle.properties .nuget/NuGet/NuGet.Config .ssh/id_ed25519 .ssh/id_rsa .ssh/config
.gnupg/private-keys-v1.d/key.key .gnupg/secring.gpg .password-store/a.gpg .local/share/keyrings/login.keyring
.vault-token .config/op/config .config/rclone/rclone.conf .s3cfg .boto .databrickscfg .huggingface/token
.cache/huggingface/token .config/sops/age/keys.txt .config/doctl/config.yaml .fly/config.yml
.config/codex-orchestrator/keys/ed25519 .bash_history .python_history .mozilla/firefox/a/logins.json .env
""".split()
SOCKETS = """
agent/ssh.sock gnupg/S.gpg-agent gnupg/S.gpg-agent.ssh bus docker.sock podman/podman.sock containerd.sock
keyring/control keyring/ssh keyring/pkcs11 systemd/private wayland-0 pulse/native vault.sock
""".split()
VARIABLES = """
AWS_SECRET_ACCESS_KEY AWS_SESSION_TOKEN AZURE_CLIENT_SECRET GOOGLE_APPLICATION_CREDENTIALS GITHUB_TOKEN GITLAB_TOKEN
NPM_TOKEN KUBECONFIG DOCKER_AUTH_CONFIG VAULT_TOKEN OPENAI_API_KEY ANTHROPIC_API_KEY DATABASE_URL PGPASSWORD
""".split()
# Where they are on any host, whoever runs the factory.
EVERYWHERE = """
/var/run/docker.sock /run/docker.sock /run/podman/podman.sock /run/containerd/containerd.sock /run/crio/crio.sock
/run/dbus/system_bus_socket /var/run/dbus/system_bus_socket /run/user/0/bus /run/user/1000/bus /run/systemd/private
/run/user/0/gnupg/S.gpg-agent /run/user/1000/gnupg/S.gpg-agent /run/snapd.socket /run/libvirt/libvirt-sock
/etc/shadow /etc/gshadow /etc/sudoers /etc/krb5.keytab /etc/kubernetes/admin.conf /etc/rancher/k3s/k3s.yaml
/var/run/secrets/kubernetes.io/serviceaccount/token /run/secrets /etc/ssh/ssh_host_ed25519_key /etc/machine-id
/etc/docker/key.json /root /proc/kcore /proc/keys
""".split()

TRY = """\
import json, os, socket, stat
asked = json.load(open("asked.json"))
needle = asked["needle"][::-1].encode()
got = []
def read(path):
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    with open(descriptor, "rb") as stream:
        return stream.read(1 << 20)
def holds(path):
    try:
        return needle in read(path)
    except OSError:
        return False
for path in asked["files"]:
    try:
        os.lstat(path)
        got.append(path)
    except OSError:
        continue
for path in asked["sockets"]:
    with socket.socket(socket.AF_UNIX) as client:
        try:
            client.connect(path)
            got.append(path)
        except OSError:
            continue
for path in asked["everywhere"]:
    try:
        status = os.stat(path)
        if stat.S_ISSOCK(status.st_mode) or (read(path) if stat.S_ISREG(status.st_mode) else os.listdir(path)):
            got.append(path)
    except OSError:
        continue
for name in asked["variables"]:
    if name in os.environ:
        got.append(name)
for top in (*asked["tops"], os.path.expanduser("~")):
    for folder, _, names in os.walk(top):
        got += [f"{folder}/{name}" for name in names if holds(f"{folder}/{name}")]
for process in filter(str.isdigit, os.listdir("/proc")):
    got += [f"/proc/{process}/{name}" for name in ("environ", "cmdline") if holds(f"/proc/{process}/{name}")]
print("reached:", got)
assert got == [], got
"""


@pytest.fixture(scope="module")
def planted(tmp_path_factory: pytest.TempPathFactory) -> tuple[World, Ended, list[str]]:
    root = tmp_path_factory.mktemp("canaries")
    home, session = root / "home", root / "s"
    for name in FILES:
        place = home / name
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(f"password={CANARY}\n")
    sockets = [str(session / name) for name in SOCKETS]
    world = World(root / "repository")
    asked = {
        "needle": CANARY[::-1],
        "files": [str(home / name) for name in FILES],
        "sockets": sockets,
        "everywhere": EVERYWHERE,
        "variables": VARIABLES,
        "tops": "/home /root /etc /run /var /tmp /dev/shm /opt /srv /mnt".split(),
    }
    world.write("asked.json", json.dumps(asked))
    world.write("try.py", TRY)
    world.pack(
        "TASK-0001-tries",
        'scope: {allowed_paths: ["docs/**"]}\nsteps: [{name: try, run: "python try.py"}]\n',
        'checks: [{name: again, run: "python try.py"}]\n',
    )
    world.commit()
    with ExitStack() as opened:
        for name in SOCKETS:
            _listen(session / name, opened)
        own = {
            **dict.fromkeys(VARIABLES, CANARY),
            "HOME": str(home),
            "XDG_RUNTIME_DIR": str(session),
            "SSH_AUTH_SOCK": sockets[0],
            "DOCKER_HOST": f"unix://{session}/docker.sock",
            "DBUS_SESSION_BUS_ADDRESS": f"unix:path={session}/bus",
        }
        return world, world.factory("oneshot", **own), sockets


def _listen(place: Path, opened: ExitStack) -> None:
    """A socket by path, however long that is: bound through a descriptor of its folder."""
    place.parent.mkdir(parents=True, exist_ok=True)
    folder = os.open(place.parent, os.O_RDONLY | os.O_DIRECTORY)
    opened.callback(os.close, folder)
    listener = opened.enter_context(socket.socket(socket.AF_UNIX))
    listener.bind(f"/proc/self/fd/{folder}/{place.name}")
    listener.listen()
    os.chmod(place, 0o777)


def test_none_of_them_is_reached(planted: tuple[World, Ended, list[str]]) -> None:
    world, done, _ = planted
    assert done.rc == 0, done.text
    for log in ("step-1.log", "check-1.log"):
        found = list((world.state / "bundles/TASK-0001/LOGS").glob(f"*{log.split('-')[0]}*"))
        assert found
        assert all(path.read_text() == "reached: []\n" for path in found if path.suffix == ".log")


def test_the_program_has_teeth(planted: tuple[World, Ended, list[str]], tmp_path: Path) -> None:
    """Outside of a sandbox the same program finds what is there."""
    world, _, _ = planted
    asked = {**json.loads((world.root / "asked.json").read_text()), "tops": []}
    (tmp_path / "asked.json").write_text(json.dumps(asked))
    done = subprocess.run(
        [sys.executable, "-c", TRY],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        env={"HOME": str(tmp_path), "GITHUB_TOKEN": CANARY},
    )
    assert done.returncode == 1
    for name in (".netrc", ".ssh/id_ed25519", ".kube/config"):
        assert f"/home/{name}" in done.stdout
    assert "GITHUB_TOKEN" in done.stdout
    assert "/environ" in done.stdout
