"""List findings about the judge of a result: what was changed of it, and what a PASS has not
shown.
"""

from __future__ import annotations

from collections.abc import Mapping

from factory.model.findings.entry import CatalogueEntry, Facts, error, note

_CHECK: Facts = {"label": "tests-1", "run": "pytest -q"}
_FILES: Facts = {"count": 2, "first": ("tests/test_a.py", "conftest.py")}
_ALLOW: Facts = {"allow": ("tests/test_a.py", "conftest.py")}

_UNDER_OLD = (
    "{label} `{run}` passes only with changes of the judge: with {count:file|files} of it ({first})"
    " as before the work it fails"
)
_UNDER_OLD_MERGED = (
    "on the merged tree {label} `{run}` passes only with changes of the judge: with"
    " {count:file|files} of it ({first}) as before the work it fails"
)
_SEE_LOG = "Its log under the old judge is LOGS/old.{label}.log of the bundle."
_BY_POLICY = "nothing in the contract can allow it: [judge] may_change of policy bounds it"

_OF_POLICY = {
    "changed": "{what:and} of its contract differ from those at {ref}",
    "new": "its contract does not exist at {ref}",
}
_PINNED = {case: f"{text}; policy says contracts = pinned" for case, text in _OF_POLICY.items()}
_OF_POLICY_EXAMPLES: tuple[Facts, ...] = (
    {"case": "changed", "ref": "refs/remotes/origin/main", "what": ("acceptance", "scope")},
    {"case": "new", "ref": "refs/remotes/origin/main"},
)

JUDGE: Mapping[str, CatalogueEntry] = {
    "JUDGE_CHANGED": error(
        "a check passes only with the pack's own changes of the judge",
        sentence={
            "own": _UNDER_OLD,
            "bound-own": _UNDER_OLD,
            "merged": _UNDER_OLD_MERGED,
            "bound-merged": _UNDER_OLD_MERGED,
        },
        hint={
            "own": f"Leave them as they were, or permit the change in acceptance.yml. {_SEE_LOG}",
            "bound-own": f"Leave them as they were: policy bounds what may change. {_SEE_LOG}",
            "merged": "Leave them as they were, or permit the change in acceptance.yml.",
            "bound-merged": "Leave them as they were: policy bounds what may change.",
        },
        remedy={
            "own": "allow it with: may_change: {allow:yaml} in acceptance.yml",
            "merged": "allow it with: may_change: {allow:yaml} in acceptance.yml",
            "bound-own": _BY_POLICY,
            "bound-merged": _BY_POLICY,
        },
        examples=tuple(
            {"case": case, **_CHECK, **_FILES, **more}
            for case, more in (
                ("own", _ALLOW),
                ("bound-own", {}),
                ("merged", _ALLOW),
                ("bound-merged", {}),
            )
        ),
    ),
    "JUDGE_WEAKENED": error(
        "tests that ran before the work no longer run",
        sentence={
            "tests": "{count:test|tests} that {label} `{run}` ran before the work no longer run, or"
            " are skipped: {first}",
            "fewer": "{label} `{run}` ran {before:test|tests} before the work, and {after} now",
            "uncounted": "{label} `{run}` ran {before:test|tests} before the work, and none can be"
            " counted now",
        },
        hint="Put them back, or list what goes under retires in acceptance.yml.",
        remedy={
            "tests": "allow it with: retires: {allow:yaml} in acceptance.yml",
            "fewer": 'allow it with: retires: ["*"] in acceptance.yml',
            "uncounted": 'allow it with: retires: ["*"] in acceptance.yml',
        },
        examples=(
            {
                "case": "tests",
                **_CHECK,
                "count": 2,
                "first": ("tests/test_a.py::test_x", "tests/test_a.py::test_y"),
                "allow": ("tests/test_a.py::test_x", "tests/test_a.py::test_y"),
            },
            {"case": "fewer", **_CHECK, "before": 3, "after": 2},
            {"case": "uncounted", **_CHECK, "before": 3},
        ),
    ),
    "NOT_FIXED": error(
        "a pack that has to repair something repaired nothing that a check shows",
        sentence={
            "none": "a repair is required; expected a check that fails on the base's code under the"
            " result's judge and passes now, found {checks}",
            "unnamed": "a repair is required, and no check may show it: expected tests, or a check"
            " that fixed names",
        },
        hint={
            "none": "Add a test that fails without the change, or repair what a test shows.",
            "unnamed": "Name a check under fixed in acceptance.yml, or add tests.",
        },
        remedy={
            "none": "allow it with: fixed: [the label of a check that the change repairs] in"
            " acceptance.yml",
            "unnamed": "allow it with: fixed: [the label of a check] in acceptance.yml",
        },
        examples=(
            {"case": "none", "checks": ("tests-1 ok", "tests-2 flaky")},
            {"case": "unnamed"},
        ),
    ),
    "HUNK_UNPROVED": error(
        "no check fails without a part of the change",
        sentence={
            "hunks": "every-hunk is required; without {count:hunk|hunks} ({first}) every check"
            " still passes",
            "budget": "every-hunk is required; the change has more than {budget:hunk|hunks}, so not"
            " all were left out",
        },
        hint={
            "hunks": "Add a test that needs it, or take it out of the change.",
            "budget": "Split the pack into several.",
        },
        remedy={
            "hunks": "nothing in the contract can allow it, where policy requires every-hunk; else"
            " take it out of require",
            "budget": "nothing in the contract can allow it: split the pack into several",
        },
        examples=(
            {"case": "hunks", "count": 2, "first": ("src/a.py:3", "src/b.py:1")},
            {"case": "budget", "budget": 64},
        ),
    ),
    "RETRY_BLOCKED": error(
        "a pack passed only after a failed attempt, and policy does not let it",
        sentence='attempts: {number} of {most}; policy says retry = "block"',
        hint="Make what fails at times certain, and run again.",
        remedy="nothing in the contract can allow it: [judge] retry of policy says block",
        examples=({"number": 2, "most": 3},),
    ),
    "RETRIED": note(
        "a pack passed after a failed attempt",
        sentence="attempts: {number} of {most}: it passed after a failed attempt",
        examples=({"number": 2, "most": 3},),
    ),
    "CONTRACT_CHANGED": note(
        "a contract differs from that of policy_ref",
        sentence=_OF_POLICY,
        examples=_OF_POLICY_EXAMPLES,
    ),
    "CONTRACT_PINNED": error(
        "a contract differs from that of policy_ref, and policy pins contracts",
        sentence=_PINNED,
        hint="Take the contract of policy_ref, or change it there first.",
        remedy="nothing in the contract can allow it: [judge] contracts of policy says pinned",
        examples=_OF_POLICY_EXAMPLES,
    ),
    "JUDGE_PERMITTED": note(
        "files of the judge were changed by permission of the contract",
        sentence="{count:file|files} of the judge changed by permission of may_change: {first}",
        examples=({"count": 1, "first": ("tests/test_a.py",)},),
    ),
    "TESTS_RETIRED": note(
        "tests no longer run, as the contract says",
        sentence="{count:test|tests} retired by the contract: {first}",
        examples=({"count": 1, "first": ("tests/test_a.py::test_x",)},),
    ),
}
