"""Decide which of a user's grants a pack may use, and what prevents it.

Rule: a credential goes only where both say so: the contract by `allow_cloud_mutations` within
`allow_network`, the user by naming the host. Absent means denied. Pure; contains no value of a
credential.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from factory.egress.connection import Target
from factory.egress.rules import EgressRefusal, judge_target
from factory.model.finding import Finding
from factory.model.findings.entry import Facts
from factory.model.injection import CloudGrant
from factory.model.pack import Network, TaskPack

NO_PARSER = "the extra that parses HTTP is not installed"


def granted(pack: TaskPack, grants: Iterable[CloudGrant]) -> tuple[CloudGrant, ...]:
    """Return the grants that a pack's contract covers, in order of their hosts."""
    constraints = pack.constraints
    both = (
        each
        for each in grants
        if _covers(constraints.cloud, each) and _covers(constraints.network, each)
    )
    return tuple(sorted(both, key=lambda each: (each.host, each.port)))


def judge_cloud(
    pack: TaskPack, grants: tuple[CloudGrant, ...], problems: Mapping[str, str]
) -> tuple[Finding, ...]:
    """Return findings about a pack's cloud mutations; `problems` maps a place to why it has no
    credential.
    """
    cloud = pack.constraints.cloud
    if not cloud.declared:
        return ()
    place = pack.place("/constraints/allow_cloud_mutations")
    usable = granted(pack, grants)
    lacking = [
        host
        for host in cloud.hosts
        if not any(_covers(Network(hosts=(host,)), each) for each in usable)
    ]
    if lacking or not usable:
        hosts = tuple(lacking) or ("any host that it may reach",)
        return (Finding("CLOUD_NOT_GRANTED", {"hosts": hosts}, pack=pack.id, location=place),)
    found = []
    for each in usable:
        problem = problems.get(each.place)
        if problem:
            lacks = "parser" if problem == NO_PARSER else "credential"
            lack: Facts = {"case": lacks, "place": each.place, "problem": problem}
            found.append(Finding("CLOUD_UNAVAILABLE", lack, pack=pack.id, location=place))
    whole = tuple(each.place for each in usable if not each.requests)
    parts = tuple(f"{verb} {each.place}{path}" for each in usable for verb, path in each.requests)
    if whole:
        facts: Facts = {"case": "any", "places": whole}
        found.append(Finding("CLOUD_GRANTED", facts, pack=pack.id, location=place))
    if parts:
        facts = {"case": "requests", "requests": parts}
        found.append(Finding("CLOUD_GRANTED", facts, pack=pack.id, location=place))
    return tuple(found)


def _covers(network: Network, grant: CloudGrant) -> bool:
    try:
        judge_target(network.shown, Target(grant.host, grant.port))
    except EgressRefusal:
        return False
    return True
