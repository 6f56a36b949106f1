"""Packs with network through the real pipeline: what they reach, what is recorded, and what the
checker makes of it.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from factory.model.finding import Finding
from factory.model.verdict import Status
from factory.strict import canonical
from tests.egress_kit import Authority, Map, http_plain, https
from tests.in_process import oneshot
from tests.verify_kit import check, load, relisted
from tests.world import World

pytestmark = pytest.mark.linux

ROOT = Path(__file__).resolve().parents[2]
HOST = "files.example.org"
FETCH = """\
import ssl, sys, urllib.request
context = ssl.create_default_context()  # the authority is the user's network.ca_file
for url in sys.argv[1:]:
    try:
        with urllib.request.urlopen(url, context=context, timeout=60) as answer:
            sys.stdout.write(answer.read().decode())
    except OSError as error:
        print("refused", error, file=sys.stderr)
"""
NET = f"""
constraints: {{allow_network: [{HOST}]}}
scope: {{allowed_paths: ["docs/**"]}}
steps:
  - {{name: fetch, run: "mkdir -p docs && python fetch.py https://{HOST}/a.txt https://evil.example.org/ > docs/a.txt"}}
"""
CHECK = f"""
allow_network: true
checks: [{{name: same, run: 'python fetch.py https://{HOST}/a.txt | cmp - docs/a.txt'}}]
"""
LOCAL = """
constraints: {{allow_network: ["localhost:{port}"]}}
scope: {{allowed_paths: ["local/**"]}}
limits: {{connections: 1}}
steps:
  - {{name: ask, run: "mkdir local && python fetch.py {url} {url} > local/a.txt"}}
