"""Whatever a bundle would hold of a credential counts, however it is packed, and no sentence
repeats it.
"""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import tarfile
import zipfile
from collections.abc import Mapping
from typing import Literal

import pytest

from factory.judge.secrecy import (
    FoundCredentials,
    carried,
    judge_artifact_secrets,
    judge_contract_secrets,
    judge_secrets,
    refuse_secrets,
    silenced,
)
from factory.model.errors import Refusal
from factory.model.finding import Finding, Location
from factory.model.tree import MODE_EXECUTABLE, MODE_FILE, MODE_SUBMODULE, Difference, Leaf
from factory.redact.redaction import Redactor
from factory.redact.unpacking import MOST_BYTES, layers
from tests.pack_values import pack

TOKEN = b"glpat-" + b"aB3dE6gH9" * 4
OTHER = b"glpat-" + b"zY8xW5vU2" * 4
REDACTOR = Redactor([("MAIL_PASSWORD", b"correct horse")])
BEFORE, AFTER = "1" * 40, "2" * 40


def judged(
    path: str,
    before: bytes | None,
    after: bytes | None,
    held: Mapping[str, FoundCredentials] | None = None,
) -> list[str]:
    contents = {BEFORE: before or b"", AFTER: after or b""}
    known = {oid: carried(REDACTOR, content) for oid, content in contents.items()}
    leaves = [Leaf(MODE_FILE, oid) for oid in contents]
    difference = Difference(
        path, leaves[0] if before is not None else None, leaves[1] if after is not None else None
    )
    found = judge_secrets(pack(), REDACTOR, [difference], {**known, **(held or {})})
    assert all(finding.id == "SECRET_IN_CHANGE" for finding in found)
    return [finding.message for finding in found]


def test_a_new_credential_is_named_by_its_line() -> None:
    assert judged("conf/app.ini", None, b"[gitlab]\n\ntoken=" + TOKEN + b"\n") == [
        "conf/app.ini:3 carries a credential (GitLab token); expected none"
    ]


@pytest.mark.parametrize("after", [b"moved\n" + TOKEN + b"\n", b"cleaned\n", None])
def test_one_that_was_there_would_be_told_by_the_patch(after: bytes | None) -> None:
    (message,) = judged("a", b"x\n" + TOKEN + b"\n", after)
    assert message.startswith(
        "a:2 carried a credential (GitLab token) before the pack changed that file; "
    )
    assert message.endswith("; expected none, since the patch would show it")


def test_another_one_is_new() -> None:
    assert judged("a", TOKEN, OTHER) == ["a:1 carries a credential (GitLab token); expected none"]


def test_a_change_of_mode_alone_tells_no_bytes() -> None:
    change = Difference("a", Leaf(MODE_FILE, BEFORE), Leaf(MODE_EXECUTABLE, BEFORE))
    assert judge_secrets(pack(), REDACTOR, [change], {BEFORE: carried(REDACTOR, TOKEN)}) == ()


def test_what_the_store_withheld_is_judged_by_what_it_carries() -> None:
    held = {AFTER: carried(REDACTOR, b"\n" + TOKEN)}
    assert judged("a", b"", b"never read", held) == [
        "a:2 carries a credential (GitLab token); expected none"
    ]


def test_a_file_name_may_not_carry_one_and_is_not_repeated() -> None:
    (message,) = judged("keys/" + TOKEN.decode(), None, b"")
    assert (
        message
        == "keys/[redacted: GitLab token] carries a credential (GitLab token); expected none"
    )


def test_a_value_of_this_user_counts_too() -> None:
    assert judged("a", None, b"correct horse") == [
        "a:1 carries a credential (value of MAIL_PASSWORD); expected none"
    ]


def test_a_submodule_has_no_content() -> None:
    difference = Difference("sub", None, Leaf(MODE_SUBMODULE, "3" * 40))
    assert judge_secrets(pack(), REDACTOR, [difference], {}) == ()


def zipped(method: int) -> bytes:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", method) as archive:
        archive.writestr("fine.txt", b"fine" * 100)
        archive.writestr("inner.txt", b"\n" * 99 + TOKEN)
    return made.getvalue()


def tarred(mode: Literal["w", "w:gz", "w:bz2", "w:xz"]) -> bytes:
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode=mode) as archive:
        member = tarfile.TarInfo("inner.txt")
        member.size = len(TOKEN)
        archive.addfile(member, io.BytesIO(TOKEN))
    return made.getvalue()


