"""The files that `init` and `taskpack new` start from, as they were installed. Does not know what
becomes of them.
"""

from __future__ import annotations

from pathlib import Path

_FOLDER = Path(__file__).resolve().parents[1] / "templates"


def read_templates(kind: str) -> dict[str, str]:
    """Name (without a `.txt` that keeps tools from taking it for the real thing) to text, of one
    kind.
    """
    return {
        path.name.removesuffix(".txt"): path.read_text("utf-8")
        for path in sorted((_FOLDER / kind).iterdir())
        if path.suffix in (".txt", ".py")
    }
