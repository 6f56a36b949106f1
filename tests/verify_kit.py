"""Evidence to be tampered with: real runs, as folders in memory, and a forger who recomputes what
can be recomputed.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

from factory.bundle.make import manifest_of
from factory.engine.summary import asked_of
from factory.evidence.attestations import enclose, format_digests, pae
from factory.evidence.ledger_head import sign_checkpoint
from factory.evidence.statements import (
    BundleBuild,
    BundleEvidence,
    bundle_builds,
    encode,
    file_subjects,
    git_subjects,
    provenance,
    summary,
    test_result,
)
from factory.git.bundle_file import tip_of
from factory.log.chain import Head
from factory.log.checkpoint import Checkpoint, Proof, format_kept, format_proof
from factory.log.dsse import format_envelopes
from factory.log.ed25519 import PrivateSigner as Signer
from factory.log.key import Signature
from factory.log.merkle import Peaks
from factory.model.action import ActionDocument
from factory.model.event import Entry
from factory.model.evidence import (
    EventDocument,
    FilesChanged,
    Manifest,
    ManifestEntry,
    MergeDocument,
    PackLine,
    RunStatus,
    ScopeLock,
    StatusDocument,
)
from factory.model.evidence_text import format_document, parse_document, sha256
from factory.model.layout import IN_RUN, INTEGRATOR
from factory.model.ledger_chain import format_event
from factory.model.signing import origin_of
from factory.model.statement import ProvenanceStatement, SummaryStatement, TestResultStatement
from factory.report import text as report_text
from factory.report.renderings import rendered
from factory.report.run_view import BundleView, RunView, facts_of
from factory.verify import (
    bundle_documents,
    comparison,
    events,
    form,
    history,
    judged,
    manifests,
    patterns,
    renderings,
    rules,
)
from factory.verify import run as verify_run_module
from factory.verify.context import OPTIONAL, Context, Demand, WholeLedger
from factory.verify.events import Chain
from factory.verify.folder import open_folder
from factory.verify.notes import Checkpoint as Note
from factory.verify.notes import Key
from factory.verify.run import Verified, verify_run
from tests.ledger_lines import link
from tests.world import World

Z = "Z_integrator"
LISTS = ("bundles", "report", "ledger", "files")
LATER = frozenset(
    (
        "RUN_MANIFEST.json",
        "attestations/attestations.intoto.jsonl",
        *(f"attestations/{n}.sha256" for n in LISTS),
    )
)


# Of the documents of a run, a mutation changes one; a document is a function of its bytes, so the
# others are not read anew each time. A refusal is never remembered.
remembered_read = lru_cache(maxsize=4096)(form.read)
remembered_sha256 = lru_cache(maxsize=4096)(lambda content: hashlib.sha256(content).hexdigest())
for reading in (bundle_documents, comparison, manifests, verify_run_module):
    reading.read = remembered_read  # type: ignore[attr-defined]
# Nor do the same patterns match the same path otherwise, or the same page say something else.
remembered_match = lru_cache(maxsize=65536)(patterns.matches)
for matching in (judged, rules):
    matching.matches = remembered_match  # type: ignore[attr-defined]
renderings.read_page = lru_cache(maxsize=64)(renderings.read_page)  # type: ignore[attr-defined]
events.read_line = history.read_line = lru_cache(maxsize=4096)(events.read_line)  # type: ignore[attr-defined]


class Sizes(Mapping[str, int]):
    """The sizes of files, each told when it is asked for."""

    def __init__(self, files: Mapping[str, bytes]) -> None:
        self._files = files

    def __getitem__(self, path: str) -> int:
        return len(self._files[path])

    def __iter__(self) -> Iterator[str]:
        return iter(self._files)

    def __len__(self) -> int:
        return len(self._files)

    def __contains__(self, path: object) -> bool:
        return path in self._files


@dataclass
class Memory:
    """A run's folder in memory."""

    name: str
    files: dict[str, bytes]
    odd: dict[str, str] = field(default_factory=dict)

    @property
    def sizes(self) -> Mapping[str, int]:
        return Sizes(self.files)

    def read(self, path: str) -> bytes | None:
        return self.files.get(path)

    def sha256(self, path: str) -> str:
        return remembered_sha256(self.files[path]) if path in self.files else ""

    def copy(self) -> Memory:
        return Memory(self.name, dict(self.files), dict(self.odd))


