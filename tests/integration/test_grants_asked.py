"""Requests and grants as a person and CI meet them: who is blocked, what is shown, what is asked."""

from __future__ import annotations

import json
import os
import pty
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from tests.world import PATIENCE, World, environment

pytestmark = pytest.mark.linux

WRITES = 'scope: {{allowed_paths: [{0}/]}}\nsteps: [{{run: "mkdir {0}; env | grep QZ8 > {0}/a; echo > {0}/b"}}]\n'
CREDENTIALS = ("PGPASSWORD", "CI_JOB_JWT", "DATABASE_URL", "OPENAI", "RAILS_MASTER")
VALUES = {name: f"QZ8-{name}-7kRt5Xw2Lp" for name in CREDENTIALS}


@pytest.fixture
def world(tmp_path: Path) -> World:
    made = World(tmp_path / "repository")
    made.pack("TASK-0001-plain", WRITES.format("one"))
    made.pack("TASK-0002-asks", f"{WRITES.format('two')}env: [{', '.join(CREDENTIALS)}]\n")
    made.pack("TASK-0003-long", f"{WRITES.format('three')}limits: {{timeout: 2h, attempts: 4}}\n")
    made.pack("TASK-0004-after", f"{WRITES.format('four')}depends_on: [TASK-0002]\n")
    made.commit()
    return made


@pytest.fixture
def home(tmp_path: Path) -> dict[str, str]:
    return {"XDG_CONFIG_HOME": str(tmp_path / "home")}


def requests(world: World, **env: str) -> list[dict]:
    return json.loads(world.factory("grant", "--json", **env).out)["requests"]


def status_of(world: World) -> dict[str, str]:
    return {line["pack"]: line["status"] for line in world.status()["packs"]}


def test_only_packs_that_need_what_nobody_granted_are_blocked(
    world: World, home: dict[str, str]
) -> None:
    ended = world.factory("oneshot", **home, **VALUES)
    assert ended.rc == 2
    assert status_of(world) == {
        "TASK-0001": "PASS", "TASK-0002": "BLOCKED", "TASK-0003": "BLOCKED", "TASK-0004": "BLOCKED",
    }  # fmt: skip
    assert not {"TASK-0002", "TASK-0003"} & set(world.executed())
    assert "it asks for your variable PGPASSWORD, which you have not granted" in ended.text
    assert "factory grant" in ended.text
    everything = b"".join(path.read_bytes() for path in world.state.rglob("*") if path.is_file())
    assert b"QZ8-PGPASSWORD" not in everything

    asked = requests(world, **home)
    assert {(row["kind"], row["thing"], row["pack"]) for row in asked} == {
        *(("variable", name, "TASK-0002") for name in CREDENTIALS),
        ("bound", "timeout=7200", "TASK-0003"),
        ("bound", "attempts=4", "TASK-0003"),
    }
    assert all(row["place"].startswith("taskpacks/TASK-000") and row["allows"] for row in asked)
    long = [row["digest"] for row in asked if row["kind"] == "bound"]
    assert world.factory("grant", *(digest[:12] for digest in long), **home).rc == 0
    ended = world.factory("oneshot", **home, **VALUES)
    assert status_of(world)["TASK-0003"] == "PASS"
    assert world.bundle("TASK-0003", "SCOPE_LOCK.json")["limits"]["timeout"] == 7200
    assert sorted(world.bundle("TASK-0003", "ACTION.json")["grants"]) == sorted(long)
    policy = json.loads((world.last().parent / "attestations/policy.json").read_text())
    assert {row["thing"] for row in policy["grants"]} == {"timeout=7200", "attempts=4"}
    assert world.factory("verify", **home).rc == 0


def test_what_looks_needs_no_grant(world: World, home: dict[str, str]) -> None:
    for words in ("plan", "why TASK-0002", "contract", "config", "doctor"):
        ended = world.factory(*words.split(), **home)
        assert ended.rc == 0 or words.startswith("why"), (words, ended.text)
        assert "CRASH" not in ended.text
    assert "oneshot" in world.doit("list", **home).out
    said = world.factory("config", **home).out
    assert "7 requests that you have not granted; see: factory grant" in said
    assert "safety.protected" in said
    assert "  a repository may only make it stricter\n" in said
    assert "the work tree's, since policy_ref is not set" in said


def test_a_later_version_of_the_pack_does_not_ask_again_and_another_pack_does(
    world: World, home: dict[str, str]
) -> None:
    digests = [row["digest"] for row in requests(world, **home)]
    assert world.factory("grant", *digests, **home).rc == 0
    assert world.factory("oneshot", **home, **VALUES).rc == 0
    assert "QZ8-PGPASSWORD" in (world.last().parent.parent.parent / "bundles/TASK-0002/DIFF.patch").read_text()  # fmt: skip
    text = (world.root / "taskpacks/TASK-0002-asks/task.yml").read_text()
    world.write("taskpacks/TASK-0002-asks/task.yml", text.replace("title: ", "title: new "))
    world.pack("TASK-0005-too", f"{WRITES.format('five')}env: [PGPASSWORD]\n")
    open_ones = [row for row in requests(world, **home) if not row["granted"]]
    assert [(row["thing"], row["pack"]) for row in open_ones] == [("PGPASSWORD", "TASK-0005")]


