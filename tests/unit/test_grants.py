"""Requests and grants: what is asked, what answers it, and where answers are kept."""

from __future__ import annotations

import doctest
import stat
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from factory.commands.grant import asked_whom
from factory.model.config import CEILINGS, Config, Grant, GrantKind
from factory.model.errors import Refusal
from factory.model.pack import Constraints, Limits, Network
from factory.trust import requests
from factory.trust.grant_store import GrantStore, format_grants, parse_grants
from factory.trust.grants_digest import digest_of_all
from factory.trust.requests import (
    GrantRequest,
    covers,
    grants_used,
    judge_grants,
    missing,
    requests_of,
)
from tests.pack_values import pack

THINGS = st.text(
    st.characters(exclude_categories=("Cs", "Cc", "Zl", "Zp")), min_size=1, max_size=20
)
GRANTS = st.builds(Grant, st.sampled_from(GrantKind), THINGS, st.one_of(st.just(""), THINGS.filter(lambda it: it != "*")))  # fmt: skip
ASKS = pack(
    constraints=Constraints(network=Network(hosts=("a.example", "b.example:8443"))),
    env_passed=("PGPASSWORD", "GREETING"),
    limits=replace(Limits(), timeout=7200, memory=CEILINGS.memory),
)


def asked(config: Config) -> list[tuple[str, str]]:
    return [(each.kind.value, each.thing) for each in missing(ASKS, config)]


def test_the_example_of_the_module_is_true() -> None:
    names = {"Grant": Grant, "GrantKind": GrantKind}
    assert doctest.testmod(requests, extraglobs=names).failed == 0


def test_all_that_a_pack_takes_beyond_the_default_is_asked() -> None:
    assert asked(Config()) == [
        ("variable", "PGPASSWORD"),
        ("variable", "GREETING"),
        ("host", "a.example"),
        ("host", "b.example:8443"),
        ("bound", "timeout=7200"),
    ]
    assert requests_of(pack(), Config()) == ()


def test_the_users_configuration_answers_too() -> None:
    own = Config(
        network_hosts=("*.example", "b.example:8443"), ceilings=replace(CEILINGS, timeout=7200)
    )
    assert asked(replace(own, network_hosts=("a.example", "b.example:8443"))) == [
        ("variable", "PGPASSWORD"),
        ("variable", "GREETING"),
    ]
    # what a repository narrows to grants nothing
    assert ("host", "a.example") in asked(Config(network_within=("a.example",)))


@pytest.mark.parametrize(
    ("grant", "answers"),
    [
        (Grant(GrantKind.HOST, "a.example", ""), True),
        (Grant(GrantKind.HOST, "a.example", ASKS.id), True),
        (Grant(GrantKind.HOST, "a.example", "TASK-9999"), False),
        (Grant(GrantKind.HOST, "b.example", ""), False),
        (Grant(GrantKind.HOST, "*.example", ""), False),
        (Grant(GrantKind.ANY_HOST, "*", ""), False),
        (Grant(GrantKind.VARIABLE, "a.example", ""), False),
    ],
)
def test_exactly_what_was_granted_takes_effect(grant: Grant, answers: bool) -> None:
    assert (("host", "a.example") not in asked(Config(grants=(grant,)))) is answers


@pytest.mark.parametrize(
    ("thing", "answers"),
    [
        ("timeout=7200", True),
        ("timeout=9000", True),
        ("timeout=7199", False),
        ("timeout=", False),
        ("timeout", False),
        ("memory=9000", False),
        ("timeout=-1", False),
    ],
)
def test_a_bound_answers_what_asks_for_no_more(thing: str, answers: bool) -> None:
    request = GrantRequest(GrantKind.BOUND, "timeout=7200", "TASK-0001")
    assert covers(Grant(GrantKind.BOUND, thing, ""), request) is answers


def test_each_finding_says_what_it_would_allow_and_its_digest() -> None:
    findings = judge_grants(ASKS, Config())
    assert {finding.id for finding in findings} == {"GRANT_MISSING"}
    assert {finding.pack for finding in findings} == {ASKS.id}
    for finding, request in zip(findings, requests_of(ASKS, Config()), strict=True):
        assert request.digest in finding.remedy
        assert "factory grant" in finding.hint
    assert "see the value of your variable PGPASSWORD" in findings[0].hint


def test_the_digest_is_of_kind_thing_and_pack_and_of_nothing_else() -> None:
    other = replace(ASKS, title="other", files=())
    assert [each.digest for each in requests_of(other, Config())] == [
        each.digest for each in requests_of(ASKS, Config())
    ]
    everything = tuple(Grant(each.kind, each.thing, "") for each in requests_of(ASKS, Config()))
    one_by_one = tuple(
        Grant(each.kind, each.thing, each.pack) for each in requests_of(ASKS, Config())
    )
    used = grants_used(ASKS, Config(grants=everything))
    assert used == grants_used(ASKS, Config(grants=one_by_one))
    assert len(set(used)) == 5
    assert grants_used(ASKS, Config()) == ()


