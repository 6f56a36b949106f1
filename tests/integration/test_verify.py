"""`factory verify` as a person runs it: a good run, a copied one, a tampered one, all of them, and
made again.
"""

from __future__ import annotations

import base64
import json
import os
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import pytest

from factory.engine import rebuild
from factory.evidence.attestations import enclose, pae, parse_envelopes
from factory.evidence.ledger_head import sign_checkpoint
from factory.log import ed25519
from factory.log.chain import Head
from factory.log.checkpoint import Checkpoint, format_kept
from factory.log.dsse import Envelope, format_envelopes
from factory.log.key import PublicKey, Signature
from factory.log.merkle import Peaks
from factory.log.public_key import format_pem, parse_pem
from factory.model.event import Entry
from factory.model.ledger_chain import format_event
from factory.model.signing import origin_of
from factory.model.statement import PAYLOAD_TYPE
from factory.verify.form import canonical
from factory.verify.notes import Key, Way
from factory.verify.run import Verified
from factory.verify.session import Caller, PolicyCommit, Unreadable, verify_at, verify_run_of
from tests.docs_kit import ROOT, appears, typed
from tests.ledger_lines import link
from tests.verify_kit import small_world
from tests.world import Ended, World, run

pytestmark = pytest.mark.linux

AUDIT = ROOT / "docs" / "factory" / "audit.py"


@dataclass
class Place:
    """A repository with one signed run, and the user who signs."""

    world: World
    env: dict[str, str]
    run_id: str

    @property
    def run(self) -> Path:
        return self.world.state / "runs" / self.run_id

    def verify(self, *words: str, cwd: Path | None = None, **env: str) -> Ended:
        return self.world.factory("verify", *words, cwd=cwd, **{**self.env, **env})


def placed(folder: Path, world: World) -> Place:
    env = {"HOME": str(folder), "XDG_CONFIG_HOME": str(folder / "config")}
    (folder / "config").mkdir()
    assert world.factory("keys", "new", **env).rc == 0
    done = world.factory("oneshot", **env)
    assert done.rc == 0, done.text
    return Place(world, env, world.runs()[-1])


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> Place:
    folder = tmp_path_factory.mktemp("verify")
    return placed(folder, small_world(folder / "repository"))


def copied(world: World, root: Path) -> World:
    """The repository with its state, but without caches, which hold what no copy can hold."""
    shutil.copytree(world.root, root, symlinks=True, ignore=shutil.ignore_patterns("cache"))
    made = World.__new__(World)
    made.root = root
    return made


def section(out: str, name: str) -> str:
    return next(line for line in out.splitlines() if line.startswith(f"  {name} "))


def test_a_good_run_is_verified(good: Place) -> None:
    done = good.verify()
    assert done.rc == 0, done.text
    lines = done.out.splitlines()
    assert lines[0] == good.run_id
    assert lines[-1] == "VERIFIED"
    assert "nothing missing, nothing extra" in section(done.out, "manifests")
    assert "2 re-derived, trees agree" in section(done.out, "bundles")
    assert "re-made from base and bundles" in section(done.out, "merged tree")
    assert "PASS re-evaluated" in section(done.out, "verdict")
    assert "chain and tree agree" in section(done.out, "ledger")
    assert "(trusted: your own)" in section(done.out, "signatures")
    assert done.err == ""


def test_events_after_the_last_checkpoint_are_counted(good: Place, tmp_path: Path) -> None:
    world = copied(good.world, tmp_path / "repository")
    assert "no checkpoint" not in section(world.factory("verify", **good.env).out, "ledger")
    assert world.factory("verify", "--record", **good.env).rc == 0
    done = world.factory("verify", **good.env)
    assert "no checkpoint" not in section(done.out, "ledger")  # recording signs one
    (world.state / "ledger.checkpoint").unlink()
    done = world.factory("verify", **good.env)
    assert done.rc == 0
    assert section(done.out, "ledger").endswith("; no checkpoint covers the last 1")


def appended(world: World, run_id: str, kind: str, details: dict[str, str]) -> None:
    """Append an event that fits the chain, as anybody who can write the file could."""
    place = world.state / "ledger.jsonl"
    last = world.events()[-1]
    entry = Entry(kind, run_id, actor="gc", details=details, file_counts={"bytes": 1, "files": 1})
    event = link(Head(last["seq"], last["event_id"]), entry, last["ts_utc"])
    place.write_bytes(place.read_bytes() + format_event(event))


def test_a_run_that_is_deleted_under_an_unsigned_line_is_missed(tmp_path: Path) -> None:
    place = placed(tmp_path, small_world(tmp_path / "repository"))
    world = place.world
    world.write("README.md", "# Later\n")
    world.commit("later")
    assert world.factory("oneshot", **place.env).rc == 0
    last = world.last().parent.name
    details = {"path": f"runs/{last}", "why": "old", "where": "nowhere"}
    shutil.rmtree(world.state / "runs" / last)
    appended(world, last, "gc.removed", details)
    for words in ((), ("--all",), (last,)):
        done = place.verify(*words)
        assert done.rc == 2
        assert "records its removal, and no checkpoint covers that event" in done.out
    (world.state / "ledger.checkpoint").write_bytes(
        format_kept(sign_checkpoint(checkpoint_of(world), None))
    )
    done = place.verify()
    assert "records its removal, and no checkpoint covers that event" in done.out
    stranger = ed25519.parse_private_pem(ed25519.make_pem())
    (world.state / "ledger.checkpoint").write_bytes(
        format_kept(sign_checkpoint(checkpoint_of(world), stranger))
    )
    done = place.verify()
    assert "records its removal, and no checkpoint covers that event" in done.out


def checkpoint_of(world: World, size: int | None = None) -> Checkpoint:
    """Return the checkpoint of a ledger as it is now, or as it was with `size` events."""
    lines = (world.state / "ledger.jsonl").read_bytes().splitlines()[:size]
    root = Peaks().extended(lines).root
    return Checkpoint(origin_of(json.loads(lines[0])["event_id"]), len(lines), root)


