"""Real overlay mounts in a namespace that lives as long as a test: layers as the kernel leaves
them.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from factory.sandbox.values import LayerKind

# By root the mount believes `trusted.overlay.*`; in a user namespace only `user.overlay.*` is
# possible.
KINDS = [LayerKind.USER, *([LayerKind.TRUSTED] if os.geteuid() == 0 else [])]
_UNSHARE = {LayerKind.USER: ["unshare", "-rm"], LayerKind.TRUSTED: ["unshare", "-m"]}

_MOUNT = """
set -e
mount -t tmpfs none "$1"; cd "$1"; options=$2; shift 2
number=0
for lower in "$@"; do ln -s "$lower" l$number; number=$((number + 1)); done
"""
_ONE = """
mkdir u{n} w{n} m{n}
mount -t overlay none -o "lowerdir={lower},upperdir=u{n},workdir=w{n}$options" m{n}
(cd m{n}; set +e; {script}
) >o{n} 2>&1 </dev/null
"""


@contextmanager
def overlays(
    kind: LayerKind, place: Path, lowers: Sequence[Path], scripts: Sequence[str]
) -> Iterator[Path]:
    """Run each shell script in an overlay of its own over `lowers` (topmost first).

    Yields a folder that shows the namespace: `u0` is the first upper layer, `m0` the merged view,
    `o0` the output.
    """
    place.mkdir()
    lower = ":".join(f"l{number}" for number in range(len(lowers)))
    text = _MOUNT + "".join(
        _ONE.format(n=n, lower=lower, script=script) for n, script in enumerate(scripts)
    )
    options = ",userxattr" if kind is LayerKind.USER else ""
    process = subprocess.Popen(
        [
            *_UNSHARE[kind],
            "sh",
            "-c",
            f"{text}\necho ready\nread end",
            "sh",
            str(place),
            options,
            *map(str, lowers),
        ],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    with process:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        try:
            yield Path(f"/proc/{process.pid}/root") / place.relative_to("/")
        finally:
            process.stdin.close()
