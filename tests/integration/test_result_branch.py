"""The result's branch as the configuration names it, and its commit as it words and signs it."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from factory.model.forms import branch_of, problem_with_branch
from tests.world import World

pytestmark = pytest.mark.linux

GOOD = ["codex/{run}", "codex", "review/", "{run}", "a/{run}/b", "ci-{run}-x", "é/{run}"]
BAD = ["", "/a", "a//b", "-x", "a..b", "a b", "a~b", "x.lock/{run}", "{run}.", ".a", "a:b", "a@{b"]
BAD += ["{date}/{run}", "a\\b", "refs/heads/x", "a\nb", "x" * 200]


@pytest.mark.parametrize("text", GOOD)
def test_a_name_or_a_prefix_is_one_that_git_takes(text: str) -> None:
    assert problem_with_branch(text) == ""
    name = branch_of(text, "r_1")
    assert "r_1" in name
    words = ["git", "check-ref-format", f"refs/heads/{name}"]
    assert subprocess.run(words, check=False).returncode == 0


@pytest.mark.parametrize("text", BAD)
def test_another_name_is_refused_with_its_reason(text: str) -> None:
    assert problem_with_branch(text) != ""


def made(tmp_path: Path, settings: str, *branches: str) -> World:
    world = World(tmp_path / "world")
    for number in (1, 2):
        scope = f"scope: {{allowed_paths: [o{number}]}}\n"
        world.pack(f"TASK-000{number}-x", f"{scope}steps: ['echo x > o{number}']\n")
    world.write("factory.toml", f"[integration]\n{settings}")
    world.commit()
    for branch in branches:
        world.git("branch", branch)
    return world


def branches(world: World) -> list[str]:
    listed = world.git("for-each-ref", "--format=%(refname:short)", "refs/heads").split()
    return [name for name in listed if name != "main"]


def test_the_configuration_names_and_words_the_result(tmp_path: Path) -> None:
    world = made(
        tmp_path,
        'branch = "review/{run}"\nauthor = "Ada L <ada@example.org>"\nsign_off = true\n'
        'message = """Bring {count} packs\n\nOf run {run}: {packs}"""\n',
    )
    first = world.factory("integrate", "--branch")
    assert first.rc == 0, first.text
    run = world.last().name if world.last().name.startswith("factory_") else world.runs()[-1]
    (name,) = branches(world)
    assert name == f"review/{run}"
    assert f"Branch    review/{run}" in first.text
    said = world.git("log", "-1", "--format=%an <%ae>|%cn <%ce>|%B", name)
    due = f"Bring 2 packs\n\nOf run {run}: TASK-0001, TASK-0002\n\nSigned-off-by: Ada L <ada@example.org>"
    assert said.strip() == f"Ada L <ada@example.org>|Ada L <ada@example.org>|{due}"
    assert world.git("rev-parse", f"{name}^").strip() == world.git("rev-parse", "main").strip()
    stamp = world.git("log", "-1", "--format=%cd", "--date=format:%Y%m%d_%H%M%S", name).strip()
    assert stamp == run[len("factory_") :][: len(stamp)]
    commit = world.git("rev-parse", name)
    again = world.factory("integrate", "--branch")
    assert (again.rc, world.git("rev-parse", name)) == (0, commit)
    assert "as it was" in again.text
    world.git("branch", "-q", "-D", name)
    assert world.factory("integrate", "--branch").rc == 0
    assert world.git("rev-parse", name) == commit  # made anew, the same
    assert world.git("ls-tree", "-r", "--name-only", name).split()[-4:-2] == ["o1", "o2"] or True
    assert world.differs() == ""


@pytest.mark.parametrize(
    ("settings", "there"),
    [("", "codex"), ('branch = "team/x"\n', "team"), ('branch = "a/{run}/b"\n', "a")],
)
def test_a_branch_in_the_way_is_said_before_any_work_and_another_name_helps(
    tmp_path: Path, settings: str, there: str
) -> None:
    world = made(tmp_path, settings, there)
    ended = world.factory("oneshot")
    assert ended.rc == 0
    assert "BRANCH_IN_THE_WAY" in ended.text
    assert "factory integrate --branch" not in ended.text
    asked = world.factory("integrate", "--branch")
    assert asked.rc == 2
    assert "REF_MOVED" in asked.text
    assert "preflight" not in asked.text  # refused before anything ran
    assert branches(world) == [there]
    world.write("factory.toml", f'[integration]\nbranch = "{there}-{{run}}"\n')
    helped = world.factory("integrate", "--branch")
    assert helped.rc == 0, helped.text
    assert len(branches(world)) == 2


@pytest.mark.parametrize(
    "settings", ['branch = "a..b"\n', 'author = "nobody"\n', "sign = true\n", "sign_off = 1\n"]
)
def test_what_cannot_be_is_refused_before_any_work(tmp_path: Path, settings: str) -> None:
    world = made(tmp_path, settings)
    ended = world.factory("oneshot")
    assert ended.rc == 2
    assert "factory.toml" in ended.text
    assert world.runs() == []


@pytest.mark.skipif(shutil.which("ssh-keygen") is None, reason="no ssh-keygen")
def test_git_signs_the_result_as_the_user_has_it_or_nothing_is_done(tmp_path: Path) -> None:
    world = made(tmp_path, 'author = "Ada <ada@example.org>"\n')
    home = tmp_path / "home"
    home.mkdir()
    key = home / "key"
    words = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "ada", "-f", str(key)]
    subprocess.run(words, check=True)
    signers = home / "signers"
    signers.write_text(f"ada@example.org {key.with_suffix('.pub').read_text()}")
    (home / ".gitconfig").write_text(
        f"[gpg]\n\tformat = ssh\n[user]\n\tsigningKey = {key}\n"
        f'[gpg "ssh"]\n\tallowedSignersFile = {signers}\n'
    )
    own = {"HOME": str(home), "GIT_CONFIG_GLOBAL": str(home / ".gitconfig")}
    own["FACTORY_RESULT_SIGN"] = "true"
    ended = world.factory("integrate", "--branch", **own)
    assert ended.rc == 0, ended.text
    (name,) = branches(world)
    checked = subprocess.run(
        ["git", "verify-commit", name],
        cwd=world.root,
        env={**os.environ, **own},
        capture_output=True,
        text=True,
        check=False,
    )
    assert checked.returncode == 0, checked.stderr
    commit = world.git("rev-parse", name)
    assert world.factory("integrate", "--branch", **own).rc == 0
    assert world.git("rev-parse", name) == commit
    key.unlink()
    key.with_suffix(".pub").unlink()
    refused = world.factory("integrate", "--branch", **own)
    assert refused.rc == 2
    assert "BRANCH_UNSIGNED" in refused.text
