"""What is cut from a text, in whatever form and pieces it comes, and what is left alone."""

from __future__ import annotations

import base64
import json
import urllib.parse

import pytest
from hypothesis import given
from hypothesis import strategies as st

from factory.redact.redaction import Redactor, Stream, mark

VALUE = b'hunter2/+"secret\\value'
NAMED = Redactor([("DEPLOY_TOKEN", VALUE), ("SHORT", b"abc")])
MARK = b"[redacted: value of DEPLOY_TOKEN]"
LONG = bytes(range(33, 127)) * 2


def letters(count: int) -> str:
    return ("aB3dE6gH9" * 60)[:count]


# Never a credential of anybody: letters that repeat, behind the beginnings that issuers give to
# theirs.
CREDENTIALS = {
    "AWS access key": "AKIA" + "ABCDEFGH234567AB",
    "AWS secret key": "aws_secret_access_key = " + letters(40),
    "GitHub token": "ghp_" + letters(36),
    "GitLab token": "glpat-" + letters(20),
    "Slack token": "xoxb-" + letters(24),
    "Slack webhook": "https://hooks.slack.com/services/T0/" + letters(30),
    "Google API key": "AIza" + letters(35),
    "Google access token": "ya29." + letters(40),
    "Stripe key": "sk_live_" + letters(24),
    "npm token": "npm_" + letters(36),
    "PyPI token": "pypi-AgEI" + letters(60),
    "OpenAI key": "sk-proj-" + letters(40),
    "Anthropic key": "sk-ant-" + letters(40),
    "Docker token": "dckr_pat_" + letters(27),
    "DigitalOcean token": "dop_v1_" + "0123456789abcdef" * 4,
    "Hugging Face token": "hf_" + letters(34),
    "Vault token": "hvs." + letters(24),
    "Shopify token": "shpat_" + "0123456789abcdef" * 2,
    "age key": "AGE-SECRET-KEY-1" + "QPZRY9X8" * 7,
    "Azure key": "AccountKey=" + letters(86) + "==",
    "SendGrid key": "SG." + letters(22) + "." + letters(43),
    "JSON web token": "eyJ" + letters(20) + ".eyJ" + letters(30) + "." + letters(43),
    "Google refresh token": "1//0" + letters(60),
    "Google client secret": "GOCSPX-" + letters(28),
    "RubyGems key": "rubygems_" + "0123456789abcdef" * 3,
    "Databricks token": "dapi" + "0123456789abcdef" * 2,
    "Grafana token": "glsa_" + letters(32) + "_0123abcd",
    "Atlassian token": "ATATT3" + letters(180),
    "Sentry token": "sntrys_" + letters(60),
    "AWS session token": "AWS_SESSION_TOKEN=" + letters(300) + "==",
    "Azure signature": "sv=2026-01-01&sig=" + letters(43) + "%3D",
    "Docker login": '{"auths": {"registry.example.org": {"auth": "' + letters(40) + '=="}}}',
    "Kubernetes key": "client-key-data: " + letters(300),
    "token": "    token: " + letters(40),
    "netrc password": "machine example.org login me password " + letters(24),
    "Authorization header": "Authorization: Bearer " + letters(44),
    "password of a URL": "postgres://app:" + letters(24) + "@db.example.org/app",
    "private key": (
        "-----BEGIN OPENSSH PRIVATE KEY-----\n"
        + letters(70)
        + "\n-----END OPENSSH PRIVATE KEY-----"
    ),
}


@pytest.mark.parametrize("kind", CREDENTIALS)
def test_a_credential_is_known_by_its_form(kind: str) -> None:
    text = f"first line\nfound: '{CREDENTIALS[kind]}'\nlast line\n".encode()
    safe = Redactor().redact(text)
    assert safe.kinds == (kind,)
    assert mark(kind) in safe.content
    assert letters(20).encode() not in safe.content
    assert safe.content.startswith(b"first line\nfound: '")
    assert safe.content.endswith(b"'\nlast line\n")


