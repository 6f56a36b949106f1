"""Decide whether a run can have the signatures that policy asks for: compare the key in use with
the pinned keys.

Pinned keys are the `*.pub` files of `factory.keys/` in the base commit: what is committed was
reviewed, what is only in the work tree was not. Where policy requires nothing, having no key is no
finding; having one that must not be used always is. Does not know what is signed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from factory.log.key import PublicKey
from factory.log.public_key import KeyFormError, parse_pem
from factory.model.errors import Refusal
from factory.model.evidence import SigningRecord
from factory.model.finding import Finding, Location
from factory.model.findings.entry import Facts
from factory.model.pins import PINS_FILE, PinnedKey, PinsDocument
from factory.model.signing import PINS_FOLDER, SigningPolicy
from factory.model.tree import Leaf, Tree
from factory.plan.site import Site

if TYPE_CHECKING:  # costs the library for cryptography
    from factory.log.ed25519 import PrivateSigner


def judge_signing(site: Site) -> tuple[Finding, ...]:
    """Return findings where this run could not be signed as policy asks."""
    policy = site.config.signing_policy
    try:
        key = site.keys.signer().key
        pinned = pinned_keys(site) if policy is not SigningPolicy.OPTIONAL else ()
    except Refusal as refusal:
        optional = (
            policy is SigningPolicy.OPTIONAL and refusal.findings[0].id == "SIGNING_KEY_MISSING"
        )
        return () if optional else refusal.findings
    if policy is SigningPolicy.OPTIONAL:
        return ()
    if key not in pinned:
        facts: Facts = {
            "case": "pinned",
            "key": key.key_id,
            "folder": PINS_FOLDER,
            "known": tuple(sorted(pin.key_id for pin in pinned)) or ("none",),
        }
        return (Finding("SIGNING_KEY_UNTRUSTED", facts),)
    named = site.config.signing_key_ids
    if policy is SigningPolicy.REQUIRED_FROM and key.key_id not in named:
        facts = {"case": "named", "key": key.key_id, "known": tuple(named) or ("none",)}
        return (Finding("SIGNING_KEY_UNTRUSTED", facts),)
    try:
        why = _refusal(site, key)
    except Refusal as refusal:
        return refusal.findings
    facts = {"case": "terms", "key": key.key_id, "why": why}
    return (Finding("SIGNING_KEY_UNTRUSTED", facts),) if why else ()


def _refusal(site: Site, key: PublicKey) -> str:
    """Return why the terms of a pinned key exclude that it signs a run now, one clause; "" if they
    do not. Raise Refusal SIGNING_PIN_INVALID for terms that cannot be read.
    """
    folder = _pins_folder(site)
    leaf = folder.get(PINS_FILE) if isinstance(folder, Tree) else None
    if not isinstance(leaf, Leaf):
        return ""
    path = f"{PINS_FOLDER}/{PINS_FILE}"
    try:
        document = PinsDocument.model_validate_json(site.objects.read([leaf.oid])[leaf.oid])
    except ValueError as error:
        facts = {
            "case": "pin",
            "file": path,
            "problem": f"cannot be read: {str(error).splitlines()[0]}",
        }
        raise Refusal(Finding("SIGNING_PIN_INVALID", facts, location=Location(path))) from error
    now = site.clock.utc()[:19] + "Z"
    for terms in document.keys:
        if terms.key == key.key_id:
            return _excluded(terms, now)
    return ""


def _excluded(terms: PinnedKey, now: str) -> str:
    if "run" not in terms.purposes:
        return "is not for runs"
    if terms.since and now < terms.since:
        return f"counts since {terms.since}"
    for end, word in ((terms.until, "counted until"), (terms.revoked, "is revoked from")):
        if end and now >= end:
            return f"{word} {end}"
    return ""


def signing_record(site: Site) -> SigningRecord:
    """Return what the status of a run records about signing."""
    try:
        site.keys.signer()
    except Refusal:
        signer = False
    else:
        signer = True
    return SigningRecord(
        policy=site.config.signing_policy.value,
        keys=tuple(sorted(site.config.signing_key_ids)),
        signer="at-hand" if signer else "none",
    )


def signer_for(site: Site, record: SigningRecord) -> PrivateSigner | None:
    """Return the signer of a run that was decided under `record`; None where nobody signs it.

    A run that was decided without a key stays unsigned. Raise Refusal where a key was present then,
    policy required it, and it is gone now.
    """
    if record.signer == "none":
        return None
    try:
        return site.keys.signer()
    except Refusal as refusal:
        if (
            record.policy == SigningPolicy.OPTIONAL.value
            and refusal.findings[0].id == "SIGNING_KEY_MISSING"
        ):
            return None
        raise


def pinned_keys(site: Site) -> tuple[PublicKey, ...]:
    """Return the keys pinned in the commit of policy_ref, without one in the base commit.

    Raise Refusal SIGNING_PIN_INVALID for a file that is no key.
    """
    folder = _pins_folder(site)
    if not isinstance(folder, Tree):
        return ()
    leaves = {name: leaf for name, leaf in folder.leaves() if name.endswith(".pub")}
    contents = site.objects.read(leaf.oid for leaf in leaves.values()) if leaves else {}
    return tuple(
        _pin(f"{PINS_FOLDER}/{name}", contents[leaf.oid]) for name, leaf in sorted(leaves.items())
    )


def _pins_folder(site: Site) -> Leaf | Tree | None:
    commit = site.config.policy_commit or site.repository.commit
    return site.objects.tree_of(commit).get(PINS_FOLDER)


def _pin(path: str, content: bytes) -> PublicKey:
    try:
        return parse_pem(content)
    except KeyFormError as error:
        facts = {"case": "pin", "file": path, "problem": str(error)}
        raise Refusal(Finding("SIGNING_PIN_INVALID", facts, location=Location(path))) from error