def load(root: Path) -> Memory:
    """A run's folder from the disk."""
    folder = open_folder(root)
    return Memory(
        root.name, {path: folder.read(path) or b"" for path in folder.sizes}, dict(folder.odd)
    )


def chain_of(content: bytes, sizes: set[int] = frozenset()) -> WholeLedger:  # type: ignore[assignment]
    """A whole ledger from its bytes."""
    *lines, rest = content.split(b"\n")
    chain = Chain(sizes)
    for line in lines:
        chain.take(line)
    return WholeLedger(chain, len(rest))


def around(
    ledger: bytes | None = None,
    others: Mapping[str, Note] | None = None,
    keys: tuple[Key, ...] = (),
    demand: Demand = OPTIONAL,
    sizes: set[int] | None = None,
) -> Context:
    """Context without a repository."""
    others = others or {}
    wanted = {note.size for note in others.values()} | (sizes or set())
    known = chain_of(ledger, wanted) if ledger is not None else None
    covered = known.chain.size if known is not None else 0
    return Context(known, others, keys=keys, demand=demand, named=True, covered=covered)


def check(run: Memory, beside: Context | None = None) -> Verified:
    return verify_run(run, beside or Context())


def ids(verified: Verified) -> set[str]:
    return {finding.id for finding in verified.findings}


def places(verified: Verified) -> set[str]:
    return {finding.location.file for finding in verified.findings if finding.location}


def small_world(root: Path, **more: str) -> World:
    """Two packs: one that changes, adds, removes and links files, and one that builds on it."""
    world = World(root)
    world.write("src/a.txt", "def one():\n    return 1\n\n\ndef two():\n    return 2\n")
    world.write("src/gone.txt", "bye\n")
    world.write("data/x.bin", bytes(range(256)) * 4)
    world.pack(
        "TASK-0001-alpha",
        """
        scope: {allowed_paths: [src/, docs/]}
        steps:
          - run: sed -i s/2/3/ src/a.txt; rm src/gone.txt; mkdir -p docs; echo hi > docs/n.txt; ln -s a.txt src/link
        artifacts: {required: [out/*.txt]}
        """,
        "tests: ['true']\n"
        "checks: [{name: made, run: 'mkdir -p taskpacks/TASK-0001-alpha/out; "
        "echo art > taskpacks/TASK-0001-alpha/out/r.txt; echo a log'}]\n",
    )
    world.pack(
        "TASK-0002-beta",
        """
        scope: {allowed_paths: [data/, docs/]}
        depends_on: [TASK-0001]
        steps: ["printf more >> data/x.bin; echo more >> docs/n.txt"]
        """,
        "must: ['test -f spec.md']\n",
    )
    for path, text in more.items():
        world.write(path, text)
    world.commit()
    return world


# ── the forger ───────────────────────────────────────────────────────────────


def relisted(run: Memory) -> Memory:
    """The same evidence with every manifest and list recomputed, and nothing else."""
    made = run.copy()
    for pack in packs_of(made):
        own = {
            p.removeprefix(f"{pack}/"): c for p, c in made.files.items() if p.startswith(f"{pack}/")
        }
        own.pop("manifest.json", None)
        made.files[f"{pack}/manifest.json"] = format_document(manifest_of(pack, own))
    _lists(made)
    _run_manifest(made)
    return made


def packs_of(run: Memory) -> list[str]:
    return sorted(
        p.partition("/")[0] for p in run.files if p.count("/") == 1 and p.endswith("/manifest.json")
    )


def _lists(run: Memory) -> dict[str, dict[str, str]]:
    digests = {path: sha256(content) for path, content in run.files.items() if path not in LATER}
    chosen = {
        "bundles": [f"{pack}/manifest.json" for pack in packs_of(run)],
        "report": [*INTEGRATOR.renderings, INTEGRATOR.status],
        "ledger": [
            f"attestations/{name}" for name in ("ledger.jsonl", "checkpoint", "finished.tlog-proof")
        ],
        "files": list(digests),
    }
    lists = {
        name: {path: digests[path] for path in paths if path in digests}
        for name, paths in chosen.items()
    }
    for name, listed in lists.items():
        run.files[f"attestations/{name}.sha256"] = format_digests(listed)
    return lists


