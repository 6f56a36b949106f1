"""Attest the end of a run: its events, a checkpoint of the ledger, digest lists, statements.

Everything is written below `attestations/`, in this order: events → checkpoint and proof → digest
lists → statements. All of it covers the ledger up to the event that finished the run, so repeating
it after a crash gives the same bytes: an Ed25519 signature has no chance in it. Decides nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from factory.evidence.attestations import enclose, format_digests, pae
from factory.evidence.ledger_head import head_at, sign_checkpoint
from factory.evidence.signing import signer_for
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
from factory.log.checkpoint import (
    Proof,
    format_kept,
    format_proof,
)
from factory.log.dsse import format_envelopes
from factory.log.key import Signature
from factory.model.action import ActionDocument
from factory.model.evidence import (
    EventDocument,
    Manifest,
    PackLine,
    RunStatus,
    ScopeLock,
    StatusDocument,
)
from factory.model.evidence_text import EvidenceError, parse_document, sha256
from factory.model.layout import ATTESTATIONS, IN_BUNDLE, IN_RUN, INTEGRATOR, RunFolder
from factory.model.ledger_chain import format_event
from factory.model.statement import Statement
from factory.plan.site import Site

if TYPE_CHECKING:  # costs the library for cryptography
    from factory.log.ed25519 import PrivateSigner

_HERE = ATTESTATIONS
_LISTS = (_HERE.bundles_list, _HERE.report_list, _HERE.ledger_list, _HERE.files_list)
_LATER = frozenset((IN_RUN.manifest, _HERE.statements, *_LISTS))
_READ = (IN_BUNDLE.manifest, IN_BUNDLE.status, IN_BUNDLE.action, IN_BUNDLE.scope_lock)
_REPORTS = (*INTEGRATOR.renderings, INTEGRATOR.status)


def attest(site: Site, status: RunStatus, finished: EventDocument) -> dict[str, str]:
    """Write all of `attestations/`. Return the digest of every file of the run but its manifest, by
    path.

    `finished` is the event that finished the run. Raise Refusal where policy requires a key that
    was present and is gone, or where the ledger contradicts an earlier checkpoint; EvidenceError
    where the ledger does not contain that event.
    """
    run = RunFolder.of(status.run_id)
    made_in = {status.run_id, *(line.came_from for line in status.packs if line.came_from)}
    events = [event for event in site.ledger.of_runs(made_in) if event.seq <= finished.seq]
    signer = signer_for(site, status.signing)
    head = head_at(site, finished)
    kept = sign_checkpoint(head.checkpoint, signer)
    proof = Proof(finished.seq - 1, head.path, kept)
    own = b"".join(format_event(event) for event in events if event.run_id == status.run_id)
    made = {
        _HERE.ledger: own,
        _HERE.checkpoint: format_kept(kept),
        _HERE.proof: format_proof(proof),
    }
    digests = {
        path: digest
        for path, digest in site.store.digests(run).items()
        if path not in _LATER and path not in made
    }
    digests |= {path: sha256(content) for path, content in made.items()}
    lists = _lists(digests)
    made |= {path: format_digests(listed) for path, listed in lists.items()}
    digests |= {path: sha256(made[path]) for path in lists}
    statements = _statements(site, status, events, finished, digests, lists)
    payloads = [encode(statement) for statement in statements]
    envelopes = (enclose(payload, _signed(signer, pae(payload))) for payload in payloads)
    made[_HERE.statements] = format_envelopes(envelopes)
    digests[_HERE.statements] = sha256(made[_HERE.statements])
    site.store.write_together({run.at(path): content for path, content in made.items()})
    return digests


def _signed(signer: PrivateSigner | None, message: bytes) -> tuple[Signature, ...]:
    return (Signature(signer.key, signer.sign(message)),) if signer is not None else ()


def _lists(digests: Mapping[str, str]) -> dict[str, dict[str, str]]:
    """Return the digest lists by file name, each from path to digest.

    The last one lists every plain file of the run.
    """
    bundles = [
        path for path in digests if path.count("/") == 1 and path.endswith(f"/{IN_BUNDLE.manifest}")
    ]
    reports = [path for path in _REPORTS if path in digests]
    chosen = {
        _HERE.bundles_list: bundles,
        _HERE.report_list: reports,
        _HERE.ledger_list: [_HERE.ledger, _HERE.checkpoint, _HERE.proof],
        _HERE.files_list: list(digests),
    }
    return {
        name: {path: digests[path] for path in paths if digests[path]}
        for name, paths in chosen.items()
    }


def _statements(
    site: Site,
    status: RunStatus,
    events: list[EventDocument],
    finished: EventDocument,
    digests: Mapping[str, str],
    lists: Mapping[str, Mapping[str, str]],
) -> tuple[Statement, ...]:
    if not digests.get(_HERE.policy):
        raise EvidenceError(
            f"{_HERE.policy} is not there, expected the policy that the run was decided under"
        )
    with_bundle = [line for line in status.packs if line.bundle_sha256]
    bundles = {line.pack: line.bundle_sha256 for line in with_bundle}
    made = bundle_builds(
        events, {line.pack: line.came_from or status.run_id for line in with_bundle}
    )
    found = [
        bundle
        for line in with_bundle
        if (bundle := _bundle(site, status.run_id, line, made[line.pack])) is not None
    ]
    inputs: list[Statement] = []
    for bundle in found:
        inputs += (provenance(bundle, bundles), test_result(bundle))
    about = {path: digest for name in _LISTS[:3] for path, digest in lists[name].items()}
    about[_HERE.files_list] = digests[_HERE.files_list]
    objects = site.store.read(RunFolder.of(status.run_id).integrator.objects) or b""
    policy, time = digests[_HERE.policy], finished.ts_utc
    in_git = git_subjects(found, status.merged_tree, tip_of(objects) if status.merged_tree else "")
    inputs += [summary(status, in_git, policy, inputs, time)] if in_git else []
    return (*inputs, summary(status, file_subjects(about), policy, inputs, time))


def _bundle(site: Site, run_id: str, line: PackLine, made: BundleBuild) -> BundleEvidence | None:
    """Return the evidence of one bundle; None where its files do not match its manifest, and then
    nothing is attested of it.
    """
    folder = RunFolder.of(run_id).bundle(line.pack)
    texts = {name: site.store.read(folder.at(name)) or b"" for name in _READ}
    if sha256(texts[IN_BUNDLE.manifest]) != line.bundle_sha256:
        return None
    try:
        manifest = parse_document(Manifest, texts[IN_BUNDLE.manifest])
        said = parse_document(StatusDocument, texts[IN_BUNDLE.status])
        action = parse_document(ActionDocument, texts[IN_BUNDLE.action])
        lock = parse_document(ScopeLock, texts[IN_BUNDLE.scope_lock])
    except EvidenceError:
        return None
    files = {entry.path: entry.sha256 for entry in manifest.files}
    if any(files.get(name) != sha256(texts[name]) for name in _READ[1:]):
        return None
    return BundleEvidence(line.bundle_sha256, files, said, action, lock, made, line.reproducible)
