"""What a run must be signed with, and what happens where it is not: named always, BLOCKED where
policy says so.
"""

from __future__ import annotations

import base64
import json
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from factory.evidence.attestations import parse_envelopes
from factory.log import ed25519
from factory.log.chain import Head
from factory.log.checkpoint import parse_kept, parse_proof, proves
from factory.log.key import PublicKey
from factory.log.public_key import format_pem, parse_pem
from factory.log.signed_note import NoteKey, signers
from factory.model.event import Entry
from factory.model.ledger_chain import format_event
from tests.ledger_lines import link
from tests.world import Ended, World

pytestmark = pytest.mark.linux

TASK = """\
scope: {allowed_paths: ['docs/**']}
steps: [{name: write, run: 'mkdir -p docs && echo %s > docs/one.txt'}]
"""


class Place:
    """A repository with one pack, and a user with a home (or none)."""

    def __init__(self, root: Path, *, home: bool = True) -> None:
        self.home = root / "home"
        if home:
            self.home.mkdir()
        self.world = World(root / "repository")
        self.edit("one")

    def edit(self, word: str) -> None:
        self.world.pack("TASK-0001-one", TASK % word)
        self.world.commit(word)

    def policy(self, text: str) -> None:
        self.world.write("factory.toml", f"[signing]\n{text}\n")
        self.world.commit("policy")

    def env(self, **more: str) -> dict[str, str]:
        return {"HOME": str(self.home), "XDG_CONFIG_HOME": "", **more}

    def factory(self, *words: str, **more: str) -> Ended:
        return self.world.factory(*words, **self.env(**more))

    def oneshot(self, **more: str) -> Ended:
        return self.factory("oneshot", **more)

    def trust(self, *words: str) -> None:
        assert self.factory("keys", "trust", *words).rc == 0
        self.world.commit("trust")

    def attested(self, name: str) -> bytes:
        return (self.world.last().parent / "attestations" / name).read_bytes()

    @property
    def signatures(self) -> set[str]:
        envelopes = parse_envelopes(self.attested("attestations.intoto.jsonl"))
        return {one.keyid for envelope in envelopes for one in envelope.signatures}


def in_envelopes(folder: Path) -> dict[str, str]:
    """Return the key id by the id in envelopes, of the keys in a user's folder."""
    keys = (ed25519.parse_private_pem(pem.read_bytes()).key for pem in folder.rglob("*.pem"))
    return {key.dsse_id: key.key_id for key in keys}


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


def test_without_a_key_a_run_is_unsigned_and_says_so(tmp_path: Path) -> None:
    place = Place(tmp_path, home=False)
    ended = place.oneshot()
    assert ended.rc == 0, ended.text
    assert "unsigned (no key was at hand" in ended.out
    assert place.signatures == set()
    assert parse_kept(place.attested("checkpoint")).note is None
    report = (place.world.last() / "FINAL_REPORT.md").read_text()
    assert (
        "**No key was at hand, so nothing in this run is signed.**"
        in report.partition("| pack |")[0]
    )
    assert "Signing policy: a signature is optional. No key was at hand" in report
    shown = place.factory("print-report").out
    assert (
        "Signing policy: a signature is optional. No key was at hand, so nothing in this run is"
        " signed." in shown
    )
    assert shown.endswith("\nSignature: NOT TRUSTED: nobody signed this run\n")
    assert not place.home.exists()


@pytest.mark.parametrize(
    ("policy", "told"),
    [
        ('policy = "required"', "a signature by a key pinned in factory.keys/ is required"),
        (
            'policy = "required-from"\nkeys = ["ed25519:0123456789abcdef"]',
            "a signature by one of ed25519:0123456789abcdef is required",
        ),
    ],
)
def test_a_required_signature_without_a_key_blocks_before_any_pack_runs(
    tmp_path: Path, policy: str, told: str
) -> None:
    place = Place(tmp_path, home=False)
    place.policy(policy)
    ended = place.oneshot()
    assert ended.rc == 2, ended.text
    assert place.world.findings() == ["SIGNING_KEY_MISSING"]
    assert place.world.status()["status"] == "BLOCKED"
    assert place.world.executed() == []
    for name in ("FINAL_REPORT.md", "FINAL_REPORT.txt"):
        report = (place.world.last() / name).read_text()
        assert (
            f"Signing policy: {told}. No key was at hand, so nothing in this run is signed."
            in report
        )
    (envelope,) = parse_envelopes(place.attested("attestations.intoto.jsonl"))
    summary = json.loads(envelope.payload)
    assert summary["predicate"]["verificationResult"] == "FAILED"
    assert summary["predicate"]["verifiedLevels"] == [
        "FAILED",
        "CODEX_ORCHESTRATOR_BLOCKED",
        "CODEX_ORCHESTRATOR_JUDGE_UNCHANGED",
    ]


