"""Deliberately weakened profiles: the product's own sandbox with one protection taken out, for
tests only.

Each profile changes the words, the filter or the limits of a real stage and nothing else, so that
what a program reaches then is what that protection keeps from it. `outside` takes all of it away.
Bounded in time, processes and memory; a program's harm is a canary's. Does not know what a program
wants.
"""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from factory.model.pack import Limits
from factory.sandbox import bubblewrap
from factory.sandbox.backend import Offer, SandboxSetting
from factory.sandbox.backend_full import FullOverlay
from factory.sandbox.link import Launcher, StageLink
from factory.sandbox.plan import Folders, plan
from tests.sandbox_kit import folders

MIB = 1 << 20
SECONDS = 20
BOUNDED = Limits(timeout=SECONDS, memory=256 * MIB, processes=64, disk=16 * MIB, output=MIB)
LOOSE = Limits(timeout=SECONDS, memory=2048 * MIB, processes=400, disk=256 * MIB, output=64 * MIB)
WITHOUT_NETWORK = "--unshare-all"
ALL_BUT = {
    "network": ("user", "ipc", "pid", "uts", "cgroup"),
    "processes": ("user", "ipc", "net", "uts", "cgroup"),
    "ipc": ("user", "pid", "net", "uts", "cgroup"),
}


@dataclass(frozen=True)
class Weakened:
    """What a profile changes: words of bubblewrap, the filter, the limits."""

    words: tuple[str, ...] = ()
    shared: str = ""
    filtered: bool = True
    capable: bool = False
    limits: Limits = BOUNDED
    first: str = ""


WEAK = ".weak"
CAPABLE = ("--cap-add", "ALL")
PROFILES = {
    "network": Weakened(shared="network"),
    "unfiltered": Weakened(filtered=False),
    "capable": Weakened(CAPABLE, capable=True, filtered=False),
    "processes": Weakened(("--bind", "/proc", "/proc"), shared="processes"),
    "capable-processes": Weakened(
        (*CAPABLE, "--bind", "/proc", "/proc"), shared="processes", capable=True, filtered=False
    ),
    "ipc": Weakened(shared="ipc"),
    "unlimited": Weakened(limits=LOOSE),
    "unlimited-unfiltered": Weakened(filtered=False, limits=LOOSE),
    "metadata": Weakened(
        CAPABLE, capable=True, filtered=False, first="python -S .weak/services.py"
    ),
    "kernel-files": Weakened(("--mqueue", "/run")),
    "writable": Weakened(
        ("--bind", "/scratch/shm", "/var", "--bind", "/scratch/home", "/run")
        + ("--bind", f"/merged/{WEAK}/bin", "/opt/venv/bin")
    ),
    "writable-proc": Weakened(("--proc", "/proc", *CAPABLE), capable=True),
}


class Weak:
    """Runs programs in weakened stages; one launcher with a filter, one without."""

    def __init__(self, place: Path) -> None:
        self.place = place
        offer = Offer(SandboxSetting(*folders(place)))
        offer.cache.mkdir(parents=True)
        self._used = FullOverlay(offer, offer.bubblewraps[0])
        self._launchers: dict[bool, Launcher] = {}

    def close(self) -> None:
        """End both launchers."""
        for launcher in self._launchers.values():
            launcher.close()

    def run(
        self, profile: str, workspace: Path, lines: tuple[str, ...], environment: Mapping[str, str]
    ) -> str:
        """What the program printed in a stage that shows `workspace`, all its lines together."""
        weakened = PROFILES[profile]
        folders = Folders(lowers=(workspace,))
        link = self._launcher(weakened.filtered).open_stage(plan(folders, weakened.limits))
        try:
            return "".join(self._one(link, folders, weakened, line, environment) for line in lines)
        finally:
            link.close()

    def _one(
        self,
        link: StageLink,
        folders: Folders,
        weakened: Weakened,
        line: str,
        environment: Mapping[str, str],
    ) -> str:
        line = f"{weakened.first} && {line}" if weakened.first else line
        asked = self._used.request(folders, weakened.limits.disk)(
            line, "", tuple(environment.items())
        )
        bounds = {"timeout": float(weakened.limits.timeout), "memory": weakened.limits.memory}
        request = {**asked, **bounds, "arguments": list(_arguments(weakened, asked["arguments"]))}
        return link.run(request, weakened.limits.output, None).log.decode("utf-8", "replace")

    def _launcher(self, with_filter: bool) -> Launcher:
        if with_filter not in self._launchers:
            template = self._used.template()
            self._launchers[with_filter] = Launcher(
                template if with_filter else template | {"filter": ""}
            )
        return self._launchers[with_filter]


def _arguments(weakened: Weakened, words: list[str]) -> Iterator[str]:
    """Bubblewrap's words with what the profile changes."""
    for word in words:
        if weakened.capable and word == str(bubblewrap.USER_ID):
            yield "0"  # who is root of its namespace keeps what it was given
        elif word == WITHOUT_NETWORK and weakened.shared:
            yield from (f"--unshare-{name}" for name in ALL_BUT[weakened.shared])
        else:
            yield word
    yield from weakened.words


SERVICES = """
import fcntl, os, socket, struct
made = []
with socket.socket() as control:
    for number, address in enumerate(("169.254.169.254", "10.0.0.1"), 1):
        form = struct.pack("16sH2s4s8s", b"lo:%d" % number, socket.AF_INET, b"", socket.inet_aton(address), b"")
        fcntl.ioctl(control, 0x8916, form)
        made.append(socket.create_server((address, 80)))
if os.fork():
    os._exit(0)
os.setsid()
import time
time.sleep(20)
"""


def lay_beside(workspace: Path) -> None:
    """What profiles show in place of what is protected: an interpreter of one's own, services with
    known addresses.
    """
    folder = workspace / WEAK / "bin"
    folder.mkdir(parents=True)
    shutil.copy(Path(sys.executable).resolve(), folder / "python")
    (workspace / WEAK / "services.py").write_text(SERVICES, "ascii")
