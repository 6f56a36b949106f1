"""The worked example of docs/factory/AGENTS.md, as it is there: an agent as a step, asking a scripted
model on loopback that answers nobody without the user's key.
"""

from __future__ import annotations

import hashlib
import http.server
import json
import re
import ssl
import threading
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import pytest

from factory.contract.cloud_credentials import read
from factory.model.verdict import Status
from factory.plan.cloud import UserCloud
from factory.redact.redaction import Redactor
from tests.egress_kit import Authority, Map
from tests.in_process import oneshot
from tests.verify_kit import check, load, relisted
from tests.world import World

pytestmark = pytest.mark.linux

PAGE = Path(__file__).resolve().parents[2] / "docs/factory/AGENTS.md"
HOST = "api.openai.com"
KEY = "sk-canary-" + "q7Zx" * 8
MODEL = {
    "model": "gpt-5-2026",
    "created_at": "2026-11-30T12:13:14Z",
    "usage": {"input_tokens": 321, "output_tokens": 45},
}
# What an agent could be led to do with a key that it does not have.
HARM = f"""
import urllib.request, urllib.error
for method, path in (("DELETE", "/v1/organization/admin_api_keys/1"), ("POST", "/v1/fine_tuning/jobs")):
    asked = urllib.request.Request("https://{HOST}" + path, b"{{}}", method=method)
    try:
        print(urllib.request.urlopen(asked, timeout=60).status)
    except urllib.error.HTTPError as error:
        print(error.code, error.read().decode())
"""


def blocks() -> dict[str, str]:
    """The files that the page shows whole, by the path in their first line."""
    found = re.findall(r"```\w+\n# (taskpacks/\S+)\n(.*?)```", PAGE.read_text("utf-8"), re.DOTALL)
    return dict(found)


def injected() -> list[str]:
    (text,) = re.findall(r"```toml\n(\[cloud\].*?)```", PAGE.read_text("utf-8"), re.DOTALL)
    lines: list[str] = tomllib.loads(text)["cloud"]["inject"]
    return lines


class _Model(http.server.BaseHTTPRequestHandler):
    """Answers one prompt, with 401 to whoever has no key."""

    protocol_version = "HTTP/1.1"
    seen: ClassVar[list[tuple[str, str]]]

    def log_message(self, *_words: object) -> None:
        """Nothing on the terminal of the tests."""

    def do_POST(self) -> None:
        self.seen.append((self.command, self.path))
        asked = json.loads(self.rfile.read(int(self.headers["content-length"])))
        known = (
            self.headers["authorization"] == f"Bearer {KEY}" and "return a - b" in asked["input"]
        )
        learned = "Last time: " in asked["input"] and "AssertionError: 3 != 4" in asked["input"]
        text = f"def add(a, b):\n    return a + b{'' if learned else ' - 1'}\n"
        said = {"output": [{"content": [{"type": "output_text", "text": text}]}], **MODEL}
        body = json.dumps(said if known else {"error": "who are you?"}).encode()
        self.send_response(200 if known else 401)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_DELETE(self) -> None:
        self.do_POST()


@dataclass(frozen=True)
class Run:
    world: World
    status: Status
    seen: list[tuple[str, str]]


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> Run:
    folder = tmp_path_factory.mktemp("agent")
    world = World(folder / "repository")
    world.write("calc.py", "def add(a, b):\n    return a - b\n")
    world.write(
        "test_calc.py",
        "import unittest, calc\n\nclass Add(unittest.TestCase):\n"
        "    def test_add(self):\n        self.assertEqual(calc.add(2, 2), 4)\n",
    )
    files = blocks()
    harm = '\n  - {name: harm, run: "python harm.py > .agent/harm"}\n'
    for path, content in files.items():
        world.write(path, content + harm if path.endswith("task.yml") else content)
    pack = "taskpacks/TASK-0001-fix-add"
    world.write(f"{pack}/spec.md", "Make `add` add. Change nothing else.\n")
    world.write("harm.py", HARM)
    for name in ("risk.md", "runbook.md"):
        world.write(f"{pack}/{name}", "Nothing to add.\n")
    world.grant(f"host {HOST} TASK-0001")
    world.commit()
    seen: list[tuple[str, str]] = []
    authority = Authority()
    handler = type("Handler", (_Model,), {"seen": seen})
    access = read(injected(), {"OPENAI_API_KEY": KEY})
    redactor = Redactor(access.known)
    cloud = UserCloud(
        access, redactor, lambda: ssl.create_default_context(cadata=authority.pem.decode())
    )
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        server.socket = authority.context(folder, HOST).wrap_socket(
            server.socket, server_side=True, do_handshake_on_connect=False
        )
        thread = threading.Thread(
            target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True
        )
        thread.start()
        found = Map()
        found.add(HOST, server.server_address[1])
        try:
            status, _ = oneshot(
                world, found.outside, cloud=lambda _: cloud, redactor=lambda _: redactor
            )
        finally:
            server.shutdown()
            thread.join()
    return Run(world, status, seen)


