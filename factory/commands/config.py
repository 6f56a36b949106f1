"""Answer `config`: each setting, its value, and where that came from."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Iterable, Mapping, Sequence
from enum import Enum

from factory.commands.options import Parser, add_refs, flags_of, here
from factory.contract.settings import SETTINGS, Setting
from factory.engine.wiring import load_config
from factory.files.user_places import user_config_file
from factory.git import repository
from factory.judge.status_eval import of_findings
from factory.model.config import CEILINGS, Config, Source
from factory.model.names import CONFIG_FILE
from factory.model.verdict import Status
from factory.model.wording import counted
from factory.report.answer import CommandResult, finding_lines
from factory.strict.values import LARGEST_INTEGER

HELP = {
    "config": """\
usage: factory config [OPTION…]

Show each setting, its value, what a repository may do with it, and where the value came from:
default < your own file < the repository's factory.toml < FACTORY_* in the environment < a flag;
whose policy is in force, and what packs ask that you have not granted. Ends with 2 if a file
is not valid.

options
  --policy-ref REF      the commit whose configuration and keys are in force: a full name of a ref
""",
}


def define(command: str, parser: Parser) -> None:
    """Define whose policy is looked at."""
    del command
    add_refs(parser, base=False)


def run(command: str, given: Namespace) -> CommandResult:
    """Return every setting, whose policy it is, and what is asked. Raise Refusal."""
    from factory.commands.grant import open_requests  # its help does not load another command

    del command
    config, findings = load_config(repository.root_of(here()), flags_of(given))
    user_file = str(user_config_file())
    rows = [_row(setting, config, user_file) for setting in SETTINGS]
    width = max(len(row["name"]) for row in rows)
    lines = config_lines(rows)
    status = of_findings(findings)
    asked = open_requests() if status is Status.PASS else ()
    policy = (
        f"{config.policy_ref} at {config.policy_commit[:12]}, tightened by the work tree"
        if config.policy_commit
        else "the work tree's, since policy_ref is not set"
    )
    lines += ["", f"{'policy':<{width}}  {policy}"]
    if asked:
        count = f"{counted(len(asked), 'request')} that you have not granted; see: factory grant"
        lines.append(f"{'asked':<{width}}  {count}")
    details = {
        "settings": rows,
        "user_file": user_file,
        "policy": {"ref": config.policy_ref, "commit": config.policy_commit},
        "asked": [{"kind": row.kind.value, "thing": row.thing, "pack": row.pack} for row in asked],
    }
    told_lines = (*lines, *(("",) if findings else ()), *finding_lines(findings))
    return CommandResult(status, told_lines, findings, details=details)


_MAY = {
    "neutral": "a repository may set it",
    "tightens": "a repository may only make it stricter",
    "request": "a repository may ask for it, and you grant it",
    "user": "yours alone",
}
_BYTES = {"memory", "disk", "output", "upload", "download"}


def config_lines(rows: Sequence[Mapping[str, str]]) -> list[str]:
    """Return the settings as tables for a person: first what somebody set, with where, then the
    defaults; in both by who may set it.
    """
    width = max(len(row["name"]) for row in rows)
    lines: list[str] = []
    for title, kept in (
        ("Set, beyond the defaults", [row for row in rows if row["source"] != "default"]),
        ("Defaults", [row for row in rows if row["source"] == "default"]),
    ):
        lines += ["", title] if lines and kept else [title] if kept else []
        for direction, who in _MAY.items():
            shown = [row for row in kept if row["direction"] == direction]
            lines += [f"  {who}"] if shown else []
            for row in shown:
                where = "" if row["source"] == "default" else f"   ({row['source']})"
                lines.append(f"    {row['name']:<{width}}  {_with_unit(row)}{where}")
    return lines


def _with_unit(row: Mapping[str, str]) -> str:
    """Return a value with its unit, a whole number of GiB or MiB as such."""
    section, _, key = row["name"].partition(".")
    value = row["value"]
    if section == "ceilings" and key in ("timeout", "idle") and value.isdecimal():
        return f"{value} s"
    if section != "ceilings" or key not in _BYTES or not value.isdecimal():
        return value
    number = int(value)
    for size, unit in ((1 << 30, "GiB"), (1 << 20, "MiB")):
        if number and number % size == 0:
            return f"{number // size} {unit}"
    return f"{value} bytes"


def _row(setting: Setting, config: Config, user_file: str) -> dict[str, str]:
    found = dict(config.sources)
    field = {"accept_missing": "accepted_missing"}.get(setting.name, setting.name)
    if setting.section == "ceilings":
        bound = getattr(config.ceilings, setting.key)
        value = str(bound) if bound < LARGEST_INTEGER else "none"
        default = bound == getattr(CEILINGS, setting.key)
        source = Source.DEFAULT if default else found.get("ceilings", Source.DEFAULT)
    else:
        value = _shown(getattr(config, field))
        source = found.get(field, Source.DEFAULT)
    if setting.name == "network_hosts" and config.network_within is not None:
        value += f" (within {_shown(config.network_within)})"
    return {
        "name": f"{setting.section}.{setting.key}",
        "value": value,
        "source": _where(source, setting, user_file),
        "direction": setting.direction.value,
    }


def _where(source: Source, setting: Setting, user_file: str) -> str:
    match source:
        case Source.DEFAULT:
            return "default"
        case Source.USER:
            return f"yours: {user_file}"
        case Source.REPOSITORY:
            return f"repository: {CONFIG_FILE}"
        case Source.JUDGED:
            return f"work tree: {CONFIG_FILE}"
        case Source.ENVIRONMENT:
            return f"environment: {setting.variable}"
        case Source.FLAG:
            return "flag"


def _shown(value: object) -> str:
    if isinstance(value, Enum):
        return str(value.value)
    if isinstance(value, (frozenset, tuple)):
        return ", ".join(_ordered(value)) or "none"
    return str(value) if value != "" else "none"


def _ordered(values: Iterable[object]) -> list[str]:
    return sorted(str(value.value) if isinstance(value, Enum) else str(value) for value in values)
