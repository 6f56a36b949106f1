"""Every module that lets bytes out of the process, and why no credential passes there.

A module that begins to write fails here until somebody says which door its bytes go through; one
that no longer writes must leave the table.
"""

from __future__ import annotations

import ast
from pathlib import Path

ROOT = Path(__file__).parents[2]

GATE = "a gate: what carries a credential is refused, cut, or held back here"
BY_GATE = "writes through a store or a stream that is a gate"
BELOW = "moves bytes for a gate above it, and is called by nothing else that has a pack's text"
SANDBOX = (
    "writes inside a sandbox, or what the sandbox is made of: the system's and the base's own bytes"
)
OURS = "digests, versions, names of ours and of resolved contracts, which carry none"
USERS = "what a person asked for by name, made of templates or schemas"
KEYS = "the user's own keys, in their own folder, for nobody else"
ASKS = "questions to a process of ours over a pipe"
BASE = "the base commit's own files, in a scratch repository that goes away"

WRITERS = {
    "factory/__main__.py": "the version, a literal",
    "factory/adapters/card_cache.py": OURS,
    "factory/adapters/elsewhere.py": OURS,
    "factory/adapters/fs_guard.py": BELOW,
    "factory/adapters/git.py": ASKS,
    "factory/adapters/git_plumbing.py": BASE,
    "factory/adapters/ground.py": USERS,
    "factory/adapters/inventory.py": ASKS,
    "factory/adapters/inventory_memory.py": OURS,
    "factory/adapters/keys.py": KEYS,
    "factory/adapters/ledger_store.py": GATE,
    "factory/adapters/locks.py": OURS,
    "factory/adapters/loose.py": BELOW,
    "factory/adapters/objects.py": GATE,
    "factory/adapters/private_git.py": OURS,
    "factory/adapters/schemas.py": USERS,
    "factory/adapters/scratch.py": BASE,
    "factory/adapters/stat_rows.py": OURS,
    "factory/adapters/standstill.py": BY_GATE,
    "factory/adapters/state_store.py": GATE,
    "factory/adapters/tools.py": OURS,
    "factory/adapters/view_files.py": BASE,
    "factory/adapters/views.py": BASE,
    "factory/faces/doit_reporter.py": BY_GATE,
    "factory/faces/integrator.py": "one word to the process that started it",
    "factory/faces/json_file.py": GATE,
    "factory/faces/live.py": GATE,
    "factory/faces/streams.py": GATE,
    "factory/overviews.py": BY_GATE,
    "factory/rebuild.py": BY_GATE,
    "factory/verify/elsewhere.py": (
        "objects of the evidence that is verified, in a folder that goes away"
    ),
    "factory/wiring.py": "a literal",
}
# Whole floors and folders.
FOLDERS = {
    "factory/adapters/egress/": (
        "what a pack says to a host that its contract declares, and the host to the pack"
    ),
    "factory/core/": "no I/O at all (test_floors)",
    "factory/phases/": BY_GATE,
    "factory/adapters/sandbox/": SANDBOX,
    "factory/templates/": USERS,
}

_METHODS = frozenset(
    "write writelines write_text write_bytes write_atomic append_durable write_all".split()
)
_FLAGS = frozenset("O_WRONLY O_RDWR O_CREAT O_APPEND".split())


def writes(text: str) -> bool:
    """Whether a module writes to a file, a stream or a descriptor."""
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Attribute) and node.attr in _FLAGS:
            return True
        if not isinstance(node, ast.Call):
            continue
        name = (
            node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
        )
        if name in _METHODS or name == "print" or (name == "open" and _mode_writes(node)):
            return True
    return False


def _mode_writes(call: ast.Call) -> bool:
    at = 0 if isinstance(call.func, ast.Attribute) else 1
    words = [
        *call.args[at : at + 1],
        *(keyword.value for keyword in call.keywords if keyword.arg == "mode"),
    ]
    return any(
        isinstance(word, ast.Constant)
        and isinstance(word.value, str)
        and set(word.value) & set("wax+")
        and len(word.value) < 4
        for word in words
    )


def test_every_writer_is_known_and_says_why_no_credential_passes() -> None:
    found = {
        path.relative_to(ROOT).as_posix()
        for path in (ROOT / "factory").rglob("*.py")
        if writes(path.read_text(encoding="utf-8"))
    }
    single = {name for name in found if not name.startswith(tuple(FOLDERS))}
    assert single == set(WRITERS), "say in WRITERS which door its bytes go through"


def test_phases_write_through_the_store_and_nothing_else() -> None:
    """The store is a gate; a phase has no other way to a disk or a terminal."""
    for path in (ROOT / "factory" / "phases").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if (
                isinstance(node, ast.Call)
                and isinstance(node.func, ast.Attribute)
                and node.func.attr in _METHODS
            ):
                owner = ast.unparse(node.func.value)
                assert owner.endswith("store"), f"{path.name}:{node.lineno} writes through {owner}"


def test_a_planted_writer_is_seen() -> None:
    for text in (
        'open("x", "w")',
        "print(1)",
        "stream.write(1)",
        "import os\nos.open('x', os.O_CREAT)",
        "p.write_bytes(b'')",
    ):
        assert writes(text), text
    for text in ('open("x")', 'open("x", "rb")', "x = 1"):
        assert not writes(text), text
