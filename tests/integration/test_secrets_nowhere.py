"""Credentials planted wherever a text can come from: afterwards no form of one is in any file, nor
in any output.

The packs make them out of reversed text, so that not even the checkout of the base holds one.
"""

from __future__ import annotations

import base64
import urllib.parse
import zlib
from pathlib import Path

import pytest

from factory.redact.redaction import base64_forms, straight_forms
from factory.redact.unpacking import layers
from tests.world import Ended, World

pytestmark = pytest.mark.linux

# The user's own: one in the environment, one in a file of their home.
OF_ENVIRONMENT = "kQ7-canary/of+the_user-" + "x9" * 12
OF_HOME = "netrc-canary=" + "z4Y" * 9
# By their form alone, with letters that no issuer ever gave.
OF_FORM = "glpat-" + "aB3dE6gH9" * 4
KEY = "-----BEGIN PRIVATE KEY-----\n" + "aB3dE6gH9" * 7 + "\n-----END PRIVATE KEY-----"
VALUES = (OF_ENVIRONMENT, OF_HOME, OF_FORM, KEY)
# Of what is known by its form alone no encoding is known; the body of a key is what counts.
NEEDLES = (
    *(form for value in (OF_ENVIRONMENT, OF_HOME) for form in straight_forms(value.encode())),
    *(form for value in (OF_ENVIRONMENT, OF_HOME) for form in base64_forms(value.encode())),
    OF_FORM.encode(),
    OF_FORM[6:].encode(),
    b"aB3dE6gH9" * 3,
)

MAKE = (
    """
import base64, gzip, os, sys, time, urllib.parse
def canary(index):
    return VALUES[index][::-1]
def say(text):
    os.write(1, text)
"""
    f"VALUES = {[value[::-1] for value in VALUES]!r}\n"
)

OUTPUT = (
    MAKE
    + """
for index in range(4):
    value = canary(index).encode()
    say(b"plain " + value + b"\\n")
    if index < 2:
        for before in (b"", b"a", b"ab"):
            say(base64.b64encode(before + value + b"zz") + b"\\n")
        say(value.hex().encode() + b" " + value.hex().upper().encode() + b"\\n")
        say(urllib.parse.quote(value, safe="").encode() + b"\\n")
    for at in range(0, len(value), 5):
        say(value[at:at + 5])
        time.sleep(0.002)
    say(b"\\n")
sys.stderr.write(canary(2) + " is the last word, and " + canary(0) + "\\n")
sys.exit(int(sys.argv[1]))
"""
)
CHANGE = (
    MAKE
    + """
os.makedirs("docs")
kind = sys.argv[1]
if kind == "content":
    open("docs/a.txt", "w").write("one\\n" + canary(0) + "\\n" + canary(3) + "\\n")
elif kind == "packed":
    open("docs/a.gz", "wb").write(gzip.compress(canary(1).encode()))
elif kind == "name":
    open("docs/" + canary(2), "w").write("fine\\n")
elif kind == "link":
    os.symlink(canary(2), "docs/link")
elif kind == "ignored":
    open("docs/a.ignored", "w").write(canary(0))
    open("docs/fine.txt", "w").write("fine\\n")
elif kind == "outside":
    open("elsewhere-" + canary(2), "w").write(canary(0))
"""
)
COLLECT = (
    MAKE
    + """
os.makedirs("docs/out")
open("docs/out/a.txt", "w").write(canary(0))
open("docs/out/b.gz", "wb").write(gzip.compress(b"x " * 99 + canary(2).encode()))
open("docs/out/" + canary(2) + ".txt", "w").write("fine")
open("docs/out/fine.txt", "w").write("fine")
"""
)
KINDS = ("content", "packed", "name", "link", "ignored", "outside")


def planted(root: Path) -> World:
    world = World(root / "repository")
    for number, rc in ((1, 0), (2, 3)):
        world.pack(
            f"TASK-000{number}-talks",
            f"""
            scope: {{allowed_paths: ["docs/**"]}}
            steps: [{{name: say, run: "python3 taskpacks/TASK-000{number}-talks/make.py {rc}"}}]
            """,
            **{"make.py": OUTPUT},
        )
    for number, kind in enumerate(KINDS):
        world.pack(
            f"TASK-001{number}-changes",
            f"""
            scope: {{allowed_paths: ["docs/**"]}}
            steps: [{{name: change, run: "python3 taskpacks/TASK-001{number}-changes/make.py {kind}"}}]
            """,
            **{"make.py": CHANGE},
        )
    world.pack(
        "TASK-0020-collects",
        """
        scope: {allowed_paths: ["docs/**"]}
        artifacts: {required: [/docs/out/fine.txt], optional: ["/docs/out/*"]}
        """,
        acceptance='checks: [{name: out, run: "python3 taskpacks/TASK-0020-collects/make.py"}]\n',
        **{"make.py": COLLECT},
    )
    world.commit()
    # These stay in the work tree: what a repository has committed is in its own objects anyway.
    plain = 'scope: {allowed_paths: ["docs/**"]}\n'
    world.pack("TASK-0030-title", f"title: we use {OF_FORM} here\n{plain}")
    world.pack("TASK-0031-value", f"{plain}env: {{PLACE: {OF_ENVIRONMENT}}}\n")
    world.pack("TASK-0032-command", f"{plain}steps: [{{name: say, run: 'echo {OF_HOME}'}}]\n")
    world.pack("TASK-0033-prose", plain, **{"spec.md": f"# Spec\n\nLog in with {OF_FORM}.\n"})
    world.pack(
        "TASK-0034-file", plain, **{f"{OF_FORM}.txt": "fine\n", "runbook.md": f"# Book\n\n{KEY}\n"}
    )
    world.pack("TASK-0035-passes", f"{plain}env: [PLACE]\n")
    world.grant("variable PLACE TASK-0035")
    world.pack("TASK-0036-broken", f"{plain}colour: {OF_FORM}\n")
    return world


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> tuple[World, list[Ended]]:
    root = tmp_path_factory.mktemp("nowhere")
    (root / "home").mkdir()
    (root / "home" / ".netrc").write_text(f"machine example.org login me password {OF_HOME}\n")
    world = planted(root)
    own = {
        "DEPLOY_TOKEN": OF_ENVIRONMENT,
        "HOME": str(root / "home"),
        "PLACE": f"https://me:{'aB3dE6gH9' * 3}@example.org/",
    }
    words = (
        ("oneshot",),
        ("oneshot", "--json"),
        ("contract",),
        ("why", "TASK-0010"),
        ("why", "TASK-0030"),
        ("ledger", "--raw-events"),
        ("print-report",),
        ("plan", "--json"),
    )
    return world, [world.factory(*each, **own) for each in words]


