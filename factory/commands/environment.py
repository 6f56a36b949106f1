"""Answer `environment`: list, prepare, show and remove what packs need."""

from __future__ import annotations

from argparse import Namespace
from pathlib import Path

from factory.commands.options import Parser, here
from factory.engine import wiring
from factory.engine.preparing import prepare_environment
from factory.engine.run import Run
from factory.judge.path_guard import display
from factory.model.environment import DeclaredEnvironment
from factory.model.errors import UsageError
from factory.model.verdict import Status
from factory.model.wording import counted, nearest
from factory.plan.environments import EnvironmentStore, Prepared
from factory.plan.site import Site
from factory.report.answer import CommandResult
from factory.trust.requests import is_granted, requests_of_environment

HELP = {
    "environment": """\
usage: factory environment list
       factory environment prepare NAME…
       factory environment show NAME
       factory environment remove NAME…

The dependencies and toolchains that factory.toml declares under [environments.NAME], and what was
prepared of them. A run prepares what its packs need; this is for looking, and for doing it anew.

  list      each one: what is there of it, its size and its age
  prepare   make it anew, in a sandbox over its inputs, whatever is there
  show      its commands, inputs and outputs, its digest, and the log of the last preparation
  remove    what was prepared of it; the next run that needs it prepares it again

Ends with 2 where one could not be prepared.
""",
}
_ACTIONS = ("list", "prepare", "show", "remove")
_MOST_LINES = 40
_MIB = 1 << 20


def define(command: str, parser: Parser) -> None:
    """Add what is to be done, and with which."""
    del command
    parser.add_argument("action", choices=_ACTIONS)
    parser.add_argument("names", nargs="*", metavar="NAME")


def run(command: str, given: Namespace) -> CommandResult:
    """Carry it out. Raise Refusal, UsageError."""
    del command
    pipeline = wiring.pipeline(here(), {})
    run, site = pipeline.run, pipeline.site
    store = site.sandbox.environments
    if store is None:
        raise UsageError("expected a state folder to keep environments in, found none")
    try:
        if given.action == "list":
            return _list(run, store)
        names = _named(site, given.names, gone=given.action == "remove", store=store)
        if given.action == "prepare":
            return _prepare(run, names)
        if given.action == "show":
            return _show(run, store, names)
        with site.locks.take("run"):
            return _removed(store.remove(names))
    finally:
        run.workers.close()
        site.sandbox.close()


def _named(site: Site, names: list[str], *, gone: bool, store: EnvironmentStore) -> tuple[str, ...]:
    known = {each.name for each in site.config.environments}
    if gone:
        known |= {one.name for one, _ in store.every()}
    if not names:
        raise UsageError("expected the name of an environment", "see: factory environment list")
    for name in names:
        if name not in known:
            meant = nearest(name, known)
            hint = f"did you mean {meant}?" if meant else "see: factory environment list"
            raise UsageError(f"factory.toml declares no environment {name!r}", hint)
    return tuple(dict.fromkeys(names))


def _list(run: Run, store: EnvironmentStore) -> CommandResult:
    rows, lines = [], []
    declared = run.site.config.environments
    width = max((len(each.name) for each in declared), default=0)
    for each in declared:
        state, found = _state(run, each)
        rows.append(_row(each, state, found))
        size = f"  {_size(found)}, prepared {found.made}" if found is not None else ""
        lines.append(f"{each.name:<{width}}  {state}{size}")
    names = {each.name for each in declared}
    old = [one for one, _ in store.every() if one.name not in names or not _is_now(run, one)]
    if old:
        size_of_all = sum(one.bytes for one in old) / _MIB
        lines.append(
            f"{counted(len(old), 'tree')} of earlier inputs or names, {size_of_all:.1f} MiB:"
            " factory environment remove NAME"
        )
    lines = lines or ["factory.toml declares no environment"]
    return CommandResult(Status.PASS, tuple(lines), details={"environments": rows})


def _is_now(run: Run, one: Prepared) -> bool:
    return run.planner.prepared(one.name) == one


def _state(run: Run, declared: DeclaredEnvironment) -> tuple[str, Prepared | None]:
    """Return a word for what is there, and what was prepared."""
    found = run.planner.prepared(declared.name)
    config = run.site.config
    open_ones = [
        one
        for one in requests_of_environment(declared, config)
        if not is_granted(one, config.grants)
    ]
    if open_ones:
        return "waits for a grant", found
    return ("prepared" if found is not None else "not prepared"), found


def _size(found: Prepared) -> str:
    return f"{counted(found.files, 'file')}, {found.bytes / _MIB:.1f} MiB"


def _row(declared: DeclaredEnvironment, state: str, found: Prepared | None) -> dict[str, object]:
    return {
        "name": declared.name,
        "state": state,
        "kind": "host" if declared.host else "prepare",
        "sha256": found.sha256 if found is not None else "",
        "files": found.files if found is not None else 0,
        "bytes": found.bytes if found is not None else 0,
        "made": found.made if found is not None else "",
    }


def _prepare(run: Run, names: tuple[str, ...]) -> CommandResult:
    lines, worst = [], Status.PASS
    with run.site.locks.take("run"):
        for name in names:
            outcome = prepare_environment(name, run, anew=True)
            lines.append(f"{outcome.status.value}  {outcome.headline}")
            worst = outcome.status if outcome.status is not Status.PASS else worst
    return CommandResult(worst, tuple(lines))


def _show(run: Run, store: EnvironmentStore, names: tuple[str, ...]) -> CommandResult:
    rows, lines = [], []
    for name in names:
        declared = run.site.config.environment(name)
        if declared is None:
            continue
        state, found = _state(run, declared)
        rows.append(_row(declared, state, found))
        lines.append(f"{name}  {state}  {declared.place() or ''}".rstrip())
        lines += [f"  prepare  {display(command)}" for command in declared.prepare]
        for label, values in (
            ("inputs", declared.inputs),
            ("outputs", declared.outputs),
            ("network", declared.network.shown),
            ("host", (declared.host, *declared.also) if declared.host else ()),
        ):
            if values:
                lines.append(f"  {label:<8} {', '.join(map(display, values))}")
        if found is not None:
            lines.append(f"  sha256   {found.sha256}  {_size(found)}, {found.made}")
        lines += _log(store.log(name))
    return CommandResult(Status.PASS, tuple(lines), details={"environments": rows})


def _log(place: Path) -> list[str]:
    try:
        text = place.read_bytes().decode("utf-8", "replace")
    except OSError:
        return []
    found = text.splitlines()
    cut = [f"  … {len(found) - _MOST_LINES} lines before"] if len(found) > _MOST_LINES else []
    return ["  log", *cut, *(f"    {display(line)}" for line in found[-_MOST_LINES:])]


def _removed(gone: tuple[Prepared, ...]) -> CommandResult:
    lines = [f"removed  {one.name}  {_size(one)}, prepared {one.made}" for one in gone]
    rows = [{"name": one.name, "sha256": one.sha256} for one in gone]
    return CommandResult(
        Status.PASS, tuple(lines) or ("nothing was prepared of it",), details={"removed": rows}
    )