def test_the_page_shows_the_files_of_a_pack() -> None:
    names = [path.rpartition("/")[2] for path in blocks()]
    assert names == ["task.yml", "acceptance.yml", "ask.py"]


def test_the_agents_work_passes_and_only_the_named_request_went_out(ran: Run) -> None:
    assert ran.status is Status.PASS, ran.world.findings()
    assert ran.seen == [("POST", "/v1/responses")] * 2, "the second attempt knew why"
    patch = (ran.world.state / "bundles/TASK-0001/DIFF.patch").read_text()
    assert "+    return a + b" in patch
    assert "harm" not in patch


def test_other_requests_are_refused_and_recorded(ran: Run) -> None:
    place = ran.world.last().parent / "raw/TASK-0001/EGRESS.json"
    rows = json.loads(place.read_text())["connections"]
    asked = [(one["method"], one["path"], one["status"]) for row in rows for one in row["requests"]]
    assert asked == 2 * [
        ("POST", "/v1/responses", 200),
        ("DELETE", "/v1/organization/admin_api_keys/1", 403),
        ("POST", "/v1/fine_tuning/jobs", 403),
    ]
    assert {row["during"] for row in rows} == {"steps"}, "acceptance has no network"
    harm = (ran.world.state / "bundles/TASK-0001/ARTIFACTS/.agent/harm").read_text()
    assert harm.count("names other requests") == 2


def test_model_and_tokens_are_recorded_as_the_proxy_saw_them(ran: Run) -> None:
    place = ran.world.last().parent / "raw/TASK-0001/EGRESS.json"
    first = json.loads(place.read_text())["connections"][0]["requests"][0]
    assert (first["model"], first["tokens_in"], first["tokens_out"]) == ("gpt-5-2026", 321, 45)
    assert [found["id"] for found in ran.world.status()["findings"]].count("MODEL_ASKED") == 1
    report = (ran.world.last() / "FINAL_REPORT.txt").read_text()
    assert "gpt-5-2026 answered 2 requests: 642 tokens in, 90 out, as the proxy saw" in report


def test_the_second_attempt_could_read_why_the_first_one_failed(ran: Run) -> None:
    raw = ran.world.last().parent / "raw/TASK-0001"
    text = (raw / "attempt-2/LEARNED.json").read_bytes()
    lesson = json.loads(text)
    assert (lesson["attempt"], lesson["failed"][0]["label"]) == (1, "tests-1")
    assert "AssertionError: 3 != 4" in lesson["failed"][0]["output_ends_with"]
    status = json.loads((ran.world.state / "bundles/TASK-0001/STATUS.json").read_text())
    learned = [one["learned"] for one in status["attempts"]]
    assert learned == ["", hashlib.sha256(text).hexdigest()]
    assert not (raw / "attempt-1/LEARNED.json").exists()
    (line,) = ran.world.status()["packs"]
    assert not line["reproducible"]


def test_a_transcript_is_kept_as_it_was_but_for_credentials(ran: Run) -> None:
    bundle = ran.world.state / "bundles/TASK-0001"
    kept = json.loads((bundle / "ARTIFACTS/.agent/ask.log").read_text())
    assert kept == {"model": "gpt-5-2026", "at": "2026-11-30T12:13:14Z"}
    assert "12:13:14" not in (bundle / "LOGS/step-1.log").read_text(), "a log is normalised"


def test_the_report_says_what_may_be_asked_and_the_key_is_nowhere(ran: Run) -> None:
    head = (ran.world.last() / "FINAL_REPORT.txt").read_text().splitlines()[:10]
    assert any(f"may send POST {HOST}/v1/responses, with your credential" in line for line in head)
    files = [path for path in ran.world.state.rglob("*") if path.is_file()]
    assert [path for path in files if KEY.encode() in path.read_bytes()] == []
    assert ran.world.differs() == ""


@pytest.mark.parametrize("content", [b"{}\n", None])
def test_what_was_learned_is_checked_against_the_bundle(ran: Run, content: bytes | None) -> None:
    evidence = load(ran.world.last().parent)
    place = "raw/TASK-0001/attempt-2/LEARNED.json"
    del evidence.files[place]
    if content is not None:
        evidence.files[place] = content
    found = [finding.message for finding in check(relisted(evidence)).findings]
    assert any("what attempt 2 could read of the last one" in one for one in found), found
