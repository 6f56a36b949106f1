"""What the programs declare holds together: enough of them, of every part of the threat list, and
each with teeth.
"""

from __future__ import annotations

from collections import Counter

import pytest

from factory.model.findings.catalogue import CATALOGUE
from factory.sandbox.properties import Property
from tests.hostile.backends import BACKENDS
from tests.hostile.declared import (
    RULES,
    SAMPLE,
    SAMPLED,
    SECTIONS,
    chosen,
    names,
    program,
    programs,
)
from tests.hostile.extent import ALL, SCENES, WHOLE, toothed
from tests.hostile.naive import TOOLS
from tests.hostile.weak import PROFILES

pytestmark = pytest.mark.linux

HOLDERS = {each.value for each in Property} | RULES


def test_there_are_enough_of_every_kind() -> None:
    found = Counter(one.section for one in programs())
    assert sum(found.values()) >= 80
    assert set(found) == set(SECTIONS)
    assert min(found.values()) >= 5


def test_each_names_what_holds_it_and_what_gives_it_teeth() -> None:
    for one in programs():
        assert one.holds in HOLDERS, one.name
        assert one.weaken in {*PROFILES, *TOOLS}, one.name
        assert set(one.ends) <= set(CATALOGUE), one.name


def test_every_property_of_a_pack_is_tried() -> None:
    tried = {one.holds for one in programs()}
    assert {each.value for each in Property} - tried == {
        "integrator_confined"
    }  # test_integrator_attacked tries that


def test_every_threat_is_said_once() -> None:
    said = Counter(one.threat for one in programs())
    assert [threat for threat, count in said.items() if count > 1] == []


def test_the_sample_has_every_property_and_every_rule() -> None:
    sampled = [one.holds for one in chosen(SAMPLE)]
    assert len(sampled) == len(SAMPLED)
    assert set(sampled) == {one.holds for one in programs()}


def test_every_program_is_played_and_every_way_to_weaken_is_shown() -> None:
    for user, backend in {scene[:2] for scene in SCENES}:
        played = [
            one.name for scene in SCENES if scene[:2] == (user, backend) for one in chosen(scene[2])
        ]
        assert len(played) == len(set(played))
        assert set(played) == set(names()) or not (WHOLE or (user, backend) == ("self", "overlay"))
    assert {scene[:2] for scene in ALL} == {
        (user, backend) for user in ("self", "ordinary") for backend in BACKENDS
    }
    assert {backend for _, backend, _ in SCENES} == set(BACKENDS)
    assert {program(name).weaken for name in toothed()} == {one.weaken for one in programs()}
