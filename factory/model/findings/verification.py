"""List findings of the independent checker."""

from __future__ import annotations

from collections.abc import Mapping

from factory.model.findings.entry import CatalogueEntry, Facts, Text, error

_KEEP = "Keep the evidence as it is for an audit; factory oneshot makes a new run."
_WRONG: Facts = {"case": "wrong", "file": "T-1/STATUS.json", "problem": "expected a, found b"}
_DIFFERS: Facts = {
    "case": "differs",
    "file": "T-1/STATUS.json",
    "what": "its status",
    "expected": "BLOCKED",
    "found": "PASS",
}


def _check(
    meaning: str,
    remedy: str,
    sentences: Mapping[str, str] | None = None,
    hints: Mapping[str, str] | None = None,
    examples: tuple[Facts, ...] = (),
) -> CatalogueEntry:
    """Return the entry of a check over a file of the evidence; each has two cases, and these add
    its own.
    """
    sentence: Text = {
        "wrong": "{file:prefix}{problem}",
        "differs": "{file:prefix}{what}: expected {expected}, found {found}",
        **(sentences or {}),
    }
    hint: Text = {"wrong": _KEEP, "differs": _KEEP, **(hints or {})}
    return error(
        meaning,
        sentence=sentence,
        hint=hint,
        remedy=f"no change of the contract is needed: {remedy}",
        examples=(_WRONG, _DIFFERS, *examples),
    )