def test_a_required_signature_is_by_a_pinned_key(place: Place) -> None:
    place.policy('policy = "required"')
    ended = place.oneshot()
    assert (ended.rc, place.world.findings()) == (2, ["SIGNING_KEY_UNTRUSTED"])
    assert "not pinned (factory keys trust)" in ended.out
    assert place.factory("keys", "trust").rc == 0
    assert place.oneshot().rc == 2  # written, but nobody committed it
    place.world.commit("trust")
    ended = place.oneshot()
    assert ended.rc == 0, ended.text
    pins = [
        parse_pem(path.read_bytes()).key_id
        for path in (place.world.root / "factory.keys").iterdir()
    ]
    known = in_envelopes(place.home)
    assert {known[name] for name in place.signatures} == set(pins)


def test_required_from_takes_no_other_pinned_key(place: Place) -> None:
    place.policy('policy = "required-from"\nkeys = ["ed25519:0123456789abcdef"]')
    place.trust()
    ended = place.oneshot()
    assert (ended.rc, place.world.findings()) == (2, ["SIGNING_KEY_UNTRUSTED"])
    assert "expected one of signing.keys, which are: ed25519:0123456789abcdef" in ended.text
    key = parse_pem(place.factory("keys", "export").out.encode()).key_id
    place.policy(f'policy = "required-from"\nkeys = ["{key}"]')
    ended = place.oneshot()
    assert ended.rc == 0, ended.text
    assert {in_envelopes(place.home)[name] for name in place.signatures} == {key}


ALWAYS = {"since": "", "until": "", "revoked": ""}


@pytest.mark.parametrize(
    ("terms", "why"),
    [
        ({"purposes": []}, "is not for runs"),
        ({"purposes": ["run"], "since": "2999-01-01T00:00:00Z"}, "counts since 2999"),
        ({"purposes": ["run"], "until": "2020-01-01T00:00:00Z"}, "counted until 2020"),
        ({"purposes": ["run"], "revoked": "2020-01-01T00:00:00Z"}, "is revoked from 2020"),
        ({"purposes": ["run"], "until": "2999-01-01T00:00:00Z"}, ""),
    ],
)
def test_terms_of_a_pinned_key_count_for_what_a_run_must_be_signed_with(
    place: Place, terms: dict[str, object], why: str
) -> None:
    place.policy('policy = "required"')
    place.trust()
    key = parse_pem(place.factory("keys", "export").out.encode()).key_id
    document = {"schema_version": 1, "keys": [{**ALWAYS, "key": key, **terms}], "thresholds": []}
    place.world.write("factory.keys/keys.json", json.dumps(document))
    place.world.commit("terms")
    ended = place.oneshot()
    if not why:
        assert ended.rc == 0, ended.text
        return
    assert (ended.rc, place.world.findings()) == (2, ["SIGNING_KEY_UNTRUSTED"])
    assert f"{key} is in use, and {why}" in ended.out


def test_terms_that_cannot_be_read_are_not_none(place: Place) -> None:
    place.policy('policy = "required"')
    place.trust()
    place.world.write("factory.keys/keys.json", "{}")
    place.world.commit("terms")
    ended = place.oneshot()
    assert (ended.rc, place.world.findings()) == (2, ["SIGNING_PIN_INVALID"])
    assert "factory.keys/keys.json cannot be read: " in ended.out


def test_required_from_nobody_is_never_met(place: Place) -> None:
    place.policy('policy = "required-from"')
    place.trust()
    ended = place.oneshot()
    assert ended.rc == 2
    assert "expected one of signing.keys, which are: none" in ended.text


def test_a_broken_pin_blocks_where_pins_count(place: Place) -> None:
    place.policy('policy = "required"')
    place.world.write("factory.keys/other.pub", ed25519.make_pem())
    place.trust()
    ended = place.oneshot()
    assert (ended.rc, place.world.findings()) == (2, ["SIGNING_PIN_INVALID"])
    assert "factory.keys/other.pub contains a private key, expected a public one" in ended.text


def test_a_key_that_others_can_read_blocks_under_any_policy(place: Place) -> None:
    assert place.factory("keys", "new").rc == 0
    next(place.home.rglob("*.pem")).chmod(0o644)
    ended = place.oneshot()
    assert (ended.rc, place.world.findings()) == (2, ["SIGNING_KEY_UNSAFE"])
    assert place.signatures == set()


