"""Bait on the host: services, sockets, files, variables, segments and a process that nothing
hostile may reach.

Everything is made for one scene, on loopback and below one folder, and is gone afterwards. What was
touched is told as names. Does not know who tries.
"""

from __future__ import annotations

import base64
import contextlib
import ctypes
import hashlib
import os
import secrets
import selectors
import signal
import socket
import subprocess
import threading
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from factory.sandbox import host

SECRETS = (
    *(
        ".aws/credentials",
        ".config/gcloud/application_default_credentials.json",
        ".azure/accessTokens.json",
    ),
    *(
        ".kube/config",
        ".ssh/id_ed25519",
        ".netrc",
        ".git-credentials",
        ".docker/config.json",
        ".npmrc",
        ".pypirc",
    ),
    *(".gnupg/secring.gpg", ".cargo/credentials.toml", ".config/gh/hosts.yml", ".vault-token"),
)
AUTHORITIES = {
    "docker": "run/docker.sock",
    "dbus": "run/user/bus",
    "ssh-agent": "run/agent.1",
    "gpg-agent": "home/.gnupg/S.gpg-agent",
}
VARIABLES = (
    "AWS_SECRET_ACCESS_KEY",
    "GITHUB_TOKEN",
    "GOOGLE_APPLICATION_CREDENTIALS",
    "KUBECONFIG",
    "NPM_TOKEN",
)
_IPC_CREATE = 0o1000
_REMOVE = 0
_SEGMENT = 4096
_JOIN_SESSION, _SESSION = 1, -3


@dataclass
class Canaries:
    """The bait of one scene. `facts` is what programs are told, `environment` what the orchestrator
    is started with.
    """

    place: Path
    mark: str
    facts: dict[str, Any] = field(default_factory=dict)
    environment: dict[str, str] = field(default_factory=dict)
    touched: list[str] = field(default_factory=list)
    sleeper: subprocess.Popen[bytes] | None = None
    leaked: int = -1
    segment: int = -1
    before: dict[str, str] = field(default_factory=dict)

    def restore(self) -> None:
        """Lay the file again that a program without confinement has written."""
        (self.place / "outside.txt").write_text(f"{self.mark}\n", "ascii")

    def look(self) -> list[str]:
        """Everything that is not as it was, by name."""
        found = list(self.touched)
        after = digests(self.place)
        found += sorted(
            path
            for path in self.before.keys() | after.keys()
            if self.before.get(path) != after.get(path)
        )
        if self.sleeper is not None and self.sleeper.poll() is not None:
            found.append(f"the canary process ended with {self.sleeper.returncode}")
        if read_segment(self.segment)[: len(self.mark)] != self.mark.encode():
            found.append("the shared segment was written")
        return found


def forms(mark: str) -> tuple[str, ...]:
    """A secret as it is, and as what encodes it would show it."""
    plain = mark.encode()
    coded = [base64.b64encode(b"x" * shift + plain).decode()[4:-4] for shift in range(3)]
    return (mark, *coded, plain.hex(), "".join(f"%{byte:02X}" for byte in plain))


def digests(folder: Path) -> dict[str, str]:
    """Path → kind, mode and content of everything below a folder."""
    found = {}
    for path in sorted(folder.rglob("*")):
        content = path.read_bytes() if path.is_file() and not path.is_symlink() else b""
        digest = hashlib.sha256(content).hexdigest()
        found[str(path.relative_to(folder))] = f"{path.lstat().st_mode:o} {digest}"
    return found


@contextmanager
def laid(place: Path) -> Iterator[Canaries]:
    """All of the bait, below `place`, readable and reachable for whoever packs run as."""
    made = Canaries(place, f"canary-{secrets.token_hex(12)}")
    with ExitStack() as opened:
        _files(made)
        _services(made, opened)
        _memory(made, opened)
        _process(made, opened)
        for path in (place, *place.rglob("*")):
            path.chmod(0o777 if path.is_dir() else 0o666)  # no mode is what keeps anybody away
            os.chown(path, *host.sandbox_owner(), follow_symlinks=False)
        made.leaked = os.open(place / "outside.txt", os.O_RDWR)
        opened.callback(os.close, made.leaked)
        made.before = digests(place)
        yield made


