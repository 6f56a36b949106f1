"""The forms of common credentials, as data: a literal beginning, the rest, and what is known to be harmless.

Rule: a form has a beginning that stands by chance in hardly any text, so that it can be searched
at memory speed. Forms are public facts of their issuers. Does not know who holds a credential.
"""

from __future__ import annotations

import re
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Form:
    """`whole` matches a credential from its `anchor` on, with the part to cut as group `secret`.

    `begun` matches what a text can end with when it was cut within such a credential.
    """

    kind: str
    anchor: bytes
    whole: re.Pattern[bytes]
    begun: re.Pattern[bytes]

    def harmless(self, found: bytes) -> bool:
        """Whether a match is an example that its issuer published."""
        return found.endswith((b"EXAMPLE", b"EXAMPLEKEY"))


def _token(kind: str, anchor: bytes, characters: bytes, least: int, most: int = 512) -> Form:
    """An anchor that is followed by so many characters of a set."""
    head = re.escape(anchor)
    whole = b"(?P<secret>%b[%b]{%d,%d})" % (head, characters, least, most)
    return Form(kind, anchor, re.compile(whole), re.compile(b"%b[%b]{0,%d}" % (head, characters, most)))


_WORD = rb"A-Za-z0-9"
_URL_SAFE = rb"A-Za-z0-9_\-"
_STANDARD = rb"A-Za-z0-9+/="

_PEM = rb"-----BEGIN (?:[A-Z0-9]+ ){0,3}PRIVATE KEY(?: BLOCK)?-----"
# A key body may be broken by line ends, or by the two characters that stand for one in JSON and shells.
_PEM_BREAK = rb"(?:\\r|\\n|\s){0,64}"
_PEM_HEADERS = rb"(?:[A-Z][A-Za-z\-]{2,30}: [A-Za-z0-9,\-]{1,80}" + _PEM_BREAK + rb"){0,4}"
_PEM_BODY = _PEM_BREAK + _PEM_HEADERS + rb"[A-Za-z0-9+/=]{24}(?:[A-Za-z0-9+/=:,\- ]|\\r|\\n|\s){0,65536}?"

FORMS: tuple[Form, ...] = (
    _token("AWS access key", b"AKIA", rb"A-Z0-9", 16, 16),
    _token("AWS access key", b"ASIA", rb"A-Z0-9", 16, 16),
    Form(
        "AWS secret key",
        b"aws_secret_access_key",
        re.compile(
            rb"aws_secret_access_key[\"']?\s{0,8}[=:]\s{0,8}[\"']?(?P<secret>[A-Za-z0-9/+]{40})(?![A-Za-z0-9/+])"
        ),
        re.compile(rb"aws_secret_access_key[\"']?\s{0,8}(?:[=:]\s{0,8}[\"']?[A-Za-z0-9/+]{0,40})?"),
    ),
    *(_token("GitHub token", b"gh%b_" % letter, _WORD, 36) for letter in (b"p", b"o", b"u", b"s", b"r")),
    _token("GitHub token", b"github_pat_", rb"A-Za-z0-9_", 22),
    _token("GitLab token", b"glpat-", _URL_SAFE, 20),
    *(
        _token("Slack token", b"xox%b-" % letter, rb"A-Za-z0-9\-", 10)
        for letter in (b"a", b"b", b"e", b"p", b"r", b"s")
    ),
    _token("Slack webhook", b"https://hooks.slack.com/services/", rb"A-Za-z0-9/", 24),
    _token("Google API key", b"AIza", _URL_SAFE, 35, 35),
    _token("Google access token", b"ya29.", _URL_SAFE, 20, 2048),
    _token("Stripe key", b"sk_live_", _WORD, 16),
    _token("Stripe key", b"rk_live_", _WORD, 16),
    _token("npm token", b"npm_", _WORD, 36),
    _token("PyPI token", b"pypi-AgEI", _URL_SAFE, 50, 1024),
    _token("OpenAI key", b"sk-proj-", _URL_SAFE, 32),
    _token("Anthropic key", b"sk-ant-", _URL_SAFE, 32),
    _token("Docker token", b"dckr_pat_", _URL_SAFE, 24),
    _token("DigitalOcean token", b"dop_v1_", rb"a-f0-9", 64, 64),
    _token("Hugging Face token", b"hf_", _WORD, 34),
    _token("Vault token", b"hvs.", _URL_SAFE, 24),
    _token("Shopify token", b"shpat_", rb"a-fA-F0-9", 32),
    _token("age key", b"AGE-SECRET-KEY-1", rb"A-Z0-9", 50),
    _token("Azure account key", b"AccountKey=", _STANDARD, 80),
    Form(
        "SendGrid key",
        b"SG.",
        re.compile(rb"(?P<secret>SG\.[A-Za-z0-9_\-]{16,64}\.[A-Za-z0-9_\-]{16,128})"),
        re.compile(rb"SG\.[A-Za-z0-9_\-]{0,64}(?:\.[A-Za-z0-9_\-]{0,128})?"),
    ),
    Form(
        "JSON web token",
        b"eyJ",
        re.compile(rb"(?P<secret>eyJ[A-Za-z0-9_\-]{8,4096}\.eyJ[A-Za-z0-9_\-]{8,8192}\.[A-Za-z0-9_\-]{16,2048})"),
        re.compile(rb"eyJ[A-Za-z0-9_\-]{0,4096}(?:\.[A-Za-z0-9_\-]{0,8192}){0,2}"),
    ),
    Form(
        "private key",
        b"-----BEGIN ",
        re.compile(
            rb"(?P<secret>" + _PEM + _PEM_BODY + rb"(?:-----END [A-Z0-9 ]{0,40}-----|\Z|(?=[^A-Za-z0-9+/=:,\-\s\\])))"
        ),
        re.compile(rb"-----BEGIN [A-Z0-9 ]{0,60}-{0,5}|" + _PEM + rb"(?:[A-Za-z0-9+/=:,\- ]|\\r?n?|\s){0,65536}"),
    ),
)