def test_a_pack_cannot_pin_a_key(place: Place) -> None:
    step = "steps: [{name: pin, run: 'mkdir -p factory.keys && echo x > factory.keys/evil.pub'}]"
    place.world.pack("TASK-0001-one", "scope: {allowed_paths: ['**']}\n" + step + "\n")
    place.world.commit("evil")
    ended = place.oneshot()
    assert ended.rc == 2
    assert "PATH_PROTECTED" in place.world.findings()


RECORD_STARTS = """
import os, sys

def hook(event, arguments):
    if event in ("subprocess.Popen", "os.exec", "os.posix_spawn", "os.spawn", "os.system"):
        argv = arguments[1] if len(arguments) > 1 else arguments[0]
        environment = arguments[-1] if len(arguments) > 2 else None
        text = repr((argv, dict(os.environ if environment is None else environment)))
        with open({place!r}, "a", encoding="utf-8", errors="backslashreplace") as stream:
            stream.write(text + chr(10))

sys.addaudithook(hook)
"""


def forms_of(pem: bytes) -> tuple[bytes, ...]:
    """A private key as it could be written: its 32 bytes raw, in hex, and in base64 however they
    are aligned.
    """
    key = load_pem_private_key(pem, None)
    assert isinstance(key, Ed25519PrivateKey)
    seed = key.private_bytes_raw()
    aligned = [base64.b64encode(bytes(shift) + seed)[4:-4] for shift in range(3)]
    urls = [base64.urlsafe_b64encode(bytes(shift) + seed)[4:-4] for shift in range(3)]
    return (seed, seed.hex().encode(), seed.hex().upper().encode(), *aligned, *urls)


def holding(forms: tuple[bytes, ...], *roots: Path) -> set[Path]:
    """Every file below `roots` that holds one of these."""
    files = (path for root in roots for path in (root.rglob("*") if root.is_dir() else [root]))
    contents = (
        (path, path.read_bytes()) for path in files if path.is_file() and not path.is_symlink()
    )
    return {path for path, content in contents if any(form in content for form in forms)}


def test_a_private_key_is_in_its_file_and_nowhere_else(place: Place, tmp_path: Path) -> None:
    """Not in evidence, ledger, logs, caches or Git; not in an argument or a variable of any
    process; not told.
    """
    starts = tmp_path / "starts.txt"
    (tmp_path / "hook").mkdir()
    (tmp_path / "hook" / "sitecustomize.py").write_text(RECORD_STARTS.format(place=str(starts)))
    look = (
        f"env; cat {place.home}/.config/codex-orchestrator/keys/* /proc/*/environ /proc/*/cmdline"
        " 2>/dev/null; true"
    )
    step = f"scope: {{allowed_paths: ['docs/**']}}\nsteps: [{{name: look, run: '{look}'}}]\n"
    place.world.pack("TASK-0001-one", step)
    place.world.commit("look")
    said = place.factory("keys", "new", PYTHONPATH=str(tmp_path / "hook")).text
    kept = next(place.home.rglob("*.pem"))
    given = ed25519.make_pem()
    ended = place.oneshot(PYTHONPATH=str(tmp_path / "hook"))
    assert ended.rc == 0, ended.text
    said += ended.text
    place.world.pack("TASK-0001-one", step + "notes: again\n")
    place.world.commit("again")
    environment = place.env(FACTORY_SIGNING_KEY=given.decode(), PYTHONPATH=str(tmp_path / "hook"))
    ended = place.world.doit("-n", "2", "oneshot", **environment)
    assert ended.rc == 0, ended.text
    said += ended.text
    assert place.signatures == {ed25519.parse_private_pem(given).key.dsse_id}
    forms = (*forms_of(kept.read_bytes()), *forms_of(given))
    assert not any(form in said.encode() for form in forms)
    started = starts.read_text("utf-8")
    assert started.count("\n") > 10
    assert "FACTORY_SIGNING_KEY" not in started
    (tmp_path / "planted").write_bytes(b"..." + forms_of(given)[1])
    assert holding(forms, tmp_path) == {kept, tmp_path / "planted"}


def test_a_job_signs_with_the_key_it_was_given(place: Place) -> None:
    private = ed25519.make_pem()
    ended = place.oneshot(FACTORY_SIGNING_KEY=private.decode())
    assert ended.rc == 0, ended.text
    assert place.signatures == {ed25519.parse_private_pem(private).key.dsse_id}
    assert list(place.home.iterdir()) == []


