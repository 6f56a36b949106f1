"""Builders: the class of a host, addresses without passwords, our own code; the page has each id."""

from __future__ import annotations

import hashlib
import subprocess
from pathlib import Path

import pytest

import factory
from factory.engine.builder_facts import HOST_CLASSES, address_of, host_class, own_code
from factory.model.statement import BUILDER_ID
from factory.sandbox.backends import NAMES
from tests.docs_kit import ROOT

PACKAGE = Path(factory.__file__).parent if factory.__file__ else ROOT / "factory"


@pytest.mark.parametrize(
    ("variables", "due"),
    [
        ({}, "local"),
        ({"CI": ""}, "local"),
        ({"CI": "false"}, "local"),
        ({"CI": "true"}, "ci"),
        ({"CI": "1"}, "ci"),
        ({"CI": "true", "RUNNER_ENVIRONMENT": "self-hosted"}, "ci"),
        ({"CI": "true", "RUNNER_ENVIRONMENT": "github-hosted"}, "github-hosted"),
    ],
)
def test_the_class_of_a_host_follows_from_what_services_set(
    variables: dict[str, str], due: str
) -> None:
    assert host_class(variables) == due
    assert due in HOST_CLASSES


@pytest.mark.parametrize(
    ("origin", "due"),
    [
        ("https://user:word@Git.Example/a/b.git", "https://git.example/a/b.git"),
        ("https://token@git.example:8443/a b", "https://git.example:8443/a%20b"),
        ("https://git.example/a?access_token=word#frag", "https://git.example/a"),
        ("ssh://git@git.example/a.git", "ssh://git.example/a.git"),
        ("git@git.example:a/b.git", "ssh://git.example/a/b.git"),
        ("/srv/git/a.git", ""),
        ("../a", ""),
        ("file:///srv/a.git", ""),
        ("ext::sh -c word", ""),
        ("", ""),
    ],
)
def test_an_address_has_no_password_and_a_path_is_none(origin: str, due: str) -> None:
    assert address_of(origin) == due
    assert "word" not in address_of(origin)


def test_our_own_code_is_what_stock_tools_compute() -> None:
    lines = "find . -type f ! -path '*/__pycache__/*' | LC_ALL=C sort | xargs sha256sum"
    printed = subprocess.run(
        ["sh", "-c", lines], cwd=PACKAGE, capture_output=True, check=True
    ).stdout
    assert own_code() == hashlib.sha256(printed).hexdigest()


def test_the_page_has_every_builder_and_no_other() -> None:
    page = (ROOT / "docs/factory/BUILDERS.md").read_text("utf-8")
    rows = {line.strip("| `") for line in page.splitlines() if line.startswith(f"| `{BUILDER_ID}")}
    due = {f"{BUILDER_ID}:{each}:{host}" for each in NAMES for host in HOST_CLASSES}
    assert rows == due | {f"{BUILDER_ID}:unknown"}
