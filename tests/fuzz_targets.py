"""Every parser of the project as a fuzz target: bytes in, an answer or the parser's own refusal
out, and nothing else.

A target raises whatever its parser must not raise, and AssertionError where two readers of one
thing see it differently, or where what was read is not what would be written. Used by hypothesis in
the tests and by atheris in the session `fuzz`. Seeds are well-formed: mutations of them come far.
"""

from __future__ import annotations

import contextlib
import importlib.util
import json
import os
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import ModuleType

from factory.contract import configuration, contract
from factory.egress import rules as egress
from factory.egress.server_name import server_name
from factory.evidence import attestations, index, workflows
from factory.files.clock import SystemClock
from factory.files.locks import FileLocks
from factory.git.bundle_file import BundleError, format_bundle, parse_bundle
from factory.judge import path_guard, scope
from factory.log import checkpoint, dsse, public_key, signed_note
from factory.log.chain import Head
from factory.log.public_key import KeyFormError
from factory.log.signed_note import NoteError
from factory.model import evidence as models
from factory.model import ledger_chain
from factory.model.event import Entry as LedgerEntry
from factory.model.evidence_text import EvidenceError, format_document, parse_document
from factory.report.terminal import sanitize
from factory.steady import normalize_artifacts
from factory.strict import json as strict_json
from factory.strict import toml as strict_toml
from factory.strict import yaml as strict_yaml
from factory.strict.values import DocumentError
from factory.verify import binary_patch, form, names, notes, patterns
from factory.verify import contract as verified_contract
from factory.verify.documents import BY_SCHEMA
from factory.verify.events import Chain, brief, read_line
from factory.verify.form import FormError
from factory.verify.objects import ObjectError, object_id, read_bundle
from factory.verify.patch import Change, PatchError, undo
from factory.verify.trees import TreeEntry, format_tree, parse_tree

ROOT = Path(__file__).resolve().parents[1]
FOLDER = "taskpacks/TASK-0105-links"
TASK = (
    b"id: TASK-0105\ntitle: Links\ntype: web\nscope:\n  allowed_paths: [docs/, '*.md']\nsteps:\n  -"
    b" run: echo x\n"
)
ACCEPTANCE = b"tests:\n  commands:\n    - python -m pytest -q\nmust: ['test -f spec.md']\n"
CONFIG = b'version = 1\n[integration]\noverlap = "merge"\n[network]\nhosts = ["a.example"]\n'
PROSE = {
    "spec.md": b"# Links\n\nDead links.\n",
    "risk.md": b"# Risk\n",
    "runbook.md": b"# Runbook\n",
}
PACK_DEFAULTS = {"task.yml": TASK, "acceptance.yml": ACCEPTANCE, **PROSE}
((EVENT, _),) = ledger_chain.chained(
    Head(),
    [
        LedgerEntry(
            "pack.finished", "run_1", "", "x", 7, {"a": 1}, {"k": "0" * 40}, 0, {"pack": "P"}
        )
    ],
    "2026-11-22T06:16:09.797Z",
)
KEPT = b"codex-orchestrator/ledger/" + b"0" * 32 + b"\n7\n" + b"A" * 43 + b"=\n"
NOTE = KEPT + b"\n\xe2\x80\x94 codex-orchestrator/ledger/" + b"0" * 32 + b" " + b"A" * 90 + b"A=\n"
PROOF = b"c2sp.org/tlog-proof@v1\nindex 3\n" + b"A" * 43 + b"=\n\n" + KEPT
ENVELOPE = b'{"payload":"e30=","payloadType":"application/vnd.in-toto+json","signatures":[]}\n'
PEM = b"-----BEGIN PUBLIC KEY-----\nMCowBQYDK2VwAyEA" + b"A" * 43 + b"=\n-----END PUBLIC KEY-----\n"
HELLO = (
    b"\x16\3\1\0\x41\1\0\0\x3d\3\3" + bytes(32) + b"\0\0\2\x13\1\1\0\0\x12"
    b"\0\0\0\x0e\0\x0c\0\0\x09a.example"
)  # fmt: skip
BLOB = object_id("blob", b"x\n", "sha1")
TREE = format_tree(
    {
        b"a": TreeEntry(0o100644, BLOB),
        b"b": TreeEntry(0o040000, "4b825dc642cb6eb9a060e54bf8d69288fbee4904"),
    }
)
COMMIT = b"tree " + object_id("tree", TREE, "sha1").encode() + b"\n\nx\n"
TIP = object_id("commit", COMMIT, "sha1")
OBJECTS = {
    BLOB: ("blob", b"x\n"),
    object_id("tree", TREE, "sha1"): ("tree", TREE),
    TIP: ("commit", COMMIT),
}
BUNDLE = format_bundle(TIP, "refs/codex/x", "", OBJECTS, "sha1")
AFTER = TreeEntry(0o100644, object_id("blob", b"a\nc\n", "sha1"))
BEFORE = TreeEntry(0o100644, object_id("blob", b"a\nb\n", "sha1"))
PATCH = (
    b"diff --git a/f b/f\nindex %b..%b 100644\n--- a/f\n+++ b/f\n@@ -1,2 +1,2 @@\n a\n-b\n+c\n"
    % (
        BEFORE.oid.encode(),
        AFTER.oid.encode(),
    )
)
BINARY = b"GIT binary patch\nliteral 2\nJcmXp0\n\nliteral 0\nHcmV?d00001\n\n"
MANIFEST = form.layout(
    {"files": [{"bytes": 1, "path": "a", "sha256": "0" * 64}], "schema_version": 1, "subject": "x"}
)


