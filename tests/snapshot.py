"""Plain-text snapshots of what people see. `UPDATE_SNAPSHOTS=1 pytest …` writes them anew, for
review as a diff.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

FOLDER = Path(__file__).parent / "snapshots"

_REPLACED = (
    (re.compile(r"factory_\d{8}_\d{6}_[0-9a-f]{8}_\d{3}"), "factory_<TIME>_<BASE>_001"),
    (re.compile(r"\b\d+(?:\.\d+)? s\b"), "<SECONDS> s"),
    (re.compile(r"\b[0-9a-f]{64}\b"), "<SHA256>"),
    (re.compile(r"\b[0-9a-f]{40}\b"), "<OID>"),
    (re.compile(r"\b(?=[0-9a-f]*\d)[0-9a-f]{12}…"), "<KEY>…"),
    (re.compile(r"\b(?=[0-9a-f]*\d)[0-9a-f]{12}\b"), "<HEX12>"),
    (re.compile(r"(?<=tree )[0-9a-f]{7}\b"), "<TREE>"),
    (re.compile(r"(?<= at )[0-9a-f]{8}(?= \()"), "<BASE>"),
    # who signed depends on the host's keys
    (re.compile(r"(?m)^Evidence  .*$"), "Evidence  <EVIDENCE>"),
    (re.compile(r"sandbox (?:full|bubblewrap|landlock|none)\b"), "sandbox <BACKEND>"),
)


def settled(text: str, **names: str | Path) -> str:
    """`text` without what differs from run to run; `names` maps a placeholder to the text it stands
    for.
    """
    for name, value in names.items():
        text = text.replace(str(value), f"<{name}>")
    for pattern, placeholder in _REPLACED:
        text = pattern.sub(placeholder, text)
    return text


def agrees(name: str, text: str) -> bool:
    """Whether `text` is the snapshot `name`; a difference is shown by pytest through `expected`."""
    if os.environ.get("UPDATE_SNAPSHOTS") == "1":
        FOLDER.mkdir(exist_ok=True)
        (FOLDER / name).write_text(text, "utf-8")
    return expected(name) == text


def expected(name: str) -> str:
    """The stored text."""
    return (FOLDER / name).read_text("utf-8")
