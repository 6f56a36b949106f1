"""What a pack tries to reach is seen by the host, goes on as it would, and is explained with its
remedy.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator

from factory.plan.stages import PackSandbox
from factory.sandbox.observe import MOST
from factory.sandbox.properties import Property
from factory.sandbox.values import ConnectAttempt, Ended
from tests.sandbox_kit import MIB, SMALL, run, sandbox, stage
from tests.world import World

pytestmark = pytest.mark.linux

ROOT = Path(__file__).parents[2]
NETWORK = 'constraints: {allow_network: ["…"]}'
TRY = r"""
import socket
own = socket.create_server(("127.0.0.1", 0))
with socket.create_connection(own.getsockname()) as client, own.accept()[0] as served:
    client.sendall(b"x")
    assert served.recv(1) == b"x"
for address in (("169.254.169.254", 80), ("203.0.113.9", 443), ("203.0.113.9", 443)):
    try:
        socket.create_connection(address, 5)
    except OSError as error:
        print(error.errno)
with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp:
    try:
        udp.sendto(b"x", ("8.8.8.8", 53))
    except OSError as error:
        print(error.errno)
with socket.socket(socket.AF_UNIX) as bus:
    print(bus.connect_ex("/var/run/docker.sock"))
"""


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PackSandbox]:
    with sandbox(tmp_path_factory.mktemp("sandbox")) as (built, _):
        yield built


def script(text: str) -> str:
    return f"cat >/tmp/try.py <<'END'\n{text}\nEND\npython3 -I -S /tmp/try.py"


def test_every_address_is_seen_and_every_call_goes_on_as_it_would(made: PackSandbox) -> None:
    with stage(made) as opened:
        outcome = run(opened, script(TRY))
        assert outcome.log.split() == [b"101", b"101", b"101", b"101", b"2"], outcome.log
        seen = {(each.call, each.address, each.port): each.count for each in outcome.tried or ()}
        port = next(each.port for each in outcome.tried or () if each.address == "127.0.0.1")
        assert seen == {
            ("connect", "127.0.0.1", port): 1,
            ("connect", "169.254.169.254", 80): 1,
            ("connect", "203.0.113.9", 443): 2,
            ("send", "8.8.8.8", 53): 1,
            ("connect", "/var/run/docker.sock", 0): 1,
        }
        assert run(opened, "true").tried == (), "of the command before nothing is left"


def test_a_flood_of_addresses_is_bounded_and_hides_nothing_from_clock_and_memory(
    made: PackSandbox,
) -> None:
    flood = (
        "import socket\nfor port in range(1, 400):\n    socket.socket().connect_ex(('203.0.113.9',"
        " port))\n"
    )
    endless = "import socket\nwhile True:\n    socket.socket().connect_ex(('203.0.113.9', 1))\n"
    hog = endless.replace(
        "while True:\n", "held = []\nwhile True:\n    held.append(bytes(1 << 20))\n"
    )
    with stage(made) as opened:
        outcome = run(opened, script(flood))
        tried = outcome.tried or ()
        assert len(tried) == MOST + 1
        assert tried[-1] == ConnectAttempt("", "", "", 0, 399 - MOST)
        assert run(opened, script(endless), timeout=0.5).ended is Ended.TIMEOUT
    with stage(made, replace(SMALL, memory=48 * MIB)) as opened:
        assert run(opened, script(hog), timeout=60).ended is Ended.MEMORY


def test_no_address_can_be_read_from_a_pointer_that_leads_nowhere(made: PackSandbox) -> None:
    text = (
        "import ctypes\nlibc = ctypes.CDLL(None, use_errno=True)\n"
        "print(libc.connect(0, ctypes.c_void_p(1), 16), ctypes.get_errno())\n"
        "print(libc.connect(0, ctypes.c_void_p(-1), 1 << 30), ctypes.get_errno())\n"
    )
    with stage(made) as opened:
        outcome = run(opened, script(text))
        assert outcome.log.count(b"-1 ") == 2, outcome.log
        assert outcome.tried == ()


def test_a_pack_cannot_listen_in_its_place(made: PackSandbox) -> None:
    text = (
        "import ctypes, os, struct\nlibc = ctypes.CDLL(None, use_errno=True)\ncode ="
        " ctypes.create_string_buffer(struct.pack('HBBI', 6, 0, 0, 0x7FFF0000))\nheader ="
        " struct.pack('HxxxxxxP', 1, ctypes.addressof(code))\nnumber = {'x86_64': 317, 'aarch64':"
        " 277}[os.uname().machine]\nprint(libc.syscall(number, 1, 0, header), libc.syscall(number,"
        " 1, 8, header), ctypes.get_errno())\n"
    )
    with stage(made) as opened:
        assert (
            run(opened, script(text)).log == b"0 -1 1\n"
        )  # the filter refuses it before the kernel would


def test_denials_are_recorded_and_explained(tmp_path: Path) -> None:
    world = World(tmp_path / "w")
    world.pack(
        "TASK-0104-links",
        """
        scope: {allowed_paths: ["docs/**"]}
        steps: [{name: try, run: "python3 -I -S taskpacks/TASK-0104-links/try.py; echo >>README.md"}]
        """,
        **{"try.py": TRY},
    )
    world.commit()
    assert world.factory("why", "TASK-0104", "--denied").out.startswith(
        "TASK-0104: nothing is known"
    )
    assert world.factory("oneshot").rc == 2
    (folder,) = (world.state / "runs").glob("*/raw/TASK-0104")
    document = json.loads((folder / "DENIED.json").read_text())
    schema = json.loads((ROOT / "schemas" / "denied.schema.json").read_text())
    assert list(Draft202012Validator(schema).iter_errors(document)) == []
    assert document["observed"] == ["network"]
    told = world.factory("why", "TASK-0104", "--denied")
    assert told.rc == 0
    assert told.out.splitlines() == [
        "denied   connect 169.254.169.254:80   constraints.allow_network is false  (step-1)",
        "         never granted; nothing in the contract can allow it",
        "denied   connect 203.0.113.9:443   constraints.allow_network is false  (step-1, 2 times)",
        "         never granted; nothing in the contract can allow it",
        "denied   send 8.8.8.8:53   constraints.allow_network is false  (step-1)",
        f"         no address can be allowed, only its host by name, through the proxy: {NETWORK}",
        "denied   connect /var/run/docker.sock   sockets of the host are never shown  (step-1)",
        "         never granted; nothing in the contract can allow it",
        "denied   change README.md was changed; scope allows docs/**   SCOPE_OUTSIDE_ALLOWED",
        '         allow it with: scope: {allowed_paths: ["docs/**", "README.md"]}',
    ]
    rows = json.loads(world.factory("why", "TASK-0104", "--denied", "--json").out)
    assert [each["what"] for each in rows["denied"]][:2] == [
        "169.254.169.254:80",
        "203.0.113.9:443",
    ]


@pytest.mark.parametrize("backend", ["bubblewrap", "landlock"])
def test_a_lower_backend_blocks_what_needs_network_alone_and_says_that_it_saw_no_address(
    tmp_path: Path, backend: str
) -> None:
    world = World(tmp_path / "w")
    world.grant("host example.org TASK-0105")
    world.pack(
        "TASK-0104-tries",
        "steps: [{name: try, run: python3 -I -S taskpacks/TASK-0104-tries/try.py || true}]",
        **{"try.py": "import socket\nsocket.create_connection(('203.0.113.9', 443), 5)\n"},
    )
    world.pack(
        "TASK-0105-declares",
        "constraints: {allow_network: [example.org]}\nsteps: [{name: no, run: 'true'}]",
    )
    world.commit()
    lacking = ",".join(each.value for each in Property if each is not Property.NET_ISOLATED)
    assert world.factory("oneshot", FACTORY_BACKEND=backend, FACTORY_ACCEPT_MISSING=lacking).rc == 2
    assert set(world.findings()) - {"PROPERTY_ACCEPTED"} == {"NETWORK_UNAVAILABLE"}
    assert world.bundle("TASK-0104")["status"] == "PASS"
    assert not (world.state / "bundles/TASK-0105").exists()
    (folder,) = (world.state / "runs").glob("*/raw/TASK-0104")
    assert json.loads((folder / "DENIED.json").read_text())["observed"] == []
    told = world.factory("why", "TASK-0104", "--denied").out
    assert told == "note: on this host it could not be seen what a pack tries to reach\n"