def test_after_rotation_old_runs_are_still_signed_by_a_pinned_key(place: Place) -> None:
    runs, keys = [], []
    for word in ("first", "second"):
        assert place.factory("keys", "new").rc == 0
        place.trust()
        place.edit(word)
        assert place.oneshot().rc == 0
        runs.append(place.world.last().parent)
        keys.append(parse_pem(place.factory("keys", "export").out.encode()))
    pinned = [
        parse_pem(path.read_bytes()) for path in (place.world.root / "factory.keys").iterdir()
    ]
    assert set(pinned) == set(keys)
    for run, key in zip(runs, keys, strict=True):
        kept = parse_kept((run / "attestations" / "checkpoint").read_bytes())
        assert kept.note is not None
        found = signers(
            kept.note, [NoteKey(kept.checkpoint.origin, pin) for pin in pinned], ed25519.check
        )
        assert [one.key for one in found] == [key]
    ended = place.factory("ledger", "consistency", runs[0].name, runs[1].name)
    assert ended.rc == 0, ended.text
    assert all(f"signed by {key.key_id}" in ended.out for key in keys)
    for run, key in zip(runs, keys, strict=True):
        ended = place.factory("verify", run.name)
        assert (
            ended.rc,
            f"checkpoint by {key.key_id} (trusted: your own)" in ended.out,
        ) == (0, True)
    shown = place.factory("print-report", runs[0].name)
    assert f"Signature: signed by {keys[0].key_id}, which is your own" in shown.out
    _without_the_old_key(place, runs[0].name, keys[0])


def test_a_key_that_the_judged_tree_pins_is_not_trusted(place: Place) -> None:
    """Whoever sends a change chooses its pins: neither the commit that is checked out nor the
    run's base commit vouches for them.
    """
    place.policy('policy = "required"')
    place.trust()
    assert place.oneshot().rc == 0
    run = place.world.last().parent.name
    assert "(trusted: your own)" in place.factory("verify", run).out
    next(place.home.rglob("*.pem")).unlink()
    ended = place.factory("verify", run)
    assert (ended.rc, ended.out.splitlines()[-1]) == (2, "INTACT, NOT TRUSTED")
    assert "(claimed: pinned in the commit that is checked out)" in ended.out
    place.world.git("rm", "-q", "-r", "factory.keys")
    place.world.commit("unpin")
    ended = place.factory("verify", run)
    assert (ended.rc, ended.out.splitlines()[-1]) == (2, "INTACT, NOT TRUSTED")
    assert "(claimed: pinned in the run's base commit)" in ended.out


def _without_the_old_key(place: Place, run: str, old: PublicKey) -> None:
    """Where the old key is not this user's any more, its runs are trusted only by saying so."""
    private = (
        place.home
        / ".config"
        / "codex-orchestrator"
        / "keys"
        / old.file_name.replace(".pub", ".pem")
    )
    private.unlink()
    shown = place.factory("print-report", run).out
    assert f"NOT TRUSTED: signed by {old.key_id}, which only the repository pins" in shown
    place.world.git("rm", "-q", f"factory.keys/{old.file_name}")
    place.world.commit("unpin")
    ended = place.factory("verify", run)
    assert ended.rc == 2
    assert f"{old.key_id} (claimed: pinned in the run's base commit)" in ended.out
    shown = place.factory("print-report", run).out
    assert (
        f"Signature: NOT TRUSTED: signed by {old.dsse_id}, whose public key is not known here"
        in shown
    )
    (place.home / "old.pub").write_bytes(format_pem(old))
    assert place.factory("verify", run, "--key", str(place.home / "old.pub")).rc == 0
    assert place.factory("keys", "trust", "--user", str(place.home / "old.pub")).rc == 0
    assert place.factory("verify", run).rc == 0
    shown = place.factory("print-report", run).out
    assert f"Signature: signed by {old.key_id}, which you trust" in shown


def test_a_prepared_run_waits_for_the_key_that_policy_requires(place: Place) -> None:
    place.policy('policy = "required"')
    place.trust()
    assert place.oneshot().rc == 0
    run = place.world.last().parent
    before = (run / "attestations" / "checkpoint").read_bytes()
    (run / "RUN_MANIFEST.json").unlink()
    (run / "attestations" / "checkpoint").unlink()
    keys = place.home / ".config" / "codex-orchestrator" / "keys"
    keys.rename(place.home / "away")
    place.home.joinpath(".config", "codex-orchestrator").chmod(0o700)
    (place.home / ".config" / "codex-orchestrator" / "keys").write_bytes(b"")
    ended = place.factory("preflight")
    assert ended.rc == 2
    assert "SIGNING_KEY_MISSING" in ended.text
    assert not (run / "RUN_MANIFEST.json").exists()
    keys.unlink()
    (place.home / "away").rename(keys)
    assert place.factory("preflight").rc == 0
    assert (run / "RUN_MANIFEST.json").exists()
    assert (run / "attestations" / "checkpoint").read_bytes() == before