"""
SOME = "checks: [{name: some, run: 'test -s local/a.txt'}]\n"
PLAIN = """
scope: {allowed_paths: ["other/**"]}
steps: [{name: write, run: "mkdir -p other && env | grep -ciE '^[a-z]*_proxy=' > other/count; test $(cat other/count) = 0"}]
"""
PLACE = "raw/TASK-0001/EGRESS.json"
Change = Callable[[list[dict[str, Any]]], object]


@dataclass(frozen=True)
class Run:
    world: World
    map: Map
    status: Status

    @property
    def folder(self) -> Path:
        return self.world.last().parent

    @property
    def record(self) -> dict:
        return json.loads((self.folder / PLACE).read_text("utf-8"))


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Run]:
    folder = tmp_path_factory.mktemp("egress")
    (folder / "served").mkdir()
    (folder / "served/a.txt").write_text("over the wire\n")
    authority = Authority()
    world = World(folder / "repo")
    (folder / "ca.pem").write_bytes(authority.pem)
    world.write("fetch.py", FETCH)
    world.grant(f"host {HOST} TASK-0001")
    world.pack("TASK-0001-net", NET, CHECK)
    world.pack("TASK-0002-plain", PLAIN)
    context = authority.context(folder, HOST)
    with http_plain(folder / "served") as near, https(folder / "served", context) as port:
        local = f"localhost:{near}"
        world.grant(f"host {local} TASK-0003")
        world.write("factory.toml", f'[network]\nhosts = ["{HOST}", "{local}"]\n')
        world.pack("TASK-0003-local", LOCAL.format(port=near, url=f"http://{local}/a.txt"), SOME)
        world.commit()
        own = {"FACTORY_NETWORK_PRIVATE": local, "FACTORY_NETWORK_CA_FILE": str(folder / "ca.pem")}
        world.granted = {**world.granted, **own}
        found = Map({"localhost": ("127.0.0.1",)}, {"127.0.0.1": near})
        found.add(HOST, port)
        status, _ = oneshot(world, found.outside)
        yield Run(world, found, status)


def test_the_run_passes_and_each_connection_is_on_record(ran: Run) -> None:
    assert ran.status is Status.PASS, ran.world.findings()
    record = ran.record
    schema = json.loads((ROOT / "schemas/egress.schema.json").read_text("utf-8"))
    assert list(Draft202012Validator(schema).iter_errors(record)) == []
    assert (record["pack"], record["network"]) == ("TASK-0001", [HOST])
    rows = [
        (row["during"], row["attempt"], row["host"], row["verdict"])
        for row in record["connections"]
    ]
    assert rows == [
        ("steps", 1, HOST, "allowed"),
        ("steps", 1, "evil.example.org", "refused"),
        ("acceptance", 1, HOST, "allowed"),
        ("recheck", 0, HOST, "allowed"),
    ]
    assert all(
        row["bytes_down"] > 100 for row in record["connections"] if row["verdict"] == "allowed"
    )
    assert ran.map.resolved.count(HOST) == 3, "what is not declared is not even looked up"
    assert {*ran.map.resolved} == {HOST, "localhost"}
    assert {address for address, _ in ran.map.dialled} - {"127.0.0.1"} == {
        row["address"] for row in record["connections"]
    } - {""}


def test_a_local_model_is_reached_by_name_and_recorded(ran: Run) -> None:
    record = json.loads((ran.folder / "raw/TASK-0003/EGRESS.json").read_text("utf-8"))
    row, second = record["connections"]
    assert (second["reason"], second["host"]) == ("too-many-connections", "")
    assert (row["host"], row["address"]) == ("localhost", "127.0.0.1")
    assert (row["verdict"], row["via"]) == ("allowed", "")
    policy = json.loads((ran.folder / "attestations/policy.json").read_text("utf-8"))
    assert policy["network_private"] == [f"localhost:{row['port']}"]
    assert len(policy["network_authorities"]) == 64


def test_the_ledger_says_the_same_of_each_connection(ran: Run) -> None:
    events = [
        event
        for event in ran.world.events()
        if event["event_type"] == "egress.finished" and event["details"]["pack"] == "TASK-0001"
    ]
    connections = ran.record["connections"]
    assert [event["hashes"]["record"] for event in events] == [
        canonical.digest(row) for row in connections
    ]
    for event, row in zip(events, connections, strict=True):
        assert event["details"]["pack"] == "TASK-0001"
        assert (event["details"]["host"], event["details"]["verdict"]) == (
            row["host"],
            row["verdict"],
        )
        assert event["file_counts"]["bytes_up"] == row["bytes_up"]
        assert event["rc"] == (0 if row["verdict"] == "allowed" else 2)
    order = [
        event["event_type"]
        for event in ran.world.events()
        if event["details"].get("pack") == "TASK-0001"
    ]
    assert order.index("egress.finished") < order.index("step.finished")
    assert ran.world.factory("ledger-replay").rc == 0


def test_nothing_of_it_is_in_a_bundle_and_a_pack_without_network_has_none(ran: Run) -> None:
    assert not (ran.folder / "raw/TASK-0002/EGRESS.json").exists()
    for path in (ran.world.state / "bundles").rglob("*"):
        assert path.name != "EGRESS.json"
        if path.name == "STATUS.json":
            assert "EGRESS_REFUSED" not in path.read_text("utf-8")


def test_the_report_says_in_its_first_lines_who_reached_what(ran: Run) -> None:
    report = (ran.world.last() / "FINAL_REPORT.md").read_text("utf-8").splitlines()
    (line,) = [line for line in report[:10] if "Network" in line]
    assert line.startswith("**Network: TASK-0001 to files.example.org; TASK-0003 to localhost:")
    plain = (ran.world.last() / "FINAL_REPORT.txt").read_text("utf-8").splitlines()
    assert any(line.startswith("Network: TASK-0001 to files.example.org") for line in plain[:6])
    page = (ran.world.last() / "report.html").read_text("utf-8").partition("</header>")[0]
    assert "Network: TASK-0001 to files.example.org" in page
    lines = {line["pack"]: line for line in ran.world.status()["packs"]}
    assert (lines["TASK-0001"]["network"], lines["TASK-0002"]["network"]) == ([HOST], [])
    assert not lines["TASK-0001"]["reproducible"]


def test_a_refusal_is_a_remark_and_why_says_what_would_allow_it(ran: Run) -> None:
    cut, found = sorted(ran.world.status()["findings"], key=lambda one: one["id"])
    assert (cut["id"], cut["severity"], cut["pack"]) == ("EGRESS_CUT", "warning", "TASK-0003")
    assert cut["message"].startswith("it had 1 connections; ")
    assert "raise limits.connections to 2" in cut["hint"]
    assert (found["id"], found["severity"], found["pack"]) == (
        "EGRESS_REFUSED",
        "note",
        "TASK-0001",
    )
    assert (
        "tried evil.example.org:443; the egress proxy refused that: the pack's allow_network"
        in found["message"]
    )
    said = ran.world.factory("why", "TASK-0001")
    assert (
        f'allow it with: constraints: {{allow_network: ["{HOST}", "evil.example.org"]}}' in said.out
    )
    assert "would not run" in said.out


def test_the_probe_was_made_for_the_stage_with_a_listener_too(ran: Run) -> None:
    rows = (ran.folder / "raw/enforcement.tsv").read_text("utf-8").splitlines()
    (row,) = [row for row in rows if row.startswith("net_isolated\tgiven\t")]
    assert "with a listener for the proxy: tried and refused" in row


def test_the_checker_finds_nothing_wrong(ran: Run) -> None:
    assert ran.world.differs() == ""


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda rows: rows[1].update(verdict="allowed"), "digests of its connections"),
        (
            lambda rows: rows[0].update(host="evil.example.org"),
            "its target: expected one of files.example.org",
        ),
        (lambda rows: rows[0].update(address="10.0.0.1"), "its address: expected a public one"),
        (lambda rows: rows[0].update(via="proxy.corp:1"), "the proxy that it went by"),
        (lambda rows: rows.pop(), "digests of its connections"),
        (lambda rows: rows[0].update(bytes_up=0), "digests of its connections"),
        (lambda rows: rows[1].update(number=7), "its connections, counted"),
    ],
)
def test_a_changed_record_is_named_though_every_list_was_made_to_fit(
    ran: Run, change: Change, said: str
) -> None:
    def alter(record: dict) -> None:
        change(record["connections"])

    findings = altered(ran, alter)
    assert any(finding.id == "VERIFY_EGRESS" and said in finding.message for finding in findings), (
        findings
    )


def altered(ran: Run, alter: Callable[[dict], object]) -> tuple[Finding, ...]:
    evidence = load(ran.folder)
    record = json.loads(evidence.files[PLACE])
    alter(record)
    evidence.files[PLACE] = (
        json.dumps(record, indent=2, sort_keys=True, ensure_ascii=False).encode() + b"\n"
    )
    return check(relisted(evidence)).findings


def test_a_record_of_another_contract_is_named(ran: Run) -> None:
    found = altered(ran, lambda record: record.update(network=["*"]))
    assert any("what its contract declares" in finding.message for finding in found)
    assert any(
        "its pack" in finding.message
        for finding in altered(ran, lambda record: record.update(pack="TASK-0002"))
    )


@pytest.mark.parametrize(
    ("content", "kind", "said"),
    [(None, "VERIFY_MISSING", "expected its record, found none"), (b"{}", "VERIFY_FORM", "")],
)
def test_a_record_that_is_missing_or_broken_is_named(
    ran: Run, content: bytes | None, kind: str, said: str
) -> None:
    evidence = load(ran.folder)
    del evidence.files[PLACE]
    if content is not None:
        evidence.files[PLACE] = content
    found = check(relisted(evidence)).findings
    assert any(
        finding.id == kind and said in finding.message and PLACE in str(finding.location)
        for finding in found
    )


def test_a_record_of_a_pack_that_declares_nothing_is_named(ran: Run) -> None:
    evidence = load(ran.folder)
    evidence.files["raw/TASK-0002/EGRESS.json"] = evidence.files[PLACE].replace(
        b"TASK-0001", b"TASK-0002"
    )
    found = check(relisted(evidence)).findings
    assert any(
        f.id == "VERIFY_EGRESS" and "which declares no network, found some" in f.message
        for f in found
    )


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"grants": []}, f"does not allow: expected nothing, found {HOST}"),
        ({"network_private": []}, "its address: expected a public one, found 127.0.0.1"),
        ({"network_upstream": "proxy.corp:3128"}, "the proxy that it went by: expected proxy.corp"),
    ],
)
def test_a_policy_that_would_not_have_allowed_it_is_named(
    ran: Run, change: dict[str, object], said: str
) -> None:
    evidence = load(ran.folder)
    policy = json.loads(evidence.files["attestations/policy.json"])
    policy.update(change)
    text = json.dumps(policy, indent=2, sort_keys=True, ensure_ascii=False)
    evidence.files["attestations/policy.json"] = text.encode() + b"\n"
    found = check(relisted(evidence)).findings
    assert any(f.id == "VERIFY_EGRESS" and said in f.message for f in found), found
