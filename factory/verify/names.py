"""Display names of files and read them back; judge names that no change may have.

Written independently. A path is `str` with surrogateescape, as Git's bytes decode; `spell` and
`unspell` are each other's inverse. The rules are those of THREATS: portable, inside, not read as
.git anywhere.
"""

from __future__ import annotations

import os
import re
import unicodedata

_HIDDEN_CATEGORIES = frozenset({"Cf", "Cs", "Zl", "Zp"})
_SHOWS_NOTHING = re.compile(
    "[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180d\u180f\u2800\u3164"
    "\uffa0\ufe00-\ufe0f\ufdd0-\ufdef\U000e0100-\U000e01ef]"
)
# What HFS+ leaves out when it compares names.
_LEFT_OUT = dict.fromkeys(
    [*range(0x200C, 0x2010), *range(0x202A, 0x202F), *range(0x206A, 0x2070), 0xFEFF]
)
_ESCAPED = re.compile(r"\\(?:\\|x[0-9a-f]{2}|u[0-9a-f]{4}|U[0-9a-f]{8})|[^\\]", re.DOTALL)
_DEVICE = re.compile(
    r"(?:con|prn|aux|nul|conin\$|conout\$|clock\$|(?:com|lpt)[0-9¹²³]) *(?:\..*)?", re.DOTALL
)
_SHORT = re.compile(r"[^.~]{1,6}~[0-9]{1,6}(?:\.[^.]{0,3})?")
_MARKUP = re.compile(r"[\\`*_\[\]<>#@|!~&$]")
# What forges look for once Markdown is rendered; a space of no width goes behind each.
_REFERENCE = re.compile(
    r"[@#]|(?:(?<=:)(?=//))|(?:(?<=www)(?=\.))|(?:(?<=\bgh)(?=-[0-9]))|"
    r":(?=[\w+-]+:)|[!$%&^~](?=[0-9])",
    re.IGNORECASE | re.ASCII,
)
_COMMIT_LIKE = re.compile(r"\b[0-9a-fA-F]{7,64}\b", re.ASCII)


def spell(path: str) -> str:
    """Return the displayed form: an escape for each character that could harm a terminal or
    report.
    """
    out = []
    for char in path:
        code = ord(char)
        if 0xDC80 <= code <= 0xDCFF:
            out.append(f"\\x{code & 0xFF:02x}")
        elif char == "\\":
            out.append("\\\\")
        elif code < 0x20 or 0x7F <= code < 0xA0 or _is_hidden(char):
            out.append(f"\\u{code:04x}" if code <= 0xFFFF else f"\\U{code:08x}")
        else:
            out.append(char)
    return "".join(out)


def unspell(text: str) -> str | None:
    """Return the path that is displayed as `text`; None if there is none."""
    parts = _ESCAPED.findall(text)
    if sum(map(len, parts)) != len(text):
        return None
    path = "".join(map(_unescaped, parts))
    return path if spell(path) == text else None


def _unescaped(part: str) -> str:
    if part[0] != "\\" or part == "\\\\":
        return part[-1]
    code = int(part[2:], 16)  # noqa: FURB166  no prefix that int knows
    if part[1] == "x":
        return chr(0xDC00 + code)
    return chr(code) if code <= 0x10FFFF else "\ufffd"


def _is_hidden(char: str) -> bool:
    nothing = _SHOWS_NOTHING.match(char) is not None or ord(char) % 0x10000 >= 0xFFFE
    return nothing or unicodedata.category(char) in _HIDDEN_CATEGORIES


def folded(name: str) -> str:
    """Return the form in which some platform equates two names."""
    composed = unicodedata.normalize("NFC", name.translate(_LEFT_OUT))
    return unicodedata.normalize("NFC", unicodedata.normalize("NFD", composed).casefold())


def eyes(text: str) -> str:
    """Return `text` as a rendering shows it: what acts, hides or shows nothing is escaped."""
    return spell(text).replace("\\\\", "\\")


def inert(text: str) -> str:
    """Return `text` in Markdown with nothing that acts, as reports write it."""
    shown = eyes(" ".join(text.split()))
    rest = _REFERENCE.sub(lambda found: found[0] + "\0", shown)
    start = ""
    if rest[:1] in ("-", "+", "=", ":"):
        start, rest = f"\\{rest[0]}", rest[1:]
    elif item := re.match(r"([0-9]{1,6})([.)])", rest):
        start, rest = f"{item[1]}\\", rest[len(item[1]) :]
    out, end = [start], 0
    for found in _COMMIT_LIKE.finditer(rest):
        out += (_plain(rest[end : found.start()]), f"`{found[0]}`")
        end = found.end()
    return "".join((*out, _plain(rest[end:])))


def _plain(text: str) -> str:
    return _MARKUP.sub(lambda found: "\\" + found[0], text).replace("\0", "&#8203;")


def in_cell(text: str) -> str:
    """Return `text` as code in a table of a report."""
    recorded = eyes(text).replace("|", "\\|")
    runs = [len(run) for run in re.findall("`+", recorded)]
    edge = "`" * (max(runs) + 1 if runs else 1)
    space = " " if runs or not recorded or (recorded[0], recorded[-1]) == (" ", " ") else ""
    return edge + space + recorded + space + edge


def reads_as_git(name: str) -> bool:
    """Return True if some platform opens `name`, or a part between its backslashes, as .git."""
    stems = (part.partition(":")[0].rstrip(". ") for part in folded(name).split("\\"))
    return any(stem == ".git" or re.fullmatch(r"git~[0-9]+", stem) for stem in stems)


def why_unsafe(path: str) -> str:
    """Return why `path` could lead outside a workspace or into .git, one clause; "" if it
    cannot.
    """
    if not path or path.startswith(("/", "\\\\")) or re.match(r"[A-Za-z]:", path):
        return "is empty or absolute"
    parts = path.split("/")
    if {"", ".", ".."} & set(parts):
        return "is not a plain relative path"
    return "reads as .git" if any(map(reads_as_git, parts)) else ""


def why_unportable(path: str) -> str:
    """Return why `path` cannot exist on every platform, one clause; "" if it can."""
    if len(os.fsencode(path)) > 1024:
        return "is longer than 1024 bytes"
    return next(filter(None, map(_why_unportable, path.split("/"))), "")


def _why_unportable(name: str) -> str:
    if any(unicodedata.category(char) == "Cc" or _is_hidden(char) for char in name):
        return "contains a control, hidden or undecodable character"
    if any(char in '<>:"|?*\\' for char in name):
        return "contains a character that Windows reserves"
    if name[-1:] in (".", " ") or name[:1] == " ":
        return "starts with a space or ends with a dot or space"
    small = folded(name)
    if _DEVICE.fullmatch(small) or _SHORT.fullmatch(small):
        return "is a Windows device or short name"
    return "has a name longer than 255 bytes" if len(os.fsencode(name)) > 255 else ""


def link_leaves(path: str, target: str) -> bool:
    """Return True if a link at `path` to `target` leads, or could lead, outside or into .git."""
    if not target or target[0] in "/\\" or re.match(r"[A-Za-z]:", target):
        return True
    parts = [part for part in re.split(r"[/\\]", target) if part not in ("", ".")]
    ups = 0
    while ups < len(parts) and parts[ups] == "..":
        ups += 1
    return ups > path.count("/") or ".." in parts[ups:] or any(map(reads_as_git, parts))
