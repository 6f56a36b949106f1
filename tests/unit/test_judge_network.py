"""Whether a pack's network is inside the policy, consented to and enforceable; and what would let
it pass.
"""

from __future__ import annotations

from dataclasses import replace

import pytest

from factory.egress.connection import Connection, Reason
from factory.judge.denials import egress_refused
from factory.model.config import Config, Grant, GrantKind
from factory.model.egress_record import record_of
from factory.model.findings.entry import Severity
from factory.model.pack import Constraints, Network, TaskPack
from factory.run.preflight import judge_host, judge_network
from factory.sandbox.properties import Enforcement, Property, PropertyProof
from factory.trust.requests import judge_grants
from tests.pack_values import pack

GIVEN = Enforcement("x", (PropertyProof(Property.NET_ISOLATED, True, "shown"),))
LACKING = Enforcement("x", (PropertyProof(Property.NET_ISOLATED, False, "not on this host"),))


def declaring(*hosts: str) -> TaskPack:
    return replace(
        pack(),
        constraints=Constraints(network=Network("*" in hosts, () if "*" in hosts else hosts)),
    )


@pytest.mark.parametrize(
    ("hosts", "policy"),
    [
        (("example.org",), ("example.org",)),
        (("example.org",), ("example.org:443", "other.org")),
        (("a.example.org", "*.b.example.org"), ("*.example.org",)),
        (("example.org:8443",), ("*",)),
        ((), ()),
    ],
)
def test_a_list_inside_the_policy_is_fine(hosts: tuple[str, ...], policy: tuple[str, ...]) -> None:
    assert judge_network(declaring(*hosts), Config(network_within=policy), GIVEN) == ()
    assert judge_grants(declaring(*hosts), Config(network_hosts=policy)) == ()


@pytest.mark.parametrize(
    ("hosts", "policy", "named"),
    [
        (("example.org",), (), '["example.org"]'),
        (("example.org:8443", "a.org"), ("example.org", "a.org"), '["example.org:8443"]'),
        (("*.example.org",), ("www.example.org",), '["*.example.org"]'),
        (("example.org",), ("*.example.org",), '["example.org"]'),
    ],
)
def test_a_list_beyond_the_policy_is_refused_with_its_place(
    hosts: tuple[str, ...], policy: tuple[str, ...], named: str
) -> None:
    one = declaring(*hosts)
    (found,) = judge_network(one, Config(network_within=policy, network_hosts=hosts), GIVEN)
    assert (found.id, found.severity, found.pack) == (
        "NETWORK_NOT_IN_POLICY",
        Severity.ERROR,
        one.id,
    )
    assert (
        f"declares network ({', '.join(hosts)}); the policy allows {', '.join(policy) or 'no host'}"
        in found.message
    )
    assert named in found.hint
    assert found.location is not None
    told = found.remedy
    assert told.startswith(
        "nothing in the contract can allow it; factory.toml can: [network] hosts = ["
    )


def test_any_host_needs_a_grant_or_both_settings_of_the_user() -> None:
    one = declaring("*")
    assert judge_network(one, Config(), GIVEN) == ()  # a repository that narrows nothing
    for policy, consent, asks in (
        ((), False, True),
        (("*",), False, True),
        (("example.org",), True, True),
        (("*",), True, False),
    ):
        config = Config(network_hosts=policy, network_allow_any=consent)
        found = judge_grants(one, config)
        assert [each.id for each in found] == ["GRANT_MISSING"] * asks
        granted = replace(config, grants=(Grant(GrantKind.ANY_HOST, "*", one.id),))
        assert judge_grants(one, granted) == ()
    (only,) = judge_grants(one, Config())
    assert "any public host" in only.message
    assert "factory grant" in only.hint
    (narrowed,) = judge_network(one, Config(network_within=("example.org",)), GIVEN)
    assert narrowed.id == "NETWORK_NOT_IN_POLICY"


def test_a_host_that_cannot_isolate_has_no_proxy() -> None:
    accepted = Config(network_hosts=("*",), accepted_missing=frozenset(Property))
    (found,) = judge_network(declaring("example.org"), accepted, LACKING)
    assert found.id == "NETWORK_UNAVAILABLE"
    assert "not on this host" in found.message
    assert judge_network(declaring(), accepted, LACKING) == ()
    assert found.remedy.startswith("no change of the contract is needed: ")


def test_a_host_that_isolates_and_has_no_proxy_runs_what_declares_no_network() -> None:
    without = replace(GIVEN, no_proxy="the backend x has no way to a proxy")
    config = Config(network_hosts=("*",))
    (found,) = judge_network(declaring("example.org"), config, without)
    assert found.id == "NETWORK_UNAVAILABLE"
    assert found.message.endswith(
        "this host enforces no egress proxy: the backend x has no way to a proxy"
    )
    assert judge_network(declaring(), config, without) == ()
    assert judge_host(Config(required=frozenset({Property.NET_ISOLATED})), without) == ()


def test_the_remedy_for_a_refused_connection_is_one_more_host_or_none() -> None:
    one = declaring("example.org")

    def remedy(host: str, port: int, reason: Reason) -> str:
        ended = Connection(1, host, port, "", reason, 0, 0, 1)
        return egress_refused(one, record_of(ended, 1, "steps", 1)).remedy

    assert remedy("api.example.org", 443, Reason.NOT_DECLARED) == (
        'allow it with: constraints: {allow_network: ["example.org", "api.example.org"]}, '
        "and grant the host with: factory grant"
    )
    assert '"api.example.org:80"' in remedy("api.example.org", 80, Reason.NOT_DECLARED)
    for host, reason in (("example.org", Reason.NOT_PUBLIC), ("", Reason.NOT_A_HOST)):
        assert "nothing in the contract can allow it" in remedy(host, 443, reason)
