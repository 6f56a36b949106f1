"""What would let a refused pack pass: the smallest change of its contract, or that none can.

Rule: an id that is not in a table below is never said to be allowable. Pure: facts of the
bundle in, one sentence out. Does not decide anything: a person does.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass

from factory.model.finding import Finding
from factory.model.pack import TaskPack

# No contract can grant these; the change itself has to be another.
NEVER = frozenset(
    "PATH_PROTECTED PATH_UNSAFE PATH_NOT_PORTABLE PATH_COLLISION PATH_GIT_NAME FILE_SPECIAL"
    " FILE_SETID LINK_ESCAPES SUBMODULE_CHANGED TREE_TOO_DEEP TREE_TOO_LARGE SECRETS_NEVER"
    " SECRET_IN_CHANGE SECRET_IN_ARTIFACT SECRET_IN_CONTRACT SECRET_WITHHELD FLAKY ARTIFACT_UNSAFE"
    " CHECK_FAILED CHECK_RAN_NO_TEST STEP_FAILED MERGE_BROKEN MERGE_CONFLICT MERGE_PRE_EXISTING"
    " PROBE_ESCAPED".split()
)
# Nothing about the contract: the host, the repository or the evidence is in the way.
ELSEWHERE = frozenset(
    "GIT_TOO_OLD PROPERTY_MISSING DISK_UNWRITABLE LOCKED LEDGER_BROKEN BUNDLE_MISSING"
    " BUNDLE_MANIFEST BUNDLE_SCHEMA BUNDLE_STALE BUNDLE_DISAGREES BUNDLE_STATUS HIDDEN_CHANGE"
    " PLAN_DISAGREES"
    " MERGE_DIFFERS INTEGRATOR_FAILED CONFIG_INVALID CONFIG_WEAKENED NETWORK_UNAVAILABLE"
    " CLOUD_UNAVAILABLE REPO_UNREADABLE DEPENDS_NOT_PASS".split()
)
_LIMITS: Mapping[str, str] = {
    "LIMIT_TIME": "timeout",
    "LIMIT_MEMORY": "memory",
    "LIMIT_OUTPUT": "output",
    "LIMIT_DISK": "disk",
}


# Who allows network is never the pack alone.
_NETWORK = frozenset({"NETWORK_NOT_IN_POLICY", "NETWORK_NEEDS_CONSENT", "EGRESS_REFUSED"})
_TRIED = re.compile(
    r" tried (\S+), and the egress proxy refused it: the pack's allow_network does not name it"
)


@dataclass(frozen=True, slots=True)
class Facts:
    """What is known of a refused change: paths outside the scope, denied ones, unseen ones, lines
    in all, and other packs that the finding names."""

    outside: tuple[str, ...] = ()
    denied: tuple[str, ...] = ()
    hidden: tuple[str, ...] = ()
    lines: int = 0
    others: tuple[str, ...] = ()


def way_out(pack: TaskPack, finding: Finding, facts: Facts) -> str:
    """One sentence: the smallest change of the contract that would allow it, that none can, or
    where to look.
    """
    if finding.id in _NETWORK:
        return _network(pack, finding)
    if not finding.blocks:
        return "does not stand in the way"
    if finding.id in NEVER:
        return "nothing in the contract can allow it"
    if finding.id == "CRASH":
        return (
            "no change of the contract mends it: report it, with what the run keeps in its"
            " folder raw"
        )
    if finding.id in ELSEWHERE:
        return "no change of the contract is needed"
    change = _change(pack, finding.id, facts)
    return f"allow it with: {change}" if change else "mend the contract where it says"


def _network(pack: TaskPack, finding: Finding) -> str:
    hosts = pack.constraints.network.shown
    if finding.id == "NETWORK_NOT_IN_POLICY":
        return (
            "nothing in the contract can allow it; factory.toml can: [network] hosts ="
            f" {_listed(hosts)}"
        )
    if finding.id == "NETWORK_NEEDS_CONSENT":
        return (
            "nothing in the contract can allow it but naming the hosts; your own file can:"
            " [network] allow_any = true"
        )
    tried = _TRIED.search(finding.message)
    if tried is None:
        return "nothing in the contract can allow it"
    change = _yaml("constraints", "allow_network", (*hosts, tried[1].removesuffix(":443")))
    return f"allow it with: {change}, and the same host under [network] in factory.toml"


def _change(pack: TaskPack, kind: str, facts: Facts) -> str:
    """The change as YAML in one line; "" where there is none to propose."""
    if kind == "SCOPE_OUTSIDE_ALLOWED" and facts.outside:
        return _yaml("scope", "allowed_paths", (*pack.scope.allowed, *facts.outside))
    if kind == "SCOPE_DENIED" and facts.denied:
        return f"scope.denied_paths without what denies {', '.join(map(json.dumps, facts.denied))}"
    if kind == "INPUT_HIDDEN_CHANGED" and facts.hidden:
        return f"inputs: {_listed((*(pack.inputs or ()), *facts.hidden))}"
    if kind == "CHANGE_TOO_LARGE":
        limits = pack.limits
        return (
            f"limits: {{changed_lines: …, timeout: …}} above {limits.changed_lines} and"
            f" {limits.timeout}"
        )
    if kind == "LIMIT_CHANGED_LINES":
        return f"limits: {{changed_lines: {facts.lines}}}"
    if kind in _LIMITS:
        name = _LIMITS[kind]
        return f"limits: {{{name}: …}} above {getattr(pack.limits, name)}"
    if kind == "ARTIFACT_MISSING":
        return "artifacts.required without it, or as artifacts.optional"
    if kind == "DOCS_MISSING":
        return "docs.required without it"
    if kind in ("OVERLAP", "HIDDEN_OVERLAP", "MERGE_BROKEN_TOGETHER"):
        named = ", ".join(facts.others) or "the other pack"
        return (
            f"depends_on: [{named}], so that one is built on the other"
            if facts.others
            else f"depends_on: {named}"
        )
    return ""


def _yaml(section: str, key: str, values: tuple[str, ...]) -> str:
    return f"{section}: {{{key}: {_listed(values)}}}"


def _listed(values: tuple[str, ...]) -> str:
    return (
        "["
        + ", ".join(json.dumps(value, ensure_ascii=False) for value in dict.fromkeys(values))
        + "]"
    )