# Other spellings of the same kinds.
VARIANTS = [
    ("AWS access key", "ASIA" + "ABCDEFGH234567AB"),
    ("AWS secret key", 'AWS_SECRET_ACCESS_KEY="' + letters(40) + '"'),
    ("AWS secret key", '"SecretAccessKey": "' + letters(40) + '",'),
    *(("GitHub token", f"gh{letter}_" + letters(36)) for letter in "ousr"),
    ("GitHub token", "github_pat_" + letters(22) + "_" + letters(59)),
    *(("GitLab token", f"gl{kind}-" + letters(20)) for kind in ("dt", "rt", "ptt", "soat", "cbt")),
    *(("Slack token", f"xox{letter}-1-" + letters(24)) for letter in "abeprs"),
    ("Slack token", "xapp-1-A0-" + letters(30)),
    *(
        ("Stripe key", f"{begin}_" + letters(24))
        for begin in ("rk_live", "sk_test", "rk_test", "whsec")
    ),
    ("OpenAI key", "sk-" + letters(20) + "T3BlbkFJ" + letters(20)),
    ("OpenAI key", "sk-svcacct-" + letters(40)),
    ("Anthropic key", "sk-ant-api03-" + letters(90)),
    ("Docker token", "dckr_oat_" + letters(32)),
    ("Docker login", '"identitytoken": "' + letters(40) + '"'),
    ("npm token", "//registry.npmjs.org/:_authToken=" + letters(36)),
    ("npm token", "_auth=" + letters(24) + "=="),
    ("Vault token", "hvb." + letters(40)),
    ("Grafana token", "glc_" + letters(40)),
    ("Azure key", "SharedAccessKey=" + letters(43) + "="),
    ("Authorization header", '"authorization": "Basic ' + letters(24) + '=="'),
    ("Authorization header", "Proxy-Authorization: Token " + letters(30)),
    ("password of a URL", "https://me:" + letters(20) + "@[::1]:8443/x"),
    (
        "private key",
        '{"private_key": "-----BEGIN PRIVATE KEY-----\\n'
        + letters(64)
        + '\\n-----END PRIVATE KEY-----\\n"}',
    ),
    *(
        ("private key", f"-----BEGIN {kind}-----\n" + letters(64) + f"\n-----END {kind}-----")
        for kind in (
            "RSA PRIVATE KEY",
            "EC PRIVATE KEY",
            "DSA PRIVATE KEY",
            "ENCRYPTED PRIVATE KEY",
        )
    ),
    (
        "private key",
        "-----BEGIN PGP PRIVATE KEY BLOCK-----\n\n"
        + letters(64)
        + "\n-----END PGP PRIVATE KEY BLOCK-----",
    ),
    ("private key", "---- BEGIN SSH2 ENCRYPTED PRIVATE KEY ----\nComment: mine\n" + letters(64)),
    ("private key", "Private-Lines: 8\n" + letters(64)),
]


@pytest.mark.parametrize(("kind", "text"), VARIANTS)
def test_every_spelling_is_known(kind: str, text: str) -> None:
    safe = Redactor().redact(f"<{text}\n".encode())
    assert set(safe.kinds) == {kind}
    assert letters(20).encode() not in safe.content


@pytest.mark.parametrize(("kind", "text"), [*CREDENTIALS.items(), *VARIANTS])
def test_a_credential_in_pieces_is_cut_as_one(kind: str, text: str) -> None:
    whole = f"a line\n<{text}\nthe end\n".encode()
    for size in (3, 64):
        stream = Stream(Redactor())
        shown = (
            b"".join(stream.feed(whole[at : at + size]) for at in range(0, len(whole), size))
            + stream.end()
        )
        assert shown == Redactor().redact(whole, cut=True).content, kind


@pytest.mark.parametrize("kind", CREDENTIALS)
def test_a_credential_that_a_cut_left_half_is_cut_whole(kind: str) -> None:
    whole = f"log {CREDENTIALS[kind]}".encode()
    half = whole[: len(whole) - 9]
    assert CREDENTIALS[kind].encode()[-30:-9] not in Redactor().redact(half, cut=True).content