@dataclass(frozen=True)
class Target:
    """One parser: how it is tried, what it may raise, and what to begin with."""

    name: str
    run: Callable[[bytes], object]
    own: tuple[type[Exception], ...] = ()
    seeds: tuple[bytes, ...] = (b"",)

    def __call__(self, raw: bytes) -> None:
        """Try it. Raises what is not the parser's own."""
        with contextlib.suppress(*self.own):
            self.run(raw)


def _pack(file: str) -> Callable[[bytes], None]:
    def run(raw: bytes) -> None:
        pack, findings = contract.read_pack(FOLDER, {**PACK_DEFAULTS, file: raw})
        assert (pack is None) == any(finding.blocks for finding in findings)
        for finding in findings:
            assert finding.message

    return run


def _config(raw: bytes) -> None:
    for user, repository in ((raw, None), (None, raw)):
        _, findings = configuration.read(user, repository, {}, {})
        assert all(finding.message for finding in findings)


def _environment(raw: bytes) -> None:
    text = raw.decode("utf-8", "replace").replace("\0", "")
    for name in (
        "FACTORY_OVERLAP",
        "FACTORY_PYTHON",
        "FACTORY_LIMIT_TIMEOUT",
        "FACTORY_REQUIRED",
        text,
    ):
        configuration.read(None, None, {name: text}, {})


def _round_trip(
    parse: Callable[[bytes], object], write: Callable[..., bytes]
) -> Callable[[bytes], None]:
    """Only what would be written is accepted."""

    def run(raw: bytes) -> None:
        assert write(parse(raw)) == raw

    return run


def _documents(raw: bytes) -> None:
    for model in (
        models.StatusDocument,
        models.RunStatus,
        models.Manifest,
        models.ScopeLock,
        models.PlanDocument,
    ):
        with contextlib.suppress(EvidenceError):
            assert format_document(parse_document(model, raw)) == raw


def _shapes(raw: bytes) -> None:
    for _, shape in BY_SCHEMA:
        with contextlib.suppress(FormError):
            form.read(shape, raw)


def _event(raw: bytes) -> None:
    """Three readers of a line: the writers', the checker's quick one and the one at length."""
    chain = Chain({1})
    chain.take(raw)
    quick = slow = theirs = None
    with contextlib.suppress(FormError):
        quick = brief(raw).event_id
    with contextlib.suppress(FormError):
        slow = read_line(raw).event_id
    with contextlib.suppress(EvidenceError):
        theirs = ledger_chain.parse_event(raw + b"\n").event_id
    assert quick == slow
    assert theirs is None or theirs == slow


