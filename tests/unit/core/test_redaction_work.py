"""What looking for credentials costs: a few looks at each byte, whatever a pack wrote to make it
cost more.

Counted in bytes that were looked at, or bounded by processor time in a child: never by a clock.
"""

from __future__ import annotations

import re
import re._constants as opcodes
import re._parser as sre
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest

from factory.redact.credential_forms import FORMS, Form, Pattern
from factory.redact.redaction import Redactor
from tests.unit.core.test_redaction import CREDENTIALS, VARIANTS

EXAMPLES = tuple(text.encode() for _, text in (*CREDENTIALS.items(), *VARIANTS))
# Looks at each byte: as the first, second and third part of one thing, in what names it, and once
# more where it ended.
MOST_LOOKS = 8
LONGEST_TRIED_SHORTER = 64


def filled(unit: bytes, size: int) -> bytes:
    return (unit * (size // len(unit) + 1))[:size]


def units(form: Form) -> Iterator[bytes]:
    """Its beginning, repeated as it is or with what may go on; and each beginning of an example of
    it.
    """
    for around in (b"%b", b"-%b", b"%b=", b"%b\n", b"%bAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA-"):
        yield around % form.anchor
    for text in EXAMPLES:
        if form.anchor in text:
            first = text.index(form.anchor) + len(form.anchor)
            for end in {first + 1, (first + len(text)) // 2, len(text) - 1, len(text)}:
                yield text[:end] + b"-"


class Counted:
    """The bytes that all expressions looked at, from where they began to where they ended."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self.bytes = self.places = 0
        match = Pattern.match

        def counted(pattern: Pattern, text: bytes, at: int) -> re.Match[bytes] | None:
            found = match(pattern, text, at)
            self.places += 1
            self.bytes += found.end() - at if found is not None else 1
            return found

        patch.setattr(Pattern, "match", counted)


@pytest.mark.parametrize("form", FORMS, ids=lambda form: form.anchor.decode())
def test_no_byte_is_looked_at_again_and_again(form: Form, monkeypatch: pytest.MonkeyPatch) -> None:
    for unit in units(form):
        text = filled(unit, 1 << 12)
        with monkeypatch.context() as patch:
            counted = Counted(patch)
            Redactor(forms=(form,)).places(text, cut=True)
            assert counted.bytes <= 2 * MOST_LOOKS * len(text), unit


def repeats(parsed: Any) -> Iterator[tuple[Any, int]]:
    """(kind, most) for each repetition in a parsed expression."""
    for kind, given in parsed:
        if kind in (opcodes.MAX_REPEAT, opcodes.MIN_REPEAT, opcodes.POSSESSIVE_REPEAT):
            yield kind, int(given[1])
        for part in given if isinstance(given, (tuple, list)) else (given,):
            for one in part if isinstance(part, list) else (part,):
                if isinstance(one, sre.SubPattern):
                    yield from repeats(one)


@pytest.mark.parametrize("form", FORMS, ids=lambda form: form.anchor.decode())
def test_what_may_be_long_is_never_tried_shorter(form: Form) -> None:
    for pattern in (form.whole, form.begun):
        found = list(repeats(sre.parse(pattern._source)))
        assert [
            each
            for each in found
            if each[0] is not opcodes.POSSESSIVE_REPEAT and each[1] > LONGEST_TRIED_SHORTER
        ] == []


def test_that_test_sees_what_it_is_for() -> None:
    (found,) = repeats(sre.parse(rb"(?P<secret>a(?:b|c){0,65536}?)"))
    assert found == (opcodes.MIN_REPEAT, 65536)


KEY = b"-----BEGIN PRIVATE KEY-----"
HOSTILE = (
    KEY + b"A" * 24,
    KEY + b"\n" + b"A" * 24 + b"\n",
    KEY + b"\\n" * 30,
    KEY + b"Aaaaaaaaaaaaaaaaaaaaaaaaaaaaa: " * 5,
    KEY + b"A" * 24 + b"-----END ",
    b"---- BEGIN SSH2 ENCRYPTED PRIVATE KEY ----\n" + b" aaa: " * 40,
    b"---- BEGIN SSH2 ENCRYPTED PRIVATE KEY ----\n" + b"A" * 24,
    b"-eyJ",
    b"-eyJaaaaaaaa.",
    b"=SessionToken=AAAA",
    b"uthorization" + b" " * 20 + b"=" * 60,
    b"machine a login b ",
    "-eyJ".encode("utf-16-be"),
    b"\0a\0b\0zz",
    b"hunter2-secret-value".hex().encode() + b"\n",
)
CHILD = """
import sys
from factory.redact.redaction import Redactor, Stream
for unit in map(bytes.fromhex, sys.argv[1:]):
    text = unit * ((1 << 20) // len(unit) + 1)
    redactor = Redactor([("DEPLOY_TOKEN", b"hunter2-secret-value")])
    redactor.places(text, cut=True)
    stream = Stream(redactor)
    shown = sum(len(stream.feed(text[at : at + 65536])) for at in range(0, len(text), 65536))
    print(unit, shown + len(stream.end()), flush=True)
"""


@pytest.mark.linux
def test_a_mebibyte_of_beginnings_is_read_in_seconds() -> None:
    """All in one child, whose output names those that it came through."""
    import resource

    def bounded() -> None:
        resource.setrlimit(resource.RLIMIT_CPU, (60, 60))

    done = subprocess.run(
        [sys.executable, "-c", CHILD, *(unit.hex() for unit in HOSTILE)],
        capture_output=True,
        preexec_fn=bounded,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, b""), done.stdout
    shown = [line.rpartition(b" ") for line in done.stdout.splitlines()]
    assert [unit for unit, _, _ in shown] == [repr(unit).encode() for unit in HOSTILE]
    assert min(int(size) for _, _, size in shown) > 0
