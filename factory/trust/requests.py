"""Find what contracts and a repository's configuration ask of the user, and what was granted.

Rule: a request takes effect once the user has granted exactly it. It is (kind, thing, who asks),
never the content of what it names, so that a later version of the same contract does not ask
again. Pure. Does not know where grants are kept.

>>> grant = Grant(GrantKind.HOST, "pypi.org", "")
>>> covers(grant, GrantRequest(GrantKind.HOST, "pypi.org", "TASK-0001"))
True
>>> covers(Grant(GrantKind.BOUND, "timeout=7200", "TASK-0001"),
...        GrantRequest(GrantKind.BOUND, "timeout=5400", "TASK-0001"))
True
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields, replace

from factory.egress.rules import uncovered
from factory.model.config import Config, Grant, GrantKind
from factory.model.environment import ASKER, DeclaredEnvironment
from factory.model.finding import Finding, Location
from factory.model.findings.entry import Facts
from factory.model.names import CONFIG_FILE
from factory.model.pack import Limits, Network, TaskPack
from factory.strict import canonical
from factory.trust.policy_contract import new_permits

ANY_HOST = "*"
_FORM = "grant/1"
_UNITS: Mapping[str, str] = {
    "timeout": "seconds for one attempt",
    "memory": "bytes of memory",
    "processes": "processes at once",
    "disk": "bytes written",
    "output": "bytes of output from one command",
    "changed_lines": "changed lines",
    "attempts": "attempts",
    "idle": "seconds of silence on a connection",
    "connections": "connections to the outside from one stage",
    "upload": "bytes sent by one stage",
    "download": "bytes received by one stage",
}


@dataclass(frozen=True, slots=True)
class GrantRequest:
    """Describe one thing that a pack asks for; `place` is where it does. Where `pack` is an
    environment, `command` is what would be run with it.
    """

    kind: GrantKind
    thing: str
    pack: str
    place: Location | None = None
    command: str = ""

    @property
    def digest(self) -> str:
        """Return its name: SHA-256 in hex."""
        return digest_of(self.kind, self.thing, self.pack)


def digest_of(kind: GrantKind, thing: str, pack: str) -> str:
    """Return the digest of a request, or of a grant ("" for any pack)."""
    return canonical.digest([_FORM, kind.value, thing, pack])


def requests_of(pack: TaskPack, config: Config) -> tuple[GrantRequest, ...]:
    """Return what a pack asks for beyond the user's own configuration, granted or not."""
    found = [
        GrantRequest(GrantKind.VARIABLE, name, pack.id, pack.place("/env"))
        for name in pack.env_passed
    ]
    place = pack.place("/constraints/allow_network")
    for kind, thing in _of_network(pack.constraints.network, config):
        found.append(GrantRequest(kind, thing, pack.id, place))
    for name in pack.environments:
        declared = config.environment(name)
        if declared is not None:
            found += requests_of_environment(declared, config)
    for limit in fields(Limits):
        asked = getattr(pack.limits, limit.name)
        if asked > getattr(config.ceilings, limit.name):
            where = pack.place(f"/limits/{limit.name}")
            thing = f"{limit.name}={asked}"
            found.append(GrantRequest(GrantKind.BOUND, thing, pack.id, where))
    found += [
        GrantRequest(GrantKind.INTERPRETER, folder, pack.id, Location(CONFIG_FILE))
        for folder in config.python_folders
    ]
    here = Location(f"{pack.folder}/acceptance.yml")
    found += [
        GrantRequest(GrantKind.JUDGE, thing, pack.id, here) for thing in new_permits(pack, config)
    ]
    return tuple(found)


def requests_of_environment(
    environment: DeclaredEnvironment, config: Config
) -> tuple[GrantRequest, ...]:
    """Return what an environment asks for, granted or not: nothing where it is the user's own. Who
    asks is it with its commands, not the content of its inputs: a new lock file does not ask again.
    """
    if environment.own:
        return ()
    commands = "; ".join(environment.prepare)
    asker = f"{ASKER}{environment.name}"
    if environment.prepare:
        asker += f"@{canonical.digest(list(environment.prepare))[:16]}"
    found = [
        (kind, thing, environment.place("allow_network"))
        for kind, thing in _of_network(environment.network, config)
    ]
    if environment.host:
        found.append((GrantKind.FOLDER, environment.host, environment.place("host")))
    for folder in environment.also:
        found.append((GrantKind.FOLDER, folder, environment.place("also")))
    if environment.judged:
        whole = canonical.digest(str(environment))[:16]
        found.append((GrantKind.ENVIRONMENT, whole, environment.place()))
    return tuple(GrantRequest(kind, thing, asker, at, commands) for kind, thing, at in found)


