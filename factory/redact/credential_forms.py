"""Define the forms of common credentials as data: literal beginning, expression, harmless examples.

Rule: a form has a beginning that hardly any text contains by chance, so that it can be searched at
memory speed. No expression here reads a byte more often than a few times, whatever the text: what
may be long matches as far as it can and never backtracks, and its match shows how far it went. A
group that never backtracks ends with `|(?!)`: before 3.11.5 Python kept what a last repetition had
read when it failed, unless another alternative was tried (gh-100061). Forms are public facts of
their issuers. A placeholder in a manual (`<token>`, `$TOKEN`, a plain word) is no credential. Does
not know who owns a credential.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

# What people write in place of a credential: a plain word, a name in capitals, dots and
# crosses.
_PLACEHOLDER = re.compile(
    rb"[a-z]{1,15}|[A-Z_]{1,40}|[xX.*]+|(?i:your|my|the|some|example|dummy)[-_A-Za-z]{0,30}"
)


class Pattern:
    """Compile a regular expression at its first use: most are never needed."""

    __slots__ = ("_expression", "_source")

    def __init__(self, source: bytes) -> None:
        self._source = source
        self._expression: re.Pattern[bytes] | None = None

    def match(self, text: bytes, at: int) -> re.Match[bytes] | None:
        """Return the match that begins at `at`, or None."""
        if self._expression is None:
            self._expression = re.compile(self._source)
        return self._expression.match(text, at)


@dataclass(frozen=True, slots=True)
class Form:
    """Define a form: `whole` matches from the `anchor` on, and its group `secret` is the part to
    cut.

    `begun` matches from the anchor on as far as a credential could go; group `begun` matches if
    that is the end of the text, which may then have been cut within one. A match shows how far its
    bytes were read: no other may begin within it (`after`). `within` means that the anchor may be
    inside a longer word; `loose` that placeholders fit the form too; `exact` that it has one
    length, so that one may hide another.
    """

    kind: str
    anchor: bytes
    whole: Pattern
    begun: Pattern
    within: bool = False
    loose: bool = False
    exact: bool = False

    def after(self, at: int, end: int) -> int:
        """Return the earliest position of the next match after scanning `at` to `end`.

        A match that begins within that part would end where it ended. A name at its very end may
        continue after it.
        """
        least = at + len(self.anchor)
        return least if self.exact else max(least, end - len(self.anchor) - _LONGEST_GAP)

    def harmless(self, found: bytes, secret: bytes) -> bool:
        """Return True if a match is an example that its issuer published, or a placeholder."""
        if found.endswith((b"EXAMPLE", b"EXAMPLEKEY")):
            return True
        return self.loose and _PLACEHOLDER.fullmatch(secret) is not None


_CUT = rb"(?P<begun>\Z)?"  # the end of the text
_LONGEST_GAP = 32  # bytes between a name and its value


def _token(kind: str, anchor: bytes, characters: bytes, least: int, exact: bool = False) -> Form:
    """Return a form: an anchor, then at least (or, if `exact`, exactly) so many characters of a
    set.
    """
    head = re.escape(anchor)
    whole = b"(?P<secret>%b[%b]{%d%b}+)" % (head, characters, least, b"" if exact else b",")
    begun = b"%b[%b]{0,%b}+%b" % (head, characters, b"%d" % least if exact else b"", _CUT)
    return Form(kind, anchor, Pattern(whole), Pattern(begun), exact=exact)


def _named(
    kind: str, anchor: bytes, between: bytes, secret: bytes, begun: bytes, within: bool = False
) -> Form:
    """Return a form that only a name identifies: the name, what is between, and the value."""
    head = re.escape(anchor)
    whole = Pattern(b"%b%b(?P<secret>%b)" % (head, between, secret))
    return Form(
        kind, anchor, whole, Pattern(b"%b(?:%b|(?!))?+%b" % (head, begun, _CUT)), within, loose=True
    )


_WORD = rb"A-Za-z0-9"
_URL_SAFE = rb"A-Za-z0-9_\-"
_STANDARD = rb"A-Za-z0-9+/="
_IS = rb"[\"']?+\s{0,8}+[=:]\s{0,8}+[\"']?+"
_MIXED = rb"(?=[A-Za-z._\-]*+[0-9])(?=[a-z0-9._\-]*+[A-Z])(?=[A-Z0-9._\-]*+[a-z])"

_PEM = rb"-----BEGIN (?:[A-Z0-9]++ ){0,3}PRIVATE KEY(?: BLOCK)?-----"
_PEM_END = rb"-----END [A-Z0-9 ]{0,40}+-----"
# A key body may be broken by line ends, or by the two characters that mean one in JSON and
# shells.
_PEM_BREAK = rb"(?:\\r|\\n|\s|(?!)){0,64}+"
_PEM_HEADERS = rb"(?:[A-Z][A-Za-z\-]{2,30}+: [A-Za-z0-9,\-]{1,80}+" + _PEM_BREAK + rb"|(?!)){0,4}+"
# All that may be in a body, up to its end or to what may not.
_PEM_REST = rb"(?:[A-Za-z0-9+/=:, \s]++|\\[rn]|(?!" + _PEM_END + rb")-|(?!))*+"
_PEM_BODY = _PEM_BREAK + _PEM_HEADERS + rb"[A-Za-z0-9+/=]{24}" + _PEM_REST

# Issuer, literal beginning, characters that follow, and how many at least.
_TOKENS: tuple[tuple[str, bytes, bytes, int], ...] = (
    *(("GitHub token", b"gh%b_" % letter, _WORD, 36) for letter in (b"p", b"o", b"u", b"s", b"r")),
    ("GitHub token", b"github_pat_", rb"A-Za-z0-9_", 22),
    *(
        ("GitLab token", b"gl%b-" % kind, _URL_SAFE, 20)
        for kind in (b"pat", b"dt", b"rt", b"ptt", b"soat", b"cbt")
    ),
    *(
        ("Slack token", b"xox%b-" % letter, rb"A-Za-z0-9\-", 10)
        for letter in (b"a", b"b", b"e", b"p", b"r", b"s")
    ),
    ("Slack token", b"xapp-", rb"A-Za-z0-9\-", 24),
    ("Slack webhook", b"https://hooks.slack.com/services/", rb"A-Za-z0-9/", 24),
    ("Google access token", b"ya29.", _URL_SAFE, 20),
    ("Google refresh token", b"1//0", _URL_SAFE, 40),
    *(
        ("Stripe key", begin, _WORD, 16)
        for begin in (b"sk_live_", b"rk_live_", b"sk_test_", b"rk_test_", b"whsec_")
    ),
    ("npm token", b"npm_", _WORD, 36),
    ("PyPI token", b"pypi-AgEI", _URL_SAFE, 50),
    *(
        ("OpenAI key", begin, _URL_SAFE, 32)
        for begin in (b"sk-proj-", b"sk-svcacct-", b"sk-admin-")
    ),
    ("Anthropic key", b"sk-ant-", _URL_SAFE, 32),
    ("Docker token", b"dckr_pat_", _URL_SAFE, 24),
    ("Docker token", b"dckr_oat_", _URL_SAFE, 24),
    ("Hugging Face token", b"hf_", _WORD, 34),
    ("Vault token", b"hvs.", _URL_SAFE, 24),
    ("Vault token", b"hvb.", _URL_SAFE, 24),
    ("Shopify token", b"shpat_", rb"a-fA-F0-9", 32),
    ("Grafana token", b"glsa_", rb"A-Za-z0-9_", 32),
    ("Grafana token", b"glc_", rb"A-Za-z0-9+/=", 32),
    ("Atlassian token", b"ATATT3", _URL_SAFE + b"=", 64),
    ("Sentry token", b"sntrys_", rb"A-Za-z0-9_+/=", 40),
    ("age key", b"AGE-SECRET-KEY-1", rb"A-Z0-9", 50),
    ("Azure key", b"AccountKey=", _STANDARD, 80),
    ("Azure key", b"SharedAccessKey=", _STANDARD, 40),
)

# The same, for those that have one length.
_EXACT: tuple[tuple[str, bytes, bytes, int], ...] = (
    ("AWS access key", b"AKIA", rb"A-Z0-9", 16),
    ("AWS access key", b"ASIA", rb"A-Z0-9", 16),
    ("Google API key", b"AIza", _URL_SAFE, 35),
    ("Google client secret", b"GOCSPX-", _URL_SAFE, 28),
    ("RubyGems key", b"rubygems_", rb"a-f0-9", 48),
    ("DigitalOcean token", b"dop_v1_", rb"a-f0-9", 64),
    ("Databricks token", b"dapi", rb"a-f0-9", 32),
)

_GAP = rb"[\"'\s=:]{1,20}+"
_NAMED: tuple[Form, ...] = (
    *(
        _named(
            "AWS secret key",
            name,
            _IS,
            rb"[A-Za-z0-9/+]{40}(?![A-Za-z0-9/+])",
            _GAP + rb"[A-Za-z0-9/+]{0,40}+",
        )
        for name in (
            b"aws_secret_access_key",
            b"AWS_SECRET_ACCESS_KEY",
            b"SecretAccessKey",
            b"secretAccessKey",
        )
    ),
    *(
        _named(
            "AWS session token", name, _IS, rb"[A-Za-z0-9/+=]{100,}+", _GAP + rb"[A-Za-z0-9/+=]*+"
        )
        for name in (b"aws_session_token", b"AWS_SESSION_TOKEN", b"SessionToken")
    ),
    _named(
        "Azure signature",
        b"sig=",
        b"",
        rb"[A-Za-z0-9%+/]{40,64}(?:%3[Dd]|=)",
        rb"[A-Za-z0-9%+/]{1,67}+",
    ),
    _named(
        "npm token",
        b"_authToken",
        _IS,
        rb"[A-Za-z0-9_\-./+=]{16,}+",
        _GAP + rb"[A-Za-z0-9_\-./+=]*+",
    ),
    _named("npm token", b"_auth", _IS, rb"[A-Za-z0-9+/]{12,}+={0,2}+", _GAP + rb"[A-Za-z0-9+/=]*+"),
    _named(
        "Docker login",
        b'"auth"',
        _IS,
        rb"(?=[A-Za-z+/]*+[0-9=])[A-Za-z0-9+/]{12,}+={0,2}+",
        _GAP + rb"[A-Za-z0-9+/=]*+",
    ),
    _named(
        "Docker login",
        b'"identitytoken"',
        _IS,
        rb"[A-Za-z0-9+/=._\-]{16,}+",
        _GAP + rb"[A-Za-z0-9+/=._\-]*+",
    ),
    _named(
        "Kubernetes key",
        b"client-key-data",
        _IS,
        rb"[A-Za-z0-9+/]{40,}+={0,2}+",
        _GAP + rb"[A-Za-z0-9+/=]*+",
    ),
    _named(
        "token", b"token", _IS, _MIXED + rb"[A-Za-z0-9._\-]{32,}+", _GAP + rb"[A-Za-z0-9._\-]*+"
    ),
    _named(
        "netrc password",
        b"machine ",
        rb"\s{0,8}+\S{1,256}+\s{1,8}+login\s{1,8}+\S{1,256}+\s{1,8}+password\s{1,8}+",
        rb"(?!\[redacted: )[^\s'\"]{4,}+",
        rb"\s{0,8}+\S{1,256}+(?:\s{1,8}+(?:login(?:\s{1,8}+\S{0,256}+(?:\s{1,8}+(?:p\w{0,7}+"
        rb"(?:\s{1,8}+\S*+|(?!))?+|(?!))?+|(?!))?+|(?!))?+|logi|log|lo|l|(?!))?+|(?!))?+",
    ),
    _named(
        "Authorization header",
        b"uthorization",
        _IS + rb"(?i:bearer|basic|token)\s{1,4}+",
        rb"[A-Za-z0-9._~+/\-]{8,}+={0,2}+",
        _GAP + rb"(?:[A-Za-z]{0,6}+(?:\s{1,4}+[A-Za-z0-9._~+/=\-]*+|(?!))?+|(?!))?+",
        within=True,
    ),
    # The password of a URL. What may not be in one unencoded, or names a variable, ends the
    # search.
    Form(
        "password of a URL",
        b"://",
        Pattern(
            rb"://[A-Za-z0-9._~%!&'()*+,;=\-]{0,128}+:"
            rb"(?P<secret>[A-Za-z0-9._~%!&'()+,;=\-]{6,512}+)@[A-Za-z0-9\[]"
        ),
        Pattern(
            rb"://[A-Za-z0-9._~%!&'()*+,;=\-]{0,128}+"
            rb"(?::[A-Za-z0-9._~%!&'()+,;=\-]{0,512}+@?+|(?!))?+(?P<begun>\Z)?"
        ),
        within=True,
        loose=True,
    ),
)

FORMS: tuple[Form, ...] = (
    *(_token(*row) for row in _TOKENS),
    *(_token(*row, exact=True) for row in _EXACT),
    *_NAMED,
    Form(
        "OpenAI key",
        b"sk-",
        Pattern(rb"(?P<secret>sk-[A-Za-z0-9]{16,32}T3BlbkFJ[A-Za-z0-9]{16,32}+)"),
        Pattern(rb"sk-[A-Za-z0-9]{0,80}+(?P<begun>\Z)?"),
    ),
    Form(
        "SendGrid key",
        b"SG.",
        Pattern(rb"(?P<secret>SG\.[A-Za-z0-9_\-]{16,64}+\.[A-Za-z0-9_\-]{16,128}+)"),
        Pattern(rb"SG\.[A-Za-z0-9_\-]{0,64}+(?:\.[A-Za-z0-9_\-]{0,128}+|(?!))?+(?P<begun>\Z)?"),
        exact=True,
    ),
    # Each of its parts may be the first of another one: only the first is passed over.
    Form(
        "JSON web token",
        b"eyJ",
        Pattern(
            rb"(?:(?=(?P<secret>eyJ[A-Za-z0-9_\-]{8,}+"
            rb"\.eyJ[A-Za-z0-9_\-]{8,}+\.[A-Za-z0-9_\-]{16,}+))|)"
            rb"eyJ[A-Za-z0-9_\-]*+"
        ),
        Pattern(
            rb"(?:(?=eyJ[A-Za-z0-9_\-]*+(?:\.[A-Za-z0-9_\-]*+|(?!)){0,2}+(?P<begun>\Z))|)"
            rb"eyJ[A-Za-z0-9_\-]*+"
        ),
    ),
    Form(
        "private key",
        b"-----BEGIN ",
        Pattern(rb"(?P<secret>" + _PEM + _PEM_BODY + rb"(?:" + _PEM_END + rb"|(?!))?+)"),
        Pattern(rb"(?:" + _PEM + _PEM_REST + rb"\\?+|-----BEGIN [A-Z0-9 ]{0,60}+-{0,5}+)" + _CUT),
    ),
    *(
        Form(
            "private key",
            begin,
            Pattern(
                re.escape(begin)
                + rest
                + rb"\s{1,4}+(?P<secret>[A-Za-z0-9+/=]{24}[A-Za-z0-9+/=\s]*+)"
            ),
            Pattern(re.escape(begin) + rb"[A-Za-z0-9+/=:,.@\-\"\s]*+" + _CUT),
        )
        for begin, rest in (
            (
                b"---- BEGIN SSH2 ENCRYPTED PRIVATE KEY ----",
                rb"(?:\s{1,4}+[A-Za-z\-]{1,20}+: [^\n]{0,200}+(?=\n)|(?!)){0,4}+",
            ),
            (b"Private-Lines: ", rb"[0-9]{0,4}+"),
        )
    ),
)
