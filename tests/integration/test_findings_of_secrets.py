"""A credential in output, change or artifact: it blocks where it would be kept, and is nowhere in
the evidence.
"""

from __future__ import annotations

import base64
from pathlib import Path

import pytest

from tests.world import Ended, World

pytestmark = pytest.mark.linux

# A value of the user who runs the factory. The repository holds it too, so that a pack can come by
# it at all.
CANARY = "kQ7-canary/of+the_user-" + "x9" * 20
# The form of a credential, with letters that no issuer ever gave.
TOKEN = "glpat-" + "aB3dE6gH9" * 4
FORMS = tuple(
    form.encode()
    for form in (
        CANARY,
        CANARY.encode().hex(),
        base64.b64encode(CANARY.encode()).decode()[:40],
        TOKEN,
        TOKEN[6:],
    )
)


def in_evidence(world: World) -> list[str]:
    """Files of the state folder, Git's objects left out, that hold a form of a credential."""
    found = []
    for path in world.state.rglob("*"):
        inside = path.relative_to(world.state).parts[0] not in ("git", "cache")
        if inside and path.is_file() and any(form in path.read_bytes() for form in FORMS):
            found.append(str(path.relative_to(world.state)))
    return found


@pytest.fixture(scope="module")
def ended(tmp_path_factory: pytest.TempPathFactory) -> tuple[World, Ended]:
    world = World(tmp_path_factory.mktemp("secrets") / "repository")
    world.write("config/deploy.txt", f"deploy with {CANARY}\n")
    world.pack(
        "TASK-0001-talks",
        """
        scope: {allowed_paths: ["docs/**"]}
        steps:
          - {name: say, run: "cat config/deploy.txt; base64 config/deploy.txt; xxd -p config/deploy.txt || true"}
          - {name: more, run: "printf gl; printf pat-%s $(printf 'aB3dE6gH9%.0s' 1 2 3 4); mkdir docs; echo x > docs/a"}
        """,
    )
    world.pack(
        "TASK-0002-writes",
        """
        scope: {allowed_paths: ["docs/**"]}
        steps:
          - {name: write, run: "mkdir docs; printf 'one\\nglpat-%s\\n' $(printf 'aB3dE6gH9%.0s' 1 2 3 4) > docs/b"}
        """,
    )
    world.pack(
        "TASK-0003-collects",
        """
        scope: {allowed_paths: ["docs/**"]}
        artifacts: {required: [/docs/out.txt], optional: [/docs/fine.txt]}
        """,
        acceptance="""
        checks: [{name: out, run: "mkdir -p docs; cp config/deploy.txt docs/out.txt; echo fine > docs/fine.txt"}]
        """,
    )
    world.pack(
        "TASK-0004-compresses",
        """
        scope: {allowed_paths: ["docs/**"]}
        artifacts: {required: [/docs/out.json.gz], normalize: [/docs/out.json.gz]}
        """,
        acceptance="""
        checks:
          - name: out
            run: mkdir -p docs; (printf '["'; tr -d '\\n' < config/deploy.txt; printf '"]') | gzip > docs/out.json.gz
        """,
    )
    world.commit()
    return world, world.factory("oneshot", DEPLOY_TOKEN=CANARY)


def test_the_run_is_blocked_and_says_where(ended: tuple[World, Ended]) -> None:
    world, done = ended
    assert done.rc == 2, done.text
    assert (
        "SECRET_IN_CHANGE  docs/b:2 carries a credential (GitLab token); expected none" in done.text
    )
    assert (
        "SECRET_IN_ARTIFACT  artifact docs/out.txt carries a credential (value of"
        " DEPLOY_TOKEN)" in done.text
    )
    assert sorted(set(world.findings())) == ["SECRET_IN_ARTIFACT", "SECRET_IN_CHANGE"]
    assert TOKEN not in done.text
    assert CANARY not in done.text


def test_output_alone_is_no_offence_and_is_kept_without_it(ended: tuple[World, Ended]) -> None:
    world, _ = ended
    assert world.bundle("TASK-0001")["status"] == "PASS"
    log = (world.state / "bundles" / "TASK-0001" / "LOGS" / "step-1.log").read_text()
    assert log.startswith("deploy with [redacted: value of DEPLOY_TOKEN]\n")
    more = (world.state / "bundles" / "TASK-0001" / "LOGS" / "step-2.log").read_text()
    assert more == "[redacted: GitLab token]\n"


def test_a_withheld_change_is_no_change(ended: tuple[World, Ended]) -> None:
    world, _ = ended
    assert world.bundle("TASK-0002")["files_changed"] == 0
    assert world.bundle("TASK-0002", "FILES_CHANGED.json")["files"] == []
    assert (world.state / "bundles" / "TASK-0002" / "DIFF.patch").read_bytes() == b""
    assert world.differs() == ""


def test_it_is_nowhere_in_the_evidence(ended: tuple[World, Ended]) -> None:
    world, _ = ended
    assert in_evidence(world) == []


def test_what_normalising_lays_open_is_looked_at_too(ended: tuple[World, Ended]) -> None:
    world, done = ended
    assert "SECRET_IN_ARTIFACT  artifact docs/out.json.gz carries a credential" in done.text
    assert world.bundle("TASK-0004")["artifacts"] == []


def test_the_other_artifact_is_kept(ended: tuple[World, Ended]) -> None:
    world, _ = ended
    kept = world.state / "bundles" / "TASK-0003" / "ARTIFACTS"
    assert [path.name for path in sorted(Path(kept).rglob("*.txt"))] == ["fine.txt"]
