"""Say which variables of earlier versions are set and have no effect, and what takes their place.

Pure. Values are compared, never shown.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from factory.model.finding import Finding
from factory.model.findings.entry import Facts
from factory.model.names import AFTER_RUN_INDEX, AFTER_RUN_REVIEW, GRANTS_VARIABLE
from factory.model.signing import PRIVATE_VARIABLES
from factory.model.wording import nearest

_PLUGINS = "plugins are not available in this version, and a pack that names one is BLOCKED"
_ATTEMPTS = "write limits: {attempts: N} in task.yml"
INSTEAD: Mapping[str, str] = {
    "TASKPACK_PATH": "name the pack, as in: factory oneshot TASK-0101",
    "MAX_ATTEMPTS": _ATTEMPTS,
    "ORCH_MAX_ATTEMPTS": _ATTEMPTS,
    "MAX_CHANGED_LINES": "write limits: {changed_lines: N} in task.yml",
    "BASE_BRANCH": "set FACTORY_BASE_REF, or give --base-ref",
    "BRANCH_PREFIX": "write branch under [integration] in factory.toml",
    "ORCH_BRANCH_NAME": "write branch under [integration] in factory.toml",
    "PR_BASE": "no pull request is opened by this version",
    "OPEN_PR_ON_FAILURE": "no pull request is opened by this version",
    "ORCH_ENABLE_PLUGINS": _PLUGINS,
    "ORCH_PLUGINS_STRICT": _PLUGINS,
    "SKIP_REVIEW_CHECKS": "leave out factory review where it is called",
    "CODEX_REVIEW_STRICT": "give factory review --mode strict",
    "FACTORY_CONFIG": "write factory.toml, and see what is in force with: factory config",
}
"""What takes the place of each variable that had an effect in an earlier version."""

_OURS = frozenset({AFTER_RUN_REVIEW, AFTER_RUN_INDEX})
_KNOWN = frozenset({*PRIVATE_VARIABLES, GRANTS_VARIABLE, "FACTORY_DEBUG"})
_SWITCHED_OFF = ("", "0", "false", "no")
_TYPO_CUTOFF = 0.85  # difflib's ratio, as for settings


def judge_variables(environment: Mapping[str, str], settings: Iterable[str]) -> Iterator[Finding]:
    """Yield a warning for each variable that is set and has no effect; one that sends the work to
    another repository is refused. `settings` are the names that set something.
    """
    known = frozenset(settings) | _KNOWN
    for name, value in sorted(environment.items()):
        if name == "ORCH_WORKSPACE":
            if value not in ("", "self", "."):
                yield Finding("VARIABLE_FOR_ANOTHER", {"variable": name})
        elif name in INSTEAD:
            if value.strip().lower() not in _SWITCHED_OFF:
                yield _without(name, "replaced", INSTEAD[name])
        elif name == "MODE":  # many programs have one: only the words of ours are meant
            if value in ("safe", "privileged"):
                yield _without(name, "replaced", "what a pack may do is in its task.yml")
        elif name.startswith("ORCH_") and name not in _OURS and value:
            meant = nearest(name, (*_OURS, *INSTEAD), _TYPO_CUTOFF)
            yield _without(name, *(("near", meant) if meant else ("unknown",)))
        elif name.startswith("FACTORY_") and "__" in name and name not in known and value:
            meant = nearest(f"FACTORY_{name.rpartition('__')[2]}", known, _TYPO_CUTOFF)
            yield _without(name, *(("near", meant) if meant else ("unknown",)))


def _without(name: str, case: str, instead: str = "") -> Finding:
    facts: Facts = {"case": case, "variable": name}
    return Finding("VARIABLE_WITHOUT_EFFECT", {**facts, "instead": instead} if instead else facts)
