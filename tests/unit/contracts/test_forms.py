"""Written forms: sizes, durations, hosts, folders, names that say credential."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from factory.model import forms


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("65536", 65536),
        ("1B", 1),
        ("512MiB", 512 << 20),
        ("2G", 2 << 30),
        ("2gib", 2 << 30),
        ("2GB", 2_000_000_000),
        ("1 k", 1024),
        ("1 kB", 1000),
        ("3T", 3 << 40),
        ("1.5G", None),
        ("G", None),
        ("-1", None),
        ("2GiBs", None),
        ("2G\n", None),
        ("٣", None),
        ("", None),
    ],
)
def test_sizes(text: str, size: int | None) -> None:
    assert forms.size_of(text) == size


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("90s", 90),
        ("10m", 600),
        ("10min", 600),
        ("2h", 7200),
        ("1h30m", 5400),
        ("1h1m1s", 3661),
        ("0s", 0),
        ("", None),
        ("10", None),
        ("10 m", None),
        ("m", None),
        ("1m1h", None),
        ("10m\n", None),
    ],
)
def test_durations(text: str, seconds: int | None) -> None:
    assert forms.duration_of(text) == seconds


@pytest.mark.parametrize(
    "host",
    [
        "example.org",
        "a",
        "Mirror.example.org:8443",
        "x-y.example",
        "a:65535",
        "*.a.b",
        "1.a:1",
        "0xg",
    ],
)
def test_hosts(host: str) -> None:
    assert forms.problem_with_host(host) == ""


@pytest.mark.parametrize(
    "host",
    [
        *(
            "",
            "-a",
            "a-",
            "a..b",
            "a b",
            "https://a",
            "a/b",
            "a:0",
            "a:65536",
            "a:",
            "*.a",
            "a\n",
            "ä.example",
            "a" * 64,
        ),
        *(
            "10.0.0.1",
            "1",
            "a.1:8",
            "0x7f.1",
            "a.0x",
            "[::1]",
            "::1",
            "*.*.a",
            "a.*.b",
            "*",
            "a.",
            "*.1",
            "u@a.b",
            "a_b",
        ),
    ],
)
def test_no_hosts(host: str) -> None:
    assert "; " in forms.problem_with_host(host)


@pytest.mark.parametrize(
    ("folder", "clean"), [("", ""), (".", ""), ("./a/", "a"), ("a//b", "a/b"), ("a/..b", "a/..b")]
)
def test_folders(folder: str, clean: str) -> None:
    assert forms.problem_with_folder(folder) == ""
    assert forms.clean_folder(folder) == clean


@pytest.mark.parametrize("folder", ["/a", "..", "a/../b", "a\\b", "C:a", "a\nb", "a\x00"])
def test_no_folders(folder: str) -> None:
    assert "; " in forms.problem_with_folder(folder)


@pytest.mark.parametrize(
    "name", ["GITHUB_TOKEN", "AWS_REGION", "db_password", "SSH_AUTH_SOCK", "API_KEY", "NPM_TOKEN"]
)
def test_names_of_credentials(name: str) -> None:
    assert forms.names_a_credential(name)


@pytest.mark.parametrize("name", ["HOME_PAGE", "LANG", "MONKEY", "TOKENIZERS_PARALLELISM", "CI"])
def test_other_names(name: str) -> None:
    assert not forms.names_a_credential(name)


ALL_FORMS = [
    forms.SIZE,
    forms.DURATION,
    forms.HOST,
    forms.ENV_NAME,
    forms.TOOL,
    forms.PLUGIN,
    forms.REF,
]


@pytest.mark.parametrize("form", ALL_FORMS)
@given(text=st.text("aZ09_.:-/@ GMhms\n", max_size=8))
def test_an_anchored_form_is_the_whole_text(form: str, text: str) -> None:
    assert (re.search(forms.anchored(form), text) is not None) == (
        re.fullmatch(form, text) is not None
    )


@pytest.mark.parametrize(
    "name", ["GITHUB_TOKEN", "AWS_SECRET_ACCESS_KEY", "db_password", "NPM_CONFIG_PAT", "APIKEY"]
)
def test_value_of_a_variable_that_is_the_credential_itself(name: str) -> None:
    assert forms.value_is_credential(name)


@pytest.mark.parametrize(
    "name", ["NOX_CURRENT_SESSION", "AWS_REGION", "GOOGLE_CLOUD_PROJECT", "DOCKER_HOST", "PWD"]
)
def test_value_of_a_variable_that_only_leads_to_one(name: str) -> None:
    assert not forms.value_is_credential(name)
