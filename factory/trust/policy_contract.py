"""Compare contracts with those of the commit that policy_ref names.

What a contract lets its pack change of its own judge is the contract's word, and the contract may
be that of a pull request. So under policy_ref each entry of `may_change` and `retires` that its
version of the pack lacks is a request, and acceptance, scope or `require` that differ are named.
Pure. Does not know how a commit is read.
"""

from __future__ import annotations

from factory.model.config import Config, ContractPolicy, PolicyPack
from factory.model.finding import Finding
from factory.model.findings.entry import Facts
from factory.model.pack import TaskPack
from factory.strict import canonical


def policy_pack(pack: TaskPack) -> PolicyPack:
    """Return what is compared of a pack of policy_ref."""
    parts = {
        "acceptance": [
            [each.label, each.name, each.run, each.cwd, sorted(each.env), each.timeout or 0]
            for each in pack.acceptance
        ],
        "scope": [sorted(pack.scope.allowed), sorted(pack.scope.denied)],
        "require": [sorted(pack.judge.require), sorted(pack.judge.fixed)],
        "judge": sorted(pack.judge.patterns),
    }
    digests = tuple((name, canonical.digest(value)) for name, value in parts.items())
    return PolicyPack(pack.id, permits(pack), digests)


def permits(pack: TaskPack) -> tuple[str, ...]:
    """Return what a contract lets change of its judge, each entry as a grant names it."""
    return (
        *(f"may_change={pattern}" for pattern in pack.judge.may_change),
        *(f"retires={test}" for test in pack.judge.retires),
    )


def new_permits(pack: TaskPack, config: Config) -> tuple[str, ...]:
    """Return the entries that the version of policy_ref lacks; none without policy_ref."""
    if not config.policy_commit:
        return ()
    known = {thing for each in config.policy_packs if each.id == pack.id for thing in each.permits}
    return tuple(thing for thing in permits(pack) if thing not in known)


def judge_contract(pack: TaskPack, config: Config) -> tuple[Finding, ...]:
    """Return CONTRACT_CHANGED where the contract differs from that of policy_ref; CONTRACT_PINNED
    where policy says that none may.
    """
    if not config.policy_commit:
        return ()
    there = next((each for each in config.policy_packs if each.id == pack.id), None)
    facts: Facts = {"case": "new", "ref": config.policy_ref}
    if there is not None:
        known = dict(there.digests)
        differ = [name for name, digest in policy_pack(pack).digests if known[name] != digest]
        if not differ:
            return ()
        facts = {"case": "changed", "ref": config.policy_ref, "what": tuple(differ)}
    pinned = config.judge_contracts is ContractPolicy.PINNED
    kind = "CONTRACT_PINNED" if pinned else "CONTRACT_CHANGED"
    return (Finding(kind, facts, pack=pack.id, location=pack.place("")),)