def _run_manifest(run: Memory) -> None:
    entries = tuple(
        ManifestEntry(path=path, sha256=sha256(run.files[path]), bytes=len(run.files[path]))
        for path in sorted(run.files)
        if path != "RUN_MANIFEST.json"
    )
    run.files["RUN_MANIFEST.json"] = format_document(Manifest(subject=run.name, files=entries))


def forged(
    run: Memory, changes: Mapping[str, bytes], *, signer: Signer | None = None, **status: object
) -> tuple[Memory, bytes]:
    """Return evidence with files changed, and everything that depends on them recomputed; and its
    whole ledger.

    What an attacker with our own code and no key can do, or, with `signer`, the holder of that key
    who lies. The run must be the only one of its ledger. `status` replaces members of the run's
    verdict.
    """
    made = run.copy()
    made.files |= changes
    made = relisted(made)
    verdict = parse_document(RunStatus, made.files[f"{Z}/STATUS.json"])
    verdict = verdict.model_copy(update=status)
    lines = tuple(_line(made, line) for line in verdict.packs)
    signing = verdict.signing.model_copy(update={"signer": "at-hand" if signer else "none"})
    verdict = verdict.model_copy(update={"packs": lines, "signing": signing})
    _merge(made)
    made.files[f"{Z}/STATUS.json"] = format_document(verdict)
    try:
        changed = parse_document(FilesChanged, made.files[f"{Z}/FILES_CHANGED.json"])
    except (KeyError, ValueError):
        changed = None
    if f"{Z}/MERGE.json" not in made.files:
        made.files[f"{Z}/MERGE_PLAN.md"] = report_text.unmerged_plan(verdict)
    _render(made, verdict, changed)
    events = chained(_told_anew(made, verdict, event) for event in events_of(made))
    _attest(made, verdict, events, signer)
    _run_manifest(made)
    return made, b"".join(map(format_event, events))


def _line(run: Memory, line: PackLine) -> PackLine:
    """The row of a pack, with what its bundle says by now."""
    update: dict[str, object] = {"bundle_sha256": sha256(run.files[f"{line.pack}/manifest.json"])}
    said = _said(run, line.pack)
    if said is not None:
        update["asked"] = asked_of(said)
        update["judge_changed"] = len(said.judged.files)
        update["judge_permitted"] = sum(row.permitted for row in said.judged.files)
    return line.model_copy(update=update)


def _render(run: Memory, verdict: RunStatus, changed: FilesChanged | None) -> None:
    """As the pipeline renders it, of the files in memory."""
    bundles = {}
    for line in verdict.packs:
        said = _said(run, line.pack) if line.bundle_sha256 else None
        if said is not None:
            bundles[line.pack] = BundleView(said)
    facts = facts_of(events_of(run), run.files.get(IN_RUN.raw.enforcement, b""))
    run.files |= rendered(INTEGRATOR, RunView(verdict, changed, bundles, facts=facts))


def _merge(run: Memory) -> None:
    try:
        merge = parse_document(MergeDocument, run.files[f"{Z}/MERGE.json"])
    except (KeyError, ValueError):
        return
    entries = tuple(
        entry.model_copy(
            update={"sha256": sha256(run.files[entry.path]), "bytes": len(run.files[entry.path])}
        )
        for entry in merge.bundles
        if entry.path in run.files
    )
    run.files[f"{Z}/MERGE.json"] = format_document(merge.model_copy(update={"bundles": entries}))


CODES = {"PASS": 0, "BLOCKED": 2, "FAIL": 1}


CODES = {"PASS": 0, "BLOCKED": 2, "FAIL": 1}


def events_of(run: Memory) -> list[EventDocument]:
    """The run's own events."""
    return [
        EventDocument.model_validate_json(line)
        for line in run.files["attestations/ledger.jsonl"].splitlines()
    ]


def chained(
    events: Iterable[EventDocument], start: tuple[EventDocument, ...] = ()
) -> list[EventDocument]:
    """Events in a chain of their own, each with its time and its parent; `start` is chained
    already.
    """
    head = Head(start[-1].seq, start[-1].event_id) if start else Head()
    made, renamed = list(start), {"": "", **{old.event_id: old.event_id for old in start}}
    for old in events:
        entry = Entry(
            *(
                old.event_type,
                old.run_id,
                renamed.get(old.parent_event_id, ""),
                old.actor,
                old.duration_ms,
            ),
            *(dict(old.file_counts), dict(old.hashes), old.rc, dict(old.details)),
        )
        event = link(head, entry, old.ts_utc)
        renamed[old.event_id] = event.event_id
        head = Head(event.seq, event.event_id)
        made.append(event)
    return made


