"""List findings about runs on disk, the evidence index, and the review of a repository."""

from __future__ import annotations

from collections.abc import Mapping

from factory.model.findings.entry import CatalogueEntry, Facts, error, warning

_MAKE = "Make it with: factory evidence index"
_INDEX = ".factory/evidence-index.json"
_RUN = "20260102T030405Z-0a1b2c"
_MORE = "; {more:more of its files is|more of its files are} not as written either"

_DAMAGE = {
    "missing-manifest": "{path} of run {run} is missing",
    "form": "{path} of run {run} does not match its schema: {problem}",
    "subject": "{path} of run {run} is one of {found}",
    "yields": "{path} of run {run} is not the one that the run's files yield",
    "missing": "{path} of run {run} is missing, expected sha256 {expected:short}",
    "added": "{path} of run {run} was added: RUN_MANIFEST.json does not name it",
    "not-plain": "{path} of run {run} is no plain file, expected sha256 {expected:short}",
    "changed": "{path} of run {run} was changed: expected sha256 {expected:short}, found"
    " {found:short}",
}
"""What is wrong with a file of a finished run, by case."""
_DAMAGED = {**_DAMAGE, **{f"{case}-more": text + _MORE for case, text in _DAMAGE.items()}}
_FILE: Facts = {"run": _RUN, "path": "T-1/STATUS.json", "expected": "aa" * 32, "found": "bb" * 32,
         "problem": "is no JSON", "more": 2}  # fmt: skip
_DAMAGE_EXAMPLES: tuple[Facts, ...] = tuple({"case": case, **_FILE} for case in _DAMAGED)

