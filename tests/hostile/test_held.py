"""Every hostile program, run by the real `doit oneshot`, is held; the host is untouched, and the
evidence says so.

One scene per user and backend; each program has its own tests over what the scene left. How many
scenes are played, and with how many programs, `extent` says.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import pytest

from tests.hostile.backends import BACKENDS
from tests.hostile.declared import RULES, Program, chosen, names, program
from tests.hostile.extent import SCENES
from tests.hostile.observation import observed, shared_folder

pytestmark = pytest.mark.linux

long = pytest.mark.timeout(2400)  # whoever comes first plays the scene

CASES = tuple((scene, one.name) for scene in SCENES for one in chosen(scene[2]))
Scene = dict[str, Any]
Played = tuple[str, str, str]


@pytest.fixture(scope="session")
def scenes(tmp_path_factory: pytest.TempPathFactory) -> Callable[[Played], Scene]:
    shared = shared_folder(tmp_path_factory.getbasetemp())

    @cache
    def seen(played: Played) -> Scene:
        found = observed(shared, *played)
        assert "broken" not in found, found["broken"]
        return {**found, "backend": played[1]}

    return seen


@pytest.fixture(params=SCENES, ids="-".join)
def scene(request: pytest.FixtureRequest, scenes: Callable[[Played], Scene]) -> Scene:
    return scenes(request.param)


def lacks(scene: Scene) -> tuple[str, ...]:
    """The properties that the backend said it does not give."""
    return tuple(scene["refused"]["lacks"]) if scene["refused"] is not None else ()


@long
@pytest.mark.parametrize(
    ("played", "name"), CASES, ids=lambda each: each if each in names() else "-".join(each)
)
def test_it_is_held_and_the_evidence_says_so(
    played: Played, name: str, scenes: Callable[[Played], Scene]
) -> None:
    scene = scenes(played)
    one, seen = program(name), scene["packs"][name]
    assert seen, f"{one.pack} left no bundle"
    said = "".join(seen["logs"].values())
    if one.holds in lacks(scene):
        return  # test_what_a_backend_lacks_blocks_before_anything_runs has it
    assert "ESCAPED" not in said, said[-2000:]
    findings = seen["status"]["findings"]
    assert sorted({finding["id"] for finding in findings}) == sorted({*one.ends, *one.warns}), (
        findings
    )
    sentences = "\n".join(finding["message"] for finding in findings)
    assert [words for words in one.says if words not in sentences] == []
    if one.ends:
        assert seen["status"]["status"] == "BLOCKED"
        ids = [
            finding["id"] for finding in scene["status"]["findings"] if finding["pack"] == one.pack
        ]
        assert set(one.ends) <= set(ids)
    else:
        assert seen["status"]["status"] == "PASS"
        assert "HELD" in said or "LEFT" in said, said[-2000:]
    _told(scene, one, seen)


def _told(scene: Scene, one: Program, seen: Scene) -> None:
    """The ledger has the properties in force when it ran, its commands with their codes, and its
    verdict.
    """
    by_type = {event["event_type"]: event for event in seen["events"]}
    in_force = by_type["pack.started"]["details"]["properties"].split()
    assert one.holds in {*in_force, *RULES}
    assert by_type["pack.finished"]["details"]["status"] == seen["status"]["status"]
    codes = {check["label"]: check["rc"] for check in seen["status"]["checks"]}
    told = {
        e["details"]["label"]: e["rc"]
        for e in seen["events"]
        if e["event_type"] in ("step.finished", "check.finished")
    }
    assert told == codes
    assert codes.keys() <= seen["raw"].keys()


@long
def test_the_host_is_untouched(scene: Scene) -> None:
    modes = {"outside.txt"} if "fs_write_scoped" in lacks(scene) else set()
    assert set(scene["touched"]) <= modes
    assert scene["survivors"] == []
    assert scene["leaks"] == []


@long
def test_the_verdict_is_that_of_the_worst(scene: Scene) -> None:
    assert scene["rc"] == 2
    assert scene["status"]["status"] == "BLOCKED"


@long
def test_the_evidence_verifies(scene: Scene) -> None:
    assert scene["differs"] == ""


@long
def test_nothing_that_acts_reaches_the_terminal_or_the_report(scene: Scene) -> None:
    for text in (scene["out"], scene["report"]):
        odd = {
            char
            for char in text
            if (ord(char) < 32 and char not in "\n\r\t") or 127 <= ord(char) < 160
        }
        assert odd == set()
        assert not {"\u202e", "\u202c", "\u200b", "\u2066"} & set(text)
        assert not [line for line in text.splitlines() if line.startswith(("::", "##[", "##vso"))]
    assert "<img" not in scene["report"].replace("\\<", "")


@long
def test_no_credential_is_in_the_evidence(scene: Scene) -> None:
    assert scene["credentials"] == []


@long
def test_what_a_backend_lacks_blocks_before_anything_runs(scene: Scene) -> None:
    refused = scene["refused"]
    if BACKENDS[scene["backend"]].whole:
        assert refused is None
        return
    assert refused["rc"] == 2
    assert refused["lacks"] != []
    assert refused["started"] == []
    assert all(name in refused["out"] for name in refused["lacks"])
    accepted = [
        f["message"].split()[0]
        for f in scene["status"]["findings"]
        if f["id"] == "PROPERTY_ACCEPTED"
    ]
    assert sorted(accepted) == sorted(refused["lacks"])
    first = scene["report"].splitlines()[:12]
    assert any(
        "Accepted weaker" in line and all(name in line for name in accepted) for line in first
    )