def _bundle(raw: bytes) -> None:
    """Two readers of one bundle: what the checker accepts, the validation sees as the same
    objects.
    """
    theirs = own = None
    with contextlib.suppress(BundleError):
        theirs = parse_bundle(raw, "sha1")
    with contextlib.suppress(ObjectError):
        own = read_bundle(raw)
    if own is not None and theirs is not None:
        assert dict(own.objects) == dict(theirs.objects)
        assert own.tip == theirs.tip


def _patch(raw: bytes) -> None:
    undo(raw, (Change("f", BEFORE, AFTER),), {"f": b"a\nc\n"})


def _delta(raw: bytes) -> None:
    lines = iter(raw.split(b"\n"))
    with contextlib.suppress(binary_patch.BinaryPatchError):
        binary_patch.with_delta(raw, b"source")
    binary_patch.content_before(lambda: next(lines, b""), b"x\n")


def _scope(raw: bytes) -> None:
    """The language of scopes, by both matchers."""
    pattern, _, path = os.fsdecode(raw).partition("\n")
    if not scope.problem_with_pattern(pattern):
        compiled = scope.compile_patterns((pattern,))
        if path and not path_guard.unsafe(path):
            assert compiled.matches(path) == patterns.matches((pattern,), path)


def _path(raw: bytes) -> None:
    """The rules of names, by both rule books."""
    text = os.fsdecode(raw)
    shown = path_guard.display(text)
    assert shown == names.spell(text)
    assert names.unspell(shown) == text
    assert path_guard.fold(text) == names.folded(text)
    git = any(map(path_guard.reads_as_git, text.split("/")))
    assert bool(path_guard.unsafe(text) or git) == bool(names.why_unsafe(text))
    if not path_guard.unsafe(text):
        assert bool(path_guard.unportable(text)) == bool(names.why_unportable(text))
    assert path_guard.link_escapes("a/b", text) == names.link_leaves("a/b", text)


def _lock_holder(raw: bytes) -> None:
    """Who holds a lock, as it was written down by whoever."""
    with tempfile.TemporaryDirectory() as folder:
        locks = FileLocks(Path(folder), SystemClock())
        with locks.take("run"):
            locks.announce("run", "x")
        (place,) = Path(folder).rglob("run.json")
        place.write_bytes(raw)
        assert "has the run lock" in locks._finding("run").message


@cache
def _rules() -> ModuleType:
    """The rules of the shipped pack that reads lock files of packages."""
    place = ROOT / "taskpacks" / "TASK-0101-licence-inventory" / "rules.py"
    spec = importlib.util.spec_from_file_location("fuzzed_rules", place)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    import sys

    sys.modules["fuzzed_rules"] = module
    spec.loader.exec_module(module)
    return module


def _json(raw: bytes) -> None:
    for floats in (False, True):
        value = strict_json.parse(raw, max_bytes=1 << 20, floats=floats)
        json.dumps(value, allow_nan=False).encode("utf-8")


def _contract(raw: bytes) -> None:
    task, _, acceptance = raw.partition(b"\0")
    verified_contract.read_contract("p", task, acceptance)


def _key(raw: bytes) -> None:
    """Both readers of a public key see the same one."""
    theirs = own = None
    with contextlib.suppress(KeyFormError):
        theirs = public_key.parse_pem(raw).raw
    with contextlib.suppress(FormError):
        own = notes.read_key(raw, notes.Way.GIVEN).raw
    assert theirs is None or own is None or theirs == own


def _notes(raw: bytes) -> None:
    for reader in (notes.read_checkpoint, notes.read_proof, notes.read_envelopes):
        with contextlib.suppress(FormError):
            reader(raw)


def _workflow(raw: bytes) -> None:
    workflows.judge_pins(".github/workflows/x.yml", raw)
    workflows.judge_permissions(".github/workflows/x.yml", raw)


