"""The forms of common credentials, as data: a literal beginning, the rest, and what is known to be harmless.

Rule: a form has a beginning that stands by chance in hardly any text, so that it can be searched
at memory speed. Forms are public facts of their issuers. What stands for a credential in a manual
(`<token>`, `$TOKEN`, a plain word) is none. Does not know who holds a credential.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

# What people write where a credential would stand: a plain word, a name in capitals, dots and crosses.
_PLACEHOLDER = re.compile(rb"[a-z]{1,15}|[A-Z_]{1,40}|[xX.*]+|(?i:your|my|the|some|example|dummy)[-_A-Za-z]{0,30}")


class Pattern:
    """A regular expression that costs nothing before its first use: most are never needed."""

    __slots__ = ("_expression", "_source")

    def __init__(self, source: bytes) -> None:
        self._source = source
        self._expression: re.Pattern[bytes] | None = None

    def match(self, text: bytes, at: int) -> re.Match[bytes] | None:
        """The match that begins at `at`."""
        return self._ready().match(text, at)

    def ends(self, text: bytes, at: int) -> bool:
        """Whether all of the text from `at` on matches."""
        return self._ready().fullmatch(text, at) is not None

    def _ready(self) -> re.Pattern[bytes]:
        if self._expression is None:
            self._expression = re.compile(self._source)
        return self._expression


@dataclass(frozen=True, slots=True)
class Form:
    """`whole` matches a credential from its `anchor` on, with the part to cut as group `secret`.

    `begun` matches what a text can end with when it was cut within such a credential. `within` says that the
    anchor may stand within a longer word; `loose` that words which only stand for a credential fit the form too.
    """

    kind: str
    anchor: bytes
    whole: Pattern
    begun: Pattern
    within: bool = False
    loose: bool = False

    def harmless(self, found: bytes, secret: bytes) -> bool:
        """Whether a match is an example that its issuer published, or stands for a credential and is none."""
        if found.endswith((b"EXAMPLE", b"EXAMPLEKEY")):
            return True
        return self.loose and _PLACEHOLDER.fullmatch(secret) is not None


def _token(kind: str, anchor: bytes, characters: bytes, least: int, most: int = 512) -> Form:
    """An anchor that is followed by so many characters of a set."""
    head = re.escape(anchor)
    whole = b"(?P<secret>%b[%b]{%d,%d})" % (head, characters, least, most)
    return Form(kind, anchor, Pattern(whole), Pattern(b"%b[%b]{0,%d}" % (head, characters, most)))


def _named(kind: str, anchor: bytes, between: bytes, secret: bytes, begun: bytes, within: bool = False) -> Form:
    """A credential that only its name gives away: the name, what stands between, and the value."""
    head = re.escape(anchor)
    whole = Pattern(b"%b%b(?P<secret>%b)" % (head, between, secret))
    return Form(kind, anchor, whole, Pattern(b"%b(?:%b)?" % (head, begun)), within, loose=True)


_WORD = rb"A-Za-z0-9"
_URL_SAFE = rb"A-Za-z0-9_\-"
_STANDARD = rb"A-Za-z0-9+/="
_IS = rb"[\"']?\s{0,8}[=:]\s{0,8}[\"']?"
_MIXED = rb"(?=[A-Za-z._\-]*[0-9])(?=[a-z0-9._\-]*[A-Z])(?=[A-Z0-9._\-]*[a-z])"

_PEM = rb"-----BEGIN (?:[A-Z0-9]+ ){0,3}PRIVATE KEY(?: BLOCK)?-----"
# A key body may be broken by line ends, or by the two characters that stand for one in JSON and shells.
_PEM_BREAK = rb"(?:\\r|\\n|\s){0,64}"
_PEM_HEADERS = rb"(?:[A-Z][A-Za-z\-]{2,30}: [A-Za-z0-9,\-]{1,80}" + _PEM_BREAK + rb"){0,4}"
_PEM_BODY = _PEM_BREAK + _PEM_HEADERS + rb"[A-Za-z0-9+/=]{24}(?:[A-Za-z0-9+/=:,\- ]|\\r|\\n|\s){0,65536}?"

# Issuer, literal beginning, characters that follow, and how many: at least, at most.
_TOKENS: tuple[tuple[str, bytes, bytes, int, int], ...] = (
    ("AWS access key", b"AKIA", rb"A-Z0-9", 16, 16),
    ("AWS access key", b"ASIA", rb"A-Z0-9", 16, 16),
    *(("GitHub token", b"gh%b_" % letter, _WORD, 36, 512) for letter in (b"p", b"o", b"u", b"s", b"r")),
    ("GitHub token", b"github_pat_", rb"A-Za-z0-9_", 22, 512),
    *(
        ("GitLab token", b"gl%b-" % kind, _URL_SAFE, 20, 512)
        for kind in (b"pat", b"dt", b"rt", b"ptt", b"soat", b"cbt")
    ),
    *(("Slack token", b"xox%b-" % letter, rb"A-Za-z0-9\-", 10, 512) for letter in (b"a", b"b", b"e", b"p", b"r", b"s")),
    ("Slack token", b"xapp-", rb"A-Za-z0-9\-", 24, 512),
    ("Slack webhook", b"https://hooks.slack.com/services/", rb"A-Za-z0-9/", 24, 512),
    ("Google API key", b"AIza", _URL_SAFE, 35, 35),
    ("Google access token", b"ya29.", _URL_SAFE, 20, 2048),
    ("Google refresh token", b"1//0", _URL_SAFE, 40, 512),
    ("Google client secret", b"GOCSPX-", _URL_SAFE, 28, 28),
    *(
        ("Stripe key", begin, _WORD, 16, 512)
        for begin in (b"sk_live_", b"rk_live_", b"sk_test_", b"rk_test_", b"whsec_")
    ),
    ("npm token", b"npm_", _WORD, 36, 512),
    ("PyPI token", b"pypi-AgEI", _URL_SAFE, 50, 1024),
    ("RubyGems key", b"rubygems_", rb"a-f0-9", 48, 48),
    *(("OpenAI key", begin, _URL_SAFE, 32, 512) for begin in (b"sk-proj-", b"sk-svcacct-", b"sk-admin-")),
    ("Anthropic key", b"sk-ant-", _URL_SAFE, 32, 512),
    ("Docker token", b"dckr_pat_", _URL_SAFE, 24, 512),
    ("Docker token", b"dckr_oat_", _URL_SAFE, 24, 512),
    ("DigitalOcean token", b"dop_v1_", rb"a-f0-9", 64, 64),
    ("Hugging Face token", b"hf_", _WORD, 34, 512),
    ("Vault token", b"hvs.", _URL_SAFE, 24, 512),
    ("Vault token", b"hvb.", _URL_SAFE, 24, 512),
    ("Shopify token", b"shpat_", rb"a-fA-F0-9", 32, 512),
    ("Databricks token", b"dapi", rb"a-f0-9", 32, 32),
    ("Grafana token", b"glsa_", rb"A-Za-z0-9_", 32, 512),
    ("Grafana token", b"glc_", rb"A-Za-z0-9+/=", 32, 512),
    ("Atlassian token", b"ATATT3", _URL_SAFE + b"=", 64, 512),
    ("Sentry token", b"sntrys_", rb"A-Za-z0-9_+/=", 40, 1024),
    ("age key", b"AGE-SECRET-KEY-1", rb"A-Z0-9", 50, 512),
    ("Azure key", b"AccountKey=", _STANDARD, 80, 512),
    ("Azure key", b"SharedAccessKey=", _STANDARD, 40, 512),
)

_GAP = rb"[\"'\s=:]{1,20}"
_NAMED: tuple[Form, ...] = (
    *(
        _named("AWS secret key", name, _IS, rb"[A-Za-z0-9/+]{40}(?![A-Za-z0-9/+])", _GAP + rb"[A-Za-z0-9/+]{0,40}")
        for name in (b"aws_secret_access_key", b"AWS_SECRET_ACCESS_KEY", b"SecretAccessKey", b"secretAccessKey")
    ),
    *(
        _named("AWS session token", name, _IS, rb"[A-Za-z0-9/+=]{100,4096}", _GAP + rb"[A-Za-z0-9/+=]{0,4096}")
        for name in (b"aws_session_token", b"AWS_SESSION_TOKEN", b"SessionToken")
    ),
    _named("Azure signature", b"sig=", b"", rb"[A-Za-z0-9%+/]{40,64}(?:%3[Dd]|=)", rb"[A-Za-z0-9%+/]{1,67}"),
    _named("npm token", b"_authToken", _IS, rb"[A-Za-z0-9_\-./+=]{16,512}", _GAP + rb"[A-Za-z0-9_\-./+=]{0,512}"),
    _named("npm token", b"_auth", _IS, rb"[A-Za-z0-9+/]{12,512}={0,2}", _GAP + rb"[A-Za-z0-9+/=]{0,512}"),
    _named(
        "Docker login",
        b'"auth"',
        _IS,
        rb"(?=[A-Za-z+/]{0,512}[0-9=])[A-Za-z0-9+/]{12,512}={0,2}",
        _GAP + rb"[A-Za-z0-9+/=]{0,512}",
    ),
    _named(
        "Docker login", b'"identitytoken"', _IS, rb"[A-Za-z0-9+/=._\-]{16,4096}", _GAP + rb"[A-Za-z0-9+/=._\-]{0,4096}"
    ),
    _named(
        "Kubernetes key", b"client-key-data", _IS, rb"[A-Za-z0-9+/]{40,16384}={0,2}", _GAP + rb"[A-Za-z0-9+/=]{0,16384}"
    ),
    _named("token", b"token", _IS, _MIXED + rb"[A-Za-z0-9._\-]{32,4096}", _GAP + rb"[A-Za-z0-9._\-]{0,4096}"),
    _named(
        "netrc password",
        b"machine ",
        rb"\s{0,8}\S{1,256}\s{1,8}login\s{1,8}\S{1,256}\s{1,8}password\s{1,8}",
        rb"(?!\[redacted: )[^\s'\"]{4,512}",
        rb"\s{0,8}\S{1,256}(?:\s{1,8}(?:l|lo|log|logi|login(?:\s{1,8}\S{0,256}(?:\s{1,8}(?:p\w{0,7}(?:\s{1,8}\S{0,512})?)?)?)?)?)?",
    ),
    _named(
        "Authorization header",
        b"uthorization",
        _IS + rb"(?i:bearer|basic|token)\s{1,4}",
        rb"[A-Za-z0-9._~+/\-]{8,8192}={0,2}",
        _GAP + rb"(?:[A-Za-z]{0,6}(?:\s{1,4}[A-Za-z0-9._~+/=\-]{0,8194})?)?",
        within=True,
    ),
    # The password of a URL. What may not stand in one unencoded, or names a variable, ends the search.
    Form(
        "password of a URL",
        b"://",
        Pattern(rb"://[A-Za-z0-9._~%!&'()*+,;=\-]{0,128}:(?P<secret>[A-Za-z0-9._~%!&'()+,;=\-]{6,512})@[A-Za-z0-9\[]"),
        Pattern(rb"://[A-Za-z0-9._~%!&'()*+,;=\-]{0,128}(?::[A-Za-z0-9._~%!&'()+,;=\-]{0,512}@?)?"),
        within=True,
        loose=True,
    ),
)

FORMS: tuple[Form, ...] = (
    *(_token(*row) for row in _TOKENS),
    *_NAMED,
    Form(
        "OpenAI key",
        b"sk-",
        Pattern(rb"(?P<secret>sk-[A-Za-z0-9]{16,32}T3BlbkFJ[A-Za-z0-9]{16,32})"),
        Pattern(rb"sk-[A-Za-z0-9]{0,80}"),
    ),
    Form(
        "SendGrid key",
        b"SG.",
        Pattern(rb"(?P<secret>SG\.[A-Za-z0-9_\-]{16,64}\.[A-Za-z0-9_\-]{16,128})"),
        Pattern(rb"SG\.[A-Za-z0-9_\-]{0,64}(?:\.[A-Za-z0-9_\-]{0,128})?"),
    ),
    Form(
        "JSON web token",
        b"eyJ",
        Pattern(rb"(?P<secret>eyJ[A-Za-z0-9_\-]{8,4096}\.eyJ[A-Za-z0-9_\-]{8,8192}\.[A-Za-z0-9_\-]{16,2048})"),
        Pattern(rb"eyJ[A-Za-z0-9_\-]{0,4096}(?:\.[A-Za-z0-9_\-]{0,8192}){0,2}"),
    ),
    Form(
        "private key",
        b"-----BEGIN ",
        Pattern(
            rb"(?P<secret>" + _PEM + _PEM_BODY + rb"(?:-----END [A-Z0-9 ]{0,40}-----|\Z|(?=[^A-Za-z0-9+/=:,\-\s\\])))"
        ),
        Pattern(rb"-----BEGIN [A-Z0-9 ]{0,60}-{0,5}|" + _PEM + rb"(?:[A-Za-z0-9+/=:,\- ]|\\r?n?|\s){0,65536}"),
    ),
    *(
        Form(
            "private key",
            begin,
            Pattern(re.escape(begin) + rest + rb"\s{1,4}(?P<secret>[A-Za-z0-9+/=]{24}[A-Za-z0-9+/=\s]{0,65536})"),
            Pattern(re.escape(begin) + rb"[A-Za-z0-9+/=:,.@\-\"\s]{0,66536}"),
        )
        for begin, rest in (
            (b"---- BEGIN SSH2 ENCRYPTED PRIVATE KEY ----", rb"(?:\s{1,4}[A-Za-z\-]{1,20}: [^\n]{0,200}){0,4}"),
            (b"Private-Lines: ", rb"[0-9]{0,4}"),
        )
    ),
)
