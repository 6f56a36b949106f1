"""Read the files that `init` and `taskpack new` start from. Does not know their use."""

from __future__ import annotations

from pathlib import Path

_FOLDER = Path(__file__).resolve().parents[1] / "templates"


def read_templates(kind: str) -> dict[str, str]:
    """Return name to text for the templates of one kind.

    A file's `.txt`, which keeps tools from reading it as the real thing, is not part of its name.
    """
    return {
        path.name.removesuffix(".txt"): path.read_text("utf-8")
        for path in sorted((_FOLDER / kind).iterdir())
        if path.suffix in (".txt", ".py")
    }