PACKED = {
    "gzip": gzip.compress(b"x" * 999 + b" " + TOKEN),
    "two members": gzip.compress(b"fine " + TOKEN[:9]) + gzip.compress(TOKEN[9:]),
    "bzip2": bz2.compress(TOKEN),
    "xz": lzma.compress(TOKEN),
    "zip": zipped(zipfile.ZIP_DEFLATED),
    "zip by bzip2": zipped(zipfile.ZIP_BZIP2),
    "zip, stored": zipped(zipfile.ZIP_STORED),
    "zip without its directory": zipped(zipfile.ZIP_DEFLATED)[:-60],
    "tar": tarred("w"),
    "tar.gz": tarred("w:gz"),
    "gzip in zip in gzip": gzip.compress(zipped(zipfile.ZIP_STORED).replace(TOKEN, TOKEN)),
}


@pytest.mark.parametrize("kind", PACKED)
def test_what_is_packed_is_looked_into(kind: str) -> None:
    assert carried(REDACTOR, PACKED[kind]).kinds == ("GitLab token",)


@pytest.mark.parametrize(
    "content", [b"\x1f\x8b", b"\x1f\x8bnonsense", b"BZh9", b"PK\3\4", b"PK\3\4" * 400, b""]
)
def test_what_is_damaged_shows_what_it_shows(content: bytes) -> None:
    assert next(layers(content)) == content
    assert carried(REDACTOR, content).kinds == ()


def test_unpacking_is_bounded() -> None:
    bomb = gzip.compress(bytes(1 << 20))
    for _ in range(2):
        bomb = gzip.compress(bomb * 40)
    assert sum(map(len, layers(bomb))) <= MOST_BYTES + len(bomb)


def test_an_artifact_with_one_is_not_kept() -> None:
    artifacts = {
        "a.txt": b"fine",
        "b.txt": b"x " + TOKEN,
        "c.gz": gzip.compress(TOKEN),
        TOKEN.decode(): b"fine",
    }
    good, found = judge_artifact_secrets(pack(), REDACTOR, artifacts)
    assert good == {"a.txt": b"fine"}
    assert [(finding.id, finding.message) for finding in found] == [
        (
            "SECRET_IN_ARTIFACT",
            f"artifact {name} carries a credential (GitLab token); expected none, it is not kept",
        )
        for name in ("b.txt", "c.gz", "[redacted: GitLab token]")
    ]


def test_a_contract_may_carry_none() -> None:
    found = judge_contract_secrets(
        REDACTOR, [("taskpacks/a/task.yml", b"id: A\ntitle: " + TOKEN), ("b", b"fine")]
    )
    assert [(each.id, each.message, each.location) for each in found] == [
        (
            "SECRET_IN_CONTRACT",
            "taskpacks/a/task.yml carries a credential (GitLab token); expected none",
            Location("taskpacks/a/task.yml", 2),
        )
    ]


def test_evidence_with_one_is_refused() -> None:
    refuse_secrets(REDACTOR, "runs/a", b"[redacted: GitLab token]")
    for path, content in (("runs/a", TOKEN), ("runs/" + TOKEN.decode(), b"")):
        with pytest.raises(Refusal) as refused:
            refuse_secrets(REDACTOR, path, content)
        assert refused.value.findings[0].id == "SECRET_WITHHELD"
        assert "found one (GitLab token); it was not written" in refused.value.sentence
        assert TOKEN.decode() not in refused.value.sentence


def test_findings_lose_what_a_log_or_a_path_brought_into_them() -> None:
    token = TOKEN.decode()
    said = Finding(
        "CHECK_FAILED",
        {"case": "rc", "label": "tests-1", "run": "x", "rc": 1, "last": token, "log_of": "T-1"},
        location=Location(f"logs/{token}"),
    )
    (safe,) = silenced(REDACTOR, [said])
    assert safe.facts["last"] == "[redacted: GitLab token]"
    assert safe.location == Location("logs/[redacted: GitLab token]")


def test_one_name_of_many_that_carries_one_is_found() -> None:
    paths = [*(f"docs/{number}-token" for number in range(50)), f"x/{TOKEN.decode()}/y", "z"]
    changes = [Difference(path, None, Leaf(MODE_FILE, AFTER)) for path in paths]
    found = judge_secrets(pack(), REDACTOR, changes, {AFTER: carried(REDACTOR, b"")})
    assert [finding.message for finding in found] == [
        "x/[redacted: GitLab token]/y carries a credential (GitLab token); expected none"
    ]


def test_no_name_is_taken_for_a_part_of_the_next() -> None:
    """A name that only introduces a value, and one that would be its value."""
    value = "aB3" * 12
    for paths in (["my/token", value], [f"token={value}"]):
        changes = [Difference(path, None, Leaf(MODE_FILE, AFTER)) for path in paths]
        found = judge_secrets(pack(), REDACTOR, changes, {AFTER: carried(REDACTOR, b"")})
        assert len(found) == (len(paths) == 1)
