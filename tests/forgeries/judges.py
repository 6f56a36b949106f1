"""Show a wrong run to four who must refuse it: `verify`, the script of AUDIT.md, a reader of the
documents, and a consumer of in-toto statements.
"""

from __future__ import annotations

import contextlib
import importlib.util
import io
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

from factory.log import ed25519
from factory.log.public_key import format_pem
from factory.verify.context import Context
from factory.verify.notes import Key, Way
from factory.verify.repository import RepositoryObjects
from factory.verify.run import Outcome, Verified
from tests.docs_kit import ROOT
from tests.forgeries import independent, reader
from tests.forgeries.wrong_runs import Golden, WrongRun
from tests.verify_kit import Memory, around, check, load, small_world

SCRIPT = ROOT / "docs" / "factory" / "audit.py"
BELIEVED = "believes the signer"


@dataclass(frozen=True, slots=True)
class Place:
    """Contain the good run and its repository."""

    golden: Golden
    repository: Path


def make_place(root: Path) -> Place:
    """Make a repository with two runs, the later of which is the good one."""
    world = small_world(root / "repository")
    private = ed25519.make_pem()
    env = {"FACTORY_SIGNING_KEY": private.decode()}
    first = world.factory("oneshot", **env)
    assert first.rc == 0, first.text
    earlier = load(world.last().parent)
    (world.state / "runs").rename(root / "earlier")
    (world.state / "ledger.jsonl").unlink()  # so that the good run is alone in its ledger
    world.write("notes.md", "# Later\n")
    world.pack(
        "TASK-0001-alpha",
        """
        scope: {allowed_paths: [src/, docs/]}
        steps:
          - run: sed -i s/2/3/ src/a.txt; rm src/gone.txt; mkdir -p docs; echo hi > docs/n.txt; ln -s a.txt src/link
        artifacts: {required: [out/*.txt]}
        notes: later
        """,
        "tests: ['true']\n"
        "checks: [{name: made, run: 'mkdir -p taskpacks/TASK-0001-alpha/out; "
        "echo art > taskpacks/TASK-0001-alpha/out/r.txt; echo a log'}]\n",
    )
    world.commit("later")
    world.factory("gc", "--yes", **env)
    for name in ("bundles", "state"):
        (world.state / name).rename(root / f"earlier-{name}")
    second = world.factory("oneshot", **env)
    assert second.rc == 0, second.text
    run = load(world.last().parent)
    ledger = (world.state / "ledger.jsonl").read_bytes()
    signer = ed25519.parse_private_pem(private)
    stranger = ed25519.parse_private_pem(ed25519.make_pem())
    return Place(Golden(run, ledger, signer, stranger, earlier), world.root)


def verified(place: Place, run: Memory, ledger: bytes) -> Verified:
    """Verify a run with its repository, its ledger and the signer's key."""
    golden = place.golden
    size = len(ledger.splitlines())
    key = Key(golden.signer.key, Way.OWN)
    with RepositoryObjects(place.repository / ".git" / "objects", "sha1") as objects:
        context: Context = around(ledger, keys=(key,), sizes={size, golden_size(golden)})
        return check(run, _with(context, objects))


def _with(context: Context, objects: RepositoryObjects) -> Context:
    from dataclasses import replace

    return replace(context, repository=objects)


def golden_size(golden: Golden) -> int:
    return len(golden.ledger.splitlines())


def sentences(found: Verified) -> list[str]:
    """Return why a run is not VERIFIED; [] if it is."""
    if found.outcome is Outcome.VERIFIED:
        return []
    untrusted = [found.untrusted.message] if found.untrusted is not None else []
    return [*(finding.message for finding in found.findings if finding.blocks), *untrusted]


def audited(place: Place, folder: Path, run: Memory, ledger: bytes) -> str:
    """Return by which step and sentence the script of AUDIT.md refuses a run; "" if it does not."""
    golden = place.golden
    folder.mkdir()
    for path, content in run.files.items():
        where = folder / "run" / path
        where.parent.mkdir(parents=True, exist_ok=True)
        where.write_bytes(content)
    (folder / "signer.pub").write_bytes(format_pem(golden.signer.key))
    (folder / "repository").symlink_to(place.repository)
    (folder / "ledger.jsonl").write_bytes(ledger)
    script = _script()
    with _inside(folder), contextlib.redirect_stdout(io.StringIO()):
        for number in range(1, 8):
            try:
                script.main([golden.run.name, "--step", str(number)])
            except SystemExit as refusal:
                return f"{number}: {refusal.code}"
    return ""


def _script() -> ModuleType:
    spec = importlib.util.spec_from_file_location("audit", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@contextlib.contextmanager
def _inside(folder: Path) -> Iterator[None]:
    before = Path.cwd()
    os.chdir(folder)
    try:
        yield
    finally:
        os.chdir(before)


def consumed(place: Place, run: Memory) -> str:
    """Return by which sentence a consumer of in-toto statements refuses a run; "" if it does
    not.
    """
    golden = place.golden
    try:
        independent.check(run.files, golden.signer.key.raw, golden.run.name)
    except independent.RefusedError as refusal:
        return str(refusal)
    return ""


def read_alone(place: Place, run: Memory) -> str:
    """Return by which sentence a reader of the documents refuses a run; "" if it does not."""
    golden = place.golden
    try:
        reader.check(run.files, golden.signer.key.raw, golden.run.name)
    except reader.RefusedError as refusal:
        return str(refusal)
    return ""


def plain(sentence: str) -> str:
    """Return a sentence without what differs from one good run to the next, for a table."""
    text = re.sub(r"ed25519:[0-9a-f]{16}", "ed25519:…", sentence)
    text = re.sub(r"factory_[0-9]{8}_[0-9]{6}_[0-9a-f]{8}_[0-9]{3}", "RUN", text)
    text = re.sub(r"\b(?=[0-9a-f]*[0-9])(?=[0-9a-f]*[a-f])[0-9a-f]{7,64}\b…?", "…", text)
    text = re.sub(r"\b[0-9]{12,}\b", "…", text).replace("|", "\\|").replace("\n", " ")
    return text if len(text) <= 140 else f"{text[:139]}…"


def row(place: Place, wrong: WrongRun, folder: Path) -> tuple[str, str, str, str]:
    """Return how each of the four refuses a wrong run; "" for one that does not."""
    run, ledger = wrong.make(place.golden)
    told = sentences(verified(place, run, ledger))
    named = next((one for one in told if wrong.word in one), "")
    refused = audited(place, folder, run, ledger)
    return named, refused, read_alone(place, run), consumed(place, run)