@pytest.mark.parametrize(
    "text",
    [
        b"-----BEGIN PRIVATE KEY----- is how such a file begins\n",
        b"AKIAIOSFODNN7EXAMPLE",
        b"-----BEGIN PUBLIC KEY-----\n" + letters(80).encode() + b"\n-----END PUBLIC KEY-----\n",
        b"sha256 " + b"0123456789abcdef" * 4,
        b"npm_config_registry=https://registry.example.org/ npm_package_name=a",
        b"ghp_ and github_pat_ are beginnings; eyJ too",
        b"xxghp_" + letters(36).encode(),
        (
            b"postgres://postgres:postgres@db/app https://user:password@example.org"
            b" https://u:${TOKEN}@h"
        ),
        b"http://localhost:8080/path see user@example.org and git@github.com:owner/name.git",
        (
            b"Authorization: Bearer <token>  Authorization: Bearer $TOKEN  authorization: basic"
            b" credentials"
        ),
        b"Authorization: Bearer YOUR_TOKEN_HERE",
        b"//registry.npmjs.org/:_authToken=${NPM_TOKEN}",
        b'"auth": "required", "auth": "authentication"',
        b"AWS_SECRET_ACCESS_KEY=  AWS_SECRET_ACCESS_KEY: ${{ secrets.AWS_SECRET_ACCESS_KEY }}",
        b"token: ${{ secrets.GITHUB_TOKEN }}\ntoken: sha256-" + b"0123456789abcdef" * 4,
        b"machine learning login page password reset",
        b"sig=short&x=1 AccountKey=<key>;",
        b"-----BEGIN CERTIFICATE-----\n" + letters(80).encode() + b"\n-----END CERTIFICATE-----\n",
        b"sk-learn and sk_live_ and 1//0 and dapi and xapp-1",
    ],
)
def test_what_only_looks_like_one_is_left_alone(text: bytes) -> None:
    assert Redactor().redact(text) == Redactor().redact(text, cut=False)
    assert Redactor().redact(text).kinds == ()


@pytest.mark.parametrize(
    "form",
    [
        VALUE,
        VALUE.hex().encode(),
        VALUE.hex().upper().encode(),
        urllib.parse.quote(VALUE, safe="").encode(),
        urllib.parse.quote(VALUE, safe="")
        .replace("%2F", "%2f")
        .replace("%2B", "%2b")
        .replace("%5C", "%5c")
        .encode(),
        json.dumps(VALUE.decode())[1:-1].encode(),
        base64.b64encode(VALUE),
        base64.urlsafe_b64encode(VALUE),
    ],
)
def test_a_known_value_is_cut_in_each_form(form: bytes) -> None:
    safe = NAMED.redact(b"before " + form + b" after")
    assert set(safe.kinds) == {"value of DEPLOY_TOKEN"}
    assert safe.content.startswith(b"before [redacted")
    assert form not in safe.content


def test_a_short_value_is_a_word_like_any_other() -> None:
    assert NAMED.redact(b"abc abc").kinds == ()
    assert Redactor([("POSTGRES_PASSWORD", b"postgres")]).redact(b"FROM postgres:17").kinds == ()
    assert Redactor([("POSTGRES_PASSWORD", b"postgres7")]).redact(b"is postgres7").kinds == (
        "value of POSTGRES_PASSWORD",
    )


@given(
    st.binary(max_size=40),
    st.binary(max_size=40),
    st.sampled_from([b"", b"\n", b"\r\n"]),
    st.integers(4, 76),
)
def test_a_value_within_encoded_bytes_is_found_wherever_lines_break(
    before: bytes, after: bytes, end: bytes, width: int
) -> None:
    redactor = Redactor([("KEY", LONG)])
    whole = base64.b64encode(before + LONG + after)
    broken = b"".join(whole[at : at + width] + end for at in range(0, len(whole), width))
    safe = redactor.redact(broken)
    assert "value of KEY" in safe.kinds
    # Of the value at most the characters at both ends are left, which it shares with its
    # neighbours.
    left = safe.content.replace(b"\n", b"").replace(b"\r", b"")
    assert base64.b64encode(LONG)[8:-8] not in left


