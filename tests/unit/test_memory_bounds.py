"""What a pack prints or leaves costs memory within a bound, shown by the kernel's limit on the
address space of a child process.
"""

from __future__ import annotations

import subprocess
import sys

import pytest

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc and limits a process")

SIZE = 40 << 20
_BEGIN = """\
import resource, sys
from pathlib import Path

def only(more):
    now = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (now + more, now + more))

SIZE = int(sys.argv[1])
"""


def ended(code: str) -> str:
    """What the code prints, or its error."""
    done = subprocess.run(
        [sys.executable, "-c", _BEGIN + code, str(SIZE)],
        capture_output=True,
        text=True,
        check=False,
    )
    return done.stdout.strip() if done.returncode == 0 else done.stderr.strip()[-300:]


def test_the_limit_is_one() -> None:
    assert "MemoryError" in ended("only(SIZE)\nbytes(2 * SIZE)\n")


def test_a_log_of_short_lines_takes_the_memory_of_its_normal_form() -> None:
    code = """
from factory.steady.normalize_artifacts import normalize_log
line = b"12:34:56 took 1.5s \\x1b[1m0xdeadbeef\\x1b[0m\\r\\n"
raw = line * (SIZE // len(line))
normalize_log(raw[:1 << 20])
only(SIZE + (24 << 20))
print(len(normalize_log(raw)) == raw.count(b"\\n") * len("<TIME> took <DURATION> <ADDRESS>\\n"))
"""
    assert ended(code) == "True"


def test_a_text_that_comes_in_pieces_is_redacted_in_the_memory_of_a_few() -> None:
    code = """
from factory.redact.redaction import Redactor, Stream
stream = Stream(Redactor([("VALUE", b"a value of this user")]))
piece = (b"some line\\n" * 3 + b"\\x00\\xff" * 8 + b"a value of this user\\n") * 1000
stream.feed(piece)
only(24 << 20)
size = sum(len(stream.feed(piece)) for _ in range(SIZE // len(piece))) + len(stream.end())
print(size > SIZE)
"""
    assert ended(code) == "True"


def test_a_file_of_holes_is_scanned_in_no_memory() -> None:
    code = """
import os, tempfile
from factory.git.scanner import scan
from factory.model.tree import object_id
from factory.sandbox.values import LayerKind
with tempfile.TemporaryDirectory() as folder:
    for name, size in (("small", 1000), ("holes", 3 << 30)):
        (Path(folder) / name).touch()
        os.truncate(Path(folder) / name, size)
    top = os.open(folder, os.O_RDONLY)
    only(24 << 20)
    found = scan(top, LayerKind.USER, lambda content: object_id("blob", content, "sha1"), "sha1")
    print(*(file.path for file in found.files), *found.unread)
"""
    assert ended(code) == "small holes"
