"""List the commands in the order people meet them, with the text of `factory --help`.

Rule: imports nothing that costs, since help is asked for more often than anything else. Does not
know what a command does.
"""

from __future__ import annotations

from typing import NamedTuple


class Subcommand(NamedTuple):
    """Describe a command: its name, the module below `factory.commands` that has it, and its line
    of help.
    """

    name: str
    module: str
    line: str


PHASES = (
    Subcommand("preflight", "run", "check repository, configuration, packs and host"),
    Subcommand("launch", "run", "run task packs in their sandboxes"),
    Subcommand("bundle-validate", "run", "re-derive bundles and compare them with their contracts"),
    Subcommand("integrate", "run", "merge validated bundles and check the merged tree"),
    Subcommand("summary", "report", "print the verdict of the last run and where its evidence is"),
)
"""The phases of `engine.phases` as commands, in their order; a test compares the two."""

ORDER = " → ".join(phase.name for phase in PHASES)

GROUPS: tuple[tuple[str, tuple[Subcommand, ...]], ...] = (
    (
        "Run",
        (
            Subcommand("oneshot", "run", ORDER),
            *PHASES,
            Subcommand("apply", "apply", "put the result of a PASS onto your clean work tree"),
        ),
    ),
    (
        "Look",
        (
            Subcommand("plan", "plan", "what would run, in which order, with which action keys"),
            Subcommand("why", "why", "why a pack runs again, or why its verdict is what it is"),
            Subcommand("shell", "shell", "work in a pack's sandbox at a terminal; nothing stays"),
            Subcommand("prove", "prove", "what a pack's change proves; nothing stays"),
            Subcommand("print-report", "report", "print a run's report, or one log of it"),
            Subcommand("open-run", "report", "print where a run's files are"),
            Subcommand("verify", "verify", "re-derive the evidence of a run from its bytes"),
            Subcommand(
                "determinism",
                "determinism",
                "run a pack twice in two environments and compare every byte",
            ),
            Subcommand(
                "ledger",
                "ledger",
                "what happened, the proof of it, and whether history still agrees",
            ),
            Subcommand(
                "ledger-replay",
                "ledger_replay",
                "rebuild every run from the ledger and compare the folders",
            ),
            Subcommand(
                "evidence", "evidence", "make the index of all runs and artifacts, and ask it"
            ),
            Subcommand("review", "review", "objective checks of the whole repository"),
        ),
    ),
    (
        "Prepare",
        (
            Subcommand(
                "init", "init", "start here: write dodo.py, configuration and a first task pack"
            ),
            Subcommand("taskpack", "taskpack", "start a new task pack, or check one"),
            Subcommand("check", "check", "a small check of files, for acceptance.yml"),
            Subcommand("contract", "contract", "check every pack, schema and configuration"),
            Subcommand("config", "config", "each setting and where it came from"),
            Subcommand("grant", "grant", "what packs ask of you, and your answers"),
            Subcommand(
                "environment", "environment", "what packs need: list, prepare, show, remove"
            ),
            Subcommand("keys", "keys", "make, pin and export the keys that sign evidence"),
            Subcommand("doctor", "doctor", "measure what this host can enforce"),
            Subcommand("gc", "gc", "remove what is proved to be superseded or exported"),
            Subcommand("completion", "completion", "complete commands, packs and runs in a shell"),
        ),
    ),
)

COMMANDS: tuple[Subcommand, ...] = tuple(command for _, commands in GROUPS for command in commands)

PURPOSE = "Runs the task packs of a Git repository: isolated, merged, proved."
_EXAMPLES = """\
Examples
  factory init                          in any Git repository, to begin
  factory oneshot                       the main job; the same as `doit oneshot`
  factory oneshot -n 4 --base-ref main  four packs at a time, from another commit
  factory why TASK-0101                 what changed, or what blocks it
  factory oneshot --json | jq .status   for programs

Exit codes: 0 PASS, 2 BLOCKED, 1 FAIL, 64 wrong usage, 130 interrupted.
`factory COMMAND --help` lists the options of a command."""


def overview() -> str:
    """Return the text of `factory --help`."""
    lines = ["usage: factory COMMAND [OPTION…]", "", PURPOSE]
    for title, commands in GROUPS:
        lines += ["", title, *(f"  {command.name:<17}{command.line}" for command in commands)]
    return "\n".join((*lines, "", _EXAMPLES))