@given(
    st.binary(max_size=5),
    st.sampled_from([b"\n", b"\r\n"]),
    st.integers(4, 76),
    st.integers(30, 240),
    st.data(),
)
def test_encoded_bytes_that_a_cut_left_half_are_cut_wherever_lines_break(
    before: bytes, end: bytes, width: int, length: int, data: st.DataObject
) -> None:
    redactor = Redactor([("KEY", LONG)])
    whole = base64.b64encode(before + LONG)
    half = b"".join(whole[at : at + width] + end for at in range(0, len(whole), width))[:length]
    safe = redactor.redact(half, cut=True)
    left = safe.content.replace(b"\n", b"").replace(b"\r", b"")
    encoded = whole[: len(half.replace(b"\n", b"").replace(b"\r", b""))]
    # What may be left: the bytes before the value, and characters at its ends that neighbours share
    # or that are few.
    assert encoded[16:28] not in left
    cut = data.draw(st.integers(0, len(half)))
    stream = Stream(redactor)
    assert stream.feed(half[:cut]) + stream.feed(half[cut:]) + stream.end() == safe.content


def test_a_line_feed_after_encoded_bytes_that_were_cut_stays() -> None:
    half = base64.b64encode(VALUE)[:16]
    assert NAMED.redact(half[:8] + b"\n" + half[8:] + b"\n", cut=True).content == MARK + b"\n"


@given(st.data())
def test_pieces_are_cut_as_the_whole_is(data: st.DataObject) -> None:
    parts = st.one_of(
        st.sampled_from([each.encode() for each in CREDENTIALS.values()]),
        st.sampled_from(
            [VALUE, base64.b64encode(VALUE), b"\n", b" ", b"ghp_", b"eyJ", b"-----BEGIN "]
        ),
        st.binary(max_size=12),
    )
    text = b"".join(data.draw(st.lists(parts, max_size=8)))
    cuts = sorted(data.draw(st.lists(st.integers(0, len(text)), max_size=6)))
    stream = Stream(NAMED)
    shown = b"".join(
        stream.feed(text[start:end])
        for start, end in zip([0, *cuts], [*cuts, len(text)], strict=True)
    )
    assert shown + stream.end() == NAMED.redact(text, cut=True).content


@pytest.mark.parametrize("cut", range(22, 40))
def test_a_form_within_a_word_is_none_wherever_the_pieces_part(cut: int) -> None:
    text = VALUE + CREDENTIALS["Hugging Face token"].encode()
    stream = Stream(NAMED)
    shown = stream.feed(text[:cut]) + stream.feed(text[cut:]) + stream.end()
    assert shown == NAMED.redact(text, cut=True).content


def test_a_credential_that_runs_into_the_next_one_is_held_until_both_have_ended() -> None:
    text = (CREDENTIALS["Azure key"] + CREDENTIALS["AWS secret key"]).encode()
    stream = Stream(NAMED)
    assert stream.feed(text) == b""
    assert stream.end() == NAMED.redact(text, cut=True).content == b"[redacted: Azure key]"


def test_what_follows_tells_a_stream_that_a_word_is_no_credential() -> None:
    text = CREDENTIALS["AWS secret key"].encode() + VALUE
    stream = Stream(NAMED)
    shown = stream.feed(text) + stream.end()
    assert (
        shown
        == NAMED.redact(text, cut=True).content
        == CREDENTIALS["AWS secret key"].encode() + MARK
    )


def test_a_stream_gives_a_line_at_once() -> None:
    stream = Stream(NAMED)
    assert stream.feed(b"collected 3 items\n") == b"collected 3 items\n"
    assert stream.feed(VALUE[:10]) == b""
    assert stream.feed(VALUE[10:] + b"\n") == MARK + b"\n"


@given(st.binary(max_size=300))
def test_any_bytes_have_an_answer(text: bytes) -> None:
    safe = NAMED.redact(text, cut=True)
    assert (safe.content == text) == (safe.kinds == ())


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be", "utf-16"])
def test_a_value_in_utf_16_is_found(encoding: str) -> None:
    redactor = Redactor([("MY_PASSWORD", "correct-horse-bättery".encode())])
    made = redactor.redact("say correct-horse-bättery now".encode(encoding))
    assert made.kinds == ("value of MY_PASSWORD",)
    assert "horse".encode("utf-16-le") not in made.content
    assert not redactor.places("correct-horse-battery".encode(encoding))


def test_a_value_that_is_no_text_is_still_found_as_it_is() -> None:
    value = b"\xff\xfe\x80-no-text-at-all"
    assert Redactor([("TOKEN", value)]).redact(b"a" + value + b"z").kinds == ("value of TOKEN",)


