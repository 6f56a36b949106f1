"""policy_ref: the configuration, protected list and pins in force are those of a commit that the
user names in full, never those of the work tree that is judged.
"""

from __future__ import annotations

import json
import shlex
from pathlib import Path

import pytest

from tests.world import World

pytestmark = pytest.mark.linux

REF = "refs/remotes/origin/main"
POLICY = """\
version = 1
[safety]
protected = ["guarded/"]
[ceilings]
timeout = 1000
[network]
hosts = ["a.example", "b.example"]
[integration]
overlap = "block"
recheck_budget = 3
[signing]
policy = "required"
"""
JUDGED = """\
version = 1
[safety]
protected = ["more/"]
[ceilings]
timeout = 2000
memory = "1GiB"
[network]
hosts = ["b.example", "c.example"]
[integration]
overlap = "merge"
recheck_budget = 9
[signing]
policy = "optional"
"""
PACK = 'scope: {allowed_paths: ["**"]}\nsteps: [{run: "mkdir -p guarded; echo x > guarded/a"}]\n'


@pytest.fixture
def world(tmp_path: Path) -> World:
    made = World(tmp_path / "repository")
    made.write("factory.toml", POLICY)
    made.pack("TASK-0001-a", PACK)
    made.commit()
    made.git("update-ref", REF, "HEAD")
    made.write("factory.toml", JUDGED)
    made.commit("a pull request")
    return made


def _without_signing(world: World) -> str:
    """Return a commit with the policy, but for its demand of signatures."""
    world.write("factory.toml", POLICY.partition("[signing]")[0])
    world.git("add", "factory.toml")
    commit = world.git("commit-tree", "-m", "policy", world.git("write-tree").strip()).strip()
    world.git("checkout", "-q", "HEAD", "--", "factory.toml")
    return commit


def config(world: World, ref: str = REF, **env: str) -> dict[str, str]:
    ended = world.factory("config", "--json", FACTORY_POLICY_REF=ref, **env)
    assert ended.rc == 0, ended.text
    return {row["name"]: row["value"] for row in json.loads(ended.out)["settings"]}


def test_the_stricter_of_both_is_in_force_and_what_is_looser_is_named(world: World) -> None:
    found = config(world)
    assert found["safety.protected"] == "guarded/, more/"
    assert (found["ceilings.timeout"], found["ceilings.memory"]) == ("1000", str(1 << 30))
    assert found["integration.overlap"] == "block"
    assert found["integration.recheck_budget"] == "3"
    assert found["signing.policy"] == "required"
    said = world.factory("config", FACTORY_POLICY_REF=REF).text
    for each in (
        "timeout: 2000 is not in force; 1000 is, by policy_ref",
        "overlap: merge is not in force; block is, by policy_ref",
        "recheck_budget: 9 is not in force; 3 is, by policy_ref",
        "policy: optional is not in force; required is, by policy_ref",
    ):
        assert each in said, said
    without = config(world, "")
    assert without["safety.protected"] == "more/"
    assert without["integration.overlap"] == "merge"


def test_a_run_is_judged_by_it_and_says_so(world: World, tmp_path: Path) -> None:
    home = {"XDG_CONFIG_HOME": str(tmp_path / "home")}
    world.git("update-ref", REF, _without_signing(world))
    ended = world.factory("oneshot", FACTORY_POLICY_REF=REF, **home)
    assert ended.rc == 2
    assert "PATH_PROTECTED" in world.findings()
    assert "CONFIG_NOT_IN_FORCE" in ended.text
    assert f"policy {REF} at {world.git('rev-parse', REF)[:8]}" in ended.out
    run = world.last().parent
    plan = json.loads((run / "PLAN.json").read_text())
    assert plan["policy"]["commit"] == world.git("rev-parse", REF).strip()
    assert plan["policy"]["rules"]["protected"] == ["guarded/", "more/"]
    assert plan["policy"]["rules"]["network_within"] == ["b.example"]


def test_a_later_policy_is_looked_up_although_nothing_here_changed(world: World) -> None:
    world.write("factory.toml", "version = 1\n")
    world.commit()
    world.git("update-ref", REF, "HEAD")
    assert world.factory("oneshot", FACTORY_POLICY_REF=REF).rc == 0
    assert world.factory("oneshot", FACTORY_POLICY_REF=REF).rc == 0
    assert len(world.runs()) == 1
    world.write("factory.toml", '[safety]\nprotected = ["guarded/"]\n')
    world.git("add", "factory.toml")
    tree = world.git("write-tree").strip()
    commit = world.git("commit-tree", "-m", "policy", tree).strip()
    world.git("update-ref", REF, commit)
    world.git("checkout", "-q", "HEAD", "--", "factory.toml")
    assert world.factory("oneshot", FACTORY_POLICY_REF=REF).rc == 2
    assert "PATH_PROTECTED" in world.findings()


@pytest.mark.parametrize(
    "name", ["origin/main", "main", "HEAD", "v1", "refs", "refs/../x", "0" * 39]
)
def test_a_short_name_is_refused_since_a_tag_may_take_its_place(world: World, name: str) -> None:
    world.git("tag", "origin/main")
    ended = world.factory("plan", FACTORY_POLICY_REF=name)
    assert ended.rc == 2
    assert "is no full name of a ref" in ended.text


@pytest.mark.parametrize("trap", ["refs/remotes/origin/main", "refs/refs/remotes/origin/main"])
def test_no_tag_or_ref_of_a_longer_name_takes_the_place_of_a_missing_one(
    world: World, trap: str
) -> None:
    world.git("update-ref", "-d", REF)
    world.git("update-ref", f"refs/tags/{trap}", "HEAD")
    world.git("update-ref", "refs/refs/remotes/origin/main", "HEAD")
    for words in ("plan", "oneshot", "config", "preflight", "verify"):
        ended = world.factory(words, FACTORY_POLICY_REF=REF)
        assert ended.rc == 2, ended.text
        assert "POLICY_REF_MISSING" in ended.text


