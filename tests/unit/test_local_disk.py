"""Whose change times are believed: those of the disks on the list, told by the mount that a folder
is below.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from factory.files.local_disk import keeps_change_times, long_before

pytestmark = pytest.mark.linux

TABLE = """\
22 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw
23 22 0:21 / /proc rw - proc proc rw
24 22 0:30 / {here}/net rw,relatime shared:9 - nfs4 server:/export rw
25 24 8:2 / {here}/net/local rw - xfs /dev/sdb1 rw
26 22 0:31 / {here}/with\\040space rw - fuse.sshfs host: rw
27 22 8:3 / {here}/twice rw - ext4 /dev/sdc1 rw
28 22 0:33 / {here}/twice rw - tmpfs tmpfs rw
a line that is none
"""


@pytest.mark.parametrize(
    ("folder", "believed"),
    [
        ("", True),
        ("below/deep", True),
        ("network", True),
        ("net", False),
        ("net/below", False),
        ("net/local/below", True),
        ("with space", False),
        ("twice", False),
    ],
)
def test_the_deepest_mount_above_a_folder_decides(
    tmp_path: Path, folder: str, believed: bool
) -> None:
    table = tmp_path / "mountinfo"
    table.write_text(TABLE.format(here=os.path.realpath(tmp_path)), encoding="utf-8")
    assert keeps_change_times(tmp_path / folder, str(table)) is believed


@pytest.mark.parametrize(
    "kind", ["nfs", "9p", "fuse", "tmpfs", "vfat", "cifs", "virtiofs", "unheard_of", ""]
)
def test_what_is_not_on_the_list_is_not_believed(tmp_path: Path, kind: str) -> None:
    table = tmp_path / "mountinfo"
    table.write_text(f"22 1 8:1 / / rw - {kind} none rw\n", encoding="utf-8")
    assert not keeps_change_times(tmp_path, str(table))


def test_without_a_table_nothing_is_believed(tmp_path: Path) -> None:
    assert not keeps_change_times(tmp_path, str(tmp_path / "none"))


SECOND = 1_000_000_000


@pytest.mark.parametrize(
    ("changed", "now", "before"),
    [
        (10 * SECOND + 1, 10 * SECOND + 50_000_001, False),  # one tick of the clock may bear both
        (10 * SECOND + 1, 10 * SECOND + 50_000_002, True),
        (10 * SECOND, 11 * SECOND, False),  # a whole second: this disk may know no parts of one
        (10 * SECOND, 12 * SECOND + 1, True),
        (12 * SECOND + 1, 10 * SECOND, False),
    ],
)
def test_a_change_must_be_older_than_a_later_one_could_look(
    changed: int, now: int, before: bool
) -> None:
    assert long_before(changed, now) is before
