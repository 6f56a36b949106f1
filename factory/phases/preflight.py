"""Preflight: repository, configuration, packs and host are held against what the contracts ask for.

Everything that can be refused without running a pack is refused here. Executes nothing of
a pack; the host is measured by the sandbox's own probe.
"""

from __future__ import annotations

from collections.abc import Iterable

from factory.model.config import Config
from factory.model.finding import Finding
from factory.model.pack import TaskPack
from factory.model.properties import Enforcement
from factory.phases.catalogue import Catalogue
from factory.phases.planner import Planner


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
                Finding("PROPERTY_ACCEPTED", f"{wanted.value} is not enforced and the user accepted that: {why}")
            )
        else:
            found.append(
                Finding(
                    "PROPERTY_MISSING",
                    f"{wanted.value} is required and cannot be enforced here: {why}",
                    f'See: factory doctor. To go on without it, put accept_missing = ["{wanted.value}"] '
                    "in your own configuration file.",
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
                f"{pack.id} uses the plugin {pack.plugin}; plugins are not available in this version",
                "Do the work with steps.",
                pack.place("/plugin"),
                pack.id,
            )
        )
    if pack.workspace:
        found.append(
            Finding(
                "WORKSPACE_UNAVAILABLE",
                f"{pack.id} targets the workspace {pack.workspace}; other workspaces are not available in this version",
                "Run it inside that repository.",
                pack.place("/workspace"),
                pack.id,
            )
        )
    if pack.constraints.network.declared:
        wanted = "any host" if pack.constraints.network.any_host else ", ".join(pack.constraints.network.hosts)
        found.append(
            Finding(
                "NETWORK_UNAVAILABLE",
                f"{pack.id} declares network ({wanted}); there is no egress proxy in this version",
                "Remove constraints.allow_network and bring what is needed as inputs.",
                pack.place("/constraints/allow_network"),
                pack.id,
            )
        )
    for tool in missing_tools:
        found.append(
            Finding(
                "TOOL_MISSING",
                f"{pack.id} declares the tool {tool}; no such command exists where a sandbox would find it",
                f"Install {tool}, or take it out of tools.",
                pack.place("/tools"),
                pack.id,
            )
        )
    return tuple(found)


def judge_packs(catalogue: Catalogue, planner: Planner) -> tuple[Finding, ...]:
    """Findings of every contract, and of what it asks for."""
    found = list(catalogue.all_findings())
    for entry in catalogue.entries:
        if entry.usable and entry.pack is not None:
            found += judge_pack(entry.pack, planner.missing_tools(entry.pack))
            found += planner.passed_secrets(entry.pack)
    return tuple(found)


__all__ = ["judge_host", "judge_pack", "judge_packs"]
