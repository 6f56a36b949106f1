"""Preflight: repository, configuration, packs and host are held against what the contracts ask for.

Everything that can be refused without running a pack is refused here. Executes nothing of
a pack; the host is measured by the sandbox's own probe.
"""

from __future__ import annotations

from collections.abc import Iterable

from factory.contract.catalogue import Catalogue
from factory.egress.rules import uncovered
from factory.model.config import Config
from factory.model.finding import Finding
from factory.model.pack import TaskPack
from factory.plan.cloud import UserCloud
from factory.plan.planner import Planner
from factory.sandbox.properties import Enforcement, Property


def judge_host(config: Config, enforcement: Enforcement) -> tuple[Finding, ...]:
    """Required properties against what was shown to be in force."""
    found = [
        Finding(
            "PROBE_ESCAPED",
            f"inside the sandbox it was possible to {escaped}",
            "Nothing runs on this host until that is closed; see: factory doctor",
        )
        for escaped in enforcement.escaped
    ]
    for wanted in sorted(config.required, key=lambda wanted: wanted.value):
        if wanted in enforcement.given:
            continue
        why = enforcement.why_not(wanted)
        if wanted in config.accepted_missing:
            found.append(
                Finding(
                    "PROPERTY_ACCEPTED",
                    f"{wanted.value} is not enforced and the user accepted that: {why}",
                )
            )
        else:
            found.append(
                Finding(
                    "PROPERTY_MISSING",
                    f"{wanted.value} is required and cannot be enforced here: {why}",
                    "See: factory doctor. To go on without it, put accept_missing ="
                    f' ["{wanted.value}"] in your own configuration file.',
                )
            )
    return tuple(found)


def judge_pack(pack: TaskPack, missing_tools: Iterable[str]) -> tuple[Finding, ...]:
    """What a sound contract asks for that this version or this host does not have."""
    found: list[Finding] = []
    if pack.plugin:
        found.append(
            Finding(
                "PLUGIN_UNAVAILABLE",
                f"{pack.id} uses the plugin {pack.plugin}; plugins are not available in this"
                " version",
                "Do the work with steps.",
                pack.place("/plugin"),
                pack.id,
            )
        )
    if pack.workspace:
        found.append(
            Finding(
                "WORKSPACE_UNAVAILABLE",
                f"{pack.id} targets the workspace {pack.workspace}; other workspaces are not"
                " available in this version",
                "Run it inside that repository.",
                pack.place("/workspace"),
                pack.id,
            )
        )
    for tool in missing_tools:
        found.append(
            Finding(
                "TOOL_MISSING",
                f"{pack.id} declares the tool {tool}; no such command exists where a sandbox would"
                " find it",
                f"Install {tool}, or take it out of tools.",
                pack.place("/tools"),
                pack.id,
            )
        )
    return tuple(found)


def judge_network(pack: TaskPack, config: Config, enforcement: Enforcement) -> tuple[Finding, ...]:
    """Whether what a pack declares about the network is inside the policy, consented to, and
    enforceable here.
    """
    network = pack.constraints.network
    if not network.declared:
        return ()
    wanted = "any public host" if network.any_host else ", ".join(network.hosts)
    found = []
    beyond = uncovered(network.shown, config.network_hosts)
    if beyond:
        listed = "[" + ", ".join(f'"{host}"' for host in beyond) + "]"
        allowed = ", ".join(config.network_hosts) or "no host"
        found.append(
            (
                "NETWORK_NOT_IN_POLICY",
                f"{pack.id} declares network ({wanted}); the policy allows {allowed}",
                (
                    f"Add {listed} to hosts under [network] in factory.toml, or take it out of"
                    " constraints.allow_network."
                ),
            )
        )
    if network.any_host and not config.network_allow_any:
        found.append(
            (
                "NETWORK_NEEDS_CONSENT",
                (
                    f"{pack.id} declares network (any public host), and this user has not consented"
                    " to that"
                ),
                (
                    "Name the hosts instead, or put allow_any = true under [network] in your own"
                    " configuration file."
                ),
            )
        )
    if enforcement.no_proxy or Property.NET_ISOLATED not in enforcement.given:
        why = enforcement.no_proxy or enforcement.why_not(Property.NET_ISOLATED)
        found.append(
            (
                "NETWORK_UNAVAILABLE",
                (
                    f"{pack.id} declares network ({wanted}), and this host enforces no egress"
                    f" proxy: {why}"
                ),
                "Run it on a host that gives net_isolated; see: factory doctor",
            )
        )
    place = pack.place("/constraints/allow_network")
    return tuple(Finding(kind, message, hint, place, pack.id) for kind, message, hint in found)


def judge_launch(
    pack: TaskPack, config: Config, enforcement: Enforcement, cloud: UserCloud
) -> tuple[Finding, ...]:
    """What of policy, host and grants keeps one pack from running now."""
    return (
        *judge_host(config, enforcement),
        *judge_network(pack, config, enforcement),
        *cloud.judge(pack),
    )


def judge_packs(
    catalogue: Catalogue,
    planner: Planner,
    config: Config,
    enforcement: Enforcement,
    cloud: UserCloud,
) -> tuple[Finding, ...]:
    """Findings of every contract, and of what it asks for."""
    found = list(catalogue.all_findings())
    for entry in catalogue.entries:
        if entry.usable and entry.pack is not None:
            found += judge_pack(entry.pack, planner.missing_tools(entry.pack))
            found += planner.passed_secrets(entry.pack)
            found += judge_network(entry.pack, config, enforcement)
            found += cloud.judge(entry.pack)
    return tuple(found)


__all__ = ["judge_host", "judge_launch", "judge_network", "judge_pack", "judge_packs"]
