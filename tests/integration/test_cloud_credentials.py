"""Where a user's credential comes from, and which are not used."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from factory.contract.cloud_credentials import read
from factory.contract.known_secrets import redactor_for

SECRET = "kQ7-canary/of+the_user-x9x9"


def problem(line: str, environment: dict[str, str] | None = None) -> str:
    held = read([line], environment or {})
    assert held.credentials == ()
    (told,) = held.problems.values()
    assert SECRET not in told
    return told


def test_a_file_of_the_user_and_a_variable_are_read(tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text(f"me:{SECRET}\n")
    file.chmod(0o600)
    lines = [
        "api.example.org authorization-bearer env:A",
        f"git.example.org basic file:{file}",
        "x.org x-key env:A",
    ]
    held = read(lines, {"A": SECRET})
    assert held.problems == {}
    assert [each.value for each in held.credentials] == [
        f"Bearer {SECRET}".encode(),
        b"Basic bWU6a1E3LWNhbmFyeS9vZit0aGVfdXNlci14OXg5",
        SECRET.encode(),
    ]
    assert SECRET not in repr(held)


@pytest.mark.linux
def test_a_file_that_others_can_read_is_not_used(tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text(SECRET)
    for mode in (0o640, 0o604, 0o644):
        file.chmod(mode)
        assert problem(f"a.org x-key file:{file}").endswith("it has to be yours, with mode 0600")
    file.chmod(0o600)
    (tmp_path / "link").symlink_to(file)
    assert "link" in problem(f"a.org x-key file:{tmp_path}/link")
    assert problem(f"a.org x-key file:{tmp_path}") == f"{tmp_path} is no plain file"
    os.mkfifo(tmp_path / "pipe", 0o600)
    assert problem(f"a.org x-key file:{tmp_path}/pipe").endswith("is no plain file")
    assert "No such file" in problem(f"a.org x-key file:{tmp_path}/none")


@pytest.mark.parametrize("value", ["", " x" + SECRET, SECRET + "\nX-More: 1", "gehäuse-" + SECRET])
def test_what_is_no_header_is_not_used(value: str) -> None:
    assert problem("a.org x-key env:A", {"A": value}).startswith(
        "expected one line of printable ASCII"
    )


def test_what_could_not_be_kept_out_of_evidence_is_not_used() -> None:
    assert (
        problem("a.org x-key env:A", {"A": "abc"})
        == "it is too short or too plain to be kept out of evidence"
    )
    assert (
        problem("a.org x-key env:A", {"A": "swordfish"})
        == "it is too short or too plain to be kept out of evidence"
    )
    assert problem("a.org basic env:A", {"A": "somebody:x"}).startswith("expected user:password")
    assert problem("a.org x-key env:A") == "the variable A is not set"


def test_what_the_configuration_names_is_kept_out_of_every_text(tmp_path: Path) -> None:
    own = tmp_path / "codex-orchestrator"
    own.mkdir()
    (own / "factory.toml").write_text(
        '[cloud]\ninject = ["api.example.org authorization-bearer env:PLAIN"]\n'
    )
    environment = {"XDG_CONFIG_HOME": str(tmp_path), "PLAIN": SECRET}
    before = os.environ.get("XDG_CONFIG_HOME")
    os.environ["XDG_CONFIG_HOME"] = str(tmp_path)
    try:
        redactor = redactor_for(environment)
    finally:
        os.environ.pop("XDG_CONFIG_HOME") if before is None else os.environ.update(
            XDG_CONFIG_HOME=before
        )
    assert redactor.redact(f"a {SECRET} b".encode()).content == (
        b"a [redacted: value of the credential for api.example.org] b"
    )
    assert (
        redactor_for({**environment, "PLAIN": "other-value-1"}).redact(SECRET.encode()).kinds == ()
    )