EVIDENCE: Mapping[str, CatalogueEntry] = {
    "RUN_ABANDONED": warning(
        "an earlier run ended without finishing",
        sentence="run {run} {problem}; what its packs finished is kept",
        hint="Nothing to do; this run goes on from there.",
        examples=({"run": _RUN, "problem": "ended before its report was made"},),
    ),
    "BRANCH_ABANDONED": warning(
        "a branch that an earlier process began was not made",
        sentence="the branch of run {run} was cut off, and cannot be made: {problem}",
        hint="To try again: factory integrate --branch",
        examples=({"run": _RUN, "problem": "its STATUS.json is gone"},),
    ),
    "EVIDENCE_UNREADABLE": error(
        "a file of a run cannot be read",
        sentence="expected to read {place!r}, found: {found}",
        hint="Make it readable, or ask as its owner; then try again.",
        remedy="no change of the contract is needed: make {place} readable",
        examples=({"place": ".factory/runs/1", "found": "Permission denied"},),
    ),
    "EVIDENCE_UNKNOWN": error(
        "the evidence index has no such artifact",
        sentence="the evidence index has no artifact {name!r}",
        hint="See them with: factory evidence list-artifacts",
        remedy="no change of the contract is needed: name one that factory evidence list-artifacts"
        " shows",
        examples=({"name": "out/a.txt"},),
    ),
    "INDEX_MISSING": error(
        "there is no evidence index",
        sentence="no evidence index was made yet",
        hint=_MAKE,
        remedy="no change of the contract is needed: make the index with: factory evidence index",
    ),
    "INDEX_BROKEN": error(
        "the evidence index does not match its schema",
        sentence="the evidence index {problem}",
        hint=_MAKE,
        remedy="no change of the contract is needed: make the index again with: factory evidence"
        " index",
        examples=({"problem": "is no JSON"},),
    ),
    "INDEX_STALE": warning(
        "the evidence index is not what the runs on disk yield",
        sentence="the evidence index is {found:short}, the runs on disk yield {expected:short}",
        hint=_MAKE,
        examples=({"expected": "aa" * 32, "found": "bb" * 32},),
    ),
    "RUN_DAMAGED": error(
        "a finished run's files are not those that its manifest names",
        sentence=_DAMAGED,
        hint="Make a new run with: factory oneshot; the damaged one can be moved away for an"
        " audit.",
        remedy="no change of the contract is needed: make a new run, and keep the damaged one for"
        " an audit",
        examples=_DAMAGE_EXAMPLES,
    ),
    "RUN_REPLACED": warning(
        "a finished run is not as it was written, so it no longer counts",
        sentence={**_DAMAGED, "lost": "run {run} lost its RUN_MANIFEST.json and {problem}"},
        hint={
            **dict.fromkeys(
                _DAMAGED,
                "This run takes its place; for an audit, keep a copy of .factory/runs/{run} or move"
                " it away.",
            ),
            "lost": "It no longer counts; for an audit, move .factory/runs/{run} away, which also"
            " ends this warning.",
        },
        examples=(
            *_DAMAGE_EXAMPLES,
            {"case": "lost", "run": _RUN, "problem": "cannot be finished: its report differs"},
        ),
    ),
    "RUN_GONE": warning(
        "a finished run is not on the disk, and no record says that it was removed",
        sentence="run {run} finished, its folder is not there, and no event says that it was"
        " removed",
        hint="Bring it back from a copy, if there is one.",
        examples=({"run": _RUN},),
    ),
    "RUN_UNKNOWN": error(
        "there is no such run",
        sentence={
            "ledger": "the ledger knows no run {run}",
            "folder": "there is no run {run}",
            "none": "no run has finished yet",
            "none-made": "no run has been made yet",
            "report": "run {run} has no report: it ended before one was made",
            "log": "run {run} has no log {label!r} of {owner}",
            "unfinished": "the ledger does not say that {run} finished, so nothing was recorded of"
            " it",
            "not-pass": "run {run} ended {found}; expected a PASS, whose result can be taken",
            "foreign": "run {run} was not recorded by this user at this place; expected one that"
            " was, to take its result",
            "word": "{problem}",
        },
        hint={
            "ledger": "{advice}",
            "folder": "{advice}",
            "none": "Make one with: factory oneshot",
            "none-made": "Make one with: factory oneshot",
            "report": "The next run finishes or abandons it; its logs are in the run's folder.",
            "log": "{advice}",
            "unfinished": "Verify it without --record.",
            "not-pass": "Make a run that ends PASS with: factory oneshot",
            "foreign": "Run it again here: factory oneshot",
            "word": "{advice}",
        },
        remedy="no change of the contract is needed: name a run that factory ledger-replay lists",
        examples=(
            {"case": "ledger", "run": _RUN, "advice": "see them all with: factory ledger-replay"},
            {"case": "folder", "run": _RUN, "advice": "runs are in .factory/runs/"},
            {"case": "none"},
            {"case": "none-made"},
            {"case": "report", "run": _RUN},
            {
                "case": "log",
                "run": _RUN,
                "label": "tests-9",
                "owner": "T-1",
                "advice": "known are: tests-1",
            },
            {"case": "unfinished", "run": _RUN},
            {"case": "not-pass", "run": _RUN, "found": "BLOCKED"},
            {"case": "foreign", "run": _RUN},
            {
                "case": "word",
                "problem": "'..' is no id of a run",
                "advice": "runs are in .factory/runs/",
            },
        ),
    ),
    "APPLY_REFUSED": error(
        "the result of a run cannot be put onto the work tree as it is",
        sentence={
            "dirty": "expected a clean work tree, found changes in {paths}",
            "path": "expected {paths} as the base or the result has it, found otherwise",
            "base": "expected HEAD at {base:short}, where {run} began, found {head:short}",
            "index": "expected an index that can be written, found: {found}",
        },
        hint={
            "dirty": "Commit or stash them, then run it again",
            "path": "Move away or commit what is there, then run it again",
            "base": "Run factory oneshot on this commit, or make a branch with: factory integrate"
            " --branch",
            "index": "Let the other Git end, then run factory apply again",
        },
        remedy="no change of the contract is needed: clean the work tree, or take the branch of"
        " factory integrate --branch",
        examples=(
            {"case": "dirty", "paths": ("README.md",)},
            {"case": "path", "paths": ("docs/a.md",)},
            {"case": "base", "run": _RUN, "base": "1" * 40, "head": "2" * 40},
            {"case": "index", "found": "Unable to create index.lock: File exists."},
        ),
    ),
    "RUN_EXISTS": error(
        "a run of that id exists already",
        sentence="a run of the id {run} exists already, or the ledger knows one",
        hint="Choose another --run-id, or leave it away.",
        remedy="no change of the contract is needed: choose another --run-id",
        examples=({"run": _RUN},),
    ),
    # review
    "STATE_EXPOSED": error(
        "Git would commit files of the state folder, or has committed some",
        sentence="expected Git to ignore {folder}/, found that it would commit, or has,"
        " {count:file|files}, first {first}",
        hint="Put {folder}/ into .gitignore; what is committed goes with: git rm -r --cached"
        " {folder}",
        remedy="no change of the contract is needed: put {folder}/ into .gitignore",
        examples=({"folder": ".factory", "count": 2, "first": ".factory/ledger.jsonl"},),
    ),
    "WORKFLOW_UNREADABLE": error(
        "a workflow cannot be read strictly, so nothing can be said of it",
        sentence="{file}: {problem}",
        hint="Write it plainly: no anchors, tags or keys that appear twice, at most 64 KiB.",
        remedy="no change of the contract is needed: write {file} in plain YAML",
        examples=({"file": ".github/workflows/ci.yml", "problem": "expected a mapping"},),
    ),
    "WORKFLOW_UNPINNED": error(
        "a workflow uses an action that is not named by a full digest",
        sentence="{file}: uses {found}; expected OWNER/NAME@ and a full commit id",
        hint="Name the commit, with the tag behind it as a comment.",
        remedy="no change of the contract is needed: pin the action in {file} by its commit id",
        examples=({"file": ".github/workflows/ci.yml", "found": '"a/b@v1"'},),
    ),
    "WORKFLOW_PERMISSIONS": error(
        "a workflow does not state its permissions, or grants all jobs more than reading",
        sentence={
            "none": "{file}: expected permissions for the whole workflow, found none",
            "workflow": "{file}: the workflow grants {found} to all of its jobs; expected no more"
            " than reading",
            "job": "{file}: job {job} is granted {found}; expected each right by its name",
        },
        hint={
            "none": "State permissions: {{}} for the workflow, and for each job what it needs.",
            "workflow": "State permissions: {{}} for the workflow, and for each job what it needs.",
            "job": "Name what the job needs, and nothing else.",
        },
        remedy="no change of the contract is needed: state permissions in {file}",
        examples=(
            {"case": "none", "file": ".github/workflows/ci.yml"},
            {"case": "workflow", "file": ".github/workflows/ci.yml", "found": "contents: write"},
            {"case": "job", "file": ".github/workflows/ci.yml", "job": "a", "found": "write-all"},
        ),
    ),
    # determinism
    "NOT_DETERMINISTIC": error(
        "a pack left other bytes in another environment",
        sentence="expected the same bytes twice, found: {found}",
        hint="Look at what its commands take from time, chance, order or the machine; the rows"
        " below show where.",
        remedy="nothing in the contract can allow it; make its commands independent of time,"
        " chance, order and machine",
        examples=({"found": "STATUS.json differs at byte 12"},),
    ),
    "DETERMINISM_UNSHOWN": error(
        "a pack could not be run twice to compare what it leaves",
        sentence={
            "network": "it declares the network, and what comes over it is no function of the"
            " repository",
            "learn": "its later attempts read how earlier ones failed (limits.learn)",
            "bundle": "it left no bundle {where}: {why}",
            "form": "its bundle {problem}",
            "action": "it would be another action in a scratch repository: {changes}",
        },
        hint={
            "network": "Nothing to do: a pack with network is never called reproducible.",
            "learn": "Nothing to do: a pack that learns is never called reproducible.",
            "bundle": "See why with: factory launch {name}",
            "form": "See why with: factory launch {name}",
            "action": "See why with: factory launch {name}",
        },
        remedy="no change of the contract is needed: see why the pack leaves no bundle, with:"
        " factory launch",
        examples=(
            {"case": "network"},
            {"case": "learn"},
            {"case": "bundle", "name": "T-1", "where": "the first time", "why": "it ended 2"},
            {"case": "form", "name": "T-1", "problem": "is no JSON"},
            {"case": "action", "name": "T-1", "changes": "tools make"},
        ),
    ),
}