def _files(made: Canaries) -> None:
    home = made.place / "home"
    for name in SECRETS:
        (home / name).parent.mkdir(parents=True, exist_ok=True)
        (home / name).write_text(f"token = {made.mark}\n", "ascii")
    (made.place / "outside.txt").write_text(f"{made.mark}\n", "ascii")
    for folder in ("run/user", "trap"):
        (made.place / folder).mkdir(parents=True)
    made.facts |= {"keeps_bounds": False}
    made.facts |= {"trap": str(made.place / "trap" / "sprung")}
    made.environment |= dict.fromkeys(VARIABLES, made.mark)
    made.environment |= {
        "HOME": str(home),
        "SSH_AUTH_SOCK": str(made.place / AUTHORITIES["ssh-agent"]),
    }
    made.environment |= {
        "DBUS_SESSION_BUS_ADDRESS": f"unix:path={made.place / AUTHORITIES['dbus']}"
    }
    made.environment |= {"DOCKER_HOST": f"unix://{made.place / AUTHORITIES['docker']}"}
    made.facts |= {
        "home": str(home),
        "outside": str(made.place / "outside.txt"),
        "place": str(made.place),
    }
    made.facts |= {
        "secrets": list(SECRETS),
        "variables": sorted(made.environment),
        "mark_reversed": made.mark[::-1],
    }
    made.facts |= {"sockets": {name: str(made.place / path) for name, path in AUTHORITIES.items()}}


def _services(made: Canaries, opened: ExitStack) -> None:
    """Listeners of every kind, each with a thread's answer and a note of who came."""
    desk = opened.enter_context(_Desk(made.touched))
    abstract = f"hostile-{secrets.token_hex(8)}"
    for name, family, address in (
        ("tcp", socket.AF_INET, ("127.0.0.1", 0)),
        ("tcp6", socket.AF_INET6, ("::1", 0)),
        ("abstract", socket.AF_UNIX, f"\0{abstract}"),
        *((name, socket.AF_UNIX, str(made.place / path)) for name, path in AUTHORITIES.items()),
    ):
        listener = desk.take(name, socket.socket(family, socket.SOCK_STREAM), address)
        made.facts |= {name: listener.getsockname()[1]} if family != socket.AF_UNIX else {}
    for name, family, address in (
        ("udp", socket.AF_INET, ("127.0.0.1", 0)),
        ("udp6", socket.AF_INET6, ("::1", 0)),
        ("datagram", socket.AF_UNIX, f"\0{abstract}-datagram"),
    ):
        receiver = desk.take(name, socket.socket(family, socket.SOCK_DGRAM), address)
        made.facts |= {name: receiver.getsockname()[1]} if family != socket.AF_UNIX else {}
    made.facts |= {"abstract": abstract}


class _Desk:
    """A thread that answers whoever comes, and writes down that they came."""

    def __init__(self, touched: list[str]) -> None:
        self._touched = touched
        self._waiting = selectors.DefaultSelector()
        self._stop, self._told = os.pipe()
        self._waiting.register(self._stop, selectors.EVENT_READ, "")
        self._thread = threading.Thread(target=self._serve, daemon=True)

    def __enter__(self) -> _Desk:
        return self

    def take(self, name: str, service: socket.socket, address: Any) -> socket.socket:
        service.bind(address)
        if isinstance(address, str) and not address.startswith("\0"):
            os.chmod(address, 0o666)
        if service.type == socket.SOCK_STREAM:
            service.listen()
        self._waiting.register(service, selectors.EVENT_READ, name)
        if not self._thread.is_alive():
            self._thread.start()
        return service

    def __exit__(self, *_: object) -> None:
        os.write(self._told, b"x")
        self._thread.join()
        for key in list(self._waiting.get_map().values()):
            if isinstance(key.fileobj, socket.socket):
                key.fileobj.close()
        self._waiting.close()
        os.close(self._stop)
        os.close(self._told)

    def _serve(self) -> None:
        while True:
            for key, _ in self._waiting.select():
                if not isinstance(key.fileobj, socket.socket):
                    return
                self._touched.append(f"the {key.data} canary was reached")
                with contextlib.suppress(OSError):  # whoever came has left again
                    _answer(key.fileobj)


