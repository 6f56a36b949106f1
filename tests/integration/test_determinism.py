"""`factory determinism`: what it names, what it keeps, and that a run calls reproducible only what
was shown.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import zipfile
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from factory.evidence.ledger_store import LedgerStore
from factory.files.clock import SystemClock
from factory.files.state_store import StateStore
from factory.judge.status_eval import of_findings
from factory.model.determinism import DeterminismRecord
from factory.model.evidence import RunStatus
from factory.model.evidence_text import parse_document
from factory.model.finding import Finding
from factory.plan.site import Site
from factory.run.shown import keep, shown_by
from tests.verify_kit import around, check, forged, ids, load
from tests.world import Ended, World

pytestmark = pytest.mark.linux

ROOT = Path(__file__).resolve().parents[2]
SAME, OTHER = "TASK-0001", "TASK-0002"
PACKER = """\
import os
import zipfile

os.makedirs("taskpacks/TASK-0001-same/out")
with zipfile.ZipFile("taskpacks/TASK-0001-same/out/a.zip", "w") as archive:
    archive.writestr("stamped", "with the time of day")
with open("taskpacks/TASK-0001-same/out/b.bin", "wb") as stream:
    stream.write(bytes(9))
print("1 passed in 0.1s")
"""


class Shown:
    """A repository of which one pack was run twice, and then all of them in a run."""

    def __init__(self, root: Path) -> None:
        self.world = World(root)
        self.world.write("src/a.txt", "a\n")
        steps = "mkdir -p docs && LC_ALL=C ls -1 src | sort > docs/list.txt"
        self.world.pack(
            f"{SAME}-same",
            f"""
            scope: {{allowed_paths: ["docs/"]}}
            steps: [{{run: "{steps}"}}]
            artifacts: {{required: [out/a.zip, out/b.bin], normalize: [out/]}}
            """,
            "tests: {commands: [python taskpacks/TASK-0001-same/pack.py]}\n",
            **{"pack.py": PACKER},
        )
        steps = "mkdir -p out && printf 'one\\\\ntwo\\\\n' > out/x.txt && date +%s.%N >> out/x.txt"
        self.world.pack(
            f"{OTHER}-other",
            f'depends_on: [{SAME}]\nscope: {{allowed_paths: ["out/"]}}\nsteps: [{{run:'
            f' "{steps}"}}]\n',
        )
        self.world.commit()
        (self.world.state / "twice-killed" / "a").mkdir(parents=True)
        self.ended: Ended = self.world.factory("determinism", OTHER, "--json", LANG="de_DE.UTF-8")
        self.left = sorted(path.name for path in self.world.state.iterdir())
        self.run = self.world.factory("oneshot", "--run-id", "after")
        self.differs = self.world.differs("after")
        self.replayed = self.world.factory("ledger-replay")


@pytest.fixture(scope="module")
def shown(tmp_path_factory: pytest.TempPathFactory) -> Shown:
    return Shown(tmp_path_factory.mktemp("determinism") / "repo")


def test_first_divergence_is_named(shown: Shown) -> None:
    assert shown.ended.rc == 2, shown.ended.text
    document = json.loads(shown.ended.out)
    same, other = document["packs"]
    assert (same["pack"], same["outcome"], same["first"]) == (SAME, "identical", "")
    assert (other["pack"], other["outcome"], other["file"]) == (OTHER, "different", "DIFF.patch")
    assert other["offset"] > 0
    assert "+++ there" in other["diff"]
    assert [finding["id"] for finding in document["findings"]] == ["NOT_DETERMINISTIC"]
    assert "DIFF.patch: byte" in document["findings"][0]["message"]
    assert {"checkout path", "umask", "time zone", "workers"} <= set(same["varied"])
    assert "user" in same["constant"]
    assert not set(same["varied"]) & set(same["constant"])


def test_nothing_of_it_is_left_but_the_record(shown: Shown) -> None:
    assert not [name for name in shown.left if name.startswith("twice")]
    assert "bundles" not in shown.left, "the repository's own bundles are not touched"
    schema = json.loads((ROOT / "schemas" / "determinism.schema.json").read_text("utf-8"))
    from jsonschema import Draft202012Validator

    for pack in (SAME, OTHER):
        record = json.loads((shown.world.state / "determinism" / f"{pack}.json").read_text("utf-8"))
        Draft202012Validator(schema).validate(record)


def test_artifact_is_normalised_and_what_was_done_is_told(shown: Shown) -> None:
    run = shown.world.last().parent
    archive = zipfile.ZipFile(
        run / SAME / "ARTIFACTS" / "taskpacks" / "TASK-0001-same" / "out" / "a.zip"
    )
    assert [(info.filename, info.date_time[0]) for info in archive.infolist()] == [
        ("stamped", 1980)
    ]
    rows = (run / "raw" / SAME / "attempt-1" / "normalized.tsv").read_text("utf-8").splitlines()
    told = {row.split("\t")[0].rpartition("/")[2]: row.split("\t")[1:] for row in rows}
    form, before, after, what = told["a.zip"]
    assert (form, what) == ("zip", "1 x time, owner and extra fields of a member")
    assert before != after == hashlib.sha256(Path(archive.filename or "").read_bytes()).hexdigest()
    form, before, after, what = told["b.bin"]
    assert (form, before == after) == ("-", True)
    assert what == "left as it was: its name has no ending that can be normalised"
    (finding,) = [
        finding for finding in shown.world.status()["findings"] if finding["pack"] == SAME
    ]
    assert (finding["id"], finding["severity"]) == ("ARTIFACT_NOT_NORMALIZED", "warning")
    assert "out/b.bin is collected as it was made" in finding["message"]
    lock = shown.world.bundle(SAME, "SCOPE_LOCK.json")
    assert lock["artifacts_normalized"] == ["taskpacks/TASK-0001-same/out/"]


def lines_of(world: World) -> dict[str, bool]:
    return {line["pack"]: line["reproducible"] for line in world.status()["packs"]}


def test_only_what_was_shown_is_called_reproducible(shown: Shown) -> None:
    assert shown.run.rc == 0, shown.run.text
    assert lines_of(shown.world) == {SAME: True, OTHER: False}
    report = (shown.world.last() / "FINAL_REPORT.md").read_text("utf-8")
    (told,) = [line for line in report.splitlines() if "reproducible" in line]
    assert told.startswith(f"- {SAME}:")
    statements = (
        shown.world.last().parent / "attestations" / "attestations.intoto.jsonl"
    ).read_bytes()
    from factory.evidence.attestations import parse_envelopes

    texts = [envelope.payload for envelope in parse_envelopes(statements)]
    assert sum(b'"reproducible":true' in text for text in texts) == 1
    assert not any(b'"reproducible":false' in text for text in texts)
    events = [event for event in shown.world.events() if event["event_type"] == "pack.reproducible"]
    assert [event["details"]["pack"] for event in events] == [SAME]


def test_run_that_says_so_holds(shown: Shown) -> None:
    assert shown.differs == ""
    assert shown.replayed.rc == 0, shown.replayed.text


def test_claim_without_what_showed_it_does_not_hold(shown: Shown) -> None:
    run = load(shown.world.last().parent)
    verdict = parse_document(RunStatus, run.files["Z_integrator/STATUS.json"])
    lying = tuple(line.model_copy(update={"reproducible": True}) for line in verdict.packs)
    made, ledger = forged(run, {}, packs=lying)
    found = check(made, around(ledger))
    said = " ".join(finding.message for finding in found.findings)
    assert "VERIFY_LEDGER" in ids(found)
    assert f"what showed {OTHER} reproducible" in said
    assert f"determinism.shown for {SAME}" in said, "the forged ledger has no such event"
    quiet = tuple(line.model_copy(update={"reproducible": False}) for line in verdict.packs)
    made, ledger = forged(run, {}, packs=quiet)
    assert f"what showed {SAME} reproducible" in " ".join(
        finding.message for finding in check(made).findings
    )


def test_another_action_is_not_called_reproducible(shown: Shown, tmp_path: Path) -> None:
    copy = World.__new__(World)
    copy.root = Path(shutil.copytree(shown.world.root, tmp_path / "repo", symlinks=True))
    copy.write("src/b.txt", "b\n")
    copy.commit()
    assert copy.factory("oneshot", "--run-id", "changed").rc == 0
    assert lines_of(copy) == {SAME: False, OTHER: False}


RECORD = DeterminismRecord(
    pack=SAME,
    outcome="identical",
    action_key="a" * 64,
    manifest="b" * 64,
    varied=("umask",),
    constant=(),
)


@pytest.fixture
def site(tmp_path: Path) -> Site:
    parts = SimpleNamespace(store=StateStore(tmp_path), ledger=LedgerStore(tmp_path, SystemClock()))
    return cast("Site", parts)


def test_record_counts_for_one_action_and_one_bundle(site: Site) -> None:
    assert not shown_by(site, SAME, "a" * 64, "b" * 64)
    keep(site, RECORD)
    assert shown_by(site, SAME, "a" * 64, "b" * 64) == site.ledger.state().head.event_id
    assert not shown_by(site, SAME, "c" * 64, "b" * 64)
    assert not shown_by(site, SAME, "a" * 64, "c" * 64)
    assert not shown_by(site, SAME, "a" * 64, "")
    assert not shown_by(site, OTHER, "a" * 64, "b" * 64)


def refute(site: Site) -> None:
    keep(site, RECORD.model_copy(update={"outcome": "different", "manifest": ""}))


def refute_and_put_back(site: Site) -> None:
    content = site.store.read(f"determinism/{SAME}.json") or b""
    refute(site)
    site.store.write(f"determinism/{SAME}.json", content)


def edit(site: Site) -> None:
    path = f"determinism/{SAME}.json"
    site.store.write(path, (site.store.read(path) or b"").replace(b"umask", b"user"))


@pytest.mark.parametrize(
    "spoil",
    [refute, refute_and_put_back, edit, lambda s: s.store.remove(f"determinism/{SAME}.json"),
     lambda s: s.store.write(f"determinism/{SAME}.json", b"{}"), lambda s: s.store.remove("ledger.jsonl")],
)  # fmt: skip
def test_what_is_refuted_edited_or_gone_shows_nothing(
    site: Site, spoil: Any, tmp_path: Path
) -> None:
    keep(site, RECORD)
    spoil(site)
    fresh = cast(
        "Site",
        SimpleNamespace(store=StateStore(tmp_path), ledger=LedgerStore(tmp_path, SystemClock())),
    )
    assert not shown_by(fresh, SAME, "a" * 64, "b" * 64)


def test_network_is_never_shown(tmp_path: Path) -> None:
    world = World(tmp_path / "repo")
    world.pack(
        "TASK-0001-net",
        "constraints: {allow_network: [example.org]}\nscope: {allowed_paths: [out/]}\n",
    )
    learns = "limits: {attempts: 2, learn: true}\nscope: {allowed_paths: [out/]}\n"
    world.pack("TASK-0002-learns", learns)
    world.commit()
    for pack, why in (("TASK-0001", "declares the network"), ("TASK-0002", "limits.learn")):
        ended = world.factory("determinism", pack)
        assert (ended.rc, ended.err.split()[0]) == (2, "DETERMINISM_UNSHOWN")
        assert why in ended.err
    unknown = world.factory("determinism", "TASK-0009")
    assert (unknown.rc, unknown.err.count("\n")) == (64, 1)


def test_not_deterministic_blocks() -> None:
    finding = Finding("NOT_DETERMINISTIC", {"found": "x"}, SAME)
    assert of_findings((finding,)).value == "BLOCKED"
