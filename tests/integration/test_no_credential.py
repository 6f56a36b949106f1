"""The user says of a value that it is no credential; a repository cannot."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from tests.world import World

pytestmark = pytest.mark.linux
VALUE = "plain-no-secret-at-all-1"
TASK = f"""\
scope: {{allowed_paths: ['docs/**']}}
steps: [{{run: 'mkdir -p docs && printf %s-%s {VALUE[:5]} {VALUE[6:]} > docs/one.txt'}}]
"""


@pytest.fixture
def world(tmp_path: Path) -> World:
    world = World(tmp_path / "repository")
    (tmp_path / "home").mkdir()
    world.pack("TASK-0001-one", TASK)
    world.commit()
    return world


def test_a_value_that_the_user_cleared_is_shown(world: World, tmp_path: Path) -> None:
    known = {"HOME": str(tmp_path / "home"), "XDG_CONFIG_HOME": "", "MY_TOKEN": VALUE}
    refused = world.factory("oneshot", **known)
    assert (refused.rc, "SECRET_IN_CHANGE" in refused.out) == (2, True), refused.text
    digest = hashlib.sha256(VALUE.encode()).hexdigest()
    # In the work tree the list is a file like any other.
    world.write("not-credentials", f"{digest}\n")
    world.commit("say so")
    assert world.factory("oneshot", **known).rc == 2
    told = world.factory("grant", "--not-credential", "MY_TOKEN", **known)
    assert (told.rc, told.out) == (0, f"no credential  {digest}\n")
    assert world.factory("oneshot", **known).rc == 0
    file = tmp_path / "home/.config/codex-orchestrator/not-credentials"
    assert file.stat().st_mode & 0o777 == 0o600


def test_a_value_is_named_by_its_digest_too(world: World, tmp_path: Path) -> None:
    known = {"HOME": str(tmp_path / "home"), "XDG_CONFIG_HOME": "", "MY_TOKEN": VALUE}
    digest = hashlib.sha256(VALUE.encode()).hexdigest()
    assert world.factory("grant", "--not-credential", digest, **known).rc == 0
    assert world.factory("oneshot", **known).rc == 0
    for words in ((), ("NO_SUCH_VARIABLE",), (digest[:12],)):
        ended = world.factory("grant", "--not-credential", *words, **known)
        assert ended.rc == 64, ended.text