@given(st.lists(GRANTS, max_size=4))
def test_what_is_printed_is_read_back(grants: list[Grant]) -> None:
    assert set(parse_grants(format_grants(grants))) == set(grants)


@pytest.mark.parametrize("text", ["host", "host a b c", "nothing a.example *", "host 'a *"])
def test_a_line_of_another_form_is_refused_with_its_number(text: str) -> None:
    with pytest.raises(ValueError, match="line 2: expected KIND THING PACK"):
        parse_grants(f"# comment\n{text}\n")


# --- where they are kept


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


HOST = Grant(GrantKind.HOST, "a.example", "")
URL = "https://example.org/a.git"


def test_they_are_the_users_alone_and_bound_to_path_and_origin(home: Path, tmp_path: Path) -> None:
    store = GrantStore(tmp_path / "here", URL, {})
    store.keep((HOST,))
    assert store.in_force() == (HOST,)
    assert stat.S_IMODE(store.place.stat().st_mode) == 0o600
    assert stat.S_IMODE(store.place.parent.stat().st_mode) == 0o700
    assert store.place.is_relative_to(home)
    for other in (
        GrantStore(tmp_path / "there", URL, {}),
        GrantStore(tmp_path / "here", "https://example.com/a.git", {}),
        GrantStore(tmp_path / "here", "", {}),
    ):
        assert other.in_force() == ()
    (offered,) = GrantStore(tmp_path / "there", URL, {}).of_clones()
    assert (offered.root, offered.grants) == (str(tmp_path / "here"), (HOST,))
    assert GrantStore(tmp_path / "there", "", {}).of_clones() == ()
    store.keep(())
    assert store.in_force() == ()


def test_no_password_of_an_address_is_kept(home: Path, tmp_path: Path) -> None:
    store = GrantStore(tmp_path, "https://me:secret@example.org/a.git", {})
    store.keep((HOST,))
    assert b"secret" not in store.place.read_bytes()
    assert GrantStore(tmp_path, "https://example.org/a.git", {}).in_force() == (HOST,)


def test_a_file_by_variable_adds_and_never_lies_in_the_work_tree(
    home: Path, tmp_path: Path
) -> None:
    root, file = tmp_path / "root", tmp_path / "ci.grants"
    root.mkdir()
    file.write_text("host a.example *\n")
    given = {"FACTORY_GRANTS": str(file)}
    assert GrantStore(root, "", given).in_force() == (HOST,)
    inside = root / "ci.grants"
    inside.write_text("host a.example *\n")
    link = tmp_path / "link"
    link.symlink_to(inside)
    for place in (inside, link, tmp_path / "nothing", tmp_path):
        with pytest.raises(Refusal) as raised:
            GrantStore(root, "", {"FACTORY_GRANTS": str(place)}).in_force()
        assert raised.value.findings[0].id == "GRANTS_UNUSABLE"


def test_who_remembers_a_start_sees_each_change(home: Path, tmp_path: Path) -> None:
    seen = {digest_of_all({})}
    store = GrantStore(tmp_path, URL, {})
    for grants in ((HOST,), (HOST, replace(HOST, pack="TASK-0001")), ()):
        store.keep(grants)
        seen.add(digest_of_all({}))
    file = tmp_path / "ci.grants"
    for text in ("", "host a.example *\n"):
        file.write_text(text)
        seen.add(digest_of_all({"FACTORY_GRANTS": str(file)}))
    assert len(seen) == 6


@pytest.mark.parametrize(
    ("typed", "whom", "asked"),
    [
        (["y"], "these", 1),
        ([" YES "], "these", 1),
        (["t"], "these", 1),
        (["a"], "any", 1),
        ([""], "nobody", 1),
        (["n"], "nobody", 1),
        (["maybe", "tomorrow", "t"], "these", 3),
        (["1", "2", "3", "t"], "nobody", 3),
        ([], "nobody", 1),
        (["ok"], "nobody", 2),
    ],
)
def test_an_answer_that_is_none_is_asked_again_at_most_three_times(
    typed: list[str], whom: str, asked: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    left, count = iter(typed), 0

    def type_next(_question: str) -> str:
        nonlocal count
        count += 1
        try:
            return next(left)
        except StopIteration:
            raise EOFError from None

    monkeypatch.setattr("builtins.input", type_next)
    assert (asked_whom(), count) == (whom, asked)
