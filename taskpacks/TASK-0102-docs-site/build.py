"""Build the site into a folder: every Markdown file at the root and below docs/, and what lies
beside them.

Usage: build.py FOLDER, at the repository's root. Exit codes: 0 built, 1 problems, 64 usage.
Rule: only the locked version of the Markdown parser, so that the bytes are the same everywhere.
"""

from __future__ import annotations

import importlib.metadata
import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path

PARSER = "markdown-it-py"


def version_problem(lock: str) -> str:
    """Why the installed Markdown parser is not the locked one, a sentence; "" where it is."""
    found = re.search(rf"^{PARSER}==([^\s;\\]+)", lock, re.MULTILINE)
    wanted = found[1] if found else "a version in requirements.lock"
    try:
        installed = importlib.metadata.version(PARSER)
    except importlib.metadata.PackageNotFoundError:
        installed = "none"
    if installed == wanted:
        return ""
    return f"expected {PARSER} {wanted}, found {installed}; run it in the environment of ./dev"


def sources(root: Path) -> Iterator[Path]:
    """Every file that belongs to the site, in a fixed order; links, hidden files and byte code do not."""
    found = [*root.glob("*.md"), root / "LICENSE", *(root / "docs").rglob("*")]
    for path in sorted(found):
        parts = path.relative_to(root).parts
        if (
            path.is_file()
            and not path.is_symlink()
            and not any(part.startswith(".") or part == "__pycache__" for part in parts)
        ):
            yield path


def build(root: Path, target: Path) -> int:
    """Write the site; the number of pages."""
    from pages import STYLE, render_site

    paths = {path.relative_to(root).as_posix(): path for path in sources(root)}
    texts = {name: path.read_text("utf-8") for name, path in paths.items() if name.endswith(".md")}
    written = {name: text.encode("utf-8") for name, text in render_site(texts).items()}
    written["style.css"] = STYLE.encode("utf-8")
    written |= {name: path.read_bytes() for name, path in paths.items() if name not in texts}
    written["pages.json"] = (json.dumps(sorted(written), indent=1) + "\n").encode("utf-8")
    for name, content in written.items():
        place = target / name
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(content)
    return len(texts)


def main(argv: list[str]) -> int:
    """Build the site of the current folder."""
    if len(argv) != 1:
        print("usage: build.py FOLDER", file=sys.stderr)
        return 64
    root, target = Path.cwd(), Path(argv[0])
    if target.exists():
        print(f"{argv[0]}: expected a new folder, found one that exists; remove it")
        return 1
    problem = version_problem((root / "requirements.lock").read_text("utf-8"))
    if not problem and not (root / "README.md").is_file():
        problem = "README.md: expected the start page, found no such file"
    if problem:
        print(problem)
        return 1
    print(f"built {build(root, target)} pages")
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
