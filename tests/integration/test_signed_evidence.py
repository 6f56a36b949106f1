"""A real run is signed, and anybody can check it: stock commands, another implementation, and the
proofs themselves.
"""

from __future__ import annotations

import base64
import json
import shutil
import stat
import subprocess
from hashlib import sha256
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from securesystemslib.dsse import Envelope
from securesystemslib.exceptions import VerificationError
from securesystemslib.signer import SSlibKey  # type: ignore[attr-defined]  # exported, and not said to be

from factory.evidence.attestations import parse_digests, parse_envelopes
from factory.log import ed25519
from factory.log.checkpoint import parse_kept, parse_proof, proves
from factory.log.key import PublicKey
from factory.log.merkle import root_of
from factory.log.public_key import parse_pem
from factory.log.signed_note import NoteKey, signers
from factory.model.statement import BUILD_TYPE
from tests.attestation_fields import problems
from tests.timeless import timeless
from tests.world import Ended, World

pytestmark = pytest.mark.linux

STEPS = """\
    scope: {allowed_paths: ['docs/**']}
    steps: [{name: write, run: 'mkdir -p docs && echo hello > docs/%s.txt'}]
    """
ACCEPTANCE = "checks: [{name: there, run: 'test -s docs/%s.txt'}]\n"


def two_packs(root: Path) -> World:
    world = World(root)
    for number, name in ((1, "one"), (2, "two")):
        world.pack(f"TASK-000{number}-{name}", STEPS % name, ACCEPTANCE % name)
    world.commit()
    return world


class Signed:
    """A repository, made where there is none yet, a user's home, and the run that was made
    there.
    """

    def __init__(self, folder: Path) -> None:
        self.home = folder / "home"
        self.home.mkdir(parents=True)
        place = folder / "repository"
        self.world = World(place) if place.exists() else two_packs(place)

    def env(self, **more: str) -> dict[str, str]:
        return {"HOME": str(self.home), "XDG_CONFIG_HOME": "", **more}

    def run(self, *words: str, **more: str) -> Ended:
        return self.world.factory("oneshot", *words, **self.env(**more))

    def factory(self, *words: str, **more: str) -> Ended:
        return self.world.factory(*words, **self.env(**more))

    @property
    def keys(self) -> Path:
        return self.home / ".config" / "codex-orchestrator" / "keys"

    @property
    def folder(self) -> Path:
        return self.world.last().parent

    def attested(self, name: str) -> bytes:
        return (self.folder / "attestations" / name).read_bytes()

    def key(self) -> PublicKey:
        return parse_pem(self.factory("keys", "export").out.encode())


@pytest.fixture(scope="module")
def signed(tmp_path_factory: pytest.TempPathFactory) -> Signed:
    made = Signed(tmp_path_factory.mktemp("signed"))
    ended = made.run()
    assert ended.rc == 0, ended.text
    assert f"signed by {made.key().key_id}" in ended.out
    return made


def test_the_key_is_its_users_alone(signed: Signed) -> None:
    names = sorted(path.name for path in signed.keys.iterdir())
    assert names == ["current", f"{signed.key().key_id.replace(':', '-')}.pem"]
    assert {stat.S_IMODE(path.stat().st_mode) for path in signed.keys.iterdir()} == {0o600}
    assert stat.S_IMODE(signed.keys.stat().st_mode) == 0o700


def test_no_private_key_is_anywhere_in_the_state(signed: Signed) -> None:
    private = next(signed.keys.glob("*.pem")).read_bytes()
    secret = private.splitlines()[1]
    for path in signed.world.state.rglob("*"):
        if path.is_file():
            assert secret not in path.read_bytes(), path


