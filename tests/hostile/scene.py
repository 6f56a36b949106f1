"""One scene: bait on the host, a repository with a pack per program, one real `doit oneshot`, and
all that it left.

`python -m tests.hostile.scene USER BACKEND SAMPLE PLACE` writes PLACE/observed.json. USER is `self`
or `ordinary`; the second gives up root for good first. SAMPLE is what `declared.chosen` knows. The
observation is plain values, so that tests share it. Judges nothing.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import signal
import subprocess
import sys
import zlib
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

from factory.sandbox import host
from factory.sandbox.properties import Property
from tests.hostile.backends import BACKENDS, Backend
from tests.hostile.canaries import Canaries, digests, forms, laid
from tests.hostile.declared import LIBRARY, Program, chosen
from tests.sandbox_kit import become_ordinary_user
from tests.warm import BIN
from tests.world import PROSE, World, environment

PATIENCE = 1500.0
# What programs print, write and name: keys put together inside, so that no pack's own file holds
# one.
CREDENTIALS = (b"AKIAZ7QX3M2KV5T4N6PR", b"AKIAQRSTUVWXYZ234567", b"b3BlbnNzaC1rZXktdjEAb3Blbn")
KEPT = ("/proc/sys/kernel/core_pattern", "/proc/sys/kernel/hostname", "/proc/sys/kernel/sysrq")


def main() -> None:
    """See the module."""
    user, backend, sample, place = (
        sys.argv[1],
        BACKENDS[sys.argv[2]],
        sys.argv[3],
        Path(sys.argv[4]),
    )
    if user == "ordinary":
        become_ordinary_user(Path(sys.base_prefix), Path(sys.prefix), Path.cwd(), place)
    os.umask(0o022)
    with laid(place / "host") as canaries:
        # Without a namespace of its own, who has no privilege cannot narrow the bounds of what it
        # starts.
        canaries.facts["keeps_bounds"] = sys.argv[2] == "landlock" and os.geteuid() != 0
        observed = observe(canaries, backend, chosen(sample), place / "repository")
    (place / "observed.json").write_text(json.dumps(observed), "utf-8")


def observe(
    canaries: Canaries, backend: Backend, played: tuple[Program, ...], root: Path
) -> dict[str, Any]:
    """Run every program's pack and gather what there is to see."""
    world = made_world(root, canaries, played)
    base = world.commit("hostile packs")
    refused = _refused(world, canaries, backend)
    if refused is not None and {each.value for each in Property} <= set(refused["lacks"]):
        # What follows accepts all that is missing: here that would be everything, on this host.
        raise SystemExit(f"expected this host to offer the backend, found: {refused['out']}")
    kept = {
        **_host_files(),
        **{f".git/{path}": digest for path, digest in digests(root / ".git").items()},
    }
    accepted = {"FACTORY_ACCEPT_MISSING": ",".join(refused["lacks"])} if refused is not None else {}
    rc, out = _oneshot(world, canaries, backend.settings | accepted)
    now = {
        **_host_files(),
        **{f".git/{path}": digest for path, digest in digests(root / ".git").items()},
    }
    differs = world.differs()
    events, last = world.events(), world.last()
    return {
        "base": base,
        "rc": rc,
        "out": out,
        "refused": refused,
        "touched": (
            canaries.look()
            + sorted(path for path in kept.keys() | now.keys() if kept.get(path) != now.get(path))
        ),
        "survivors": _survivors(root),
        "differs": differs,
        "leaks": leaks(
            world.state, [form.lower().encode() for form in forms(canaries.mark)], bytes.lower
        ),
        "credentials": leaks(world.state, CREDENTIALS),
        "status": world.status(),
        "report": (last / "FINAL_REPORT.md").read_text("utf-8"),
        "events": events,
        "packs": {program.name: _pack(world, program, events, last) for program in played},
    }


def made_world(root: Path, canaries: Canaries, played: tuple[Program, ...]) -> World:
    """A repository with one pack per program, and the facts about the bait at its root."""
    world = World(root)
    world.write("hostile.py", LIBRARY.read_bytes())
    world.write("canaries.json", json.dumps(canaries.facts))
    for path, text in BASE.items():
        world.write(path, text)
    for program in played:
        documents = {
            "task.yml": json.dumps(program.task(scene_of(root))),
            "acceptance.yml": json.dumps(program.acceptance(scene_of(root))),
        }
        for name, text in {
            **PROSE,
            **documents,
            program.file.name: program.file.read_text("utf-8"),
        }.items():
            world.write(f"{program.folder}/{name}", text)
    return world


def scene_of(root: Path) -> str:
    """A word that is in the command lines of this scene's programs, and of no other's that runs
    beside it.
    """
    return f"scene-{zlib.crc32(str(root).encode()):08x}"


