"""Make repositories to measure in: many packs, or many files; and the same tasks for a bare
doit.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

COMMANDS = Path(sys.executable).parent
DODO = (
    "from factory.dodo import DOIT_CONFIG, task_factory\n\n__all__ = ['DOIT_CONFIG',"
    " 'task_factory']\n"
)
PACK_FILES = ("task.yml", "acceptance.yml", "spec.md", "risk.md", "runbook.md")
STEP = "mkdir -p out/{n} && echo {n} > out/{n}/made.txt"
CHECK = "test -f out/{n}/made.txt"

# The tasks of our graph in stock doit: same files, targets and order; actions write their targets.
_BARE = """\
from pathlib import Path

PACKS = [{packs}]
FILES = {files!r}
TOP = Path({top!r})


def write(targets):
    for target in targets:
        Path(target).parent.mkdir(parents=True, exist_ok=True)
        Path(target).write_text(target)


def task(base, name, given, made, after):
    whole = {{"basename": base, "actions": [write], "file_dep": given, "targets": [made], "task_dep": after,
             "doc": "what this does"}}
    return {{**whole, "name": name}} if name else whole


def files(pack):
    return [str(TOP / pack / name) for name in FILES]


def task_all():
    yield task("preflight", None, [path for pack in PACKS for path in files(pack)], "made/preflight", [])
    for pack in PACKS:
        yield task("launch", pack, files(pack), f"made/launch/{{pack}}", ["preflight"])
    for pack in PACKS:
        yield task("bundle-validate", pack, [f"made/launch/{{pack}}"], f"made/validate/{{pack}}", [f"launch:{{pack}}"])
    validated = [f"made/validate/{{pack}}" for pack in PACKS]
    yield task("integrate", None, validated, "made/integrate", [f"bundle-validate:{{pack}}" for pack in PACKS])
    yield task("summary", None, ["made/integrate"], "made/summary", ["integrate"])
    yield {{"basename": "oneshot", "actions": None, "task_dep": ["summary"], "doc": "all of it"}}
"""


def names_of(packs: int) -> list[str]:
    """Return the folder names of that many packs."""
    return [f"B-{number:05}-bench" for number in range(packs)]


def packs_repository(root: Path, packs: int, env: Mapping[str, str]) -> None:
    """Commit a repository of that many packs, each writing one file and checking that it exists."""
    _begin(root, env)
    for name in names_of(packs):
        number = name[2:7]
        step, check = STEP.format(n=number), CHECK.format(n=number)
        _write_pack(root / "taskpacks" / name, number, f"out/{number}/", step, check)
    _commit(root, env)


def one_pack_repository(root: Path, step: str, limits: str, env: Mapping[str, str]) -> None:
    """Commit a repository of one pack that runs `step` and may change `out/`; `limits` is a line of
    its task.yml, or "".
    """
    _begin(root, env)
    folder = root / "taskpacks/B-00000-bench"
    _write_pack(folder, "00000", "out/", step, "test -e out/made", limits)
    _commit(root, env)


def _begin(root: Path, env: Mapping[str, str]) -> None:
    root.mkdir(parents=True)
    _git(root, env, "init", "-q", "-b", "main")
    (root / "dodo.py").write_text(DODO, encoding="utf-8")
    (root / "README.md").write_text("# To measure\n", encoding="utf-8")


def _commit(root: Path, env: Mapping[str, str]) -> None:
    _git(root, env, "add", "-A")
    _git(
        root,
        env,
        "-c",
        "user.name=B",
        "-c",
        "user.email=b@example.invalid",
        "commit",
        "-qm",
        "packs",
    )


def _write_pack(
    folder: Path, number: str, scope: str, step: str, check: str, limits: str = ""
) -> None:
    folder.mkdir(parents=True)
    task = (
        f"version: 1\nid: B-{number}\ntitle: Pack {number}\ntype: platform\nscope: {{allowed_paths:"
        f" [{scope}]}}\ninputs: [README.md]\n{limits}steps:\n  - {{name: make, run: '{step}'}}\n"
    )
    (folder / "task.yml").write_text(task, encoding="utf-8")
    (folder / "acceptance.yml").write_text(
        f"checks:\n  - {{name: made, run: '{check}'}}\n", encoding="utf-8"
    )
    for name in PACK_FILES[2:]:
        (folder / name).write_text(
            f"# {name} of {number}\n\nWhat a person reads.\n", encoding="utf-8"
        )


def bare_project(root: Path, packs_of: Path, packs: int) -> None:
    """Write a folder whose `dodo.py` has the tasks that ours would make of the repository
    `packs_of`.
    """
    root.mkdir(parents=True)
    listed = ", ".join(map(repr, names_of(packs)))
    text = _BARE.format(packs=listed, files=PACK_FILES, top=str(packs_of / "taskpacks"))
    (root / "dodo.py").write_text(text, encoding="utf-8")


def files_repository(root: Path, files: int, env: Mapping[str, str]) -> None:
    """Make a repository of that many small files, a hundred a folder, by one fast-import.

    Its work tree is empty.
    """
    root.mkdir(parents=True)
    _git(root, env, "init", "-q", "-b", "main")
    subprocess.run(
        ["git", "fast-import", "--quiet"],
        cwd=root,
        env=dict(env),
        check=True,
        input=b"".join(_stream(files)),
    )


def _stream(files: int) -> Iterator[bytes]:
    yield b"commit refs/heads/main\ncommitter B <b@example.invalid> 1 +0000\ndata 5\nfiles\n"
    for number in range(files):
        text = b"file %d\n" % number
        yield b"M 644 inline d%04d/f%02d.txt\ndata %d\n%s" % (
            number // 100,
            number % 100,
            len(text),
            text,
        )


def _git(root: Path, env: Mapping[str, str], *words: str) -> None:
    subprocess.run(["git", *words], cwd=root, env=dict(env), check=True, capture_output=True)
