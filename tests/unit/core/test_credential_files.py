"""What each of the usual files gives: the credentials in it, and nothing else."""

from __future__ import annotations

import base64
import json

import pytest

from factory.redact.credential_files import FILES, values_in

LOGIN = base64.b64encode(b"me:docker-pass").decode()
GIVEN = {
    ".netrc": (
        b"machine a.example login me password netrc-pass\ndefault login x password 'second'\n",
        ["netrc-pass", "second"],
    ),
    ".git-credentials": (
        b"https://me:git%2Fpass@example.org\nhttps://example.org\nssh://git@x/y\n",
        ["git/pass"],
    ),
    ".config/git/credentials": (b"https://me:git-pass@example.org\n", ["git-pass"]),
    ".docker/config.json": (
        json.dumps(
            {"auths": {"r": {"auth": LOGIN, "email": "x"}, "s": {"identitytoken": "id-token"}}}
        ).encode(),
        [LOGIN, "docker-pass", "id-token"],
    ),
    ".aws/credentials": (
        (
            b"[default]\naws_access_key_id = AKIAX\naws_secret_access_key = aws/secret\n# password"
            b" = no\nregion=eu\n"
        ),
        ["aws/secret"],
    ),
    ".npmrc": (
        b"//r.example/:_authToken=npm-token\n_auth=" + LOGIN.encode() + b"\nx=${NPM}\n",
        ["npm-token", LOGIN, "docker-pass"],
    ),
    ".pypirc": (
        b"[pypi]\nusername = __token__\npassword: no\npassword = pypi-pass\n",
        ["pypi-pass"],
    ),
}


@pytest.mark.parametrize("file", FILES)
def test_each_file_gives_its_credentials(file: str) -> None:
    content, values = GIVEN[file]
    assert values_in(file, content) == tuple((file, value.encode()) for value in values)


@pytest.mark.parametrize("file", FILES)
@pytest.mark.parametrize(
    "content", [b"", b"\xff\xfe\0", b"{}", b'{"auths": [1]}', b'{"auths": {"a": 1}}', b"[" * 5000]
)
def test_what_cannot_be_read_gives_nothing(file: str, content: bytes) -> None:
    assert values_in(file, content) == ()
