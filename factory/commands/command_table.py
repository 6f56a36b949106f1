"""Which commands there are, in the order people meet them, and the text of `factory --help`.

Rule: imports nothing that costs, since help is asked for more often than anything else. Does not
know what a command does.
"""

from __future__ import annotations

from typing import NamedTuple


class Command(NamedTuple):
    """Describe a command: its name, the module below `factory.commands` that has it, and its line
    of help.
    """

    name: str
    module: str
    line: str


PHASES = (
    Command("preflight", "run", "check repository, configuration, packs and host"),
    Command("launch", "run", "run task packs in their sandboxes"),
    Command("bundle-validate", "run", "re-derive bundles and compare them with their contracts"),
    Command("integrate", "run", "merge validated bundles and check the merged tree"),
    Command("summary", "run", "settle the verdict and say where the evidence is"),
)
"""The phases of `engine.phases` as commands, in their order; a test compares the two."""

ORDER = " → ".join(phase.name for phase in PHASES)

GROUPS: tuple[tuple[str, tuple[Command, ...]], ...] = (
    (
        "Run",
        (
            Command("oneshot", "run", ORDER),
            *PHASES,
        ),
    ),
    (
        "Look",
        (
            Command("plan", "plan", "what would run, in which order, with which action keys"),
            Command("why", "why", "why a pack runs again, or why its verdict is what it is"),
            Command("shell", "shell", "work in a pack's sandbox at a terminal; nothing stays"),
            Command("print-report", "report", "print a run's report, or one log of it"),
            Command("open-run", "report", "print where a run's files are"),
            Command("verify", "verify", "re-derive the evidence of a run from its bytes"),
            Command(
                "determinism",
                "determinism",
                "run a pack twice in two environments and compare every byte",
            ),
            Command(
                "ledger",
                "ledger",
                "what happened, the proof of it, and whether history still agrees",
            ),
            Command(
                "ledger-replay",
                "ledger_replay",
                "rebuild every run from the ledger and compare the folders",
            ),
            Command("evidence", "evidence", "make the index of all runs and artifacts, and ask it"),
            Command("review", "review", "objective checks of the whole repository"),
        ),
    ),
    (
        "Prepare",
        (
            Command(
                "init", "init", "start here: write dodo.py, configuration and a first task pack"
            ),
            Command("taskpack", "taskpack", "start a new task pack, or check one"),
            Command("contract", "contract", "check every pack, schema and configuration"),
            Command("config", "config", "each setting and where it came from"),
            Command("grant", "grant", "what packs ask of you, and your answers"),
            Command("keys", "keys", "make, pin and export the keys that sign evidence"),
            Command("doctor", "doctor", "measure what this host can enforce"),
            Command("gc", "gc", "remove what is proved to be superseded or exported"),
        ),
    ),
)

COMMANDS: tuple[Command, ...] = tuple(command for _, commands in GROUPS for command in commands)

_PURPOSE = "Runs the task packs of a Git repository: isolated, merged, proved."
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
    lines = ["usage: factory COMMAND [OPTION…]", "", _PURPOSE]
    for title, commands in GROUPS:
        lines += ["", title, *(f"  {command.name:<17}{command.line}" for command in commands)]
    return "\n".join((*lines, "", _EXAMPLES))
