r"""Define the written forms inside contracts: sizes, durations, hosts, variables, tools, folders.

Each form is a regular expression that means the same in Python and in JSON Schema (no `\d`, no
anchors: whoever uses it anchors it), and a function that returns a value or describes the problem
in one clause. Knows no document and no syntax.
"""

from __future__ import annotations

import re

SIZE = r"[0-9]{1,15} ?(?:[KMGTkmgt](?:[Ii]?[Bb])?|[Bb])?"
DURATION = r"(?=[0-9])(?:[0-9]{1,6}h)?(?:[0-9]{1,8}m(?:in)?)?(?:[0-9]{1,9}s)?"
_ADDRESS = r"(?:[^:]*\.)?(?:[0-9]+|0[xX][0-9A-Fa-f]*)(?::|$)"  # its last label is a number
HOST = (
    rf"(?=[^:]{{1,253}}(?::|$))(?!{_ADDRESS})(?:\*\.(?=[^:.]+\.))?"
    r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
    r"(?:\.[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?)*"
    r"(?::[1-9][0-9]{0,4})?"
)
ENV_NAME = r"[A-Za-z_][A-Za-z0-9_]{0,127}"
TOOL = r"[A-Za-z0-9_][A-Za-z0-9._+-]{0,127}"
PLUGIN = r"[A-Za-z_][A-Za-z0-9_]*(?:\.[A-Za-z_][A-Za-z0-9_]*)*:[A-Za-z_][A-Za-z0-9_]*"
REF = r"(?!.*\.\.)[A-Za-z0-9_@.][A-Za-z0-9_@.^~{}/+-]{0,254}"
# Where a checkpoint is kept: a ref that nobody else uses (a repository may name it, and Git reads
# refs/replace/, refs/bisect/ and others), or a file.
CHECKPOINT_PLACE = (
    r"ref:refs/factory/(?!.*\.\.)[A-Za-z0-9][A-Za-z0-9_+-]*(?:[./][A-Za-z0-9_+-]+)*"
    r"|file:/[^\x00-\x1f]+"
)
FULL_REF = (
    r"refs/(?!.*\.\.)(?!.*//)[A-Za-z0-9_@.+/-]{0,249}[A-Za-z0-9_@+-]|[0-9a-f]{40}|[0-9a-f]{64}"
)
_SEGMENT = r"(?!\.{1,2}(?:/|$))[^/\\*?:\x00-\x1f\x7f]+"
PLAIN_FOLDER = rf"(?!\.(?:git|factory)(?:/|$)){_SEGMENT}(?:/{_SEGMENT})*"
PROGRAM = rf"(?:{TOOL})?|/[^\x00-\x1f\x7f]+|[A-Za-z]:[\\/][^\x00-\x1f\x7f]+"
FOLDER = r"(?!/)(?!(?:.*/)?\.\.(?:/|$))[^\\\r\n]*"

_NO_SPACE = r"[^<>\x00-\x20\x7f]"
AUTHOR = rf"{_NO_SPACE}(?:[^<>\x00-\x1f\x7f]*{_NO_SPACE})? <{_NO_SPACE}+@{_NO_SPACE}+>"
"""A name and an address, as Git writes them."""

LONGEST = 30 * 24 * 3600
"""The longest time limit in seconds: 30 days."""

LEAST_DISK = 1 << 20
"""The smallest limit of disk in bytes: below some pages the stage's own files do not fit, and no
command starts.
"""

_POWERS = {"": 0, "k": 1, "m": 2, "g": 3, "t": 4}
_SIZE_PARTS = re.compile(r"(?P<digits>[0-9]+) ?(?P<letter>[kmgt]?)(?P<binary>i?)(?P<byte>b?)")
_DURATION_PARTS = re.compile(
    r"(?:(?P<hours>[0-9]+)h)?(?:(?P<minutes>[0-9]+)m(?:in)?)?(?:(?P<seconds>[0-9]+)s)?"
)
_CREDENTIAL_WORDS = frozenset(
    "TOKEN SECRET SECRETS PASSWORD PASSWD PASSPHRASE PASS PWD CREDENTIAL CREDENTIALS APIKEY KEY"
    " KEYS AUTH COOKIE SESSION PRIVATE AWS AZURE GCP GOOGLE KUBECONFIG DOCKER"
    " SSH GPG DBUS PAT".split()
)

