"""List the wrong runs: who forged it, what was changed, and a word that `verify` must name it by.

Rule: each is one good run with one thing wrong. A forger recomputes everything that follows from
the change and that they can compute. Does not know who refuses it.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from factory.log.dsse import parse_envelopes
from factory.log.ed25519 import PrivateSigner
from factory.verify.form import canonical
from tests.verify_kit import Memory, Z, chained, enveloped, events_of, forged, relisted, retold

STATEMENTS, CHECKPOINT = "attestations/attestations.intoto.jsonl", "attestations/checkpoint"
EVENTS, PROOF = "attestations/ledger.jsonl", "attestations/finished.tlog-proof"
STATUS = f"{Z}/STATUS.json"
OTHER_TREE = "4b825dc642cb6eb9a060e54bf8d69288fbee4904"


class Forger(Enum):
    """Name who forged a run, and so what was recomputed."""

    DISK = "the disk"  # bytes change, nothing is recomputed
    COPIER = "a copier"  # recomputes digest lists and manifests
    STRANGER = "a stranger"  # has our code and a key of their own
    NOBODY = "nobody"  # has our code, and leaves the run unsigned
    SIGNER = "the signer"  # has the trusted key, and lies


@dataclass(frozen=True, slots=True)
class Golden:
    """Contain the good run, the keys of its signer and of a stranger, and another run of the same
    repository.
    """

    run: Memory
    ledger: bytes
    signer: PrivateSigner
    stranger: PrivateSigner
    earlier: Memory


@dataclass(frozen=True, slots=True)
class WrongRun:
    """Describe one wrong run; `word` is in the sentence by which `verify` refuses it."""

    name: str
    forger: Forger
    word: str
    make: Callable[[Golden], tuple[Memory, bytes]] = field(repr=False)


Change = Callable[[Any], object]


def document(run: Memory, path: str, change: Change) -> dict[str, bytes]:
    value = json.loads(run.files[path])
    change(value)
    text = json.dumps(value, indent=2, sort_keys=True, ensure_ascii=False)
    return {path: text.encode() + b"\n"}


def _disk(name: str, word: str, tamper: Callable[[Memory], object]) -> WrongRun:
    """Return a run of which bytes changed, and nothing else."""

    def make(golden: Golden) -> tuple[Memory, bytes]:
        run = golden.run.copy()
        tamper(run)
        return run, golden.ledger

    return WrongRun(name, Forger.DISK, word, make)


def _copier(name: str, word: str, tamper: Callable[[Memory], object]) -> WrongRun:
    """Return a run of which bytes changed, with digest lists and manifests made anew."""

    def make(golden: Golden) -> tuple[Memory, bytes]:
        run = golden.run.copy()
        tamper(run)
        return relisted(run), golden.ledger

    return WrongRun(name, Forger.COPIER, word, make)


def _document(forger: Forger, name: str, word: str, path: str, change: Change) -> WrongRun:
    """Return a run of which one document says something else, and everything follows from it."""

    def make(golden: Golden) -> tuple[Memory, bytes]:
        changes = document(golden.run, path, change)
        return forged(golden.run, changes, signer=_key(golden, forger))

    return WrongRun(name, forger, word, make)


def _verdict(forger: Forger, name: str, word: str, **status: object) -> WrongRun:
    """Return a run whose verdict says something else, and everything follows from it."""

    def make(golden: Golden) -> tuple[Memory, bytes]:
        return forged(golden.run, {}, signer=_key(golden, forger), **status)

    return WrongRun(name, forger, word, make)


def _file(forger: Forger, name: str, word: str, path: str, old: bytes, new: bytes) -> WrongRun:
    """Return a run with one file changed, and everything follows from it."""

    def make(golden: Golden) -> tuple[Memory, bytes]:
        content = golden.run.files[path]
        assert old in content, (name, path)
        changes = {path: content.replace(old, new, 1)}
        return forged(golden.run, changes, signer=_key(golden, forger))

    return WrongRun(name, forger, word, make)


def _event(name: str, word: str, kind: str, **update: object) -> WrongRun:
    """Return a run of which one event says something else; chain, checkpoint and signatures are
    made anew by the signer.
    """

    def make(golden: Golden) -> tuple[Memory, bytes]:
        events = events_of(golden.run)
        at = next(n for n, one in enumerate(events) if one.event_type == kind)
        instead = [events[at].model_copy(update=update)] if update else []
        told = chained([*events[:at], *instead, *events[at + 1 :]])
        return retold(golden.run, told, golden.signer)

    return WrongRun(name, Forger.SIGNER, word, make)


def _payload(forger: Forger, name: str, word: str, at: int, change: Change) -> WrongRun:
    """Return a run of which one statement says something else, signed anew."""

    def make(golden: Golden) -> tuple[Memory, bytes]:
        run = golden.run.copy()
        payloads = [one.payload for one in parse_envelopes(run.files[STATEMENTS])]
        statement = json.loads(payloads[at])
        change(statement)
        payloads[at] = canonical(statement)
        run.files[STATEMENTS] = enveloped(payloads, _key(golden, forger))
        return _manifested(run), golden.ledger

    return WrongRun(name, forger, word, make)


def _manifested(run: Memory) -> Memory:
    """Return the run with RUN_MANIFEST.json made anew for the files that nothing else lists."""
    made = relisted(run)
    assert all(made.files[path] == run.files[path] for path in (STATEMENTS, CHECKPOINT))
    return made


def _key(golden: Golden, forger: Forger) -> PrivateSigner | None:
    return {Forger.SIGNER: golden.signer, Forger.STRANGER: golden.stranger}.get(forger)


# ── tampering ────────────────────────────────────────────────────────────────


def _put(path: str, content: bytes) -> Callable[[Memory], object]:
    return lambda run: run.files.__setitem__(path, content)


def _cut(path: str) -> Callable[[Memory], object]:
    return lambda run: run.files.__delitem__(path)


def _swap(path: str, old: bytes, new: bytes) -> Callable[[Memory], object]:
    def tamper(run: Memory) -> None:
        assert old in run.files[path], path
        run.files[path] = run.files[path].replace(old, new, 1)

    return tamper


def _lines(path: str, change: Callable[[list[bytes]], list[bytes]]) -> Callable[[Memory], object]:
    def tamper(run: Memory) -> None:
        run.files[path] = b"".join(change(run.files[path].splitlines(keepends=True)))

    return tamper


def _signatures(change: Callable[[bytes], bytes], keyid: str = "") -> Callable[[Memory], object]:
    """Change every signature of the statements."""

    def tamper(run: Memory) -> None:
        lines = []
        for line in run.files[STATEMENTS].splitlines():
            value = json.loads(line)
            for one in value["signatures"]:
                one["sig"] = base64.b64encode(change(base64.b64decode(one["sig"]))).decode()
                one["keyid"] = keyid or one["keyid"]
            lines.append(canonical(value) + b"\n")
        run.files[STATEMENTS] = b"".join(lines)

    return tamper


def _note(change: Callable[[bytes], bytes]) -> Callable[[Memory], object]:
    """Change the signature of the checkpoint, after its mark; the proof keeps a copy of it."""

    def tamper(run: Memory) -> None:
        text, _, line = run.files[CHECKPOINT].decode().partition("\n\n")
        dash, name, value = line.strip().split(" ")
        made = base64.b64encode(change(base64.b64decode(value))).decode()
        note = f"{text}\n\n{dash} {name} {made}\n".encode()
        run.files[PROOF] = run.files[PROOF].replace(run.files[CHECKPOINT], note)
        run.files[CHECKPOINT] = note

    return tamper


def _junk(run: Memory) -> None:
    """Put characters that lenient readers skip into the base64 of the first statement."""
    lines = run.files[STATEMENTS].splitlines(keepends=True)
    value = json.loads(lines[0])
    lines[0] = lines[0].replace(value["payload"].encode(), value["payload"].encode() + b"!!!!")
    run.files[STATEMENTS] = b"".join(lines)


def _unsigned(run: Memory) -> None:
    payloads = [one.payload for one in parse_envelopes(run.files[STATEMENTS])]
    run.files[STATEMENTS] = enveloped(payloads)


def _older(golden: Golden) -> tuple[Memory, bytes]:
    """Return the earlier run under the name of the later."""
    return Memory(golden.run.name, dict(golden.earlier.files)), golden.ledger


def _mixed(path: str) -> Callable[[Golden], tuple[Memory, bytes]]:
    """Return the run with one file of an earlier run, lists made anew."""

    def make(golden: Golden) -> tuple[Memory, bytes]:
        run = golden.run.copy()
        assert run.files[path] != golden.earlier.files[path], path
        run.files[path] = golden.earlier.files[path]
        return relisted(run), golden.ledger

    return make


ZEROS = bytes(64)
BUNDLE = "TASK-0001/STATUS.json"
LOG = "TASK-0001/LOGS/check-1.log"


def _raw() -> Iterator[WrongRun]:
    patch = "TASK-0001/DIFF.patch"
    yield _disk("a bit of a patch", "DIFF.patch", _swap(patch, b"+hi", b"+ho"))
    yield _disk("a bit of a log", "check-1.log", _swap(LOG, b"log", b"lug"))
    yield _disk("a file more", "more.txt", _put("raw/more.txt", b"x"))
    yield _disk("a file less", "SUMMARY.md", _cut("TASK-0001/SUMMARY.md"))
    yield _disk("no manifest", "RUN_MANIFEST.json", _cut("RUN_MANIFEST.json"))
    yield _disk("another verdict", "STATUS.json", _swap(STATUS, b'"PASS"', b'"FAIL"'))
    yield _disk(
        "a rewritten headline of the report",
        "FINAL_REPORT.md",
        _swap(f"{Z}/FINAL_REPORT.md", b"**PASS**", b"**GOOD**"),
    )
    yield _disk("no statements", "attestations.intoto.jsonl", _cut(STATEMENTS))
    yield _disk("no checkpoint", "checkpoint", _cut(CHECKPOINT))
    yield _disk("no proof", "tlog-proof", _cut(PROOF))
    yield _disk("no events", "ledger.jsonl", _cut(EVENTS))
    yield _disk("no plan", "PLAN.json", _cut("PLAN.json"))
    yield _disk("no policy", "policy.json", _cut("attestations/policy.json"))
    yield _disk(
        "an event that was changed", "ledger.jsonl", _swap(EVENTS, b'"pipeline"', b'"somebody"')
    )
    yield _disk("a log that is empty", "check-1.log", _put(LOG, b""))


def _listed() -> Iterator[WrongRun]:
    yield _copier("a log, with every list made anew", "log", _put(LOG, b"all good\n"))
    yield _copier(
        "a file more, with every list made anew", "more.txt", _put("TASK-0001/more.txt", b"x")
    )
    yield _copier(
        "a report that says more, with every list made anew",
        "FINAL_REPORT.md",
        _swap(f"{Z}/FINAL_REPORT.md", b"**PASS**", b"**PASS, and reviewed**"),
    )
    yield _copier(
        "another policy, with every list made anew",
        "policy",
        _swap("attestations/policy.json", b'"block"', b'"merge"'),
    )
    yield _copier("64 zero bytes for signatures", "no key makes", _signatures(lambda _: ZEROS))
    yield _copier(
        "64 zero bytes by an unknown key",
        "no key makes",
        _signatures(lambda _: ZEROS, "ed25519:0000000000000000"),
    )
    yield _copier(
        "64 zero bytes under the checkpoint", "no key makes", _note(lambda value: value[:4] + ZEROS)
    )
    yield _copier(
        "a scalar that is out of range",
        "no key makes",
        _signatures(lambda sig: sig[:32] + b"\xff" * 32),
    )
    yield _copier(
        "a changed key id",
        "the id of its key",
        _signatures(lambda sig: sig, "ed25519:0000000000000000"),
    )
    yield _copier(
        "a changed mark of the checkpoint's key",
        "the mark of",
        _note(lambda value: b"\0\0\0\0" + value[4:]),
    )
    yield _copier(
        "a flipped bit in every signature",
        "that fits",
        _signatures(lambda sig: bytes((sig[0] ^ 1,)) + sig[1:]),
    )
    yield _copier(
        "a flipped bit under the checkpoint",
        "that fits",
        _note(lambda value: value[:-40] + bytes((value[-40] ^ 1,)) + value[-39:]),
    )
    yield _copier("no signatures on the statements", "by nobody", _unsigned)
    yield _copier(
        "no signature on the checkpoint", "0 signatures", _lines(CHECKPOINT, lambda rows: rows[:3])
    )
    yield _copier("junk in base64", "base64", _junk)
    yield _copier("a statement less", "statements", _lines(STATEMENTS, lambda rows: rows[1:]))
    yield _copier("no summary", "statements", _lines(STATEMENTS, lambda rows: rows[:-1]))
    yield _copier(
        "statements in another order",
        "statement",
        _lines(STATEMENTS, lambda rows: [*rows[2:4], *rows[:2], *rows[4:]]),
    )
    yield _copier(
        "a statement twice", "statements", _lines(STATEMENTS, lambda rows: [rows[0], *rows])
    )
    yield _copier(
        "a larger size in the checkpoint",
        "size",
        _lines(CHECKPOINT, lambda rows: [rows[0], b"99\n", *rows[2:]]),
    )
    yield _copier(
        "another ledger's name in the checkpoint",
        "another name",
        _lines(CHECKPOINT, lambda rows: [rows[0][:-3] + b"00\n", *rows[1:]]),
    )
    yield _copier(
        "a proof that is cut", "tlog-proof", _lines(PROOF, lambda rows: [*rows[:2], *rows[3:]])
    )
    yield _copier(
        "events in another order",
        "event",
        _lines(EVENTS, lambda rows: [rows[1], rows[0], *rows[2:]]),
    )
    yield _copier("the last event is cut", "last event", _lines(EVENTS, lambda rows: rows[:-1]))
    yield _copier(
        "an event is left out", "events", _lines(EVENTS, lambda rows: [*rows[:3], *rows[4:]])
    )
    yield WrongRun("an older run under another name", Forger.DISK, "run", _older)
    yield WrongRun("the verdict of an older run", Forger.COPIER, "run", _mixed(STATUS))
    yield WrongRun("the statements of an older run", Forger.COPIER, "statement", _mixed(STATEMENTS))
    yield WrongRun("the events of an older run", Forger.COPIER, "run", _mixed(EVENTS))
    yield WrongRun("the checkpoint of an older run", Forger.COPIER, "size", _mixed(CHECKPOINT))


def _strangers() -> Iterator[WrongRun]:
    for forger, word in ((Forger.STRANGER, "not known here"), (Forger.NOBODY, "nobody signed")):
        who = "by another key" if forger is Forger.STRANGER else "without a key"
        yield _verdict(forger, f"the whole run, made anew {who}", word)
        yield _document(
            forger,
            f"another command, made anew {who}",
            "commands",
            BUNDLE,
            lambda value: value["checks"][0].update(run="true"),
        )
        yield _document(
            forger,
            f"a wider scope, made anew {who}",
            "SCOPE_LOCK.json",
            "TASK-0001/SCOPE_LOCK.json",
            lambda value: value["allowed"].append("**"),
        )
    yield _payload(
        Forger.STRANGER,
        "a result that is better, by another key",
        "passedTests",
        1,
        lambda one: one["predicate"].update(result="PASSED", passedTests=["all"]),
    )


def _policy(update: Mapping[str, object]) -> Change:
    return lambda status: status["policy"].update(update)


def _liars() -> Iterator[WrongRun]:
    signer = Forger.SIGNER
    lock, action, changed = (
        f"TASK-0001/{name}.json" for name in ("SCOPE_LOCK", "ACTION", "FILES_CHANGED")
    )
    for name, word, path, change in (
        ("a required command that failed", "status", BUNDLE, lambda v: v["checks"][-1].update(rc=1)),
        ("a required command without a record", "commands and codes", BUNDLE, lambda v: v["checks"].pop()),
        ("fewer required commands", "required commands", BUNDLE, lambda v: v["required"].pop()),
        ("another command than planned", "commands", BUNDLE, lambda v: v["checks"][0].update(run="true")),
        ("another result", "result", BUNDLE, lambda v: v.update(result_tree=OTHER_TREE)),
        ("another base", "base", BUNDLE, lambda v: v.update(base_tree=OTHER_TREE)),
        ("fewer changed files", "files changed", BUNDLE, lambda v: v.update(files_changed=1)),
        ("a pack that passed unseen findings", "finding", BUNDLE, lambda v: v["findings"].append({"id": "SCOPE_OUTSIDE_ALLOWED", "facts": {}, "severity": "error", "message": "x", "pack": "TASK-0001", "place": ""})),
        ("a scope that the contract does not have", "allowed", lock, lambda v: v["allowed"].append("README.md")),
        ("an out-of-scope change", "SCOPE_LOCK.json", lock, lambda v: v.update(allowed=["docs/"])),
        ("a change that is denied", "denied", lock, lambda v: v["denied"].append("docs/")),
        ("a lock without protection", "protected", lock, lambda v: v.update(protected=[])),
        ("a network that the contract does not name", "network", lock, lambda v: v["network"].append("example.org")),
        ("every network", "network", lock, lambda v: v.update(network_any=True)),
        ("another limit", "limits", lock, lambda v: v["limits"].update(timeout=1)),
        ("other inputs", "the base tree of ACTION.json", action, lambda v: v.update(inputs=OTHER_TREE)),
        ("another file of the pack", "task.yml", action, lambda v: v["files"][-1].update(sha256="0" * 64)),
        ("another tool", "action", action, lambda v: v.update(tools=[])),
        ("no properties", "properties", action, lambda v: v.update(properties=[])),
        ("a changed path", "FILES_CHANGED.json", changed, lambda v: v["files"][0].update(path="docs/zzz")),
        ("a change that is left out", "FILES_CHANGED", changed, lambda v: v["files"].pop()),
        ("a plan on another base", "base commit", "PLAN.json", lambda v: v.update(base_commit="0" * 40)),
        ("a plan under another policy", "policy", "PLAN.json", lambda v: v["policy"]["rules"].update(overlap="merge")),
        ("a plan of fewer packs", "planned", "PLAN.json", lambda v: v["packs"].pop()),
        ("a plan of other commands", "commands", "PLAN.json", lambda v: v["packs"][0]["commands"][0].update(run="true")),
        ("a plan of fewer commands", "required commands", "PLAN.json", lambda v: v["packs"][0]["commands"].pop()),
        ("a plan of a wider scope", "SCOPE_LOCK.json", "PLAN.json", lambda v: v["packs"][0]["scope"].update(allowed=["**"])),
        ("a plan of another action", "action", "PLAN.json", lambda v: v["packs"][0].update(action_key="0" * 64)),
        ("a merge in another order", "order", f"{Z}/MERGE.json", lambda v: v["order"].reverse()),
        ("a merge of one pack", "order", f"{Z}/MERGE.json", lambda v: v["order"].pop()),
    ):  # fmt: skip
        yield _document(signer, name, word, path, change)
    yield _file(signer, "another patch", "DIFF.patch", "TASK-0001/DIFF.patch", b"+hi", b"+ho")
    yield _file(signer, "another merged patch", "DIFF.patch", f"{Z}/DIFF.patch", b"+hi", b"+ho")
    yield _file(
        signer,
        "a summary that says more",
        "SUMMARY.md",
        "TASK-0001/SUMMARY.md",
        b"PASS",
        b"PASS, reviewed",
    )
    yield _verdict(signer, "another merged tree", "merged tree", merged_tree=OTHER_TREE)
    yield _verdict(signer, "another base tree", "base", base_tree=OTHER_TREE)
    yield _verdict(signer, "no check on the merged tree", "merged tree", rechecks=())
    yield _verdict(signer, "another run's id", "run", run_id="factory_20200101_000000_00000000_001")
    for name, word, update in (
        ("a policy of another commit", "commit of the policy", {"commit": "c" * 40}),
        ("another policy by its digest", "digest of the policy", {"sha256": "c" * 64}),
        ("a grant that policy.json does not have", "granted", {"grants": [{"kind": "host", "thing": "example.org", "pack": ""}]}),
    ):  # fmt: skip
        yield _document(signer, name, word, STATUS, _policy(update))
    yield _document(
        signer,
        "steps that are counted as checks",
        "TASK-0001: checks",
        STATUS,
        lambda value: value["packs"][0].update(checks=3, checks_ok=3),
    )
    yield _document(
        signer,
        "a check that another run has",
        "did not run",
        STATUS,
        lambda value: value["reused"].append(
            {"pack": "TASK-0001", "attempt": 1, "label": "tests-1", "from_run": value["run_id"]}
        ),
    )
    yield _event(
        "a start under another action",
        "action_key",
        "pack.started",
        hashes={"action_key": "a" * 64, "orchestrator": "c" * 64, "sandbox": "b" * 64},
    )
    yield _event("a check that failed by its event", "rc: expected 0", "check.finished", rc=1)
    yield _event("a check without an event", "events of TASK-0001", "check.finished")
    yield _event("a step with another log", "log", "step.finished", hashes={"log": "a" * 64})
    yield _event("an attempt without an event", "events of TASK-0001", "attempt.finished")
    yield _event("a pack that ended otherwise", "rc", "pack.finished", rc=2)
    yield _event("a refused validation", "rc: expected 0", "bundle.validated", rc=2)
    yield _event(
        "another merge by its event",
        "merged_tree",
        "merge.finished",
        hashes={"merged_tree": OTHER_TREE},
    )
    yield _event(
        "another verdict by its event",
        "status",
        "integrate.prepared",
        hashes={"status": "a" * 64, "merged_tree": OTHER_TREE},
    )
    yield _event(
        "a check on the merged tree that failed", "on the merged tree", "recheck.finished", rc=1
    )
    yield _payload(
        signer,
        "a builder that is not ours",
        "builder",
        0,
        lambda one: one["predicate"]["runDetails"]["builder"].update(id="urn:somebody"),
    )
    yield _payload(
        signer,
        "properties that were not in force",
        "propertiesInForce",
        0,
        lambda one: one["predicate"]["buildDefinition"]["internalParameters"].update(
            propertiesInForce=["all"]
        ),
    )
    yield _payload(
        signer,
        "tests that did not run",
        "passedTests",
        1,
        lambda one: one["predicate"]["passedTests"].append("all"),
    )
    yield _payload(
        signer,
        "a summary under another policy",
        "policy",
        -1,
        lambda one: one["predicate"]["policy"]["digest"].update(sha256="0" * 64),
    )
    yield _payload(
        signer,
        "a summary of another result",
        "verificationResult",
        -1,
        lambda one: one["predicate"].update(verificationResult="FAILED"),
    )
    yield _payload(
        signer,
        "a summary of another run",
        "resourceUri",
        -1,
        lambda one: one["predicate"].update(resourceUri="urn:codex-orchestrator:run:other"),
    )


WRONG_RUNS: tuple[WrongRun, ...] = (*_raw(), *_listed(), *_strangers(), *_liars())
