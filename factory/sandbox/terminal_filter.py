"""Filter what a sandboxed program prints to a person's terminal: an allow-list of escape sequences.

Rule: nothing passes that makes a terminal answer, write a clipboard, print, rename or move its
window, report the mouse, or stay changed after the session. A sequence passes whole, in its
plainest spelling, or not at all; strings (OSC, DCS, APC, PM, SOS) never do. Pure: bytes of any cut
in, bytes out, the same for every cut. Does not know what the program draws, nor the terminal.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Mapping
from types import MappingProxyType

_ESC = "\x1b"
_LONGEST = 64  # characters of one control sequence; a longer one is dropped
_REPLACED = "\ufffd"
_JOINERS = "\u200c\u200d"  # format characters that scripts and emoji need
_HIDDEN = frozenset({"Cf", "Cs", "Cn", "Zl", "Zp"})

# Bell, backspace, tab, the three line feeds, carriage return, and the two shifts between character
# sets. Absent: ENQ, which a terminal answers; XON and XOFF; NUL; DEL.
_CONTROLS = frozenset("\x07\x08\t\n\x0b\x0c\r\x0e\x0f")
_CANCELS = frozenset("\x18\x1a")
_STRINGS = frozenset("]PX^_")

# ESC and one character: save and restore the cursor, move it by a line, set a tab, choose the
# keypad.
_SHORT = frozenset("78DEHM=>")
# ESC ( or ) and one of these: the character sets G0 and G1 are ASCII, British, or line drawing.
_SETS = frozenset("()")
_SET_NAMES = frozenset("0AB")

# Private modes that change what is drawn, never what the terminal sends by itself: cursor keys,
# wrapping, blinking, the cursor, the alternate screen. Bracketed paste only marks what a person
# pastes.
_MODES: Mapping[str, str] = MappingProxyType(
    {
        "1": "l",
        "7": "h",
        "12": "l",
        "25": "h",
        "47": "l",
        "1047": "l",
        "1048": "",
        "1049": "l",
        "2004": "l",
    }
)
_NUMBERS = r"[0-9]{0,4}(?:;[0-9]{0,4}){0,31}"
_SEQUENCES = tuple(
    re.compile(pattern)
    for pattern in (
        rf"{_NUMBERS}[ABCDEFGHIZLMPX@`adefgr]",  # move, insert, erase, tabs, scrolling region
        r"[0-2]?[JK]",  # erase; 3 J would take what scrolled away
        r"[0-9]{0,4}[STb]",  # scroll, repeat; T with more numbers would follow the mouse
        r"[su]",  # save and restore the cursor; with numbers they mean other things
        r"4[hl]",  # insert mode
        r"[0-9:;]{0,60}m",  # colours
        r"[0-6]? q",  # the cursor's shape
        r"!p",  # soft reset
    )
)
_PRIVATE = re.compile(r"\?([0-9;]{1,40})([hl])")

_LEADS = ((0xF0, 4), (0xE0, 3), (0xC0, 2))  # first bytes of characters of so many bytes

_State = Callable[[str], str]


class TerminalFilter:
    """Filter one stream of output for a terminal.

    `ascii_only` for terminals that do not read UTF-8.
    """

    def __init__(self, *, ascii_only: bool = False) -> None:
        self._ascii_only = ascii_only
        self._cut = b""  # the beginning of a character that is not whole yet
        self._state: _State = self._text
        self._kept = ""  # what there is of a control sequence, after its introducer
        self._changed: dict[
            str, str
        ] = {}  # private modes that the stream has set, each with its last letter
        self._used = False  # whether any sequence passed

    def feed(self, chunk: bytes) -> bytes:
        """Return what of `chunk`, and of what was kept before it, may pass."""
        content = self._cut + chunk
        whole = len(content) - _cut_off(content)
        self._cut = content[whole:]
        return "".join(
            [self._state(char) for char in content[:whole].decode("utf-8", "replace")]
        ).encode("utf-8")

    def end(self) -> bytes:
        """Return what undoes everything that passed; the stream is over, and what was kept is
        dropped.
        """
        self._state, self._kept, self._cut = self._text, "", b""
        changed, self._changed = self._changed, {}
        if not self._used:
            return b""
        self._used = False
        undone = [
            f"{_ESC}[?{mode}{_MODES[mode]}"
            for mode, last in changed.items()
            if _MODES[mode] not in ("", last)
        ]
        region = (  # the whole screen scrolls again, and the cursor stays where it is
            f"{_ESC}7{_ESC}[r{_ESC}8"
        )
        return "".join(
            (f"{_ESC}[!p", *undone, region, f"{_ESC}[4l{_ESC}[m{_ESC}(B\x0f{_ESC}>")
        ).encode("ascii")

    # ── states: a character in, what passes out ──────────────────────────────

    def _text(self, char: str) -> str:
        if char == _ESC:
            self._state = self._escape
            return ""
        return self._shown(char)

    def _escape(self, char: str) -> str:
        if char == "[":
            return self._go(self._control)
        if char in _STRINGS:
            return self._go(self._string)
        if char in _SETS:
            self._kept = char
            return self._go(self._set)
        if " " <= char <= "/":
            return self._go(self._unknown)
        self._state = self._text
        if char in _SHORT:
            return self._passed(f"{_ESC}{char}")
        return "" if "0" <= char <= "~" else self._text(char)

    def _unknown(self, char: str) -> str:
        """Pass over an escape with intermediate characters, none of which are wanted, up to its
        last one.
        """
        if " " <= char <= "/":
            return ""
        self._state = self._text
        return "" if "0" <= char <= "~" else self._text(char)

    def _set(self, char: str) -> str:
        which, self._kept = self._kept, ""
        if char in _SET_NAMES:
            self._state = self._text
            return self._passed(f"{_ESC}{which}{char}")
        return self._unknown(char)

    def _control(self, char: str) -> str:
        if not " " <= char <= "~":  # a control character breaks it off, and acts by itself
            self._state, self._kept = self._text, ""
            return self._text(char)
        if len(self._kept) < _LONGEST:
            self._kept += char
        if char < "@":
            return ""
        found, self._kept = self._kept, ""
        self._state = self._text
        return self._sequence(found) if found.endswith(char) else ""

    def _string(self, char: str) -> str:
        """Pass over the inside of OSC and its like, up to BEL, ST or what cancels it."""
        if char == _ESC:
            self._state = self._escape  # ESC \ ends it, and is dropped as any other unknown escape
        elif char == "\x07" or char in _CANCELS or char == "\x9c":
            self._state = self._text
        return ""

    # ── what passes ──────────────────────────────────────────────────────────

    def _go(self, state: _State) -> str:
        self._state = state
        return ""

    def _passed(self, sequence: str) -> str:
        self._used = True
        return sequence

    def _sequence(self, found: str) -> str:
        private = _PRIVATE.fullmatch(found)
        if private is not None:
            modes = [mode for mode in private[1].split(";") if mode in _MODES]
            self._changed.update(dict.fromkeys(modes, private[2]))
            return self._passed(f"{_ESC}[?{';'.join(modes)}{private[2]}") if modes else ""
        if any(pattern.fullmatch(found) for pattern in _SEQUENCES):
            return self._passed(f"{_ESC}[{found}")
        return ""

    def _shown(self, char: str) -> str:
        if " " <= char <= "~":
            return char
        if char < " " or char == "\x7f":
            return char if char in _CONTROLS else ""
        if char <= "\x9f":
            return ""  # the same introducers again, as single characters
        if self._ascii_only:
            return "?"
        hidden = unicodedata.category(char) in _HIDDEN and char not in _JOINERS
        return _REPLACED if hidden else char


def _cut_off(content: bytes) -> int:
    """Return how many bytes at the end begin a character that is not whole yet."""
    for count, byte in enumerate(content[: -len(_LEADS) - 1 : -1], 1):
        if byte >= 0xC0:
            return count if count < next((size for lead, size in _LEADS if byte >= lead), 0) else 0
        if byte < 0x80:
            return 0
    return 0