BASE = {
    "src/lib.py": "def area(side):\n    return side * side\n",
    "src/data.txt": "one\ntwo\n",
    "docs/index.md": "# Docs\n",
    "tools/run.sh": "#!/bin/sh\necho run\n",
    "tests/test_area.py": (
        "import sys\nimport unittest\n\nsys.path.insert(0, 'src')\n\nfrom lib import"
        " area\n\n\nclass Area(unittest.TestCase):\n    def test_area(self):\n       "
        " self.assertEqual(area(2), 5)\n"
    ),
    ".github/workflows/ci.yml": "on: push\njobs: {}\n",
    "schemas/own.schema.json": "{}\n",
    ".gitattributes": "*.bin binary\n",
}


def _refused(world: World, canaries: Canaries, backend: Backend) -> dict[str, Any] | None:
    """What a backend that lacks something does where nobody has accepted that; None where it lacks
    nothing.
    """
    if backend.whole:
        return None
    rc, out = _oneshot(world, canaries, backend.settings)
    lacks = [
        f["facts"]["property"] for f in world.status()["findings"] if f["id"] == "PROPERTY_MISSING"
    ]
    return {"rc": rc, "out": out, "lacks": lacks, "started": world.executed()}


def _oneshot(world: World, canaries: Canaries, settings: dict[str, str]) -> tuple[int, str]:
    """`doit -n 2 oneshot` as its caller may start it: with a terminal, a descriptor and an
    environment to steal.
    """
    lead, terminal = os.openpty()
    try:
        process = subprocess.Popen(
            [
                "/bin/sh",
                "-c",
                'exec 0<>"$0"; exec "$@"',
                os.ttyname(terminal),
                str(BIN / "doit"),
                "-n",
                "2",
                "oneshot",
            ],
            cwd=world.root,
            env=environment(**canaries.environment, **settings),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            pass_fds=[canaries.leaked],
            start_new_session=True,
        )
        out, _ = process.communicate(timeout=PATIENCE)
    finally:
        os.close(lead)
        os.close(terminal)
    return process.returncode, out.decode("utf-8", "replace")


def _pack(
    world: World, program: Program, events: list[dict[str, Any]], last: Path
) -> dict[str, Any]:
    """Everything that the evidence of the `last` run and all events say of one pack."""
    folder = world.state / "bundles" / program.pack
    if not (folder / "STATUS.json").is_file():
        return {}
    own = [event for event in events if event["details"].get("pack") == program.pack]
    raw = last.parent / "raw" / program.pack / "attempt-1"
    return {
        "status": json.loads((folder / "STATUS.json").read_text("utf-8")),
        "files": json.loads((folder / "FILES_CHANGED.json").read_text("utf-8"))["files"],
        "logs": {
            path.stem: path.read_text("utf-8", "replace")
            for path in sorted((folder / "LOGS").glob("*.log"))
        },
        "raw": {
            path.stem: path.read_text("utf-8", "replace") for path in sorted(raw.glob("*.log"))
        },
        "patch": (folder / "DIFF.patch").read_text("utf-8", "replace"),
        "events": own,
    }


def _host_files() -> dict[str, str]:
    """The interpreter, the supervisor and what the kernel is told: digest or content."""
    programs_here = [
        Path(sys.executable).resolve(),
        *(found.program for found in host.candidates()),
    ]
    found = {str(path): hashlib.sha256(path.read_bytes()).hexdigest() for path in programs_here}
    for name in KEPT:
        with contextlib.suppress(OSError):  # an ordinary user may not read all of them
            found[name] = Path(name).read_text("ascii", "replace")
    return found


def _survivors(root: Path) -> list[str]:
    """Command lines of processes that still run for this repository's packs."""
    found = []
    for name in filter(str.isdecimal, os.listdir("/proc")):
        with contextlib.suppress(OSError):
            words = (
                Path(f"/proc/{name}/cmdline")
                .read_bytes()
                .replace(b"\0", b" ")
                .decode("utf-8", "replace")
            )
            if scene_of(root) in words or str(root) in words:
                found.append(words)
    return found


def leaks(
    folder: Path, secrets: Iterable[bytes], fold: Callable[[bytes], bytes] = bytes
) -> list[str]:
    """Files below `folder` that hold one of `secrets`, Git's compressed objects included; contents
    are folded first. Looked for one by one: an expression for all of them took a hundred times
    as long.
    """
    return [
        str(path.relative_to(folder))
        for path, content in ((path, fold(_content(path))) for path in _plain_files(folder))
        if any(secret in content for secret in secrets)
    ]


def _plain_files(folder: Path) -> Iterator[Path]:
    return (path for path in sorted(folder.rglob("*")) if path.is_file() and not path.is_symlink())


def _content(path: Path) -> bytes:
    content = path.read_bytes()
    if path.parent.parent.name != "objects":
        return content
    with contextlib.suppress(zlib.error):
        return zlib.decompress(content)
    return content


if __name__ == "__main__":
    signal.signal(signal.SIGTTOU, signal.SIG_IGN)
    main()