# A variable with one of these words contains the credential itself, not a region, an address or a
# name.
_VALUE_WORDS = frozenset(
    "TOKEN SECRET SECRETS PASSWORD PASSWD PASSPHRASE CREDENTIAL CREDENTIALS APIKEY KEY KEYS"
    " COOKIE PAT".split()
)


def size_of(text: str) -> int | None:
    """Return bytes: `65536`, `512MiB`, `2G` and `2GiB` (binary), `2GB` (decimal). None for no
    size.
    """
    parts = _SIZE_PARTS.fullmatch(text.lower()) if re.fullmatch(SIZE, text) else None
    if parts is None:
        return None
    base = 1000 if parts["byte"] and parts["letter"] and not parts["binary"] else 1024
    size: int = int(parts["digits"]) * base ** _POWERS[parts["letter"]]
    return size


def duration_of(text: str) -> int | None:
    """Return seconds: `90s`, `10m`, `2h`, `1h30m`. None for no duration."""
    parts = _DURATION_PARTS.fullmatch(text)
    if parts is None or not re.fullmatch(DURATION, text):
        return None
    hours, minutes, seconds = (int(parts[name] or 0) for name in ("hours", "minutes", "seconds"))
    return hours * 3600 + minutes * 60 + seconds


def branch_of(text: str, run: str) -> str:
    """Return the name of the branch of a run; `text` is a name that takes up {run}, or a prefix."""
    return text.replace("{run}", run) if "{run}" in text else f"{text.rstrip('/')}/{run}"


def problem_with_branch(text: str) -> str:
    """Return "" for a name, or a prefix, of result branches that Git takes; otherwise one clause
    with a hint.
    """
    name = branch_of(text, "run")
    if "{" in name or "}" in name:
        return "has braces around another word than run; write {run}, or none"
    parts = name.split("/")
    if _NO_REF.search(name) or any(p.startswith((".", "-")) or p.endswith(".lock") for p in parts):
        return "is no name that Git gives to a branch; write letters, digits, -, _ and /"
    if not all(parts) or name.endswith(".") or parts[0] == "refs" or name == "HEAD":
        return "is no name that Git gives to a branch; write one as in review/{run}"
    if len(name.encode("utf-8")) > 180:
        return "is longer than 180 bytes; write a shorter one"
    return ""


_NO_REF = re.compile(r"[\x00-\x20\x7f~^:?*\[\\]|\.\.|@\{|^@$|[\ud800-\udfff]")


def problem_with_host(text: str) -> str:
    """Return "" for a host name with an optional port (`*.` first: all hosts below it), otherwise
    one clause with a hint.
    """
    if "://" in text or "/" in text:
        return "is an address with a scheme or path; write only the host, as in example.org"
    if re.match(_ADDRESS, text) or text.count(":") > 1:
        return "is a numeric address; write the name of the host, as in example.org"
    if re.fullmatch(r"\*\.[^.:]+(?::[0-9]+)?", text):
        return "is all of a top-level domain; write one label more, as in *.example.org"
    if not re.fullmatch(HOST, text):
        return "is not a host name; write one as in example.org or example.org:8443"
    port = text.rpartition(":")[2] if ":" in text else "1"
    return "" if int(port) <= 65535 else "names a port over 65535; write a real port"


def problem_with_folder(text: str) -> str:
    """Return "" for a folder below the workspace root, otherwise one clause with what to write."""
    if "\\" in text or re.match(r"[A-Za-z]:", text):
        return "is not a POSIX path; write it with /, below the root"
    if text.startswith("/"):
        return "is absolute; write it from the root of the workspace, without a leading /"
    if ".." in text.split("/"):
        return "leaves the workspace; write a folder below its root"
    if any(not character.isprintable() for character in text):
        return "contains a character that cannot be seen; remove it"
    return ""


def clean_folder(text: str) -> str:
    """Return a valid folder in one spelling: no `.`, no doubled or trailing `/`; "" is the root."""
    return "/".join(part for part in text.split("/") if part not in ("", "."))


def names_a_credential(variable: str) -> bool:
    """Return True if a variable's name says that its value is a credential or gives access to
    one.
    """
    return not _CREDENTIAL_WORDS.isdisjoint(variable.upper().split("_"))


def value_is_credential(variable: str) -> bool:
    """Return True if a variable's name says that its value is a credential, which must not be
    shown.
    """
    return not _VALUE_WORDS.isdisjoint(variable.upper().split("_"))


def anchored(form: str) -> str:
    """Return `form` as a whole-string pattern for JSON Schema; `$` alone accepts a trailing
    newline.
    """
    return f"^(?:{form})$(?!\\n)"
