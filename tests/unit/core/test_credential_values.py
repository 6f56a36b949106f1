"""What of a variable is a credential, judged by its value; what the user says is none."""

from __future__ import annotations

import hashlib
import random
import string

import pytest

from factory.redact.credential_values import is_random, secrets_in
from factory.redact.redaction import Redactor

MADE = "g7Kp2ZqL9xRw4TbN8vYc3M"

NONE = (
    ("SESSION_SECRET_FILE", "/run/secrets/session_key"),
    ("SSH_KEY_PATH", "~/.ssh/id_ed25519"),
    ("SSH_KEY_PATH", "keys/deploy.pem"),
    ("TLS_KEY_DIR", "/srv/tls"),
    ("API_KEY_FILE", "./secrets/api key".replace(" ", "-")),
    ("SIGNING_KEY", "/etc/keys/signing.pem"),
    ("TOKEN_URL", "https://id.example/oauth/token"),
    ("TOKEN_URL", "https://id.example:8443/oauth/token?audience=api"),
    ("SECRET_STORE_ADDR", "vault.example:8200"),
    ("KEY_SERVER", "keys.example"),
    ("COOKIE_DOMAIN", "shop.example"),
    ("DATABASE_URL", "postgres://app@db.example/app"),
    ("PATH", f"/usr/bin:/opt/{MADE}/bin"),
    ("BUILD_FOLDER", f"/tmp/{MADE}"),
    ("COMMIT", "0f3c9a4be1d27c5586a1b0d9e8f7c6b5a4938271"),
    ("ID", "8f14e45f-ceea-467f-a9a5-1c2d3e4f5a6b"),
    ("VERSION", "OpenJDK17TemurinHotspotServer"),
    ("GREETING", f"a sentence with {MADE} in it"),
    ("LEVEL", "debug"),
)
SOME = (
    ("API_TOKEN", "plain-but-secret", ("plain-but-secret",)),
    ("DB_PASSWORD", "/Secret123", ("/Secret123",)),
    ("DB_PASSWORD", "/x9/y8w7", ("/x9/y8w7",)),
    ("API_KEY_FILE", f"/run/{MADE}", (f"/run/{MADE}",)),
    ("JWT", MADE, (MADE,)),
    ("DATABASE_URL", "postgres://app:hunter22@db.example/app", ("hunter22",)),
    ("QUEUE", "amqp://app:p%40ssword@mq/", ("p%40ssword", "p@ssword")),
    ("HOOK_URL", f"https://hooks.example/services/T0/{MADE}", (MADE,)),
    ("BLOB_URL", "https://blob.example/a?sv=1&sig=abcdef123456", ("abcdef123456",)),
    ("CONNECTION", "Server=db;User=app;Password=hunter22!;", ("hunter22!",)),
    ("MIRROR", f"https://{MADE}@git.example/a.git", (MADE,)),
)


@pytest.mark.parametrize(("name", "value"), NONE)
@pytest.mark.parametrize("named", [False, True])
def test_a_place_an_address_and_a_word_are_no_credentials(
    name: str, value: str, named: bool
) -> None:
    by_name = ("COMMIT", "ID", "VERSION", "GREETING", "LEVEL", "PATH", "BUILD_FOLDER")
    if named and name in by_name:
        assert value in secrets_in("X_TOKEN", value, True)
    else:
        assert secrets_in(name, value, named) == ()


@pytest.mark.parametrize(("name", "value", "due"), SOME)
def test_what_of_a_value_is_secret(name: str, value: str, due: tuple[str, ...]) -> None:
    named = name in ("API_TOKEN", "DB_PASSWORD", "API_KEY_FILE")
    assert secrets_in(name, value, named) == due


def test_random_words_are_known_and_names_are_not() -> None:
    letters = string.ascii_letters + string.digits
    made = random.Random(7)
    words = ["".join(made.choices(letters, k=32)) for _ in range(1000)]
    assert sum(map(is_random, words)) > 900
    for word in ("x86_64-unknown-linux-gnu", "CamelCaseNameOfAClass2", "abcdef0123456789abcdef01"):
        assert not is_random(word)


def test_what_the_user_says_is_no_credential_is_shown_and_nothing_else() -> None:
    token = b"ghp_" + b"a1B2c3D4" * 5
    spared = frozenset({hashlib.sha256(token[:40]).hexdigest()})
    text = b"token: " + token[:40] + b" end"
    assert Redactor().redact(text).kinds != ()
    assert Redactor(spared=spared).redact(text).content == text
    other = text.replace(b"a1B2", b"b1B2")
    assert Redactor(spared=spared).redact(other).kinds != ()
