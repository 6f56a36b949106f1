"""Configuration: the corpus, precedence, and who may loosen what."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import fields, replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from factory.contract.configuration import config_digest, read
from factory.contract.old_variables import INSTEAD
from factory.contract.settings import SETTINGS, Direction, Setting
from factory.model.config import (
    CEILINGS,
    REQUIRED_BY_DEFAULT,
    Config,
    ContractPolicy,
    Grant,
    GrantKind,
    OverlapPolicy,
    PolicyPack,
    RetryPolicy,
    Source,
)
from factory.model.environment import DeclaredEnvironment
from factory.model.names import NAMED_PREFIXES
from factory.model.pack import Limits, Network
from factory.model.signing import SigningPolicy
from factory.sandbox.backends import IsolationMode
from factory.sandbox.properties import Property
from factory.strict.values import LARGEST_INTEGER
from tests.contract_corpus import config_cases, read_config, sentences

INVALID = config_cases("invalid")
VALID = config_cases("valid")


@pytest.mark.parametrize("path", INVALID, ids=[path.name for path in INVALID])
def test_a_broken_file_gives_exactly_its_sentences(path: Path) -> None:
    _, findings = read_config(path)
    assert sentences(findings) == (path / "expected.txt").read_text(encoding="utf-8").splitlines()


@pytest.mark.parametrize("path", VALID, ids=[path.name for path in VALID])
def test_a_sound_file_gives_none(path: Path) -> None:
    _, findings = read_config(path)
    assert findings == ()


def test_nothing_written_is_the_default() -> None:
    config, findings = read(None, None, {}, {})
    assert findings == ()
    assert {source for _, source in config.sources} == {Source.DEFAULT}
    assert config == Config(sources=config.sources)


def test_every_value_is_read() -> None:
    config, _ = read_config(next(path for path in VALID if path.name == "everything"))
    expected = Config(
        packs_folder="work/packs",
        base_ref="origin/main",
        required=REQUIRED_BY_DEFAULT,
        protected=("infra/**", "LICENSE"),
        ceilings=Limits(
            *(1800, 2 << 30, 128, 1 << 30, 16 << 20, 500, 2), *(240, 600, 1 << 29, 2 << 30)
        ),
        overlap=OverlapPolicy.MERGE,
        isolation=IsolationMode.OVERLAY,
        python="/usr/bin/python3",
        network_within=("example.org", "mirror.example.org:8443"),
        cloud_inject=(
            "api.example.org authorization-bearer env:CLOUD_TOKEN",
            "git.example.org basic file:/home/me/t",
        ),
        workers=4,
        recheck_budget=0,
        partial=True,
        signing_policy=SigningPolicy.REQUIRED_FROM,
        signing_key_ids=("ed25519:0123456789abcdef",),
        judge_patterns=("ci/expected/",),
        judge_require=("change", "fixed"),
        judge_may_change=(("tests/",),),
        judge_retry=RetryPolicy.BLOCK,
        judge_contracts=ContractPolicy.PINNED,
        environments=(
            DeclaredEnvironment(
                "py",
                prepare=(
                    "python -m venv .venv",
                    ".venv/bin/pip install --require-hashes -r requirements.txt",
                ),
                inputs=("requirements.txt",),
                outputs=(".venv/",),
                network=Network(hosts=("files.example.org", "index.example.org")),
                inputs_from=("submodules", "lfs"),
            ),
            DeclaredEnvironment(
                "rust", host="~/.cargo", also=("~/.rustup", "~/.local/rust"), path=(".cargo/bin",)
            ),
        ),
        sources=config.sources,
    )
    assert config == expected
    assert dict(config.sources)["ceilings"] is Source.REPOSITORY
    assert dict(config.sources)["accepted_missing"] is Source.DEFAULT


LAYERS = {
    Source.USER: b"[run]\nworkers = 1\n",
    Source.REPOSITORY: b"[run]\nworkers = 2\n",
    Source.ENVIRONMENT: {"FACTORY_WORKERS": "3"},
    Source.FLAG: {"workers": "4"},
}


@pytest.mark.parametrize("present", range(16))
def test_the_strongest_layer_wins(present: int) -> None:
    given_layers = [source for bit, source in enumerate(LAYERS) if present >> bit & 1]
    layers = [LAYERS[source] if source in given_layers else None for source in LAYERS]
    config, findings = read(layers[0], layers[1], layers[2] or {}, layers[3] or {})  # type: ignore[arg-type]
    assert findings == ()
    strongest = given_layers[-1] if given_layers else Source.DEFAULT
    assert config.workers == [Source.DEFAULT, *LAYERS].index(strongest)
    assert dict(config.sources)["workers"] is strongest


def test_only_the_user_accepts_less() -> None:
    accept = b'[safety]\naccept_missing = ["memory_bounded", "disk_bounded"]\n'
    config, findings = read(accept, None, {}, {})
    assert findings == ()
    assert config.accepted_missing == {Property.MEMORY_BOUNDED, Property.DISK_BOUNDED}
    config, findings = read(None, accept, {}, {})
    assert [finding.id for finding in findings] == ["CONFIG_WEAKENED"]
    assert config.accepted_missing == frozenset()
    config, _ = read(None, None, {"FACTORY_ACCEPT_MISSING": "disk_bounded, memory_bounded"}, {})
    assert config.accepted_missing == {Property.MEMORY_BOUNDED, Property.DISK_BOUNDED}


def test_the_repository_takes_back_what_the_users_file_accepts_and_a_flag_has_the_last_word() -> (
    None
):
    user = b'[safety]\naccept_missing = ["memory_bounded", "disk_bounded"]\n'
    repository = b'[safety]\nrequired = ["disk_bounded"]\n'
    config, findings = read(user, repository, {}, {})
    assert findings == ()
    assert config.accepted_missing == {Property.MEMORY_BOUNDED}
    config, _ = read(user, repository, {}, {"accept-missing": "disk_bounded"})
    assert config.accepted_missing == {Property.MEMORY_BOUNDED, Property.DISK_BOUNDED}
    assert config.required == REQUIRED_BY_DEFAULT


def test_ceilings_join_by_key_and_only_fall() -> None:
    user = b'[ceilings]\ntimeout = "10m"\n'
    config, findings = read(
        user, b"[ceilings]\ntimeout = 60\nattempts = 2\n", {"FACTORY_CEILINGS_OUTPUT": "1M"}, {}
    )
    assert findings == ()
    assert config.ceilings == replace(CEILINGS, timeout=60, output=1 << 20, attempts=2)
    for repositorys in (b"601", b"'2h'"):
        config, findings = read(user, b"[ceilings]\ntimeout = " + repositorys, {}, {})
        assert [finding.id for finding in findings] == ["CONFIG_NOT_IN_FORCE"]
        assert config.ceilings.timeout == 600
    assert read(None, b"[ceilings]\ntimeout = '2h'\n", {}, {})[0].ceilings == CEILINGS
    assert read(b"[ceilings]\ntimeout = '2h'\n", None, {}, {})[0].ceilings.timeout == 7200
    config, _ = read(user, b"[ceilings]\ntimeout = 60\n", {"FACTORY_CEILINGS_TIMEOUT": "99"}, {})
    assert config.ceilings.timeout == 99


def test_ceilings_are_finite_by_default() -> None:
    gib = 1 << 30
    expected = Limits(
        3600, 4 * gib, 1024, 8 * gib, gib // 16, LARGEST_INTEGER, 3, 3600, 4096, gib, 16 * gib
    )
    assert Config().ceilings == expected


def test_hosts_of_a_repository_grant_nothing_and_narrow() -> None:
    hosts = b"[network]\nhosts = ['a.example', 'b.example']\n"
    config, findings = read(b"[network]\nhosts = ['a.example']\n", hosts, {}, {})
    assert findings == ()
    assert config.network_hosts == ("a.example",)
    assert config.network_within == ("a.example", "b.example")
    config, findings = read(None, hosts, {}, {})
    assert (config.network_hosts, findings) == ((), ())
    config, _ = read(None, hosts, {"FACTORY_NETWORK_HOSTS": "c.example"}, {})
    assert (config.network_hosts, config.network_within) == (("c.example",), None)


def test_every_setting_has_a_direction_and_one_without_does_not_load() -> None:
    assert {setting.direction for setting in SETTINGS} == set(Direction)
    with pytest.raises(TypeError, match="direction"):
        Setting("x", "run", "x", form=SETTINGS[0].form, meaning="")  # type: ignore[call-arg]


@pytest.mark.parametrize(
    "setting",
    [each for each in SETTINGS if each.direction is Direction.USER],
    ids=lambda it: it.name,
)
def test_what_is_the_users_alone_is_refused_from_a_repository(setting: Setting) -> None:
    value = {
        "accept_missing": "['net_isolated']",
        "backend": "'none'",
        "network_allow_any": "true",
        "network_private": "['localhost:11434', '*.corp.example']",
        "network_ca_file": "'/etc/company.pem'",
        "network_upstream_proxy": "'http://proxy.example.org:3128 env:PROXY_LOGIN'",
        "cloud_inject": "['api.example.org basic env:X']",
        "policy_ref": "'refs/remotes/origin/main'",
        "result_sign": "true",
    }[setting.name]
    text = f"[{setting.section}]\n{setting.key} = {value}\n".encode()
    config, findings = read(None, text, {}, {})
    assert [finding.id for finding in findings] == ["CONFIG_WEAKENED"]
    assert config == Config(sources=config.sources)
    assert read(text, None, {}, {})[1] == ()


@pytest.mark.parametrize(
    ("place", "taken"),
    [
        ("ref:refs/factory/checkpoint", True),
        ("ref:refs/factory/of/main.now", True),
        ("ref:refs/replace/0123456789012345678901234567890123456789", False),
        ("ref:refs/heads/main", False),
        ("ref:refs/factory/../heads/main", False),
        ("ref:refs/factory/x.", False),
        ("ref:refs/factory/", False),
        ("note:HEAD", False),
        ("file:relative", False),
    ],
)
def test_a_repository_names_only_refs_of_ours_for_checkpoints(place: str, taken: bool) -> None:
    config, findings = read(None, f"[evidence]\ncheckpoints = ['{place}']\n".encode(), {}, {})
    assert (config.evidence_checkpoints == (place,), not findings) == (taken, taken)


def test_protected_only_grows() -> None:
    config, _ = read(
        b'[safety]\nprotected = ["a"]\n',
        b'[safety]\nprotected = ["b", "a"]\n',
        {"FACTORY_PROTECTED": "c"},
        {},
    )
    assert config.protected == ("a", "b", "c")


def test_other_peoples_variables_are_left_alone_and_near_misses_are_not() -> None:
    _, findings = read(
        None,
        None,
        {"FACTORY_FLOOR": "1", "PATH": "/bin", "FACTORY_PYTHON": "", "FACTORY_RUN_ID": "x"},
        {},
    )
    assert findings == ()
    _, findings = read(None, None, {"FACTORY_BASEREF": "main"}, {})
    assert sentences(findings) == [
        (
            "CONFIG_INVALID  -  the variable FACTORY_BASEREF is not known; did you mean"
            " FACTORY_BASE_REF?"
        )
    ]


def test_words_that_are_no_values() -> None:
    _, findings = read(
        None,
        None,
        {"FACTORY_WORKERS": "many", "FACTORY_REQUIRED": "net"},
        {"base_ref": "-x", "colour": "1"},
    )
    assert [finding.message for finding in findings] == [
        'FACTORY_REQUIRED: "net" is not a property',
        'FACTORY_WORKERS: expected a whole number, found "many"',
        'there is no setting "colour"',
        '--base-ref: "-x" is not the name of a commit',
    ]
    assert all(finding.hint for finding in findings)


def test_reading_configuration_loads_no_heavy_library(tmp_path: Path) -> None:
    code = (
        "import sys, factory.contract.configuration; print(sorted({'pydantic','yaml','jsonschema'} &"
        " set(sys.modules)))"
    )
    root = Path(__file__).parents[3]
    ended = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(root)},
        capture_output=True,
        text=True,
    )
    assert (ended.returncode, ended.stdout) == (0, "[]\n")


def test_setting_names_are_distinct() -> None:
    assert (
        len({setting.name for setting in SETTINGS})
        == len({setting.pointer for setting in SETTINGS})
        == len(SETTINGS)
    )


@given(
    st.binary(max_size=80),
    st.dictionaries(
        st.sampled_from([s.variable for s in SETTINGS]), st.text(max_size=6), max_size=3
    ),
)
def test_nothing_raises(raw: bytes, environment: dict[str, str]) -> None:
    config, findings = read(raw, raw, environment, {"base_ref": raw.decode("latin-1")})
    assert isinstance(config, Config)
    assert all(finding.message and finding.hint for finding in findings)


def test_the_digest_of_a_configuration_is_that_of_the_values_in_force() -> None:
    known = Config()
    same = (
        replace(known, sources=(("base_ref", Source.FLAG),)),
        replace(known, workers=7),
        replace(known, fresh=True),
        replace(known, required=frozenset(sorted(known.required, key=str, reverse=True))),
    )
    assert {config_digest(each) for each in (known, *same)} == {config_digest(known)}
    other = (
        replace(known, packs_folder="p"),
        replace(known, base_ref="main"),
        replace(known, required=frozenset()),
        replace(known, accepted_missing=frozenset({Property.NET_ISOLATED})),
        replace(known, protected=("a/**",)),
        replace(known, ceilings=Limits()),
        replace(known, overlap=OverlapPolicy.MERGE),
        replace(known, isolation=IsolationMode.OVERLAY),
        replace(known, backend="landlock"),
        replace(known, python="/usr/bin/python3"),
        replace(known, python_folders=("/opt/python",)),
        replace(known, network_hosts=("example.org",)),
        replace(known, network_allow_any=True),
        replace(known, network_within=("example.org",)),
        replace(known, network_private=("localhost:11434",)),
        replace(known, network_ca_file="/etc/company.pem"),
        replace(known, network_authorities="PEM"),
        replace(known, network_upstream_proxy="http://proxy.example.org:3128"),
        replace(known, policy_ref="refs/heads/main"),
        replace(known, policy_commit="1" * 40),
        replace(known, policy_packs=(PolicyPack("TASK-1", (), ()),)),
        replace(known, grants=(Grant(GrantKind.HOST, "example.org", ""),)),
        replace(known, cloud_inject=("api.example.org x-api-key env:K",)),
        replace(known, recheck_budget=1),
        replace(known, partial=True),
        replace(known, signing_policy=SigningPolicy.REQUIRED),
        replace(known, signing_key_ids=("k",)),
        replace(known, evidence_checkpoints=("ref:refs/factory/b",)),
        replace(known, judge_patterns=("ci/**",)),
        replace(known, judge_require=("change",)),
        replace(known, judge_may_change=(("tests/**",),)),
        replace(known, judge_retry=RetryPolicy.BLOCK),
        replace(known, judge_contracts=ContractPolicy.PINNED),
        replace(known, result_branch="review/{run}"),
        replace(known, result_message="Bring them"),
        replace(known, result_author="Ada <ada@example.org>"),
        replace(known, result_sign_off=True),
        replace(known, result_sign=True),
        replace(known, environments=(DeclaredEnvironment("py"),)),
    )
    assert len(other) == len(fields(Config)) - 3  # every member but the three that change no result
    assert len({config_digest(each) for each in (known, *other)}) == len(other) + 1


def test_a_flag_beyond_its_bound_is_refused() -> None:
    _, findings = read(None, None, {}, {"workers": "100000"})
    assert [(found.id, found.message, found.hint) for found in findings] == [
        (
            "CONFIG_INVALID",
            "--workers: expected at most 1024, found the number 100000",
            "write at most 1024",
        )
    ]


@pytest.mark.parametrize(
    ("raw", "sentence"),
    [
        (b"[packs]\nbase_ref = 7\n", "base_ref: expected text, found the number 7"),
        (b"[safety]\nprotected = [7]\n", "protected[0]: expected text, found the number 7"),
    ],
)
def test_what_is_not_text_is_refused_where_it_stands(raw: bytes, sentence: str) -> None:
    _, findings = read(None, raw, {}, {})
    assert [(found.message, found.hint) for found in findings] == [(sentence, "put it in quotes")]
    assert [found.location.line for found in findings if found.location is not None] == [2]


def test_a_ceiling_of_disk_leaves_room_for_a_stage() -> None:
    for environment in ({"FACTORY_CEILINGS_DISK": "4096"}, {}):
        _, findings = read(
            None, None if environment else b"[ceilings]\ndisk = 4096\n", environment, {}
        )
        assert [finding.id for finding in findings] == ["CONFIG_INVALID"]
        assert "expected at least 1048576, found the number 4096" in findings[0].message


@pytest.mark.parametrize(("name", "value"), [(name, "x") for name in INSTEAD])
def test_a_variable_of_an_earlier_version_is_named_with_what_takes_its_place(
    name: str, value: str
) -> None:
    _, findings = read(None, None, {name: value}, {})
    assert [finding.id for finding in findings] == ["VARIABLE_WITHOUT_EFFECT"]
    assert INSTEAD[name] in findings[0].hint
    assert name.startswith(NAMED_PREFIXES)  # else a start that is remembered would not say it


def test_variables_without_effect_are_guessed_and_those_of_others_are_left_alone() -> None:
    variables = {
        "ORCH_COLLECT_REVEIW": "1",
        "ORCH_ODD": "1",
        "FACTORY_INTEGRATION__RECHECK_BUDGET": "3",
        "FACTORY_ORGANISATION__ODD": "1",
        "ORCH_ENABLE_PLUGINS": "0",
        "ORCH_COLLECT_REVIEW": "1",
        "ORCH_WORKSPACE": "self",
        "MODE": "production",
        "MAX_JOBS": "3",
        "FACTORY_DEBUG": "1",
    }
    _, findings = read(None, None, variables, {})
    assert [(finding.facts["variable"], finding.hint) for finding in findings] == [
        ("FACTORY_INTEGRATION__RECHECK_BUDGET", "Did you mean FACTORY_RECHECK_BUDGET?"),
        ("FACTORY_ORGANISATION__ODD", "Remove it; what is in force says: factory config"),
        ("ORCH_COLLECT_REVEIW", "Did you mean ORCH_COLLECT_REVIEW?"),
        ("ORCH_ODD", "Remove it; what is in force says: factory config"),
    ]
    assert not any(finding.blocks for finding in findings)


def test_work_that_is_meant_for_another_repository_is_not_done_in_this_one() -> None:
    _, findings = read(None, None, {"ORCH_WORKSPACE": "other", "MODE": "safe"}, {})
    assert [(finding.id, finding.blocks) for finding in findings] == [
        ("VARIABLE_WITHOUT_EFFECT", False),
        ("VARIABLE_FOR_ANOTHER", True),
    ]
