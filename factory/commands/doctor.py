"""Answer `doctor`: one row for each thing looked at, then what blocks or warns."""

from __future__ import annotations

import datetime
import os
import platform
import sys
import tempfile
from argparse import Namespace
from collections.abc import Iterator
from dataclasses import replace
from importlib import metadata
from pathlib import Path
from typing import Any

from factory.commands.options import Parser, here
from factory.contract import configuration
from factory.engine import wiring
from factory.files.config_files import read_user_config
from factory.files.fs_guard import free_space
from factory.files.user_places import user_config_file
from factory.git.git import Git, GitError, find_git
from factory.git.objects import GitObjects
from factory.git.ports import Repository
from factory.git.views import ViewStore
from factory.model.config import Config
from factory.model.errors import Refusal
from factory.model.finding import Finding
from factory.model.layout import CACHE, GIT, VIEWS, WORKTREES
from factory.model.verdict import Status
from factory.model.wording import counted
from factory.plan.site import Site
from factory.plan.stages import PackSandbox
from factory.report.answer import CommandResult, finding_lines
from factory.run.doctor import Checkup, HostFacts, Mark, Row, check_up, lacking, ladder
from factory.sandbox import backends
from factory.sandbox.backend import SandboxSetting
from factory.sandbox.backends import IsolationMode
from factory.sandbox.host import sandbox_owner
from factory.sandbox.host_sandbox import HostSandbox
from factory.sandbox.properties import Enforcement, Property, PropertyProof
from factory.sandbox.python_env import ANYWHERE

HELP = {
    "doctor": """\
usage: factory doctor [--backends]

Examine this host: git, Python, doit, the sandbox and how each of its properties was proved by
trying, free disk, locks in use, worktrees left behind, your configuration. Ends with 0 where packs
can run, else 2. Works outside a repository too.

options
  --backends            measure also what each other way of confining packs would give here
""",
}


def define(command: str, parser: Parser) -> None:
    """Add the option to measure every backend."""
    del command
    parser.add_argument("--backends", action="store_true")


def run(command: str, given: Namespace) -> CommandResult:
    """Examine the host."""
    del command
    checkup = _check_up(here())
    lines = doctor_lines(checkup)
    good = (
        "this host can enforce what is required"
        if checkup.status is Status.PASS
        else "packs cannot run here"
    )
    details: dict[str, Any] = {
        "rows": [
            {"topic": row.topic, "state": row.mark.value, "text": row.whole} for row in checkup.rows
        ]
    }
    if given.backends:
        measured = _measure_backends()
        lines += _ladder(measured)
        details["backends"] = [
            {
                "backend": name,
                "properties": {
                    p.property.value: {"given": p.given, "how": p.how} for p in enforcement.proofs
                },
                "escaped": list(enforcement.escaped),
                "facts": dict(enforcement.facts),
            }
            for name, enforcement in measured
        ]
    return CommandResult(
        checkup.status,
        (*lines, f"{checkup.status.value}  {good}"),
        checkup.findings,
        details=details,
    )


def doctor_lines(checkup: Checkup) -> list[str]:
    """Return the rows as tables for a person, one for host, sandbox, properties and what lies here;
    in each, what is not in order comes first. Then the findings.
    """
    width = max(len(row.topic) for row in checkup.rows)
    mark = max(len(each.value) for each in Mark)
    lines: list[str] = []
    properties = {each.value for each in Property}
    groups = {"Host": _HOST, "Sandbox": {"sandbox"}, "Enforced, as tried": properties}
    named = set().union(*groups.values())
    groups["Here"] = {row.topic for row in checkup.rows} - named
    for title, topics in groups.items():
        rows = sorted(
            (row for row in checkup.rows if row.topic in topics),
            key=lambda row: row.mark is Mark.GOOD,
        )
        lines += ["", title] if lines and rows else [title] if rows else []
        for row in rows:
            lines.append(f"  {row.topic:<{width}}  {row.mark.value:<{mark}}  {row.text}")
            lines += [f"    {name:<{width + mark}}  {value}" for name, value in row.facts]
    return [*lines, "", *finding_lines(checkup.findings)]


_HOST = {"system", "git", "python", "doit"}


