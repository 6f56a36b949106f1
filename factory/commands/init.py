"""Answer `init`: write the first files of a repository, and say what to do next."""

from __future__ import annotations

import tempfile
from argparse import Namespace
from collections.abc import Iterable
from pathlib import Path

from factory.commands.options import Parser, here
from factory.contract.scaffold import begin, judge_hidden
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

HELP = {
    "init": """\
usage: factory init

Start with task packs in this Git repository: writes dodo.py, noxfile.py, factory.toml, .gitignore
and a first task pack that takes an inventory of the files. What exists already is kept.

  factory init && doit oneshot

options
""",
}


def define(command: str, parser: Parser) -> None:
    """Add nothing: there is nothing to choose."""
    del command, parser


def run(command: str, given: Namespace) -> CommandResult:
    """Write what is missing. Raise Refusal."""
    del command, given
    start = here()
    root = repository.root_of(start)
    packs_folder = sound_config(root, {}).packs_folder
    found = _repository_or_none(start)

    def ignored(paths: Iterable[str]) -> frozenset[str]:
        return _ignored_in_base(found, tuple(paths)) if found is not None else frozenset()

    begun = begin(AddedFiles(root), read_templates("init"), packs_folder, ignored)
    hidden = checkout.ignored_below(found, packs_folder) if found is not None else frozenset()
    findings = judge_hidden(begun, hidden, packs_folder)
    lines = [
        *(f"wrote  {path}" for path in begun.written),
        *(f"kept   {path}" for path in begun.kept),
    ]
    if b"factory.dodo" not in (UserWorkTree(root).read("dodo.py") or b""):
        lines += ["", "dodo.py was kept and does not make our tasks yet; add to it:"]
        lines += [f"  {line}".rstrip() for line in begun.imports.splitlines()]
    lines += ["", *finding_lines(findings)] if findings else []
    lines += ["", *_next(found is not None, begun.written)]
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


def _next(has_commit: bool, written: tuple[str, ...]) -> list[str]:
    commit = "git add -A && git commit -m 'Task packs'"
    if not has_commit:
        return [
            f"Next   {commit:<42} a run starts from a commit",
            f"       {'doit oneshot':<42} run the first pack",
        ]
    lines = [f"Next   {'doit oneshot':<42} run the first pack"]
    return [*lines, f"       {commit:<42} so that a run can be published"] if written else lines