def test_a_shallow_clone_lacks_it_and_is_blocked(world: World, tmp_path: Path) -> None:
    policy = world.git("rev-parse", REF).strip()
    world.git("clone", "-q", "--depth", "1", f"file://{world.root}", str(tmp_path / "shallow"))
    clone = World.__new__(World)
    clone.root = tmp_path / "shallow"
    ended = clone.factory("oneshot", FACTORY_POLICY_REF=policy)
    assert ended.rc == 2
    assert "POLICY_REF_MISSING" in ended.text
    assert "no such commit" in ended.text
    world.git("config", "uploadpack.allowAnySHA1InWant", "true")
    assert followed(clone, ended.text) == ["git", "fetch", "origin", policy]
    assert "POLICY_REF_MISSING" not in clone.factory("plan", FACTORY_POLICY_REF=policy).text


def test_a_clone_of_one_branch_gets_the_other_by_the_command_that_is_shown(
    world: World, tmp_path: Path
) -> None:
    world.git("branch", "-q", "side/x y".replace(" ", "-"))
    clone = World.__new__(World)
    clone.root = tmp_path / "one branch"
    world.git("clone", "-q", "--single-branch", f"file://{world.root}", str(clone.root))
    ref = "refs/remotes/origin/side/x-y"
    ended = clone.factory("plan", FACTORY_POLICY_REF=ref)
    assert "POLICY_REF_MISSING" in ended.text
    clone.git("fetch", "-q", "origin")
    assert "POLICY_REF_MISSING" in clone.factory("plan", FACTORY_POLICY_REF=ref).text
    followed(clone, ended.text)
    assert "POLICY_REF_MISSING" not in clone.factory("plan", FACTORY_POLICY_REF=ref).text


def followed(clone: World, text: str) -> list[str]:
    """Type the command of Git that a hint shows."""
    words = shlex.split(
        " ".join(text.split("fetch it with: ")[1].split(";", maxsplit=1)[0].split())
    )
    clone.git(*words[1:])
    return words


def test_a_commit_without_a_configuration_has_no_policy_and_is_not_missing(world: World) -> None:
    world.git("rm", "-q", "--cached", "factory.toml")
    world.git("commit", "-qm", "none")
    world.git("update-ref", REF, "HEAD")
    world.write("factory.toml", '[integration]\noverlap = "merge"\n')
    found = config(world)
    assert found["safety.protected"] == "none"
    assert found["integration.overlap"] == "block"  # the work tree does not loosen the default


def test_a_link_in_its_place_is_a_refusal(world: World) -> None:
    (world.root / "factory.toml").unlink()
    (world.root / "factory.toml").symlink_to("real.toml")
    world.commit()
    world.git("update-ref", REF, "HEAD")
    (world.root / "factory.toml").unlink()
    ended = world.factory("plan", FACTORY_POLICY_REF=REF)
    assert ended.rc == 2
    assert f"expected factory.toml of {REF} to be a plain file" in ended.text


def test_a_repository_cannot_name_it(world: World) -> None:
    world.write("factory.toml", f'[safety]\npolicy_ref = "{REF}"\n')
    ended = world.factory("plan")
    assert ended.rc == 2
    assert "CONFIG_WEAKENED" in ended.text


def test_pins_are_those_of_its_commit(world: World, tmp_path: Path) -> None:
    """A pull request that pins its own key is not signed by one that the policy pins."""
    home = {"XDG_CONFIG_HOME": str(tmp_path / "home")}
    world.factory("keys", "new", **home)
    assert world.factory("keys", "trust", **home).rc == 0
    world.commit("pin")
    rows = json.loads(world.factory("keys", "list", "--json", **home).out)["keys"]
    assert [row["pinned"] for row in rows] == [True]
    rows = json.loads(world.factory("keys", "list", "--json", **home, FACTORY_POLICY_REF=REF).out)[
        "keys"
    ]
    assert [row["pinned"] for row in rows] == [False]
    world.git("update-ref", REF, "HEAD")
    rows = json.loads(world.factory("keys", "list", "--json", **home, FACTORY_POLICY_REF=REF).out)[
        "keys"
    ]
    assert [row["pinned"] for row in rows] == [True]


def test_for_ci_hosts_and_bounds_that_it_asks_for_are_granted_and_variables_never(
    tmp_path: Path,
) -> None:
    made = World(tmp_path / "repository")
    asks = "limits: {timeout: 2h}\n"
    made.pack("TASK-0001-a", f"{PACK}{asks}")
    made.pack("TASK-0002-b", f"{PACK.replace('guarded', 'other')}env: [PGPASSWORD]\n")
    made.commit()
    made.git("update-ref", REF, "HEAD")
    made.pack("TASK-0003-c", f"{PACK.replace('guarded', 'third')}{asks}")  # the pull request's
    made.commit()
    env = {"FACTORY_POLICY_REF": REF, "FACTORY_GRANTS": "policy-ref"}
    assert made.factory("oneshot", **env).rc == 2
    found = {line["pack"]: line["status"] for line in made.status()["packs"]}
    assert found == {"TASK-0001": "PASS", "TASK-0002": "BLOCKED", "TASK-0003": "BLOCKED"}
    assert made.factory("oneshot", FACTORY_GRANTS="policy-ref").rc == 2
    found = {line["pack"]: line["status"] for line in made.status()["packs"]}
    assert found["TASK-0001"] == "BLOCKED"  # without a policy_ref nothing is granted