def test_what_gc_removes_lies_under_a_checkpoint_that_it_signs(tmp_path: Path) -> None:
    place = placed(tmp_path, small_world(tmp_path / "repository"))
    world = place.world
    world.write("README.md", "# Later\n")
    world.commit("later")
    assert world.factory("oneshot", **place.env).rc == 0
    shutil.copytree(world.state / "runs" / place.run_id, tmp_path / "exported" / place.run_id)
    words = ("--keep", "1", "--exported", str(tmp_path / "exported"))
    done = world.factory("gc", "--yes", *words, **place.env)
    assert (done.rc, "removed" in done.out) == (0, True), done.text
    assert len(world.runs()) == 1, done.text
    done = place.verify("--all")
    assert done.rc == 0, done.text
    assert "its evidence was removed, as the ledger records" in done.out


def test_the_last_event_of_a_run_lies_under_its_checkpoint(good: Place, tmp_path: Path) -> None:
    world = copied(good.world, tmp_path / "repository")
    ledger = world.state / "ledger.jsonl"
    lines = ledger.read_bytes().splitlines(keepends=True)
    ledger.write_bytes(b"".join(lines[:-1]))
    done = world.factory("verify", **good.env)
    assert done.rc == 2
    assert "its end was taken away: expected the" in done.out


def test_after_a_rollback_it_says_so_whatever_is_left(good: Place, tmp_path: Path) -> None:
    world = copied(good.world, tmp_path / "repository")
    kept = tmp_path / "kept"
    kept.write_bytes((good.run / "attestations" / "checkpoint").read_bytes())
    (world.state / "ledger.jsonl").write_bytes(b"")
    done = world.factory("verify", **good.env)
    assert (done.rc, "its end was taken away" in done.out) == (2, True), done.text
    shutil.rmtree(world.state / "runs")
    for words in ((), ("--all",)):
        done = world.factory("verify", "--checkpoint", str(kept), *words, **good.env)
        assert done.rc == 2
        assert "its end was taken away: expected the" in done.out
        assert "no run has finished" not in done.text
    done = world.factory("verify", **good.env)
    assert "no run has finished yet" in done.text  # nothing here says that there was one


def test_what_finished_since_a_checkpoint_that_was_kept_is_verified(tmp_path: Path) -> None:
    place = placed(tmp_path, small_world(tmp_path / "repository"))
    world, kept = place.world, tmp_path / "kept"
    size = len(world.events())
    ways = {
        ("--file", str(kept)): str(kept),
        ("--ref", "refs/factory/checkpoint"): "ref:refs/factory/checkpoint",
        ("--note", "HEAD"): "note:HEAD~1",
    }
    for words in ways:
        done = world.factory("ledger", "export-checkpoint", *words, **place.env)
        assert (done.rc, f"kept   {size} events in " in done.out) == (0, True), done.text
    printed = world.factory("ledger", "export-checkpoint", **place.env)
    assert printed.out == kept.read_text()
    done = place.verify("--since", str(kept))
    assert (done.rc, "no run has finished since" in done.out) == (0, True), done.text
    world.write("README.md", "# Later\n")
    world.commit("later")
    assert world.factory("oneshot", **place.env).rc == 0
    last = world.last().parent.name
    for since in ways.values():
        done = place.verify("--since", since)
        assert done.rc == 0, done.text
        assert done.out.splitlines()[0] == last
        assert place.run_id not in done.out
        assert "consistent with 2 other checkpoints" in section(done.out, "ledger")
    ledger = world.state / "ledger.jsonl"
    lines = ledger.read_bytes().splitlines(keepends=True)
    ledger.write_bytes(b"".join(lines[:20]))
    shutil.rmtree(world.state / "runs")
    for since in ways.values():
        done = place.verify("--since", since, XDG_STATE_HOME=str(tmp_path / "another"))
        assert (done.rc, f"taken away: expected the {size} events" in done.out) == (2, True)


@pytest.mark.parametrize(
    "words",
    [
        ("ledger", "export-checkpoint", "--ref", "main"),
        ("ledger", "export-checkpoint", "--ref", "refs/heads/main"),
        ("ledger", "export-checkpoint", "--ref", "refs/tags/../heads/main"),
        ("ledger", "export-checkpoint", "--note", "--all"),
        ("ledger", "--file", "x"),
        ("verify", "--since", "nowhere"),
        ("verify", "--since", "ref:refs/factory/nothing"),
        ("verify", "--since", "note:HEAD~99"),
        ("verify", "--since", "kept", "--all"),
    ],
)
def test_a_checkpoint_is_kept_nowhere_else(good: Place, words: tuple[str, ...]) -> None:
    before = good.world.git("for-each-ref")
    done = good.world.factory(*words, **good.env)
    assert (done.rc, "Traceback" in done.text) == (64, False), done.text
    assert good.world.git("for-each-ref") == before


def test_a_folder_and_a_ledger_that_are_put_back_are_missed_by_whoever_wrote_them(
    tmp_path: Path,
) -> None:
    place = placed(tmp_path, small_world(tmp_path / "repository"))
    world, runs = place.world, place.world.state / "runs"
    ledger = world.state / "ledger.jsonl"
    before = ledger.read_bytes()
    world.write("README.md", "# Later\n")
    world.commit("later")
    assert world.factory("oneshot", **place.env).rc == 0

    last = world.last().parent.name
    shutil.rmtree(runs / last)
    ledger.write_bytes(before)
    for words in ((), ("--all",), (place.run_id,)):
        done = place.verify(*words)
        assert done.rc == 2, done.text
        assert "its end was taken away: expected the " in done.out
        assert " events that you wrote here, found " in done.out
    done = place.verify(XDG_STATE_HOME=str(tmp_path / "another"))
    assert done.rc == 0  # who never wrote here needs a checkpoint that was kept
    shutil.rmtree(runs)
    ledger.write_bytes(b"")
    done = place.verify()
    assert (done.rc, "events that you wrote here, found 0" in done.out) == (2, True), done.text


