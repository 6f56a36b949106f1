"""A credential goes where both the contract and the user say so, and nowhere else."""

from __future__ import annotations

from dataclasses import replace

from factory.contract.cloud_credentials import CloudAccess
from factory.contract.cloud_grants import NO_PARSER, granted, judge_cloud
from factory.contract.network_access import NetworkAccess
from factory.model.injection import CloudGrant
from factory.model.pack import Constraints, Limits, Network, TaskPack
from factory.plan.cloud import UserCloud, system_bundle
from factory.redact.redaction import Redactor
from tests.pack_values import pack

API = CloudGrant("api.example.org", 443, "authorization-bearer", "env:A")
GIT = CloudGrant("git.example.org", 8443, "basic", "file:/b")


def declaring(cloud: Network, network: Network | None = None) -> TaskPack:
    return replace(
        pack(),
        constraints=Constraints(
            network or Network(hosts=("api.example.org", "*.below.org")), cloud
        ),
    )


def ids(of: TaskPack, *grants: CloudGrant, **problems: str) -> list[str]:
    return [finding.id for finding in judge_cloud(of, grants, problems)]


def test_nothing_declared_is_nothing_granted() -> None:
    assert ids(declaring(Network()), API) == []
    assert granted(declaring(Network()), (API,)) == ()


def test_both_have_to_say_so() -> None:
    one = declaring(Network(hosts=("api.example.org",)))
    assert granted(one, (API, GIT)) == (API,)
    assert ids(one) == ["CLOUD_NOT_GRANTED"]
    assert ids(one, GIT) == ["CLOUD_NOT_GRANTED"]
    (told,) = judge_cloud(one, (API,), {})
    assert (told.id, told.blocks) == ("CLOUD_GRANTED", False)
    assert (
        told.message
        == "may change the contents of api.example.org, with your credential, which it never sees"
    )


def test_a_grant_of_some_requests_says_which() -> None:
    one = declaring(Network(hosts=("api.example.org",)))
    some = replace(API, requests=(("POST", "/v1/responses"),))
    (found,) = judge_cloud(one, (some,), {})
    assert found.message == (
        "may send POST api.example.org/v1/responses, with your credential, which it never sees"
    )


def test_every_declared_host_needs_a_grant() -> None:
    two = declaring(Network(hosts=("api.example.org", "a.below.org")))
    (told,) = judge_cloud(two, (API,), {})
    assert told.id == "CLOUD_NOT_GRANTED"
    assert told.message.startswith(
        "it declares cloud mutations at a.below.org; your configuration grants none"
    )


def test_any_host_means_those_that_the_user_names_within_the_network() -> None:
    anywhere = declaring(Network(any_host=True))
    assert granted(anywhere, (API, GIT)) == (API,)
    assert ids(anywhere, GIT) == ["CLOUD_NOT_GRANTED"]
    everywhere = declaring(Network(any_host=True), Network(any_host=True))
    assert granted(everywhere, (GIT, API)) == (API, GIT)


def test_a_port_is_part_of_the_place() -> None:
    network = Network(hosts=("git.example.org:8443",))
    assert granted(declaring(network, network), (GIT,)) == (GIT,)
    assert granted(declaring(network, network), (replace(GIT, port=443),)) == ()


def test_what_cannot_be_used_comes_with_a_hint() -> None:
    one = declaring(Network(hosts=("api.example.org",)))
    broken, _ = judge_cloud(one, (API,), {"api.example.org": "the variable A is not set"})
    assert broken.id == "CLOUD_UNAVAILABLE"
    assert (
        broken.message
        == "it needs the credential for api.example.org, which cannot be used: the variable A is not"
        " set"
    )
    lacking, _ = judge_cloud(one, (API,), {"api.example.org": NO_PARSER})
    assert lacking.hint == "Install it with: pip install 'codex-orchestrator[cloud]'"


def test_localhost_is_asked_of_the_proxy_only_where_both_name_it() -> None:
    local = ("localhost:11434",)
    cloud = UserCloud(CloudAccess(), Redactor(), network=NetworkAccess(private=local))
    names = dict(cloud.reach_to(local, Limits(idle=7)).environment)
    assert names == {"NO_PROXY": "127.0.0.1,::1", "no_proxy": "127.0.0.1,::1"}
    for hosts in (("example.org",), ("*",)):
        assert cloud.reach_to(hosts, Limits()).environment == ()
    other = UserCloud(CloudAccess(), Redactor())
    assert other.reach_to(local, Limits()).environment == ()
    assert cloud.reach_to(local, Limits(idle=7)).bounds.idle == 7
    assert cloud.bare_reach(declaring(Network(), Network()), Limits()) is None


def test_authorities_of_the_user_are_one_file_with_those_of_this_host() -> None:
    cloud = UserCloud(CloudAccess(), Redactor(), network=NetworkAccess(authorities="MINE\n"))
    reach = cloud.reach_to(("example.org",), Limits())
    ((path, text),) = reach.files
    assert text == system_bundle() + "MINE\n"
    assert {name for name, value in reach.environment if value == path} >= {
        *("PIP_CERT", "NODE_EXTRA_CA_CERTS", "CURL_CA_BUNDLE", "GIT_SSL_CAINFO"),
        *("CARGO_HTTP_CAINFO", "SSL_CERT_FILE", "REQUESTS_CA_BUNDLE"),
    }
