"""Judge by its value whether a variable contains a credential: form, entropy, place, address.

Rule: text in, the parts that are credentials out, and never an error. A path or an address names
where something is; it is no credential, but for a password or a random part in it. Does not know
the environment, files, or what a user said.
"""

from __future__ import annotations

import re
import urllib.parse
from collections.abc import Iterator
from itertools import pairwise

_ADDRESS = re.compile(
    r"[A-Za-z][A-Za-z0-9+.-]*://(?:(?P<user>[^/?#]*)@)?(?P<host>[^/?#@]*)(?P<path>[^?#]*)"
    r"(?:\?(?P<query>[^#]*))?(?:#.*)?"
)
_PATH = re.compile(r"(?:~[A-Za-z0-9._-]*|\.{0,2})(?:/[A-Za-z0-9._@+%~-]+)+/?")
# A password may begin with a slash: without a name that says so, a path begins with one of these.
_TOP = re.compile(
    r"(?:~[A-Za-z0-9._-]*|\.\.?|/(?:app|builds|data|etc|github|home|media|mnt|nix|opt|private|root"
    r"|run|secrets|srv|tmp|usr|Users|vault|var|work|workspace|workspaces))/.+"
)
_RELATIVE = re.compile(r"[A-Za-z0-9._@+~-]+(?:/[A-Za-z0-9._@+~-]+)*")
_HOST = re.compile(
    r"(?:[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)*|\[[0-9a-fA-F:]+\])(?::[0-9]{1,5})?(?:/\S*)?"
)
_OF_A_PLACE = frozenset("FILE PATH DIR FOLDER HOME SOCK SOCKET LOCATION".split())
_OF_AN_ADDRESS = frozenset("URL URI HOST ADDR ADDRESS ENDPOINT SERVER ISSUER DOMAIN".split())
_SETTING = re.compile(
    r"(?i)(?:^|[;&?,\s])(?:password|passwd|pwd|secret|token|access_token|sig|signature|accountkey"
    r"|sharedaccesskey|api[_-]?key|auth)=(?P<value>[^;&,\s]+)"
)
_WORD = re.compile(r"[A-Za-z0-9]+")
_FEWEST = 20  # characters of one word that may be random
_PASSWORD = 4  # characters of a password in an address that are worth looking for
# Of neighbours in random letters and digits six in ten are of another class (upper, lower, digit),
# of those in names, versions and digests of one case three in ten or fewer.
_CHANGES = 0.4


def secrets_in(name: str, value: str, named: bool) -> tuple[str, ...]:
    """Return the parts of a variable's value that are credentials; () if it has none.

    `named` says that its name speaks of a credential.

    >>> secrets_in("SESSION_SECRET_FILE", "/run/secrets/session_key", True)
    ()
    >>> secrets_in("DATABASE_URL", "postgres://app:hunter22@db.example/app", False)
    ('hunter22',)
    >>> secrets_in("DEPLOY", "g7Kp2ZqL9xRw4TbN8vYc3M", False)
    ('g7Kp2ZqL9xRw4TbN8vYc3M',)
    """
    address = _ADDRESS.fullmatch(value)
    if address is not None:
        return tuple(dict.fromkeys(_of_address(address)))
    settings = tuple(found["value"] for found in _SETTING.finditer(value))
    if settings:
        return tuple(dict.fromkeys((*settings, *((value,) if named else ()))))
    if _is_place(name, value):
        return (value,) if named and is_random(value) else ()
    return (value,) if named or _is_random_whole(value) else ()


def is_random(text: str) -> bool:
    """Return True if a word in a text looks as a generator would have made it."""
    return any(_random_word(word) for word in _WORD.findall(text))


def _random_word(word: str) -> bool:
    if len(word) < _FEWEST:
        return False
    classes = [0 if each.isdigit() else 1 if each.isupper() else 2 for each in word]
    changes = sum(one != other for one, other in pairwise(classes))
    numbers = re.findall("[0-9]+", word)  # a name ends with one number, if it has any
    return len(set(classes)) == 3 and len(numbers) > 1 and changes >= _CHANGES * (len(word) - 1)


def _is_random_whole(value: str) -> bool:
    """Return True if a value of one piece looks random: no list, command or sentence."""
    return re.search(r"[\s:;,]", value) is None and is_random(value)


def _of_address(found: re.Match[str]) -> Iterator[str]:
    user = found["user"] or ""
    name, colon, password = user.partition(":")
    secret = password if colon else name if is_random(name) else ""
    if len(secret) >= _PASSWORD:
        yield from (secret, urllib.parse.unquote(secret))
    for setting in _SETTING.finditer("?" + (found["query"] or "")):
        yield setting["value"]
    for word in _WORD.findall(f"{found['path'] or ''} {found['query'] or ''}"):
        if _random_word(word):
            yield word


def _is_place(name: str, value: str) -> bool:
    """Return True if a value is a path or an address without a scheme, as far as form shows it."""
    last = name.upper().rpartition("_")[2]
    path = _PATH.fullmatch(value) is not None
    return (
        (path and (last in _OF_A_PLACE or _TOP.fullmatch(value) is not None))
        or (last in _OF_A_PLACE and _RELATIVE.fullmatch(value) is not None)
        or (last in _OF_AN_ADDRESS and _HOST.fullmatch(value) is not None)
    )
