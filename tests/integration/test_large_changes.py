"""Changes that take long to compare: refused where that is certain without it, bounded in time,
compared aside.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from factory.judge import effort
from factory.model.verdict import Status
from factory.run import attempt
from tests.in_process import oneshot
from tests.world import World, environment

pytestmark = pytest.mark.linux

WRITES = """scope: {{allowed_paths: [src/]}}
steps: ["python taskpacks/{0}/write.py > src/big"]
"""
LATE = 77


def rows(count: int, seed: int) -> str:
    """A text of two kinds of lines in an order that is nowhere regular."""
    return (
        f"import random\nr = random.Random({seed})\nprint(*(r.choice('ab') for _ in"
        f" range({count})), sep='\\n')\n"
    )


class Counted:
    """The object store, and how often it was asked to compare which trees within which time."""

    def __init__(self, real: Any, asked: list[tuple[str, str, float]]) -> None:
        self.real = real
        self.asked = asked

    def patch(self, before: str, after: str, within: float = 0.0) -> object:
        self.asked.append((before, after, within))
        return self.real.patch(before, after, within)

    def numstat(self, before: str, after: str, within: float = 0.0) -> object:
        self.asked.append((before, after, within))
        return self.real.numstat(before, after, within)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.real, name)


def played(
    place: Path, limits: str, count: int
) -> tuple[World, Status, list[tuple[str, str, float]]]:
    world = World(place / "repository")
    big = "\n".join("ab"[number * number % 7 % 2] for number in range(110_000))
    world.write("src/big", big)
    files = {"write.py": rows(count, 1)}
    world.pack("TASK-0001-a", f"limits: {limits}\n" + WRITES.format("TASK-0001-a"), None, **files)
    world.commit()
    asked: list[tuple[str, str, float]] = []
    status, _ = oneshot(world, objects=lambda real: Counted(real, asked))
    return world, status, asked


def withheld(world: World, message: str) -> None:
    """The bundle is whole, says why, and carries no change; whoever checks it agrees, and who runs
    the pack again comes to the same.
    """
    says(world, message)
    assert world.factory("bundle-validate", "TASK-0001").rc == 2
    assert world.differs() == ""


def says(world: World, message: str) -> None:
    """The bundle says why it carries no change."""
    bundle = world.bundle("TASK-0001")
    (finding,) = bundle["findings"]
    assert (finding["id"], finding["message"]) == ("CHANGE_TOO_LARGE", message)
    assert (bundle["status"], bundle["files_changed"], bundle["result_tree"]) == (
        "BLOCKED",
        0,
        bundle["base_tree"],
    )
    assert [check["label"] for check in bundle["checks"]] == ["step-1"]


def test_what_is_certainly_too_much_is_never_compared(tmp_path: Path) -> None:
    world, status, asked = played(tmp_path, "{changed_lines: 100}", 300_000)
    assert (status, asked) == (Status.BLOCKED, [])
    sentence = "at least 190000 lines were changed; limits.changed_lines allows 100"
    withheld(world, f"{sentence}, and so large a change is neither compared nor kept")
    assert (
        "allow it with: limits: {changed_lines: …} of at least "
        in world.factory("why", "TASK-0001").text
    )


def test_what_cannot_be_compared_in_time_is_a_finding(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(attempt, "seconds_for", lambda timeout: timeout / 77_000)
    world, status, asked = played(tmp_path, f"{{timeout: {LATE}s}}", 110_000)
    assert (status, [within for _, _, within in asked]) == (Status.BLOCKED, [0.001])
    withheld(
        world,
        "expected to compare the change line by line within 0 seconds, found that it takes longer, so it is not kept",
    )


def test_what_is_large_and_allowed_is_compared_aside_and_kept(tmp_path: Path) -> None:
    world, status, asked = played(tmp_path, "{changed_lines: 300000}", 110_000)
    assert status is Status.PASS
    assert {within for _, _, within in asked[:2]} == {300.0}  # launch
    assert asked[2][2] == 300.0  # validation
    patch = world.state / "bundles" / "TASK-0001" / "DIFF.patch"
    assert patch.stat().st_size > 100_000
    assert world.differs() == ""


def test_more_bytes_than_a_bundle_may_carry_are_never_read_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(effort, "MOST_BYTES", 1000)
    world, status, asked = played(tmp_path, "{changed_lines: 300000}", 1000)
    assert (status, asked) == (Status.BLOCKED, [])
    big = len((world.root / "src/big").read_bytes()) + 2000
    says(
        world,
        f"the changed files have {big} bytes, old and new together; expected at most 1000, so the"
        " change is not kept",
    )
    assert world.differs() == ""


def test_a_file_of_holes_needs_no_memory(tmp_path: Path) -> None:
    """Larger than all the address space that the run may have."""
    world = World(tmp_path / "repository")
    world.pack(
        "TASK-0001-a",
        "limits: {disk: 8GiB}\nsteps: ['truncate -s 3G taskpacks/TASK-0001-a/holes']\n",
        None,
    )
    world.commit()
    code = "resource.setrlimit(resource.RLIMIT_AS, (2_500_000_000, 2_500_000_000))"
    begin = f"import os, resource, sys; {code}; os.execv(sys.executable, sys.argv[1:])"
    words = [sys.executable, "-P", "-m", "factory", "oneshot"]
    done = subprocess.run(
        [sys.executable, "-c", begin, *words],
        cwd=world.root,
        env=environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2, done.stdout + done.stderr
    (finding,) = world.bundle("TASK-0001")["findings"]
    assert (finding["id"], finding["message"]) == (
        "FILE_TOO_LARGE",
        "taskpacks/TASK-0001-a/holes has 3221225472 bytes; expected at most 268435456",
    )
    assert world.bundle("TASK-0001")["files_changed"] == 0
