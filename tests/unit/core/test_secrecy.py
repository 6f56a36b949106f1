"""Only a credential that is new counts, and no sentence repeats it."""

from __future__ import annotations

from factory.core.redaction import Redactor
from factory.core.secrecy import judge_artifact_secrets, judge_secrets, new_places, silenced
from factory.model.finding import Finding
from factory.model.tree import MODE_FILE, MODE_SUBMODULE, Difference, Leaf
from tests.pack_values import pack

TOKEN = b"glpat-" + b"aB3dE6gH9" * 4
OTHER = b"glpat-" + b"zY8xW5vU2" * 4
REDACTOR = Redactor([("MAIL_PASSWORD", b"correct horse")])


def change(path: str, before: bytes | None, after: bytes | None) -> tuple[Difference, dict[str, bytes]]:
    contents = {"1" * 40: before or b"", "2" * 40: after or b""}
    leaves = [
        Leaf(MODE_FILE, oid) if content is not None else None
        for oid, content in (("1" * 40, before), ("2" * 40, after))
    ]
    return Difference(path, leaves[0], leaves[1]), contents


def judged(path: str, before: bytes | None, after: bytes | None) -> list[str]:
    difference, contents = change(path, before, after)
    found = judge_secrets(pack(), REDACTOR, [difference], contents)
    assert all(finding.id == "SECRET_IN_CHANGE" for finding in found)
    return [finding.message for finding in found]


def test_a_new_credential_is_named_by_its_line() -> None:
    assert judged("conf/app.ini", None, b"[gitlab]\n\ntoken=" + TOKEN + b"\n") == [
        "conf/app.ini:3 carries a credential (GitLab token); expected none"
    ]


def test_a_credential_that_was_there_is_nobodys_change() -> None:
    assert judged("a", TOKEN + b"\n", b"moved\n" + TOKEN + b"\n") == []
    assert judged("a", TOKEN, None) == []


def test_one_more_of_the_same_is_new_and_so_is_another() -> None:
    assert len(judged("a", TOKEN, TOKEN + b"\n" + TOKEN)) == 1
    assert len(judged("a", TOKEN, OTHER)) == 1
    assert [place.start for place in new_places(REDACTOR, TOKEN, TOKEN + b" " + OTHER)] == [len(TOKEN) + 1]


def test_a_file_name_may_not_carry_one_and_is_not_repeated() -> None:
    (message,) = judged("keys/" + TOKEN.decode(), None, b"")
    assert message == "keys/[redacted: GitLab token] carries a credential (GitLab token); expected none"


def test_a_value_of_this_user_counts_too() -> None:
    assert judged("a", None, b"correct horse") == ["a:1 carries a credential (value of MAIL_PASSWORD); expected none"]


def test_a_submodule_has_no_content() -> None:
    difference = Difference("sub", None, Leaf(MODE_SUBMODULE, "3" * 40))
    assert judge_secrets(pack(), REDACTOR, [difference], {}) == ()


def test_an_artifact_with_one_is_not_kept() -> None:
    good, found = judge_artifact_secrets(pack(), REDACTOR, {"a.txt": b"fine", "b.txt": b"x " + TOKEN})
    assert good == {"a.txt": b"fine"}
    assert [(finding.id, finding.message) for finding in found] == [
        ("SECRET_IN_ARTIFACT", "artifact b.txt carries a credential (GitLab token); expected none, it is not kept")
    ]


def test_findings_lose_what_a_log_brought_into_them() -> None:
    said = Finding("CHECK_FAILED", f"it ended with 1; its last line: {TOKEN.decode()}", "Read it.")
    (safe,) = silenced(REDACTOR, [said])
    assert safe.message == "it ended with 1; its last line: [redacted: GitLab token]"
    assert safe.hint == "Read it."
