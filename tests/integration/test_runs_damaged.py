"""A finished run that somebody changed by hand holds no more, and a ledger that lost its runs is
missed.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, cast

import pytest

from factory.evidence import settle
from factory.evidence.inventory import RunInventory
from factory.evidence.run_intact import run_damage
from factory.model.errors import Refusal
from factory.model.evidence import Manifest, ManifestEntry
from factory.model.evidence_text import format_document, sha256
from factory.model.findings.entry import Severity
from factory.plan.site import Site
from tests import in_process
from tests.world import World

if TYPE_CHECKING:
    from factory.git.objects import GitObjects

pytestmark = pytest.mark.linux

PACK = """
    scope: {allowed_paths: ["docs/"]}
    steps: [{name: write, run: "mkdir -p docs && echo one > docs/one.txt"}]
"""


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> World:
    """A repository with one PASS run, and a copy of it to go back to."""
    made = World(tmp_path_factory.mktemp("damaged") / "repo")
    made.pack("TASK-0101-one", PACK)
    made.commit()
    assert made.factory("oneshot").rc == 0
    shutil.copytree(made.root, made.root.with_name("kept"), symlinks=True)
    return made


@pytest.fixture
def world(finished: World) -> World:
    """The repository as it was after its run, at the same place: what doit remembers has absolute
    paths.
    """
    shutil.rmtree(finished.root)
    shutil.copytree(finished.root.with_name("kept"), finished.root, symlinks=True)
    finished.claim()
    return finished


@contextlib.contextmanager
def site_of(world: World) -> Iterator[Site]:
    site = in_process.site(world)
    try:
        yield site
    finally:
        site.sandbox.close()
        cast("GitObjects", site.objects).close()


def run_folder(world: World) -> Path:
    return world.last().parent


def edit(path: Path) -> None:
    """Other bytes of the same length, and every time that a program can set put back."""
    before = path.stat()
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


def relink(path: Path) -> None:
    kept = path.with_name("kept")
    path.rename(kept)
    path.symlink_to(kept.name)


def seal(folder: Path) -> None:
    """What someone who forges a run writes: a manifest over the files as they are."""
    files = sorted(
        path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()
    )
    entries = tuple(
        ManifestEntry(
            path=p, sha256=sha256((folder / p).read_bytes()), bytes=(folder / p).stat().st_size
        )
        for p in files
        if p != "RUN_MANIFEST.json"
    )
    (folder / "RUN_MANIFEST.json").write_bytes(
        format_document(Manifest(subject=folder.name, files=entries))
    )


DAMAGES: dict[str, tuple[Callable[[Path], object], str]] = {
    "report": (
        lambda f: edit(f / "Z_integrator/FINAL_REPORT.txt"),
        "FINAL_REPORT.txt of run {} was changed",
    ),
    "bundle": (
        lambda f: edit(f / "TASK-0101/DIFF.patch"),
        "TASK-0101/DIFF.patch of run {} was changed",
    ),
    "statements": (
        lambda f: (f / "attestations/files.sha256").unlink(),
        "files.sha256 of run {} is missing",
    ),
    "more": (
        lambda f: (f / "Z_integrator/extra.txt").write_text("x"),
        "extra.txt of run {} was added",
    ),
    "link": (
        lambda f: relink(f / "Z_integrator/DIFF.patch"),
        "DIFF.patch of run {} is no plain file",
    ),
    "manifest": (
        lambda f: (f / "RUN_MANIFEST.json").write_bytes(
            (f / "RUN_MANIFEST.json").read_bytes() + b"\n"
        ),
        "RUN_MANIFEST.json of run {} does not match its schema",
    ),
    "no manifest": (
        lambda f: (f / "RUN_MANIFEST.json").unlink(),
        "RUN_MANIFEST.json of run {} is missing",
    ),
    "no run": (shutil.rmtree, "RUN_MANIFEST.json of run {} is missing"),
}


def test_every_damage_is_named(world: World) -> None:
    folder = run_folder(world)
    kept = folder.with_name("kept")
    shutil.copytree(folder, kept, symlinks=True)
    with site_of(world) as site:
        RunInventory(site.store.root).survey(folder.name)  # or the quick way would read everything
        assert run_damage(site, folder.name) == run_damage(site, folder.name, full=False) == ()
        for spoil, said in DAMAGES.values():
            spoil(folder)
            found, quick = run_damage(site, folder.name), run_damage(site, folder.name, full=False)
            assert quick == found
            assert {finding.id for finding in found} == {"RUN_DAMAGED"}
            assert any(said.format(folder.name) in finding.message for finding in found), found
            shutil.rmtree(folder, ignore_errors=True)
            shutil.copytree(kept, folder, symlinks=True)


def test_a_damaged_report_is_not_printed_and_the_next_run_takes_its_place(world: World) -> None:
    folder = run_folder(world)
    edit(folder / "Z_integrator/FINAL_REPORT.txt")
    printed = world.factory("print-report")
    assert (printed.rc, printed.out) == (2, "")
    assert (
        f"RUN_DAMAGED  Z_integrator/FINAL_REPORT.txt of run {folder.name} was changed: expected"
        " sha256 " in printed.err
    )
    opened = world.factory("open-run", "--json")
    assert opened.rc == 2
    assert json.loads(opened.out)["findings"][0]["id"] == "RUN_DAMAGED"
    again = world.factory("oneshot")
    assert again.rc == 0, again.text
    assert "is up to date" not in again.out
    assert len(world.runs()) == 2
    assert world.findings() == ["RUN_REPLACED"]
    assert world.executed() == ["TASK-0101"]  # its bundle is whole, so the pack itself stays
    held = world.factory("oneshot")
    assert f"{run_folder(world).name} is up to date: 1 pack unchanged" in held.out
    assert world.factory("print-report").rc == 0


def test_a_branch_is_never_made_of_a_damaged_run(world: World) -> None:
    folder = run_folder(world)
    edit(folder / "Z_integrator/FILES_CHANGED.json")
    ended = world.factory("integrate", "--branch")
    assert ended.rc == 0, ended.text
    assert f"codex/{folder.name}" not in world.git("branch", "--list", "codex/*")
    assert f"codex/{run_folder(world).name}" in world.git("branch", "--list", "codex/*")


def forge(folder: Path) -> None:
    status = folder / "Z_integrator/STATUS.json"
    status.write_bytes(
        status.read_bytes().replace(b'"packs_committed": true', b'"packs_committed": false')
    )


def test_a_run_that_was_sealed_again_disagrees_with_the_ledger(world: World) -> None:
    folder = run_folder(world)
    forge(folder)
    seal(folder)
    with site_of(world) as site:
        (finding,) = run_damage(site, folder.name)
    assert finding.message.startswith(
        f"Z_integrator/STATUS.json of run {folder.name} was changed: expected sha256 "
    )


def test_a_lost_manifest_is_written_again_to_the_same_bytes(world: World) -> None:
    manifest = run_folder(world) / "RUN_MANIFEST.json"
    before = manifest.read_bytes()
    manifest.unlink()
    ended = world.factory("oneshot")
    assert (ended.rc, len(world.runs())) == (0, 1), ended.text
    assert manifest.read_bytes() == before


@pytest.mark.parametrize("changed", ["Z_integrator/STATUS.json", "TASK-0101/SUMMARY.md"])
def test_nobody_vouches_again_for_a_run_that_lost_its_manifest_and_was_changed(
    world: World, changed: str
) -> None:
    folder = run_folder(world)
    (folder / "RUN_MANIFEST.json").unlink()
    forge(folder) if changed.endswith("STATUS.json") else edit(folder / changed)
    before = (world.state / "ledger.jsonl").read_bytes()
    with site_of(world) as site:
        (note,) = settle.recover(site)
    assert note.id == "RUN_REPLACED"
    assert note.message.startswith(
        f"run {folder.name} lost its RUN_MANIFEST.json and cannot be finished: "
    )
    assert not (folder / "RUN_MANIFEST.json").exists()
    assert (world.state / "ledger.jsonl").read_bytes() == before


class EarlyClock:
    """A clock that is set to a day of 2001."""

    def utc(self) -> str:
        return "2001-01-01T00:00:00.000Z"

    def monotonic(self) -> float:
        return 0.0


def test_a_clock_that_is_far_behind_is_said_when_a_run_starts(world: World) -> None:
    with site_of(world) as site:
        (note,) = settle.recover(replace(site, clock=EarlyClock()))  # type: ignore[arg-type]
        assert settle.recover(site) == ()
    assert (note.id, note.severity) == ("CLOCK_BEHIND", Severity.WARNING)
    assert "the clock of this host says 2001-01-01T00:00:00.000Z, " in note.message


@pytest.mark.parametrize(
    ("lose", "said"),
    [
        (
            lambda path: path.unlink(),
            "the ledger is gone or empty, and with it the history of 1 run that is here: {}",
        ),
        (
            lambda path: path.write_bytes(b""),
            "the ledger is gone or empty, and with it the history of 1 run that is ",
        ),
        (
            lambda path: path.write_bytes(path.read_bytes().splitlines(True)[0]),
            "the ledger (1 event) does not name",
        ),
    ],
)
def test_a_lost_ledger_is_missed(world: World, lose: Callable[[Path], object], said: str) -> None:
    folder = run_folder(world)
    shutil.rmtree(folder / "attestations")  # or a checkpoint would tell that the ledger was cut
    lose(world.state / "ledger.jsonl")
    with site_of(world) as site, pytest.raises(Refusal) as refused:
        settle.recover(site)
    (finding,) = refused.value.findings
    assert (finding.id, finding.severity) == ("LEDGER_LACKS_RUN", Severity.ERROR)
    assert finding.message.startswith(said.format(folder.name))


def test_without_its_ledger_a_run_is_not_printed_and_a_new_history_begins_without_the_runs(
    world: World,
) -> None:
    (world.state / "ledger.jsonl").unlink()
    printed = world.factory("print-report")
    assert printed.rc == 2
    assert "LEDGER_LACKS_RUN" in printed.err
    refused = world.doit("oneshot")
    assert (refused.rc, "LEDGER_LACKS_RUN" in refused.text) == (2, True)
    (world.state / "runs").rename(world.state / "runs-aside")
    begun = world.factory("oneshot")
    assert begun.rc == 0, begun.text