def test_the_same_as_json(good: Place) -> None:
    done = good.verify(good.run_id, "--json")
    assert done.rc == 0
    document = json.loads(done.out)
    assert document["status"] == "PASS"
    (run,) = document["runs"]
    assert run["outcome"] == "verified"
    assert len(run["signers"]) == 1
    assert run["verdict"] == "PASS"
    assert run["not_checkable"] == []
    assert run["files"] == sum(path.is_file() for path in good.run.rglob("*"))


def test_a_copy_elsewhere_is_verified_and_says_what_it_could_not_check(
    good: Place, tmp_path: Path
) -> None:
    copy = tmp_path / "on another machine" / "evidence"
    shutil.copytree(good.run, copy)
    done = good.verify("--path", str(copy), cwd=tmp_path, XDG_CONFIG_HOME="/proc/nonexistent")
    assert done.rc == 2, done.text
    for part in ("ledger chain", "ledger tree", "base commit", "signatures"):
        assert f"not-checkable {part}:" in done.out
    assert "re-made from base and bundles" in section(done.out, "merged tree")
    assert "whose public key is not known here  [VERIFY_UNTRUSTED]" in done.out
    assert done.out.splitlines()[-1].startswith("INTACT, NOT TRUSTED  4 parts not checkable")
    words = ("--path", str(copy), "--json")
    told = json.loads(good.verify(*words, cwd=tmp_path, XDG_CONFIG_HOME="/proc/nonexistent").out)
    assert (told["status"], told["runs"][0]["outcome"]) == ("BLOCKED", "intact-untrusted")
    assert told["runs"][0]["signers"] == []


