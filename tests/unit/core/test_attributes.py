"""What a file stored otherwise than .gitattributes says is called, and what is nobody's news."""

from __future__ import annotations

import pytest

from factory.judge.attributes import disagreement, judge_attributes
from factory.model.tree import MODE_FILE, MODE_LINK, Difference, Leaf

POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:%b\nsize 12\n" % (b"a" * 64)
TEXT = {"text": "set"}
AUTO = {"text": "auto"}
LFS = {"filter": "lfs", "text": "unset"}
WIDE = {"working-tree-encoding": "UTF-16"}


@pytest.mark.parametrize(
    ("values", "content", "problem"),
    [
        (TEXT, b"a\r\nb\n", ("eol", "lf")),
        (TEXT, b"a\nb\n", None),
        (TEXT, b"a\rb", None),
        ({"text": "set", "eol": "crlf"}, b"a\r\n", ("eol", "crlf")),
        ({"eol": "crlf"}, b"a\r\n", ("eol", "crlf")),
        ({"eol": "lf"}, b"a\n", None),
        ({"crlf": "input"}, b"a\r\n", ("eol", "lf")),
        ({"text": "unset", "eol": "crlf"}, b"a\r\n", None),
        (AUTO, b"a\r\nb\r\n", ("eol", "lf")),
        (AUTO, b"\0a\r\n", None),
        (AUTO, b"a\rb\r\n", None),
        (LFS, POINTER, None),
        (LFS, b"", None),
        (LFS, b"raw\r\n", ("lfs", "lfs")),
        (LFS, POINTER + b"more", ("lfs", "lfs")),
        ({"filter": "git-crypt"}, b"\0GITCRYPT\0xyz", None),
        ({"filter": "git-crypt"}, b"plain", ("filter", "git-crypt")),
        ({"filter": "other"}, b"x", ("filter", "other")),
        ({"filter": "unset"}, b"x", None),
        (WIDE, "ä".encode(), None),
        (WIDE, "ä".encode("utf-16"), ("encoding", "UTF-16")),
        (WIDE, "abc".encode("utf-16-le"), ("encoding", "UTF-16")),
        ({"working-tree-encoding": "latin-1"}, b"\xe4", ("encoding", "latin-1")),
        ({"working-tree-encoding": "utf-8"}, b"\xe4", None),
        ({"ident": "set"}, b"# $Id: 0123 $\n", ("ident", "ident")),
        ({"ident": "set"}, b"# $Id$\n", None),
        ({"ident": "unset"}, b"# $Id: 0123 $\n", None),
        ({}, b"a\r\n", None),
    ],
)
def test_a_content_agrees_with_its_attributes_or_not(
    values: dict[str, str], content: bytes, problem: tuple[str, str] | None
) -> None:
    assert disagreement(values, content) == problem


def test_files_that_break_one_rule_are_one_warning_and_old_faults_are_none() -> None:
    blobs = {"good": b"a\n", "bad": b"a\r\n", "raw": b"raw"}

    def leaf(name: str) -> Leaf:
        return Leaf(MODE_FILE, name)

    changes = [
        *(Difference(f"t/{number}", None, leaf("bad")) for number in range(4)),
        Difference("t/was", leaf("bad"), leaf("bad2")),
        Difference("t/well", leaf("bad"), leaf("good")),
        Difference("t/gone", leaf("good"), None),
        Difference("t/link", None, Leaf(MODE_LINK, "bad")),
        Difference("m.bin", leaf("pointer"), leaf("raw")),
        Difference("n.bin", leaf("bad"), leaf("raw")),
        Difference("plain", None, leaf("bad")),
    ]
    known = {path: TEXT for path in (change.path for change in changes) if path.startswith("t/")}
    contents = {**blobs, "bad2": b"b\r\n", "pointer": POINTER}
    found = judge_attributes(
        "T-1",
        changes,
        lambda paths: {
            path: ({**known, "m.bin": LFS, "n.bin": LFS})[path] for path in paths if path != "plain"
        },
        lambda oids: {oid: contents[oid] for oid in oids},
    )
    assert [(one.id, one.facts["case"], one.facts["paths"], one.blocks) for one in found] == [
        ("ATTRIBUTES_DISAGREE", "eol", ("t/0", "t/1", "t/2", "…"), False),
        ("ATTRIBUTES_DISAGREE", "lfs", ("m.bin",), False),
    ]
    assert "which stores a pointer" in found[1].message
