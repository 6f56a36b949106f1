"""Parse the words of one command: argparse without its exits, its help and its guessing.

Rule: whatever does not fit is a UsageError of one sentence with what was probably meant.
Help is a text that each command keeps; a test compares text and parser. Does not know
any command.
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

from factory.model.errors import Refusal, UsageError
from factory.model.finding import Finding
from factory.model.names import RUN_ID
from factory.model.wording import nearest

COMMON_HELP = """\
  --json                print one JSON document and nothing else on standard output
  --json-out FILE       write that document to FILE as well
  -h, --help            this text
"""


class Parser(argparse.ArgumentParser):
    """Parse words; raise UsageError instead of ending the process."""

    def __init__(self, command: str) -> None:
        super().__init__(prog=f"factory {command}", add_help=False, allow_abbrev=False)
        self._command = command
        self.add_argument("--json", action="store_true")
        self.add_argument("--json-out", type=new_file, metavar="FILE")

    def error(self, message: str) -> NoReturn:
        """Raise UsageError with one sentence and where the options are listed."""
        raise UsageError(f"{self._command}: {message}", f"see: {self.prog} --help")

    def parse(self, words: Sequence[str]) -> argparse.Namespace:
        """Return the parsed words. Raise UsageError."""
        # Not parse_known_args: there an option between two positional words takes the second one's
        # place (bpo-14191).
        given, extra = self.parse_known_intermixed_args(words)
        if extra:
            known = [option for action in self._actions for option in action.option_strings]
            word = extra[0]
            meant = nearest(word.partition("=")[0], known) if word.startswith("-") else ""
            hint = f"did you mean {meant}?" if meant else f"see: {self.prog} --help"
            raise UsageError(f"{self._command} does not take {word!r}", hint)
        return given

    def options(self) -> tuple[str, ...]:
        """Return every option string and the metavar of every argument, for the test that compares
        them with the help.
        """
        named = [option for action in self._actions for option in action.option_strings]
        return (
            *named,
            *(str(action.metavar) for action in self._actions if not action.option_strings),
        )


def add_refs(parser: Parser, base: bool = True) -> None:
    """Add --policy-ref, and with `base` --base-ref."""
    if base:
        parser.add_argument("--base-ref", metavar="REF", default="")
    parser.add_argument("--policy-ref", metavar="REF", default="")


def flags_of(given: argparse.Namespace) -> dict[str, str]:
    """Return the settings that `add_refs` took, by name."""
    names = ("base_ref", "policy_ref")
    return {name: str(getattr(given, name)) for name in names if getattr(given, name, "")}


def here() -> Path:
    """Return the current folder. Raise Refusal REPO_NOT_FOUND where it is gone."""
    try:
        return Path.cwd()
    except FileNotFoundError:
        raise Refusal(Finding("REPO_NOT_FOUND", {"case": "gone"})) from None


def whole_number(text: str) -> int:
    """Return a number of workers, 1 to 1024. Raise ArgumentTypeError."""
    if re.fullmatch(r"[0-9]{1,4}", text) is None or not 1 <= int(text) <= 1024:
        raise argparse.ArgumentTypeError(f"expected a whole number from 1 to 1024, found {text!r}")
    return int(text)


def run_id(text: str) -> str:
    """Return a name that can be a run's. Raise ArgumentTypeError."""
    if RUN_ID.fullmatch(text) is None:
        raise argparse.ArgumentTypeError(
            f"expected letters, digits, dots, dashes and underscores, found {text!r}"
        )
    return text


def new_file(text: str) -> Path:
    """Return a file that can be written: its folder exists, and it is no folder itself. Raise
    ArgumentTypeError.
    """
    place = Path(text)
    if not text or place.is_dir() or not place.absolute().parent.is_dir():
        raise argparse.ArgumentTypeError(f"expected a file in a folder that exists, found {text!r}")
    return place


def read_named(folder: Path, word: str, most: int = 1 << 20) -> bytes | None:
    """Return the first `most` bytes of the file `word`, seen from `folder`; None if there is no
    plain file.
    """
    place = folder / word
    try:
        with open(place, "rb") as stream:
            return stream.read(most) if place.is_file() else None
    except OSError:
        return None