def _ladder(measured: tuple[tuple[str, Enforcement], ...]) -> list[str]:
    rows = ladder(measured)
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    table = [
        "  ".join(f"{cell:<{width}}" for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    ]
    return ["", *table, "", *lacking(measured), ""]


def _check_up(start: Path) -> Checkup:
    """Return what is known of this host, in a repository or outside one."""
    try:
        opened = wiring.site(start, {})
    except Refusal as refusal:
        return _check_up_outside(refusal.findings)
    try:
        enforcement = opened.sandbox.measure(network=True)
    finally:
        opened.sandbox.close()
    holders = tuple(opened.locks.holders())
    facts = _gather(opened.store.root, holders, opened.store.names(WORKTREES), user_config_file())
    found = check_up(facts, opened.config, enforcement, str(opened.repository.root), ())
    return replace(found, rows=(*found.rows, *_environments(opened)))


def _environments(site: Site) -> Iterator[Row]:
    """Yield a row for each prepared environment: how much is in it, and how old it is."""
    store = site.sandbox.environments
    for one, _ in store.every() if store is not None else ():
        made = datetime.datetime.fromisoformat(one.made)
        days = (datetime.datetime.now(datetime.UTC) - made).days
        size = f"{counted(one.files, 'file')}, {one.bytes / (1 << 20):.1f} MiB"
        yield Row(f"environment {one.name}", Mark.GOOD, f"{size}, {counted(days, 'day')} old")


def _check_up_outside(refused: tuple[Finding, ...]) -> Checkup:
    """Return what is known of this host without a repository, measured in a temporary folder."""
    config = _user_config()
    with tempfile.TemporaryDirectory(prefix="factory-doctor-") as folder:
        state = Path(folder)
        enforcement, more = _measure_in(state, config)
        facts = _gather(Path(folder).parent, (), (), user_config_file())
    return check_up(
        facts, config, enforcement, "", (*refused, *(f for f in more if f not in refused))
    )


def _gather(
    state: Path, held: tuple[str, ...], worktrees: tuple[str, ...], user_config: Path
) -> HostFacts:
    """Return the facts of this host, with what was found in the state folder."""
    git_program, git = _git(state)
    return HostFacts(
        platform=f"{platform.system()} {platform.release()} {platform.machine()}",
        python=platform.python_version(),
        python_program=sys.executable,
        git=git,
        git_program=git_program,
        doit=_version("doit"),
        state=str(state),
        free=free_space(state),
        locked=held,
        worktrees=worktrees,
        user_config=str(user_config),
        user_config_exists=user_config.is_file(),
    )


def _git(state: Path) -> tuple[str, str]:
    try:
        program = find_git(state)
        said = Git(program, Path("/")).run("version").out.decode("ascii", "replace").strip()
    except (Refusal, GitError, OSError):
        return "", ""
    return program, said.removeprefix("git version ")


def _version(distribution: str) -> str:
    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return ""


def _measure_backends() -> tuple[tuple[str, Enforcement], ...]:
    """Return what each backend enforces on this host, best first, with the user's settings."""
    measured = []
    for backend in backends.NAMES:
        config = replace(_user_config(), backend=backend, isolation=IsolationMode.AUTO)
        with tempfile.TemporaryDirectory(prefix="factory-doctor-") as folder:
            enforcement, refused = _measure_in(Path(folder), config)
        why = refused[0].attributed if refused else "not measured"
        nothing = Enforcement("none", tuple(PropertyProof(each, False, why) for each in Property))
        measured.append((backend, enforcement or nothing))
    return tuple(measured)


def _measure_in(state: Path, config: Config) -> tuple[Enforcement | None, tuple[Finding, ...]]:
    nowhere = Repository(state, state / "none", state / "none", "sha1", "", "", "")
    try:
        objects = GitObjects(nowhere, state / GIT)
        views = ViewStore(objects, state / VIEWS, sandbox_owner())
        setting = SandboxSetting(
            state / CACHE,
            state / WORKTREES,
            config.isolation,
            config.python,
            backend=config.backend,
            shown=ANYWHERE,  # the configuration is the user's own
        )
        sandbox = PackSandbox(HostSandbox(setting), views, objects)
        try:
            return sandbox.measure(network=True), ()
        finally:
            sandbox.close()
            objects.close()
    except Refusal as refusal:
        return None, refusal.findings


def _user_config() -> Config:
    """Return the configuration without a repository; the default one where it cannot be read, which
    whoever opens a repository is refused for.
    """
    file = user_config_file()
    try:
        content = read_user_config()
    except Refusal:
        return Config()
    return configuration.read(content, None, os.environ, {}, user_file=str(file))[0]
