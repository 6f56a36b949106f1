"""What the programs declare holds together: enough of them, of every part of the threat list, and each with teeth."""

from __future__ import annotations

from collections import Counter

import pytest

from factory.model.finding import CATALOGUE
from factory.model.properties import Property
from tests.hostile.declared import RULES, SECTIONS, programs
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
    assert {each.value for each in Property} - tried == {"integrator_confined"}  # test_integrator_attacked tries that


def test_every_threat_is_said_once() -> None:
    said = Counter(one.threat for one in programs())
    assert [threat for threat, count in said.items() if count > 1] == []
