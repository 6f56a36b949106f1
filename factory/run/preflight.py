"""Compare repository, configuration, packs and host with what the contracts ask for.

Everything that can be refused without running a pack is refused here. Executes nothing of
a pack; the host is measured by the sandbox's own probe.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from factory.contract.catalogue import Catalogue
from factory.egress.rules import uncovered
from factory.model.config import Config
from factory.model.environment import DeclaredEnvironment
from factory.model.finding import Finding, Location
from factory.model.findings.entry import Facts
from factory.model.pack import Network, TaskPack
from factory.plan.cloud import UserCloud
from factory.plan.planner import Planner
from factory.sandbox.backends import AT_CONSTANT_PATHS
from factory.sandbox.properties import Enforcement, Property
from factory.trust.policy_contract import judge_contract
from factory.trust.requests import judge_grants


def judge_host(config: Config, enforcement: Enforcement) -> tuple[Finding, ...]:
    """Required properties against what was shown to be in force."""
    found = [Finding("PROBE_ESCAPED", {"escaped": escaped}) for escaped in enforcement.escaped]
    for wanted in sorted(config.required, key=lambda wanted: wanted.value):
        if wanted in enforcement.given:
            continue
        facts = {"property": wanted.value, "why": enforcement.why_not(wanted)}
        if wanted in config.accepted_missing:
            found.append(Finding("PROPERTY_ACCEPTED", facts))
        else:
            found.append(Finding("PROPERTY_MISSING", {"case": "required", **facts}))
    return tuple(found)


def judge_pack(pack: TaskPack, missing_tools: Iterable[str]) -> tuple[Finding, ...]:
    """Return findings over what a sound contract asks for that this version or this host does not
    have.
    """
    found: list[Finding] = []

    def lacks(finding: str, key: str, facts: Facts) -> None:
        found.append(Finding(finding, facts, pack=pack.id, location=pack.place(key)))

    if pack.plugin:
        lacks("PLUGIN_UNAVAILABLE", "/plugin", {"plugin": pack.plugin})
    if pack.workspace:
        lacks("WORKSPACE_UNAVAILABLE", "/workspace", {"workspace": pack.workspace})
    for tool in missing_tools:
        lacks("TOOL_MISSING", "/tools", {"case": "declared", "tool": tool})
    return tuple(found)


def judge_network(pack: TaskPack, config: Config, enforcement: Enforcement) -> tuple[Finding, ...]:
    """Return whether what a pack declares about the network is what the repository narrows packs
    to, and enforceable here. Whether the user granted it: `judge_grants`.
    """
    place = pack.place("/constraints/allow_network")
    return _judge_hosts(pack.constraints.network, pack.id, place, config, enforcement)


def judge_environment(
    declared: DeclaredEnvironment, pack: str, config: Config, enforcement: Enforcement
) -> tuple[Finding, ...]:
    """Return what keeps an environment from being prepared or shown here, as findings at `pack`."""
    found: tuple[Finding, ...] = ()
    if enforcement.backend not in AT_CONSTANT_PATHS:
        why = f"the backend {enforcement.backend} shows the workspace at another path each time"
        facts = {"case": "failed", "name": declared.name, "why": why}
        place = declared.place()
        found = (Finding("ENVIRONMENT_NOT_PREPARED", facts, pack=pack, location=place),)
    place = declared.place("allow_network")
    return (*found, *_judge_hosts(declared.network, pack, place, config, enforcement))


def _judge_named(pack: TaskPack, config: Config, enforcement: Enforcement) -> Iterator[Finding]:
    """Yield what keeps the environments that a pack names from being shown."""
    for name in pack.environments:
        declared = config.environment(name)
        if declared is not None:
            yield from judge_environment(declared, pack.id, config, enforcement)


def _judge_hosts(
    network: Network,
    pack: str,
    place: Location | None,
    config: Config,
    enforcement: Enforcement,
) -> tuple[Finding, ...]:
    if not network.declared:
        return ()
    hosts = ("any public host",) if network.any_host else network.hosts
    found: list[tuple[str, Facts]] = []
    within = config.network_within
    beyond = uncovered(network.shown, within) if within is not None else ()
    if beyond:
        facts: Facts = {
            "hosts": hosts,
            "allowed": within or ("no host",),
            "beyond": tuple(beyond),
            "policy": network.shown,
        }
        found.append(("NETWORK_NOT_IN_POLICY", facts))
    if enforcement.no_proxy or Property.NET_ISOLATED not in enforcement.given:
        why = enforcement.no_proxy or enforcement.why_not(Property.NET_ISOLATED)
        found.append(("NETWORK_UNAVAILABLE", {"case": "host", "hosts": hosts, "why": why}))
    return tuple(Finding(finding, facts, pack=pack, location=place) for finding, facts in found)


def judge_launch(
    pack: TaskPack, config: Config, enforcement: Enforcement, cloud: UserCloud
) -> tuple[Finding, ...]:
    """Return findings over what of policy, host and grants keeps one pack from running now."""
    return (
        *judge_host(config, enforcement),
        *judge_grants(pack, config),
        *judge_contract(pack, config),
        *judge_network(pack, config, enforcement),
        *_judge_named(pack, config, enforcement),
        *cloud.judge(pack),
    )


def judge_packs(
    catalogue: Catalogue,
    planner: Planner,
    config: Config,
    enforcement: Enforcement,
    cloud: UserCloud,
) -> tuple[Finding, ...]:
    """Return findings of every contract, and of what it asks for."""
    found = list(catalogue.all_findings())
    for entry in catalogue.entries:
        if entry.usable and entry.pack is not None:
            found += judge_pack(entry.pack, planner.missing_tools(entry.pack))
            found += planner.judge_environments(entry.pack)
            found += planner.passed_secrets(entry.pack)
            found += judge_grants(entry.pack, config)
            found += judge_contract(entry.pack, config)
            found += judge_network(entry.pack, config, enforcement)
            found += _judge_named(entry.pack, config, enforcement)
            found += cloud.judge(entry.pack)
    return tuple(found)


__all__ = ["judge_host", "judge_launch", "judge_network", "judge_pack", "judge_packs"]