def forms_in(content: bytes) -> set[bytes]:
    texts = list(layers(content))
    if content[:1] == b"x":  # an object of Git
        try:
            texts.append(zlib.decompress(content))
        except zlib.error:
            return {needle for needle in NEEDLES for text in texts if needle in text}
    return {needle for needle in NEEDLES for text in texts if needle in text}


def test_no_form_of_one_is_in_any_file(told: tuple[World, list[Ended]]) -> None:
    world, _ = told
    found = {}
    seen = 0
    for path in world.state.rglob("*"):
        names = {
            needle for needle in NEEDLES if needle in str(path.relative_to(world.state)).encode()
        }
        seen += 1
        if path.is_file() and not path.is_symlink():
            names |= forms_in(path.read_bytes())
        if names:
            found[str(path.relative_to(world.state))] = names
    assert found == {}
    assert seen > 100


def test_no_form_of_one_is_in_any_output(told: tuple[World, list[Ended]]) -> None:
    _, ended = told
    for one in ended:
        assert forms_in(one.text.encode()) == set(), one.text
        assert "Traceback" not in one.text


def test_each_was_found_where_it_was_planted(told: tuple[World, list[Ended]]) -> None:
    world, ended = told
    assert ended[0].rc == 2
    by_pack: dict[str, set[str]] = {}
    for finding in world.status()["findings"]:
        by_pack.setdefault(finding["pack"], set()).add(finding["id"])
    assert "TASK-0001" not in by_pack
    assert world.bundle("TASK-0001")["status"] == "PASS"
    assert by_pack["TASK-0002"] == {"STEP_FAILED"}
    for number, kind in enumerate(KINDS):
        if kind == "ignored":
            assert by_pack[f"TASK-001{number}"] == {"IGNORED_IN_SCOPE"}
        else:
            assert by_pack[f"TASK-001{number}"] == {"SECRET_IN_CHANGE"}, kind
    assert by_pack["TASK-0020"] == {"SECRET_IN_ARTIFACT"}
    for number in range(30, 37):
        assert by_pack[f"TASK-00{number}"] == {"SECRET_IN_CONTRACT"}, number


def test_what_was_said_is_kept_without_them(told: tuple[World, list[Ended]]) -> None:
    world, _ = told
    log = (world.state / "bundles" / "TASK-0001" / "LOGS" / "step-1.log").read_text()
    assert log.startswith("plain [redacted: value of DEPLOY_TOKEN]\n")
    assert "plain [redacted: value of .netrc]\n" in log
    assert "plain [redacted: GitLab token]\n" in log
    assert "plain [redacted: private key]\n" in log
    assert log.endswith(
        "[redacted: GitLab token] is the last word, and [redacted: value of DEPLOY_TOKEN]\n"
    )


def test_the_canaries_are_what_they_say(tmp_path: Path) -> None:
    """The search has teeth: every encoding that a pack printed is one that it looks for."""
    value = OF_ENVIRONMENT.encode()
    for text in (
        base64.b64encode(b"a" + value + b"zz"),
        value.hex().encode(),
        urllib.parse.quote(value, safe="").encode(),
    ):
        assert forms_in(b"before " + text + b" after")
    (tmp_path / "x").write_bytes(zlib.compress(value))
    assert forms_in((tmp_path / "x").read_bytes())


def test_a_repository_whose_configuration_carries_one_is_refused(tmp_path: Path) -> None:
    world = World(tmp_path / "repository")
    world.pack("TASK-0001-fine", 'scope: {allowed_paths: ["docs/**"]}\n')
    world.write("factory.toml", f'version = 1\n[packs]\nfolder = "{OF_FORM}"\n')
    world.commit()
    done = world.factory("oneshot")
    assert done.rc == 2
    assert (
        "SECRET_IN_CONTRACT  factory.toml carries a credential (GitLab token); expected none"
        in done.text
    )
    world.write("factory.toml", "version = 1\n")
    world.git("branch", OF_FORM)
    refused = world.factory("oneshot", "--base-ref", OF_FORM)
    assert refused.rc == 2
    assert "SECRET_IN_CONTRACT  the base ref carries a credential (GitLab token)" in refused.text
    assert OF_FORM not in done.text + refused.text