def _of_network(network: Network, config: Config) -> list[tuple[GrantKind, str]]:
    """Return what of a network the user's configuration does not cover."""
    if not network.any_host:
        beyond = uncovered(network.hosts, config.network_hosts)
        return [(GrantKind.HOST, host) for host in beyond]
    if uncovered((ANY_HOST,), config.network_hosts) or not config.network_allow_any:
        return [(GrantKind.ANY_HOST, ANY_HOST)]
    return []


def granted_by_policy(packs: Iterable[TaskPack], config: Config) -> tuple[Grant, ...]:
    """Return grants for what the packs of policy_ref ask for, and their environments there: hosts
    and bounds, never variables, folders or any host.
    """
    theirs = replace(config, environments=tuple(e for e in config.environments if not e.judged))
    asked = (request for pack in packs for request in requests_of(pack, theirs))
    kinds = (GrantKind.HOST, GrantKind.BOUND)
    return tuple(Grant(one.kind, one.thing, one.pack) for one in asked if one.kind in kinds)


def covers(grant: Grant, request: GrantRequest) -> bool:
    """Return whether a grant answers a request; of a bound also one that asks for less."""
    if grant.kind is not request.kind or grant.pack not in ("", request.pack):
        return False
    if grant.kind is not GrantKind.BOUND:
        return grant.thing == request.thing
    name, _, most = grant.thing.partition("=")
    asked, _, value = request.thing.partition("=")
    return name == asked and most.isdigit() and int(value) <= int(most)


def is_granted(request: GrantRequest, grants: Iterable[Grant]) -> bool:
    """Return whether one of the grants answers a request."""
    return any(covers(grant, request) for grant in grants)


def missing(pack: TaskPack, config: Config) -> tuple[GrantRequest, ...]:
    """Return what a pack asks for and nobody granted."""
    return tuple(each for each in requests_of(pack, config) if not is_granted(each, config.grants))


def judge_grants(pack: TaskPack, config: Config) -> tuple[Finding, ...]:
    """Return GRANT_MISSING for each request of a pack that nobody granted."""
    found = []
    for request in missing(pack, config):
        facts: Facts = {
            "case": request.kind.value,
            "thing": request.thing,
            "allows": allows(request.kind, request.thing),
            "digest": request.digest,
        }
        found.append(Finding("GRANT_MISSING", facts, pack=pack.id, location=request.place))
    return tuple(found)


def grants_used(pack: TaskPack, config: Config) -> tuple[str, ...]:
    """Return the digests of what a pack asks for and was granted, sorted: part of its action."""
    granted = (each for each in requests_of(pack, config) if is_granted(each, config.grants))
    return tuple(sorted(each.digest for each in granted))


def granted_variables(
    pack: TaskPack, grants: Iterable[Grant], host: Mapping[str, str]
) -> Mapping[str, str]:
    """Return those variables of the host that a pack asks for and was granted."""
    given = tuple(grants)
    asked = (GrantRequest(GrantKind.VARIABLE, name, pack.id) for name in pack.env_passed)
    names = {each.thing for each in asked if is_granted(each, given)}
    return {name: host[name] for name in sorted(names) if name in host}


def limits_in_force(pack: TaskPack, config: Config) -> Limits:
    """Return each limit that a pack asks for, lowered to its ceiling where no grant raises it."""
    bounds = {}
    for limit in fields(Limits):
        asked, ceiling = getattr(pack.limits, limit.name), getattr(config.ceilings, limit.name)
        request = GrantRequest(GrantKind.BOUND, f"{limit.name}={asked}", pack.id)
        bounds[limit.name] = asked if is_granted(request, config.grants) else min(asked, ceiling)
    return Limits(**bounds)


def allows(kind: GrantKind, thing: str) -> str:
    """Return what a grant would allow, for people: one clause."""
    match kind:
        case GrantKind.HOST:
            return f"send and receive anything to and from {thing}, through the recording proxy"
        case GrantKind.ANY_HOST:
            return "send and receive anything to and from any public host, through the proxy"
        case GrantKind.VARIABLE:
            return f"see the value of your variable {thing}, print it, and send it where it may"
        case GrantKind.BOUND:
            name, _, value = thing.partition("=")
            return f"use up to {value} {_UNITS.get(name, name)}"
        case GrantKind.FOLDER:
            return f"read all of your folder {thing} but known credential files, and print it"
        case GrantKind.ENVIRONMENT:
            return "have what packs see prepared by commands that policy_ref does not have"
        case GrantKind.INTERPRETER:
            return f"run the interpreter in the folder {thing} of this host, and read all of it"
        case GrantKind.JUDGE:
            key, _, value = thing.partition("=")
            verb = "change these files of its own judge" if key == "may_change" else "retire tests"
            return f"{verb}: {value}"
