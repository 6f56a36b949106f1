"""The traps of policy_ref: names, clones, and changes by which a tree under judgement would decide
about itself.
"""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path

import pytest

from tests.world import World

pytestmark = pytest.mark.linux

REF = "refs/remotes/origin/main"
HOST = "constraints: {allow_network: [a.example]}\n"
PACK = """\
scope: {allowed_paths: ["docs/**"]}
steps: [{run: "mkdir -p docs; echo x > docs/a"}]
"""


@pytest.fixture
def world(tmp_path: Path) -> World:
    """Return a repository whose policy protects `docs/`, and a pull request that does not."""
    (tmp_path / "home").mkdir()
    made = World(tmp_path / "repository")
    made.write("factory.toml", '[safety]\nprotected = ["docs/"]\n')
    made.pack("TASK-0001-a", PACK)
    made.commit()
    made.git("update-ref", REF, "HEAD")
    made.write("factory.toml", "[safety]\nprotected = []\n")
    made.commit("a pull request")
    return made


def known(world: World, **more: str) -> dict[str, str]:
    return {"HOME": str(world.root.parent / "home"), "XDG_CONFIG_HOME": "", **more}


def protected(world: World) -> bool:
    """Return whether a run refused the pack for the protected folder."""
    ended = world.factory("oneshot", "--policy-ref", REF, **known(world))
    assert ended.rc in (0, 2), ended.text
    return (ended.rc, "PATH_PROTECTED" in ended.out) == (2, True)


def test_the_flag_names_the_policy_for_every_command_that_reads_one(world: World) -> None:
    assert world.factory("oneshot", **known(world)).rc == 0
    assert protected(world)
    commit = world.git("rev-parse", REF).strip()
    for command in ("plan", "config", "contract", "why"):
        words = ("TASK-0001",) if command == "why" else ()
        ended = world.factory(command, *words, "--policy-ref", "main", **known(world))
        assert (ended.rc, "full name" in ended.text) == (2, True), (command, ended.text)
        assert world.factory(command, *words, "--policy-ref", REF, **known(world)).rc in (0, 2)
    report = (world.last() / "FINAL_REPORT.txt").read_text().splitlines()[:4]
    assert any(f"of refs/remotes/origin/main at {commit[:12]}" in line for line in report)
    verified = world.factory("verify", "--policy-ref", "refs/heads/none", **known(world))
    assert "POLICY_REF_MISSING" in verified.text


def test_a_tag_named_like_the_branch_takes_its_place_nowhere(world: World) -> None:
    for name in ("main", "origin/main", "remotes/origin/main"):
        world.git("tag", "-f", name, "HEAD")
    assert protected(world)
    short = world.factory("oneshot", "--policy-ref", "origin/main", **known(world))
    assert short.rc == 2
    assert "CONFIG_INVALID" in short.text


def test_in_a_shallow_clone_the_policy_is_missing_and_never_the_work_tree(
    world: World, tmp_path: Path
) -> None:
    clone = tmp_path / "clone"
    commit = world.git("rev-parse", REF).strip()
    world.git("clone", "-q", "--depth", "1", f"file://{world.root}", str(clone))
    there = World.__new__(World)
    there.__dict__.update({**world.__dict__, "root": clone})
    for ref in (commit, REF.replace("main", "policy")):
        ended = there.factory("oneshot", "--policy-ref", ref, **known(world))
        assert (ended.rc, "POLICY_REF_MISSING" in ended.text) == (2, True), ended.text
        assert not (clone / ".factory/runs").exists()


def test_policy_and_pack_that_change_together_are_judged_by_the_old_policy(world: World) -> None:
    world.pack("TASK-0001-a", PACK.replace("docs/a", "docs/b") + HOST)
    world.write("factory.toml", '[network]\nhosts = ["a.example"]\n')
    world.commit("policy and pack")
    ended = world.factory(
        "oneshot", "--policy-ref", REF, **known(world, FACTORY_GRANTS="policy-ref")
    )
    assert (ended.rc, "GRANT_MISSING" in ended.out) == (2, True), ended.text
    assert world.executed() == []