WORKFLOW = (
    b"on: push\njobs:\n  a:\n    permissions: {}\n    steps:\n      - uses: a/b@"
    + b"0" * 40
    + b"\n"
)
TARGETS = (
    Target(
        "strict-yaml",
        strict_yaml.parse,
        (DocumentError,),
        (TASK, ACCEPTANCE, b"a: [1, 2.5, {b: |\n  x\n}]"),
    ),
    Target(
        "strict-toml",
        strict_toml.parse,
        (DocumentError,),
        (CONFIG, b'a.b = [1, 2]\n[[c]]\nd = """x"""\n'),
    ),
    Target(
        "strict-json", _json, (DocumentError,), (MANIFEST, EVENT, b'{"a":[1.5e3,"\\u00e9",null]}')
    ),
    Target("task", _pack("task.yml"), (), (TASK,)),
    Target("acceptance", _pack("acceptance.yml"), (), (ACCEPTANCE,)),
    Target("prose", _pack("spec.md"), (), tuple(PROSE.values())),
    Target("configuration", _config, (), (CONFIG,)),
    Target("environment", _environment, (), (b"merge", b"1h", b"a,b")),
    Target("contract-again", _contract, (FormError,), (TASK + b"\0" + ACCEPTANCE,)),
    Target("documents", _documents, (), (MANIFEST,)),
    Target("documents-again", _shapes, (), (MANIFEST,)),
    Target("index", index.parse_index, (EvidenceError,), (b'{"runs":[],"schema_version":1}\n',)),
    Target("event", _event, (), (EVENT,)),
    Target(
        "note", _round_trip(signed_note.parse_note, signed_note.format_note), (NoteError,), (NOTE,)
    ),
    Target(
        "checkpoint",
        _round_trip(checkpoint.parse_kept, checkpoint.format_kept),
        (NoteError,),
        (KEPT, NOTE),
    ),
    Target(
        "proof",
        _round_trip(checkpoint.parse_proof, checkpoint.format_proof),
        (NoteError,),
        (PROOF,),
    ),
    Target("notes-again", _notes, (), (KEPT, NOTE, PROOF, ENVELOPE)),
    Target(
        "envelopes",
        _round_trip(attestations.parse_envelopes, dsse.format_envelopes),
        (EvidenceError,),
        (ENVELOPE,),
    ),
    Target("digest-list", attestations.parse_digests, (EvidenceError,), (b"0" * 64 + b"  a\n",)),
    Target("public-key", _key, (), (PEM,)),
    Target("git-bundle", _bundle, (), (BUNDLE,)),
    Target("git-tree", lambda raw: parse_tree(raw, 20), (ObjectError,), (TREE,)),
    Target("patch", _patch, (PatchError,), (PATCH,)),
    Target("binary-patch", _delta, (binary_patch.BinaryPatchError,), (BINARY, b"\x06\x02\x02x\n")),
    Target("scope", _scope, (), (b"docs/**/*.md\ndocs/a/b.md", b"a?*/\nab/c")),
    Target("path", _path, (), (b"docs/a.md", b"con.txt", "é/\u200b.git".encode(), b"..\\x:\xff")),
    Target(
        "connect",
        egress.target_of,
        (egress.EgressRefusal,),
        (b"CONNECT a.example:443 HTTP/1.1\r\nHost: a.example\r\n\r\n",),
    ),
    Target("client-hello", server_name, (egress.EgressRefusal,), (HELLO,)),
    Target("lock-holder", _lock_holder, (), (b'{"pid": 1, "since": "x", "what": "y"}',)),
    Target(
        "package-lock",
        lambda raw: _rules().parse_lock(raw.decode("utf-8", "replace")),
        (),
        (b"a==1 \\\n    --hash=sha256:" + b"0" * 64 + b"\n", b"b==2 ; python_version < '3'\n"),
    ),
    Target("workflow", _workflow, (), (WORKFLOW,)),
    Target("log", normalize_artifacts.normalize_log, (), (b"/tmp/x 12:00:01 1.5s\r\n\x1b[31m",)),
    Target(
        "terminal",
        lambda raw: sanitize(raw.decode("utf-8", "surrogateescape")),
        (),
        (b"\x1b]0;x\x07",),
    ),
)
BY_NAME = {target.name: target for target in TARGETS}
