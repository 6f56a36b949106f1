"""List findings about bundles and their integration."""

from __future__ import annotations

from collections.abc import Mapping

from factory.model.findings.entry import CatalogueEntry, Facts, error, warning

_RERUN = "Run the pack again: doit forget launch, then doit oneshot."
_ANEW = "Make a new run with: factory oneshot"
_DEPEND = "Let one depend on the other (depends_on), or narrow a scope"
_ONE_SPELLING = "Spell it one way in every pack."
_PAIR: Facts = {"packs": ("A-1", "B-2")}
_CHECK: Facts = {"label": "tests-1", "run": "pytest -q"}

_OVERLAP_SENTENCE = {
    "path": "{packs:and} both change {paths}",
    "paths": "{packs:and} both change {paths:and}",
    "names": "{packs:and} both change {paths:and}: {names:and} are one name where case or Unicode"
    " form is ignored",
    "merged": "{packs:and} do not merge: {names:and} are one name where case or Unicode form is"
    " ignored",
}
_OVERLAP_HINT = {
    "path": f"{_DEPEND}, or set overlap = 'merge' in factory.toml.",
    "paths": f"{_DEPEND}.",
    "names": _ONE_SPELLING,
    "merged": _ONE_SPELLING,
}
_OVERLAP_EXAMPLES: tuple[Facts, ...] = (
    {"case": "path", "paths": ("a.txt",), **_PAIR},
    {"case": "paths", "paths": ("a", "a/b"), **_PAIR},
    {"case": "names", "paths": ("Doc/a", "doc/b"), "names": ("Doc", "doc"), **_PAIR},
    {"case": "merged", "names": ("Doc", "doc"), **_PAIR},
)

