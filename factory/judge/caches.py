"""Recognise folders that are caches: tools write them while they work, and nobody means to keep
them.

    >>> cache_pattern("src/a/__pycache__/b.cpython-311.pyc", frozenset())
    '**/__pycache__/'
    >>> cache_pattern("out/made/x.o", frozenset({"out/made/"}))
    'out/made/'
    >>> cache_pattern("src/a.py", frozenset())
    ''

Pure. Decides nothing about a change: it only says what its pack could discard.
"""

from __future__ import annotations

NAMES = frozenset(
    """
    __pycache__ .cache .dart_tool .eggs .eslintcache .gradle .hypothesis .ipynb_checkpoints
    .mypy_cache .next .nox .npm .nuxt .nyc_output .parcel-cache .pytest_cache .pytype .ruff_cache
    .sass-cache .svelte-kit .terraform .tox .turbo .vite
    """.split()
)


def cache_pattern(path: str, ignoring: frozenset[str]) -> str:
    """Return the pattern of the cache that a new file lies in, as `discard` takes it; "" for none.

    `ignoring` are folders, with a slash at the end, that a new .gitignore of their own ignores, and
    below which the base has no file.
    """
    folders = path.split("/")[:-1]
    for depth, name in enumerate(folders):
        here = "/".join(folders[: depth + 1]) + "/"
        if name in NAMES:
            return f"**/{name}/"
        if here in ignoring and not any(char in here for char in "*?[]\\!"):
            return here
    return ""


def ignores_itself(gitignore: bytes) -> bool:
    """Return whether a .gitignore ignores all of its own folder, but at most itself."""
    lines = [line.strip() for line in gitignore.split(b"\n")]
    said = [line for line in lines if line and not line.startswith(b"#")]
    return said[:1] in ([b"*"], [b"/*"], [b"**"]) and set(said[1:]) <= {b"!.gitignore", b"/*", b"*"}