DIGITS = VALUE.hex()
PAIRS = [DIGITS[at : at + 2] for at in range(0, len(DIGITS), 2)]
HEXADECIMAL = {
    "broken by line ends, as of xxd -p": DIGITS[:20] + "\n" + DIGITS[20:],
    "broken by both line ends": "\r\n".join(PAIRS),
    "mixed case": DIGITS[:20].upper() + DIGITS[20:],
    "with colons": ":".join(PAIRS),
    "with blanks, as of od -An -tx1": " " + "  ".join(PAIRS),
    "words, as of od -An -tx2 --endian=big": " ".join(
        DIGITS[at : at + 4] for at in range(0, len(DIGITS), 4)
    ),
    "with dashes": "-".join(PAIRS).upper(),
    "escaped": "".join(f"\\x{pair}" for pair in PAIRS),
    "escaped in capitals": "".join(f"\\X{pair.upper()}" for pair in PAIRS),
}


@pytest.mark.parametrize("kind", HEXADECIMAL)
def test_a_known_value_is_cut_however_its_digits_are_parted(kind: str) -> None:
    text = f"before\n{HEXADECIMAL[kind]}\nafter".encode()
    safe = NAMED.redact(text)
    assert safe.kinds == ("value of DEPLOY_TOKEN",)
    assert DIGITS[:4] not in safe.content.decode().lower().replace(" ", "")
    assert safe.content.startswith(b"before\n")
    assert safe.content.endswith(b"\nafter")
    for size in (1, 7, 64):
        stream = Stream(NAMED)
        pieces = [stream.feed(text[at : at + size]) for at in range(0, len(text), size)]
        assert b"".join((*pieces, stream.end())) == NAMED.redact(text, cut=True).content


@pytest.mark.parametrize("kind", HEXADECIMAL)
def test_parted_digits_that_a_cut_left_half_are_cut(kind: str) -> None:
    whole = HEXADECIMAL[kind]
    safe = NAMED.redact(f"log {whole[: len(whole) * 2 // 3]}".encode(), cut=True)
    assert safe.kinds == ("value of DEPLOY_TOKEN",)
    assert safe.content.startswith(b"log ")


@pytest.mark.parametrize("order", ["utf-16-le", "utf-16-be", "utf-16"])
@pytest.mark.parametrize("kind", CREDENTIALS)
def test_a_credential_is_known_by_its_form_in_utf_16(kind: str, order: str) -> None:
    text = (
        b"plain\n"
        + f"found: '{CREDENTIALS[kind]}' \U0001f511\nlast\n".encode(order)
        + b"\0\0\xff plain"
    )
    safe = Redactor().redact(text)
    assert safe.kinds == (kind,)
    assert letters(20).encode("utf-16-le") not in safe.content
    assert letters(20).encode("utf-16-be") not in safe.content
    assert safe.content.startswith(b"plain\n")
    assert safe.content.endswith(b"\0\0\xff plain")


@pytest.mark.parametrize("order", ["utf-16-le", "utf-16-be"])
@pytest.mark.parametrize(
    "kind", ["GitHub token", "JSON web token", "private key", "netrc password"]
)
def test_a_credential_in_utf_16_in_pieces_is_cut_as_one(kind: str, order: str) -> None:
    whole = b"plain\n" + f"<{CREDENTIALS[kind]}\nthe end\n".encode(order) + b"\nplain"
    for size in (1, 3, 64):
        stream = Stream(Redactor())
        shown = (
            b"".join(stream.feed(whole[at : at + size]) for at in range(0, len(whole), size))
            + stream.end()
        )
        assert shown == Redactor().redact(whole, cut=True).content, size


def test_nothing_else_with_nuls_is_taken_for_one() -> None:
    token = CREDENTIALS["GitHub token"]
    for text in (
        b"\0" + f"x{token}".encode("utf-16-le"),
        b"\0".join(bytes((each,)) * 2 for each in token.encode()),
        "\0".join(token[at : at + 9] for at in range(0, len(token), 9)).encode(),
        bytes(4096),
    ):
        assert Redactor().redact(text).kinds == ()
