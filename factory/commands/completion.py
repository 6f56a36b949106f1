"""Answer `completion`: print what makes a shell complete commands, options, packs and runs.

The script is made from the table of commands and their parsers. Names of packs and runs are read
when they are asked for, as names of folders and nothing more: no Git, no configuration but the
packs' folder, and no file of a repository is executed. Only names that no shell reads anything into
are printed.
"""

from __future__ import annotations

import importlib
import re
import shlex
import tomllib
from argparse import Namespace
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple, cast

from factory.commands.cli import CommandModule
from factory.commands.command_table import COMMANDS, Subcommand
from factory.commands.options import Parser, here, read_named
from factory.model.layout import RUNS, STATE_FOLDER
from factory.model.names import CONFIG_FILE, PACK_FOLDER
from factory.model.verdict import Status
from factory.report.answer import CommandResult

HELP = {
    "completion": """\
usage: factory completion bash|zsh|fish

Print what makes a shell complete commands, options, packs and names of runs.

  factory completion bash > ~/.local/share/bash-completion/completions/factory
  factory completion zsh > ~/.zfunc/_factory          # a folder of your fpath
  factory completion fish > ~/.config/fish/completions/factory.fish

`factory completion packs` and `factory completion runs` print the names that are completed: those
of folders; nothing of a repository is executed.

options
"""
}

_PLAIN = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,200}")
_MOST = 2000  # names; more are no help to anybody
_NAMES = {"PACK": "packs", "RUN_ID": "runs"}


class Words(NamedTuple):
    """List what may follow one command: its options, and which names of a repository."""

    options: tuple[str, ...]
    names: tuple[str, ...]


def define(command: str, parser: Parser) -> None:
    """Add what is printed."""
    del command
    choices = (*SHELLS, *LISTS)
    parser.add_argument("what", choices=choices, metavar="bash|zsh|fish|packs|runs")


def run(command: str, given: Namespace) -> CommandResult:
    """Return the script, or the names."""
    del command
    if given.what in LISTS:
        lines = tuple(LISTS[given.what](root_above(here())))
    else:
        lines = tuple(SHELLS[given.what]())
    return CommandResult(Status.PASS, lines, details={"lines": list(lines)}, verbatim=True)


def words_of(command: Subcommand) -> Words:
    """Return what may follow a command, as its parser says."""
    module = cast("CommandModule", importlib.import_module(f"factory.commands.{command.module}"))
    parser = Parser(command.name)
    module.define(command.name, parser)
    said = parser.options()
    names = (_NAMES[word] for word in ("PACK", "RUN_ID") if any(word in one for one in said))
    return Words(
        tuple(one for one in (*said, "--help") if one.startswith("--")), tuple(dict.fromkeys(names))
    )


# ── names of a repository ────────────────────────────────────────────────────


def root_above(start: Path) -> Path | None:
    """Return the nearest folder at or above `start` that has a `.git`; None if there is none."""
    return next((at for at in (start, *start.parents) if (at / ".git").exists()), None)


def packs_below(root: Path | None) -> Iterator[str]:
    """Yield the ids of the packs of a repository, as the names of their folders say them."""
    if root is None:
        return
    folder = root / _packs_folder(root)
    for name in _folders(folder):
        if (folder / name / "task.yml").is_file():
            known = PACK_FOLDER.fullmatch(name)
            yield known["id"] if known is not None else name


def runs_below(root: Path | None) -> Iterator[str]:
    """Yield the names of the runs of a repository, the newest first."""
    if root is not None:
        yield from reversed(_folders(root / STATE_FOLDER / RUNS))


def _packs_folder(root: Path) -> str:
    """Return the folder that factory.toml names for packs; the default one if it names none that
    is inside the repository.
    """
    try:
        said = tomllib.loads((read_named(root, CONFIG_FILE) or b"").decode("utf-8"))
        folder = said["packs"]["folder"]
    except (ValueError, LookupError, TypeError):
        return "taskpacks"
    inside = isinstance(folder, str) and not Path(folder).is_absolute()
    return folder if inside and ".." not in Path(folder).parts else "taskpacks"


def _folders(place: Path) -> list[str]:
    """Return the names of folders in a folder, sorted; only names that are plain words."""
    try:
        names = [one.name for one in place.iterdir() if _PLAIN.fullmatch(one.name)]
    except OSError:
        return []
    return sorted(names)[-_MOST:]


# ── shells ───────────────────────────────────────────────────────────────────


def _bash() -> Iterator[str]:
    yield "# bash completion of factory; made by: factory completion bash"
    yield "_factory() {"
    yield "  local cur=${COMP_WORDS[COMP_CWORD]} words="
    yield "  COMPREPLY=()"
    yield '  if [ "$COMP_CWORD" -eq 1 ]; then'
    yield f"    words={_quoted(command.name for command in COMMANDS)}"
    yield "  else"
    yield "    case ${COMP_WORDS[1]} in"
    for command in COMMANDS:
        words = words_of(command)
        yield f"    {command.name})"
        yield f"      words={_quoted(words.options)}"
        for name in words.names:
            yield f'      [[ $cur == -* ]] || words+=" $(factory completion {name} 2>/dev/null)"'
        yield "      ;;"
    yield "    esac"
    yield "  fi"
    yield '  mapfile -t COMPREPLY < <(compgen -W "$words" -- "$cur")'
    yield "}"
    yield "complete -o default -F _factory factory"


def _zsh() -> Iterator[str]:
    yield "#compdef factory"
    yield "# zsh completion of factory; made by: factory completion zsh"
    yield "_factory() {"
    yield "  if (( CURRENT == 2 )); then"
    yield "    local -a commands"
    rows = (shlex.quote(f"{one.name}:{one.line.replace(':', ' ')}") for one in COMMANDS)
    yield f"    commands=({' '.join(rows)})"
    yield "    _describe -t commands command commands"
    yield "    return"
    yield "  fi"
    yield "  case $words[2] in"
    for command in COMMANDS:
        words = words_of(command)
        yield f"  {command.name})"
        yield f"    compadd -- {' '.join(words.options)}"
        for name in words.names:
            yield f'    compadd -- ${{(f)"$(factory completion {name} 2>/dev/null)"}}'
        yield "    ;;"
    yield "  esac"
    yield "  _files"
    yield "}"
    yield 'if [ "$funcstack[1]" = _factory ]; then _factory "$@"; else compdef _factory factory; fi'


def _fish() -> Iterator[str]:
    yield "# fish completion of factory; made by: factory completion fish"
    for command in COMMANDS:
        yield (
            "complete -c factory -n __fish_use_subcommand -f"
            f" -a {command.name} -d {shlex.quote(command.line)}"
        )
    for command in COMMANDS:
        words = words_of(command)
        seen = f"complete -c factory -n '__fish_seen_subcommand_from {command.name}'"
        for option in words.options:
            yield f"{seen} -l {option.removeprefix('--')}"
        for name in words.names:
            yield f"{seen} -f -a '(factory completion {name} 2>/dev/null)'"


def _quoted(words: Iterable[str]) -> str:
    return shlex.quote(" ".join(words))


SHELLS = {"bash": _bash, "zsh": _zsh, "fish": _fish}
LISTS = {"packs": packs_below, "runs": runs_below}