def test_what_policy_ref_asks_for_is_granted_once_kept_and_no_other_thing(world: World) -> None:
    world.pack("TASK-0001-a", PACK + HOST)
    world.commit("the policy's own pack asks")
    world.git("update-ref", REF, "HEAD")
    words = ("plan", "--json", "--policy-ref", REF)

    def granted() -> list[str]:
        document = json.loads(world.factory(*words, **known(world)).out)
        return [row["thing"] for row in document["plan"]["policy"]["rules"]["grants"]]

    assert granted() == []
    told = world.factory("grant", "--policy-ref", **known(world))
    assert (told.rc, "now and later" in told.out) == (0, True), told.text
    assert granted() == ["a.example"]
    assert "# follows: policy-ref" in world.factory("grant", "--list", **known(world)).out
    world.pack("TASK-0001-a", PACK + HOST.replace("a.example", "a.example, b.example"))
    world.commit("a pull request asks for more")
    assert granted() == ["a.example"]
    # Another grant does not forget the answer, and taking it back does.
    assert world.factory("grant", "--policy-ref", "--revoke", **known(world)).rc == 0
    assert granted() == []


def test_a_grants_file_in_the_work_tree_grants_nothing(world: World) -> None:
    world.pack("TASK-0001-a", PACK + HOST)
    world.write("mine.grants", "# follows: policy-ref\nhost a.example *\n")
    world.commit("grants of its own")
    file = str(world.root / "mine.grants")
    ended = world.factory("oneshot", "--policy-ref", REF, **known(world, FACTORY_GRANTS=file))
    assert (ended.rc, "GRANTS_UNUSABLE" in ended.text) == (2, True), ended.text


def test_an_old_sealed_state_that_is_put_back_is_no_pass_under_a_stricter_policy(
    world: World, tmp_path: Path
) -> None:
    assert world.factory("oneshot", **known(world)).rc == 0
    state = world.root / ".factory"
    shutil.copytree(state, tmp_path / "kept", symlinks=True)
    assert protected(world)
    shutil.rmtree(state)
    shutil.copytree(tmp_path / "kept", state, symlinks=True)
    ended = world.factory("oneshot", "--policy-ref", REF, **known(world))
    assert ended.rc == 2, ended.text
    assert "up to date" not in ended.out


def named_python(world: World, python: str) -> None:
    world.write("factory.toml", f'[run]\npython = "{python}"\n')
    world.commit("an interpreter")


@pytest.mark.parametrize("named", ["../python", "/opt/../root/bin/python3"])
def test_an_interpreter_that_no_path_names_is_refused(world: World, named: str) -> None:
    named_python(world, named)
    ended = world.factory("plan", **known(world))
    assert (ended.rc, "factory.toml:2:10" in ended.text) == (2, True), ended.text


@pytest.mark.parametrize("named", ["/opt/no-python/bin/python3", "{home}/bin/python3"])
def test_an_interpreter_in_a_foreign_folder_is_asked_for(world: World, named: str) -> None:
    """It is named as a request of each pack, and until it is granted nothing of it is shown."""
    python = named.format(home=world.root.parent / "home")
    folder = str(Path(python).parent.parent)
    named_python(world, python)
    env = known(world)
    ended = world.factory("oneshot", **env)
    assert (ended.rc, f"names lies in {folder}, which you" in ended.out) == (2, True)
    asked = world.factory("grant", **env).out
    assert f"interpreter  {folder}" in asked
    assert f"would let a pack run the interpreter in the folder {folder} of this host" in asked


def test_an_interpreter_that_a_later_pull_request_replaces_needs_another_answer(
    world: World,
) -> None:
    """A grant names real folders: a link that leads to another one is another request."""
    tools, secret = world.root.parent / "tools", world.root.parent / "secret"
    (tools / "bin").mkdir(parents=True)
    base = Path(sys.base_prefix) / "bin" / "python3"
    (tools / "bin" / "python3").symlink_to(base.resolve())
    (tools / "pyvenv.cfg").write_text(f"home = {base.parent}\n")
    named_python(world, str(tools / "bin" / "python3"))
    env = known(world)

    def asked() -> list[str]:
        rows = json.loads(world.factory("grant", "--json", **env).out)["requests"]
        return [
            row["digest"] for row in rows if row["kind"] == "interpreter" and not row["granted"]
        ]

    library = f"lib/python{sys.version_info.major}.{sys.version_info.minor}/site-packages"
    (tools / library).mkdir(parents=True)
    (tools / library / "only_there.py").write_text("")
    world.pack("TASK-0001-a", PACK.replace("mkdir", "python3 -c 'import only_there' && mkdir"))
    world.commit("a pack that needs it")
    digests = asked()
    assert digests
    assert world.factory("oneshot", **env).rc == 2
    assert world.factory("grant", *digests, **env).rc == 0
    assert asked() == []
    ended = world.factory("oneshot", **env)
    assert ended.rc == 0, ended.text
    tools.rename(secret)
    tools.symlink_to(secret)
    found = json.loads(world.factory("grant", "--json", **env).out)["requests"]
    assert {row["thing"] for row in found if not row["granted"]} == {str(secret)}
