"""A pack that changes a cloud through the real pipeline: real programs in the real sandbox, and the
value nowhere.
"""

from __future__ import annotations

import http.server
import json
import shutil
import ssl
import subprocess
import threading
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import pytest

from factory.contract.cloud_credentials import CloudAccess, read
from factory.model.verdict import Status
from factory.plan.cloud import UserCloud
from factory.redact.redaction import Redactor, base64_forms, straight_forms
from tests.egress_kit import Authority, Map
from tests.in_process import oneshot
from tests.world import World, environment

pytestmark = pytest.mark.linux

HOST = "api.example.org"
SECRET = "kQ7-canary/of+the_user-" + "x9" * 12
NEEDLES = (*straight_forms(SECRET.encode()), *base64_forms(SECRET.encode()))
GRANT = f"{HOST} authorization-bearer env:CLOUD_TOKEN"
# A fresh host has no curl. Git brings libcurl along, and clones here in any case.
CURL = "curl" if shutil.which("curl", path="/usr/local/bin:/usr/bin:/bin") else "urllib again"

WORK = f"""\
import json, os, subprocess, urllib.request
def run(*words):
    return subprocess.run(words, check=True, capture_output=True, text=True).stdout
url, own = "https://{HOST}/v1/things?key=hidden", {{"Authorization": "Bearer x"}}
asked = urllib.request.Request(url, b"made by urllib", own)
with urllib.request.urlopen(asked, timeout=60) as answer:
    told = [json.load(answer)]
if {CURL!r} == "curl":
    put = run("curl", "-fsS", "-X", "PUT", "-d", "made by curl", "https://{HOST}/v1/things/2")
else:
    asked = urllib.request.Request("https://{HOST}/v1/things/2", b"made by {CURL}", method="PUT")
    with urllib.request.urlopen(asked, timeout=60) as answer:
        put = answer.read()
told.append(json.loads(put))
run("git", "clone", "-q", "https://{HOST}/repo.git", "/tmp/clone")
told.append(open("/tmp/clone/README").read())
try:
    urllib.request.urlopen("https://{HOST}/echo", timeout=60).read()
    told.append("the host told the credential")
except OSError as error:
    told.append(type(error).__name__)
os.makedirs("docs", exist_ok=True)
json.dump(told, open("docs/told.json", "w"))
"""
LOOK = f"""\
import os
needle = {SECRET[::-1]!r}[::-1].encode()
seen, found = 0, []
def look(path):
    global seen
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
        with open(descriptor, "rb") as stream:
            seen += 1
            if needle in stream.read(1 << 24) :
                found.append(path)
    except OSError:
        return
for process in filter(str.isdigit, os.listdir("/proc")):
    for name in ("environ", "cmdline", "maps", "mountinfo"):
        look(f"/proc/{{process}}/{{name}}")
for top in ("/etc", "/run", "/tmp", "/home", "/dev/shm", "/var", "/workspace"):
    for folder, _, names in os.walk(top):
        for name in names:
            look(f"{{folder}}/{{name}}")
assert seen > 50, seen
assert found == [], found
assert needle not in repr(os.environ).encode()
"""
PACK = f"""
constraints: {{allow_network: [{HOST}], allow_cloud_mutations: [{HOST}]}}
scope: {{allowed_paths: ["docs/**"]}}
steps:
  - {{name: work, run: "python work.py"}}
  - {{name: look, run: "python look.py"}}
"""