def test_grants_are_listed_and_taken_back(world: World, home: dict[str, str]) -> None:
    digests = [row["digest"] for row in requests(world, **home)]
    world.factory("grant", *digests, **home)
    listed = world.factory("grant", "--list", **home)
    assert "variable PGPASSWORD TASK-0002" in listed.out
    kept = json.loads(world.factory("grant", "--list", "--json", **home).out)
    assert stat.S_IMODE(Path(kept["file"]).stat().st_mode) == 0o600
    assert not Path(kept["file"]).is_relative_to(world.root)
    gone = next(row["digest"] for row in kept["grants"] if row["thing"] == "OPENAI")
    assert world.factory("grant", "--revoke", gone[:12], **home).rc == 0
    assert "OPENAI" not in world.factory("grant", "--list", **home).out
    assert world.factory("oneshot", **home, **VALUES).rc == 2
    assert status_of(world)["TASK-0002"] == "BLOCKED"


def test_for_ci_the_list_is_a_file_outside_the_work_tree(
    world: World, home: dict[str, str], tmp_path: Path
) -> None:
    digests = [row["digest"] for row in requests(world, **home)]
    world.factory("grant", *digests, **home)
    file = tmp_path / "ci.grants"
    file.write_text(world.factory("grant", "--list", **home).out)
    other = {"XDG_CONFIG_HOME": str(tmp_path / "nobody"), "FACTORY_GRANTS": str(file)}
    ended = world.factory("oneshot", **other, **VALUES)
    assert ended.rc == 0, ended.text
    inside = world.root / "ci.grants"
    inside.write_text(file.read_text())
    ended = world.factory("oneshot", **{**other, "FACTORY_GRANTS": str(inside)}, **VALUES)
    assert ended.rc == 2
    assert "GRANTS_UNUSABLE" in ended.text
    assert "it lies in the work tree" in ended.text


def test_a_copy_made_to_compare_has_the_same_grants(world: World, home: dict[str, str]) -> None:
    policy = {**home, "FACTORY_POLICY_REF": "refs/remotes/origin/main"}
    world.git("update-ref", "refs/remotes/origin/main", "HEAD")
    world.factory("grant", *(row["digest"] for row in requests(world, **policy)), **policy)
    assert world.factory("oneshot", **policy, **VALUES).rc == 0
    ended = world.factory("verify", "--rebuild", **policy, **VALUES)
    assert "GRANT_MISSING" not in ended.text
    assert "POLICY_REF_MISSING" not in ended.text
    assert ended.rc == 0, ended.text
    ended = world.factory("determinism", "TASK-0003", **policy, **VALUES)
    assert ended.rc == 0, ended.text


@pytest.mark.parametrize(
    "words", ["grant 0123", "grant --revoke", "grant --list x", "grant --revoke 0123456789ab"]
)
def test_wrong_usage_says_what_is_right(world: World, home: dict[str, str], words: str) -> None:
    ended = world.factory(*words.split(), **home)
    assert ended.rc == 64, ended.text


# --- at a terminal


def typed(world: World, answers: str, **env: str) -> str:
    """Run `factory grant` at a terminal, type the answers, return what was shown."""
    ours, theirs = pty.openpty()
    os.write(ours, answers.encode())
    with subprocess.Popen(
        [sys.executable, "-m", "factory", "grant"], cwd=world.root, env=environment(**env),
        stdin=theirs, stdout=theirs, stderr=theirs, close_fds=True,
    ) as process:  # fmt: skip
        os.close(theirs)
        shown = b""
        while True:
            try:
                part = os.read(ours, 4096)
            except OSError:  # the other end was closed
                break
            if not part:
                break
            shown += part
        process.wait(PATIENCE)
    os.close(ours)
    return shown.decode().replace("\r\n", "\n")


def test_each_thing_is_one_question_with_all_who_ask(world: World, home: dict[str, str]) -> None:
    world.pack("TASK-0005-too", f"{WRITES.format('five')}env: [PGPASSWORD]\n")
    # bounds: attempts, timeout; variables by name: CI_JOB_JWT, DATABASE_URL, OPENAI, PGPASSWORD, …
    shown = typed(world, "n\ny\n\n\n\na\nx\nno\n", **home)
    assert shown.count("would let a pack see the value of your variable PGPASSWORD") == 1
    assert shown.count("[t/a/N]") == 8  # x is no answer: it is asked again
    assert "expected t, a or n, found x\n" in shown
    assert "asked by TASK-0002  taskpacks/TASK-0002-asks/task.yml:" in shown
    assert "asked by TASK-0005  taskpacks/TASK-0005-too/task.yml:" in shown
    assert "Later versions of the same packs get it too." in shown
    rows = json.loads(world.factory("grant", "--list", "--json", **home).out)["grants"]
    assert {(row["thing"], row["pack"]) for row in rows} == {
        ("timeout=7200", "TASK-0003"),
        ("PGPASSWORD", ""),
    }
    again = typed(world, "n\n" * 5, **home)  # what was left open is asked once more
    assert "PGPASSWORD" not in again
    assert again.count("[t/a/N]") == 5


def test_a_new_clone_of_a_known_origin_offers_the_answers_as_one_question(
    world: World, home: dict[str, str], tmp_path: Path
) -> None:
    clones = []
    for name in ("first", "second"):
        world.git("clone", "-q", str(world.root), str(tmp_path / name))
        clones.append(World.__new__(World))
        clones[-1].root = tmp_path / name
    first, second = clones
    digests = [row["digest"] for row in requests(first, **home)]
    first.factory("grant", *digests, **home)
    assert requests(first, **home)[0]["granted"]
    assert not any(row["granted"] for row in requests(second, **home))
    shown = typed(second, "y\n", **home)
    assert "which came from the same address, you granted:" in shown
    assert shown.count("[y/N]") == 1
    assert "[t/a/N]" not in shown
    assert all(row["granted"] for row in requests(second, **home))
    # the same path from another origin has nothing
    second.git("remote", "set-url", "origin", "https://example.org/other.git")
    assert not any(row["granted"] for row in requests(second, **home))