def rewritten(ledger: bytes) -> bytes:
    """The same events with one word changed and the chain made anew, as somebody with the disk
    could.
    """
    head, lines = Head(), []
    for line in ledger.splitlines():
        event = json.loads(line)
        details = {
            **event["details"],
            **({"status": "PASS", "forged": "1"} if event["seq"] == 3 else {}),
        }
        names = ("event_type", "run_id", "actor", "duration_ms", "file_counts", "hashes", "rc")
        fields = {name: event[name] for name in names}
        made = link(
            head, Entry(**fields, parent=event["parent_event_id"], details=details), event["ts_utc"]
        )
        head = Head(made.seq, made.event_id)
        lines.append(format_event(made))
    return b"".join(lines)


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (rewritten, "LEDGER_REWRITTEN"),
        (lambda ledger: b"".join(ledger.splitlines(keepends=True)[:-2]), "LEDGER_ROLLED_BACK"),
    ],
)
def test_no_second_history_is_ever_signed(place: Place, change, expected: str) -> None:
    assert place.oneshot().rc == 0
    kept = place.world.last().parent / "attestations" / "checkpoint"
    ledger = place.world.state / "ledger.jsonl"
    ledger.write_bytes(change(ledger.read_bytes()))
    ended = place.factory("ledger", "consistency", str(kept), "now")
    assert ended.rc == 2
    assert ended.text.startswith(f"{expected}  ")
    place.edit("two")
    before = ledger.read_bytes()
    ended = place.oneshot()
    assert ended.rc == 2, ended.text
    assert expected in ended.text
    assert "Traceback" not in ended.text
    assert (ledger.read_bytes(), len(place.world.runs())) == (before, 1)
    ledger.rename(ledger.with_name("aside.jsonl"))
    ended = place.oneshot()
    assert "LEDGER_LACKS_RUN" in ended.text
    ledger.with_name("runs").rename(ledger.with_name("runs-aside"))
    ended = place.oneshot()
    assert ended.rc == 0, ended.text


def test_a_strangers_public_key_can_be_pinned_from_its_file(place: Place) -> None:
    stranger = ed25519.parse_private_pem(ed25519.make_pem()).key
    (place.home / "bob.pub").write_bytes(format_pem(stranger))
    ended = place.factory("keys", "trust", str(place.home / "bob.pub"))
    assert ended.rc == 0, ended.text
    assert (
        parse_pem((place.world.root / "factory.keys" / stranger.file_name).read_bytes()) == stranger
    )
    place.world.commit("bob")
    assert f"{stranger.key_id}  pinned" in place.factory("keys", "list").out
    (place.home / "bad.pub").write_bytes(b"nothing\n")
    ended = place.factory("keys", "trust", str(place.home / "bad.pub"))
    assert ended.rc == 2
    assert "SIGNING_PIN_INVALID" in ended.text
    ended = place.factory("keys", "trust", "ed25519:ffffffffffffffff")
    assert ended.rc == 2
    assert "SIGNING_KEY_UNKNOWN  the key ed25519:ffffffffffffffff is not known here" in ended.text


def test_keys_need_no_repository(place: Place, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    made = place.world.factory("keys", "new", cwd=elsewhere, **place.env())
    assert made.rc == 0, made.text
    listed = place.world.factory("keys", "list", "--json", cwd=elsewhere, **place.env())
    assert [row["in_use"] for row in json.loads(listed.out)["keys"]] == [True]
    assert "PRIVATE" not in made.text + listed.text


def test_a_proof_is_printed_for_every_event_and_holds(place: Place) -> None:
    assert place.oneshot().rc == 0
    assert place.world.events()[-1]["event_type"] == "integrate.finished"
    for event in place.world.events():
        told = json.loads(place.factory("ledger", "prove", str(event["seq"]), "--json").out)
        assert proves(parse_proof(told["proof"].encode()), told["line"].encode())
        assert json.loads(told["line"]) == event
    ended = place.factory("ledger", "prove", "999")
    assert ended.rc == 2
    assert "there is no event 999" in ended.text