def retold(
    run: Memory, told: list[EventDocument], signer: Signer | None = None
) -> tuple[Memory, bytes]:
    """Return the same evidence with a ledger of these events, which end with the run's own;
    attested anew, unsigned or by `signer`.
    """
    made = run.copy()
    _attest(made, parse_document(RunStatus, made.files[f"{Z}/STATUS.json"]), told, signer)
    _run_manifest(made)
    return made, b"".join(map(format_event, told))


def told_only(run: Memory, told: list[EventDocument]) -> tuple[Memory, bytes]:
    """As `retold`, without what is no part of a run's history."""
    made = run.copy()
    _history(made, parse_document(RunStatus, made.files[f"{Z}/STATUS.json"]), told)
    return made, b"".join(map(format_event, told))


def _told_anew(run: Memory, verdict: RunStatus, old: EventDocument) -> EventDocument:
    """One event with everything that the evidence says otherwise by now."""
    kind = old.event_type
    said = _said(run, old.details.get("pack", ""))
    if kind in ("run.started", "preflight.finished"):
        plan = sha256(run.files["PLAN.json"]) if "PLAN.json" in run.files else ""
        return old.model_copy(update={"hashes": {**old.hashes, "plan": plan}})
    if kind in ("recheck.finished", "recheck.judged", "merge.finished") or kind.startswith(
        "integrate."
    ):
        return _of_run(run, verdict, old)
    return _of_pack(run, said, old) if said is not None else old


def _of_run(run: Memory, verdict: RunStatus, old: EventDocument) -> EventDocument:
    hashes, details, rc = dict(old.hashes), dict(old.details), old.rc
    if old.event_type == "recheck.finished":
        rows = [
            row
            for row in verdict.rechecks
            if (row.pack, row.label) == (details["pack"], details["label"])
        ]
        rc, details["outcome"] = (rows[0].rc, rows[0].outcome) if rows else (rc, details["outcome"])
        hashes["log"] = sha256(
            run.files.get(f"{Z}/LOGS/{details['pack']}.{details['label']}.log", b"")
        )
        return old.model_copy(update={"hashes": hashes, "details": details, "rc": rc})
    if old.event_type == "recheck.judged":
        asked = [
            row
            for row in verdict.judge_runs
            if (row.pack, row.label) == (details["pack"], details["label"])
        ]
        rc, details["ended"] = (asked[0].rc, asked[0].ended) if asked else (rc, details["ended"])
        log = f"{Z}/LOGS/{details['pack']}.{details['label']}.log"
        hashes["log"] = sha256(run.files.get(log, b""))
        return old.model_copy(update={"hashes": hashes, "details": details, "rc": rc})
    hashes["merged_tree"] = verdict.merged_tree
    if old.event_type == "integrate.prepared":
        hashes["status"] = sha256(run.files[f"{Z}/STATUS.json"])
    if old.event_type == "integrate.finished":
        hashes["report"] = sha256(run.files[f"{Z}/FINAL_REPORT.md"])
        details["status"] = verdict.status
    if old.event_type.startswith("integrate."):
        rc = CODES[verdict.status]
    return old.model_copy(update={"hashes": hashes, "details": details, "rc": rc})


def _of_pack(run: Memory, said: StatusDocument, old: EventDocument) -> EventDocument:
    hashes, details, counts, rc, pack = (
        dict(old.hashes),
        dict(old.details),
        dict(old.file_counts),
        old.rc,
        said.pack,
    )
    manifest = sha256(run.files.get(f"{pack}/manifest.json", b""))
    match old.event_type:
        case "pack.started":
            hashes["action_key"] = said.action_key
        case "step.finished" | "check.finished":
            rc = next((check.rc for check in said.checks if check.label == details["label"]), rc)
            hashes["log"] = sha256(run.files.get(f"{pack}/LOGS/{details['label']}.log", b""))
        case "attempt.finished":
            hashes = {"result_tree": said.attempts[-1].result_tree}
            counts |= {"changed": said.files_changed, "artifacts": len(said.artifacts)}
            details["status"], rc = said.attempts[-1].status, CODES[said.attempts[-1].status]
        case "pack.finished":
            hashes = {
                "action_key": said.action_key,
                "result_tree": said.result_tree,
                "manifest": manifest,
            }
            counts = {"changed": said.files_changed, "artifacts": len(said.artifacts)}
            details["status"], rc = said.status, CODES[said.status]
        case "bundle.validated":
            hashes["manifest"] = manifest
            counts["files"] = sum(path.startswith(f"{pack}/") for path in run.files)
    return old.model_copy(
        update={"hashes": hashes, "details": details, "file_counts": counts, "rc": rc}
    )