class _Cloud(http.server.SimpleHTTPRequestHandler):
    """Demands the credential for everything, a repository's files included, and remembers what was
    asked of it.
    """

    protocol_version = "HTTP/1.1"
    seen: ClassVar[list[tuple[str, str, bytes]]]

    def log_message(self, *_words: object) -> None:
        """Nothing on the terminal of the tests."""

    def _change(self) -> None:
        body = self.rfile.read(int(self.headers.get("content-length", 0)))
        self._say(201, json.dumps({"got": body.decode()}).encode()) if self._known(body) else None

    def do_GET(self) -> None:
        if not self._known(b""):
            return
        if self.path == "/echo":
            self._say(200, f"you sent {self.headers['authorization']}".encode())
        else:
            super().do_GET()

    def _known(self, body: bytes) -> bool:
        self.seen.append((self.command, self.path, body))
        known = self.headers.get("authorization") == f"Bearer {SECRET}"
        if not known:
            self._say(401, b"who are you?")
        return known

    def _say(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


@dataclass(frozen=True)
class Run:
    world: World
    status: Status
    seen: list[tuple[str, str, bytes]]

    @property
    def folder(self) -> Path:
        return self.world.last().parent


def served(folder: Path) -> None:
    """A repository that any server of plain files serves."""
    work = folder / "work"
    work.mkdir(parents=True)
    (work / "README").write_text("from the cloud\n")
    git = ["git", "-c", "user.name=A", "-c", "user.email=a@example.org"]
    for words in (["init", "-q", "-b", "main"], ["add", "-A"], ["commit", "-qm", "one"]):
        subprocess.run([*git, *words], cwd=work, check=True, env=environment(), capture_output=True)
    subprocess.run(
        [*git, "clone", "-q", "--bare", str(work), str(folder / "repo.git")],
        check=True,
        env=environment(),
    )
    subprocess.run(
        [*git, "update-server-info"], cwd=folder / "repo.git", check=True, env=environment()
    )
    shutil.rmtree(work)


def declared(root: Path) -> World:
    world = World(root / "repository")
    world.write("work.py", WORK)
    world.write("look.py", LOOK)
    world.write("factory.toml", f'[network]\nhosts = ["{HOST}"]\n')
    world.grant(f"host {HOST} TASK-0001")
    world.pack("TASK-0001-cloud", PACK, "checks: [{name: told, run: 'test -s docs/told.json'}]\n")
    world.commit()
    return world


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> Run:
    folder = tmp_path_factory.mktemp("cloud")
    served(folder / "served")
    authority = Authority()
    context = authority.context(folder, HOST)
    seen: list[tuple[str, str, bytes]] = []
    changes = {f"do_{method}": _Cloud._change for method in ("POST", "PUT")}
    handler = type("Handler", (_Cloud,), {"seen": seen, **changes})
    world = declared(folder)

    def make(*words: object) -> http.server.SimpleHTTPRequestHandler:
        return handler(*words, directory=str(folder / "served"))

    held = read([GRANT], {"CLOUD_TOKEN": SECRET})
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), make) as server:
        server.socket = context.wrap_socket(
            server.socket, server_side=True, do_handshake_on_connect=False
        )
        thread = threading.Thread(
            target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True
        )
        thread.start()
        found = Map()
        found.add(HOST, server.server_address[1])
        try:
            status = with_grants(world, found, held, authority)
        finally:
            server.shutdown()
            thread.join()
    return Run(world, status, seen)


def with_grants(world: World, found: Map, held: CloudAccess, authority: Authority) -> Status:
    redactor = Redactor(held.known)
    cloud = UserCloud(
        held, redactor, lambda: ssl.create_default_context(cadata=authority.pem.decode())
    )
    status, _ = oneshot(world, found.outside, cloud=lambda _: cloud, redactor=lambda _: redactor)
    return status


def test_real_programs_change_the_cloud_with_a_credential_that_they_never_had(ran: Run) -> None:
    assert ran.status is Status.PASS, ran.world.status()["findings"]
    assert [(method, path, body) for method, path, body in ran.seen if method != "GET"] == [
        ("POST", "/v1/things?key=hidden", b"made by urllib"),
        ("PUT", "/v1/things/2", f"made by {CURL}".encode()),
    ]
    patch = (ran.world.state / "bundles/TASK-0001/DIFF.patch").read_text()
    assert (
        f'[{{"got": "made by urllib"}}, {{"got": "made by {CURL}"}}, "from the cloud\\n",'
        ' "HTTPError"]' in patch
    )