def test_a_copy_with_its_public_key_is_verified_by_it(good: Place, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(good.run, copy)
    key = tmp_path / "alice.pub"
    key.write_text(good.world.factory("keys", "export", **good.env).out)
    done = good.verify(
        "--path", str(copy), "--key", str(key), cwd=tmp_path, XDG_CONFIG_HOME="/proc/nonexistent"
    )
    assert done.rc == 0, done.text
    assert "(trusted: given with --key)" in section(done.out, "signatures")
    other = tmp_path / "other.pub"
    other.write_bytes(format_pem(ed25519.parse_private_pem(ed25519.make_pem()).key))
    done = good.verify("--path", str(copy), "--key", str(other), cwd=tmp_path)
    assert done.rc == 2
    assert "given with --key, found one by" in done.out
    assert done.out.splitlines()[-1].startswith("INTACT, NOT TRUSTED")
    done = good.verify("--path", str(copy), "--key", str(other), "--key", str(key), cwd=tmp_path)
    assert done.rc == 0, done.text
    key.write_text("no key")
    done = good.verify("--path", str(copy), "--key", str(key), cwd=tmp_path)
    assert done.rc == 64
    assert "expected a public key" in done.err


def test_a_key_in_the_folder_of_keys_is_trusted(good: Place, tmp_path: Path) -> None:
    copy, key = tmp_path / "copy", tmp_path / "alice.pub"
    shutil.copytree(good.run, copy)
    key.write_text(good.world.factory("keys", "export", **good.env).out)
    bob = {"HOME": str(tmp_path), "XDG_CONFIG_HOME": str(tmp_path / "config")}
    done = good.verify("--path", str(copy), cwd=tmp_path, **bob)
    assert done.out.splitlines()[-1].startswith("INTACT, NOT TRUSTED")
    (tmp_path / "config").mkdir()
    done = good.world.factory("keys", "trust", "--user", str(key), cwd=tmp_path, **bob)
    assert done.rc == 0, done.text
    done = good.verify("--path", str(copy), cwd=tmp_path, **bob)
    assert done.rc == 0, done.text
    assert "(trusted: in your folder of keys)" in section(done.out, "signatures")
    assert "trusted" in good.world.factory("keys", "list", cwd=tmp_path, **bob).out
    (kept,) = (tmp_path / "config" / "codex-orchestrator" / "trusted-keys").iterdir()
    kept.chmod(0o666)
    done = good.verify("--path", str(copy), cwd=tmp_path, **bob)
    assert (done.rc, "can be written by another user" in done.text) == (2, True)
    assert good.world.factory("keys", "export", "--user", **bob).rc == 64


def terms(key_id: str, **more: object) -> dict[str, object]:
    return {"key": key_id, "purposes": ["run"], "since": "", "until": "", "revoked": "", **more}


def test_a_key_counts_by_its_terms_and_with_others(good: Place, tmp_path: Path) -> None:
    """Purposes, dates, revocation and thresholds of the user's folder of keys hold for own keys
    too.
    """
    folder = tmp_path / "config" / "codex-orchestrator"
    shutil.copytree(Path(good.env["XDG_CONFIG_HOME"]), tmp_path / "config")
    (folder / "trusted-keys").mkdir(mode=0o700)
    bob = {"HOME": str(tmp_path), "XDG_CONFIG_HOME": str(tmp_path / "config")}
    told = json.loads(good.world.factory("verify", "--json", **bob).out)["runs"][0]
    (key,) = told["signers"]
    other = "ed25519:0000000000000000"

    def verified(rows: list[dict[str, object]], *thresholds: dict[str, object]) -> Ended:
        document = {"schema_version": 1, "keys": rows, "thresholds": list(thresholds)}
        place = folder / "trusted-keys" / "keys.json"
        place.write_text(json.dumps(document))
        place.chmod(0o600)
        return good.world.factory("verify", **bob)

    two = {"purpose": "run", "need": 2, "of": [key, other]}
    for rows, thresholds, sentence in (
        ([], [], ""),
        ([terms(key, since="2020-01-01T00:00:00Z", until="9999-12-31T00:00:00Z")], [], ""),
        ([terms(key)], [{**two, "need": 1}], ""),
        ([terms(key, purposes=[])], [], "it is not for runs"),
        ([terms(key, since="9999-12-31T00:00:00Z")], [], "it counts since 9999-12-31T00:00:00Z"),
        ([terms(key, until="2020-01-01T00:00:00Z")], [], "it counted until 2020-01-01T00:00:00Z"),
        ([terms(key, revoked="2020-01-01T00:00:00Z")], [], "it is revoked from 2020-01-01"),
        ([terms(key)], [two], f"expected signatures by 2 of {key}, {other}, found those by {key}"),
    ):
        done = verified(rows, *thresholds)
        last = done.out.splitlines()[-1]
        assert (done.rc, last) == ((2, "INTACT, NOT TRUSTED") if sentence else (0, "VERIFIED"))
        assert sentence in done.out
    for rows, thresholds in (
        ([terms(key), terms(key)], []),
        ([terms("somebody")], []),
        ([{"key": key}], []),
        ([terms(key)], [{**two, "need": 3}]),
    ):
        done = verified(rows, *thresholds)
        assert (done.rc, "Traceback" in done.text) == (64, False), done.text
        assert "expected terms of keys in your folder of keys: " in done.err


def test_terms_of_the_commit_of_policy_hold_for_its_pins_and_own_keys(
    good: Place, tmp_path: Path
) -> None:
    world = World(tmp_path / "policy")
    key = parse_pem(good.world.factory("keys", "export", **good.env).out.encode())
    world.write(f"factory.keys/{key.file_name}", format_pem(key))
    world.commit("pin")
    outcomes = []
    for rows in ([], [terms(key.key_id)], [terms(key.key_id, revoked="2020-01-01T00:00:00Z")]):
        document = {"schema_version": 1, "keys": rows, "thresholds": []}
        world.write("factory.keys/keys.json", json.dumps(document))
        world.commit("terms")
        policy = PolicyCommit(world.git("rev-parse", "HEAD").strip(), "refs/heads/main")
        for keys in ((), (Key(key, Way.OWN),)):
            asked = Caller(keys, repository=world.root, policy=policy)
            outcomes.append(verify_at(good.run, asked).outcome.value)
    assert outcomes == ["verified"] * 4 + ["intact-untrusted"] * 2
    world.write("factory.keys/keys.json", "{}")
    world.commit("broken")
    policy = PolicyCommit(world.git("rev-parse", "HEAD").strip(), "refs/heads/main")
    with pytest.raises(Unreadable, match="expected terms of keys in "):
        verify_at(good.run, Caller(repository=world.root, policy=policy))


def test_policy_asks_for_a_checkpoint_in_another_place(good: Place, tmp_path: Path) -> None:
    """A run is trusted once each named place has a checkpoint that covers it; a repository adds
    places, and names no file of the host.
    """
    world, kept = copied(good.world, tmp_path / "repository"), tmp_path / "kept"
    world.write("factory.toml", '[evidence]\ncheckpoints = ["ref:refs/factory/checkpoint"]\n')
    env = {**good.env, "FACTORY_EVIDENCE_CHECKPOINTS": f"file:{kept}"}

    def found(rc: int) -> str:
        done = world.factory("verify", **env)
        assert done.rc == rc, done.text
        return done.out

    due = "expected a checkpoint that covers this run in"
    assert f"{due} ref:refs/factory/checkpoint, as policy requires, found none" in found(2)
    assert found(2).endswith("INTACT, NOT TRUSTED\n")
    done = world.factory("ledger", "export-checkpoint", **env)
    assert (done.rc, done.out.count("events in ")) == (0, 2), done.text
    assert "VERIFIED" in found(0)
    text = kept.read_text()
    size = int(text.splitlines()[1])
    early = checkpoint_of(world, size - 1)
    kept.write_bytes(format_kept(sign_checkpoint(early, None)))
    assert f"{due} file:{kept}, as policy requires, found one over {size - 1}" in found(2)
    kept.write_text(text.replace(text.splitlines()[2], "A" * 43 + "=", 1))
    assert "it was rewritten or forked: expected the first" in found(2)
    kept.write_text("no checkpoint\n")
    assert f"{due} file:{kept}, as policy requires, found none" in found(2)
    world.write("factory.toml", f'[evidence]\ncheckpoints = ["file:{kept}"]\n')
    done = world.factory("config", **good.env)
    assert f"a repository cannot name a file of this host, file:{kept}" in done.text
    done = world.factory("config", **{**env, "FACTORY_EVIDENCE_CHECKPOINTS": "note:HEAD"})
    assert "names no place of a checkpoint" in done.text


def test_a_second_signature_meets_a_threshold(good: Place, tmp_path: Path) -> None:
    """Bob verifies, then signs what Alice ran; both signatures together are what policy asks for.
    A signature of Bob alone stands in for nothing, and none about another run is taken.
    """
    world = copied(good.world, tmp_path / "repository")
    alice = parse_pem(world.factory("keys", "export", **good.env).out.encode())
    bob = {"HOME": str(tmp_path / "bob"), "XDG_CONFIG_HOME": ""}
    folder = tmp_path / "bob" / ".config" / "codex-orchestrator" / "trusted-keys"
    folder.parents[2].mkdir()
    refused = world.factory("keys", "sign", **bob)
    assert (refused.rc, "SIGNING_KEY_UNKNOWN" in refused.text) == (2, True)
    assert world.factory("keys", "new", **bob).rc == 0
    refused = world.factory("keys", "sign", **bob)
    assert (refused.rc, "RUN_NOT_SIGNED" in refused.text) == (2, True)
    assert "whose public key is not" in refused.text
    folder.mkdir(mode=0o700)
    (folder / "alice.pub").write_bytes(format_pem(alice))
    named = parse_pem(world.factory("keys", "export", **bob).out.encode())
    document = {
        "schema_version": 1,
        "keys": [],
        "thresholds": [{"purpose": "run", "need": 2, "of": [alice.key_id, named.key_id]}],
    }
    (folder / "keys.json").write_text(json.dumps(document))
    for place in folder.iterdir():
        place.chmod(0o600)
    done = world.factory("verify", **bob)
    assert (done.rc, done.out.splitlines()[-1]) == (2, "INTACT, NOT TRUSTED")
    both = f"{alice.key_id}, {named.key_id}"
    assert f"expected signatures by 2 of {both}, found those by {alice.key_id}" in done.out
    signed = world.factory("keys", "sign", **bob)
    assert (signed.rc, f"signed {good.run_id} by {named.key_id}" in signed.out) == (0, True)
    done = world.factory("verify", **bob)
    assert done.rc == 0, done.text
    assert f"also by {named.key_id} (trusted: your own), on 2" in done.out
    again = world.factory("keys", "sign", good.run_id, **bob)
    assert (again.rc, "already" in again.out) == (0, True), again.text
    assert "already" in world.factory("keys", "sign", **good.env).out  # who ran it
    (kept,) = (world.state / "signatures").iterdir()
    judge_as_auditor(good.run, kept, alice, named, tmp_path)
    content = kept.read_bytes()
    kept.unlink()
    copy, file = tmp_path / "copy", tmp_path / "bob.jsonl"
    shutil.copytree(good.run, copy)
    file.write_bytes(content)
    words = ("verify", "--path", str(copy), "--signature", str(file))
    assert world.factory(*words, **bob).rc == 0
    done = world.factory("keys", "sign", "--path", str(copy), "--file", str(file), **bob)
    assert "is not signed: could not be checked: ledger chain: " in done.text
    (envelope,) = parse_envelopes(content)
    other = envelope.payload.replace(good.run_id.encode(), b"factory_20260101_000000_00000000_001")
    signer = ed25519.parse_private_pem(next((folder.parent / "keys").glob("*.pem")).read_bytes())
    forged = {
        f"expected a signature by {named.key_id} that fits": Envelope(
            envelope.payload.replace(b'"timeVerified":"2', b'"timeVerified":"1'),
            PAYLOAD_TYPE,
            envelope.signatures,
        ),
        "about this run, found one about another": enclose(
            other, (Signature(signer.key, signer.sign(pae(other))),)
        ),
    }
    for sentence, one in forged.items():
        file.write_bytes(format_envelopes((one,)))
        done = world.factory(*words, **bob)
        assert (done.rc, sentence in done.out) == (2, True), done.text
        assert done.out.splitlines()[-1].startswith("NOT VERIFIED  1 finding")
    # a stranger's run that only Bob vouches for stays a stranger's
    file.write_bytes(content)
    (folder / "alice.pub").unlink()
    (folder / "keys.json").unlink()
    done = world.factory(*words, **bob)
    assert done.out.splitlines()[-1].startswith("INTACT, NOT TRUSTED")


def judge_as_auditor(
    run: Path, signature: Path, first: PublicKey, second: PublicKey, folder: Path
) -> None:
    """AUDIT takes the second signature, and refuses it under another key or about another run."""
    place = folder / "audit"
    (place / "cosigners").mkdir(parents=True)
    (place / "run").symlink_to(run)
    (place / "signer.pub").write_bytes(format_pem(first))
    key, added = place / "cosigners" / "bob.pub", place / "cosigners" / "bob.intoto.jsonl"
    key.write_bytes(format_pem(second))

    def step(run_id: str = run.name) -> tuple[int, str]:
        words = ("python3", "-I", str(AUDIT), run_id, "--step", "2")
        done = subprocess.run(words, cwd=place, capture_output=True, text=True, check=False)
        return done.returncode, done.stdout + done.stderr

    assert "cosigners/bob.intoto.jsonl is missing" in step()[1]
    shutil.copy(signature, added)
    rc, said = step()
    assert (rc, f"2. {second.key_id}, which is cosigners/bob.pub, signed" in said) == (0, True)
    assert "is about another run" in step("factory_1")[1]
    key.write_bytes(format_pem(ed25519.parse_private_pem(ed25519.make_pem()).key))
    assert step()[0] == 1
    key.write_bytes(format_pem(first))
    assert "is a key that signed already" in step()[1]


def test_a_copied_state_folder_keeps_its_ledger(good: Place, tmp_path: Path) -> None:
    shutil.copytree(good.world.state / "runs", tmp_path / "runs")
    shutil.copy(good.world.state / "ledger.jsonl", tmp_path / "ledger.jsonl")
    done = good.verify("--path", str(tmp_path / "runs" / good.run_id), cwd=tmp_path)
    assert done.rc == 0, done.text
    assert "chain and tree agree" in section(done.out, "ledger")
    (tmp_path / "runs" / good.run_id).rename(tmp_path / "runs" / "another_run")
    done = good.verify("--path", str(tmp_path / "runs" / "another_run"), cwd=tmp_path)
    assert done.rc == 2
    assert "VERIFY_MANIFEST" in done.out


def test_a_changed_byte_is_named_with_file_expected_and_found(good: Place, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(good.run, copy)
    log = copy / "TASK-0001" / "LOGS" / "check-1.log"
    log.write_bytes(log.read_bytes() + b"x")
    done = good.verify("--path", str(copy), cwd=tmp_path)
    assert done.rc == 2
    assert "TASK-0001/LOGS/check-1.log: expected sha256 " in section(done.out, "bundles")
    assert done.out.splitlines()[-1].startswith("NOT VERIFIED  1 finding in 1 of ")


def test_what_could_not_be_checked_is_refused_where_all_is_asked_for(
    good: Place, tmp_path: Path
) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(good.run, copy)
    done = good.verify("--path", str(copy), "--strict", cwd=tmp_path)
    assert done.rc == 2
    assert "nothing differs, but " in done.out
    assert (
        json.loads(good.verify("--path", str(copy), "--strict", "--json", cwd=tmp_path).out)[
            "status"
        ]
        == "BLOCKED"
    )
    kept = tmp_path / "kept"
    kept.write_bytes((good.run / "attestations" / "checkpoint").read_bytes())
    done = good.verify("--strict", "--checkpoint", str(kept))
    assert done.rc == 0, done.text
    assert "consistent with 1 other checkpoint" in section(done.out, "ledger")
    kept.write_text("no checkpoint\n")
    done = good.verify("--checkpoint", str(kept))
    assert done.rc == 64
    assert "expected a checkpoint in" in done.err


def found(world: World, run_id: str = "") -> Verified:
    verified = verify_run_of(world.state, run_id, Caller())
    assert verified is not None
    return verified


def test_a_ledger_that_is_gone_or_no_file_is_missed_where_the_run_was_made(
    good: Place, tmp_path: Path
) -> None:
    world = copied(good.world, tmp_path / "repository")
    ledger = world.state / "ledger.jsonl"
    content = ledger.read_bytes()
    ledger.unlink()
    for run_id in ("", good.run_id):
        verified = found(world, run_id)
        assert verified.run_id == good.run_id
        assert [finding.id for finding in verified.findings] == ["VERIFY_MISSING"]
        assert (
            "expected the ledger of this repository's runs, found none"
            in verified.findings[0].message
        )
    (tmp_path / "elsewhere").write_bytes(content)
    ledger.symlink_to(tmp_path / "elsewhere")
    assert "VERIFY_LEDGER" in {finding.id for finding in found(world, good.run_id).findings}
    ledger.unlink()
    os.mkfifo(ledger)
    assert "VERIFY_LEDGER" in {finding.id for finding in found(world, good.run_id).findings}
    ledger.unlink()
    for junk in (
        b"x" * 3_000_000,
        b"x" * 3_000_000 + b"\n" + content,
        content + b"{" * 3_000_000 + b"\n",
    ):
        ledger.write_bytes(junk)
        assert "VERIFY_LEDGER" in {finding.id for finding in found(world, good.run_id).findings}


def test_the_last_run_is_missed_and_no_earlier_one_takes_its_place(
    good: Place, tmp_path: Path
) -> None:
    world = copied(good.world, tmp_path / "repository")
    run = world.state / "runs" / good.run_id
    run.rename(tmp_path / "away")
    verified = found(world)
    assert verified.run_id == good.run_id
    assert [finding.id for finding in verified.findings] == ["VERIFY_MISSING"]
    run.symlink_to(tmp_path / "away")
    (finding,) = found(world).findings
    assert "expected the folder of a run, found a symbolic link" in finding.message
    run.unlink()
    (tmp_path / "away").rename(run)
    (run / "RUN_MANIFEST.json").unlink()
    (world.state / "ledger.jsonl").write_bytes(b"")
    assert "VERIFY_MISSING" in {finding.id for finding in found(world, good.run_id).findings}
    assert verify_run_of(world.state, "no_such_run", Caller()) is None


def test_a_large_file_of_holes_is_named_and_not_read(good: Place, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(good.run, copy)
    os.truncate(copy / "TASK-0001" / "LOGS" / "check-1.log", 1 << 38)
    verified = verify_at(copy, Caller())
    assert "found a file made of holes" in " ".join(
        finding.message for finding in verified.findings
    )


@pytest.mark.parametrize("spoil", ["link", "pipe", "folder", "none"])
def test_what_is_no_plain_file_is_named_and_never_followed(
    good: Place, tmp_path: Path, spoil: str
) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(good.run, copy)
    status = copy / "Z_integrator" / "STATUS.json"
    content = status.read_bytes()
    status.unlink()
    if spoil == "link":
        (tmp_path / "elsewhere").write_bytes(content)
        status.symlink_to(tmp_path / "elsewhere")
    elif spoil == "pipe":
        os.mkfifo(status)
    elif spoil == "folder":
        status.mkdir()
    done = good.verify("--path", str(copy), cwd=tmp_path)
    assert done.rc == 2
    assert "Z_integrator/STATUS.json" in done.out
    assert "Traceback" not in done.text


@pytest.mark.parametrize("path", ["TASK-9999", "TASK-0001/LOGS/more", "raw/a/b"])
def test_an_empty_folder_is_extra(good: Place, tmp_path: Path, path: str) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(good.run, copy)
    (copy / path).mkdir(parents=True)
    (finding,) = (
        each for each in verify_at(copy, Caller()).findings if each.id == "VERIFY_UNSAFE_FILE"
    )
    assert finding.location is not None
    assert finding.location.file == path
    assert "an empty folder" in finding.message


def test_a_folder_that_is_no_runs_gets_one_sentence(tmp_path: Path) -> None:
    world = World(tmp_path / "repository")
    done = world.factory("verify", "--path", ".")
    assert done.rc == 2
    assert done.out.splitlines()[1:] == [
        (
            "  manifests    this is no run's folder: it has no RUN_MANIFEST.json and no"
            " Z_integrator/  [VERIFY_MISSING]"
        ),
        "NOT VERIFIED  1 finding",
    ]
    assert json.loads(world.factory("verify", "--path", ".", "--json").out)["status"] == "BLOCKED"


def test_a_run_whose_manifest_was_taken_away_is_not_verified(good: Place, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(good.run, copy)
    (copy / "RUN_MANIFEST.json").unlink()
    verified = verify_at(copy, Caller())
    assert not verified.consistent
    assert "RUN_MANIFEST.json: expected this manifest, found none" in [
        one.message for one in verified.findings
    ]
    shutil.rmtree(copy / "Z_integrator")
    verified = verify_at(copy, Caller())
    assert (verified.consistent, verified.status, len(verified.findings)) == (False, "", 1)


def test_the_same_as_a_task_of_doit(good: Place, tmp_path: Path) -> None:
    done = good.world.doit("verify", **good.env)
    assert done.rc == 0, done.text
    assert "VERIFIED" in done.out
    assert "re-derive the evidence of the last run" in good.world.doit("list", **good.env).out
    world = copied(good.world, tmp_path / "repository")
    (world.state / "runs" / good.run_id / "Z_integrator" / "FINAL_REPORT.md").write_text("# PASS\n")
    done = world.doit("verify", **good.env)
    assert done.rc == 2
    assert "Z_integrator/FINAL_REPORT.md" in done.out


def test_the_words_of_the_command(good: Place, tmp_path: Path) -> None:
    assert good.verify("no_such_run").rc == 2
    assert "RUN_UNKNOWN" in good.verify("no_such_run").text
    assert good.verify(good.run_id, "--all").rc == 64
    assert good.verify("--path", str(tmp_path / "nowhere")).rc == 64
    empty = tmp_path / "empty"
    empty.mkdir()
    done = good.verify("--path", str(empty))
    assert done.rc == 2
    assert "VERIFY_MISSING" in done.out
    bare = World(tmp_path / "bare")
    bare.commit()
    done = bare.factory("verify")
    assert done.rc == 2
    assert "no run has finished yet" in done.text
    assert not bare.state.exists()


def test_all_runs_and_one_that_is_gone(good: Place, tmp_path: Path) -> None:
    root = tmp_path / "repository"
    world = copied(good.world, root)
    (world.state / "runs" / "half").mkdir()
    done = world.factory("verify", "--all", **good.env)
    assert done.rc == 0, done.text
    assert "NOT VERIFIABLE" in done.out
    shutil.rmtree(world.state / "runs" / good.run_id)
    done = world.factory("verify", "--all", **good.env)
    assert done.rc == 2
    assert "which" not in done.err
    assert "that the ledger says finished, found none" in done.out


def test_a_signature_that_policy_requires_and_is_not_there_is_refused(
    good: Place, tmp_path: Path
) -> None:
    root = tmp_path / "repository"
    world = copied(good.world, root)
    text = 'version = 1\n[signing]\npolicy = "required-from"\nkeys = ["ed25519:{}"]\n'
    world.write("factory.toml", text.format("0" * 16))
    done = world.factory("verify", **good.env)
    assert done.rc == 2
    assert f"by ed25519:{'0' * 16}, as policy requires, found one by" in done.out
    assert done.out.splitlines()[-1].startswith("INTACT, NOT TRUSTED")


def test_bundles_made_again_are_the_same_and_a_statement_says_so(good: Place) -> None:
    world = good.world
    world.write("taskpacks/TASK-0001-alpha/spec.md", "# Changed since\n\nNot what ran.\n")
    try:
        done = good.verify("--rebuild")
    finally:
        world.git("checkout", "-q", "--", "taskpacks")
    assert done.rc == 0, done.text
    assert "2 of 2 bundles made again, byte for byte" in done.out
    (line,) = (world.state / "rebuilds" / f"{good.run_id}.intoto.jsonl").read_text().splitlines()
    statement = json.loads(base64.b64decode(json.loads(line)["payload"]))
    assert statement["predicate"]["result"] == "REPRODUCED"
    assert [row["outcome"] for row in statement["predicate"]["packs"]] == ["same", "same"]
    assert not [path for path in world.state.iterdir() if path.name.startswith("rebuild-")]
    assert good.verify().rc == 0


def test_a_bundle_that_differs_is_named_with_file_offset_and_a_diff(tmp_path: Path) -> None:
    world = World(tmp_path / "repository")
    world.pack("TASK-0001-time", "scope: {allowed_paths: [now]}\nsteps: ['date +%s%N > now']\n")
    world.pack("TASK-0002-same", "scope: {allowed_paths: [same]}\nsteps: ['echo x > same']\n")
    world.commit()
    place = placed(tmp_path, world)
    done = place.verify("--rebuild")
    assert done.rc == 2
    assert "TASK-0001/DIFF.patch: byte " in done.out
    assert "[VERIFY_REBUILD]" in done.out
    assert "1 of 2 bundles made again" in done.out
    diff = [
        line
        for line in done.out.splitlines()
        if line.startswith("  rebuild      +") or " rebuild      -" in line
    ]
    assert len(diff) >= 2
    (line,) = (world.state / "rebuilds" / f"{place.run_id}.intoto.jsonl").read_text().splitlines()
    statement = json.loads(base64.b64decode(json.loads(line)["payload"]))
    assert statement["predicate"]["result"] == "DIFFERENT"
    row = next(row for row in statement["predicate"]["packs"] if row["outcome"] == "differs")
    assert row["file"] == "DIFF.patch"
    assert row["offset"] > 0


def test_a_result_that_differs_is_named_by_its_path_and_told_again(tmp_path: Path) -> None:
    world = World(tmp_path / "repository")
    task = "scope: {allowed_paths: [docs/]}\nsteps: ['mkdir -p docs; date +%s%N > docs/now']\n"
    world.pack("TASK-0001-time", task)
    world.commit()
    place = placed(tmp_path, world)
    done = place.verify("--rebuild")
    assert done.rc == 2
    assert "another result in docs/now; TASK-0001/DIFF.patch: byte " in done.out
    again = place.verify()
    assert again.rc == 0, again.text
    assert "DIFFERENT: 1 bundles on " in section(again.out, "rebuild")
    assert "(trusted: your own)" in section(again.out, "rebuild")
    statement = world.state / "rebuilds" / f"{place.run_id}.intoto.jsonl"
    value = json.loads(statement.read_bytes())
    value["signatures"][0]["sig"] = base64.b64encode(b"\1" * 64).decode()
    statement.write_bytes(canonical(value) + b"\n")
    again = place.verify()
    assert again.rc == 2, again.text
    assert "that fits, found another  [VERIFY_REBUILD]" in again.out


def test_another_verdict_of_a_bundle_that_was_made_again_is_said_first(good: Place) -> None:
    before = {
        str(path.relative_to(good.run / "TASK-0001")): path.read_bytes()
        for path in (good.run / "TASK-0001").rglob("*")
        if path.is_file()
    }
    status = json.loads(before["STATUS.json"])
    status["status"] = "BLOCKED"
    status["checks"][-1]["rc"] = 3
    text = json.dumps(status, indent=2, sort_keys=True, ensure_ascii=False) + "\n"
    made = rebuild._compared("TASK-0001", before, {**before, "STATUS.json": text.encode()})
    assert made.what.startswith(
        "it was PASS, made again it is BLOCKED: check-1 ended with 3; TASK-0001/STATUS.json: byte "
    )


def test_making_bundles_again_makes_no_key(good: Place, tmp_path: Path) -> None:
    bob = {"HOME": str(tmp_path), "XDG_CONFIG_HOME": str(tmp_path / "config")}
    done = good.world.factory("verify", "--rebuild", **bob)
    assert "2 of 2 bundles made again" in done.out, done.text
    assert "stated nowhere: no key is at hand" in done.out
    assert not list(tmp_path.rglob("*.pem"))


def test_a_clock_that_is_far_off_is_named(good: Place) -> None:
    for days, sentence in ((0, ""), (-400, " 400 days from now"), (400, "")):
        asked = Caller(repository=good.world.root, now=time.time() + days * 86_400)
        verified = verify_run_of(good.world.state, good.run_id, asked)
        assert verified is not None
        told = [gap.reason for gap in verified.gaps if gap.part == "times"]
        assert [sentence in one for one in told] == ([True] if sentence else []), told


def test_what_lacks_below_raw_is_named_and_nothing_else_is_blamed(
    good: Place, tmp_path: Path
) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(good.run, copy)
    shutil.rmtree(copy / "raw")
    found = verify_at(copy, Caller()).findings
    assert {finding.id for finding in found} == {"VERIFY_MISSING"}
    assert all(finding.location and finding.location.file.startswith("raw/") for finding in found)


def test_what_cannot_be_made_again_is_not_checkable(good: Place, tmp_path: Path) -> None:
    root = tmp_path / "repository"
    world = copied(good.world, root)
    world.write("taskpacks/TASK-0001-alpha/spec.md", "# Other\n\nWords.\n")
    assert world.factory("oneshot").rc == 0
    done = world.factory("verify", "--rebuild", XDG_CONFIG_HOME="/proc/nonexistent")
    assert done.rc == 2, "what was asked for and could not be checked is no success"
    assert "nothing differs, but 2 of what was asked for could not be checked" in done.out
    assert (
        "not-checkable rebuild of TASK-0001: the packs of that run were not those of its base"
        " commit" in done.out
    )
    assert "stated nowhere: no key is at hand" in done.out


def outcomes(world: World, run_id: str) -> dict[str, str]:
    (line,) = (world.state / "rebuilds" / f"{run_id}.intoto.jsonl").read_text().splitlines()
    predicate = json.loads(base64.b64decode(json.loads(line)["payload"]))["predicate"]
    return {
        "result": predicate["result"],
        **{row["pack"]: row["outcome"] for row in predicate["packs"]},
    }


UNCHECKED = {"result": "UNCHECKED", "TASK-0001": "not-checkable", "TASK-0002": "not-checkable"}


def test_what_another_tool_would_do_is_no_reproduction_and_no_difference(
    good: Place, tmp_path: Path
) -> None:
    other = tmp_path / "other" / "python3"
    other.parent.mkdir()
    other.write_text(f'#!/bin/sh\nexec {sys.executable} "$@"\n')
    other.chmod(0o755)
    done = good.verify("--rebuild", FACTORY_PYTHON=str(other))
    assert done.rc == 2
    assert (
        "not-checkable rebuild of TASK-0001: this host would carry out another action: tools"
        " python " in done.out
    )
    assert "bundles made again" not in done.out
    assert outcomes(good.world, good.run_id) == UNCHECKED


def test_what_stands_on_a_commit_that_is_not_here_is_not_made_again(
    good: Place, tmp_path: Path
) -> None:
    fresh = World(tmp_path / "fresh")
    fresh.commit()
    copy = tmp_path / "copy"
    shutil.copytree(good.run, copy)
    done = fresh.factory("verify", "--path", str(copy), "--rebuild", **good.env)
    assert done.rc == 2
    assert "not-checkable rebuild of TASK-0002: the base commit " in done.out
    assert "is not whole in this repository" in done.out
    assert "Traceback" not in done.text
    assert outcomes(fresh, good.run_id) == UNCHECKED
    assert not [path for path in fresh.state.iterdir() if path.name.startswith("rebuild-")]
    done = good.verify("--path", str(copy), "--rebuild", cwd=tmp_path)
    assert done.rc == 2
    assert "not-checkable rebuild: " in done.out


def test_the_page_about_it_says_what_is_typed_and_shown(good: Place, tmp_path: Path) -> None:
    """VERIFY.md, command by command, over the good run."""
    world = copied(good.world, tmp_path / "work" / "repository")
    shutil.rmtree(world.state / "rebuilds", ignore_errors=True)  # which other tests leave
    code = 0
    for one in typed((ROOT / "docs" / "factory" / "VERIFY.md").read_text("utf-8")):
        if one.command == "echo $?":
            assert one.shown == (str(code),)
            code = 0
            continue
        assert code == 0, f"before {one.command}"
        if one.heading == "What it cannot check" and one.command.startswith("cp "):
            shutil.copytree(
                good.run, world.state / "runs" / good.run_id, dirs_exist_ok=True
            )  # whole again
        done = run(["/bin/sh", "-c", one.command], world.root, **good.env)
        code = done.rc
        expected = "\n".join(one.shown or ())
        assert appears(one.shown or (), done.text), (
            f"{one.command}\nexpected\n{expected}\nfound\n{done.text}"
        )
    assert code == 0
