"""List findings about signing keys, checkpoints and the ledger."""

from __future__ import annotations

from collections.abc import Mapping

from factory.model.findings.entry import CatalogueEntry, error, note, warning

_KEEP = (
    "Keep ledger and runs as they are for an audit and compare them with copies kept somewhere"
    " else; to go on, move ledger.jsonl and runs/ aside together: a new ledger begins."
)
_RUN = "20260102T030405Z-0a1b2c"
_KEY = "ed25519:0a1b2c3d"

LEDGER: Mapping[str, CatalogueEntry] = {
    "SIGNING_KEY_MISSING": error(
        "a signature is required, and there is no key to make it with",
        sentence="there is no signing key, and {why}",
        hint="Set HOME or XDG_CONFIG_HOME to a folder that exists, or FACTORY_SIGNING_KEY_FILE to a"
        " key file.",
        remedy="no change of the contract is needed: make a key with: factory keys new",
        examples=({"why": "no folder to keep one in: neither /a/.config nor /a exists"},),
    ),
    "SIGNING_KEY_UNSAFE": error(
        "a signing key is there that must not be used as it is",
        sentence={
            "new": "{variable} names the key in use; expected no such variable where a key is to be"
            " made",
            "two": "expected one of {variables:and}, found both",
            "file": "the signing key {place} {problem}",
            "place": "the signing key {place} {problem}",
            "form": "the signing key {place} {problem}",
            "mode": "the signing key {place} can be read or written by others (mode {found}),"
            " expected {expected}",
            "folder": "the signing key {place} lies in a folder that others can write (mode"
            " {found}), expected {expected}",
        },
        hint={
            "new": "Unset {variable}, then run it again.",
            "two": "Unset one of them.",
            "file": "Look at it; a new one is made by: factory keys new",
            "place": "Keep it in your own configuration folder.",
            "form": "Make one with: openssl genpkey -algorithm ed25519",
            "mode": "If nobody else had it: chmod 600 {place}. Otherwise make a new one.",
            "folder": "If nobody else had it: chmod 700 {folder}. Otherwise make a new one.",
        },
        remedy="no change of the contract is needed: use a key that only you can read; a new one is"
        " made by: factory keys new",
        examples=(
            {"case": "new", "variable": "FACTORY_SIGNING_KEY_FILE"},
            {"case": "two", "variables": ("FACTORY_SIGNING_KEY_FILE", "FACTORY_SIGNING_KEY")},
            {"case": "file", "place": "/a/key.pem", "problem": "cannot be read"},
            {"case": "place", "place": "/a/key.pem", "problem": "lies inside the repository"},
            {"case": "form", "place": "/a/key.pem", "problem": "is no Ed25519 key"},
            {"case": "mode", "place": "/a/key.pem", "found": "0644", "expected": "0600"},
            {
                "case": "folder",
                "place": "/a/current",
                "folder": "/a",
                "found": "0777",
                "expected": "0700",
            },
        ),
    ),
    "SIGNING_KEY_UNTRUSTED": error(
        "the key in use is not one that the policy takes signatures from",
        sentence={
            "pinned": "{key} is in use; expected a key pinned in {folder}/ of the base commit,"
            " which are: {known}",
            "named": "{key} is in use; expected one of signing.keys, which are: {known}",
            "terms": "{key} is in use, and {why}, by keys.json",
        },
        hint={
            "pinned": "Pin it with: factory keys trust, and commit the file.",
            "named": "Name it there, or use one that is named.",
            "terms": "Use another key: factory keys new, and pin it.",
        },
        remedy={
            "pinned": "no change of the contract is needed: pin {key} with: factory keys trust",
            "named": "no change of the contract is needed: add {key} to [signing] keys",
            "terms": "no change of the contract is needed: pin another key, or change its terms in"
            " factory.keys/keys.json",
        },
        examples=(
            {"case": "pinned", "key": _KEY, "folder": "factory.keys", "known": ()},
            {"case": "named", "key": _KEY, "known": ("ed25519:ffff",)},
            {"case": "terms", "key": _KEY, "why": "counted until 2026-01-01T00:00:00Z"},
        ),
    ),
    "SIGNING_PIN_INVALID": error(
        "a file in factory.keys/ is not a public key",
        sentence={"pin": "{file} {problem}", "file": "{file} {problem}"},
        hint={
            "pin": "Write it again with: factory keys export, or remove it.",
            "file": "Export it on the other side with: factory keys export",
        },
        remedy="no change of the contract is needed: write {file} again with: factory keys export",
        examples=tuple(
            {"case": case, "file": "factory.keys/a.pem", "problem": "is no public key"}
            for case in ("pin", "file")
        ),
    ),
    "RUN_NOT_SIGNED": error(
        "a run is not signed by another key, since it could not be verified whole",
        sentence="the run {run} is not signed: {problem}",
        hint="Bring what is missing (the repository, the ledger, the public key of who made the"
        " run), see: factory verify",
        remedy="no change of the contract is needed: verify the run first, with: factory verify",
        examples=({"run": "factory_1", "problem": "could not be checked: the ledger"},),
    ),
    "SIGNING_KEY_UNKNOWN": error(
        "there is no key of that id",
        sentence={
            "id": "the key {key} is not known here",
            "none": "the key {key} is not known here",
            "in-use": "there is no key in use",
        },
        hint={
            "id": "Known are: {known}",
            "none": "Make one with: factory keys new",
            "in-use": "Make one with: factory keys new",
        },
        remedy="no change of the contract is needed: name a key that factory keys lists",
        examples=(
            {"case": "id", "key": _KEY, "known": ("ed25519:ffff",)},
            {"case": "none", "key": _KEY},
            {"case": "in-use"},
        ),
    ),
    # history
    "LEDGER_ROLLED_BACK": error(
        "the ledger is shorter than a checkpoint of it says",
        sentence={
            "ledger": "{name} was made over {size:event|events}, the ledger has {found}: its end"
            " was taken away",
            "pair": "{second} was made over {found:event|events}, {first} over {size}: expected the"
            " older one first",
            "own": "this user wrote {size:event|events} into the ledger here, it has {found}: an"
            " older one was put back",
        },
        hint={
            "ledger": _KEEP,
            "pair": "If the second is the later one, the ledger was cut between them.",
            "own": _KEEP,
        },
        remedy="no change of the contract is needed: bring the whole ledger back from a copy",
        examples=(
            {"case": "ledger", "name": _RUN, "size": 12, "found": 9},
            {"case": "pair", "first": "a", "second": "b", "size": 12, "found": 9},
            {"case": "own", "size": 12, "found": 9},
        ),
    ),
    "LEDGER_REWRITTEN": error(
        "lines of the ledger are not those that a checkpoint was made over",
        sentence={
            "root": "the ledger up to event {size} is not what {name} was made over",
            "own": "event {size} of the ledger is not the one that this user wrote here",
            "origin": "{run} is in this ledger, {origin}, and its checkpoint is of {found}: another"
            " first event",
        },
        hint=_KEEP,
        remedy="no change of the contract is needed: compare the ledger with a copy, and bring the"
        " true one back",
        examples=(
            {"case": "root", "size": 12, "name": _RUN},
            {"case": "own", "size": 12},
            {"case": "origin", "run": _RUN, "origin": "factory/0a1b", "found": "factory/ffff"},
        ),
    ),
    "LEDGER_FORKED": error(
        "two checkpoints of one ledger cannot both be true",
        sentence={
            "roots": "{first} and {second} name different roots of the same {size:event|events}",
            "after": "{name} is of this ledger, and after it history went two ways: {problem}",
        },
        hint=_KEEP,
        remedy="no change of the contract is needed: find out who signed the other history",
        examples=(
            {"case": "roots", "first": "a", "second": "b", "size": 12},
            {"case": "after", "name": _RUN, "problem": "the ledger up to event 12 differs"},
        ),
    ),
    "LEDGER_OTHER": error(
        "a checkpoint belongs to another ledger",
        sentence={
            "ledger": "{name} is a checkpoint of {found}, this ledger is {expected}",
            "pair": "{first} is a checkpoint of {expected}, {second} of {found}",
        },
        hint={
            "ledger": "Ask the repository that it was made in.",
            "pair": "Compare checkpoints of one ledger.",
        },
        remedy="no change of the contract is needed: compare checkpoints of one ledger",
        examples=(
            {"case": "ledger", "name": "a.txt", "expected": "factory/0a", "found": "factory/ff"},
            {
                "case": "pair",
                "first": "a",
                "second": "b",
                "expected": "factory/0a",
                "found": "factory/ff",
            },
        ),
    ),
    "LEDGER_LACKS_RUN": error(
        "a run is here that the ledger does not name",
        sentence={
            "ledger": "the ledger ({events:event|events}) does not name {count:run that is|runs"
            " that are} here: {runs}",
            "empty": "the ledger is gone or empty, and with it the history of"
            " {count:run that is|runs that are} here: {runs}",
        },
        hint="Bring .factory/ledger.jsonl back from a copy; or keep the runs for an audit by moving"
        " .factory/runs away, and run again: a new history begins.",
        remedy="no change of the contract is needed: bring .factory/ledger.jsonl back, or move"
        " .factory/runs away",
        examples=(
            {"case": "ledger", "events": 12, "count": 1, "runs": (_RUN,)},
            {"case": "empty", "events": 0, "count": 2, "runs": (_RUN, "and 1 more")},
        ),
    ),
    "LEDGER_NO_CHECKPOINT": error(
        "there is no checkpoint to prove against",
        sentence={
            "event": "there is no event {seq}; the ledger has {count}",
            "run": "run {run} has no checkpoint that covers event {seq}",
            "any": "no run has a checkpoint that covers event {seq}",
            "word": "{word} is neither a run with a checkpoint nor a checkpoint file",
        },
        hint={
            "event": "Number them as `factory ledger` does.",
            "run": "The end of the next run makes one.",
            "any": "The end of the next run makes one.",
            "word": "Name a run, a file, or {now!r}.",
        },
        remedy="no change of the contract is needed: the end of the next run makes a checkpoint",
        examples=(
            {"case": "event", "seq": 99, "count": 12},
            {"case": "run", "run": _RUN, "seq": 9},
            {"case": "any", "seq": 9},
            {"case": "word", "word": "a.txt", "now": "now"},
        ),
    ),
    "CHECKPOINT_INVALID": error(
        "a checkpoint does not have the form of one",
        sentence="the checkpoint of {name} is invalid: {problem}",
        hint="Take it from a copy of the run that is kept somewhere else.",
        remedy="no change of the contract is needed: take the checkpoint from a copy of the run",
        examples=({"name": _RUN, "problem": "it has no signature line"},),
    ),
    "LEDGER_RESTARTED": warning(
        "the ledger that this user had here is gone, and another one begins",
        sentence="expected the ledger of {events:event|events} that this user had here, found none;"
        " another one begins",
        hint="Nothing to do if you removed .factory/ or cloned anew; event {last:short} was the"
        " last of the old one.",
        examples=({"events": 12, "last": "0a1b2c3d" * 8},),
    ),
    "CLOCK_BEHIND": warning(
        "the clock of this host is over a day behind what was recorded before",
        sentence="the clock of this host says {now}, {days:day|days} before {what} ({then})",
        hint="Set the clock: times in the evidence are those that it says.",
        examples=(
            {
                "now": "2026-01-01T00:00:00.000Z",
                "days": 400,
                "what": "the base commit",
                "then": "2027-02-05T00:00:00",
            },
        ),
    ),
    "LEDGER_TORN": warning(
        "a torn last line of the ledger was set aside",
        sentence="the last line of the ledger was torn ({bytes:byte|bytes}); it was set aside as"
        " {name}",
        hint="Nothing to do; the event it belonged to did not happen.",
        examples=({"bytes": 40, "name": "ledger.torn-1"},),
    ),
    "LEDGER_BROKEN": error(
        "the ledger's chain is broken",
        sentence="the ledger is broken at line {line}: {problem}",
        hint="Keep ledger.jsonl and runs/ as they are for an audit: move both aside, and run again;"
        " a new ledger begins.",
        remedy="no change of the contract is needed: move ledger.jsonl and runs/ aside, and run"
        " again",
        examples=({"line": 12, "problem": "it is no JSON"},),
    ),
    "LEDGER_ORDER": error(
        "an event of the ledger cannot follow what came before it",
        sentence="event {seq} ({event}) cannot follow: {problem}",
        hint="Keep the ledger as it is for an audit: the orchestrator did not write it in this"
        " order.",
        remedy="no change of the contract is needed: keep the ledger for an audit, and bring the"
        " true one back",
        examples=({"seq": 12, "event": "lock.taken", "problem": "lock run is not free"},),
    ),
    "LEDGER_DISAGREES": error(
        "what the ledger says of a run is not what its folder says",
        sentence={
            "wrong": "run {run}: {problem}",
            "unknown": "the folder of run {run} is there, and no event of the ledger names that"
            " run",
        },
        hint={
            "wrong": "One of the two was changed after the fact; look at both with: factory verify",
            "unknown": "It was copied here, or its ledger was moved aside.",
        },
        remedy="no change of the contract is needed: find out which of the two was changed, with:"
        " factory verify",
        examples=(
            {"case": "wrong", "run": _RUN, "problem": "its verdict is PASS in the ledger"},
            {"case": "unknown", "run": _RUN},
        ),
    ),
    "GC_KEPT": note(
        "something old was kept, since nothing proves that a copy of it exists",
        sentence="run {run} stays: {why}",
        hint="Export it, then name the copy with --exported.",
        examples=({"run": _RUN, "why": "no export of it is known"},),
    ),
}