def test_each_mutation_is_evidence(ran: Run) -> None:
    record = json.loads((ran.folder / "raw/TASK-0001/EGRESS.json").read_text())
    requests = [one for connection in record["connections"] for one in connection["requests"]]
    changes = [
        (one["method"], one["host"], one["path"], one["status"])
        for one in requests
        if one["method"] != "GET"
    ]
    assert changes == [("POST", HOST, "/v1/things?key=*", 201), ("PUT", HOST, "/v1/things/2", 201)]
    assert all(one["bytes_up"] > 0 and one["bytes_down"] > 0 for one in requests)
    (echoed,) = [
        connection
        for connection in record["connections"]
        if connection["reason"] == "refused-by-interceptor"
    ]
    assert [(one["path"], one["status"]) for one in echoed["requests"]] == [("/echo", 200)]


def test_the_grant_is_in_the_first_lines_of_the_report(ran: Run) -> None:
    said = f"TASK-0001 may change the contents of {HOST}, with your credential, which it never sees"
    head = (ran.world.last() / "FINAL_REPORT.md").read_text().split("| pack |")[0]
    assert said in head
    assert f"Cloud: {said}" in (ran.world.last() / "FINAL_REPORT.txt").read_text().splitlines()[:8]
    assert ran.world.differs() == ""


def test_the_value_is_in_no_file_of_the_evidence(ran: Run) -> None:
    found = []
    for path in ran.world.state.rglob("*"):
        if not path.is_file() or path.is_symlink():
            continue
        content = path.read_bytes()
        if content[:1] == b"x":  # an object of Git
            try:
                content += zlib.decompress(content)
            except zlib.error:
                content += b""
        found += [str(path) for needle in NEEDLES if needle in content]
    assert found == []


@pytest.mark.parametrize(
    ("inject", "variables", "finding"),
    [
        ("", {}, "CLOUD_NOT_GRANTED"),
        (
            "other.example.org authorization-bearer env:CLOUD_TOKEN",
            {"CLOUD_TOKEN": SECRET},
            "CLOUD_NOT_GRANTED",
        ),
        (GRANT, {}, "CLOUD_UNAVAILABLE"),
        (GRANT, {"CLOUD_TOKEN": "short"}, "CLOUD_UNAVAILABLE"),
    ],
)
def test_without_a_grant_that_holds_nothing_runs(
    tmp_path: Path, inject: str, variables: dict[str, str], finding: str
) -> None:
    world = declared(tmp_path)
    done = world.factory("oneshot", FACTORY_CLOUD_INJECT=inject, **variables)
    assert done.rc == 2
    assert finding in done.text
    assert SECRET not in done.text
    assert world.executed() == []


def test_configuration_names_a_credential_and_never_tells_it(tmp_path: Path) -> None:
    world = declared(tmp_path)
    shown = world.factory("config", FACTORY_CLOUD_INJECT=GRANT, CLOUD_TOKEN=SECRET)
    assert shown.rc == 0
    assert GRANT in shown.text
    assert SECRET not in shown.text
    some = f"{GRANT} POST /v1/things PUT /v1/things/*"
    listed = world.factory("grant", "--list", FACTORY_CLOUD_INJECT=some, CLOUD_TOKEN=SECRET)
    assert f"goes to {HOST}: POST /v1/things, PUT /v1/things/*" in listed.out
    whole = world.factory("grant", "--list", FACTORY_CLOUD_INJECT=GRANT, CLOUD_TOKEN=SECRET)
    assert f"goes to {HOST}: any request" in whole.out
    assert SECRET not in listed.text + whole.text


def test_authorities_that_cannot_be_read_are_a_finding_and_no_pack_runs(tmp_path: Path) -> None:
    world = declared(tmp_path)
    (tmp_path / "odd.pem").write_text("hello")
    for name, said in (("none.pem", "No such file"), ("odd.pem", "none that can be read")):
        done = world.factory("oneshot", FACTORY_NETWORK_CA_FILE=str(tmp_path / name))
        assert done.rc == 2
        assert "CONFIG_INVALID" in done.text
        assert said in done.text
    login = "http://me:word@proxy.example.org:3128"
    done = world.factory("config", FACTORY_NETWORK_UPSTREAM_PROXY=login)
    assert done.rc == 2
    assert "me:word" not in done.text