def _answer(service: socket.socket) -> None:
    if service.type == socket.SOCK_STREAM:
        with service.accept()[0] as caller:
            caller.sendall(b"canary\n")
        return
    content, caller_address = service.recvfrom(2048)
    if caller_address:
        service.sendto(content, caller_address)


def _memory(made: Canaries, opened: ExitStack) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    key = secrets.randbits(30) | 1
    made.segment = libc.shmget(key, _SEGMENT, _IPC_CREATE | 0o666)
    assert made.segment >= 0, os.strerror(ctypes.get_errno())
    opened.callback(libc.shmctl, made.segment, _REMOVE, None)
    write_segment(made.segment, made.mark.encode())
    queue = libc.msgget(key, _IPC_CREATE | 0o666)
    assert queue >= 0, os.strerror(ctypes.get_errno())
    opened.callback(libc.msgctl, queue, _REMOVE, None)
    _key(made)
    shared = Path("/dev/shm") / f"hostile-{secrets.token_hex(8)}"
    shared.write_text(made.mark, "ascii")
    opened.callback(shared.unlink)
    os.chown(shared, *host.sandbox_owner())
    made.facts |= {"ipc_key": key, "shared_memory": str(shared)}


def _key(made: Canaries) -> None:
    """A key in a session keyring of our own, which whatever we start inherits."""
    add_key, keyctl = {"x86_64": (248, 250), "aarch64": (217, 219)}[os.uname().machine]
    libc = ctypes.CDLL(None, use_errno=True)
    libc.syscall(ctypes.c_long(keyctl), ctypes.c_long(_JOIN_SESSION), None)
    words = (b"user", made.mark.encode(), b"secret", ctypes.c_long(6), ctypes.c_long(_SESSION))
    assert libc.syscall(ctypes.c_long(add_key), *words) > 0, os.strerror(ctypes.get_errno())
    made.facts |= {"key": made.mark[::-1]}


def _attached(segment: int) -> tuple[Any, int]:
    libc = ctypes.CDLL(None, use_errno=True)
    libc.shmat.restype = ctypes.c_void_p
    address = libc.shmat(segment, None, 0)
    assert address not in (None, ctypes.c_void_p(-1).value)
    return libc, address


def write_segment(segment: int, content: bytes) -> None:
    libc, address = _attached(segment)
    ctypes.memmove(address, content, len(content))
    libc.shmdt(ctypes.c_void_p(address))


def read_segment(segment: int) -> bytes:
    libc, address = _attached(segment)
    content = ctypes.string_at(address, _SEGMENT)
    libc.shmdt(ctypes.c_void_p(address))
    return content


def _process(made: Canaries, opened: ExitStack) -> None:
    """A process of the very user that packs run as, with a secret in its environment."""
    uid, gid = host.sandbox_owner()
    who: Mapping[str, Any] = (
        {"user": uid, "group": gid, "extra_groups": []} if os.geteuid() == 0 else {}
    )
    made.sleeper = subprocess.Popen(
        ["/bin/sleep", "900"],  # anybody may execute it
        env={"CANARY": made.mark, "PATH": os.defpath},
        cwd="/",
        start_new_session=True,
        stdin=subprocess.DEVNULL,
        **who,
    )
    opened.callback(made.sleeper.wait)
    opened.callback(made.sleeper.send_signal, signal.SIGKILL)
    made.facts |= {"process": made.sleeper.pid}
