"""Answer `init`: write the first files of a repository, and say what to do next."""

from __future__ import annotations

import os
import shutil
import tempfile
from argparse import Namespace
from collections.abc import Iterable
from pathlib import Path

from factory.commands.options import Parser, here
from factory.commands.registries import hosts_of
from factory.contract.ecosystems import Recipe, recognise
from factory.contract.scaffold import (
    begin,
    dependencies_pack,
    found_line,
    inventory_pack,
    judge_hidden,
)
from factory.contract.work_tree import UserWorkTree
from factory.engine.wiring import sound_config
from factory.files.added_files import AddedFiles
from factory.files.templates import read_templates
from factory.git import checkout, repository
from factory.git.objects import GitObjects
from factory.git.ports import Repository
from factory.judge.status_eval import of_findings
from factory.model.errors import Refusal
from factory.report.answer import CommandResult, finding_lines

_LARGEST_LOCK_FILE = 16 << 20  # bytes

HELP = {
    "init": """\
usage: factory init [--nox]

Start with task packs in this Git repository: writes dodo.py, factory.toml, .gitignore and a
first task pack. Where files show how dependencies are installed (pip, uv, poetry, npm, pnpm,
cargo, go, Maven, make), it checks them, in an environment that factory.toml declares; else it takes
an inventory of the files. What exists already is kept, and no file of the repository is run.

  factory init && factory oneshot

options
  --nox                 write a noxfile.py too, with the sessions `contract` and `oneshot` for CI
""",
}


def define(command: str, parser: Parser) -> None:
    """Add the choice of a noxfile.py."""
    del command
    parser.add_argument("--nox", action="store_true")


def run(command: str, given: Namespace) -> CommandResult:
    """Write what is missing. Raise Refusal."""
    del command
    start = here()
    root = repository.root_of(start)
    packs_folder = sound_config(root, {}).packs_folder
    found = _repository_or_none(start)

    def ignored(paths: Iterable[str]) -> frozenset[str]:
        return _ignored_in_base(found, tuple(paths)) if found is not None else frozenset()

    added, templates = AddedFiles(root), read_templates("init")
    if not given.nox:
        del templates["noxfile.py"]
    recipes = recognise(_top_files(root), _below_usr)
    first = (
        dependencies_pack(recipes, _hosts(root, recipes), read_templates("dependencies"))
        if recipes
        else inventory_pack(added, templates, packs_folder, ignored)
    )
    begun = begin(added, templates, first, packs_folder)
    hidden = checkout.ignored_below(found, packs_folder) if found is not None else frozenset()
    findings = judge_hidden(begun, hidden, packs_folder)
    lines = [
        *([f"found  {found_line(recipes)}"] if recipes else []),
        *(f"wrote  {path}" for path in begun.written),
        *(f"kept   {path}" for path in begun.kept),
    ]
    if b"factory.dodo" not in (UserWorkTree(root).read("dodo.py") or b""):
        lines += ["", "dodo.py was kept and does not make our tasks yet; add to it:"]
        lines += [f"  {line}".rstrip() for line in begun.imports.splitlines()]
    if begun.environments and "factory.toml" in begun.kept:
        lines += ["", "factory.toml was kept; add to it:"]
        lines += [f"  {line}".rstrip() for line in begun.environments.splitlines()]
    lines += ["", *finding_lines(findings)] if findings else []
    asks = bool(begun.environments)
    lines += ["", *_next(found is not None, begun.written, asks)]
    details = {"written": list(begun.written), "kept": list(begun.kept)}
    return CommandResult(of_findings(findings), tuple(lines), findings, details=details)


def _repository_or_none(start: Path) -> Repository | None:
    """Return the repository with its commit; None if it has none yet. Raise Refusal for anything
    else.
    """
    try:
        return repository.discover(start, "HEAD")
    except Refusal as refusal:
        if refusal.findings[0].id != "REPO_NO_COMMITS":
            raise
        return None


def _ignored_in_base(found: Repository, paths: tuple[str, ...]) -> frozenset[str]:
    """Return the paths that the base commit's rules ignore: they decide what a pack may change."""
    with (
        tempfile.TemporaryDirectory(prefix="factory-init-") as folder,
        GitObjects(found, Path(folder)) as objects,
    ):
        return objects.ignored(objects.tree_of(found.commit), paths)


def _top_files(root: Path) -> dict[str, bytes]:
    """Return the plain files at the root by name, but for those that are too large to be a manifest
    or a lock file.
    """
    tree = UserWorkTree(root)
    names = [entry.name for entry in os.scandir(root) if _may_be_manifest(entry)]
    contents = ((name, tree.read(name)) for name in sorted(names))
    return {name: content for name, content in contents if content is not None}


def _may_be_manifest(entry: os.DirEntry[str]) -> bool:
    return entry.is_file(follow_symlinks=False) and entry.stat().st_size <= _LARGEST_LOCK_FILE


def _below_usr(program: str) -> bool:
    """Return whether every sandbox sees a program, since it is below /usr."""
    return shutil.which(program, path="/usr/local/bin:/usr/bin:/bin") is not None


def _hosts(root: Path, recipes: tuple[Recipe, ...]) -> dict[str, tuple[str, ...]]:
    """Return the hosts that each environment needs: those of its lock file, and those that the
    user's package manager is configured for.
    """
    npmrc = UserWorkTree(root).read(".npmrc") or b""
    return {
        each.name: tuple(sorted({*each.hosts, *hosts_of(each.asks, os.environ, root, npmrc)}))
        for each in recipes
        if each.prepare
    }


def _next(has_commit: bool, written: tuple[str, ...], asks: bool) -> list[str]:
    commit = "git add -A && git commit -m 'Task packs'"
    rows = [
        *([] if has_commit else [(commit, "a run starts from a commit")]),
        *([("factory grant", "let its environments have what they ask for")] if asks else []),
        ("doit oneshot", "run the first pack"),
        *([(commit, "so that a run can be published")] if has_commit and written else []),
    ]
    heads = ("Next ", *("     " for _ in rows))
    return [f"{head}  {words:<42} {why}" for head, (words, why) in zip(heads, rows, strict=False)]
