"""Word the parts of a refusal: places, found values, names that were probably meant."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping

from factory.strict.values import Value


def counted(number: int, noun: str, many: str = "") -> str:
    """Return `1 file`, `3 files`; `many` is the plural if it is not the noun with an s."""
    return f"{number} {noun if number == 1 else many or noun + 's'}"


def label_of(pointer: str) -> str:
    """Return a place as a sentence names it: `allowed_paths[1]`, `steps[0].timeout`."""
    label = ""
    for part in reversed(pointer.split("/")[1:]):
        if part.isdecimal():
            label = (
                f"[{part}]{label}" if not label or label.startswith("[") else f"[{part}].{label}"
            )
            continue
        if label and not label.startswith("["):
            break
        label = part.replace("~1", "/").replace("~0", "~") + label
    return label


def found(value: Value) -> str:
    """Return a value as a sentence names it."""
    if value is None:
        return "nothing"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (int, float)):
        return f"the number {value}"
    if isinstance(value, str):
        return quoted(value)
    return "a mapping" if isinstance(value, Mapping) else "a list"


def quoted(text: str) -> str:
    """Return `text` in quotes on one line, at most 60 characters, without control characters."""
    line = "".join(character if character.isprintable() else " " for character in text)
    return f'"{line}"' if len(line) <= 60 else f'"{line[:57]}…"'


def nearest(name: str, known: Iterable[str], cutoff: float = 0.6) -> str:
    """Return the known name that `name` most likely means; "" if none is near."""
    close = difflib.get_close_matches(name, sorted(known), n=1, cutoff=cutoff)
    return close[0] if close else ""


def unknown_key(name: str, known: Iterable[str]) -> tuple[str, str]:
    """Return (sentence, hint) for a key that is not known."""
    names = sorted(known)
    meant = nearest(name, names)
    hint = f'did you mean "{meant}"?' if meant else f"known here: {', '.join(names)}"
    return f"unknown key {quoted(name)}", hint
