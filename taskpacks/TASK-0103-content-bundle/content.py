"""Check the content set and write its index, or build its bundle; run at the repository's root.

Usage: content.py index | check | bundle FOLDER. Exit codes: 0 done, 1 problems, 64 usage.
"""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Mapping
from pathlib import Path

from balance import counts, level_worth, problems, worth_of
from content_set import ContentSet, Malformed, parse
from ustar import archive

FOLDER = "content"
INDEX = f"{FOLDER}/index.json"
BUNDLE = "night-shift.tar"


def read_files(root: Path) -> dict[str, bytes]:
    """Every TOML file of the content set by its path below `content/`. Raises Malformed for a
    symbolic link.
    """
    top = root / FOLDER
    paths = sorted(top.rglob("*.toml"))
    links = [path for path in paths if path.is_symlink()]
    if links:
        raise Malformed(
            f"{path.relative_to(top).as_posix()}: expected a file, found a symbolic link"
            for path in links
        )
    return {path.relative_to(top).as_posix(): path.read_bytes() for path in paths}


def load(files: Mapping[str, bytes]) -> ContentSet:
    """The content set, checked. Raises Malformed with everything that is wrong."""
    content = parse(files)
    found = problems(content)
    if found:
        raise Malformed(found)
    return content


def index_of(files: Mapping[str, bytes], content: ContentSet) -> bytes:
    """The index: what there is, with digests and exact expected values."""
    ordered = sorted(content.levels.values(), key=lambda level: level.order)
    index = {
        "schema_version": 1,
        "counts": counts(content),
        "files": {path: hashlib.sha256(files[path]).hexdigest() for path in sorted(files)},
        "items": {
            name: {"rarity": item.rarity, "value": item.value}
            for name, item in sorted(content.items.items())
        },
        "levels": [
            {"id": level.id, "worth": str(level_worth(level, content))} for level in ordered
        ],
        "tables": {
            name: {"worth": str(worth_of(table, content))}
            for name, table in sorted(content.tables.items())
        },
    }
    return (json.dumps(index, indent=1) + "\n").encode("ascii")


def bundle_of(files: Mapping[str, bytes], index: bytes) -> bytes:
    """The archive of all files and the index, under `content/`."""
    return archive(
        {INDEX: index, **{f"{FOLDER}/{path}": content for path, content in files.items()}}
    )


def build_twice(files: Mapping[str, bytes]) -> bytes:
    """The bundle, made from the files in two orders. Raises Malformed where the two differ."""
    built = []
    for order in (list(files), list(files)[::-1]):
        turned = {path: files[path] for path in order}
        built.append(bundle_of(turned, index_of(turned, load(turned))))
    if built[0] != built[1]:
        raise Malformed(
            ["the bundle: expected the same bytes from another order of files, found others"]
        )
    return built[0]


def write_bundle(root: Path, target: Path) -> str:
    """Build and write the bundle and its digest; what was done."""
    content = build_twice(read_files(root))
    digest = hashlib.sha256(content).hexdigest()
    target.mkdir(parents=True, exist_ok=True)
    (target / BUNDLE).write_bytes(content)
    (target / f"{BUNDLE}.sha256").write_bytes(f"{digest}  {BUNDLE}\n".encode("ascii"))
    return f"{BUNDLE}: {len(content)} bytes, sha256 {digest}, the same from both orders"


def write_index(root: Path) -> str:
    """Write the index; what was done."""
    files = read_files(root)
    content = load(files)
    (root / INDEX).write_bytes(index_of(files, content))
    return f"wrote {INDEX}: " + ", ".join(
        f"{count} {name}" for name, count in counts(content).items()
    )


def check_index(root: Path) -> str:
    """Compare the index with the content. Raises Malformed where it differs."""
    files = read_files(root)
    index = index_of(files, load(files))
    path = root / INDEX
    if not path.is_file() or path.read_bytes() != index:
        raise Malformed(
            [f"{INDEX}: expected what the content yields, found something else; write it again"]
        )
    return "the index is what the content yields"


def main(argv: list[str]) -> int:
    """Run one command in the current folder."""
    root = Path.cwd()
    try:
        match argv:
            case ["index"]:
                print(write_index(root))
            case ["check"]:
                print(check_index(root))
            case ["bundle", folder]:
                print(write_bundle(root, Path(folder)))
            case _:
                print("usage: content.py index | check | bundle FOLDER", file=sys.stderr)
                return 64
    except Malformed as malformed:
        print("\n".join(malformed.sentences))
        return 1
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
