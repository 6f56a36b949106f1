"""Which networks this host is on, by the kernel's tables."""

from __future__ import annotations

from pathlib import Path

import pytest

from factory.egress.near import EVERYTHING, networks
from factory.egress.rules import is_near

ROUTE = """\
Iface\tDestination\tGateway\tFlags\tRefCnt\tUse\tMetric\tMask\tMTU\tWindow\tIRTT
eth0\t00000000\t0101A8C0\t0003\t0\t0\t0\t00000000\t0\t0\t0
eth0\t00090909\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\t0\t0
tun0\t00000000\t00000000\t0001\t0\t0\t0\t00000000\t0\t0\t0
eth1\t00080808\t01090909\t0003\t0\t0\t0\t00FFFFFF\t0\t0\t0
eth2\t00070707\t00000000\t0000\t0\t0\t0\t00FFFFFF\t0\t0\t0
"""
TRIE = """\
Main:
     |-- 9.9.9.0
        /24 link UNICAST
     |-- 5.6.7.8
        /32 host LOCAL
"""
SIX = "262000fe000000000000000000000009 02 30 00 80 eth0\n"


@pytest.fixture
def tables(tmp_path: Path) -> Path:
    for name, text in (("route", ROUTE), ("fib_trie", TRIE), ("if_inet6", SIX)):
        (tmp_path / name).write_text(text)
    return tmp_path


@pytest.mark.parametrize(
    ("address", "due"),
    [
        ("9.9.9.77", True),  # on a link
        ("5.6.7.8", True),  # its own
        ("5.6.7.9", False),
        ("8.8.8.8", False),  # behind a gateway
        ("7.7.7.7", False),  # the interface is down
        ("2620:fe::77", True),
        ("2620:ff::9", False),
        ("no address", True),
    ],
)
def test_what_is_near(tables: Path, address: str, due: bool) -> None:
    assert is_near(address, networks(tables)) is due


@pytest.mark.parametrize("name", ["route", "fib_trie"])
def test_where_a_table_cannot_be_read_everything_is_near(tables: Path, name: str) -> None:
    (tables / name).unlink()
    assert networks(tables) == EVERYTHING
    assert is_near("8.8.8.8", networks(tables))


def test_a_host_without_ipv6_has_no_table_of_it(tables: Path) -> None:
    (tables / "if_inet6").unlink()
    assert is_near("9.9.9.9", networks(tables))
    assert not is_near("2620:fe::77", networks(tables))


@pytest.mark.linux
def test_loopback_of_this_host_is_near() -> None:
    assert is_near("127.0.0.1", networks())
