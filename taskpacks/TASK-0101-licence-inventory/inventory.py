"""Write the dependency inventory, or check that it is what the lock yields; run at the repository's
root.

Usage: inventory.py write | check. Exit codes: 0 done, 1 problems, 64 usage. Rules are in `rules`.
"""

from __future__ import annotations

import sys
import tomllib
from pathlib import Path

from rules import Problems, direct_names, format_json, format_markdown, parse_review, take_inventory

HERE = Path(__file__).resolve().parent
FOLDER = Path("docs/inventory")


def derive(root: Path, reviewed: Path) -> dict[str, str]:
    """The two files' texts by name, from `root`. Raises Problems."""
    review = parse_review(tomllib.loads(reviewed.read_text("utf-8")))
    project = tomllib.loads((root / "pyproject.toml").read_text("utf-8"))
    direct = direct_names(project["project"]["dependencies"])
    rows = take_inventory((root / "requirements.lock").read_text("utf-8"), review, direct)
    return {
        "dependencies.json": format_json(rows),
        "dependencies.md": format_markdown(rows, review),
    }


def differing(root: Path, texts: dict[str, str]) -> list[str]:
    """A sentence for each file that is not what it should be."""
    found = []
    for name, text in texts.items():
        path = root / FOLDER / name
        if not path.is_file() or path.read_bytes() != text.encode("utf-8"):
            found.append(
                f"{FOLDER / name}: expected what the lock yields, found something else; write it"
                " again"
            )
    return found


def main(argv: list[str]) -> int:
    """Run one of the two commands in the current folder."""
    if argv not in (["write"], ["check"]):
        print("usage: inventory.py write | check", file=sys.stderr)
        return 64
    root = Path.cwd()
    try:
        texts = derive(root, HERE / "reviewed.toml")
    except Problems as problems:
        print("\n".join(problems.sentences))
        return 1
    if argv == ["check"]:
        problems_found = differing(root, texts)
        print("\n".join(problems_found) or "the inventory is what the lock yields")
        return 1 if problems_found else 0
    (root / FOLDER).mkdir(parents=True, exist_ok=True)
    for name, text in texts.items():
        (root / FOLDER / name).write_bytes(text.encode("utf-8"))
        print(f"wrote {FOLDER / name}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