def _said(run: Memory, pack: str) -> StatusDocument | None:
    try:
        return parse_document(StatusDocument, run.files.get(f"{pack}/STATUS.json", b""))
    except ValueError:
        return None


def _history(
    run: Memory, verdict: RunStatus, events: list[EventDocument], signer: Signer | None = None
) -> None:
    """A run's copy of its events, checkpoint and proof; `events` are those of the whole ledger up
    to the run's last.
    """
    lines = [format_event(event) for event in events]
    own = (
        line for line, event in zip(lines, events, strict=True) if event.run_id == verdict.run_id
    )
    run.files["attestations/ledger.jsonl"] = b"".join(own)
    before = Peaks().extended(line[:-1] for line in lines[:-1])
    whole = before.extended((lines[-1][:-1],))
    head = Checkpoint(origin_of(events[0].event_id), whole.size, whole.root)
    kept = sign_checkpoint(head, signer)
    run.files["attestations/checkpoint"] = format_kept(kept)
    run.files["attestations/finished.tlog-proof"] = format_proof(
        Proof(before.size, before.path_of_next, kept)
    )


def _attest(
    run: Memory, verdict: RunStatus, events: list[EventDocument], signer: Signer | None = None
) -> None:
    _history(run, verdict, events, signer)
    lists = _lists(run)
    bundles = {line.pack: line.bundle_sha256 for line in verdict.packs if line.bundle_sha256}
    statements: list[ProvenanceStatement | TestResultStatement | SummaryStatement] = []
    found: list[BundleEvidence] = []
    made = bundle_builds(
        events, {line.pack: line.came_from or verdict.run_id for line in verdict.packs}
    )
    for line in verdict.packs:
        evidence = _evidence(run, line.pack, made[line.pack]) if line.bundle_sha256 else None
        if evidence is not None:
            found.append(evidence)
            statements += [provenance(evidence, bundles), test_result(evidence)]
    listed = "attestations/files.sha256"
    about = {
        **lists["bundles"],
        **lists["report"],
        **lists["ledger"],
        listed: sha256(run.files[listed]),
    }
    policy = sha256(run.files["attestations/policy.json"])
    objects = run.files.get(f"{Z}/CHANGES.bundle", b"") if verdict.merged_tree else b""
    in_git = git_subjects(found, verdict.merged_tree, tip_of(objects))
    for subject in ([in_git] if in_git else []) + [file_subjects(about)]:
        inputs = list(statements)
        statements.append(summary(verdict, subject, policy, inputs, events[-1].ts_utc))
    payloads = [encode(statement) for statement in statements]
    run.files["attestations/attestations.intoto.jsonl"] = enveloped(payloads, signer)


def enveloped(payloads: Iterable[bytes], signer: Signer | None = None) -> bytes:
    """Return the file of statements with these payloads, unsigned or by `signer`."""

    def signed(payload: bytes) -> tuple[Signature, ...]:
        return (Signature(signer.key, signer.sign(pae(payload))),) if signer else ()

    return format_envelopes(enclose(payload, signed(payload)) for payload in payloads)


def _evidence(run: Memory, pack: str, made: BundleBuild) -> BundleEvidence | None:
    try:
        return BundleEvidence(
            sha256(run.files[f"{pack}/manifest.json"]),
            {
                p.removeprefix(f"{pack}/"): sha256(c)
                for p, c in run.files.items()
                if p.startswith(f"{pack}/")
            },
            parse_document(StatusDocument, run.files[f"{pack}/STATUS.json"]),
            parse_document(ActionDocument, run.files[f"{pack}/ACTION.json"]),
            parse_document(ScopeLock, run.files[f"{pack}/SCOPE_LOCK.json"]),
            made,
        )
    except ValueError:
        return None