def test_stock_sha256sum_checks_every_list(signed: Signed) -> None:
    for name in ("bundles", "report", "ledger", "files"):
        done = subprocess.run(
            ["sha256sum", "--check", "--strict", f"attestations/{name}.sha256"],
            cwd=signed.folder,
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stdout + done.stderr


def test_the_lists_and_the_manifest_leave_no_file_out(signed: Signed) -> None:
    present = {
        path.relative_to(signed.folder).as_posix()
        for path in signed.folder.rglob("*")
        if path.is_file()
    }
    manifest = json.loads((signed.folder / "RUN_MANIFEST.json").read_bytes())
    assert {entry["path"] for entry in manifest["files"]} == present - {"RUN_MANIFEST.json"}
    later = {
        f"attestations/{name}"
        for name in (
            "bundles.sha256",
            "report.sha256",
            "ledger.sha256",
            "files.sha256",
            "attestations.intoto.jsonl",
        )
    }
    assert set(parse_digests(signed.attested("files.sha256"))) == present - later - {
        "RUN_MANIFEST.json"
    }


def openssl_verifies(folder: Path, public: str, message: bytes, signature: bytes) -> bool:
    folder.mkdir(exist_ok=True)
    for name, content in (
        ("key.pub", public.encode()),
        ("message", message),
        ("signature", signature),
    ):
        (folder / name).write_bytes(content)
    words = [
        "-verify",
        "-pubin",
        "-inkey",
        "key.pub",
        "-rawin",
        "-in",
        "message",
        "-sigfile",
        "signature",
    ]
    done = subprocess.run(
        ["openssl", "pkeyutl", *words], cwd=folder, capture_output=True, text=True
    )
    return done.returncode == 0


def test_stock_openssl_checks_the_checkpoint(signed: Signed, tmp_path: Path) -> None:
    public = signed.factory("keys", "export").out
    text, _, line = signed.attested("checkpoint").decode().partition("\n\n")
    signature = base64.b64decode(line.split(" ")[2])[4:]
    assert openssl_verifies(tmp_path, public, f"{text}\n".encode(), signature)
    assert not openssl_verifies(tmp_path, public, f"{text}x\n".encode(), signature)


def test_stock_openssl_checks_every_statement(signed: Signed, tmp_path: Path) -> None:
    public = signed.factory("keys", "export").out
    lines = signed.attested("attestations.intoto.jsonl").splitlines()
    assert len(lines) == 6
    for line in lines:
        envelope = json.loads(line)
        payload = base64.b64decode(envelope["payload"])
        kind = envelope["payloadType"].encode()
        message = b"DSSEv1 %d %s %d %s" % (len(kind), kind, len(payload), payload)
        assert openssl_verifies(
            tmp_path, public, message, base64.b64decode(envelope["signatures"][0]["sig"])
        )


def test_another_implementation_accepts_every_envelope(signed: Signed) -> None:
    ours, theirs = signed.key(), ed25519.parse_private_pem(ed25519.make_pem()).key
    for line in signed.attested("attestations.intoto.jsonl").splitlines():
        # It looks keys up by an id that it computes itself; nobody gives it ours.
        keys = [
            SSlibKey.from_crypto(Ed25519PublicKey.from_public_bytes(key.raw))
            for key in (ours, theirs)
        ]
        assert list(Envelope.from_dict(json.loads(line)).verify([keys[0]], 1)) == [ours.dsse_id]
        with pytest.raises(VerificationError):
            Envelope.from_dict(json.loads(line)).verify([keys[1]], 1)
        changed = json.loads(line)
        changed["payload"] = base64.b64encode(base64.b64decode(changed["payload"]) + b" ").decode()
        with pytest.raises(VerificationError):
            Envelope.from_dict(changed).verify([keys[0]], 1)


def test_the_checkpoint_is_over_the_ledger_and_signed_under_its_origin(signed: Signed) -> None:
    kept = parse_kept(signed.attested("checkpoint"))
    lines = (signed.world.state / "ledger.jsonl").read_bytes().splitlines()
    first = json.loads(lines[0])["event_id"]
    assert kept.checkpoint.origin == f"codex-orchestrator/ledger/{first[:32]}"
    ends = [
        number
        for number, line in enumerate(lines, 1)
        if json.loads(line)["event_type"] == "integrate.finished"
    ]
    assert kept.checkpoint.size == ends[-1]  # what follows is the release of the lock
    assert kept.checkpoint.root == root_of(lines[: ends[-1]])
    assert kept.note is not None
    key = NoteKey(kept.checkpoint.origin, signed.key())
    assert signers(kept.note, [key], ed25519.check) == (key,)


def test_the_proof_shows_the_last_event_of_the_run_without_the_ledger(signed: Signed) -> None:
    proof = parse_proof(signed.attested("finished.tlog-proof"))
    lines = signed.attested("ledger.jsonl").splitlines()
    assert proof.kept == parse_kept(signed.attested("checkpoint"))
    assert [line for line in lines if proves(proof, line)] == [lines[-1]]
    assert json.loads(lines[-1])["event_type"] == "integrate.finished"


def statements(signed: Signed) -> list[dict]:
    return [
        json.loads(one.payload)
        for one in parse_envelopes(signed.attested("attestations.intoto.jsonl"))
    ]


def test_statements_bind_to_the_files_of_the_run_and_to_git(signed: Signed) -> None:
    found = statements(signed)
    kinds = [statement["predicateType"].split("/")[-2] for statement in found]
    assert kinds == [
        "provenance",
        "test-result",
        "provenance",
        "test-result",
        "verification_summary",
        "verification_summary",
    ]
    status = signed.world.status()
    for statement in found:
        assert statement["_type"] == "https://in-toto.io/Statement/v1"
        for subject in statement["subject"]:
            if "sha256" in subject["digest"]:
                assert (
                    sha256((signed.folder / subject["name"]).read_bytes()).hexdigest()
                    == subject["digest"]["sha256"]
                )
    *_, in_git, summary = found
    *results, merged, commit = in_git["subject"]
    assert merged == {"name": "merged-tree", "digest": {"gitTree": status["merged_tree"]}}
    assert [one["name"] for one in results] == ["TASK-0001/result-tree", "TASK-0002/result-tree"]
    bundle = str(signed.folder / "Z_integrator/CHANGES.bundle")
    tip, _, _ = signed.world.git("bundle", "list-heads", bundle).partition(" ")
    assert commit == {"name": "result-commit", "digest": {"gitCommit": tip}}
    assert summary["predicate"]["verificationResult"] == "PASSED"
    policy = sha256(signed.attested("policy.json")).hexdigest()
    assert summary["predicate"]["policy"]["digest"] == {"sha256": policy}
    inputs = [one["digest"]["sha256"] for one in summary["predicate"]["inputAttestations"]]
    envelopes = parse_envelopes(signed.attested("attestations.intoto.jsonl"))
    assert inputs == [sha256(one.payload).hexdigest() for one in envelopes[:-1]]


def test_statements_have_the_fields_of_their_specifications(signed: Signed) -> None:
    for statement in statements(signed):
        assert problems(statement) == []
    broken = statements(signed)
    broken[0]["predicate"]["runDetails"]["metadata"]["startedOn"] = "2026-11-22 10:00:00"
    broken[0]["subject"][0].pop("digest")
    broken[0]["predicate"]["buildDefinition"]["buildtype"] = "x"
    broken[1]["predicate"]["result"] = "PASS"
    broken[2]["predicate"]["buildDefinition"].pop("externalParameters")
    broken[5]["predicate"]["verifiedLevels"] = ["SLSA_BUILD_LEVEL_9"]
    assert [len(problems(statement)) for statement in broken] == [4, 1, 1, 0, 0, 1]


def shape(value: object) -> object:
    """Keys and types of a JSON value; of lists, the shapes that occur."""
    if isinstance(value, dict):
        return {
            name: shape(member) for name, member in value.items() if name != "environmentDigests"
        }
    if isinstance(value, list):
        return sorted({json.dumps(shape(one), sort_keys=True) for one in value})
    return type(value).__name__


def test_the_example_of_the_build_type_is_one(signed: Signed) -> None:
    page = (Path(__file__).parents[2] / "docs" / "factory" / "BUILD-TYPE.md").read_text("utf-8")
    example = json.loads(page.partition("```json\n")[2].partition("```")[0])
    assert problems(example) == []
    assert example["predicate"]["buildDefinition"]["buildType"] == BUILD_TYPE
    assert f"`{BUILD_TYPE}`" in page.partition("\n## ")[0]
    assert shape(example) == shape(statements(signed)[0])


def test_provenance_says_what_was_asked_what_was_in_force_and_when(signed: Signed) -> None:
    statement = statements(signed)[0]
    definition, details = (
        statement["predicate"]["buildDefinition"],
        statement["predicate"]["runDetails"],
    )
    assert definition["buildType"] == "urn:codex-orchestrator:build-type:task-pack:1"
    parameters = definition["externalParameters"]
    assert parameters["scopeLock"] == json.loads(
        (signed.folder / "TASK-0001" / "SCOPE_LOCK.json").read_bytes()
    )
    assert "net_isolated" in definition["internalParameters"]["propertiesInForce"]
    by_name = {one["name"]: one.get("digest") for one in definition["resolvedDependencies"]}
    program = {
        e["hashes"]["sandbox"] for e in signed.world.events() if e["event_type"] == "pack.started"
    }
    assert {by_name["sandbox"]["sha256"]} == program
    assert "sandbox:syscall-filter" in by_name
    assert by_name["base-commit"] == {"gitCommit": signed.world.git("rev-parse", "HEAD").strip()}
    times = {
        e["event_type"]: e["ts_utc"]
        for e in signed.world.events()
        if e["details"].get("pack") == "TASK-0001"
    }
    assert details["metadata"]["startedOn"] == times["pack.started"]
    assert details["metadata"]["finishedOn"] == times["pack.finished"]


def test_test_results_name_the_commands(signed: Signed) -> None:
    predicate = statements(signed)[1]["predicate"]
    assert predicate["result"] == "PASSED"
    assert (predicate["passedTests"], predicate["failedTests"]) == (["check-1", "step-1"], [])
    assert [one["name"].rpartition("/")[2] for one in predicate["configuration"]] == [
        "acceptance.yml",
        "task.yml",
        "STATUS.json",
    ]


def test_the_report_says_the_policy_and_not_the_key(signed: Signed) -> None:
    report = (signed.folder / "Z_integrator" / "FINAL_REPORT.md").read_text()
    assert "Signing policy: a signature is optional. A key was at hand" in report
    assert signed.key().key_id not in report


def test_same_inputs_give_the_same_report_and_statements_but_for_times(tmp_path: Path) -> None:
    two_packs(tmp_path / "base")
    taken = []
    for name, zone, seed in (("a", "UTC", "1"), ("elsewhere", "Asia/Tokyo", "2")):
        shutil.copytree(tmp_path / "base", tmp_path / name / "repository", symlinks=True)
        made = Signed(tmp_path / name)
        ended = made.run("--run-id", "fixed", TZ=zone, PYTHONHASHSEED=seed)
        assert ended.rc == 0, ended.text
        taken.append(made)
    first, second = taken
    for name in ("FINAL_REPORT.md", "FINAL_REPORT.txt", "STATUS.json"):
        assert (first.folder / "Z_integrator" / name).read_bytes() == (
            second.folder / "Z_integrator" / name
        ).read_bytes()
    said = [
        [one.payload for one in parse_envelopes(made.attested("attestations.intoto.jsonl"))]
        for made in taken
    ]
    assert said[0] != said[1]
    assert [timeless(one) for one in said[0]] == [timeless(one) for one in said[1]]
    assert first.key() != second.key()


def contents(run: Path) -> dict[str, bytes]:
    return {
        path.relative_to(run).as_posix(): path.read_bytes()
        for path in run.rglob("*")
        if path.is_file()
    }


@pytest.mark.parametrize(
    "lost", ["RUN_MANIFEST.json", "attestations", "Z_integrator/FINAL_REPORT.md"]
)
def test_a_run_that_was_cut_short_is_finished_to_the_same_bytes(
    signed: Signed, tmp_path: Path, lost: str
) -> None:
    shutil.copytree(signed.world.root, tmp_path / "copy", symlinks=True)
    copy = World(tmp_path / "copy")
    run = copy.last().parent
    before = contents(run)
    (run / "RUN_MANIFEST.json").unlink()
    gone = [run / lost] if lost != "attestations" else list((run / lost).iterdir())
    for path in gone:
        if path.name != "policy.json":  # written before anything says that the run ended
            path.unlink(missing_ok=True)
    copy.claim()
    ended = copy.factory("preflight", **signed.env())
    assert ended.rc == 0, ended.text
    assert contents(run) == before


def test_the_run_tells_how_each_property_was_shown(signed: Signed) -> None:
    rows = [
        line.split("\t")
        for line in (signed.folder / "raw" / "enforcement.tsv").read_text("utf-8").splitlines()
    ]
    given = sorted(name for name, state, how in rows if state == "given" and how)
    assert given == sorted(signed.world.status()["properties_given"])
    facts = {name: value for kind, name, value in rows if kind == "fact"}
    started = next(
        event for event in signed.world.events() if event["event_type"] == "pack.started"
    )
    assert facts["bwrap_sha256"] == started["hashes"]["sandbox"]
    assert facts["seccomp_sha256"] == started["hashes"]["syscall_filter"]