VERIFICATION: Mapping[str, CatalogueEntry] = {
    "VERIFY_MISSING": _check(
        "the evidence lacks a file that it needs or names",
        "bring the missing file back from a copy of the run",
        sentences={
            "not-a-run": "this is no run's folder: it has no RUN_MANIFEST.json and no"
            " Z_integrator/",
            "run": "{file:prefix}{problem}",
        },
        hints={"not-a-run": "Name the folder that contains the run's evidence.", "run": ""},
        examples=(
            {"case": "not-a-run"},
            {
                "case": "run",
                "file": "runs/1",
                "problem": "expected the folder of a run, found a symbolic link",
            },
        ),
    ),
    "VERIFY_EXTRA": _check(
        "the evidence contains a file that nothing names", "find out who added that file"
    ),
    "VERIFY_DIGEST": _check(
        "a file is not the one whose digest is on record",
        "compare that file with a copy of the run",
    ),
    "VERIFY_UNSAFE_FILE": _check(
        "the evidence contains a link, a special file, or names that are one on some platform",
        "verify a copy that contains plain files only",
    ),
    "VERIFY_FORM": _check(
        "a document of the evidence does not match its strict schema",
        "bring that document back from a copy of the run",
    ),
    "VERIFY_MANIFEST": _check(
        "a manifest is not what the files yield", "compare the manifest with a copy of the run"
    ),
    "VERIFY_OBJECTS": _check(
        "the Git objects of the evidence are not sound or not those that belong there",
        "compare CHANGES.bundle with a copy of the run",
    ),
    "VERIFY_CHANGE": _check(
        "FILES_CHANGED, the patch and the trees do not agree on one change",
        "look at FILES_CHANGED.json, DIFF.patch and the trees side by side",
    ),
    "VERIFY_HIDDEN_CHANGE": _check(
        "the patch contains a change that FILES_CHANGED does not name",
        "look at what DIFF.patch changes beyond FILES_CHANGED.json",
    ),
    "VERIFY_ACTION": _check(
        "the action, its key or the pack's files do not agree",
        "compare ACTION.json with the pack's folder at that commit",
    ),
    "VERIFY_SCOPE": _check(
        "a change is outside what the contract allows, or the evidence states the contract"
        " otherwise",
        "do not take the change: compare it with the contract",
    ),
    "VERIFY_PLAN": _check(
        "a bundle or the merge does not follow from the plan of its run",
        "compare PLAN.json with the bundles and the merge",
    ),
    "VERIFY_JUDGE": _check(
        "what a bundle says of its judge does not follow from its change and the plan",
        "see which files of the judge that pack changed, and run again",
    ),
    "VERIFY_STATUS": _check(
        "a status is not what its evidence yields", "do not believe that verdict: run again"
    ),
    "VERIFY_LOGS": _check(
        "logs are not those that were recorded", "compare the logs with a copy of the run"
    ),
    "VERIFY_ARTIFACTS": _check(
        "artifacts are not those that were declared and recorded",
        "compare the artifacts with a copy of the run",
    ),
    "VERIFY_BASE": _check(
        "a pack did not start from what the base and its dependencies yield",
        "find out which base that pack started from, and run again",
    ),
    "VERIFY_MERGE": _check(
        "the merged result is not what base and bundles yield",
        "do not take the merged tree: integrate the bundles again",
    ),
    "VERIFY_REPORT": _check(
        "the report says otherwise than the evidence", "believe the evidence, not the report"
    ),
    "VERIFY_LEDGER": _check(
        "the ledger or a run's copy of it is broken",
        "compare the ledger with a copy of it",
        sentences={
            "torn": "{file:prefix}expected a line feed at the end, found {bytes:byte|bytes} of a"
            " torn line"
        },
        hints={
            "torn": "A run that died while it wrote leaves such a line; the next run sets it aside"
            " and records it."
        },
        examples=({"case": "torn", "file": "ledger.jsonl", "bytes": 40},),
    ),
    "VERIFY_ROLLBACK": _check(
        "the ledger does not contain what a checkpoint was made over",
        "ask for the ledger that the checkpoint was made over",
    ),
    "VERIFY_ATTESTATION": _check(
        "a digest list or statement is not what the evidence yields",
        "compare the attestations with a copy of the run",
    ),
    "VERIFY_SIGNATURE": _check(
        "a signature does not fit, or is missing where the evidence or the policy needs one",
        "ask for evidence that is signed by a key that you trust",
    ),
    "VERIFY_UNTRUSTED": error(
        "nothing differs, and nobody whom the verifier trusts signed the run",
        sentence={
            "unsigned": "nobody signed this run: no key was at hand when it was made",
            "unknown": "signed by {found}, whose public key is not known here",
            "claimed": "signed by {found}: what is judged does not decide whom you trust",
            "terms": "signed by {found}, which does not count: {why}",
            "demand": "expected a signature by {expected}, given with --key, found one by {found}",
            "policy": "expected a signature by {expected}, as policy requires, found one by"
            " {found}",
            "threshold": "expected signatures by {expected}, found those by {found}",
            "checkpoint": "expected a checkpoint that covers this run in {expected}, as policy"
            " requires, found {found}",
        },
        hint={
            "unsigned": "A run is signed where a key is at hand: factory keys new",
            "unknown": "Give the public key with --key FILE, if you have it from its holder.",
            "claimed": "Compare the key with its holder, then: factory keys trust --user KEY_ID",
            "terms": "Ask for a run that a key signed which counts for it.",
            "demand": "Ask for a run that the holder of that key signed.",
            "policy": "Ask for a run that one of those keys signed.",
            "threshold": "Each of the others adds its signature with: factory keys sign RUN_ID",
            "checkpoint": "Keep one after each run with: factory ledger export-checkpoint",
        },
        remedy="no change of the contract is needed: find out who signed the run, and ask its"
        " holder for the public key",
        examples=(
            {"case": "unsigned"},
            {"case": "unknown", "found": "ed25519:0a1b2c3d"},
            {"case": "claimed", "found": "ed25519:0a1b2c3d (claimed: pinned in the run's commit)"},
            {"case": "terms", "found": "ed25519:0a1b2c3d", "why": "it is not for runs"},
            {"case": "demand", "expected": "ed25519:0a1b2c3d", "found": "ed25519:4e5f6a7b"},
            {"case": "policy", "expected": "ed25519:0a1b2c3d", "found": "ed25519:4e5f6a7b"},
            {"case": "threshold", "expected": "2 of a, b, c", "found": "a"},
            {"case": "checkpoint", "expected": "ref:refs/factory/checkpoint", "found": "none"},
        ),
    ),
    "VERIFY_EGRESS": _check(
        "what a pack did over the network is not what was recorded, declared or allowed",
        "compare EGRESS.json with the contract and the policy",
    ),
    "VERIFY_REBUILD": error(
        "a bundle that was made again differs from the one on record",
        sentence="{found}",
        hint="The pack is not reproducible here: look at what its commands take from time, chance"
        " or order.",
        remedy="no change of the contract is needed: look at what its commands take from time,"
        " chance or order",
        examples=({"found": "STATUS.json differs at byte 12"},),
    ),
}