BUNDLE: Mapping[str, CatalogueEntry] = {
    "BUNDLE_MISSING": error(
        "a bundle that the plan needs does not exist",
        sentence="expected the bundle's {path}, found none",
        hint=_RERUN,
        remedy="no change of the contract is needed: run the pack again, to make its bundle",
        examples=({"path": "manifest.json"},),
    ),
    "BUNDLE_MANIFEST": error(
        "a bundle does not agree with its manifest",
        sentence={
            "form": "{path}: {problem}",
            "subject": "{path} is of {found}, or names a file twice",
            "missing": "{path} is in the manifest and does not exist",
            "extra": "{path} exists and is not in the manifest",
            "digest": "{path} expected sha256 {expected:short}, found {found:short}",
            "differs": "{path} is not what the bundle's files yield",
            "run": "run {run} does not agree with its RUN_MANIFEST.json: {problem}",
        },
        hint={
            **dict.fromkeys(("form", "subject", "missing", "extra", "digest", "differs"), _RERUN),
            "run": _ANEW,
        },
        remedy="no change of the contract is needed: run the pack again, since its bundle was"
        " changed after it was made",
        examples=(
            {"case": "form", "path": "T-1/manifest.json", "problem": "is no JSON"},
            {"case": "subject", "path": "T-1/manifest.json", "found": "T-2"},
            {"case": "missing", "path": "T-1/STATUS.json"},
            {"case": "extra", "path": "T-1/more"},
            {
                "case": "digest",
                "path": "T-1/STATUS.json",
                "expected": "aa" * 32,
                "found": "bb" * 32,
            },
            {"case": "differs", "path": "manifest.json"},
            {"case": "run", "run": "20260102T030405Z-0a1b2c", "problem": "is no JSON"},
        ),
    ),
    "BUNDLE_SCHEMA": error(
        "a file of a bundle does not match its schema",
        sentence={
            "form": "{path}: {problem}",
            "missing": "expected DIFF.patch and CHANGES.bundle in {path}, found one of them"
            " missing",
        },
        hint=_RERUN,
        remedy="no change of the contract is needed: run the pack again, since a document of its"
        " bundle does not parse",
        examples=(
            {"case": "form", "path": "T-1/STATUS.json", "problem": "status: Field required"},
            {"case": "missing", "path": "T-1"},
        ),
    ),
    "PLAN_DISAGREES": error(
        "objects and variables at hand do not make a pack as it was planned",
        sentence={
            "other": "expected the {what} that PLAN.json has, found another",
            "contract": "expected the contract that PLAN.json has, found: {found}",
        },
        hint="Run again.",
        remedy="no change of the contract is needed: run again, so that it is planned anew",
        examples=(
            {"case": "other", "what": "action key"},
            {"case": "contract", "found": "a title is missing"},
        ),
    ),
    "BUNDLE_STALE": error(
        "a bundle was made by another action than the plan's",
        sentence={
            "action": "expected a bundle of the action {expected:short}, which is the plan's, found"
            " one of {found:short}",
            "pack": "expected a bundle of {expected}, found one of {found}",
            "lock": "SCOPE_LOCK.json is not what the contract resolves to",
            "base": "expected the base tree {expected:short} of the plan, found {found:short}",
            "status": "expected a PASS bundle of action {expected:short}, found {found}",
        },
        hint=_RERUN,
        remedy="no change of the contract is needed: run the pack again, since the plan is another"
        " by now",
        examples=(
            {"case": "action", "expected": "aa" * 32, "found": "bb" * 32},
            {"case": "pack", "expected": "T-1", "found": "T-2"},
            {"case": "lock"},
            {"case": "base", "expected": "aa" * 20, "found": "bb" * 20},
            {"case": "status", "expected": "aa" * 32, "found": "BLOCKED"},
        ),
    ),
    "BUNDLE_DISAGREES": error(
        "FILES_CHANGED, DIFF.patch and the tree do not agree",
        sentence={
            "trees": "FILES_CHANGED.json and STATUS.json name different trees",
            "log": "{path} is not the log that LOGS/INDEX.json names",
            "codes": "LOGS/INDEX.json and STATUS.json name different commands or codes",
            "artifacts": "ARTIFACTS/ does not contain the artifacts that STATUS.json names",
            "summary": "SUMMARY.md is not what STATUS.json yields",
            "extra": "{path} is no part of a bundle",
            "not-in-tree": "FILES_CHANGED.json names {path}, the tree has no change there",
            "not-named": "the tree changes {path}, FILES_CHANGED.json does not name it",
            "named-otherwise": "FILES_CHANGED.json and the tree differ over {path}",
            "patched-otherwise": "DIFF.patch and the tree differ over {path}",
            "order": "FILES_CHANGED.json names a path twice or out of order",
            "lines": "FILES_CHANGED.json miscounts the lines of {path}",
            "content": "FILES_CHANGED.json misstates the content of {path}",
            "totals": "STATUS.json and FILES_CHANGED.json count the change differently",
            "form": "{path} {problem}",
            "patch": "expected the patch to apply to the tree {tree}, found: {found}",
            "objects": "{problem}",
        },
        hint=_RERUN,
        remedy="no change of the contract is needed: run the pack again, since parts of its bundle"
        " contradict each other",
        examples=(
            *(
                {"case": case}
                for case in ("trees", "codes", "artifacts", "summary", "order", "totals")
            ),
            *(
                {"case": case, "path": "a.txt"}
                for case in (
                    "log",
                    "extra",
                    "not-in-tree",
                    "not-named",
                    "named-otherwise",
                    "patched-otherwise",
                    "lines",
                    "content",
                )
            ),
            {"case": "form", "path": "CHANGES.bundle", "problem": "has no header"},
            {"case": "patch", "tree": "aa" * 20, "found": "patch does not apply"},
            {"case": "objects", "problem": "expected the object aa, found that it is missing"},
        ),
    ),
    "BUNDLE_STATUS": error(
        "the status in a bundle is not what its evidence yields",
        sentence={
            "required": "STATUS.json does not require what the contract requires",
            "commands": "STATUS.json records other commands than the contract declares",
            "form": "STATUS.json: {problem}",
            "severity": "STATUS.json gives a finding another severity than the catalogue",
            "attempts": "STATUS.json does not record the attempts that led to its result",
            "status": "STATUS.json says {found}, its evidence yields {expected}",
        },
        hint=_RERUN,
        remedy="no change of the contract is needed: run the pack again, since its verdict is not"
        " the one that its evidence yields",
        examples=(
            *({"case": case} for case in ("required", "commands", "severity", "attempts")),
            {"case": "form", "problem": "finding id 'X' is not in the catalogue"},
            {"case": "status", "expected": "BLOCKED", "found": "PASS"},
        ),
    ),
    "HIDDEN_CHANGE": error(
        "the patch changes a path that FILES_CHANGED does not name",
        sentence="DIFF.patch changes {path}, which FILES_CHANGED.json does not name",
        hint=_RERUN,
        remedy="no change of the contract is needed: run the pack again, since its patch changes"
        " more than it says",
        examples=({"path": "a.txt"},),
    ),
    "OVERLAP": error(
        "two packs change the same path, or names that are one on some platform",
        sentence=_OVERLAP_SENTENCE,
        hint=_OVERLAP_HINT,
        remedy={
            "path": "allow it with: depends_on: [{packs[0]}] in {packs[1]}, so that one is built on"
            " the other",
            "paths": "allow it with: depends_on: [{packs[0]}] in {packs[1]}, so that one is built"
            " on the other",
            "names": "nothing in the contract can allow it; spell {names:and} in one way",
            "merged": "nothing in the contract can allow it; spell {names:and} in one way",
        },
        examples=_OVERLAP_EXAMPLES,
    ),
    "HIDDEN_OVERLAP": error(
        "two packs overlap in a path that only their patches show",
        sentence=_OVERLAP_SENTENCE,
        hint=_OVERLAP_HINT,
        remedy={
            "path": "allow it with: depends_on: [{packs[0]}] in {packs[1]}; and look at both"
            " patches, since FILES_CHANGED does not name that path",
            "paths": "allow it with: depends_on: [{packs[0]}] in {packs[1]}; and look at both"
            " patches, since FILES_CHANGED does not name those paths",
            "names": "nothing in the contract can allow it; look at both patches, and spell"
            " {names:and} in one way",
            "merged": "nothing in the contract can allow it; look at both patches, and spell"
            " {names:and} in one way",
        },
        examples=_OVERLAP_EXAMPLES,
    ),
    "INTEGRATED_PARTLY": warning(
        "the packs that passed are merged without others, as the configuration asks; the run is"
        " BLOCKED all the same",
        sentence="{integrated} merged without {without}, which did not PASS; this result is never"
        " published",
        hint="See: factory why",
        examples=({"integrated": ("TASK-1",), "without": ("TASK-2",)},),
    ),
    "MERGE_CONFLICT": error(
        "a three-way merge of two packs is not clean",
        sentence={
            "pair": "{packs:and} do not merge cleanly in {paths}",
            "before": "it does not merge cleanly onto the packs before it in {paths}",
        },
        hint={
            "pair": "Let one depend on the other (depends_on), so that it builds on the other's"
            " result.",
            "before": "Let one pack depend on the other.",
        },
        remedy={
            "pair": "allow it with: depends_on: [{packs[0]}] in {packs[1]}, and adapt that one",
            "before": "allow it with: depends_on naming the packs that change {paths} too, and"
            " adapt it",
        },
        examples=(
            {"case": "pair", "paths": ("a.txt",), **_PAIR},
            {"case": "before", "paths": ("a.txt",)},
        ),
    ),
    "MERGE_BROKEN": error(
        "a check that passed alone fails on the merged tree",
        sentence="{label} `{run}` passes alone and fails on the merged tree",
        hint="No pair within recheck_budget explains it; look at the merged tree, or raise the"
        " budget. Its log: factory print-report --log {log}",
        remedy="nothing in the contract can allow it; look at the merged tree, or raise"
        " recheck_budget to find the packs that break it",
        examples=({"log": "T-1.tests-1", **_CHECK},),
    ),
    "MERGE_BROKEN_TOGETHER": error(
        "two packs that merge cleanly break each other",
        sentence=dict.fromkeys(
            ("apart", "above"),
            "{label} `{run}` of {packs[0]} passes alone and fails on the merged tree together with"
            " {others:and}",
        ),
        hint={
            "apart": "Declare depends_on: [{others[0]}] in {packs[0]} and adapt it, or change one"
            " of the two. Its log: factory print-report --log {log}",
            "above": "{others[0]} builds on {packs[0]} and undoes what it checks; change one of"
            " the two. Its log: factory print-report --log {log}",
        },
        remedy={
            "apart": "allow it with: depends_on: [{others[0]}] in {packs[0]}, and adapt that one to"
            " the other",
            "above": "nothing in the contract can allow it; change {others[0]} or {packs[0]}",
        },
        examples=tuple(
            {"case": case, "others": ("B-2",), "log": "A-1.tests-1", **_PAIR, **_CHECK}
            for case in ("apart", "above")
        ),
    ),
    "MERGE_PRE_EXISTING": error(
        "a check fails on the merged tree and on the base alike",
        sentence="{label} `{run}` fails on the merged tree exactly as it does on the base",
        hint="Another pack undoes what it fixed.",
        remedy="nothing in the contract can allow it; find the pack that undoes what this one"
        " fixed",
        examples=(_CHECK,),
    ),
    "MERGE_DIFFERS": error(
        "the merged tree is not the one re-derived from base and bundles",
        sentence={
            "tree": "the integrator says tree {found:short}, base and bundles yield"
            " {expected:short}",
            "patch": "the integrator's patch does not yield the merged tree",
            "bundle": "run {run} says tree {expected:short}, its CHANGES.bundle contains another",
        },
        hint={
            "tree": "Look at the bundles, then run again.",
            "patch": "Look at the bundles, then run again.",
            "bundle": _ANEW,
        },
        remedy="no change of the contract is needed: run again, and keep this run's folder for an"
        " audit",
        examples=(
            {"case": "tree", "expected": "aa" * 20, "found": "bb" * 20},
            {"case": "patch"},
            {"case": "bundle", "run": "20260102T030405Z-0a1b2c", "expected": "aa" * 20},
        ),
    ),
    "INTEGRATOR_FAILED": error(
        "the integrator ended without a result",
        sentence={
            "result": "the integrator gave no result: {problem}",
            "form": "the integrator's answer does not match its schema: {problem}",
        },
        hint={"result": "Run again; see factory doctor.", "form": "Run again; see factory doctor."},
        remedy="no change of the contract is needed: run again; see: factory doctor",
        examples=(
            {"case": "result", "problem": "it ran longer than 600 seconds"},
            {"case": "form", "problem": "merged_tree: Field required"},
        ),
    ),
    "BRANCH_IN_THE_WAY": warning(
        "the result's branch cannot have its name, since another branch leaves no room for it",
        sentence="expected room for the branch {name}, found the branch {which}",
        hint="name results otherwise, as in: [integration] branch = {other:yaml}; or rename"
        " {which}",
        examples=({"name": "codex/1", "which": "codex", "other": "codex-{run}"},),
    ),
    "BRANCH_UNSIGNED": error(
        "Git does not sign the result's commit",
        sentence="expected Git to sign the result's commit (integration.sign), found: {problem}",
        hint="Sign a commit of your own to see why, or set integration.sign to false.",
        remedy="no change of the contract is needed: see that git commit -S works, then run again",
        examples=({"problem": "gpg failed to sign the data"},),
    ),
    "REF_MOVED": error(
        "the result branch is not where it was expected to be",
        sentence={
            "moved": "expected {ref} at {expected}, found: {found}",
            "in-the-way": "expected {ref} at {expected}, found: {found}, which leaves Git no room"
            " for that name",
        },
        hint="look at {which}, delete or rename it if it is not needed, or name results otherwise"
        " (integration.branch), and run the integration again",
        remedy="no change of the contract is needed: rename {which}, or set integration.branch,"
        " then run again",
        examples=(
            {
                "case": "moved",
                "ref": "refs/heads/codex/1",
                "expected": "no commit",
                "found": "reference already exists",
                "which": "that branch",
            },
            {
                "case": "in-the-way",
                "ref": "refs/heads/codex/1",
                "expected": "no commit",
                "found": "refs/heads/codex",
                "which": "codex",
            },
        ),
    ),
}
