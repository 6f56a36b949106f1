"""Every module that lets bytes out of the process, and why no credential passes there.

A module that begins to write fails here until somebody says which door its bytes go through; one
that no longer writes must leave the table.
"""

from __future__ import annotations

import ast
from pathlib import Path

from tests.parsed import nodes

ROOT = Path(__file__).parents[2]

GATE = "a gate: what carries a credential is refused, cut, or held back here"
BY_GATE = "writes through a store or a stream that is a gate"
BELOW = "moves bytes for a gate above it, and is called by nothing else that has a pack's text"
SANDBOX = (
    "writes inside a sandbox, or what the sandbox is made of: the system's and the base's own bytes"
)
OURS = "digests, versions, names of ours and of resolved contracts, which carry none"
USERS = "what a person asked for by name, made of templates or schemas"
ENVIRONMENT = "what an environment's commands made, for sandboxes alone: no evidence has its bytes"
KEYS = "the user's own keys, in their own folder, for nobody else"
ASKS = "questions to a process of ours over a pipe"
BASE = "the base commit's own files, in a scratch repository that goes away"

WRITERS = {
    "factory/__main__.py": "the version, a literal",
    "factory/commands/keys.py": "a signature over digests, in a file that was named",
    "factory/commands/ledger.py": "a checkpoint: digests and signatures, in a file that was named",
    "factory/run/other_conditions.py": OURS,
    "factory/files/fs_guard.py": BELOW,
    "factory/git/git.py": ASKS,
    "factory/git/plumbing.py": BASE,
    "factory/files/added_files.py": USERS,
    "factory/evidence/inventory.py": ASKS,
    "factory/evidence/inventory_memory.py": OURS,
    "factory/files/key_files.py": KEYS,
    "factory/evidence/ledger_own.py": OURS,
    "factory/files/seals.py": "the user's own secret, in their own folder, for nobody else",
    "factory/contract/known_secrets.py": "digests, into the user's own folder",
    "factory/trust/grant_store.py": "names of hosts and variables, into the user's own folder",
    "factory/commands/cli.py": GATE,
    "factory/commands/grant.py": "questions at the user's own terminal: names of contracts",
    "factory/evidence/ledger_store.py": GATE,
    "factory/files/locks.py": OURS,
    "factory/git/loose.py": BELOW,
    "factory/git/objects.py": GATE,
    "factory/git/private_git.py": OURS,
    "factory/contract/schemas.py": USERS,
    "factory/git/scratch.py": BASE,
    "factory/files/stat_rows.py": OURS,
    "factory/engine/memory.py": BY_GATE,
    "factory/engine/workers.py": "a literal: the name of a process; values go through a socket",
    "factory/files/state_store.py": GATE,
    "factory/plan/tools.py": OURS,
    "factory/git/view_files.py": BASE,
    "factory/plan/environments.py": ENVIRONMENT,
    "factory/plan/host_folders.py": OURS,
    "factory/run/preparing.py": ENVIRONMENT,
    "factory/engine/preparing.py": "a log that the redactor passed",
    "factory/engine/doit_reporter.py": BY_GATE,
    "factory/merge/z_process.py": "one word to the process that started it",
    "factory/report/live.py": GATE,
    "factory/report/step_summary.py": GATE,
    "factory/report/streams.py": GATE,
    "factory/commands/review.py": BY_GATE,
    "factory/engine/rebuild.py": BY_GATE,
    "factory/engine/determinism.py": "names of hosts and variables that the user granted, in a scratch folder",
    "factory/verify/repository.py": (
        "objects of the evidence that is verified, in a folder that goes away"
    ),
    "factory/engine/wiring.py": "a literal",
    "factory/engine/apply.py": "the result of a PASS, whose change the gates let pass",
    "factory/engine/branch.py": (
        "a commit in the user's repository: texts of the configuration, which a commit has already"
    ),
}
# Whole rooms and folders.
FOLDERS = {
    "factory/egress/": (
        "what a pack says to a host that its contract declares, and the host to the pack"
    ),
    "factory/sandbox/": SANDBOX,
    "factory/steady/": "no I/O at all (test_rooms)",
    "factory/templates/": USERS,
}

_METHODS = frozenset(
    "write writelines write_text write_bytes write_atomic append_durable write_all".split()
)
_FLAGS = frozenset("O_WRONLY O_RDWR O_CREAT O_APPEND".split())


def writes(text: str) -> bool:
    """Whether a module writes to a file, a stream or a descriptor."""
    for node in nodes(text):
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


def writes_only_through_the_store(path: Path) -> bool:
    """Whether each write of a module is a method of the store or the ledger, which are gates."""
    for node in nodes(path.read_text("utf-8")):
        if isinstance(node, ast.Attribute) and node.attr in _FLAGS:
            return False
        if not isinstance(node, ast.Call):
            continue
        if isinstance(node.func, ast.Name) and node.func.id in (*_METHODS, "print", "open"):
            return False
        if (
            isinstance(node.func, ast.Attribute)
            and node.func.attr in _METHODS
            and not ast.unparse(node.func.value).endswith("store")
        ):
            return False
    return True


def test_every_writer_is_known_and_says_why_no_credential_passes() -> None:
    found = {
        path.relative_to(ROOT).as_posix()
        for path in (ROOT / "factory").rglob("*.py")
        if writes(path.read_text(encoding="utf-8"))
    }
    single = {name for name in found if not name.startswith(tuple(FOLDERS))}
    single -= {name for name in single if writes_only_through_the_store(ROOT / name)}
    assert single == set(WRITERS), "say in WRITERS which door its bytes go through"


OWN = "ours, by the interpreter that runs us, isolated from the current folder"
GIT = "Git, found outside the work tree, with every configured program off"
CONFINED = "what runs inside a sandbox, or makes one"
STARTERS = {
    "factory/commands/registries.py": "the user's own package managers, in the folder /",
    "factory/engine/determinism.py": OWN,
    "factory/evidence/inventory.py": OWN,
    "factory/git/git.py": GIT,
    "factory/merge/integrator.py": OWN,
    "factory/run/other_conditions.py": OWN,
    "factory/sandbox/backend_none.py": "a pack, where the user accepted that nothing confines it",
    "factory/sandbox/command.py": CONFINED,
    "factory/sandbox/confine.py": CONFINED,
    "factory/sandbox/forked.py": CONFINED,
    "factory/sandbox/give_up.py": CONFINED,
    "factory/sandbox/host.py": "bubblewrap of the system or of our own environment",
    "factory/sandbox/link.py": OWN,
    "factory/sandbox/terminal_inside.py": CONFINED,
    "factory/verify/repository.py": GIT,
}
_STARTS = frozenset("run Popen call check_output check_call system popen posix_spawn".split())


def starts(text: str) -> bool:
    """Whether a module starts a program."""
    for node in nodes(text):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            if node.value.id == "subprocess" and node.attr in _STARTS:
                return True
            if node.value.id == "os" and (
                node.attr in _STARTS or node.attr.startswith(("exec", "spawn"))
            ):
                return True
    return False


def test_every_module_that_starts_a_program_is_known_and_says_which() -> None:
    """No setting of a repository executes on the host: docs/factory/TRUST.md."""
    found = {
        path.relative_to(ROOT).as_posix()
        for path in (ROOT / "factory").rglob("*.py")
        if starts(path.read_text(encoding="utf-8"))
    }
    assert found == set(STARTERS)
    assert starts("import os\nos.execvp('a', ['a'])")
    assert not starts("import os\nos.path.join('a')")
