"""Check the signatures that other keys added to a run after it ended, each over its manifest.

They lie next to the runs, or are given. One says that its signer verified exactly these files; it
counts where several keys are asked for, and never in place of the key that signed the run itself.
"""

from __future__ import annotations

from typing import Any

from factory.log.dsse import pae
from factory.verify import paths
from factory.verify.context import Context
from factory.verify.form import FormError, value_of
from factory.verify.notes import CLAIMS, PAYLOAD_TYPE, WORDS, Key, read_envelopes, signed_by
from factory.verify.results import Results

ADDED = "added signature"
PREDICATE = "urn:codex-orchestrator:cosignature:1"


def check_cosignatures(
    results: Results, context: Context, run_id: str, manifest: str
) -> tuple[Key, ...]:
    """Return the trusted keys that count of those that added a signature to the run, whose
    `RUN_MANIFEST.json` has the digest `manifest`. What is none about this run is a finding.
    """
    found = []
    for name, content in context.cosignatures.items():
        try:
            key, keyid, time = _signer(content, context.keys, run_id, manifest)
        except FormError as error:
            results.wrong("VERIFY_SIGNATURE", name, str(error))
            continue
        if key is None:
            results.gap(ADDED, f"made by {keyid}, whose public key is not at hand")
            continue
        why = "" if key.way in CLAIMS else key.refusal(time, "it signed on")
        how = WORDS[key.way].format(where=key.where)
        more = f"; it does not count: {why}" if why else ""
        results.fact("signatures", f"also by {key.id} ({how}), on {time}{more}")
        if key.way not in CLAIMS and not why:
            found.append(key)
    return tuple(found)


def _signer(
    content: bytes, keys: tuple[Key, ...], run_id: str, manifest: str
) -> tuple[Key | None, str, str]:
    """Return who signed (None: a key that is not known), the id that it names, and when. Raise
    FormError.
    """
    envelopes = read_envelopes(content)
    if len(envelopes) != 1 or len(envelopes[0].signatures) != 1:
        raise FormError("expected one statement with one signature, found others")
    envelope, signature = envelopes[0], envelopes[0].signatures[0]
    if envelope.payload_type != PAYLOAD_TYPE:
        raise FormError(f"expected the type {PAYLOAD_TYPE}, found another")
    time = _time(value_of(envelope.payload), run_id, manifest)
    message = pae(envelope.payload, PAYLOAD_TYPE)
    known = [key for key in keys if key.dsse_id == signature.keyid]
    key = next((key for key in known or keys if signed_by(key, message, signature.sig)), None)
    if key is None and known:
        raise FormError(f"expected a signature by {known[0].id} that fits, found another")
    if key is not None and not known:
        raise FormError(f"expected the id of its key, {key.id}, found {signature.keyid}")
    return key, signature.keyid, time


def _time(statement: Any, run_id: str, manifest: str) -> str:
    """Return when the signer verified the run. Raise FormError where the statement is none about
    this run.
    """
    said = statement.get("predicate") if isinstance(statement, dict) else None
    if not isinstance(said, dict) or statement.get("predicateType") != PREDICATE:
        raise FormError(f"expected a statement of the type {PREDICATE}, found another")
    if said.get("resourceUri") != f"urn:codex-orchestrator:run:{run_id}":
        raise FormError("expected a statement about this run, found one about another")
    subject = [{"name": paths.RUN_MANIFEST, "digest": {"sha256": manifest}}]
    if statement.get("subject") != subject:
        what = f"expected a statement about {paths.RUN_MANIFEST} as it is, found another digest"
        raise FormError(what)
    return str(said.get("timeVerified"))
